//! Owns the output of a segment that is being built: its length so far, and the sums of its pages.

use std::io::Write;

use zerocopy::little_endian::U32;

use crate::Error;
use crate::pages::PageSums;

/// Bytes that are hashed and written before the next: they stay in the cache between the two.
const PIECE_BYTES: usize = 64 * 1024;

pub(super) struct Out<O> {
    out: O,
    len_bytes: u64,
    /// None once the pages have ended.
    pages: Option<PageSums>,
}

impl<O: Write> Out<O> {
    pub(super) fn new(out: O) -> Self {
        Self { out, len_bytes: 0, pages: Some(PageSums::default()) }
    }

    pub(super) fn put(&mut self, bytes: &[u8]) -> Result<(), Error> {
        for piece in bytes.chunks(PIECE_BYTES) {
            if let Some(pages) = &mut self.pages {
                pages.add(piece);
            }
            self.out.write_all(piece)?;
            self.len_bytes += piece.len() as u64;
        }
        Ok(())
    }

    /// The sums of the pages so far; what follows is in none.
    pub(super) fn end_pages(&mut self) -> Vec<U32> {
        self.pages.take().map_or_else(Vec::new, PageSums::finish)
    }

    pub(super) fn len_bytes(&self) -> u64 {
        self.len_bytes
    }
}
