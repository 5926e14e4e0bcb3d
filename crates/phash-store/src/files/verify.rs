//! Owns the full check of one code file: every byte of the committed part is compared with something. Reads by
//! positions, never through a map, and goes on after damage. A writer may be at work behind the committed codes.

use std::ops::Range;
use std::path::Path;
use std::time::Duration;

use super::Tail;
use super::check;
use super::layout::{
    self, BLOCK_HEADER_BYTES, CODES_PER_BLOCK, FileHeader, Geometry, Slot, SlotState, hex32,
};
use crate::error::{Error, Result};
use crate::vfs::{StoreFile, read_exact_at};

/// How often the slots of the last block are read again if they make no sense: the writer may be replacing one.
const ATTEMPTS: u32 = 4;

/// What a check needs to know from outside, and where it reports to.
pub(crate) struct Check<'a> {
    pub(crate) file: &'a dyn StoreFile,
    /// The newest commit there is by now, and this file's end in it.
    pub(crate) newest: &'a dyn Fn() -> Result<(u64, Tail)>,
    /// Called with each damage, and the ids of the records that cannot be trusted for it.
    pub(crate) damage: &'a mut dyn FnMut(Error, Option<Range<u32>>),
    /// Called with the number of bytes just checked.
    pub(crate) progress: &'a mut dyn FnMut(u64),
}

/// What was looked at.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Checked {
    pub(crate) codes: u64,
    pub(crate) uncommitted_bytes: u64,
}

/// Checks header, length and every committed block, whatever is wrong with the others.
///
/// # Errors
/// Only if the length cannot be read; the rest is reported.
pub(crate) fn code_file(
    path: &Path,
    header: &FileHeader,
    tail: Tail,
    voids: &roaring::RoaringBitmap,
    check: &mut Check<'_>,
) -> Result<Checked> {
    let file = check.file;
    let len = file.len_bytes().map_err(|e| Error::io("read the length of", path, e))?;
    let geometry = Geometry::new(header.words);
    let blocks = Blocks { file, path, geometry, header_crc: header.crc(), tail };
    let committed_bytes = geometry.len_bytes(tail.count);
    if let Err(error) = check::header_alone(file, path, header) {
        // Whatever the header says, the catalog knows what it must be: the blocks are compared all the same.
        if len >= geometry.len_bytes(0) {
            (check.damage)(error, None);
        }
    }
    (check.progress)(geometry.len_bytes(0));
    let mut checked = Checked::default();
    for block in 0..layout::blocks(tail.count) {
        let codes = layout::codes_in_block(tail.count, block);
        let first = block * CODES_PER_BLOCK;
        let end = geometry.code_at(first) + u64::from(codes) * geometry.code_bytes as u64;
        if end > len {
            break;
        }
        if let Err(error) =
            blocks.check(block, check).and_then(|bytes| blocks.check_voids(block, &bytes, voids))
        {
            (check.damage)(error, Some(first..first.saturating_add(codes)));
        }
        checked.codes += u64::from(codes);
        (check.progress)(BLOCK_HEADER_BYTES as u64 + u64::from(codes) * geometry.code_bytes as u64);
    }
    if len < committed_bytes {
        let whole = u32::try_from(checked.codes).unwrap_or(u32::MAX);
        let error =
            Error::TooShort { file: path.to_owned(), expected_bytes: committed_bytes, got_bytes: len };
        (check.damage)(error, Some(whole..tail.count));
    }
    checked.uncommitted_bytes = len.saturating_sub(committed_bytes);
    Ok(checked)
}

struct Blocks<'a> {
    file: &'a dyn StoreFile,
    path: &'a Path,
    geometry: Geometry,
    header_crc: u32,
    tail: Tail,
}

