//! Owns the reading of a segment's arrays: every read is checked, its pages on first touch and its numbers each time, so
//! that neither damage nor a forger's bytes lead out of an array.

use std::ops::Range;

use phash_code::prefetch;
use zerocopy::FromBytes;
use zerocopy::little_endian::U32;

use crate::bit_order::BitOrder;
use crate::dense::{DenseBucket, DenseBuckets};
use crate::pages::{Damaged, Pages};
use crate::places::Places;
use crate::shells::SHELLS;

const U32_BYTES: usize = size_of::<U32>();
/// Bytes that the processor reads from memory at once.
const LINE_BYTES: usize = 64;
/// Lines of a bucket that are asked for ahead.
const MOST_LINES: usize = 20;

/// The arrays of a segment, for one query.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Arrays<'s, const W: usize> {
    /// As long as they were when the segment was opened.
    pub(crate) bytes: &'s [u8],
    pub(crate) places: &'s Places,
    pub(crate) dense: &'s DenseBuckets,
    pub(crate) order: &'s BitOrder<W>,
    pub(crate) pages: &'s Pages,
    pub(crate) planes: usize,
    /// Whether all pages are known to be good.
    pub(crate) trusted: bool,
}

/// The arrays of one table.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Table<'s> {
    bytes: &'s [u8],
    pages: &'s Pages,
    trusted: bool,
    planes: usize,
    offsets: Array<'s>,
    ids: Array<'s>,
    sketches: Array<'s>,
}

/// An array, and where it starts in the segment.
#[derive(Clone, Copy, Debug)]
struct Array<'s> {
    bytes: &'s [u8],
    start: usize,
}

impl<'s, const W: usize> Arrays<'s, W> {
    /// The planes of a sketch; 0 in the compact layout.
    #[inline]
    pub(crate) fn plane_count(&self) -> usize {
        self.planes
    }

    /// The order in which the segment takes the bits of a code.
    #[inline]
    pub(crate) fn order(&self) -> &'s BitOrder<W> {
        self.order
    }

    /// The arrays of one table: for reading it many times.
    #[inline]
    pub(crate) fn table(&self, table: usize) -> Result<Table<'s>, Damaged> {
        let unknown = Damaged { offset_bytes: 0 };
        let place = self.places.tables.get(table).ok_or(unknown)?;
        let array = |range: &Range<usize>| {
            let bytes = self.bytes.get(range.clone()).ok_or(Damaged { offset_bytes: range.start as u64 })?;
            Ok(Array { bytes, start: range.start })
        };
        Ok(Table {
            bytes: self.bytes,
            pages: self.pages,
            trusted: self.trusted,
            planes: self.planes,
            offsets: array(&place.offsets)?,
            ids: array(&place.ids)?,
            sketches: array(&place.planes)?,
        })
    }

    /// Hints that the bucket of `value` will be looked up.
    #[inline(always)]
    pub(crate) fn prefetch_offsets(&self, table: usize, value: u32) {
        if let Some(place) = self.places.tables.get(table) {
            prefetch(self.bytes, place.offsets.start.wrapping_add(value as usize * U32_BYTES));
        }
    }

    /// Hints that the estimates of `value` will be read, if the table has any.
    #[inline(always)]
    pub(crate) fn prefetch_shells(&self, table: usize, value: u32) {
        if let Some((place, coarse)) = self.shells_of(table, value) {
            prefetch(self.bytes, place.start.wrapping_add(coarse * SHELLS));
        }
    }

    /// The shell estimates of `value` in a table, one a distance; `None` if the table is even.
    #[inline]
    pub(crate) fn shells(&self, table: usize, value: u32) -> Result<Option<[u8; SHELLS]>, Damaged> {
        let Some((place, coarse)) = self.shells_of(table, value) else { return Ok(None) };
        let at = place.start + coarse * SHELLS;
        let bytes = self.bytes.get(at..at + SHELLS).ok_or(Damaged::at(at))?;
        if !self.trusted {
            self.pages.check(self.bytes, at..at + SHELLS)?;
        }
        bytes.try_into().map(Some).map_err(|_| Damaged::at(at))
    }

    /// Where the estimates of a table lie, and which of them is that of `value`.
    #[inline(always)]
    fn shells_of(&self, table: usize, value: u32) -> Option<(&'s Range<usize>, usize)> {
        let place = self.places.tables.get(table).filter(|place| !place.shells.is_empty())?;
        let substring = self.places.substrings.get(table)?;
        Some((&place.shells, (value >> substring.coarse_shift()) as usize))
    }

    /// The dense buckets of a table and their values, which ascend. They are empty in the offsets.
    pub(crate) fn dense(&self, table: usize) -> (&'s [DenseBucket], &'s [u32]) {
        self.dense.of(table)
    }
}

