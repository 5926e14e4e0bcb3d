//! Owns where the arrays of a segment lie: what its metadata implies, checked field by field. Places that are handed out
//! lie in the file, follow each other from the header to the metadata, and leave no byte between them.

use std::ops::Range;

use crate::cut::{MAX_LEN_BITS, Substring};
use crate::format::{HEADER_BYTES, Meta, TableMeta};
use crate::pages::PAGE_BYTES;
use crate::params::max_planes;
use crate::{Error, shells};

const U32_BYTES: u64 = 4;

/// Where a table's arrays lie in the segment.
#[derive(Clone, Debug)]
pub(crate) struct TablePlace {
    pub(crate) offsets: Range<usize>,
    pub(crate) ids: Range<usize>,
    pub(crate) planes: Range<usize>,
    /// Empty if the buckets are about equally full.
    pub(crate) shells: Range<usize>,
}

/// Where everything lies.
#[derive(Clone, Debug)]
pub(crate) struct Places {
    pub(crate) substrings: Vec<Substring>,
    /// One a substring.
    pub(crate) tables: Vec<TablePlace>,
    /// The dense buckets, one after the other. The pages end where they start.
    pub(crate) dense: Range<usize>,
    pub(crate) page_sums: Range<usize>,
}

fn damaged<T>(what: &'static str, table: usize) -> Result<T, Error> {
    Err(Error::Damaged { what, table: u32::try_from(table).unwrap_or(u32::MAX) })
}

/// Hands out consecutive ranges of bytes up to an end.
struct Taker {
    next: u64,
    end: u64,
}

impl Taker {
    fn take(&mut self, len_bytes: u64) -> Option<Range<usize>> {
        let start = self.next;
        self.next = start.checked_add(len_bytes).filter(|&next| next <= self.end)?;
        Some(usize::try_from(start).ok()?..usize::try_from(self.next).ok()?)
    }

    fn take_numbers(&mut self, numbers: u64) -> Option<Range<usize>> {
        self.take(numbers.checked_mul(U32_BYTES)?)
    }

    /// The arrays of a table.
    fn take_table(&mut self, substring: Substring, table: &TableMeta, planes: u32) -> Option<TablePlace> {
        let listed_ids = table.listed_ids;
        let estimates = if table.even { 0 } else { u64::from(substring.coarse_values()) };
        Some(TablePlace {
            offsets: self.take_numbers(u64::from(substring.values()) + 1)?,
            ids: self.take_numbers(u64::from(listed_ids))?,
            planes: self.take_numbers(u64::from(listed_ids).checked_mul(u64::from(planes))?)?,
            shells: self.take(estimates * shells::SHELLS as u64)?,
        })
    }
}

/// The substrings of the tables: from the first bit of a code of `code_bits` bits to the last.
fn substrings(meta: &Meta, code_bits: u32) -> Result<Vec<Substring>, Error> {
    let mut next_bit = 0u32;
    let mut substrings = Vec::with_capacity(meta.tables.len());
    for (number, table) in meta.tables.iter().enumerate() {
        if table.first_bit != next_bit || !(1..=MAX_LEN_BITS).contains(&table.len_bits) {
            return damaged("the substrings do not follow each other", number);
        }
        next_bit += table.len_bits;
        if next_bit > code_bits {
            return damaged("the substrings are longer than the code", number);
        }
        substrings.push(Substring { first_bit: table.first_bit, len_bits: table.len_bits });
    }
    if next_bit == code_bits {
        Ok(substrings)
    } else {
        damaged("the substrings are shorter than the code", substrings.len())
    }
}

