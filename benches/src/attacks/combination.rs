//! Attacks on top of each other.

use super::function::{flip, permute, rescale};
use super::noise::add_noise;
use super::precision::{int4_in_groups, int8, int8_per_channel};
use super::pruning::{prune, remove_random_channels};
use super::replace::{replace_last, replace_share};
use super::{Attack, Chance, Tensor};

pub(super) fn attacks() -> Vec<Attack> {
    rescaled().into_iter().chain(permuted()).chain(light()).collect()
}

fn rescaled() -> Vec<Attack> {
    vec![
        Attack::new("rescaled + int8 per channel", |tensors, chance| {
            rescale(tensors, chance);
            weights(tensors).for_each(int8_per_channel);
            true
        }),
        Attack::new("rescaled + int4 in groups of 32", |tensors, chance| {
            rescale(tensors, chance);
            weights(tensors).for_each(|tensor| int4_in_groups(&mut tensor.values, 32));
            true
        }),
        Attack::new("rescaled + noise 5 % + int8", |tensors, chance| {
            rescale(tensors, chance);
            noise_and_int8(tensors, chance, |tensor| int8(&mut tensor.values));
            true
        }),
    ]
}

/// Permuted consistently, as all below.
fn permuted() -> Vec<Attack> {
    fn and(
        what: &str,
        change: impl Fn(&mut Vec<Tensor>, &mut Chance<'_>) -> bool + Send + Sync + 'static,
    ) -> Attack {
        Attack::new(format!("permuted + {what}"), move |tensors, chance| {
            permute(tensors, chance);
            change(tensors, chance)
        })
    }
    vec![
        and("int8", |tensors, _| {
            weights(tensors).for_each(|tensor| int8(&mut tensor.values));
            true
        }),
        and("int4 in groups of 32", |tensors, _| {
            weights(tensors).for_each(|tensor| int4_in_groups(&mut tensor.values, 32));
            true
        }),
        and("noise 5 %", |tensors, chance| {
            weights(tensors).for_each(|tensor| add_noise(tensor, 0.05, chance));
            true
        }),
        and("noise 5 % + int8", |tensors, chance| {
            noise_and_int8(tensors, chance, |tensor| int8(&mut tensor.values));
            true
        }),
        and("pruned 30 %", |tensors, _| {
            weights(tensors).for_each(|tensor| prune(tensor, 30));
            true
        }),
        and("pruned 50 %", |tensors, _| {
            weights(tensors).for_each(|tensor| prune(tensor, 50));
            true
        }),
        and("10 % of channels removed (random)", |tensors, chance| {
            remove_random_channels(tensors, 10, chance)
        }),
        and("last tensor replaced", |tensors, chance| replace_last(tensors, chance)),
        and("20 % of tensors replaced", |tensors, chance| replace_share(tensors, 20, chance)),
        and("signs flipped", |tensors, chance| {
            flip(tensors, chance);
            true
        }),
        and("rescaled", |tensors, chance| {
            rescale(tensors, chance);
            true
        }),
        and("rescaled + signs flipped", |tensors, chance| {
            rescale(tensors, chance);
            flip(tensors, chance);
            true
        }),
        and("rescaled + noise 5 % + int8", |tensors, chance| {
            rescale(tensors, chance);
            noise_and_int8(tensors, chance, |tensor| int8(&mut tensor.values));
            true
        }),
        and("rescaled + noise 5 % + int8 per channel", |tensors, chance| {
            rescale(tensors, chance);
            noise_and_int8(tensors, chance, int8_per_channel);
            true
        }),
    ]
}

/// What is done to models every day, together.
fn light() -> Vec<Attack> {
    vec![
        Attack::new("pruned 50 % + int8", |tensors, _| {
            weights(tensors).for_each(|tensor| {
                prune(tensor, 50);
                int8(&mut tensor.values);
            });
            true
        }),
        Attack::new("noise 5 % + last tensor replaced + int8 per channel", |tensors, chance| {
            let replaced = replace_last(tensors, chance);
            noise_and_int8(tensors, chance, int8_per_channel);
            replaced
        }),
    ]
}

fn weights(tensors: &mut [Tensor]) -> impl Iterator<Item = &mut Tensor> {
    tensors.iter_mut().filter(|tensor| tensor.is_weights())
}

fn noise_and_int8(tensors: &mut [Tensor], chance: &mut Chance<'_>, quantise: impl Fn(&mut Tensor)) {
    for tensor in weights(tensors) {
        add_noise(tensor, 0.05, chance);
        quantise(tensor);
    }
}
