//! Owns the making of one bucket table: a sort of the ids by the value of the substring, in two passes so that each works
//! in the caches. The first deals records (value, id, planes) out to parts by the top bits of the value; the second sorts
//! each part by counting, and lays the planes of each bucket out.

use std::sync::atomic::AtomicBool;

use phash_code::Code;
use zerocopy::little_endian::U32;

use crate::Error;
use crate::build::check;
use crate::build::dense::DenseTables;
use crate::build::source::Source;
use crate::cut::Substring;
use crate::shells::{SHELLS, Shells, bucket_lens, is_even};
use crate::sketch::Window;

/// Bytes of a part's records: with what becomes of them they fit a core's own cache.
const PART_BYTES: usize = 256 * 1024;
/// The most parts: each is written to at its own place, and the processor translates about so many at once.
const MAX_PART_BITS: u32 = 11;
/// The numbers of a record before its planes: value, id.
const RECORD: usize = 2;

/// The arrays of a table. The ids under value `v` of the substring are `ids[offsets[v]..offsets[v + 1]]`, ascending,
/// relative to the segment's first.
#[derive(Default)]
pub(super) struct Table {
    pub(super) offsets: Vec<U32>,
    pub(super) ids: Vec<U32>,
    pub(super) planes: Vec<U32>,
    /// Whether the buckets are about equally full; otherwise `shells` has the estimates.
    pub(super) even: bool,
    pub(super) shells: Vec<[u8; SHELLS]>,
}

/// What making tables needs beside them; used again for each table.
pub(super) struct Sorter {
    shells: Shells,
    /// Value, id and planes of each code, dealt out to parts.
    records: Vec<u32>,
    /// Where each part's next record goes.
    next: Vec<usize>,
    /// Where the next id of each value of a part goes.
    places: Vec<u32>,
}

/// How a table is sorted.
#[derive(Clone, Copy)]
struct Plan {
    substring: Substring,
    planes: usize,
    /// By how much a value is shifted to become the number of its part.
    part_shift: u32,
}

impl Plan {
    fn new(substring: Substring, planes: usize, codes: usize) -> Self {
        let parts = (codes * (RECORD + planes) * size_of::<u32>()).div_ceil(PART_BYTES).next_power_of_two();
        let part_bits = parts.ilog2().min(MAX_PART_BITS).min(substring.len_bits);
        Self { substring, planes, part_shift: substring.len_bits - part_bits }
    }

    fn parts(self) -> usize {
        1 << (self.substring.len_bits - self.part_shift)
    }

    fn record_len(self) -> usize {
        RECORD + self.planes
    }
}

impl Sorter {
    pub(super) fn new() -> Self {
        Self { shells: Shells::new(), records: Vec::new(), next: Vec::new(), places: Vec::new() }
    }

    /// Makes the table of a substring in place of what `memory` gives, which is asked for when half is done. None if it
    /// gives none; [`Error::Cancelled`] soon after the flag is raised.
    pub(super) fn make<const W: usize>(
        &mut self,
        source: &Source<'_, W>,
        substring: Substring,
        planes: usize,
        cancel: &AtomicBool,
        memory: impl FnOnce() -> Option<Table>,
    ) -> Result<Option<Table>, Error> {
        let plan = Plan::new(substring, planes, source.held());
        self.deal(source, plan, cancel)?;
        let Some(mut table) = memory() else { return Ok(None) };
        self.sort_parts(plan, &mut table, cancel)?;
        table.even = is_even(bucket_lens(&table.offsets));
        table.shells.clear();
        if table.even {
            return Ok(Some(table));
        }
        let step = 1 << substring.coarse_shift();
        let bounds = |coarse: usize| [table.offsets[coarse * step], table.offsets[(coarse + 1) * step]];
        let counts =
            (0..substring.coarse_values() as usize).map(bounds).map(|[start, end]| end.get() - start.get());
        self.shells.fill(counts, &mut table.shells);
        Ok(Some(table))
    }

    /// Fills `records`, each part's in order of the ids, and leaves in `next` where each part ends.
    fn deal<const W: usize>(
        &mut self,
        source: &Source<'_, W>,
        plan: Plan,
        cancel: &AtomicBool,
    ) -> Result<(), Error> {
        let value_of = Window::of_substring::<W>(plan.substring);
        let windows: Vec<Window> =
            (0u32..).take(plan.planes).map(|plane| Window::of_plane::<W>(plan.substring, plane)).collect();
        self.next.clear();
        self.next.resize(plan.parts() + 1, 0);
        source.for_each(cancel, |_, code: &Code<W>| {
            let value = value_of.of(&code.to_le_words());
            self.next[(value >> plan.part_shift) as usize + 1] += plan.record_len();
        })?;
        let mut sum = 0;
        for next in &mut self.next {
            sum += *next;
            *next = sum;
        }
        self.records.resize(sum, 0);
        source.for_each(cancel, |id, code| {
            let words = code.to_le_words();
            let value = value_of.of(&words);
            let next = &mut self.next[(value >> plan.part_shift) as usize];
            let record = &mut self.records[*next..*next + plan.record_len()];
            *next += plan.record_len();
            record[0] = value;
            record[1] = id;
            for (plane, window) in record[RECORD..].iter_mut().zip(&windows) {
                *plane = window.of(&words);
            }
        })
    }

