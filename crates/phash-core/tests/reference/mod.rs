//! A second implementation of docs/hashing.md, written from the text alone: plain loops over index tuples, slow, no
//! code shared with the crate. What must hold: it is changed only when the text is, never to agree with the crate.
#![allow(dead_code, reason = "each test file uses its part")]
#![allow(clippy::needless_range_loop, clippy::manual_clamp, reason = "the text's own words, index by index")]

mod arithmetic;
pub(crate) mod bridge;
mod decode;
mod digest;
mod evalue;
mod matrix;
mod project;
mod views;

#[allow(unused_imports, reason = "each test file uses its part")]
pub(crate) use evalue::{e_value, effective_bits, joint_p_value, p_value};

use matrix::Matrix;
use project::Sums;

/// A tensor: the element type's name as safetensors spells it, the shape, the bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Tensor<'a> {
    pub(crate) dtype: &'a str,
    pub(crate) shape: &'a [usize],
    pub(crate) bytes: &'a [u8],
}

/// A code (`None`: void) and the number of features in it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct ViewHash {
    pub(crate) code: Option<[u8; 64]>,
    pub(crate) features: u32,
}

/// What a tensor or a model gave in both views.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Views {
    pub(crate) energy: ViewHash,
    pub(crate) blocks: ViewHash,
}

/// What one tensor gave; `skipped` is the reason's wording in the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TensorHash {
    pub(crate) views: Views,
    pub(crate) bytes_digest: [u8; 32],
    pub(crate) skipped: Option<&'static str>,
}

/// What a model gave.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ModelHash {
    pub(crate) views: Views,
    pub(crate) tensors: Vec<TensorHash>,
    pub(crate) content_digest: [u8; 32],
    pub(crate) weak: bool,
}

/// The sums of one tensor, before signs are taken (section 7).
struct TensorSums {
    /// Length and sums of each axis that is cut into segments, whether or not it gave features.
    energy: Vec<(usize, Sums)>,
    blocks: Sums,
}

fn sketch(tensor: &Tensor) -> Result<TensorSums, &'static str> {
    let matrix = Matrix::cut(tensor)?;
    let mut sums = TensorSums { energy: Vec::new(), blocks: Sums::zero() };
    for (length, features) in views::energy(&matrix) {
        let mut axis = Sums::zero();
        axis.project(&features, 1, length, 0);
        axis.features = u32::try_from(features.len()).unwrap();
        sums.energy.push((length, axis));
    }
    for grid in views::blocks(&matrix) {
        sums.blocks.project(&grid.features, grid.statistic, grid.rows, grid.columns);
        sums.blocks.features += u32::try_from(grid.features.len()).unwrap();
        if matrix.rows == matrix.columns {
            sums.blocks.project(&grid.transposed(), grid.statistic, grid.rows, grid.columns);
        }
    }
    Ok(sums)
}

/// Hashes a model: sections 3 to 7.
pub(crate) fn hash_model(model: &[Tensor]) -> ModelHash {
    let mut tensors = Vec::new();
    let mut energy_axes: Vec<(usize, Sums)> = Vec::new();
    let mut blocks = Sums::zero();
    for (number, tensor) in model.iter().enumerate() {
        let sketch = sketch(tensor);
        let mut hash = TensorHash {
            views: Views::default(),
            bytes_digest: digest::bytes(tensor.bytes),
            skipped: sketch.as_ref().err().copied(),
        };
        if let Ok(sums) = sketch {
            let mut energy = Sums::zero();
            for (_, axis) in &sums.energy {
                energy.add(axis);
            }
            hash.views = Views { energy: energy.signs(), blocks: sums.blocks.signs() };
            if !model[..number].contains(tensor) {
                blocks.add(&sums.blocks);
                energy_axes.extend(sums.energy);
            }
        }
        tensors.push(hash);
    }
    let mut energy = Sums::zero();
    for (length, axis) in &energy_axes {
        if energy_axes.iter().filter(|(other, _)| other == length).count() >= 2 {
            energy.add(axis);
        }
    }
    let views = Views { energy: energy.signs(), blocks: blocks.signs() };
    let weak = views.energy.features < 1672 && views.blocks.features < 1672;
    ModelHash { views, tensors, content_digest: digest::content(model), weak }
}
