//! Owns [`PositionedFile`]: an open regular file, read by position and never mapped, so that a file that shrinks under us
//! is an error and not a signal. Reads may run from several threads at once.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use crate::{Error, FileStamp};

/// An open regular file, the path to show for it, and its stamp when it was opened.
#[derive(Debug)]
pub(crate) struct PositionedFile {
    pub(crate) path: PathBuf,
    pub(crate) stamp: FileStamp,
    file: File,
}

impl PositionedFile {
    /// Opens `at`, to be called `path` in messages. Looks before it opens, since opening a pipe would wait for a writer.
    pub(crate) fn open(at: &Path, path: &Path) -> Result<PositionedFile, Error> {
        checked_stamp(at, path)?;
        let file = File::open(at).map_err(|source| Error::from_io(path, 0, source))?;
        PositionedFile::new(file, path)
    }

    pub(crate) fn new(file: File, path: &Path) -> Result<PositionedFile, Error> {
        let metadata = file.metadata().map_err(|source| Error::from_io(path, 0, source))?;
        let stamp = regular(&metadata, path)?;
        Ok(PositionedFile { path: path.to_path_buf(), stamp, file })
    }

    /// Fills `buf` from `offset_bytes` on.
    pub(crate) fn read_exact_at(&self, buf: &mut [u8], offset_bytes: u64) -> Result<(), Error> {
        read_exact_at(&self.file, buf, offset_bytes).map_err(|source| match source.kind() {
            io::ErrorKind::UnexpectedEof => {
                let expected_bytes = u64::try_from(buf.len()).unwrap_or(u64::MAX);
                Error::Shrunk { path: self.path.clone(), offset_bytes, expected_bytes }
            }
            _ => Error::from_io(&self.path, offset_bytes, source),
        })
    }

    /// The bytes `range`, which the caller has checked against the file's length and a limit.
    pub(crate) fn read_vec(&self, offset_bytes: u64, len: usize) -> Result<Vec<u8>, Error> {
        let mut bytes = vec![0; len];
        self.read_exact_at(&mut bytes, offset_bytes)?;
        Ok(bytes)
    }

    /// The first bytes, at most `len`, fewer if the file is shorter.
    pub(crate) fn head(&self, len: usize) -> Result<Vec<u8>, Error> {
        let len = usize::try_from(self.stamp.len_bytes).map_or(len, |file_len| file_len.min(len));
        self.read_vec(0, len)
    }

    /// Compares the stamp of the open file with the one it had.
    pub(crate) fn check_unchanged(&self) -> Result<(), Error> {
        let metadata = self.file.metadata().map_err(|source| Error::from_io(&self.path, 0, source))?;
        same_stamp(&self.path, self.stamp, FileStamp::of(&metadata))
    }
}

/// The stamp of the regular file at `at`, to be called `path` in messages.
pub(crate) fn checked_stamp(at: &Path, path: &Path) -> Result<FileStamp, Error> {
    let metadata = fs::metadata(at).map_err(|source| Error::from_io(path, 0, source))?;
    regular(&metadata, path)
}

/// Refuses a file whose stamp is no longer `expected`.
pub(crate) fn same_stamp(path: &Path, expected: FileStamp, got: FileStamp) -> Result<(), Error> {
    if expected == got {
        return Ok(());
    }
    Err(Error::Changed {
        path: path.to_path_buf(),
        expected_len_bytes: expected.len_bytes,
        got_len_bytes: got.len_bytes,
        expected_mtime_ns: expected.mtime_ns,
        got_mtime_ns: got.mtime_ns,
    })
}

fn regular(metadata: &fs::Metadata, path: &Path) -> Result<FileStamp, Error> {
    if metadata.is_dir() {
        return Err(Error::IsDirectory { path: path.to_path_buf() });
    }
    if !metadata.is_file() {
        return Err(Error::NotRegular { path: path.to_path_buf() });
    }
    Ok(FileStamp::of(metadata))
}

#[cfg(unix)]
fn read_exact_at(file: &File, buf: &mut [u8], offset_bytes: u64) -> io::Result<()> {
    std::os::unix::fs::FileExt::read_exact_at(file, buf, offset_bytes)
}

#[cfg(windows)]
fn read_exact_at(file: &File, mut buf: &mut [u8], mut offset_bytes: u64) -> io::Result<()> {
    // seek_read moves the file's cursor, which nothing here relies on.
    while !buf.is_empty() {
        match std::os::windows::fs::FileExt::seek_read(file, buf, offset_bytes) {
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(read) => {
                buf = &mut buf[read..];
                offset_bytes += read as u64;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

#[cfg(not(any(unix, windows)))]
fn read_exact_at(mut file: &File, buf: &mut [u8], offset_bytes: u64) -> io::Result<()> {
    use std::io::{Read as _, Seek as _, SeekFrom};
    // Without positional reads the cursor is shared: one reader at a time in the whole process.
    static CURSOR: std::sync::Mutex<()> = std::sync::Mutex::new(());
    let _cursor = CURSOR.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    file.seek(SeekFrom::Start(offset_bytes))?;
    file.read_exact(buf)
}
