//! Owns all files of a database, all mapping and all syncing: the append-only code files and the SQLite catalog
//! beside them. Knows codes as bytes of a fixed width, and nothing of how they are made or searched.
//!
//! A database is a directory. It holds models with codes in several views, or raw codes with labels ([`Contents`]). One [`Writer`] at a time puts models into it and publishes them with
//! [`Writer::commit`]; any number of [`Reader`]s, in this process and others, each see it as of one commit.
//! The bytes on disk, the rules of recovery and what is assumed of the medium: `docs/file-format.md`.
//!
//! ```
//! use phash_code::Codes;
//! use phash_store::{Contents, NewModel, NewSource, OpenOptions, Outcome, Reader, Schema, Stamp, ViewCode, ViewSpec, Writer};
//!
//! # let temporary = tempfile::tempdir()?;
//! # let dir = &temporary.path().join("library.phash");
//! let schema = Schema {
//!     contents: Contents::Models,
//!     parameters: [1; 32],
//!     views: vec![ViewSpec { name: "energy".to_owned(), words: 4 }],
//! };
//! let mut writer = Writer::open_or_create(dir, &schema)?;
//! let outcome = writer.put(&NewModel {
//!     source: NewSource {
//!         label: "models/a.safetensors",
//!         path: "models/a.safetensors",
//!         stamp: Stamp { len_bytes: 1000, mtime_ns: 0 },
//!         file_digest: [2; 32],
//!     },
//!     format: "safetensors",
//!     content_digest: [3; 32],
//!     views: &[ViewCode { bytes: Some(&[0xa5; 32]), features: 900 }],
//!     weak: false,
//!     tensors_used: 3,
//!     tensors_skipped: &[("integer", 1)],
//!     tensors: &[],
//! })?;
//! assert_eq!(outcome, Outcome::Ingested { id: 0, version: 1 });
//! writer.commit()?;
//!
//! let reader = Reader::open(dir, OpenOptions::default())?;
//! let codes = reader.codes::<4>("energy")?;
//! assert_eq!(codes.len(), 1);
//! assert_eq!(codes.get(0).map(|code| code.as_bytes().to_vec()), Some(vec![0xa5; 32]));
//! assert_eq!(reader.label(0)?.as_deref(), Some("models/a.safetensors"));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod backup;
mod bytes;
mod catalog;
mod clock;
mod codes_crc;
mod dir;
mod error;
mod files;
#[doc(hidden)]
pub mod fuzzing;
mod lock;
mod mmap;
mod model_record;
mod published;
mod reader;
mod records;
mod room;
mod salvage;
mod schema;
mod segment;
mod staging;
mod verify;
mod version;
mod vfs;
mod writer;

pub use backup::BackupSummary;
pub use dir::Store;
pub use error::{Error, Result};
pub use files::labels::Labels;
pub use files::view::CodeView;
pub use mmap::Map;
pub use model_record::{ModelRecord, SourceRecord, TensorRecord, ViewRecord};
pub use reader::{CheckedCodes, Models, OpenOptions, Reader, StoredSegment};
pub use records::{
    FileSize, Info, ModelRow, NewModel, NewSource, NewTensor, Outcome, Pending, Removed, Source, Stamp,
    TensorRow, ViewCode,
};
pub use salvage::{Loss, LossKind, SalvageEvent, Salvaged, salvage, salvage_on};
pub use schema::{Contents, Kind, MAX_VIEW_NAME_BYTES, MAX_VIEWS, Schema, ViewSpec};
pub use segment::SegmentBytes;
pub use staging::Staging;
pub use verify::{Affected, Damage, MAX_LABELS, VerifyReport, verify};
pub use version::FORMAT_VERSION;
pub use vfs::{OsVfs, StoreFile, Vfs};
pub use writer::{Compaction, CopyProgress, MigrateProgress, TakenOver, Writer};
