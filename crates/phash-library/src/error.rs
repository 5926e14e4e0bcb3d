//! Owns [`Error`]: the errors of the crates below with the file they concern, and the few of its own.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use phash_core::View;

/// Why a library operation failed. Every message names the file or the id, and says what to do.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A weights file cannot be used.
    #[error(transparent)]
    Weights(#[from] phash_weights::Error),
    /// The database cannot be read or written.
    #[error(transparent)]
    Store(#[from] phash_store::Error),
    /// An index segment cannot be built or read.
    #[error("view {view}: {source}")]
    Index {
        /// The view whose segment it is.
        view: View,
        /// What is wrong.
        source: phash_index::Error,
    },
    /// The file of an index segment cannot be used. Answers are complete without it, only slower.
    #[error("index segment: {source}; searching goes on without it, and the next ingest builds it again")]
    SegmentFile {
        /// What is wrong with the file.
        source: Arc<phash_store::Error>,
    },
    /// A weights file without a single tensor: nothing to recognise.
    #[error("{}: holds no tensors; check that this is the weights file that was meant", path.display())]
    NoTensors {
        /// The file.
        path: PathBuf,
    },
    /// No tensor gives a code, and some of them because of NaN, infinite or overflowing values: a failed training run, or damage.
    #[error("{}: no tensor can be hashed, {tensors} of them because of NaN, infinite or overflowing values; the weights look damaged: write or fetch the file again", path.display())]
    NotFinite {
        /// The file.
        path: PathBuf,
        /// How many tensors hold such values.
        tensors: usize,
    },
    /// A stream (standard input) could not be kept in a temporary file.
    #[error("{name}: cannot be kept in a temporary file: {source}; free some space or set TMPDIR")]
    Spool {
        /// The stream's name.
        name: String,
        /// The system's answer.
        source: io::Error,
    },
    /// Hashing a tensor failed by a fault of this program.
    #[error("{}: tensor {tensor:?}: the hash failed by a fault of this program; please report it with the file", path.display())]
    Internal {
        /// The file.
        path: PathBuf,
        /// The tensor.
        tensor: String,
    },
    /// No stored model has this id.
    #[error("no model has id {id}; ids are 0 to {last} here (see list)", last = i64::from(*models) - 1)]
    NoSuchModel {
        /// The id asked for.
        id: u32,
        /// How many models there are.
        models: u32,
    },
    /// A radius beyond the width of a code.
    #[error("a radius of {got_bits} bits is wider than a code; give 0 to {limit_bits}")]
    RadiusTooLarge {
        /// The radius asked for, in bits.
        got_bits: u32,
        /// The width of a code, in bits.
        limit_bits: u32,
    },
    /// A model without a single feature in the views to be searched.
    #[error(
        "{name}: has no code in the view(s) searched: its tensors are integers, or too small or too few to be recognised"
    )]
    NoCode {
        /// The file, or the id.
        name: String,
    },
    /// The cancellation flag was raised.
    #[error("interrupted")]
    Cancelled,
}

/// The result of a library operation.
pub type Result<T, E = Error> = std::result::Result<T, E>;
