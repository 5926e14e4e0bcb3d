//! Owns the file `published`: the number of the last commit that was reported, written after it and never synced. It
//! proves nothing when it is missing, torn or old; but if it knows a later commit than the catalog, then the catalog has
//! lost commits (its log was damaged or removed: SQLite takes a damaged log for one that ends there).

use std::path::{Path, PathBuf};

use crate::catalog::head::Head;
use crate::dir::catalog_path;
use crate::error::{Error, Result};
use crate::vfs::{StoreFile, Vfs, read_exact_at, write_all_at};

/// Name of the file.
const FILE: &str = "published";
/// Database id, generation, CRC-32 of both.
const BYTES: usize = 16 + 8 + 4;

/// What the file said before the catalog was opened: a snapshot taken later has that commit.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Published(Option<([u8; 16], u64)>);

impl Published {
    /// Reads the file; anything wrong with it is no evidence.
    pub(crate) fn read(vfs: &dyn Vfs, dir: &Path) -> Self {
        let mut bytes = [0; BYTES];
        let read = vfs.open_read(&dir.join(FILE)).and_then(|file| read_exact_at(&*file, &mut bytes, 0));
        Self(read.ok().and_then(|()| decode(&bytes)))
    }

    /// Database id and generation, if the file tells.
    pub(crate) fn known(self) -> Option<([u8; 16], u64)> {
        self.0
    }

    /// Refuses a catalog that lacks a commit.
    ///
    /// # Errors
    /// [`Error::Corrupted`].
    pub(crate) fn check(self, dir: &Path, head: &Head) -> Result<()> {
        match self.0 {
            Some((id, generation)) if id == head.database_id && generation > head.generation => {
                let what = format!(
                    "last commit (the catalog's log is damaged or was removed, or the catalog alone is an older copy; if all \
                     files were restored from a backup but {FILE}, remove that file)"
                );
                Err(Error::corrupted(&catalog_path(dir), 0, what, generation, head.generation))
            }
            _ => Ok(()),
        }
    }
}

/// The write side.
#[derive(Debug)]
pub(crate) struct Publisher {
    path: PathBuf,
    file: Option<Box<dyn StoreFile>>,
}

impl Publisher {
    pub(crate) fn new(dir: &Path) -> Self {
        Self { path: dir.join(FILE), file: None }
    }

    /// Writes down a commit that is on the medium. A failure only costs evidence: the commit stands.
    pub(crate) fn write(&mut self, vfs: &dyn Vfs, head: &Head) {
        if self.file.is_none() {
            self.file = vfs.open_write(&self.path).or_else(|_| vfs.create(&self.path)).ok();
        }
        if let Some(file) = &self.file
            && write_all_at(&**file, &encode(&head.database_id, head.generation), 0).is_err()
        {
            self.file = None;
        }
    }
}

fn encode(id: &[u8; 16], generation: u64) -> [u8; BYTES] {
    let mut bytes = [0; BYTES];
    bytes[..16].copy_from_slice(id);
    bytes[16..24].copy_from_slice(&generation.to_le_bytes());
    let crc = crc32fast::hash(&bytes[..24]);
    bytes[24..].copy_from_slice(&crc.to_le_bytes());
    bytes
}

fn decode(bytes: &[u8; BYTES]) -> Option<([u8; 16], u64)> {
    let (mut id, mut generation) = ([0; 16], [0; 8]);
    id.copy_from_slice(&bytes[..16]);
    generation.copy_from_slice(&bytes[16..24]);
    let generation = u64::from_le_bytes(generation);
    (encode(&id, generation) == *bytes).then_some((id, generation))
}
