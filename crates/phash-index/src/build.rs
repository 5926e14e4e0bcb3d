//! Owns the building of index segments: for each substring a counting sort of the ids by its value, written table by
//! table so that memory holds one table at a time. The same codes and parameters give the same bytes everywhere.

use std::io::Write;
use std::ops::Range;

use phash_code::{Code, Codes};
use zerocopy::IntoBytes;
use zerocopy::little_endian::U32;

use crate::cut::{Substring, cut};
use crate::format::{self, DenseMeta, Meta, TableMeta};
use crate::scan::for_each_run;
use crate::{BuildParams, Error, dense};

/// Builds the index segment of the codes `ids`, in memory: [`write_segment`] into a vector.
///
/// # Errors
/// As [`write_segment`], but for writing.
pub fn build_segment<const W: usize, C: Codes<W> + ?Sized>(
    codes: &C,
    ids: Range<u32>,
    params: &BuildParams,
) -> Result<Vec<u8>, Error> {
    let mut bytes = Vec::new();
    write_segment(codes, ids, params, &mut bytes)?;
    Ok(bytes)
}

/// Builds the index segment of the codes `ids` and writes it, without seeking. Returns the number of bytes written;
/// they are not flushed or synced.
///
/// With `m` substrings of `s` bits and `n` ids: time `O(m * (n + 2^s))`; memory `O(n + 2^s)` for one table, plus the
/// dense buckets (smaller than their ids); size of the segment about `4 * m * (n + 2^s)` bytes.
///
/// # Errors
/// [`Error::Ids`] if `ids` does not lie within the codes, [`Error::Substrings`] if the parameters do not fit the width,
/// [`Error::MissingCode`] if the collection has fewer codes than it says, [`Error::Io`] if writing fails.
pub fn write_segment<const W: usize, C: Codes<W> + ?Sized>(
    codes: &C,
    ids: Range<u32>,
    params: &BuildParams,
    mut out: impl Write,
) -> Result<u64, Error> {
    if ids.start > ids.end || ids.end > codes.len() {
        return Err(Error::Ids { ids, codes: codes.len() });
    }
    let count = ids.end - ids.start;
    let code_bits = Code::<W>::BITS;
    let substrings = cut(code_bits, params.substrings, count)?;

    let mut len_bytes = 0;
    let mut put = |bytes: &[u8]| -> Result<u32, Error> {
        out.write_all(bytes)?;
        len_bytes += bytes.len() as u64;
        Ok(crc32fast::hash(bytes))
    };
    put(&format::header(code_bits))?;
    let mut dense = DenseBuckets::default();
    let mut tables = Vec::with_capacity(substrings.len());
    for (number, substring) in (0u32..).zip(substrings) {
        let mut table = Table::of(codes, &ids, substring)?;
        table.move_dense_buckets(number, &mut dense);
        tables.push(TableMeta {
            first_bit: substring.first_bit,
            len_bits: substring.len_bits,
            listed_ids: as_u32(table.ids.len()),
            offsets_crc32: put(table.offsets.as_bytes())?,
            ids_crc32: put(table.ids.as_bytes())?,
        });
    }
    let dense_crc32 = put(&dense.bytes)?;
    let meta = Meta { first_id: ids.start, end_id: ids.end, tables, dense: dense.buckets, dense_crc32 };
    let ending = format::ending(&meta, code_bits, len_bytes)?;
    out.write_all(&ending)?;
    Ok(len_bytes + ending.len() as u64)
}

#[derive(Default)]
struct DenseBuckets {
    buckets: Vec<DenseMeta>,
    bytes: Vec<u8>,
}

/// The ids under value `v` of the substring are `ids[offsets[v]..offsets[v + 1]]`, ascending, relative to the first.
struct Table {
    offsets: Vec<U32>,
    ids: Vec<U32>,
}

impl Table {
    fn of<const W: usize, C: Codes<W> + ?Sized>(
        codes: &C,
        ids: &Range<u32>,
        substring: Substring,
    ) -> Result<Self, Error> {
        let mut values = Vec::with_capacity(ids.len());
        for_each_run(codes, ids.clone(), |_, run| {
            #[expect(clippy::cast_possible_truncation, reason = "at most MAX_LEN_BITS bits")]
            values.extend(run.iter().map(|code| code.bits(substring.first_bit, substring.len_bits) as u32));
        });
        if values.len() != ids.len() {
            return Err(Error::MissingCode { id: ids.start + as_u32(values.len()) });
        }
        // A counting sort: `ends[v]` becomes the place of the next id under v, and in the end that of v + 1.
        let mut ends = vec![0u32; substring.values() as usize + 1];
        for &value in &values {
            ends[value as usize + 1] += 1;
        }
        let mut sum = 0;
        for end in &mut ends {
            sum += *end;
            *end = sum;
        }
        let offsets = ends.iter().map(|&end| U32::new(end)).collect();
        let mut sorted = vec![U32::ZERO; values.len()];
        for (id, &value) in (0u32..).zip(&values) {
            let place = &mut ends[value as usize];
            sorted[*place as usize] = U32::new(id);
            *place += 1;
        }
        Ok(Self { offsets, ids: sorted })
    }

    /// Takes the buckets out of the lists that are smaller as bitmaps.
    fn move_dense_buckets(&mut self, table: u32, dense: &mut DenseBuckets) {
        let least_ids = dense::least_ids(as_u32(self.ids.len())) as usize;
        let mut moved = Vec::new();
        for value in 0..self.offsets.len() - 1 {
            let bucket = self.offsets[value].get() as usize..self.offsets[value + 1].get() as usize;
            if bucket.len() < least_ids {
                continue;
            }
            let ids: Vec<u32> = self.ids[bucket.clone()].iter().map(|id| id.get()).collect();
            if let Some(bytes) = dense::encode(&ids) {
                dense.buckets.push(DenseMeta {
                    table,
                    value: as_u32(value),
                    ids: as_u32(ids.len()),
                    len_bytes: as_u32(bytes.len()),
                });
                dense.bytes.extend_from_slice(&bytes);
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
