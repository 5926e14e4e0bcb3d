//! Owns [`Failure`]: what ends a command before its work is done.

use std::error::Error;
use std::fmt;
use std::io;

/// Why a command gave up.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The library's error.
    Library(phash_library::Error),
    /// Standard output failed. A closed pipe is a reader that has seen enough.
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
            Failure::Library(error) => write!(f, "{error}{}", remedy(error)),
            Failure::Io(error) => write!(f, "standard output: {error}"),
            Failure::Usage(text) => f.write_str(text),
        }
    }
}

/// What to do where the operating system has refused something about a database, as far as its answer tells.
fn remedy(error: &phash_library::Error) -> &'static str {
    // Other errors say themselves what to do.
    let phash_library::Error::Store(_) = error else { return "" };
    let mut cause: Option<&(dyn Error + 'static)> = Some(error);
    while let Some(error) = cause {
        if let Some(error) = error.downcast_ref::<io::Error>() {
            return match error.kind() {
                io::ErrorKind::PermissionDenied => "; check who may read and write there",
                io::ErrorKind::ReadOnlyFilesystem => "; name a place that can be written",
                io::ErrorKind::NotADirectory => "; a database is a directory: name another one (--db)",
                io::ErrorKind::NotFound => "; check the path",
                _ => "",
            };
        }
        cause = error.source();
    }
    ""
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
