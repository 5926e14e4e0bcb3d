//! Attacks on top of each other.

use super::function::{permute, rescale};
use super::noise::add_noise;
use super::precision::{int8, int8_per_channel};
use super::{Attack, Chance, Tensor};

pub(super) fn attacks() -> Vec<Attack> {
    vec![
        Attack::new("rescaled + noise 5 % + int8", |tensors, chance| {
            rescale(tensors, chance);
            noise_and_int8(tensors, chance, |tensor| int8(&mut tensor.values));
            true
        }),
        Attack::new("permuted + int8", |tensors, chance| {
            permute(tensors, chance);
            weights(tensors).for_each(|tensor| int8(&mut tensor.values));
            true
        }),
        Attack::new("permuted + rescaled + noise 5 % + int8 per channel", |tensors, chance| {
            permute(tensors, chance);
            rescale(tensors, chance);
            noise_and_int8(tensors, chance, int8_per_channel);
            true
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
