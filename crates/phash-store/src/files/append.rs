//! Owns [`Appender`], the write side of one code file. What must hold at every moment, whatever is cut off: the
//! committed codes and the slot that vouches for them are as they were; new codes go behind, a new checksum goes
//! into the spare slot. Codes are gathered in memory and written in large pieces; nothing is read back.

use std::path::{Path, PathBuf};

use crc32fast::Hasher;

use super::Tail;
use super::layout::{BLOCK_HEADER_BYTES, CODES_PER_BLOCK, FileHeader, Geometry, MAX_CODES, SLOT_BYTES, Slot};
use crate::error::{Error, Result};
use crate::vfs::{StoreFile, write_all_at};

/// Gathered bytes beyond which whole blocks are written before the commit: bounds the memory of a large batch.
const WRITE_BYTES: usize = 1 << 20;

/// Appends codes to one file. After any error it must not be used again.
#[derive(Debug)]
pub(crate) struct Appender {
    file: Box<dyn StoreFile>,
    path: PathBuf,
    geometry: Geometry,
    header_crc: u32,
    committed: Tail,
    /// All codes, the uncommitted ones included.
    count: u32,
    /// Which slot of the last committed block may be overwritten.
    spare: usize,
    /// Checksum so far of the block that is being filled.
    hasher: Hasher,
    /// Bytes to be written at `gathered_at`, block headers in between.
    gathered: Vec<u8>,
    gathered_at: u64,
    /// Where in `gathered` the codes begin that the checksum does not cover yet.
    unhashed_from: usize,
    /// Where in `gathered` the header of the block lies that is being filled; `None` if that block is older.
    block_header_in: Option<usize>,
    /// A slot of the last committed block to be written, and where.
    slot: Option<(u64, [u8; SLOT_BYTES])>,
    /// Written since the last sync.
    dirty: bool,
}

impl Appender {
    /// An appender behind the committed codes of a file that has been checked and cut back (see `recover`).
    /// `hasher` has taken in the committed codes of the last block if that is not full.
    pub(crate) fn new(
        file: Box<dyn StoreFile>,
        path: &Path,
        header: &FileHeader,
        committed: Tail,
        spare: usize,
        hasher: Hasher,
    ) -> Self {
        let geometry = Geometry::new(header.words);
        Self {
            file,
            path: path.to_owned(),
            geometry,
            header_crc: header.crc(),
            committed,
            count: committed.count,
            spare,
            hasher,
            gathered: Vec::new(),
            gathered_at: geometry.len_bytes(committed.count),
            unhashed_from: 0,
            block_header_in: None,
            slot: None,
            dirty: false,
        }
    }

    /// All codes, the uncommitted ones included.
    pub(crate) fn count(&self) -> u32 {
        self.count
    }

    /// Whether `more` codes still fit.
    pub(crate) fn check_room(&self, more: u32) -> Result<()> {
        match self.count.checked_add(more) {
            Some(_) => Ok(()),
            None => Err(Error::TooManyCodes { file: self.path.clone(), limit: MAX_CODES }),
        }
    }

    /// Appends a code (`None` is a void code, stored as zeros) for the commit `generation`; returns its id.
    pub(crate) fn push(&mut self, code: Option<&[u8]>, generation: u64) -> Result<u32> {
        self.check_room(1)?;
        let id = self.count;
        if id.is_multiple_of(CODES_PER_BLOCK) {
            self.block_header_in = Some(self.gathered.len());
            self.gathered.resize(self.gathered.len() + BLOCK_HEADER_BYTES, 0);
            self.unhashed_from = self.gathered.len();
            self.hasher = Hasher::new();
        }
        match code {
            Some(bytes) => {
                debug_assert_eq!(bytes.len(), self.geometry.code_bytes, "widths are checked by the writer");
                self.gathered.extend_from_slice(bytes);
            }
            None => self.gathered.resize(self.gathered.len() + self.geometry.code_bytes, 0),
        }
        self.count += 1;
        if self.count.is_multiple_of(CODES_PER_BLOCK) {
            self.seal(generation);
            if self.gathered.len() >= WRITE_BYTES {
                self.write()?;
            }
        }
        Ok(id)
    }

    /// Writes everything and syncs. Returns what the catalog has to record; `committed` unchanged if nothing is new.
    pub(crate) fn prepare(&mut self, generation: u64) -> Result<Tail> {
        if self.count == self.committed.count {
            return Ok(self.committed);
        }
        if !self.count.is_multiple_of(CODES_PER_BLOCK) {
            self.seal(generation);
        }
        self.write()?;
        if self.dirty {
            self.file.sync().map_err(|e| Error::io("sync", &self.path, e))?;
            self.dirty = false;
        }
        Ok(Tail { count: self.count, generation, crc: self.hasher.clone().finalize() })
    }

    /// The catalog has committed what `prepare` returned: the slot written last is now the one to keep.
    pub(crate) fn published(&mut self, tail: Tail) {
        let same_block =
            self.committed.count.div_ceil(CODES_PER_BLOCK) == tail.count.div_ceil(CODES_PER_BLOCK);
        if tail != self.committed {
            self.spare = if same_block { 1 - self.spare } else { 1 };
        }
        self.committed = tail;
    }

    /// Puts the checksum of the block being filled into a slot: the first one of a new block, the spare one of the
    /// last committed block. Once for a block and commit: a write or the next block follows.
    fn seal(&mut self, generation: u64) {
        self.hasher.update(&self.gathered[self.unhashed_from..]);
        let last = self.count - 1;
        let slot = Slot {
            block: last / CODES_PER_BLOCK,
            count: last % CODES_PER_BLOCK + 1,
            generation,
            codes_crc: self.hasher.clone().finalize(),
        }
        .encode(self.header_crc);
        match self.block_header_in {
            Some(at) => self.gathered[at..at + SLOT_BYTES].copy_from_slice(&slot),
            None => {
                let at = self.geometry.block_at(last / CODES_PER_BLOCK) + (self.spare * SLOT_BYTES) as u64;
                self.slot = Some((at, slot));
            }
        }
    }

    /// Writes what is gathered; every block in it is sealed. Codes first, then the older block's slot.
    fn write(&mut self) -> Result<()> {
        let failed = |e| Error::io("write to", &self.path, e);
        if !self.gathered.is_empty() {
            write_all_at(&*self.file, &self.gathered, self.gathered_at).map_err(failed)?;
            self.dirty = true;
        }
        if let Some((at, slot)) = self.slot.take() {
            write_all_at(&*self.file, &slot, at).map_err(failed)?;
            self.dirty = true;
        }
        self.gathered_at += self.gathered.len() as u64;
        self.gathered.clear();
        self.unhashed_from = 0;
        self.block_header_in = None;
        Ok(())
    }
}
