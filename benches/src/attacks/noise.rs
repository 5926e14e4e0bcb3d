//! Attacks that add to every weight: white noise, and an update of low rank, as fine-tuning with adapters leaves it.

use super::{Attack, Chance, Tensor};

pub(super) fn attacks() -> Vec<Attack> {
    let mut attacks: Vec<Attack> = [1u8, 5, 10, 20]
        .map(|percent| {
            Attack::each(format!("noise {percent} % of a tensor's sd"), move |tensor, chance| {
                add_noise(tensor, f64::from(percent) / 100.0, chance);
            })
        })
        .into();
    let apart = Attack::each("noise 1 %, copies of equal tensors apart", |tensor, chance| {
        add_noise(tensor, 0.01, chance);
    });
    attacks.push(Attack { on_copies: true, ..apart });
    attacks.extend([10u8, 30].map(|percent| {
        Attack::new(
            format!("adapter of rank 8 merged, {percent} % of a tensor's sd"),
            move |tensors, chance| {
                let mut any = false;
                for tensor in tensors.iter_mut().filter(|tensor| is_adaptable(tensor)) {
                    add_low_rank(tensor, f64::from(percent) / 100.0, chance);
                    any = true;
                }
                any
            },
        )
    }));
    attacks
}

pub(super) fn add_noise(tensor: &mut Tensor, share: f64, chance: &mut Chance<'_>) {
    let size = (tensor.moments().1 * share) as f32;
    tensor.values.iter_mut().for_each(|value| *value += size * chance.normal());
}

const RANK: usize = 8;

/// Matrices of at least 64 x 64: what adapters are trained for.
fn is_adaptable(tensor: &Tensor) -> bool {
    let long: Vec<usize> = tensor.shape.iter().copied().filter(|&len| len > 1).collect();
    matches!(long[..], [rows, columns] if rows.min(columns) >= 64)
}

/// Adds a product of two normal matrices, of `share` times the tensor's standard deviation in all.
fn add_low_rank(tensor: &mut Tensor, share: f64, chance: &mut Chance<'_>) {
    let columns = tensor.shape.iter().rev().copied().find(|&len| len > 1).unwrap_or(1);
    let rows = tensor.values.len() / columns;
    let size = (tensor.moments().1 * share / (RANK as f64).sqrt()) as f32;
    let left: Vec<f32> = (0..rows * RANK).map(|_| chance.normal() * size).collect();
    let right: Vec<f32> = (0..columns * RANK).map(|_| chance.normal()).collect();
    for (row, left) in tensor.values.chunks_mut(columns).zip(left.chunks(RANK)) {
        for (value, right) in row.iter_mut().zip(right.chunks(RANK)) {
            *value += left.iter().zip(right).map(|(a, b)| a * b).sum::<f32>();
        }
    }
}
