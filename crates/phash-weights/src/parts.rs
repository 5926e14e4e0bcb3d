//! Owns [`Parts`]: the data files of one model, of which only a few are open at a time. A model of hundreds of shards
//! must not use up the process's file descriptors, several models being read at once. A file that is opened again must
//! still be the one that was described at first.

use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use crate::positioned::{PositionedFile, checked_stamp, same_stamp};
use crate::{Error, FileStamp};

/// Files of one model kept open. Tensors are read shard by shard, so that a few suffice even with several readers.
const OPEN_AT_ONCE: usize = 4;

/// One data file as it was when its header was read.
#[derive(Debug)]
pub(crate) struct Part {
    /// The path to show.
    pub(crate) path: PathBuf,
    /// Where it really is (symbolic links resolved), to open it again; `None` for a file that came open.
    pub(crate) location: Option<PathBuf>,
    pub(crate) stamp: FileStamp,
    /// Length of its header, in bytes, without what precedes it.
    pub(crate) header_bytes: u64,
    /// BLAKE3 digest of the header.
    pub(crate) header_digest: [u8; 32],
    /// How many tensors of the model lie in it.
    pub(crate) tensors: u64,
}

/// The data files of one model.
#[derive(Debug)]
pub(crate) struct Parts {
    parts: Vec<Part>,
    open: Mutex<VecDeque<(usize, Arc<PositionedFile>)>>,
}

impl Parts {
    /// One file, which stays open.
    pub(crate) fn single(part: Part, file: PositionedFile) -> Parts {
        Parts { parts: vec![part], open: Mutex::new(VecDeque::from([(0, Arc::new(file))])) }
    }

    /// Files that are opened when they are read. Each must have a `location`.
    pub(crate) fn several(parts: Vec<Part>) -> Parts {
        debug_assert!(parts.iter().all(|part| part.location.is_some()));
        Parts { parts, open: Mutex::new(VecDeque::new()) }
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Part> {
        self.parts.iter()
    }

    /// Fills `buf` from byte `offset_bytes` of file number `part` on.
    pub(crate) fn read_exact_at(&self, part: usize, buf: &mut [u8], offset_bytes: u64) -> Result<(), Error> {
        self.file(part)?.read_exact_at(buf, offset_bytes)
    }

    /// Refuses files whose length or modification time is no longer what it was. O(files).
    pub(crate) fn check_unchanged(&self) -> Result<(), Error> {
        for (number, part) in self.parts.iter().enumerate() {
            match &part.location {
                Some(location) => same_stamp(&part.path, part.stamp, checked_stamp(location, &part.path)?)?,
                None => self.file(number)?.check_unchanged()?,
            }
        }
        Ok(())
    }

    fn file(&self, number: usize) -> Result<Arc<PositionedFile>, Error> {
        // The queue is whole at every moment: a panic elsewhere under the lock leaves nothing half done.
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, file)) = open.iter().find(|(of, _)| *of == number) {
            return Ok(Arc::clone(file));
        }
        let part = &self.parts[number];
        let file = PositionedFile::open(part.location.as_deref().unwrap_or(&part.path), &part.path)?;
        same_stamp(&part.path, part.stamp, file.stamp)?;
        let file = Arc::new(file);
        if open.len() >= OPEN_AT_ONCE {
            open.pop_front();
        }
        open.push_back((number, Arc::clone(&file)));
        Ok(file)
    }
}
