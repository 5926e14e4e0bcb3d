//! Owns the full check of an index segment: that its bytes are those written, that its tables are well formed, and
//! that they belong to given codes.

use phash_code::{Code, Codes};

use crate::format::check_crc32;
use crate::segment::TableView;
use crate::{Error, Segment};

impl<const W: usize, B: AsRef<[u8]>> Segment<W, B> {
    /// Reads the whole segment: the checksum of every section, and that each table lists every id exactly as often as
    /// it should and none out of range. Time linear in the bytes.
    ///
    /// # Errors
    /// [`Error::Checksum`] or [`Error::Damaged`], naming the first section that is wrong.
    pub fn verify(&self) -> Result<(), Error> {
        let bytes = self.bytes();
        let layout = self.layout();
        let section = |place: &std::ops::Range<usize>| bytes.get(place.clone()).unwrap_or(&[]);
        for (place, meta) in layout.tables.iter().zip(&layout.meta.tables) {
            let (offsets, ids) = (section(&place.offsets), section(&place.ids));
            let start = place.offsets.start as u64;
            check_crc32("bucket offsets", start, meta.offsets_crc32, || crc32fast::hash(offsets))?;
            let start = place.ids.start as u64;
            check_crc32("bucket ids", start, meta.ids_crc32, || crc32fast::hash(ids))?;
        }
        let dense = section(&layout.dense);
        let start = layout.dense.start as u64;
        check_crc32("dense buckets", start, layout.meta.dense_crc32, || crc32fast::hash(dense))?;
        self.for_each_table(|number, table| {
            for_each_listed(number, table, self.ids().len(), |_, _| Ok(()))?;
            Ok(())
        })
    }

    /// [`Self::verify`], and that every id is in the right bucket of every table for these codes: a segment that
    /// passes finds exactly what a scan finds. Time linear in the bytes and the codes.
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
        self.for_each_table(|number, table| {
            let substring = table.substring;
            let check = |value: u32, local: u32| {
                let id = ids.start + local;
                let code: &Code<W> = codes.get(id).ok_or(Error::MissingCode { id })?;
                if code.bits(substring.first_bit, substring.len_bits) == u64::from(value) {
                    Ok(())
                } else {
                    Err(Error::OtherCodes { table: number, id })
                }
            };
            for_each_listed(number, table, ids.len(), check)?;
            for bucket in table.dense {
                bucket.ids.iter().try_for_each(|local| check(bucket.value, local))?;
            }
            // Every table holds as many ids as the segment covers (checked on opening), each id at most once in a
            // bucket and only in the bucket of its own value: so it holds them all.
            Ok(())
        })
    }

    fn for_each_table(
        &self,
        mut check: impl FnMut(u32, &TableView<'_>) -> Result<(), Error>,
    ) -> Result<(), Error> {
        (0u32..).zip(self.tables()).try_for_each(|(number, table)| {
            let table = table.ok_or(Error::Damaged { what: "its bytes are gone", table: number })?;
            check(number, &table)
        })
    }
}

/// Calls `visit(value, id)` for each listed id, and checks the shape of the lists: they cover the array, ascend, and
/// stay below `all_ids`; dense buckets are not listed.
fn for_each_listed(
    table_number: u32,
    table: &TableView<'_>,
    all_ids: usize,
    mut visit: impl FnMut(u32, u32) -> Result<(), Error>,
) -> Result<(), Error> {
    let damaged = |what| Err(Error::Damaged { what, table: table_number });
    if table.offsets.first().is_none_or(|offset| offset.get() != 0) {
        return damaged("the first bucket does not start at 0");
    }
    if table.offsets.last().is_none_or(|offset| offset.get() as usize != table.ids.len()) {
        return damaged("the last bucket does not end with the ids");
    }
    for (value, bounds) in (0u32..).zip(table.offsets.windows(2)) {
        let Some(bucket) = table.ids.get(bounds[0].get() as usize..bounds[1].get() as usize) else {
            return damaged("a bucket ends before it starts or beyond the ids");
        };
        let mut next = 0;
        for id in bucket {
            let id = id.get();
            if id < next || id as usize >= all_ids {
                return damaged("the ids of a bucket do not ascend below the number of codes");
            }
            next = id + 1;
            visit(value, id)?;
        }
    }
    if table.dense.iter().any(|bucket| {
        let value = bucket.value as usize;
        table.offsets[value].get() != table.offsets[value + 1].get()
    }) {
        return damaged("a dense bucket is listed as well");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cut::Substring;
    use crate::dense::DenseBucket;
    use zerocopy::little_endian::U32;

    /// What is said of a table of two bits with these offsets and ids, for four codes. The checksums, which are looked at
    /// first, tell accidents; this tells a writer that was wrong.
    fn shape(offsets: [u32; 5], ids: &[u32], dense: &[DenseBucket]) -> Result<Vec<(u32, u32)>, String> {
        let offsets = offsets.map(U32::new);
        let ids: Vec<U32> = ids.iter().copied().map(U32::new).collect();
        let substring = Substring { first_bit: 0, len_bits: 2 };
        let values: Vec<u32> = dense.iter().map(|bucket| bucket.value).collect();
        let table = TableView { substring, offsets: &offsets, ids: &ids, dense, dense_values: &values };
        let mut seen = Vec::new();
        for_each_listed(0, &table, 4, |value, id| {
            seen.push((value, id));
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
