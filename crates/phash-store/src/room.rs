//! Owns [`is_lacking`]: whether a file beside the catalog cannot grow. SQLite tells of a failed write as of any I/O error, and
//! not that the disk was full, where a limit to the size of files or to what a user may store was met, or its shared memory
//! found no room. Asked only then.

use std::fs::File;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

/// As much as SQLite asks for at once (a piece of its shared memory, a page), and more.
const BYTES: usize = 1 << 16;

/// Whether a new file beside `catalog`, as long as the longest of SQLite's, finds no room for [`BYTES`] more. It is removed.
pub(crate) fn is_lacking(catalog: &Path) -> bool {
    let beside = |ending: &str| {
        let mut name = catalog.as_os_str().to_owned();
        name.push(ending);
        PathBuf::from(name)
    };
    let len = |ending| std::fs::metadata(beside(ending)).map_or(0, |meta| meta.len());
    let longest = ["", "-wal", "-shm"].map(len).into_iter().max().unwrap_or(0);
    let path = beside("-room");
    let grow = || -> io::Result<()> {
        let mut file = File::create(&path)?;
        file.write_all(&[0xa5; BYTES])?;
        file.set_len(longest.saturating_add(BYTES as u64))
    };
    let grown = grow();
    let _ = std::fs::remove_file(&path);
    grown.is_err_and(|error| crate::error::is_full(&error))
}
