//! Attacks that take tensors away or put others in their place: heads, first layers, and shares of a model.

use super::{Attack, Chance, Tensor};

pub(super) fn attacks() -> Vec<Attack> {
    let mut attacks = vec![
        Attack::new("last tensor dropped", |tensors, _| {
            let Some(&last) = hashed(tensors).last() else { return false };
            tensors.remove(last);
            true
        }),
        Attack::new("last tensor replaced", |tensors, chance| {
            let last = hashed(tensors).last().copied();
            last.is_some_and(|place| replace(tensors, &[place], chance))
        }),
        Attack::new("first tensor replaced", |tensors, chance| {
            let first = hashed(tensors).first().copied();
            first.is_some_and(|place| replace(tensors, &[place], chance))
        }),
    ];
    attacks.extend([20, 50].map(|percent| {
        Attack::new(format!("{percent} % of tensors replaced"), move |tensors, chance| {
            let all = hashed(tensors);
            let count = (all.len() * percent).div_ceil(100);
            let chosen: Vec<usize> = chance.order(all.len())[..count].iter().map(|&i| all[i]).collect();
            all.len() > 1 && replace(tensors, &chosen, chance)
        })
    }));
    attacks
}

/// The places of the weights that the hash looks at (1,024 elements or more), in the order of the file.
fn hashed(tensors: &[Tensor]) -> Vec<usize> {
    (0..tensors.len()).filter(|&place| tensors[place].is_hashed()).collect()
}

/// Puts normal numbers of the same mean and standard deviation in the place of tensors.
fn replace(tensors: &mut [Tensor], places: &[usize], chance: &mut Chance<'_>) -> bool {
    for &place in places {
        let tensor = &mut tensors[place];
        let (mean, sd) = tensor.moments();
        let (mean, sd) = (mean as f32, sd as f32);
        tensor.values.iter_mut().for_each(|value| *value = mean + sd * chance.normal());
    }
    !places.is_empty()
}
