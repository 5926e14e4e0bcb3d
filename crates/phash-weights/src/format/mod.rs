//! Owns the list of formats, and the opening of a file as one of them. A format is one module that says which files are
//! its own and turns one into a [`WeightsFile`]; a new one is a new module and a line in [`FORMATS`].

mod safetensors;
mod sharded;

use std::fs::File;
use std::path::Path;

use crate::positioned::PositionedFile;
use crate::{Error, FileStamp, WeightsFile};

pub(crate) use safetensors::{safetensors_stem, table_of_bytes};
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

impl WeightsFile {
    /// Opens the model at `path`: a safetensors file, or the `*.safetensors.index.json` of a sharded one.
    ///
    /// Reads headers and index only. Time and memory are proportional to them and bounded by [`crate::limits`], whatever
    /// the file claims about itself. A symbolic link is followed; of the shards of an index, as far as the crate's
    /// README says. A model without tensors is valid.
    ///
    /// # Errors
    /// [`Error::IsDirectory`] for a directory (see [`crate::discover`]), [`Error::NotFound`],
    /// [`Error::PermissionDenied`], [`Error::NotRegular`] or [`Error::Io`] if it cannot be read,
    /// [`Error::ForeignFormat`] or [`Error::GitLfsPointer`] if it is something else, and any other variant for what is
    /// wrong in it.
    pub fn open(path: &Path) -> Result<WeightsFile, Error> {
        let file = PositionedFile::open(path, path)?;
        format_of(&file)?.open(file)
    }

    /// Takes a file that is open already, e.g. standard input spooled to a temporary file. `display_path` is what
    /// messages call it; its ending chooses the format as in [`WeightsFile::open`].
    ///
    /// # Errors
    /// As [`WeightsFile::open`].
    pub fn from_file(file: File, display_path: &Path) -> Result<WeightsFile, Error> {
        let file = PositionedFile::new(file, display_path)?;
        format_of(&file)?.open(file)
    }
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
