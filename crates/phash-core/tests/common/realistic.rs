//! Models of a size and shape that exist: pseudo-normal weights whose channels differ in scale, as trained ones do.

use phash_core::Dtype;

use super::generate::{normal, word};
use super::{Model, Tensor};

/// A tensor of F32 weights. `spread` is the standard deviation of the logarithm of the scales of the channels of the
/// first two axes: 0 for a fresh initialisation, about 0.3 in trained networks.
pub(crate) fn weights(name: &str, seed: u64, shape: &[usize], spread: f64) -> Tensor {
    let count: usize = shape.iter().product();
    let behind_first: usize = shape[1..].iter().product();
    let behind_second: usize = shape.iter().skip(2).product();
    let scales = |salt: u64, n: usize| -> Vec<f64> {
        (0..n as u64).map(|i| libm::exp(spread * normal(word(seed, salt), i))).collect()
    };
    let first = scales(1, shape[0]);
    let second = scales(2, behind_first / behind_second);
    #[expect(clippy::cast_possible_truncation, reason = "rounding to F32 is meant")]
    let values: Vec<f32> = (0..count)
        .map(|i| {
            let scale = first[i / behind_first] * second[i / behind_second % second.len()];
            (0.05 * scale * normal(word(seed, 3), i as u64)) as f32
        })
        .collect();
    Tensor::new(name, Dtype::F32, shape, Vec::new()).with_f32s(&values)
}

/// Embedding, transformer blocks, convolutions (a first layer on three colours, one depthwise), norms: 0.4 million
/// weights.
pub(crate) fn model(seed: u64, spread: f64) -> Model {
    let mut shapes: Vec<(String, Vec<usize>)> = vec![("embed".to_owned(), vec![1000, 128])];
    for block in 0..2 {
        for (name, shape) in [("q", [128, 128]), ("k", [128, 128]), ("up", [512, 128]), ("down", [128, 512])]
        {
            shapes.push((format!("{block}.{name}"), shape.to_vec()));
        }
        shapes.push((format!("{block}.norm"), vec![128]));
    }
    shapes.push(("stem".to_owned(), vec![64, 3, 7, 5]));
    shapes.push(("conv1".to_owned(), vec![64, 32, 3, 3]));
    shapes.push(("conv2".to_owned(), vec![128, 64, 3, 3]));
    shapes.push(("depthwise".to_owned(), vec![256, 1, 7]));
    let seed_of = |i: usize| word(seed, i as u64);
    let tensors =
        shapes.iter().enumerate().map(|(i, (name, shape))| weights(name, seed_of(i), shape, spread));
    Model::new(tensors.collect())
}