impl<'s> Table<'s> {
    /// Where the entries of bucket `value` start and end: `start <= end <=` the listed ids of the table.
    #[inline(always)]
    pub(crate) fn bucket(&self, value: u32) -> Result<(u32, u32), Damaged> {
        let at = value as usize * U32_BYTES;
        let bounds = self.read(&self.offsets, at..at + 2 * U32_BYTES)?;
        let Ok(&[start, end]) = <[U32; 2]>::ref_from_bytes(bounds) else {
            return Err(Damaged::at(self.offsets.start));
        };
        let (start, end) = (start.get(), end.get());
        if start > end || end > self.listed_ids() {
            return Err(Damaged::at(self.offsets.start + at));
        }
        Ok((start, end))
    }

    /// The id of an entry, relative to the segment's first. A forged segment may hold any number.
    #[inline(always)]
    pub(crate) fn id(&self, entry: usize) -> Result<u32, Damaged> {
        let ids = self.numbers(&self.ids, entry, entry.saturating_add(1))?;
        ids.first().map(|id| id.get()).ok_or(Damaged::at(self.ids.start))
    }

    /// Hints that a bucket of entries `start..end` will be read; returns how many lines of memory that is.
    #[inline(always)]
    pub(crate) fn prefetch_bucket(&self, start: u32, end: u32, first_planes: usize) -> usize {
        let (array, numbers) = if self.planes == 0 { (&self.ids, 1) } else { (&self.sketches, self.planes) };
        let first = (start as usize).wrapping_mul(numbers * U32_BYTES);
        let lines = self.bucket_lines(start, end, first_planes);
        for line in 0..lines {
            prefetch(array.bytes, first.wrapping_add(line * LINE_BYTES));
        }
        lines
    }

    /// How many lines of memory a bucket is asked for by: not all of a long one, as the processor follows a sequence by
    /// itself, and of many planes the first ones, as most entries need no more.
    #[inline(always)]
    pub(crate) fn bucket_lines(&self, start: u32, end: u32, first_planes: usize) -> usize {
        let numbers = self.planes.min(first_planes).max(1);
        1 + ((end.saturating_sub(start)) as usize * numbers * U32_BYTES / LINE_BYTES).min(MOST_LINES - 1)
    }

    /// The ids of entries `start..end`, relative to the segment's first. A forged segment may hold any numbers.
    #[inline(always)]
    pub(crate) fn ids(&self, start: u32, end: u32) -> Result<&'s [U32], Damaged> {
        self.numbers(&self.ids, start as usize, end as usize)
    }

    /// The planes of a bucket of entries `start..end`, plane by plane; nothing in the compact layout.
    #[inline(always)]
    pub(crate) fn planes(&self, start: u32, end: u32) -> Result<&'s [U32], Damaged> {
        // On 64 bits 2^32 entries of some planes do not overflow; on 32 the array itself would not fit.
        let at = |entry: u32| (entry as usize).saturating_mul(self.planes);
        self.numbers(&self.sketches, at(start), at(end))
    }

    /// How many ids the table lists.
    #[inline(always)]
    #[expect(clippy::cast_possible_truncation, reason = "the metadata says it in 32 bits")]
    pub(crate) fn listed_ids(&self) -> u32 {
        (self.ids.bytes.len() / U32_BYTES) as u32
    }

    /// All offsets, one more than the substring has values. Compares all their pages.
    pub(crate) fn offsets(&self) -> Result<&'s [U32], Damaged> {
        self.numbers(&self.offsets, 0, self.offsets.bytes.len() / U32_BYTES)
    }

    #[inline(always)]
    fn numbers(&self, array: &Array<'s>, start: usize, end: usize) -> Result<&'s [U32], Damaged> {
        let at = |entry: usize| entry.saturating_mul(U32_BYTES);
        let bytes = self.read(array, at(start)..at(end))?;
        <[U32]>::ref_from_bytes(bytes).map_err(|_| Damaged::at(array.start))
    }

    /// Bytes `part` of an array, their pages good.
    #[inline(always)]
    fn read(&self, array: &Array<'s>, part: Range<usize>) -> Result<&'s [u8], Damaged> {
        let Some(bytes) = array.bytes.get(part.clone()) else { return Err(Damaged::at(array.start)) };
        if !self.trusted && !bytes.is_empty() {
            self.pages.check(self.bytes, array.start + part.start..array.start + part.end)?;
        }
        Ok(bytes)
    }
}

#[cfg(test)]
mod tests;
