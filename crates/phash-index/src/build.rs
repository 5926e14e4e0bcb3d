//! Owns the building of index segments: threads make the bucket tables, and they are written in order, without seeking.
//! The same codes and parameters give the same bytes on every machine and for every number of threads.

mod dense;
mod out;
mod source;
mod table;
mod workers;

use std::io::Write;
use std::ops::Range;

use phash_code::{Code, Codes};
use roaring::RoaringBitmap;
use zerocopy::IntoBytes;

use crate::bit_order::BitOrder;
use crate::cut::{Substring, cut};
use crate::format::{self, Meta, TableMeta};
use crate::{BuildParams, Error, Order};
use dense::DenseTables;
use out::Out;
use source::Source;

/// Builds the index segment of the codes `ids`, in memory: [`write_segment`] into a vector.
///
/// # Errors
/// As [`write_segment`], but for writing.
pub fn build_segment<const W: usize, C: Codes<W> + Sync + ?Sized>(
    codes: &C,
    ids: Range<u32>,
    params: &BuildParams,
) -> Result<Vec<u8>, Error> {
    build(codes, ids, None, params)
}

/// [`build_segment`] without the ids that were `removed`: the segment does not hold them, and never finds them.
///
/// # Errors
/// As [`write_segment`], but for writing.
pub fn build_segment_without<const W: usize, C: Codes<W> + Sync + ?Sized>(
    codes: &C,
    ids: Range<u32>,
    removed: &RoaringBitmap,
    params: &BuildParams,
) -> Result<Vec<u8>, Error> {
    build(codes, ids, Some(removed), params)
}

/// Builds the index segment of the codes `ids` and writes it, without seeking. Returns the number of bytes written;
/// they are not flushed or synced.
///
/// With `m` substrings of `s` bits, `p` planes and `n` ids: time `O(m * (n p + 2^s))`; memory for each thread
/// `O(n p + 2^s)`, one table and what it is sorted from, plus the dense buckets (smaller than their ids), and a copy of the
/// codes if their bits are put in another order; size of the segment about `4 * m * (n * (1 + p) + 2^s)` bytes.
///
/// # Errors
/// [`Error::Ids`] if `ids` does not lie within the codes, [`Error::Substrings`] or [`Error::Planes`] if the parameters do
/// not fit the width, [`Error::MissingCode`] if the collection has fewer codes than it says, [`Error::Io`] if writing
/// fails.
pub fn write_segment<const W: usize, C: Codes<W> + Sync + ?Sized>(
    codes: &C,
    ids: Range<u32>,
    params: &BuildParams,
    out: impl Write,
) -> Result<u64, Error> {
    write(codes, ids, None, params, out)
}

/// [`write_segment`] without the ids that were `removed`: the segment does not hold them, and never finds them.
///
/// # Errors
/// As [`write_segment`].
pub fn write_segment_without<const W: usize, C: Codes<W> + Sync + ?Sized>(
    codes: &C,
    ids: Range<u32>,
    removed: &RoaringBitmap,
    params: &BuildParams,
    out: impl Write,
) -> Result<u64, Error> {
    write(codes, ids, Some(removed), params, out)
}

fn build<const W: usize, C: Codes<W> + Sync + ?Sized>(
    codes: &C,
    ids: Range<u32>,
    removed: Option<&RoaringBitmap>,
    params: &BuildParams,
) -> Result<Vec<u8>, Error> {
    let mut bytes = Vec::new();
    write(codes, ids, removed, params, &mut bytes)?;
    Ok(bytes)
}

fn write<const W: usize, C: Codes<W> + Sync + ?Sized>(
    codes: &C,
    ids: Range<u32>,
    removed: Option<&RoaringBitmap>,
    params: &BuildParams,
    out: impl Write,
) -> Result<u64, Error> {
    if ids.start > ids.end || ids.end > codes.len() {
        return Err(Error::Ids { ids, codes: codes.len() });
    }
    let code_bits = Code::<W>::BITS;
    let threads = params.thread_count();
    let planes = params.planes_of(W)?;
    let substrings = cut(code_bits, params.layout, params.substrings, ids.end - ids.start)?;
    let order = learn_order(codes, &ids, &substrings, params.order);
    let source = Source::<W>::new(codes, &ids, removed, &bit_order(&order), threads)?;

    let mut out = Out::new(out);
    out.put(&format::header(code_bits))?;
    let mut dense = DenseTables::default();
    let mut tables = Vec::with_capacity(substrings.len());
    workers::for_each_table(&source, &substrings, planes as usize, threads, |made| {
        let table = &made.table;
        tables.push(TableMeta {
            first_bit: made.substring.first_bit,
            len_bits: made.substring.len_bits,
            listed_ids: u32::try_from(table.ids.len()).unwrap_or(u32::MAX),
        });
        dense.append(made.number, std::mem::take(&mut made.dense));
        out.put(table.offsets.as_bytes())?;
        out.put(table.ids.as_bytes())?;
        out.put(table.planes.as_bytes())?;
        out.put(table.shells.as_bytes())
    })?;
    let page_sums = out.end_pages();
    out.put(&dense.bytes)?;
    out.put(page_sums.as_bytes())?;
    let meta = Meta {
        first_id: ids.start,
        end_id: ids.end,
        held_ids: u32::try_from(source.held()).unwrap_or(u32::MAX),
        planes,
        order,
        tables,
        dense: dense.buckets,
        dense_crc32: crc32fast::hash(&dense.bytes),
        page_sums_crc32: crc32fast::hash(page_sums.as_bytes()),
    };
    out.put(&format::ending(&meta, code_bits, out.len_bytes())?)?;
    Ok(out.len_bytes())
}

/// The order of the bits that suits the codes; empty for the one they have.
fn learn_order<const W: usize, C: Codes<W> + ?Sized>(
    _codes: &C,
    _ids: &Range<u32>,
    _substrings: &[Substring],
    order: Order,
) -> Vec<u16> {
    match order {
        Order::Auto | Order::AsIs => Vec::new(),
    }
}

fn bit_order<const W: usize>(order: &[u16]) -> BitOrder<W> {
    BitOrder::new(order).unwrap_or_else(BitOrder::identity)
}
