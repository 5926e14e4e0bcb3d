//! Owns the check of pages: each 4 KiB of a segment's arrays has a CRC32, and the first read of a page compares it.
//!
//! What must hold: no byte of an array is handed out before its page was found good, unless the whole segment was (it was
//! built here, or verified). A page found good is not looked at again.

use std::ops::Range;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use zerocopy::FromBytes;
use zerocopy::little_endian::U32;

/// Bytes of a page, and of the file: page `i` is bytes `4096 i..4096 (i + 1)` of the segment, the last one shorter.
pub(crate) const PAGE_BYTES: usize = 4096;

/// The segment contradicts itself at this place; it must not be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Damaged {
    pub(crate) offset_bytes: u64,
}

impl Damaged {
    #[cold]
    pub(crate) fn at(offset_bytes: usize) -> Self {
        Self { offset_bytes: offset_bytes as u64 }
    }
}

/// Which pages of a segment are known to be good.
#[derive(Debug)]
pub(crate) struct Pages {
    /// Where the paged bytes end.
    end: usize,
    /// Where the CRC32 of each page lies, four bytes each.
    sums: Range<usize>,
    /// A bit a page. Relaxed: a bit says only that bytes that never change were compared once.
    good: Vec<AtomicU64>,
    all_good: AtomicBool,
}

impl Clone for Pages {
    fn clone(&self) -> Self {
        let good = self.good.iter().map(|bits| AtomicU64::new(bits.load(Ordering::Relaxed))).collect();
        let all_good = AtomicBool::new(self.all_good());
        Self { end: self.end, sums: self.sums.clone(), good, all_good }
    }
}

impl Pages {
    /// For bytes `0..end` with the sums at `sums`, 4 bytes a page. No page is known to be good yet.
    pub(crate) fn new(end: usize, sums: Range<usize>) -> Self {
        let words = end.div_ceil(PAGE_BYTES).div_ceil(64);
        let good = std::iter::repeat_with(AtomicU64::default).take(words).collect();
        Self { end, sums, good, all_good: AtomicBool::new(false) }
    }

    /// Whether every page is known to be good.
    #[inline]
    pub(crate) fn all_good(&self) -> bool {
        self.all_good.load(Ordering::Relaxed)
    }

    /// Every page is good: the caller knows.
    pub(crate) fn trust(&self) {
        self.all_good.store(true, Ordering::Relaxed);
    }

    /// Makes sure that the pages of `range`, which is not empty, are good. `bytes` is the whole segment.
    #[inline]
    pub(crate) fn check(&self, bytes: &[u8], range: Range<usize>) -> Result<(), Damaged> {
        let last = range.end.saturating_sub(1) / PAGE_BYTES;
        for page in range.start / PAGE_BYTES..=last {
            let bits = self.good.get(page / 64).map_or(0, |bits| bits.load(Ordering::Relaxed));
            if bits >> (page % 64) & 1 == 0 {
                self.compare(bytes, page)?;
            }
        }
        Ok(())
    }

    /// Compares every page with its sum.
    pub(crate) fn check_all(&self, bytes: &[u8]) -> Result<(), Damaged> {
        (0..self.end.div_ceil(PAGE_BYTES)).try_for_each(|page| self.compare(bytes, page))
    }

    /// The CRC32 that a page should have and the one it has.
    pub(crate) fn sums(&self, bytes: &[u8], page: usize) -> Option<(u32, u32)> {
        let sums = <[U32]>::ref_from_bytes(bytes.get(self.sums.clone())?).ok()?;
        let start = page.checked_mul(PAGE_BYTES)?;
        let content = bytes.get(start..start.checked_add(PAGE_BYTES)?.min(self.end))?;
        Some((sums.get(page)?.get(), crc32fast::hash(content)))
    }

