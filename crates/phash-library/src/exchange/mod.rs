//! Bringing models and raw codes from one database to another, or out of one and into another by way of a file
//! (docs/exchange-format.md).
//!
//! Reading: a format ([`jsonl`], `parquet`) gives rows of cells ([`columns`]), of which [`assemble`] makes records ([`record`]), which
//! [`intake`] puts into a database. Writing goes the other way: records, [`rows`], a format.

mod assemble;
mod columns;
mod export;
pub(crate) mod fuzzing;
mod header;
mod import;
mod intake;
mod jsonl;
mod known;
#[cfg(feature = "parquet")]
mod parquet;
mod record;
mod rows;

pub use export::{ExchangeFormat, Exported, export, export_file};
pub use import::{ExchangeInput, Imported, import};
pub(crate) use intake::Intake;
pub use intake::{TransferCounts, TransferEvent};
pub(crate) use known::duplicates;
pub(crate) use record::{StoredCodes, StoredModels};

/// What is said where a Parquet file is asked for.
#[cfg(not(feature = "parquet"))]
const NO_PARQUET: &str =
    "this build has no Parquet: build it with the feature parquet (the default), or use JSON lines";
