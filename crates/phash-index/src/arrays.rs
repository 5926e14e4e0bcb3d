//! Owns the reading of a segment's arrays: every read is checked, its pages on first touch and its numbers each time, so
//! that neither damage nor a forger's bytes lead out of an array.

use std::ops::Range;

use zerocopy::FromBytes;
use zerocopy::little_endian::U32;

use crate::dense::{DenseBucket, DenseBuckets};
use crate::format::Meta;
use crate::pages::{Damaged, Pages};
use crate::places::{Places, TablePlace};
use crate::shells::SHELLS;

const U32_BYTES: usize = size_of::<U32>();

/// The arrays of a segment, for one query.
#[derive(Clone, Copy)]
pub(crate) struct Arrays<'s, const W: usize> {
    bytes: &'s [u8],
    meta: &'s Meta,
    places: &'s Places,
    dense: &'s DenseBuckets,
    pages: &'s Pages,
    planes: usize,
    trusted: bool,
}

impl<'s, const W: usize> Arrays<'s, W> {
    pub(crate) fn new(
        bytes: &'s [u8],
        meta: &'s Meta,
        places: &'s Places,
        dense: &'s DenseBuckets,
        pages: &'s Pages,
    ) -> Self {
        Self { bytes, meta, places, dense, pages, planes: meta.planes as usize, trusted: pages.all_good() }
    }

    /// Whether all pages are known to be good, so that reads compare none.
    #[inline(always)]
    pub(crate) fn trusted(&self) -> bool {
        self.trusted
    }

    /// Where the entries of bucket `value` start and end: `start <= end <=` the listed ids of the table.
    #[inline(always)]
    pub(crate) fn bucket(&self, table: usize, value: u32) -> Result<(u32, u32), Damaged> {
        let place = self.place(table)?;
        let at = value as usize * U32_BYTES;
        let bounds = self.read(&place.offsets, at..at + 2 * U32_BYTES)?;
        let &[start, end] =
            <[U32; 2]>::ref_from_bytes(bounds).map_err(|_| Damaged::at(place.offsets.start))?;
        let (start, end) = (start.get(), end.get());
        if start > end || end as usize > place.ids.len() / U32_BYTES {
            return Err(Damaged::at(place.offsets.start + at));
        }
        Ok((start, end))
    }

    /// The ids of entries `start..end`, relative to the segment's first. A forged segment may hold any numbers.
    #[inline(always)]
    pub(crate) fn ids(&self, table: usize, start: u32, end: u32) -> Result<&'s [U32], Damaged> {
        let place = self.place(table)?;
        self.numbers(&place.ids, start as usize, end as usize)
    }

    /// The planes of a bucket of entries `start..end`, plane by plane; nothing in the compact layout.
    #[inline(always)]
    pub(crate) fn planes(&self, table: usize, start: u32, end: u32) -> Result<&'s [U32], Damaged> {
        let place = self.place(table)?;
        // No overflow: 2^32 entries of at most 2^28 planes, on 64 bits; on 32 the segment itself would not fit.
        let at = |entry: u32| (entry as usize).saturating_mul(self.planes);
        self.numbers(&place.planes, at(start), at(end))
    }

    /// The shell estimates of `value`, one a distance.
    #[inline(always)]
    pub(crate) fn shells(&self, table: usize, value: u32) -> Result<[u8; SHELLS], Damaged> {
        let place = self.place(table)?;
        let shift = self.places.substrings.get(table).map_or(0, |substring| substring.coarse_shift());
        let at = (value >> shift) as usize * SHELLS;
        let bytes = self.read(&place.shells, at..at + SHELLS)?;
        bytes.try_into().map_err(|_| Damaged::at(place.shells.start))
    }

    /// The offsets of a table, one more than its substring has values. Compares all their pages.
    pub(crate) fn offsets(&self, table: usize) -> Result<&'s [U32], Damaged> {
        let place = self.place(table)?;
        self.numbers(&place.offsets, 0, place.offsets.len() / U32_BYTES)
    }

    /// The dense buckets of a table and their values, which ascend. They are empty in the offsets.
    pub(crate) fn dense(&self, table: usize) -> (&'s [DenseBucket], &'s [u32]) {
        self.dense.of(table)
    }

    /// How many ids a table lists.
    pub(crate) fn listed_ids(&self, table: usize) -> u32 {
        self.meta.tables.get(table).map_or(0, |table| table.listed_ids)
    }

    #[inline(always)]
    fn place(&self, table: usize) -> Result<&'s TablePlace, Damaged> {
        self.places.tables.get(table).ok_or(Damaged { offset_bytes: 0 })
    }

    #[inline(always)]
    fn numbers(&self, place: &Range<usize>, start: usize, end: usize) -> Result<&'s [U32], Damaged> {
        let at = |entry: usize| entry.saturating_mul(U32_BYTES);
        let bytes = self.read(place, at(start)..at(end))?;
        <[U32]>::ref_from_bytes(bytes).map_err(|_| Damaged::at(place.start))
    }

    /// Bytes `part` of the array at `place`, their pages good.
    #[inline(always)]
    fn read(&self, place: &Range<usize>, part: Range<usize>) -> Result<&'s [u8], Damaged> {
        let array = self.bytes.get(place.clone()).ok_or(Damaged { offset_bytes: place.start as u64 })?;
        let Some(bytes) = array.get(part.clone()) else { return Err(Damaged::at(place.start)) };
        if !self.trusted && !bytes.is_empty() {
            self.pages.check(self.bytes, place.start + part.start..place.start + part.end)?;
        }
        Ok(bytes)
    }
}
