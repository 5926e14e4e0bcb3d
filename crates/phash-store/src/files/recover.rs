//! Owns the opening of a code file for writing: checks it, and cuts back what an interrupted writer left behind the
//! committed codes. Runs under the writer's lock. Cuts only what cannot have been committed: anything written by a
//! commit later than the one that may have been interrupted means that the catalog is too old, and is an error.

use std::path::Path;

use crc32fast::Hasher;

use super::Tail;
use super::append::Appender;
use super::check;
use super::layout::{
    self, BLOCK_HEADER_BYTES, CODES_PER_BLOCK, FileHeader, Geometry, HEADER_BYTES, SLOT_BYTES, Slot,
    SlotState,
};
use crate::error::{Error, Result};
use crate::vfs::{StoreFile, Vfs, read_exact_at, write_all_at};

/// Creates an empty code file, durably but for its name in the directory.
pub(crate) fn create(vfs: &dyn Vfs, path: &Path, header: &FileHeader) -> Result<Appender> {
    let file = vfs.create(path).map_err(|e| Error::io("create", path, e))?;
    write_all_at(&*file, &header.encode(), 0).map_err(|e| Error::io("write to", path, e))?;
    file.sync().map_err(|e| Error::io("sync", path, e))?;
    Ok(Appender::new(file, path, header, Tail::default(), 1, Hasher::new()))
}

/// Checks a code file of a later edition than the catalog knows, left by an interrupted compaction, before it is removed.
/// O(blocks).
///
/// # Errors
/// [`Error::Corrupted`] if it holds codes of a commit later than the one that may have been interrupted: then it is the
/// catalog that is too old.
pub(crate) fn check_leftover(vfs: &dyn Vfs, path: &Path, header: &FileHeader, generation: u64) -> Result<()> {
    let file = vfs.open_read(path).map_err(|e| Error::io("open", path, e))?;
    let (geometry, tail) = (Geometry::new(header.words), Tail::default());
    LastBlock { file: &*file, path, geometry, header_crc: header.crc(), tail, generation }
        .check_uncommitted_blocks()
}

/// Opens a code file for appending behind its committed codes. `generation` is that of the last commit of the
/// database.
///
/// # Errors
/// [`Error::TooShort`] or [`Error::Corrupted`] if the committed part is not as it was committed, or if the file
/// holds codes of a commit that the catalog does not know.
pub(crate) fn open(
    vfs: &dyn Vfs,
    path: &Path,
    header: &FileHeader,
    tail: Tail,
    generation: u64,
) -> Result<Appender> {
    let file = vfs.open_write(path).map_err(|e| Error::io("open", path, e))?;
    check::header_and_length(&*file, path, header, tail.count)?;
    let geometry = Geometry::new(header.words);
    check::last_block(&*file, path, geometry, tail)?;
    let last = LastBlock { file: &*file, path, geometry, header_crc: header.crc(), tail, generation };
    last.check_uncommitted_blocks()?;
    let spare = last.clear_spare_slot()?;
    let hasher = last.hasher()?;
    cut_back(&*file, path, geometry.len_bytes(tail.count))?;
    Ok(Appender::new(file, path, header, tail, spare, hasher))
}

fn cut_back(file: &dyn StoreFile, path: &Path, len_bytes: u64) -> Result<()> {
    let found = file.len_bytes().map_err(|e| Error::io("read the length of", path, e))?;
    if found > len_bytes {
        file.set_len(len_bytes).map_err(|e| Error::io("cut back", path, e))?;
        file.sync().map_err(|e| Error::io("sync", path, e))?;
    }
    Ok(())
}

/// The place where committed and uncommitted codes meet.
struct LastBlock<'a> {
    file: &'a dyn StoreFile,
    path: &'a Path,
    geometry: Geometry,
    header_crc: u32,
    tail: Tail,
    generation: u64,
}

