//! Attacks that leave every weight as it is: names, order and the layout of axes and files.

use super::{Attack, Tensor};

/// Tensors of fewer elements are not worth a split.
const LARGE: usize = 1 << 16;

pub(super) fn attacks() -> Vec<Attack> {
    vec![
        Attack::new("renamed and shuffled (and so re-sharded)", |tensors, chance| {
            let order = chance.order(tensors.len());
            let mut shuffled: Vec<Tensor> = order.iter().map(|&place| tensors[place].clone()).collect();
            shuffled.iter_mut().enumerate().for_each(|(i, tensor)| tensor.name = format!("tensor-{i}"));
            *tensors = shuffled;
            true
        }),
        // Output x input x kernel becomes kernel x input x output, as between the layouts of two frameworks.
        Attack::each("transposed", |tensor, _| {
            let axes = tensor.shape.len();
            let order: Vec<usize> = (2..axes).chain((0..axes.min(2)).rev()).collect();
            tensor.permute_axes(&order);
        }),
        Attack::new("large tensors split in two along the first axis", |tensors, _| {
            let whole = std::mem::take(tensors);
            let before = whole.len();
            for tensor in whole {
                let len = tensor.shape.first().copied().unwrap_or(0);
                if !tensor.is_weights() || tensor.values.len() < LARGE || len < 2 {
                    tensors.push(tensor);
                    continue;
                }
                let (first, second) = ((0..len / 2).collect::<Vec<_>>(), (len / 2..len).collect::<Vec<_>>());
                for (part, indices) in [("0", first), ("1", second)] {
                    let mut half = tensor.clone();
                    half.choose(0, &indices);
                    half.name = format!("{}.{part}", tensor.name);
                    tensors.push(half);
                }
            }
            tensors.len() > before
        }),
    ]
}
