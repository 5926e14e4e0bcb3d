//! Owns [`Memory`]: files in memory behind the seam to the file system; enough of it for code files that are there.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::vfs::{StoreFile, Vfs};

/// A file system with files and nothing else.
#[derive(Debug, Default)]
pub(super) struct Memory(BTreeMap<PathBuf, File>);

#[derive(Clone, Debug)]
struct File(Arc<Mutex<Vec<u8>>>);

impl Memory {
    pub(super) fn put(&mut self, path: PathBuf, bytes: &[u8]) {
        self.0.insert(path, File(Arc::new(Mutex::new(bytes.to_vec()))));
    }

    fn open(&self, path: &Path) -> io::Result<Box<dyn StoreFile>> {
        match self.0.get(path) {
            Some(file) => Ok(Box::new(file.clone())),
            None => Err(io::ErrorKind::NotFound.into()),
        }
    }
}

fn unsupported<T>() -> io::Result<T> {
    Err(io::ErrorKind::Unsupported.into())
}

impl Vfs for Memory {
    fn create(&self, _: &Path) -> io::Result<Box<dyn StoreFile>> {
        unsupported()
    }

    fn open_read(&self, path: &Path) -> io::Result<Box<dyn StoreFile>> {
        self.open(path)
    }

    fn open_write(&self, path: &Path) -> io::Result<Box<dyn StoreFile>> {
        self.open(path)
    }

    fn rename(&self, _: &Path, _: &Path) -> io::Result<()> {
        unsupported()
    }

    fn remove(&self, _: &Path) -> io::Result<()> {
        unsupported()
    }

    fn remove_tree(&self, _: &Path) -> io::Result<()> {
        unsupported()
    }

    fn create_dir(&self, _: &Path) -> io::Result<()> {
        unsupported()
    }

    fn sync_dir(&self, _: &Path) -> io::Result<()> {
        unsupported()
    }

    fn list(&self, _: &Path) -> io::Result<Vec<String>> {
        unsupported()
    }
}

impl File {
    fn bytes(&self) -> MutexGuard<'_, Vec<u8>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl StoreFile for File {
    fn len_bytes(&self) -> io::Result<u64> {
        Ok(self.bytes().len() as u64)
    }

    fn read_at(&self, buf: &mut [u8], offset_bytes: u64) -> io::Result<usize> {
        let bytes = self.bytes();
        let rest = usize::try_from(offset_bytes).ok().and_then(|at| bytes.get(at..)).unwrap_or(&[]);
        let len = rest.len().min(buf.len());
        buf[..len].copy_from_slice(&rest[..len]);
        Ok(len)
    }

    fn write_at(&self, buf: &[u8], offset_bytes: u64) -> io::Result<usize> {
        let mut bytes = self.bytes();
        let at = usize::try_from(offset_bytes).map_err(|_| io::ErrorKind::FileTooLarge)?;
        let end = at.checked_add(buf.len()).ok_or(io::ErrorKind::FileTooLarge)?;
        if bytes.len() < end {
            bytes.resize(end, 0);
        }
        bytes[at..end].copy_from_slice(buf);
        Ok(buf.len())
    }

    fn set_len(&self, len_bytes: u64) -> io::Result<()> {
        let len = usize::try_from(len_bytes).map_err(|_| io::ErrorKind::FileTooLarge)?;
        self.bytes().resize(len, 0);
        Ok(())
    }

    fn sync(&self) -> io::Result<()> {
        Ok(())
    }
}
