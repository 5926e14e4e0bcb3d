//! Owns the full check of an index segment: that its bytes are those written, that its tables are well formed, and
//! that they belong to given codes.

use phash_code::{Code, Codes};
use roaring::RoaringBitmap;
use zerocopy::little_endian::U32;

use crate::arrays::{Arrays, Table};
use crate::cut::Substring;
use crate::dense::DenseBucket;
use crate::pages::PAGE_BYTES;
use crate::shells::{Shells, is_even};
use crate::sketch::Window;
use crate::{Error, Segment};

/// The lists of one table, whole.
struct Lists<'s> {
    number: u32,
    substring: Substring,
    offsets: &'s [U32],
    ids: &'s [U32],
    dense: &'s [DenseBucket],
}

/// Entries of the list of a table, all of one bucket.
struct Bucket<'s> {
    value: u32,
    /// The place of the first entry.
    start: u32,
    ids: &'s [U32],
}

impl<const W: usize, B: AsRef<[u8]>> Segment<W, B> {
    /// Reads the whole segment: the checksum of every page, that each table lists every id exactly as often as it should
    /// and none out of range, and its shell estimates. Time linear in the bytes. A segment found good need not be checked
    /// again: later reads compare no pages.
    ///
    /// # Errors
    /// [`Error::Checksum`] or [`Error::Damaged`], naming the first part that is wrong.
    pub fn verify(&self) -> Result<(), Error> {
        let bytes = self.bytes();
        if let Err(damaged) = self.pages().check_all(bytes) {
            let page = usize::try_from(damaged.offset_bytes).unwrap_or(usize::MAX) / PAGE_BYTES;
            let (expected, got) = self.pages().sums(bytes, page).unwrap_or_default();
            let offset_bytes = damaged.offset_bytes;
            return Err(Error::Checksum { section: "page of tables", offset_bytes, expected, got });
        }
        let mut shells = Shells::new();
        self.for_each_table(|arrays, _, lists| {
            for_each_bucket(lists, self.ids().len(), |_| Ok(()))?;
            check_shells(arrays, lists, &mut shells)
        })?;
        self.pages().trust();
        Ok(())
    }

    /// [`Self::verify`], and that every id is in the right bucket of every table for these codes, with their sketches: a
    /// segment that passes finds exactly what a scan finds. Time linear in the bytes and the codes.
    ///
    /// # Errors
    /// As [`Self::verify`]; [`Error::BeyondCodes`] if there are fewer codes than the segment covers,
    /// [`Error::OtherCodes`] if a code is not where the segment says.
    pub fn verify_against<C: Codes<W> + ?Sized>(&self, codes: &C) -> Result<(), Error> {
        let ids = self.ids();
        if ids.end > codes.len() {
            return Err(Error::BeyondCodes { ids, codes: codes.len() });
        }
        self.verify()?;
        let words_of = |local: u32| {
            let id = ids.start + local;
            let code: &Code<W> = codes.get(id).ok_or(Error::MissingCode { id })?;
            Ok::<_, Error>(self.order().apply(code).to_le_words())
        };
        let mut held = None;
        self.for_each_table(|_, table, lists| {
            let other = |local| Err(Error::OtherCodes { table: lists.number, id: ids.start + local });
            let value_of = Window::of_substring::<W>(lists.substring);
            let planes: Vec<Window> =
                (0..self.meta().planes).map(|plane| Window::of_plane::<W>(lists.substring, plane)).collect();
            let mut found = RoaringBitmap::new();
            for_each_bucket(lists, ids.len(), |bucket| {
                let len = bucket.ids.len();
                let end = bucket.start.saturating_add(u32::try_from(len).unwrap_or(u32::MAX));
                let sketches = table
                    .planes(bucket.start, end)
                    .map_err(|_| Error::Damaged { what: "its sketches are gone", table: lists.number })?;
                for (i, id) in bucket.ids.iter().enumerate() {
                    let words = words_of(id.get())?;
                    let same = |(plane, window): (usize, &Window)| {
                        sketches.get(plane * len + i).is_some_and(|kept| kept.get() == window.of(&words))
                    };
                    if value_of.of(&words) != bucket.value || !planes.iter().enumerate().all(same) {
                        return other(id.get());
                    }
                    found.insert(id.get());
                }
                Ok(())
            })?;
            for bucket in lists.dense {
                let wrong = |&local: &u32| words_of(local).map(|words| value_of.of(&words) != bucket.value);
                for local in &bucket.ids {
                    if wrong(&local)? {
                        return other(local);
                    }
                }
                found |= &bucket.ids;
            }
            // Every table has as many entries as the segment holds ids (checked on opening), each id at most once in a
            // bucket and only in the bucket of its own value: so each once. They must be the same in all tables.
            let held = held.get_or_insert_with(|| found.clone());
            if *held == found {
                Ok(())
            } else {
                Err(Error::Damaged {
                    what: "it does not hold the same ids as the first",
                    table: lists.number,
                })
            }
        })
    }

