//! Owns [`PathList`]: paths read from a file or standard input one by one, however many there are.

use std::cell::Cell;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read as _};
use std::path::{Path, PathBuf};
use std::rc::Rc;

use crate::failure::Failure;
use crate::inputs::is_stdin;

/// The longest path that is read, in bytes: what is longer is no list of paths.
const MAX_PATH_BYTES: u64 = 1 << 20;

/// Why a list ended early: an iterator cannot say so itself.
#[derive(Clone, Default)]
pub(crate) struct ListFailure(Rc<Cell<Option<Failure>>>);

impl ListFailure {
    /// The failure, if there was one.
    pub(crate) fn check(&self) -> Result<(), Failure> {
        self.0.take().map_or(Ok(()), Err)
    }
}

/// The paths in a list, in their order. Ends at a failure and leaves it where it was told to.
pub(crate) struct PathList {
    name: PathBuf,
    reader: Box<dyn BufRead>,
    null: bool,
    failure: ListFailure,
}

impl PathList {
    /// Opens a list of lines, or of paths that each end with a NUL byte.
    pub(crate) fn open(list: &Path, null: bool, failure: &ListFailure) -> Result<Self, Failure> {
        let reader: Box<dyn BufRead> = if is_stdin(list) {
            Box::new(io::stdin().lock())
        } else {
            Box::new(BufReader::new(File::open(list).map_err(|error| unreadable(list, &error.to_string()))?))
        };
        Ok(Self { name: list.to_owned(), reader, null, failure: failure.clone() })
    }

    fn read(&mut self) -> Result<Option<PathBuf>, Failure> {
        let end = if self.null { 0 } else { b'\n' };
        loop {
            let mut line = Vec::new();
            let mut limited = self.reader.by_ref().take(MAX_PATH_BYTES);
            let read = limited.read_until(end, &mut line);
            if read.map_err(|error| unreadable(&self.name, &error.to_string()))? == 0 {
                return Ok(None);
            }
            if line.last() == Some(&end) {
                line.pop();
            } else if line.len() as u64 == MAX_PATH_BYTES {
                return Err(unreadable(&self.name, "a path is longer than 1 MiB; is it a list of paths?"));
            }
            if !self.null && line.last() == Some(&b'\r') {
                line.pop();
            }
            if !line.is_empty() {
                return path_of(line).map(Some);
            }
        }
    }
}

impl Iterator for PathList {
    type Item = PathBuf;

    fn next(&mut self) -> Option<PathBuf> {
        self.read().unwrap_or_else(|failure| {
            self.failure.0.set(Some(failure));
            None
        })
    }
}

fn unreadable(list: &Path, why: &str) -> Failure {
    Failure::Usage(format!("{}: cannot be read: {why}", list.display()))
}

#[cfg(unix)]
#[expect(clippy::unnecessary_wraps, reason = "fallible elsewhere")]
fn path_of(bytes: Vec<u8>) -> Result<PathBuf, Failure> {
    use std::os::unix::ffi::OsStringExt as _;
    Ok(PathBuf::from(std::ffi::OsString::from_vec(bytes)))
}

#[cfg(not(unix))]
fn path_of(bytes: Vec<u8>) -> Result<PathBuf, Failure> {
    String::from_utf8(bytes)
        .map(PathBuf::from)
        .map_err(|_| Failure::Usage("--files-from: a path is not valid UTF-8".to_owned()))
}
