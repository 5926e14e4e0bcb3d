//! Attacks that a network can be made not to notice: what one layer does to its channels, the next one undoes.
//!
//! *Consistent* attacks use one permutation, factor or rotation for each axis length, on all axes of that length: layers
//! that are connected share a length, so that sequential and residual networks (without concatenation or groups) keep
//! their function, as far as the activation allows it. Nothing is known of the graph.

use std::collections::BTreeMap;

use super::axes::{CHANNELS, lengths};
use super::{Attack, Chance, Tensor};

pub(super) fn attacks() -> Vec<Attack> {
    vec![
        Attack::each("outputs rescaled by .25 to 4 (as batch-norm folding does)", |tensor, chance| {
            let axis = tensor.channel_axis();
            let factors = factors(tensor.shape[axis], chance);
            tensor.scale(axis, &factors);
        }),
        Attack::new("channels rescaled by .25 to 4, consistently", |tensors, chance| {
            rescale(tensors, chance);
            true
        }),
        Attack::each("signs of channels flipped", |tensor, chance| {
            for axis in tensor.channel_axes() {
                let signs = signs(tensor.shape[axis], chance);
                tensor.scale(axis, &signs);
            }
        }),
        Attack::new("signs of channels flipped, consistently", |tensors, chance| {
            flip(tensors, chance);
            true
        }),
        Attack::each("channels permuted, each axis for itself", |tensor, chance| {
            for axis in tensor.channel_axes() {
                let order = chance.order(tensor.shape[axis]);
                tensor.choose(axis, &order);
            }
        }),
        Attack::new("channels permuted, consistently", |tensors, chance| {
            permute(tensors, chance);
            true
        }),
        Attack::new("hidden basis rotated, consistently", |tensors, chance| rotate_hidden(tensors, chance)),
    ]
}

/// Factors uniform in the logarithm.
pub(super) fn factors(len: usize, chance: &mut Chance<'_>) -> Vec<f32> {
    (0..len).map(|_| 4f64.powf(2.0 * chance.uniform() - 1.0) as f32).collect()
}

fn signs(len: usize, chance: &mut Chance<'_>) -> Vec<f32> {
    (0..len).map(|_| if chance.is_heads() { -1.0 } else { 1.0 }).collect()
}

/// One value for each axis length that holds channels, vectors included.
fn by_length<T>(tensors: &[Tensor], mut make: impl FnMut(usize) -> T) -> BTreeMap<usize, T> {
    let mut made = BTreeMap::new();
    for &len in tensors.iter().flat_map(|tensor| &tensor.shape).filter(|&&len| len >= CHANNELS) {
        made.entry(len).or_insert_with(|| make(len));
    }
    made
}

/// Multiplies the first channel axis of each tensor by its length's factors and divides the others by theirs. One of the
/// two is the outputs, whatever the layout.
pub(super) fn rescale(tensors: &mut [Tensor], chance: &mut Chance<'_>) {
    let factors = by_length(tensors, |len| factors(len, chance));
    for tensor in tensors {
        for (number, axis) in tensor.channel_axes().into_iter().enumerate() {
            let of_axis = &factors[&tensor.shape[axis]];
            if number == 0 {
                tensor.scale(axis, of_axis);
            } else {
                let inverse: Vec<f32> = of_axis.iter().map(|factor| 1.0 / factor).collect();
                tensor.scale(axis, &inverse);
            }
        }
    }
}

/// One permutation for each axis length, vectors included.
pub(super) fn permute(tensors: &mut [Tensor], chance: &mut Chance<'_>) {
    let orders = by_length(tensors, |len| chance.order(len));
    for tensor in tensors {
        for axis in tensor.channel_axes() {
            let order = &orders[&tensor.shape[axis]];
            tensor.choose(axis, order);
        }
    }
}

/// One sign for each channel of each axis length, vectors included: what a layer flips, the next one flips back.
pub(super) fn flip(tensors: &mut [Tensor], chance: &mut Chance<'_>) {
    let signs = by_length(tensors, |len| signs(len, chance));
    for tensor in tensors {
        for axis in tensor.channel_axes() {
            tensor.scale(axis, &signs[&tensor.shape[axis]]);
        }
    }
}

