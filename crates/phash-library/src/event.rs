//! Owns [`Event`]: what a caller is told while a library is filled and indexed.

use phash_core::View;

use crate::error::Error;

/// What happens during an ingest, told in the order of the candidates.
#[derive(Debug)]
#[non_exhaustive]
pub enum Event<'a> {
    /// Candidates were looked at; this much is known to be done in all. Told again as more of them are looked at.
    Planned {
        /// Candidates so far, the unchanged ones among them.
        files: u64,
        /// Bytes in those of their files that are to be hashed.
        bytes: u64,
    },
    /// A model was stored, durably.
    Ingested {
        /// Its label: the path as it was given.
        label: &'a str,
        /// Its id.
        id: u32,
        /// The label's version, from 1.
        version: u32,
        /// Whether it has too few features to be sure of anything.
        weak: bool,
        /// Whether it was hashed from a sample of its bytes.
        sampled: bool,
    },
    /// The contents are stored already; the label was recorded as another source of them.
    Duplicate {
        /// The label.
        label: &'a str,
        /// The id of the stored model.
        id: u32,
        /// The label's version, from 1.
        version: u32,
    },
    /// The label is stored with these contents already.
    Unchanged {
        /// The label.
        label: &'a str,
        /// The id of the stored model.
        id: u32,
    },
    /// The file cannot be used.
    Skipped {
        /// The label.
        label: &'a str,
        /// Why; the message names the file.
        error: &'a Error,
    },
    /// Index segments are being built for a view.
    Indexing {
        /// The view.
        view: View,
        /// How many codes the new segment covers.
        codes: u32,
    },
}
