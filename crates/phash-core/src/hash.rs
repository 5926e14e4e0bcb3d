//! Owns what hashing gives: [`ModelHash`], with a [`TensorHash`] for each tensor and a [`ViewHash`] for each view of both.

use std::collections::BTreeMap;

use crate::ModelCode;
use crate::digest::Digest;
use crate::skip::SkipReason;
use crate::view::PerView;

/// A code in one view and the number of features it was made of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ViewHash {
    /// The code; `None` (void) exactly if there are no features.
    pub code: Option<ModelCode>,
    /// How many independent features it stands for (docs/hashing.md, section 7).
    pub features: u32,
}

/// What one tensor gave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TensorHash {
    /// The tensor's own codes.
    pub views: PerView<ViewHash>,
    /// BLAKE3 of the tensor's bytes, or of those that were looked at ([`crate::Reading::Sample`]): equal digests are then
    /// equal samples.
    pub bytes_digest: Digest,
    /// Why the tensor takes no part in the codes, if it does not.
    pub skipped: Option<SkipReason>,
}

/// What a model gave.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ModelHash {
    /// The model's codes.
    pub views: PerView<ViewHash>,
    /// Each tensor's share, in the order of the source's tensors.
    pub tensors: Vec<TensorHash>,
    /// Exact identity of the tensors, whatever their names and order; of what was looked at, if that was a sample.
    pub content_digest: Digest,
    /// Whether a tensor was not read in full ([`crate::Reading::Sample`]): the digests then stand for samples, and equal
    /// those of samples alone.
    pub sampled: bool,
}

impl ModelHash {
    /// Whether the model has so few features (under [`crate::WEAK_FEATURES`], all views together) that distances to it prove
    /// little.
    pub fn is_weak(&self) -> bool {
        self.views.0.iter().fold(0, |sum, view| view.features.saturating_add(sum)) < crate::WEAK_FEATURES
    }

    /// How many tensors take part in the codes.
    pub fn tensors_used(&self) -> usize {
        self.tensors.iter().filter(|tensor| tensor.skipped.is_none()).count()
    }

    /// How many tensors do not, by reason.
    pub fn tensors_skipped(&self) -> BTreeMap<SkipReason, usize> {
        let mut counts = BTreeMap::new();
        for reason in self.tensors.iter().filter_map(|tensor| tensor.skipped) {
            *counts.entry(reason).or_insert(0) += 1;
        }
        counts
    }
}
