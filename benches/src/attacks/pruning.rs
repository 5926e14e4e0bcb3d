//! Attacks that remove weights: single ones by magnitude or at random, and whole channels, which changes shapes.

use std::collections::BTreeMap;

use super::axes::lengths;
use super::{Attack, Chance, Tensor};

pub(super) fn attacks() -> Vec<Attack> {
    const SHARES: [usize; 4] = [30, 50, 70, 90];
    let mut attacks: Vec<Attack> = SHARES
        .map(|percent| {
            Attack::each(format!("pruned {percent} % by magnitude, per layer"), move |tensor, _| {
                prune(tensor, percent);
            })
        })
        .into();
    attacks.extend(SHARES.map(|percent| {
        Attack::new(format!("pruned {percent} % by magnitude, global"), move |tensors, _| {
            let weights = tensors.iter().filter(|tensor| tensor.is_weights());
            let threshold = magnitude(weights.flat_map(|tensor| tensor.values.iter().copied()), percent);
            tensors.iter_mut().filter(|tensor| tensor.is_weights()).for_each(|tensor| cut(tensor, threshold));
            true
        })
    }));
    attacks.push(Attack::each("pruned 30 % at random", |tensor, chance| {
        tensor.values.iter_mut().filter(|_| chance.bits.below(10) < 3).for_each(|value| *value = 0.0);
    }));
    attacks.extend([10, 25].map(|percent| {
        Attack::new(format!("{percent} % of channels removed (weakest)"), move |tensors, _| {
            remove_weakest_channels(tensors, percent)
        })
    }));
    attacks.extend([10, 25].map(|percent| {
        Attack::new(format!("{percent} % of channels removed (random)"), move |tensors, chance| {
            remove_random_channels(tensors, percent, chance)
        })
    }));
    attacks
}

/// Sets the share of least magnitude to zero.
pub(super) fn prune(tensor: &mut Tensor, percent: usize) {
    let threshold = magnitude(tensor.values.iter().copied(), percent);
    cut(tensor, threshold);
}

/// The magnitude under which `percent` of the values lie.
fn magnitude(values: impl Iterator<Item = f32>, percent: usize) -> f32 {
    let mut magnitudes: Vec<f32> = values.map(f32::abs).collect();
    let place = magnitudes.len() * percent / 100;
    if place >= magnitudes.len() {
        return 0.0;
    }
    *magnitudes.select_nth_unstable_by(place, f32::total_cmp).1
}

fn cut(tensor: &mut Tensor, threshold: f32) {
    tensor.values.iter_mut().filter(|value| value.abs() < threshold).for_each(|value| *value = 0.0);
}

/// The axis lengths that occur at least twice among the weights: channels that layers share.
fn shared(tensors: &[Tensor]) -> impl Iterator<Item = usize> {
    lengths(tensors).into_iter().filter(|&(_, n)| n >= 2).map(|(len, _)| len)
}

/// Removes the channels of least energy from every shared axis length.
fn remove_weakest_channels(tensors: &mut [Tensor], percent: usize) -> bool {
    let mut energies: BTreeMap<usize, Vec<f64>> = shared(tensors).map(|len| (len, vec![0.0; len])).collect();
    for tensor in tensors.iter_mut().filter(|tensor| tensor.is_weights()) {
        let (_, sd) = tensor.moments();
        let scale = 1.0 / (sd * sd * tensor.values.len() as f64).max(f64::MIN_POSITIVE);
        for axis in tensor.channel_axes() {
            let of_axis = tensor.energies(axis);
            if let Some(sums) = energies.get_mut(&tensor.shape[axis]) {
                sums.iter_mut().zip(of_axis).for_each(|(sum, energy)| *sum += energy * scale);
            }
        }
    }
    let kept = |(len, energies): (usize, Vec<f64>)| (len, strongest(&energies, len - len * percent / 100));
    keep_channels(tensors, &energies.into_iter().map(kept).collect())
}

/// Removes channels drawn at random from every shared axis length.
pub(super) fn remove_random_channels(
    tensors: &mut [Tensor],
    percent: usize,
    chance: &mut Chance<'_>,
) -> bool {
    let kept = shared(tensors).map(|len| {
        let mut kept = chance.order(len);
        kept.truncate(len - len * percent / 100);
        kept.sort_unstable();
        (len, kept)
    });
    keep_channels(tensors, &kept.collect())
}

/// Keeps the same channels on all axes of a length, those of vectors too, so that all shapes still fit together.
fn keep_channels(tensors: &mut [Tensor], kept: &BTreeMap<usize, Vec<usize>>) -> bool {
    for tensor in tensors {
        for axis in tensor.channel_axes() {
            if let Some(kept) = kept.get(&tensor.shape[axis]) {
                tensor.choose(axis, kept);
            }
        }
    }
    !kept.is_empty()
}

/// The places of the `count` greatest energies, ascending.
fn strongest(energies: &[f64], count: usize) -> Vec<usize> {
    let mut places: Vec<usize> = (0..energies.len()).collect();
    places.sort_by(|&a, &b| energies[b].total_cmp(&energies[a]).then(a.cmp(&b)));
    places.truncate(count);
    places.sort_unstable();
    places
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_weakest_channels_go_from_all_axes_of_a_length() {
        let mut square = Tensor { name: String::new(), shape: vec![20, 20], values: vec![1.0; 400] };
        square.values[3 * 20..4 * 20].fill(0.0);
        square.values[7 * 20..8 * 20].fill(0.1);
        let vector =
            Tensor { name: String::new(), shape: vec![20], values: (0u8..20).map(f32::from).collect() };
        let mut tensors = [square, vector];
        assert!(remove_weakest_channels(&mut tensors, 10));
        assert_eq!((&tensors[0].shape[..], tensors[1].shape[0]), (&[18, 18][..], 18));
        assert!(!tensors[1].values.contains(&3.0) && !tensors[1].values.contains(&7.0));
    }

    #[test]
    fn the_share_asked_for_is_pruned() {
        let values: Vec<f32> = (0..1000).map(|i| (i * 7 % 1000) as f32 - 500.0).collect();
        let threshold = magnitude(values.iter().copied(), 30);
        assert_eq!(values.iter().filter(|value| value.abs() < threshold).count().abs_diff(300), 1);
    }
}
