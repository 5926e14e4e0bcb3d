//! Owns the list of formats. A format is one module that says which files are its own and turns one into a
//! [`WeightsFile`]; a new one is a new module and a line in [`FORMATS`].

mod safetensors;
mod sharded;

use std::path::Path;

use crate::positioned::PositionedFile;
use crate::{Error, FileStamp, WeightsFile};

pub(crate) use safetensors::table_of_bytes;
pub(crate) use sharded::{ShardIndex, ShardNames, is_index_name, shard_names};

/// Bytes from the start of a file that a format may look at to recognise it.
pub(crate) const HEAD_BYTES: usize = 512;

/// One file format.
trait Format: Sync {
    /// Whether the file is to be read as this format, by its name and its first bytes (at most [`HEAD_BYTES`]).
    fn claims(&self, path: &Path, head: &[u8]) -> bool;

    /// Reads the table of tensors.
    fn open(&self, file: PositionedFile) -> Result<WeightsFile, Error>;

    /// The stamp of all files of the model, without reading tables.
    fn stamp(&self, file: &PositionedFile) -> Result<FileStamp, Error>;
}

/// The formats, the most particular first: the first that claims a file gets it. Safetensors has no magic number and
/// takes what nobody else wants; what is not safetensors either it explains.
static FORMATS: [&dyn Format; 2] = [&sharded::Sharded, &safetensors::Safetensors];

pub(crate) fn open(file: PositionedFile) -> Result<WeightsFile, Error> {
    format_of(&file)?.open(file)
}

pub(crate) fn stamp(path: &Path) -> Result<FileStamp, Error> {
    let file = PositionedFile::open(path, path)?;
    format_of(&file)?.stamp(&file)
}

fn format_of(file: &PositionedFile) -> Result<&'static dyn Format, Error> {
    if file.stamp.len_bytes == 0 {
        return Err(Error::Empty { path: file.path.clone() });
    }
    let head = file.head(HEAD_BYTES)?;
    let format = FORMATS.iter().copied().find(|format| format.claims(&file.path, &head));
    Ok(format.unwrap_or(&safetensors::Safetensors))
}