impl LastBlock<'_> {
    fn slots(&self, block: u32) -> Result<[SlotState; 2]> {
        let mut bytes = [0; BLOCK_HEADER_BYTES];
        read_exact_at(self.file, &mut bytes, self.geometry.block_at(block))
            .map_err(|e| Error::io("read a block header of", self.path, e))?;
        Ok(SlotState::decode_both(&bytes, block, self.header_crc))
    }

    /// Refuses slots of commits later than the one that may have been interrupted.
    fn check_not_later(&self, slot: Slot) -> Result<()> {
        let interrupted = self.generation + 1;
        if slot.generation <= interrupted {
            return Ok(());
        }
        let what = format!(
            "block {} was written by a later commit than the catalog knows (an older catalog, or one without its log)",
            slot.block
        );
        let at = self.geometry.block_at(slot.block);
        Err(Error::corrupted(self.path, at, what, format!("at most {interrupted}"), slot.generation))
    }

    /// Looks at the headers behind the committed blocks before they are cut off. O(uncommitted blocks).
    fn check_uncommitted_blocks(&self) -> Result<()> {
        let len = self.file.len_bytes().map_err(|e| Error::io("read the length of", self.path, e))?;
        for block in layout::blocks(self.tail.count)..=u32::MAX / CODES_PER_BLOCK {
            if self.geometry.block_at(block) + BLOCK_HEADER_BYTES as u64 > len {
                break;
            }
            for state in self.slots(block)? {
                if let SlotState::Valid(slot) = state {
                    self.check_not_later(slot)?;
                }
            }
        }
        Ok(())
    }

    /// Finds the slot that vouches for the committed codes, and clears the other one if an interrupted commit left
    /// something there (a whole slot or a torn one: nothing committed depends on it). Returns the other one's number.
    fn clear_spare_slot(&self) -> Result<usize> {
        let Some(block) = layout::blocks(self.tail.count).checked_sub(1) else { return Ok(1) };
        let committed = Slot {
            block,
            count: layout::codes_in_block(self.tail.count, block),
            generation: self.tail.generation,
            codes_crc: self.tail.crc,
        };
        let slots = self.slots(block)?;
        let Some(kept) = slots.iter().position(|&state| state == SlotState::Valid(committed)) else {
            let at = self.geometry.block_at(block);
            let what = format!("slots of block {block}");
            let expected = format!("one that says {committed:?}");
            return Err(Error::corrupted(self.path, at, what, expected, format!("{slots:?}")));
        };
        let spare = 1 - kept;
        let leftover = match slots[spare] {
            SlotState::Empty => false,
            SlotState::Invalid => true,
            SlotState::Valid(slot) => {
                self.check_not_later(slot)?;
                slot.generation >= committed.generation
            }
        };
        if leftover {
            let at = self.geometry.block_at(block) + (spare * SLOT_BYTES) as u64;
            write_all_at(self.file, &[0; SLOT_BYTES], at).map_err(|e| Error::io("write to", self.path, e))?;
            self.file.sync().map_err(|e| Error::io("sync", self.path, e))?;
        }
        Ok(spare)
    }

    /// A checksum that has taken in the codes of the last block, to go on from.
    fn hasher(&self) -> Result<Hasher> {
        let used = self.tail.count % CODES_PER_BLOCK;
        let mut bytes = vec![0; used as usize * self.geometry.code_bytes];
        if used > 0 {
            read_exact_at(self.file, &mut bytes, self.geometry.code_at(self.tail.count - used))
                .map_err(|e| Error::io("read the last block of", self.path, e))?;
        }
        let mut hasher = Hasher::new();
        hasher.update(&bytes);
        Ok(hasher)
    }
}

/// Whether a file can be left over from an interrupted creation: it holds no codes.
pub(crate) fn holds_no_codes(vfs: &dyn Vfs, path: &Path) -> Result<bool> {
    let file = vfs.open_read(path).map_err(|e| Error::io("open", path, e))?;
    let len = file.len_bytes().map_err(|e| Error::io("read the length of", path, e))?;
    Ok(len <= HEADER_BYTES as u64)
}
