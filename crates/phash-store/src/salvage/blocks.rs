//! Owns [`ProvenFile`]: the codes of a code file that one of its own slots, or the catalog, proves. Any byte of the file may
//! be wrong and any part of it missing: what is not proven is not given out, but to those who have another proof.

use std::ops::Range;
use std::path::{Path, PathBuf};

use crate::files::Tail;
use crate::files::layout::{self, BLOCK_HEADER_BYTES, CODES_PER_BLOCK, FileHeader, Geometry, SlotState};
use crate::files::lookup::Lookup;
use crate::vfs::{StoreFile, Vfs, read_exact_at};

/// What may prove the codes of a file.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Proof {
    /// What the catalog says of the file's end, if it does.
    pub(crate) tail: Option<Tail>,
    /// Slots of later commits prove nothing: those were not reported, or their rows are lost.
    pub(crate) newest: u64,
}

/// A code file, block by block.
#[derive(Debug)]
pub(crate) struct ProvenFile {
    file: Option<Box<dyn StoreFile>>,
    path: PathBuf,
    geometry: Geometry,
    /// For each block how many of its codes are proven, from the first on.
    proven: Vec<u16>,
    /// The end of the ids that the file is known to have been given, proven or not.
    pub(crate) end: u32,
    /// The latest commit that a slot names.
    pub(crate) newest: u64,
    codes: Lookup,
}

impl ProvenFile {
    /// Reads the whole file. `progress` is told of bytes.
    pub(crate) fn examine(
        vfs: &dyn Vfs,
        path: &Path,
        header: &FileHeader,
        proof: Proof,
        progress: &mut dyn FnMut(u64),
    ) -> Self {
        let tail_end = proof.tail.map_or(0, |tail| tail.count);
        let mut this = Self {
            file: vfs.open_read(path).ok(),
            path: path.to_owned(),
            geometry: Geometry::new(header.words),
            proven: Vec::new(),
            end: tail_end,
            newest: 0,
            codes: Lookup::new(Geometry::new(header.words)),
        };
        let header_crc = header.crc();
        for block in 0..=u32::MAX / CODES_PER_BLOCK {
            let Some((slots, codes)) = this.read(block, header_crc) else { break };
            let mut vouched = Vec::new();
            if proof.tail.is_none() && slots.iter().all(|slot| !matches!(slot, SlotState::Valid(_))) {
                let codes = u32::try_from(codes.len() / this.geometry.code_bytes).unwrap_or(0);
                this.end = this.end.max((block * CODES_PER_BLOCK).saturating_add(codes));
            }
            for state in slots {
                let SlotState::Valid(slot) = state else { continue };
                this.newest = this.newest.max(slot.generation);
                if slot.generation <= proof.newest {
                    this.end = this.end.max((block * CODES_PER_BLOCK).saturating_add(slot.count));
                    vouched.push((slot.count, slot.codes_crc));
                }
            }
            if let Some(tail) = proof.tail
                && block + 1 == layout::blocks(tail.count)
            {
                vouched.push((layout::codes_in_block(tail.count, block), tail.crc));
            }
            let width = this.geometry.code_bytes;
            let fits = |&(count, crc): &(u32, u32)| {
                codes.get(..count as usize * width).is_some_and(|codes| crc32fast::hash(codes) == crc)
            };
            let proven = vouched.iter().filter(|vouched| fits(vouched)).map(|(count, _)| *count).max();
            this.proven.push(proven.and_then(|count| u16::try_from(count).ok()).unwrap_or(0));
            progress(BLOCK_HEADER_BYTES as u64 + codes.len() as u64);
        }
        this
    }

    /// Takes nothing in the file for proven any more.
    pub(crate) fn disprove(&mut self) {
        self.proven.clear();
    }

    /// Whether there is no such file, or it cannot be opened.
    pub(crate) fn is_missing(&self) -> bool {
        self.file.is_none()
    }

    /// The name of the file.
    pub(crate) fn name(&self) -> String {
        self.path.file_name().unwrap_or_default().to_string_lossy().into_owned()
    }

    /// What is wrong with a code that is not proven.
    pub(crate) fn flaw(&self) -> &'static str {
        if self.is_missing() { "is missing" } else { "does not fit its checksum there" }
    }

    /// Ids of the blocks that are there, whole or not.
    pub(crate) fn room(&self) -> u32 {
        u32::try_from(self.proven.len()).unwrap_or(u32::MAX).saturating_mul(CODES_PER_BLOCK)
    }

    /// How many codes are proven.
    pub(crate) fn proven_codes(&self) -> u64 {
        self.proven.iter().map(|&codes| u64::from(codes)).sum()
    }

    /// The runs of codes that are not proven, a block at a time, with the place of the block.
    pub(crate) fn unproven(&self) -> Vec<(u64, Range<u32>)> {
        let of_block = |(block, &proven): (u32, &u16)| {
            let first = block * CODES_PER_BLOCK;
            let ids =
                first.saturating_add(proven.into())..first.saturating_add(CODES_PER_BLOCK).min(self.end);
            (!ids.is_empty()).then(|| (self.geometry.block_at(block), ids))
        };
        (0..).zip(&self.proven).filter_map(of_block).collect()
    }

    /// A code, if it is proven.
    pub(crate) fn code(&mut self, id: u32) -> Option<&[u8]> {
        let block = id / CODES_PER_BLOCK;
        let at = id % CODES_PER_BLOCK;
        if at >= u32::from(*self.proven.get(block as usize)?) {
            return None;
        }
        self.unproven_code(id)
    }

    /// A code as it lies in the file, for whoever has another proof.
    pub(crate) fn unproven_code(&mut self, id: u32) -> Option<&[u8]> {
        self.codes.code(&**self.file.as_ref()?, id)
    }

    /// Slots and codes of a block, as many whole codes as there are; `None` behind the end of the file.
    fn read(&self, block: u32, header_crc: u32) -> Option<([SlotState; 2], Vec<u8>)> {
        let file = self.file.as_ref()?;
        let len = file.len_bytes().ok()?;
        let at = self.geometry.block_at(block);
        let inside = len.checked_sub(at)?;
        let codes = inside.checked_sub(BLOCK_HEADER_BYTES as u64)? / self.geometry.code_bytes as u64;
        let codes = u32::try_from(codes).unwrap_or(u32::MAX).min(CODES_PER_BLOCK);
        let mut header = [0; BLOCK_HEADER_BYTES];
        let mut bytes = vec![0; codes as usize * self.geometry.code_bytes];
        // A block that the medium does not give back proves nothing; those behind it may.
        let read = read_exact_at(&**file, &mut header, at)
            .and_then(|()| read_exact_at(&**file, &mut bytes, at + BLOCK_HEADER_BYTES as u64));
        if read.is_err() {
            return Some(([SlotState::Invalid; 2], Vec::new()));
        }
        Some((SlotState::decode_both(&header, block, header_crc), bytes))
    }
}

/// The header that a code file has, if it is sound by its own checksum.
pub(crate) fn header_of(vfs: &dyn Vfs, path: &Path) -> Option<FileHeader> {
    let mut bytes = [0; layout::HEADER_BYTES];
    let file = vfs.open_read(path).ok()?;
    read_exact_at(&*file, &mut bytes, 0).ok()?;
    FileHeader::decode(&bytes)
}