    fn sort_parts(&mut self, plan: Plan, table: &mut Table, cancel: &AtomicBool) -> Result<(), Error> {
        let ids = self.records.len() / plan.record_len();
        let part_values = 1usize << plan.part_shift;
        table.offsets.clear();
        table.offsets.reserve(plan.parts() * part_values + 1);
        table.offsets.push(U32::ZERO);
        table.ids.resize(ids, U32::ZERO);
        table.planes.resize(ids * plan.planes, U32::ZERO);
        let mut start = 0;
        for (part, &end) in self.next[..plan.parts()].iter().enumerate() {
            check(cancel)?;
            let records = &self.records[start..end];
            let first_value = part * part_values;
            self.places.clear();
            self.places.resize(part_values, 0);
            for record in records.chunks_exact(plan.record_len()) {
                self.places[record[0] as usize - first_value] += 1;
            }
            let mut place = as_u32(start / plan.record_len());
            for next in &mut self.places {
                let count = std::mem::replace(next, place);
                place += count;
                table.offsets.push(U32::new(place));
            }
            for record in records.chunks_exact(plan.record_len()) {
                let value = record[0] as usize;
                let next = &mut self.places[value - first_value];
                let place = *next as usize;
                *next += 1;
                table.ids[place] = U32::new(record[1]);
                let bucket = table.offsets[value].get() as usize..table.offsets[value + 1].get() as usize;
                let planes = &mut table.planes[bucket.start * plan.planes..bucket.end * plan.planes];
                for (&plane, row) in record[RECORD..].iter().zip(planes.chunks_exact_mut(bucket.len())) {
                    row[place - bucket.start] = U32::new(plane);
                }
            }
            start = end;
        }
        Ok(())
    }
}

impl Table {
    /// Takes the buckets out of the lists that are smaller as bitmaps. Only in tables without planes.
    pub(super) fn move_dense_buckets(&mut self, dense: &mut DenseTables) {
        let least_ids = crate::dense::least_ids(as_u32(self.ids.len())) as usize;
        let mut moved = Vec::new();
        for value in 0..self.offsets.len() - 1 {
            let bucket = self.offsets[value].get() as usize..self.offsets[value + 1].get() as usize;
            if bucket.len() < least_ids {
                continue;
            }
            let ids: Vec<u32> = self.ids[bucket.clone()].iter().map(|id| id.get()).collect();
            if let Some(bytes) = crate::dense::encode(&ids) {
                dense.add(as_u32(value), as_u32(ids.len()), &bytes);
                moved.push((value, bucket));
            }
        }
        // Close the gaps, from the left, in one pass over offsets and ids.
        let Some((first, _)) = moved.first() else { return };
        let (mut gap, mut kept) = (0usize, self.offsets[*first].get() as usize);
        let mut moved = moved.iter().cloned().peekable();
        while let Some((value, bucket)) = moved.next() {
            let next = moved.peek();
            let until = next.map_or(self.ids.len(), |(_, bucket)| bucket.start);
            gap += bucket.len();
            self.ids.copy_within(bucket.end..until, kept);
            kept += until - bucket.end;
            let last_offset = next.map_or(self.offsets.len() - 1, |(value, _)| *value);
            for offset in &mut self.offsets[value + 1..=last_offset] {
                *offset = U32::new(offset.get() - as_u32(gap));
            }
        }
        self.ids.truncate(kept);
    }
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "counts of ids and substring values, which are 32 bits wide"
)]
fn as_u32(count: usize) -> u32 {
    count as u32
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::Ordering;

    use super::*;

    #[test]
    fn a_table_is_not_sorted_once_the_flag_is_up() {
        let codes: Vec<Code<1>> = (0..99u64).map(|i| Code::from_le_words([i])).collect();
        let (source, cancel) = (Source::Runs(vec![&codes]), AtomicBool::new(false));
        let substring = Substring { first_bit: 0, len_bits: 4 };
        let mut sorter = Sorter::new();
        let made = sorter.make(&source, substring, 0, &cancel, || Some(Table::default())).unwrap().unwrap();
        assert_eq!(made.ids.len(), 99);
        // Memory is asked for between dealing out and sorting.
        let ended = sorter.make(&source, substring, 0, &cancel, || {
            cancel.store(true, Ordering::Relaxed);
            Some(Table::default())
        });
        assert!(matches!(ended, Err(Error::Cancelled)));
    }
}
