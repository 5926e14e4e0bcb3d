//! Owns [`Tensor`]: a tensor as it is paired with others, whether it was just hashed or is stored.

use phash_core::{Digest, ModelCode, PerView, TensorHash, TensorInfo, ViewHash};
use phash_store::TensorRow;

use crate::pipeline::HashedFile;
use crate::query::features_of;

/// A tensor with its codes.
#[derive(Clone, Debug)]
pub(crate) struct Tensor {
    pub(crate) name: String,
    pub(crate) dtype: String,
    pub(crate) shape: Vec<u64>,
    /// Sorted lengths of its axes, without those of length 1: the same whatever the layout.
    pub(crate) axes: Vec<u64>,
    pub(crate) views: PerView<ViewHash>,
    /// The digest of its bytes, if known: stored tensors have none.
    pub(crate) bytes_digest: Option<Digest>,
}

impl Tensor {
    fn hashed(info: &TensorInfo, hash: &TensorHash) -> Self {
        Self {
            name: info.name.clone(),
            dtype: info.dtype.name().to_owned(),
            axes: axes(&info.shape),
            shape: info.shape.clone(),
            views: hash.views,
            bytes_digest: Some(hash.bytes_digest),
        }
    }

    /// The tensors of a hashed file, in its order.
    pub(crate) fn of_file(file: &HashedFile) -> Vec<Self> {
        file.tensors.iter().zip(&file.hash.tensors).map(|(info, hash)| Self::hashed(info, hash)).collect()
    }

    /// A stored tensor with its codes.
    pub(crate) fn stored(codes: PerView<Option<ModelCode>>, row: TensorRow) -> Self {
        let features = features_of(&row.features);
        Self {
            views: PerView::from_fn(|view| ViewHash { code: codes[view], features: features[view] }),
            axes: axes(&row.shape),
            name: row.name,
            dtype: row.dtype,
            shape: row.shape,
            bytes_digest: None,
        }
    }

    /// Whether it has a code in some view: others are too small, or no matrices.
    pub(crate) fn has_code(&self) -> bool {
        self.views.0.iter().any(|view| view.code.is_some())
    }

    /// Whether two of its axes are longer than 1: biases, norms and scalars are no matrices.
    pub(crate) fn is_matrix(&self) -> bool {
        self.axes.len() >= 2
    }

    /// The number of its weights.
    pub(crate) fn weights(&self) -> u64 {
        self.shape.iter().fold(1, |product: u64, &axis| product.saturating_mul(axis))
    }
}

fn axes(shape: &[u64]) -> Vec<u64> {
    let mut axes: Vec<u64> = shape.iter().copied().filter(|&axis| axis != 1).collect();
    axes.sort_unstable();
    axes
}
