//! What the opening thread hands to the workers: a [`Model`] that is open and planned, and [`Task`]s, runs of its tensors.

use std::ops::Range;
use std::sync::{Arc, Mutex};

use phash_core::{ModelHasher, Plan};
use phash_weights::WeightsFile;

/// A model being hashed.
pub(super) struct Model {
    pub(super) number: usize,
    pub(super) name: String,
    pub(super) file: WeightsFile,
    pub(super) plan: Plan,
    /// The sum so far; `None` once the model is finished or has failed.
    pub(super) progress: Mutex<Option<ModelHasher>>,
}

/// Tensors of one model, to be sketched by one worker.
pub(super) struct Task {
    pub(super) model: Arc<Model>,
    pub(super) tensors: Range<usize>,
}
