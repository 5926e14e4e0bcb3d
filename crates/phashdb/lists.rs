//! Lists read from a file or standard input entry by entry, however many there are: [`Lines`] of bytes, and [`PathList`] of
//! paths.

use std::cell::Cell;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read as _};
use std::path::{Path, PathBuf};
use std::rc::Rc;

use crate::failure::Failure;
use crate::inputs::is_stdin;

/// The longest entry that is read, in bytes: what is longer is no list of paths or labels.
const MAX_ENTRY_BYTES: u64 = 1 << 20;

/// The entries of a list that are not empty, in their order.
pub(crate) struct Lines {
    name: PathBuf,
    reader: Box<dyn BufRead>,
    null: bool,
}

impl Lines {
    /// Opens a list of lines, or of entries that each end with a NUL byte.
    pub(crate) fn open(list: &Path, null: bool) -> Result<Self, Failure> {
        let reader: Box<dyn BufRead> = if is_stdin(list) {
            Box::new(io::stdin().lock())
        } else {
            Box::new(BufReader::new(File::open(list).map_err(|error| unreadable(list, &error.to_string()))?))
        };
        Ok(Self { name: list.to_owned(), reader, null })
    }

    fn read(&mut self) -> Result<Option<Vec<u8>>, Failure> {
        let end = if self.null { 0 } else { b'\n' };
        loop {
            let mut line = Vec::new();
            let mut limited = self.reader.by_ref().take(MAX_ENTRY_BYTES);
            let read = limited.read_until(end, &mut line);
            if read.map_err(|error| unreadable(&self.name, &error.to_string()))? == 0 {
                return Ok(None);
            }
            if line.last() == Some(&end) {
                line.pop();
            } else if line.len() as u64 == MAX_ENTRY_BYTES {
                return Err(unreadable(&self.name, "an entry is longer than 1 MiB; is it a list?"));
            }
            if !self.null && line.last() == Some(&b'\r') {
                line.pop();
            }
            if !line.is_empty() {
                return Ok(Some(line));
            }
        }
    }
}

impl Iterator for Lines {
    type Item = Result<Vec<u8>, Failure>;

    fn next(&mut self) -> Option<Self::Item> {
        self.read().transpose()
    }
}

/// The labels in a list.
pub(crate) fn labels(list: &Path, null: bool) -> Result<Vec<String>, Failure> {
    let text = |line: Result<Vec<u8>, Failure>| {
        String::from_utf8(line?)
            .map_err(|_| unreadable(list, "labels are UTF-8; give them as list shows them"))
    };
    Lines::open(list, null)?.map(text).collect()
}

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
    lines: Lines,
    failure: ListFailure,
}

impl PathList {
    /// Opens a list of lines, or of paths that each end with a NUL byte.
    pub(crate) fn open(list: &Path, null: bool, failure: &ListFailure) -> Result<Self, Failure> {
        Ok(Self { lines: Lines::open(list, null)?, failure: failure.clone() })
    }
}

impl Iterator for PathList {
    type Item = PathBuf;

    fn next(&mut self) -> Option<PathBuf> {
        let path = self.lines.next()?.and_then(path_of);
        path.map_err(|failure| self.failure.0.set(Some(failure))).ok()
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
