//! Owns [`Error`]: the errors of the crates below with the file they concern, and the few of its own.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use crate::raw::CodePlace;

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
        /// The view whose segment it is; `raw` for raw codes.
        view: String,
        /// What is wrong.
        source: phash_index::Error,
    },
    /// The file of an index segment cannot be used. Answers are complete without it, only slower.
    #[error("index segment: {source}; the next ingest or import builds it again")]
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
    /// A file of raw codes, or an export, holds something else.
    #[error("{name}{place}: expected {expected}, got {got}")]
    CodeInput {
        /// The file.
        name: String,
        /// Where in it.
        place: CodePlace,
        /// What should be there.
        expected: String,
        /// What is there.
        got: String,
    },
    /// A file of raw codes, or an export, cannot be read.
    #[error(
        "{name}: cannot be read: {source}; check the path, and that it is a file that this user may read"
    )]
    CodeFile {
        /// The file.
        name: String,
        /// The system's answer.
        source: io::Error,
    },
    /// Two codes of one label: the same file twice, or labels that are no names.
    #[error(
        "{name}{place}: the label {label:?} is there already; was the file imported before? Else let several codes have one label"
    )]
    LabelTwice {
        /// The file.
        name: String,
        /// Where in it.
        place: CodePlace,
        /// The label.
        label: String,
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
    /// No stored code has this id, or it was removed.
    #[error("no code has id {id}; {}", known_ids(*id, *codes))]
    NoSuchCode {
        /// The id asked for.
        id: u32,
        /// The end of the ids that were given.
        codes: u32,
    },
    /// No stored model has this id, or it was removed.
    #[error("no model has id {id}; {}", known_ids(*id, *models))]
    NoSuchModel {
        /// The id asked for.
        id: u32,
        /// The end of the ids that were given.
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
        "{name}: has no code in the view(s) searched: its tensors are integers, or too small or too few to be recognised; `phashdb hash` tells which views have one"
    )]
    NoCode {
        /// The file, or the id.
        name: String,
    },
    /// An export cannot be written.
    #[error(
        "{name}: cannot be written: {source}; check its directory and the free space, or name another file"
    )]
    ExportFile {
        /// The file.
        name: String,
        /// The system's answer.
        source: io::Error,
    },
    /// Databases that cannot be joined.
    #[error("{}: cannot be merged with {}: {differs}", path.display(), other.display())]
    NotMergeable {
        /// The database.
        path: PathBuf,
        /// The one that it should be joined with.
        other: PathBuf,
        /// Why, and what can be merged.
        differs: String,
    },
    /// The cancellation flag was raised.
    #[error("interrupted")]
    Cancelled,
}

/// The result of a library operation.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why there is nothing of an id.
fn known_ids(id: u32, end: u32) -> String {
    match end.checked_sub(1) {
        None => "there is none at all".to_owned(),
        Some(_) if id < end => "it was removed".to_owned(),
        Some(last) => format!("ids are 0 to {last} here (see list)"),
    }
}
