//! Owns [`Input`]: where a model's weights come from, and how they are opened. A stream is kept in an unnamed temporary
//! file first, since tensors are read by position.

use std::fmt;
use std::io::{self, Read};
use std::path::PathBuf;

use phash_core::TensorSource as _;
use phash_weights::WeightsFile;

use crate::error::{Error, Result};
use crate::walk::path_text;

/// Where a model's weights come from.
pub enum Input {
    /// A weights file.
    Path(PathBuf),
    /// Bytes that can be read once, such as standard input.
    Stream {
        /// What messages call it.
        name: String,
        /// The bytes.
        reader: Box<dyn Read + Send>,
    },
}

impl Input {
    /// What messages call the input: the path, or the stream's name.
    pub fn name(&self) -> String {
        match self {
            Input::Path(path) => path_text(path),
            Input::Stream { name, .. } => name.clone(),
        }
    }

    /// Length of the model's files in bytes, to measure progress by; 0 if that is not known.
    pub fn len_bytes(&self) -> u64 {
        match self {
            Input::Path(path) => phash_weights::stamp(path).map_or(0, |stamp| stamp.len_bytes),
            Input::Stream { .. } => 0,
        }
    }

    pub(super) fn open(self) -> Result<WeightsFile> {
        let (path, file) = match self {
            Input::Path(path) => {
                let file = WeightsFile::open(&path)?;
                (path, file)
            }
            Input::Stream { name, reader } => {
                let spooled = spool(reader).map_err(|source| Error::Spool { name: name.clone(), source })?;
                let path = PathBuf::from(name);
                let file = WeightsFile::from_file(spooled, &path)?;
                (path, file)
            }
        };
        if file.tensors().is_empty() {
            return Err(Error::NoTensors { path });
        }
        Ok(file)
    }
}

impl fmt::Debug for Input {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Input").field(&self.name()).finish()
    }
}

fn spool(mut reader: Box<dyn Read + Send>) -> io::Result<std::fs::File> {
    let mut file = tempfile::tempfile()?;
    io::copy(&mut reader, &mut file)?;
    Ok(file)
}