/// Rotates all axes of the commonest length, if at least 8 axes of 64 channels or more have it and all of them are
/// matrices' (as in transformers): an orthogonal matrix made of 12 rounds of plane rotations of random pairs.
fn rotate_hidden(tensors: &mut [Tensor], chance: &mut Chance<'_>) -> bool {
    const ROUNDS: usize = 12;
    let matrices: Vec<Tensor> = tensors
        .iter()
        .filter(|tensor| tensor.shape.iter().filter(|&&len| len > 1).count() == 2)
        .cloned()
        .collect();
    let commonest =
        lengths(&matrices).into_iter().filter(|&(len, _)| len >= 64).max_by_key(|&(_, count)| count);
    let Some((len, 8..)) = commonest else { return false };
    if lengths(tensors)[&len] != lengths(&matrices)[&len] {
        return false;
    }
    let rounds: Vec<Vec<(usize, usize, f32, f32)>> = (0..ROUNDS)
        .map(|_| {
            let order = chance.order(len);
            let planes = order.as_chunks::<2>().0.iter();
            planes
                .map(|&[a, b]| {
                    let (sin, cos) = (std::f64::consts::TAU * chance.uniform()).sin_cos();
                    (a, b, sin as f32, cos as f32)
                })
                .collect()
        })
        .collect();
    for tensor in tensors.iter_mut().filter(|tensor| tensor.is_weights()) {
        for axis in tensor.channel_axes() {
            if tensor.shape[axis] == len {
                rounds.iter().for_each(|planes| tensor.rotate(axis, planes));
            }
        }
    }
    true
}

impl Tensor {
    fn rotate(&mut self, axis: usize, planes: &[(usize, usize, f32, f32)]) {
        let stride: usize = self.shape[axis + 1..].iter().product();
        for block in self.values.chunks_mut(stride * self.shape[axis]) {
            for &(a, b, sin, cos) in planes {
                for place in 0..stride {
                    let (x, y) = (block[a * stride + place], block[b * stride + place]);
                    block[a * stride + place] = cos * x - sin * y;
                    block[b * stride + place] = sin * x + cos * y;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Normal;

    /// Two linear layers, 20 -> 24 -> 20, and the first one's bias.
    fn network() -> Vec<Tensor> {
        let (normal, tensor) = (Normal::new(), |shape: &[usize], chance: &mut Chance<'_>| Tensor {
            name: String::new(),
            shape: shape.to_vec(),
            values: (0..shape.iter().product()).map(|_| chance.normal()).collect(),
        });
        let mut chance = Chance::new("network", "", &normal);
        vec![tensor(&[24, 20], &mut chance), tensor(&[24], &mut chance), tensor(&[20, 24], &mut chance)]
    }

    fn forward(network: &[Tensor], input: &[f32]) -> Vec<f32> {
        let apply = |tensor: &Tensor, x: &[f32]| -> Vec<f32> {
            tensor.values.chunks(x.len()).map(|row| row.iter().zip(x).map(|(a, b)| a * b).sum()).collect()
        };
        let mut hidden = apply(&network[0], input);
        hidden.iter_mut().zip(&network[1].values).for_each(|(x, bias)| *x = (*x + bias).max(0.0));
        apply(&network[2], &hidden)
    }

    #[test]
    fn a_relu_network_keeps_its_function_when_channels_are_permuted_and_rescaled_consistently() {
        let normal = Normal::new();
        let (before, mut after) = (network(), network());
        let input: Vec<f32> = (0..20u8).map(|i| f32::from(i % 5) - 2.0).collect();
        // What is done to the ends of the network (length 20) is known from vectors of that length.
        let vector = |values: Vec<f32>| Tensor { name: String::new(), shape: vec![20], values };
        after.extend([vector(input.clone()), vector(vec![1.0; 20]), vector(forward(&before, &input))]);
        permute(&mut after, &mut Chance::new("permute", "", &normal));
        let expected = after[5].values.clone();
        rescale(&mut after, &mut Chance::new("rescale", "", &normal));
        let output = forward(&after, &after[3].values);
        assert_ne!(after[4].values, [1.0; 20]);
        for ((x, y), s) in output.iter().zip(&expected).zip(&after[4].values) {
            assert!((x - y * s).abs() < 1e-3 * (1.0 + y.abs()), "{x} {y} {s}");
        }
    }
}
