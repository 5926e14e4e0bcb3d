//! Owns the output of a segment that is being built: its length so far, and the sums of its pages.

use std::io::Write;
use std::sync::atomic::AtomicBool;

use zerocopy::little_endian::U32;

use crate::Error;
use crate::build::check;
use crate::pages::PageSums;

/// Bytes that are hashed and written before the next: they stay in the cache between the two.
const PIECE_BYTES: usize = 64 * 1024;

pub(super) struct Out<'c, O> {
    out: O,
    cancel: &'c AtomicBool,
    len_bytes: u64,
    /// None once the pages have ended.
    pages: Option<PageSums>,
}

impl<'c, O: Write> Out<'c, O> {
    pub(super) fn new(out: O, cancel: &'c AtomicBool) -> Self {
        Self { out, cancel, len_bytes: 0, pages: Some(PageSums::default()) }
    }

    pub(super) fn put(&mut self, bytes: &[u8]) -> Result<(), Error> {
        for piece in bytes.chunks(PIECE_BYTES) {
            check(self.cancel)?;
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