    #[cold]
    #[inline(never)]
    fn compare(&self, bytes: &[u8], page: usize) -> Result<(), Damaged> {
        match (self.sums(bytes, page), self.good.get(page / 64)) {
            (Some((expected, got)), Some(bits)) if expected == got => {
                bits.fetch_or(1 << (page % 64), Ordering::Relaxed);
                Ok(())
            }
            _ => Err(Damaged::at(page.saturating_mul(PAGE_BYTES))),
        }
    }
}

/// The CRC32 of each page of bytes that arrive piece by piece.
#[derive(Default)]
pub(crate) struct PageSums {
    page: crc32fast::Hasher,
    /// Bytes of the page that is not full yet.
    len_bytes: usize,
    sums: Vec<U32>,
}

impl PageSums {
    pub(crate) fn add(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let (now, later) = bytes.split_at(bytes.len().min(PAGE_BYTES - self.len_bytes));
            self.page.update(now);
            self.len_bytes += now.len();
            bytes = later;
            if self.len_bytes == PAGE_BYTES {
                self.end_page();
            }
        }
    }

    /// The sums of all pages, the last one perhaps not full.
    pub(crate) fn finish(mut self) -> Vec<U32> {
        if self.len_bytes > 0 {
            self.end_page();
        }
        self.sums
    }

    fn end_page(&mut self) {
        self.sums.push(U32::new(std::mem::take(&mut self.page).finalize()));
        self.len_bytes = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use zerocopy::IntoBytes;

    /// Three pages and a bit, and their sums.
    fn sound() -> (Vec<u8>, Pages) {
        let mut bytes: Vec<u8> = (0..3 * PAGE_BYTES + 100).map(|i| u8::try_from(i % 251).unwrap()).collect();
        let end = bytes.len();
        let mut sums = PageSums::default();
        for piece in bytes.chunks(1000) {
            sums.add(piece);
        }
        bytes.extend_from_slice(sums.finish().as_bytes());
        let pages = Pages::new(end, end..bytes.len());
        (bytes, pages)
    }

    #[test]
    fn sums_are_those_of_each_page_however_the_bytes_arrive() {
        let (bytes, pages) = sound();
        assert_eq!(pages.check_all(&bytes), Ok(()));
        assert_eq!(bytes.len(), 3 * PAGE_BYTES + 100 + 4 * 4);
        let third = crc32fast::hash(&bytes[2 * PAGE_BYTES..3 * PAGE_BYTES]);
        assert_eq!(pages.sums(&bytes, 2), Some((third, third)));
        assert!(PageSums::default().finish().is_empty());
    }

    #[test]
    fn a_changed_byte_damages_its_page_and_no_other() {
        let (mut bytes, pages) = sound();
        bytes[PAGE_BYTES + 7] ^= 1;
        assert_eq!(pages.check(&bytes, 0..PAGE_BYTES), Ok(()));
        assert_eq!(pages.check(&bytes, 2 * PAGE_BYTES..3 * PAGE_BYTES + 100), Ok(()));
        let damaged = Err(Damaged { offset_bytes: PAGE_BYTES as u64 });
        assert_eq!(pages.check(&bytes, PAGE_BYTES - 1..PAGE_BYTES + 1), damaged);
        assert_eq!(pages.check(&bytes, PAGE_BYTES + 9..PAGE_BYTES + 10), damaged);
        assert_eq!(pages.check_all(&bytes), damaged);
        // And no page has a sum beyond the last.
        assert!(pages.check(&bytes, 4 * PAGE_BYTES..4 * PAGE_BYTES + 1).is_err());
    }

    #[test]
    fn a_page_is_compared_once() {
        let (mut bytes, pages) = sound();
        assert_eq!(pages.check(&bytes, 5..6), Ok(()));
        bytes[5] ^= 1;
        assert_eq!(pages.check(&bytes, 5..6), Ok(()));
        assert_eq!(pages.clone().check(&bytes, 5..6), Ok(()));
        assert!(pages.check_all(&bytes).is_err());
        assert!(!pages.all_good() && !pages.clone().all_good());
        pages.trust();
        assert!(pages.all_good() && pages.clone().all_good());
    }
}
