//! Owns [`Failure`]: what ends a command before its work is done.

use std::fmt;
use std::io;

/// Why a command gave up.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The library's error.
    Library(phash_library::Error),
    /// Standard output (or input) failed. A closed pipe is a reader that has seen enough.
    Io(io::Error),
    /// What the user asked for makes no sense.
    Usage(String),
}

impl Failure {
    pub(crate) fn is_broken_pipe(&self) -> bool {
        matches!(self, Failure::Io(error) if error.kind() == io::ErrorKind::BrokenPipe)
    }

    pub(crate) fn is_interrupt(&self) -> bool {
        matches!(self, Failure::Library(phash_library::Error::Cancelled))
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Failure::Library(error) => error.fmt(f),
            Failure::Io(error) => write!(f, "standard output: {error}"),
            Failure::Usage(text) => f.write_str(text),
        }
    }
}

impl From<phash_library::Error> for Failure {
    fn from(error: phash_library::Error) -> Self {
        Failure::Library(error)
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Failure::Io(error)
    }
}
