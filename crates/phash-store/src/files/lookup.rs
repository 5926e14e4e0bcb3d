//! Owns [`Lookup`]: codes of a file by their ids, read by positions, a block at once, without a look at any checksum. Whoever asks
//! has one to compare with. What the medium does not give back by the block is tried by the code.

use super::layout::{CODES_PER_BLOCK, Geometry};
use crate::vfs::{StoreFile, read_exact_at};

/// Remembers the block read last.
#[derive(Debug)]
pub(crate) struct Lookup {
    geometry: Geometry,
    /// The block, and its codes as far as the file goes; none if it cannot be read.
    held: Option<(u32, Vec<u8>)>,
    single: Vec<u8>,
}

impl Lookup {
    pub(crate) fn new(geometry: Geometry) -> Self {
        Self { geometry, held: None, single: Vec::new() }
    }

    /// The code's bytes; `None` if the file ends before, or they cannot be read.
    pub(crate) fn code(&mut self, file: &dyn StoreFile, id: u32) -> Option<&[u8]> {
        let (block, width) = (id / CODES_PER_BLOCK, self.geometry.code_bytes);
        if self.held.as_ref().is_none_or(|(held, _)| *held != block) {
            self.held = Some((block, self.block(file, block).unwrap_or_default()));
        }
        let start = (id % CODES_PER_BLOCK) as usize * width;
        if self.held.as_ref().is_some_and(|(_, codes)| codes.len() >= start + width) {
            return self.held.as_ref()?.1.get(start..start + width);
        }
        self.single.resize(width, 0);
        read_exact_at(file, &mut self.single, self.geometry.code_at(id)).ok()?;
        Some(&self.single)
    }

    fn block(&self, file: &dyn StoreFile, block: u32) -> Option<Vec<u8>> {
        let at = self.geometry.code_at(block * CODES_PER_BLOCK);
        let codes = file.len_bytes().ok()?.checked_sub(at)? / self.geometry.code_bytes as u64;
        let codes = usize::try_from(codes.min(CODES_PER_BLOCK.into())).ok()?;
        let mut bytes = vec![0; codes * self.geometry.code_bytes];
        read_exact_at(file, &mut bytes, at).ok()?;
        Some(bytes)
    }
}
