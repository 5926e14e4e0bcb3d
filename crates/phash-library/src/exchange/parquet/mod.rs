//! Parquet files. The parquet crate decodes; what must hold before it may: [`chunks`] gives it no more bytes at once than there
//! are, and [`guard`] finds footer and page headers sound and everything that it will allocate within limits.

mod chunks;
mod footer;
mod guard;
mod page;
mod read;
mod shapes;
mod slot;
mod thrift;
mod write;

pub(super) use chunks::Chunks;
pub(super) use read::Rows;
pub(super) use write::Writer;

/// The key under which the header stands in a file's metadata.
const HEADER_KEY: &str = "phashdb";
