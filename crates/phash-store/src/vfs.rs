//! Owns the seam between the store and the operating system: every operation on code files, index segments and folders, and
//! the birth of the catalog under its name, go through [`Vfs`] and [`StoreFile`], so that tests can record, cut and fail each
//! one. What SQLite does to its own files is its own.

use std::fmt::Debug;
use std::fs::{self, File};
use std::io;
use std::path::Path;

use crate::mmap::Map;

/// One open file with positional reads and writes.
pub trait StoreFile: Debug + Send + Sync {
    /// The file's length in bytes.
    ///
    /// # Errors
    /// As the system gives them; so for all functions here.
    fn len_bytes(&self) -> io::Result<u64>;

    /// Reads up to `buf.len()` bytes; fewer are not an error, 0 means the end of the file.
    ///
    /// # Errors
    /// As the system gives them.
    fn read_at(&self, buf: &mut [u8], offset_bytes: u64) -> io::Result<usize>;

    /// Writes up to `buf.len()` bytes and says how many; the file grows as needed.
    ///
    /// # Errors
    /// As the system gives them.
    fn write_at(&self, buf: &[u8], offset_bytes: u64) -> io::Result<usize>;

    /// Cuts the file (or fills it with zeros) to a length.
    ///
    /// # Errors
    /// As the system gives them.
    fn set_len(&self, len_bytes: u64) -> io::Result<()>;

    /// Returns when everything written, and the length, are on the medium.
    ///
    /// # Errors
    /// As the system gives them. After one, what is on the medium is unknown and must not be synced again.
    fn sync(&self) -> io::Result<()>;

    /// Maps the first `len_bytes` bytes read-only, or `None` if this kind of file cannot be mapped.
    ///
    /// # Errors
    /// As the system gives them.
    fn map(&self, _len_bytes: u64) -> io::Result<Option<Map>> {
        Ok(None)
    }
}

/// The operations on names.
pub trait Vfs: Debug + Send + Sync {
    /// Creates a file for reading and writing; an existing one is emptied.
    ///
    /// # Errors
    /// As the system gives them; so for all functions here.
    fn create(&self, path: &Path) -> io::Result<Box<dyn StoreFile>>;

    /// Opens an existing file for reading.
    ///
    /// # Errors
    /// As the system gives them.
    fn open_read(&self, path: &Path) -> io::Result<Box<dyn StoreFile>>;

    /// Opens an existing file for reading and writing.
    ///
    /// # Errors
    /// As the system gives them.
    fn open_write(&self, path: &Path) -> io::Result<Box<dyn StoreFile>>;

    /// Renames a file, or a directory with all that is in it; an existing file is replaced at once.
    ///
    /// # Errors
    /// As the system gives them.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;

    /// Removes a file.
    ///
    /// # Errors
    /// As the system gives them.
    fn remove(&self, path: &Path) -> io::Result<()>;

    /// Removes a directory and all that is in it. What an error leaves of it is not known.
    ///
    /// # Errors
    /// As the system gives them.
    fn remove_tree(&self, dir: &Path) -> io::Result<()>;

    /// Creates a directory; the one above it is there.
    ///
    /// # Errors
    /// As the system gives them.
    fn create_dir(&self, dir: &Path) -> io::Result<()>;

    /// Returns when the names in the directory are on the medium.
    ///
    /// # Errors
    /// As the system gives them.
    fn sync_dir(&self, dir: &Path) -> io::Result<()>;

    /// The names of the files in a directory, sorted; none if there is no directory.
    ///
    /// # Errors
    /// As the system gives them.
    fn list(&self, dir: &Path) -> io::Result<Vec<String>>;
}

/// The operating system's files.
#[derive(Clone, Copy, Debug, Default)]
pub struct OsVfs;

impl Vfs for OsVfs {
    fn create(&self, path: &Path) -> io::Result<Box<dyn StoreFile>> {
        let file = File::options().read(true).write(true).create(true).truncate(true).open(path)?;
        Ok(Box::new(OsFile(file)))
    }

    fn open_read(&self, path: &Path) -> io::Result<Box<dyn StoreFile>> {
        Ok(Box::new(OsFile(File::open(path)?)))
    }

    fn open_write(&self, path: &Path) -> io::Result<Box<dyn StoreFile>> {
        Ok(Box::new(OsFile(File::options().read(true).write(true).open(path)?)))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        fs::remove_file(path)
    }

    fn remove_tree(&self, dir: &Path) -> io::Result<()> {
        fs::remove_dir_all(dir)
    }

    fn create_dir(&self, dir: &Path) -> io::Result<()> {
        fs::create_dir(dir)
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        // Windows cannot open a directory as a file and makes names durable with the file itself.
        if cfg!(windows) { Ok(()) } else { File::open(dir)?.sync_all() }
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<String>> {
        let entries = match fs::read_dir(dir) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            entries => entries?,
        };
        let mut names = Vec::new();
        for entry in entries {
            if let Ok(name) = entry?.file_name().into_string() {
                names.push(name);
            }
        }
        names.sort_unstable();
        Ok(names)
    }
}

/// A file of the operating system.
#[derive(Debug)]
struct OsFile(File);

impl StoreFile for OsFile {
    fn len_bytes(&self) -> io::Result<u64> {
        Ok(self.0.metadata()?.len())
    }

    #[cfg(unix)]
    fn read_at(&self, buf: &mut [u8], offset_bytes: u64) -> io::Result<usize> {
        std::os::unix::fs::FileExt::read_at(&self.0, buf, offset_bytes)
    }

    #[cfg(windows)]
    fn read_at(&self, buf: &mut [u8], offset_bytes: u64) -> io::Result<usize> {
        std::os::windows::fs::FileExt::seek_read(&self.0, buf, offset_bytes)
    }

    #[cfg(unix)]
    fn write_at(&self, buf: &[u8], offset_bytes: u64) -> io::Result<usize> {
        std::os::unix::fs::FileExt::write_at(&self.0, buf, offset_bytes)
    }

    #[cfg(windows)]
    fn write_at(&self, buf: &[u8], offset_bytes: u64) -> io::Result<usize> {
        std::os::windows::fs::FileExt::seek_write(&self.0, buf, offset_bytes)
    }

    fn set_len(&self, len_bytes: u64) -> io::Result<()> {
        self.0.set_len(len_bytes)
    }

    fn sync(&self) -> io::Result<()> {
        // fdatasync writes the length too when it is needed to find the data.
        self.0.sync_data()
    }

    fn map(&self, len_bytes: u64) -> io::Result<Option<Map>> {
        Map::new(&self.0, len_bytes).map(Some)
    }
}

/// Fills `buf` from `offset_bytes` on.
pub(crate) fn read_exact_at(
    file: &dyn StoreFile,
    mut buf: &mut [u8],
    mut offset_bytes: u64,
) -> io::Result<()> {
    while !buf.is_empty() {
        match file.read_at(buf, offset_bytes) {
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(n) => {
                buf = &mut buf[n..];
                offset_bytes += n as u64;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Writes all of `buf` from `offset_bytes` on.
pub(crate) fn write_all_at(file: &dyn StoreFile, mut buf: &[u8], mut offset_bytes: u64) -> io::Result<()> {
    while !buf.is_empty() {
        match file.write_at(buf, offset_bytes) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(n) => {
                buf = &buf[n..];
                offset_bytes += n as u64;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}