impl Blocks<'_> {
    /// Checks one block, reporting through `check` or returning the damage; returns its codes' bytes.
    fn check(&self, block: u32, check: &mut Check<'_>) -> Result<Vec<u8>> {
        let codes = layout::codes_in_block(self.tail.count, block);
        let mut bytes = vec![0; codes as usize * self.geometry.code_bytes];
        let at = self.geometry.code_at(block * CODES_PER_BLOCK);
        read_exact_at(self.file, &mut bytes, at).map_err(|e| Error::io("read", self.path, e))?;

        let is_last = block + 1 == layout::blocks(self.tail.count);
        let mut result = Ok(());
        for attempt in 0..ATTEMPTS {
            let slots = self.slots(block)?;
            result = if is_last {
                self.check_last_slots(block, slots, &bytes, check)
            } else {
                self.check_full_slots(block, slots, &bytes)
            };
            if result.is_ok() || !is_last {
                break;
            }
            // Under a fuzzer there is no writer to wait for.
            if !cfg!(fuzzing) {
                std::thread::sleep(Duration::from_millis(u64::from(attempt)));
            }
        }
        if let Err(error) = result {
            let first = block * CODES_PER_BLOCK;
            (check.damage)(error, Some(first..first.saturating_add(codes)));
        }
        if is_last {
            check::codes_crc(self.path, self.geometry, block, self.tail.crc, &bytes)?;
        }
        Ok(bytes)
    }

    fn slots(&self, block: u32) -> Result<[SlotState; 2]> {
        let mut bytes = [0; BLOCK_HEADER_BYTES];
        read_exact_at(self.file, &mut bytes, self.geometry.block_at(block))
            .map_err(|e| Error::io("read a block header of", self.path, e))?;
        Ok(SlotState::decode_both(&bytes, block, self.header_crc))
    }

    /// A block that no writer touches any more: one slot is for all its codes, the other empty or for fewer.
    fn check_full_slots(&self, block: u32, slots: [SlotState; 2], codes: &[u8]) -> Result<()> {
        let full = slots.iter().position(|state| match state {
            SlotState::Valid(slot) => slot.count == CODES_PER_BLOCK,
            _ => false,
        });
        match full.map(|at| (slots[at], slots[1 - at])) {
            Some((SlotState::Valid(slot), other)) => {
                check::codes_crc(self.path, self.geometry, block, slot.codes_crc, codes)?;
                self.check_older(slot, other, codes)
            }
            _ => Err(self.bad_slots(block, format!("one for {CODES_PER_BLOCK} codes"), slots)),
        }
    }

    /// The last block: one slot is the one that the catalog means, unless the writer has gone on since.
    fn check_last_slots(
        &self,
        block: u32,
        slots: [SlotState; 2],
        codes: &[u8],
        check: &Check<'_>,
    ) -> Result<()> {
        let committed = Slot {
            block,
            count: layout::codes_in_block(self.tail.count, block),
            generation: self.tail.generation,
            codes_crc: self.tail.crc,
        };
        let (newest_generation, newest) = (check.newest)()?;
        let Some(kept) = slots.iter().position(|&state| state == SlotState::Valid(committed)) else {
            if newest != self.tail {
                return Ok(());
            }
            return Err(self.bad_slots(block, format!("one that says {committed:?}"), slots));
        };
        match slots[1 - kept] {
            SlotState::Valid(slot) if slot.generation > committed.generation => {
                if slot.generation <= newest_generation + 1 && slot.count > committed.count {
                    return Ok(());
                }
                let expected = format!("none of a commit after {}", newest_generation + 1);
                Err(self.bad_slots(block, expected, slots))
            }
            other => self.check_older(committed, other, codes),
        }
    }

    /// The slot beside the one in force: empty, or of an earlier commit with fewer codes, and right about these.
    fn check_older(&self, in_force: Slot, other: SlotState, codes: &[u8]) -> Result<()> {
        let slot = match other {
            SlotState::Empty => return Ok(()),
            SlotState::Valid(slot)
                if slot.generation < in_force.generation && slot.count < in_force.count =>
            {
                slot
            }
            other => {
                let expected = format!("an empty slot, or an older one, beside {in_force:?}");
                return Err(self.bad_slots(in_force.block, expected, other));
            }
        };
        let prefix = &codes[..slot.count as usize * self.geometry.code_bytes];
        let computed = crc32fast::hash(prefix);
        if computed == slot.codes_crc {
            return Ok(());
        }
        let what = format!("older checksum of block {}", slot.block);
        let at = self.geometry.block_at(slot.block);
        Err(Error::corrupted(self.path, at, what, hex32(slot.codes_crc), hex32(computed)))
    }

    /// A void code is all zero.
    fn check_voids(&self, block: u32, codes: &[u8], voids: &roaring::RoaringBitmap) -> Result<()> {
        let width = self.geometry.code_bytes;
        let first = block * CODES_PER_BLOCK;
        for (id, code) in (first..).zip(codes.chunks_exact(width)) {
            if voids.contains(id) && code.iter().any(|&byte| byte != 0) {
                let at = self.geometry.code_at(id);
                let got = crate::schema::hex(code);
                return Err(Error::corrupted(self.path, at, format!("void code {id}"), "zeros", got));
            }
        }
        Ok(())
    }

    fn bad_slots(&self, block: u32, expected: String, got: impl std::fmt::Debug) -> Error {
        let at = self.geometry.block_at(block);
        Error::corrupted(self.path, at, format!("slots of block {block}"), expected, format!("{got:?}"))
    }
}