    fn for_each_table(
        &self,
        mut check: impl FnMut(&Arrays<'_, W>, &Table<'_>, &Lists<'_>) -> Result<(), Error>,
    ) -> Result<(), Error> {
        for (number, &substring) in (0u32..).zip(self.tables()) {
            let gone = |_| Error::Damaged { what: "its bytes are gone", table: number };
            let arrays = self.reader().map_err(gone)?;
            let table = arrays.table(number as usize).map_err(gone)?;
            let offsets = table.offsets().map_err(gone)?;
            let ids = table.ids(0, table.listed_ids()).map_err(gone)?;
            check(
                &arrays,
                &table,
                &Lists { number, substring, offsets, ids, dense: arrays.dense(number as usize).0 },
            )?;
        }
        Ok(())
    }
}

/// Calls `visit` with each bucket that is listed and not empty, and checks the shape of the lists: they cover the array,
/// ascend, and stay below `all_ids`; dense buckets are not listed.
fn for_each_bucket(
    lists: &Lists<'_>,
    all_ids: usize,
    mut visit: impl FnMut(&Bucket<'_>) -> Result<(), Error>,
) -> Result<(), Error> {
    let damaged = |what| Err(Error::Damaged { what, table: lists.number });
    if lists.offsets.first().is_none_or(|offset| offset.get() != 0) {
        return damaged("the first bucket does not start at 0");
    }
    if lists.offsets.last().is_none_or(|offset| offset.get() as usize != lists.ids.len()) {
        return damaged("the last bucket does not end with the ids");
    }
    for (value, bounds) in (0u32..).zip(lists.offsets.windows(2)) {
        let start = bounds[0].get();
        let Some(ids) = lists.ids.get(start as usize..bounds[1].get() as usize) else {
            return damaged("a bucket ends before it starts or beyond the ids");
        };
        let mut next = 0;
        for id in ids {
            let id = id.get();
            if id < next || id as usize >= all_ids {
                return damaged("the ids of a bucket do not ascend below the number of codes");
            }
            next = id + 1;
        }
        if !ids.is_empty() {
            visit(&Bucket { value, start, ids })?;
        }
    }
    if lists.dense.iter().any(|bucket| {
        let value = bucket.value as usize;
        lists.offsets[value].get() != lists.offsets[value + 1].get()
    }) {
        return damaged("a dense bucket is listed as well");
    }
    Ok(())
}

/// Checks that the estimates are those of the buckets, listed and dense, and left out only if these are even.
fn check_shells<const W: usize>(
    arrays: &Arrays<'_, W>,
    lists: &Lists<'_>,
    shells: &mut Shells,
) -> Result<(), Error> {
    let damaged = |what| Err(Error::Damaged { what, table: lists.number });
    // The lists are sound, so the buckets can be counted.
    let read = |coarse: u32, shift: u32| arrays.shells(lists.number as usize, coarse << shift).ok().flatten();
    let even = is_even(lens(lists, 0).into_iter());
    if even != read(0, 0).is_none() {
        return damaged("it has estimates where its buckets are even, or none where they are not");
    }
    if even {
        return Ok(());
    }
    let shift = lists.substring.coarse_shift();
    let mut expected = Vec::new();
    shells.fill(lens(lists, shift).into_iter(), &mut expected);
    if (0u32..).zip(&expected).any(|(coarse, expected)| read(coarse, shift).as_ref() != Some(expected)) {
        return damaged("its estimates are not those of its buckets");
    }
    Ok(())
}

/// How many ids there are under each value without its last `shift` bits, listed and dense.
fn lens(lists: &Lists<'_>, shift: u32) -> Vec<u32> {
    let bounds = lists.offsets.iter().step_by(1 << shift);
    let mut lens: Vec<u32> =
        bounds.clone().zip(bounds.skip(1)).map(|(start, end)| end.get() - start.get()).collect();
    for bucket in lists.dense {
        let ids = u32::try_from(bucket.ids.len()).unwrap_or(u32::MAX);
        let len = &mut lens[(bucket.value >> shift) as usize];
        *len = len.saturating_add(ids);
    }
    lens
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is said of a table of two bits with these offsets and ids, for four codes. The checksums, which are looked at
    /// first, tell accidents; this tells a writer that was wrong.
    fn shape(offsets: [u32; 5], ids: &[u32], dense: &[DenseBucket]) -> Result<Vec<(u32, u32)>, String> {
        let offsets = offsets.map(U32::new);
        let ids: Vec<U32> = ids.iter().copied().map(U32::new).collect();
        let substring = Substring { first_bit: 0, len_bits: 2 };
        let lists = Lists { number: 0, substring, offsets: &offsets, ids: &ids, dense };
        let mut seen = Vec::new();
        for_each_bucket(&lists, 4, |bucket| {
            seen.extend(bucket.ids.iter().map(|id| (bucket.value, id.get())));
            Ok(())
        })
        .map_err(|error| error.to_string())?;
        Ok(seen)
    }

    #[test]
    fn each_way_a_table_can_be_malformed_is_told() {
        assert_eq!(shape([0, 1, 1, 3, 4], &[2, 0, 3, 1], &[]), Ok(vec![(0, 2), (2, 0), (2, 3), (3, 1)]));
        let refused = |offsets, ids: &[u32]| shape(offsets, ids, &[]).unwrap_err();
        assert!(refused([1, 1, 1, 3, 4], &[2, 0, 3, 1]).contains("does not start"));
        assert!(refused([0, 1, 1, 3, 3], &[2, 0, 3, 1]).contains("does not end"));
        assert!(refused([0, 3, 1, 3, 4], &[0, 2, 3, 1]).contains("ends before it starts"));
        assert!(refused([0, 9, 9, 9, 4], &[0, 2, 3, 1]).contains("beyond the ids"));
        assert!(refused([0, 1, 1, 3, 4], &[2, 3, 0, 1]).contains("do not ascend"));
        assert!(refused([0, 1, 1, 3, 4], &[2, 3, 3, 1]).contains("do not ascend"));
        assert!(refused([0, 1, 1, 3, 4], &[2, 0, 4, 1]).contains("below the number"));
        let dense = [DenseBucket { table: 0, value: 2, ids: [1].into_iter().collect() }];
        assert!(shape([0, 1, 1, 3, 4], &[2, 0, 3, 1], &dense).unwrap_err().contains("listed as well"));
    }
}
