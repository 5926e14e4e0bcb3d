//! Owns where codes come from: the generator, files of another maker, or a file of real codes.

use std::io;
use std::path::{Path, PathBuf};

use super::files::{self, Filed};
use super::{Kind, real};

/// A source of codes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// Generated, and kept in files.
    Generated(Kind),
    /// `KIND_BITS_N.codes` and `.queries` in this directory.
    Files(PathBuf, Kind),
    /// The codes of this file.
    Real(PathBuf),
}

impl Source {
    /// The kind's name, or `real`.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Generated(kind) | Self::Files(_, kind) => kind.name(),
            Self::Real(_) => "real",
        }
    }

    /// The codes, `n` of them unless they are real; files that have to be made go to `cache`.
    ///
    /// # Errors
    /// As the system gives them, or if the files hold no such codes.
    pub fn load<const W: usize>(&self, cache: &Path, n: u32) -> io::Result<Filed<W>> {
        match self {
            Self::Generated(kind) => files::generated(cache, *kind, n),
            Self::Files(dir, kind) => files::foreign(dir, cache, *kind, n),
            Self::Real(path) => {
                let data = real::read::<W>(path)?;
                files::write(cache, &format!("real_{}", 64 * W), data)
            }
        }
    }
}
