//! Owns all files of a database, all mapping, all syncing: the append-only code files and the SQLite catalog beside
//! them. Knows codes as bytes of a fixed width and nothing of how they are made or searched.

mod error;
mod options;
mod reader;
mod records;
mod schema;
mod writer;

pub use error::{Error, Result};
pub use options::OpenOptions;
pub use reader::{CodeView, Damage, Models, Reader, SegmentBytes, VerifyReport};
pub use records::{Info, ModelRow, NewModel, NewSource, NewTensor, Outcome, Pending, Source, Stamp, TensorRow, ViewCode};
pub use schema::{Kind, MAX_VIEW_NAME_BYTES, MAX_VIEWS, Schema, ViewSpec};
pub use writer::{Store, Writer};
