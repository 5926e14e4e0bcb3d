//! Attacks that take tensors away or put others in their place: heads, first layers, and shares of a model.

use super::{Attack, Chance, Tensor};

pub(super) fn attacks() -> Vec<Attack> {
    let mut attacks = vec![
        Attack::new("last tensor dropped", |tensors, _| {
            let Some(&last) = hashed(tensors).last() else { return false };
            tensors.remove(last);
            true
        }),
        Attack::new("last tensor replaced", |tensors, chance| replace_last(tensors, chance)),
        Attack::new("last tensor replaced, twice the outputs", |tensors, chance| {
            replace_head(tensors, |outputs| 2 * outputs, chance)
        }),
        Attack::new("last tensor replaced, 3 outputs more", |tensors, chance| {
            replace_head(tensors, |outputs| outputs + 3, chance)
        }),
        Attack::new("first tensor replaced", |tensors, chance| {
            let first = hashed(tensors).first().copied();
            first.is_some_and(|place| replace(tensors, &[place], chance))
        }),
    ];
    attacks.extend([20, 50].map(|percent| {
        Attack::new(format!("{percent} % of tensors replaced"), move |tensors, chance| {
            replace_share(tensors, percent, chance)
        })
    }));
    attacks
}

/// The places of the weights that the hash looks at (1,024 elements or more), in the order of the file.
fn hashed(tensors: &[Tensor]) -> Vec<usize> {
    (0..tensors.len()).filter(|&place| tensors[place].is_hashed()).collect()
}

pub(super) fn replace_last(tensors: &mut [Tensor], chance: &mut Chance<'_>) -> bool {
    let last = hashed(tensors).last().copied();
    last.is_some_and(|place| replace(tensors, &[place], chance))
}

/// Replaces a share of the tensors, drawn at random, at least one; `false` if there is but one.
pub(super) fn replace_share(tensors: &mut [Tensor], percent: usize, chance: &mut Chance<'_>) -> bool {
    let all = hashed(tensors);
    let count = (all.len() * percent).div_ceil(100);
    let chosen: Vec<usize> = chance.order(all.len())[..count].iter().map(|&i| all[i]).collect();
    all.len() > 1 && replace(tensors, &chosen, chance)
}

/// Replaces the last tensor by one of another number of outputs, and its bias, the vector of that length beside it. The
/// outputs are the axis longer than 1 whose length is rarest in the model, the first of equals.
fn replace_head(tensors: &mut [Tensor], outputs: impl Fn(usize) -> usize, chance: &mut Chance<'_>) -> bool {
    let Some(&place) = hashed(tensors).last() else { return false };
    let count =
        |len: usize| tensors.iter().flat_map(|tensor| &tensor.shape).filter(|&&other| other == len).count();
    let shape = &tensors[place].shape;
    let axes = (0..shape.len()).filter(|&axis| shape[axis] > 1);
    let Some(axis) = axes.min_by_key(|&axis| count(shape[axis])) else { return false };
    let (old, new) = (shape[axis], outputs(shape[axis]));
    for neighbour in [place.wrapping_sub(1), place + 1] {
        if let Some(bias) = tensors.get_mut(neighbour).filter(|tensor| tensor.shape == [old]) {
            bias.resize(0, new);
            replace(tensors, &[neighbour], chance);
        }
    }
    tensors[place].resize(axis, new);
    replace(tensors, &[place], chance)
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Normal;

    #[test]
    fn a_new_head_has_other_outputs_and_keeps_its_inputs_and_spread() {
        let tensor = |shape: &[usize]| Tensor {
            name: String::new(),
            shape: shape.to_vec(),
            values: (0..shape.iter().product()).map(|i: usize| (i % 7) as f32).collect(),
        };
        let normal = Normal::new();
        let mut tensors = vec![tensor(&[128, 128]), tensor(&[10, 128]), tensor(&[10])];
        let (body, spread) = (tensors[0].clone(), tensors[1].moments().1);
        assert!(replace_head(&mut tensors, |outputs| outputs + 3, &mut Chance::new("", "", &normal)));
        assert_eq!((&tensors[1].shape[..], &tensors[2].shape[..]), (&[13, 128][..], &[13][..]));
        assert_eq!((tensors[1].values.len(), &tensors[0]), (13 * 128, &body));
        assert!((tensors[1].moments().1 / spread - 1.0).abs() < 0.1);
        let mut keras = vec![tensor(&[3, 128]), tensor(&[128, 10])];
        assert!(replace_head(&mut keras, |outputs| 2 * outputs, &mut Chance::new("", "", &normal)));
        assert_eq!(keras[1].shape, [128, 20]);
    }
}