/// How many bytes the dense buckets take. They must be in order, and hold with the lists as many ids as the segment.
fn dense_bytes(meta: &Meta, substrings: &[Substring]) -> Result<u64, Error> {
    if meta.planes > 0 && !meta.dense.is_empty() {
        return damaged("a segment with sketches has dense buckets", 0);
    }
    let mut dense = meta.dense.iter().peekable();
    let mut bytes = 0u64;
    for (number, (table, substring)) in meta.tables.iter().zip(substrings).enumerate() {
        let mut bucketed = u64::from(table.listed_ids);
        let mut last_value = None;
        while let Some(bucket) = dense.next_if(|bucket| bucket.table as usize == number) {
            if bucket.value >= substring.values() || last_value.is_some_and(|last| last >= bucket.value) {
                return damaged("the dense buckets are out of order", number);
            }
            last_value = Some(bucket.value);
            bucketed += u64::from(bucket.ids);
            bytes += u64::from(bucket.len_bytes);
        }
        if bucketed != u64::from(meta.held_ids) {
            return damaged("the buckets do not hold as many ids as the segment", number);
        }
    }
    if dense.next().is_some() {
        damaged("a dense bucket belongs to no table", substrings.len())
    } else {
        Ok(bytes)
    }
}

impl Places {
    /// Lays the sections out one after the other from the header to `end`; they must meet it exactly.
    pub(crate) fn of(meta: &Meta, code_bits: u32, end: usize) -> Result<Self, Error> {
        match meta.end_id.checked_sub(meta.first_id) {
            None => return damaged("its ids run backwards", 0),
            Some(ids) if meta.held_ids > ids => return damaged("it holds more ids than it covers", 0),
            Some(_) => {}
        }
        if meta.planes > max_planes((code_bits / u64::BITS) as usize) {
            return damaged("its sketches are longer than the code", 0);
        }
        let substrings = substrings(meta, code_bits)?;
        let dense_bytes = dense_bytes(meta, &substrings)?;
        let mut taker = Taker { next: HEADER_BYTES as u64, end: end as u64 };
        let mut tables = Vec::with_capacity(substrings.len());
        for (number, (table, &substring)) in meta.tables.iter().zip(&substrings).enumerate() {
            let Some(place) = taker.take_table(substring, table, meta.planes) else {
                return damaged("the tables are longer than the segment", number);
            };
            tables.push(place);
        }
        let pages = taker.next.div_ceil(PAGE_BYTES as u64);
        let ending = taker.take(dense_bytes).zip(taker.take_numbers(pages));
        match ending {
            Some((dense, page_sums)) if page_sums.end == end => {
                Ok(Self { substrings, tables, dense, page_sums })
            }
            _ => {
                damaged("the dense buckets and page sums do not end where the metadata begins", tables.len())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::DenseMeta;

    /// A segment of ids 10..15 over 64 bits in three tables, and where its metadata would start.
    fn sound() -> (Meta, usize) {
        let tables: Vec<TableMeta> = [(0, 22), (22, 21), (43, 21)]
            .map(|(first_bit, len_bits)| TableMeta {
                first_bit,
                len_bits,
                listed_ids: if first_bit == 22 { 2 } else { 5 },
                even: false,
            })
            .into();
        let dense =
            [(4, 1), (9, 2)].map(|(value, ids)| DenseMeta { table: 1, value, ids, len_bytes: 100 }).into();
        let arrays: usize = 16 + 4 * ((1 << 22) + (2 << 21) + 3) + 4 * 12 + 3 * (4 << 20);
        let meta = Meta {
            first_id: 10,
            end_id: 15,
            held_ids: 5,
            planes: 0,
            order: Vec::new(),
            tables,
            dense,
            dense_crc32: 0,
            page_sums_crc32: 0,
        };
        (meta, arrays + 200 + 4 * arrays.div_ceil(4096))
    }

    /// What is said of the sound segment after `change`.
    fn refused(change: impl FnOnce(&mut Meta)) -> &'static str {
        let (mut meta, end) = sound();
        change(&mut meta);
        match Places::of(&meta, 64, end) {
            Err(Error::Damaged { what, .. }) => what,
            other => panic!("not refused: {other:?}"),
        }
    }

    #[test]
    fn a_sound_layout_is_accepted_and_only_at_its_own_length() {
        let (meta, end) = sound();
        let places = Places::of(&meta, 64, end).unwrap();
        assert_eq!(places.tables[0].offsets, 16..16 + 4 * ((1 << 22) + 1));
        assert_eq!(places.tables[0].shells.len(), 4 << 20);
        assert_eq!((places.dense.len(), places.page_sums.end), (200, end));
        assert_eq!(places.page_sums.len() / 4, places.dense.start.div_ceil(4096));
        assert!(Places::of(&meta, 64, end - 1).is_err() && Places::of(&meta, 64, end + 1).is_err());
        assert!(Places::of(&meta, 64, 20).is_err() && Places::of(&meta, 128, end).is_err());
    }

    #[test]
    fn an_even_table_has_no_estimates() {
        let (mut meta, end) = sound();
        meta.tables[1].even = true;
        assert!(Places::of(&meta, 64, end).is_err());
        let end = end - (4 << 20) - 4 * ((4 << 20) / 4096);
        let places = Places::of(&meta, 64, end).unwrap();
        assert_eq!((places.tables[1].shells.len(), places.tables[2].shells.len()), (0, 4 << 20));
    }

    #[test]
    fn planes_lie_between_ids_and_shells() {
        let (mut meta, _) = sound();
        meta.dense.clear();
        meta.tables[1].listed_ids = 5;
        meta.planes = 2;
        let arrays: usize = 16 + 4 * ((1 << 22) + (2 << 21) + 3) + 3 * 5 * 12 + 3 * (4 << 20);
        let end = arrays + 4 * arrays.div_ceil(4096);
        let places = Places::of(&meta, 64, end).unwrap();
        let [ids, planes, shells] =
            [&places.tables[2].ids, &places.tables[2].planes, &places.tables[2].shells];
        assert_eq!((ids.len(), planes.start, planes.len(), shells.start), (20, ids.end, 40, planes.end));
        meta.planes = 3;
        assert!(Places::of(&meta, 64, end + 60).is_err());
    }

    #[test]
    fn each_contradiction_in_the_metadata_is_told() {
        assert!(refused(|meta| meta.first_id = 16).contains("backwards"));
        assert!(refused(|meta| meta.held_ids = 6).contains("more ids"));
        assert!(refused(|meta| meta.held_ids = 4).contains("as many ids"));
        assert!(refused(|meta| meta.end_id = 14).contains("more ids"));
        assert!(refused(|meta| meta.planes = 3).contains("longer than the code"));
        assert!(refused(|meta| meta.planes = 2).contains("has dense buckets"));
        assert!(refused(|meta| meta.tables[0].listed_ids = 6).contains("as many ids"));
        assert!(refused(|meta| meta.dense[1].ids = 3).contains("as many ids"));
        assert!(refused(|meta| meta.tables[1].first_bit = 23).contains("follow each other"));
        assert!(refused(|meta| meta.tables[0].len_bits = 0).contains("follow each other"));
        assert!(refused(|meta| meta.tables[0].len_bits = 27).contains("follow each other"));
        assert!(refused(|meta| meta.tables[2].len_bits = 22).contains("longer than the code"));
        assert!(refused(|meta| meta.tables[2].len_bits = 20).contains("shorter than the code"));
        assert!(refused(|meta| meta.tables.clear()).contains("shorter than the code"));
        assert!(refused(|meta| meta.tables[0].len_bits = 26).contains("follow each other"));
        assert!(refused(|meta| meta.dense[1].value = 4).contains("out of order"));
        assert!(refused(|meta| meta.dense[1].value = 1 << 21).contains("out of order"));
        assert!(refused(|meta| meta.dense[1].table = 3).contains("as many ids"));
        assert!(
            refused(|meta| meta.dense.push(DenseMeta { table: 3, value: 0, ids: 0, len_bytes: 0 }))
                .contains("no table")
        );
        assert!(refused(|meta| meta.dense[0].len_bytes = 99).contains("do not end"));
        assert!(refused(|meta| meta.dense[0].len_bytes = u32::MAX).contains("do not end"));
        let lists = |ids| {
            refused(|meta| {
                (meta.end_id, meta.held_ids) = (meta.first_id + ids, ids);
                meta.dense.clear();
                meta.tables.iter_mut().for_each(|table| table.listed_ids = ids);
            })
        };
        assert!(lists(u32::MAX - 10).contains("longer than the segment"));
    }
}
