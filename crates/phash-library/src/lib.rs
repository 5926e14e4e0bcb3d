//! A library of models: hash weights files, keep their codes, index them, and find copies. What the command line stands
//! on, and bindings and servers can.
//!
//! The way through: [`walk`] finds weights files, [`ingest`] hashes and stores them, [`Library::query`] searches;
//! [`hash_file`], [`compare`](fn@compare) and [`group`] need no database. Nothing here prints or exits; what happens on
//! the way is told to callbacks. Databases of raw codes, whatever hash made them, are filled by [`import_codes`] and searched
//! by [`CodeLibrary`].

/// The README's example compiles.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
pub struct Readme;

mod backup;
mod compact;
mod compare;
mod error;
mod event;
mod exchange;
mod explain;
mod groups;
mod ingest;
mod library;
mod merge;
mod migrate;
mod pipeline;
mod query;
mod raw;
mod remove;
mod salvage;
mod schema;
mod search;
mod segments;
mod tensors;
mod verdict;
mod verify;
mod walk;

pub use backup::backup;
pub use compact::{CompactEvent, Compacted, Compacting, compact};
pub use compare::{Comparison, compare};
pub use error::{Error, Result};
pub use event::Event;
pub use exchange::{
    ExchangeFormat, ExchangeInput, Exported, Imported, TransferCounts, TransferEvent, export, export_file,
    import,
};
pub use explain::ExplainedSearch;
pub use groups::{Fingerprint, Group, Grouping, Member, Neighbour, group};
pub use ingest::{IngestSummary, ingest};
pub use library::Library;
pub use merge::{Merged, merge};
pub use migrate::{MigrateEvent, Migration, migrate};
pub use pipeline::{HashedFile, Hashing, Input, SAMPLE_OVER_BYTES, hash_file, hash_files};
pub use query::{Hit, Mode, Query};
pub use raw::{
    AnyLibrary, CodeEntry, CodeFormat, CodeGroup, CodeInput, CodeLibrary, CodeMode, CodePlace, Columns,
    ImportEvent, ImportOptions, ImportSummary, Measured, RawCode, Width, import_codes, measure,
};
pub use remove::{Removal, RemovalKind, RemovalTargets, Removals, remove};
pub use salvage::{Salvage, SalvageEvent, salvage};
pub use schema::schema;
pub use segments::index;
pub use tensors::{
    Finding, KEPT_BITS, Matched, PartHit, Parts, PartsLimits, Place, Standing, Story, Tally, TensorPair,
    TensorPlaces,
};
pub use verdict::{Closeness, MATCH_E_VALUE, NEAR_COPY_E_VALUE, RELATED_E_VALUE, SAME_WEIGHTS_BITS, Verdict};
pub use verify::verify;
pub use walk::{Candidate, walk};

#[doc(hidden)]
pub mod fuzzing {
    //! Entry points that the fuzz targets and the tests share. Not part of the public interface: no promise of stability.
    pub use crate::exchange::fuzzing::*;
}

// The words of the crates below that appear in this crate's own signatures.
pub use phash_code::Error as CodeError;
pub use phash_core::{
    CODE_BITS, CODE_WORDS, Digest, ModelCode, ModelHash, PerView, SkipReason, TensorInfo, View, ViewHash,
    WEAK_FEATURES, parameters_fingerprint,
};
pub use phash_index::{BuildParams, Explanation, Layout, Match, Matches, Plan, SearchStats, SegmentPlan};
pub use phash_store::{
    Affected, BackupSummary, Contents, Damage, FileSize, Info, Kind, Loss, LossKind, ModelRow, OpenOptions,
    Reader, Source, VerifyReport,
};
