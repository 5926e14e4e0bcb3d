//! Owns the copying of a code file as of a commit: every block is compared with its checksum on the way, and written with
//! one slot, for what is committed. A writer may be at work on the source behind that, and on the spare slot.

use std::path::Path;

use super::Tail;
use super::check;
use super::layout::{
    self, BLOCK_HEADER_BYTES, CODES_PER_BLOCK, FileHeader, Geometry, SLOT_BYTES, Slot, SlotState,
};
use crate::error::{Error, Result};
use crate::vfs::{StoreFile, Vfs, read_exact_at, write_all_at};

/// Gathered bytes that are written at once.
const WRITE_BYTES: usize = 1 << 20;

/// The committed part of a code file.
pub(crate) struct Committed<'a> {
    pub(crate) file: &'a dyn StoreFile,
    pub(crate) path: &'a Path,
    pub(crate) header: &'a FileHeader,
    pub(crate) tail: Tail,
}

impl Committed<'_> {
    /// Writes it to `target`, a new file, and syncs that. `go_on` is told of bytes; `false` (also returned) stops.
    ///
    /// # Errors
    /// [`Error::Corrupted`] and [`Error::TooShort`] if the source is damaged: damage is never given a fitting checksum;
    /// [`Error::Io`], [`Error::DiskFull`].
    pub(crate) fn copy_to(
        &self,
        vfs: &dyn Vfs,
        target: &Path,
        go_on: &mut dyn FnMut(u64) -> bool,
    ) -> Result<bool> {
        check::header_and_length(self.file, self.path, self.header, self.tail.count)?;
        let out = vfs.create(target).map_err(|e| Error::io("create", target, e))?;
        let failed = |e| Error::io("write to", target, e);
        let mut gathered = self.header.encode().to_vec();
        let mut at = 0;
        if !go_on(gathered.len() as u64) {
            return Ok(false);
        }
        for block in 0..layout::blocks(self.tail.count) {
            let before = gathered.len();
            self.append_block(block, &mut gathered)?;
            let added = gathered.len() - before;
            if gathered.len() >= WRITE_BYTES {
                write_all_at(&*out, &gathered, at).map_err(failed)?;
                at += gathered.len() as u64;
                gathered.clear();
            }
            if !go_on(added as u64) {
                return Ok(false);
            }
        }
        write_all_at(&*out, &gathered, at).map_err(failed)?;
        out.sync().map_err(|e| Error::io("sync", target, e))?;
        Ok(true)
    }

    /// Appends a block as it is to be written, checked.
    fn append_block(&self, block: u32, out: &mut Vec<u8>) -> Result<()> {
        let geometry = Geometry::new(self.header.words);
        let count = layout::codes_in_block(self.tail.count, block);
        let is_last = block + 1 == layout::blocks(self.tail.count);
        // The slots of the last block may be those of later commits by now: the catalog knows its checksum.
        let slot = if is_last {
            Slot { block, count, generation: self.tail.generation, codes_crc: self.tail.crc }
        } else {
            self.full_slot(geometry, block)?
        };
        let start = out.len();
        out.extend_from_slice(&slot.encode(self.header.crc()));
        out.resize(start + BLOCK_HEADER_BYTES + count as usize * geometry.code_bytes, 0);
        let codes = &mut out[start + BLOCK_HEADER_BYTES..];
        read_exact_at(self.file, codes, geometry.code_at(block * CODES_PER_BLOCK))
            .map_err(|e| Error::io("read", self.path, e))?;
        check::codes_crc(self.path, geometry, block, slot.codes_crc, codes)
    }

    /// The slot of a block that no writer touches any more.
    fn full_slot(&self, geometry: Geometry, block: u32) -> Result<Slot> {
        let mut bytes = [0; 2 * SLOT_BYTES];
        let at = geometry.block_at(block);
        read_exact_at(self.file, &mut bytes, at)
            .map_err(|e| Error::io("read a block header of", self.path, e))?;
        let slots = SlotState::decode_both(&bytes, block, self.header.crc());
        let full = slots.iter().find_map(|state| match state {
            SlotState::Valid(slot) if slot.count == CODES_PER_BLOCK => Some(*slot),
            _ => None,
        });
        full.ok_or_else(|| {
            let expected = format!("one for {CODES_PER_BLOCK} codes");
            let what = format!("slots of block {block}");
            Error::corrupted(self.path, at, what, expected, format!("{slots:?}"))
        })
    }
}
