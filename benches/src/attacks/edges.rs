//! Attacks on each edge for itself: what a layer does to its outputs, the next layer of the file undoes at its inputs, and
//! two edges of one width know nothing of each other. Sequential networks whose tensors lie in the order of their layers,
//! outputs x inputs, keep their function; `function` has what residual ones allow.

use std::collections::BTreeMap;

use super::function::factors;
use super::{Attack, Chance, Tensor};

pub(super) fn attacks() -> Vec<Attack> {
    let on_each_edge = |name: &str, signs: bool, scales: bool| {
        Attack::new(name, move |tensors, chance| change_edges(tensors, chance, signs, scales))
    };
    vec![
        on_each_edge("channels permuted, on each edge", false, false),
        on_each_edge("channels permuted + signs flipped, on each edge", true, false),
        on_each_edge("channels permuted + signs flipped + rescaled, on each edge", true, true),
    ]
}

/// What happens to the channels of one edge.
struct Edge {
    order: Vec<usize>,
    /// What a new channel is the old one times.
    factors: Vec<f32>,
}

impl Edge {
    fn new(len: usize, signs: bool, scales: bool, chance: &mut Chance<'_>) -> Self {
        let order = chance.order(len);
        let mut of_channels = if scales { factors(len, chance) } else { vec![1.0; len] };
        if signs {
            of_channels.iter_mut().filter(|_| chance.is_heads()).for_each(|factor| *factor = -*factor);
        }
        Self { order, factors: of_channels }
    }

    fn apply(&self, tensor: &mut Tensor, axis: usize, is_input: bool) {
        tensor.choose(axis, &self.order);
        if is_input {
            let inverse: Vec<f32> = self.factors.iter().map(|factor| 1.0 / factor).collect();
            tensor.scale(axis, &inverse);
        } else {
            tensor.scale(axis, &self.factors);
        }
    }
}

/// Follows the file: a tensor of one channel axis (a bias, a depthwise kernel) belongs to the latest edge of its width;
/// one of several reads from the latest edges of its inner axes' widths, and its first axis makes a new edge. `false` if
/// no two layers are joined by an edge.
fn change_edges(tensors: &mut [Tensor], chance: &mut Chance<'_>, signs: bool, scales: bool) -> bool {
    let mut latest: BTreeMap<usize, Edge> = BTreeMap::new();
    let mut any_joined = false;
    for tensor in tensors {
        let axes = tensor.channel_axes();
        for (number, &axis) in axes.iter().enumerate().rev() {
            let len = tensor.shape[axis];
            let is_output = number == 0 && axes.len() > 1;
            any_joined |= !is_output && tensor.is_weights() && latest.contains_key(&len);
            if is_output || !latest.contains_key(&len) {
                latest.insert(len, Edge::new(len, signs, scales, chance));
            }
            latest[&len].apply(tensor, axis, number > 0);
        }
    }
    any_joined
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Normal;

    fn forward(tensors: &[Tensor], input: &[f32]) -> Vec<f32> {
        let layer = |weights: &Tensor, bias: &Tensor, x: &[f32]| -> Vec<f32> {
            let rows = weights.values.chunks(x.len()).zip(&bias.values);
            rows.map(|(row, bias)| bias + row.iter().zip(x).map(|(a, b)| a * b).sum::<f32>()).collect()
        };
        let hidden: Vec<f32> =
            layer(&tensors[1], &tensors[2], input).into_iter().map(|x| x.max(0.0)).collect();
        layer(&tensors[3], &tensors[4], &hidden)
    }

    #[test]
    fn a_sequential_network_of_one_width_keeps_its_function() {
        let normal = Normal::new();
        let mut chance = Chance::new("network", "", &normal);
        let mut tensor = |shape: &[usize]| Tensor {
            name: String::new(),
            shape: shape.to_vec(),
            values: (0..shape.iter().product()).map(|_| chance.normal()).collect(),
        };
        // The input stands first and the output last, so that they show what was done to both ends.
        let mut tensors =
            vec![tensor(&[20]), tensor(&[20, 20]), tensor(&[20]), tensor(&[20, 20]), tensor(&[20])];
        tensors[4].values = tensors[2].values.clone();
        let output = forward(&tensors, &tensors[0].values);
        tensors.push(Tensor { name: String::new(), shape: vec![20], values: output });
        let before = tensors.clone();
        assert!(change_edges(&mut tensors, &mut Chance::new("edges", "", &normal), false, true));
        let found = forward(&tensors, &tensors[0].values);
        for (x, y) in found.iter().zip(&tensors[5].values) {
            assert!((x - y).abs() < 1e-3 * (1.0 + y.abs()), "{x} {y}");
        }
        assert_ne!(tensors[2].values, tensors[4].values, "two edges of one width have their own orders");
        assert!((0..6).all(|place| before[place].values != tensors[place].values));
    }
}
