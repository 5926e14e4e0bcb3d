//! Owns the building of index segments: threads make the bucket tables, and they are written in order, without seeking.
//! The same codes and parameters give the same bytes on every machine and for every number of threads.

mod dense;
mod out;
mod source;
mod table;
mod workers;

use std::collections::HashSet;
use std::io::Write;
use std::ops::Range;
use std::sync::atomic::{AtomicBool, Ordering};

use phash_code::{Code, Codes};
use roaring::RoaringBitmap;
use zerocopy::IntoBytes;

use crate::arrange;
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
    write_segment_until(codes, ids, None, params, &AtomicBool::new(false), out)
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
    write_segment_until(codes, ids, Some(removed), params, &AtomicBool::new(false), out)
}

/// [`write_segment`] or [`write_segment_without`] until `cancel` becomes true, which anyone may make it: it is looked at
/// several times a millisecond, but for learning the order of the bits (some hundred milliseconds) and for `out`.
///
/// # Errors
/// As [`write_segment`]; [`Error::Cancelled`]: what was written is no segment, not even a damaged one.
pub fn write_segment_until<const W: usize, C: Codes<W> + Sync + ?Sized>(
    codes: &C,
    ids: Range<u32>,
    removed: Option<&RoaringBitmap>,
    params: &BuildParams,
    cancel: &AtomicBool,
    out: impl Write,
) -> Result<u64, Error> {
    if ids.start > ids.end || ids.end > codes.len() {
        return Err(Error::Ids { ids, codes: codes.len() });
    }
    let substrings = cut(Code::<W>::BITS, params.layout, params.substrings, ids.end - ids.start)?;
    check(cancel)?;
    let order = match params.order {
        Order::Auto => learn_order(codes, &ids, &substrings)?,
        Order::AsIs => Vec::new(),
    };
    write_in_order(codes, ids, removed, params, substrings, order, cancel, out)
}

/// Fails if the flag is raised.
fn check(cancel: &AtomicBool) -> Result<(), Error> {
    if cancel.load(Ordering::Relaxed) { Err(Error::Cancelled) } else { Ok(()) }
}

fn build<const W: usize, C: Codes<W> + Sync + ?Sized>(
    codes: &C,
    ids: Range<u32>,
    removed: Option<&RoaringBitmap>,
    params: &BuildParams,
) -> Result<Vec<u8>, Error> {
    let mut bytes = Vec::new();
    write_segment_until(codes, ids, removed, params, &AtomicBool::new(false), &mut bytes)?;
    Ok(bytes)
}

/// Writes the segment of codes whose bits are put in `order`; empty for the order they have.
#[expect(clippy::too_many_arguments, reason = "what was asked for, and what was made of it")]
fn write_in_order<const W: usize, C: Codes<W> + Sync + ?Sized>(
    codes: &C,
    ids: Range<u32>,
    removed: Option<&RoaringBitmap>,
    params: &BuildParams,
    substrings: Vec<Substring>,
    order: Vec<u16>,
    cancel: &AtomicBool,
    out: impl Write,
) -> Result<u64, Error> {
    let code_bits = Code::<W>::BITS;
    let threads = params.thread_count();
    let planes = params.planes_of(W)?;
    let bit_order = BitOrder::new(&order)
        .ok_or(Error::Damaged { what: "the order of the bits is no permutation", table: 0 })?;
    let source = Source::<W>::new(codes, &ids, removed, &bit_order, threads, cancel)?;

    let mut out = Out::new(out, cancel);
    out.put(&format::header(code_bits))?;
    let mut dense = DenseTables::default();
    let mut tables = Vec::with_capacity(substrings.len());
    workers::for_each_table(&source, &substrings, planes as usize, threads, cancel, |made| {
        let table = &made.table;
        tables.push(TableMeta {
            first_bit: made.substring.first_bit,
            len_bits: made.substring.len_bits,
            listed_ids: u32::try_from(table.ids.len()).unwrap_or(u32::MAX),
            even: table.even,
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

/// How many codes the order of the bits is learned from.
const SAMPLE: u32 = 20_000;

/// The order of the bits that suits the codes; empty for the one they have. Learned from codes at even strides, the same
/// ones on every machine; equal codes count once.
fn learn_order<const W: usize, C: Codes<W> + ?Sized>(
    codes: &C,
    ids: &Range<u32>,
    substrings: &[Substring],
) -> Result<Vec<u16>, Error> {
    let count = ids.end - ids.start;
    let taken = count.min(SAMPLE);
    let id = |i: u32| u64::from(ids.start) + u64::from(i) * u64::from(count) / u64::from(taken);
    let mut seen = HashSet::new();
    let mut sample = Vec::new();
    for id in (0..taken).map(id).filter_map(|id| u32::try_from(id).ok()) {
        let code = codes.get(id).ok_or(Error::MissingCode { id })?;
        if seen.insert(*code) {
            sample.push(*code);
        }
    }
    Ok(arrange::learn(&sample, substrings).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Layout, Segment};
    use proptest::prelude::{Just, Strategy as _, any, proptest};
    use proptest::test_runner::Config;

    /// Codes of three bits a word apart from zero: buckets large and small.
    fn codes<const W: usize>(seed: u64, n: u32) -> Vec<Code<W>> {
        let mut state = seed;
        let mut next = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            1u64 << (state >> 58)
        };
        (0..n).map(|_| Code::from_le_words(std::array::from_fn(|_| next() | next() | next()))).collect()
    }

    fn check<const W: usize>(seed: u64, order: &[u16], layout: Layout, removed: &[u32]) {
        let codes = codes::<W>(seed, 150);
        let bit_order = BitOrder::new(order).unwrap();
        let ordered: Vec<Code<W>> = codes.iter().map(|code| bit_order.apply(code)).collect();
        let removed = removed.iter().copied().collect();
        let build = |codes: &[Code<W>], order: &[u16], threads| {
            let params = BuildParams::default().with_layout(layout).with_threads(threads);
            let substrings = cut(Code::<W>::BITS, layout, None, 130).unwrap();
            let mut bytes = Vec::new();
            let (order, never) = (order.to_vec(), AtomicBool::new(false));
            write_in_order(codes, 7..137, Some(&removed), &params, substrings, order, &never, &mut bytes)
                .unwrap();
            Segment::<W, _>::open(bytes).unwrap()
        };
        let expected = build(&ordered, &[], 1);
        expected.verify_against(&ordered).unwrap();
        for threads in 1..4 {
            let segment = build(&codes, order, threads);
            segment.verify_against(&codes).unwrap();
            let pages = segment.places().dense.start;
            assert!(segment.bytes()[..pages] == expected.bytes()[..pages]);
        }
    }

    fn orders(bits: u16) -> impl proptest::strategy::Strategy<Value = Vec<u16>> {
        Just((0..bits).collect::<Vec<_>>()).prop_shuffle()
    }

    proptest! {
        #![proptest_config(Config::with_cases(24))]
        #[test]
        fn an_order_gives_the_tables_of_codes_that_were_put_in_that_order(
            seed in any::<u64>(), fast in any::<bool>(), removed in proptest::collection::vec(0u32..150, 0..20),
            o64 in orders(64), o128 in orders(128), o256 in orders(256), o512 in orders(512),
        ) {
            let layout = if fast { Layout::Fast } else { Layout::Compact };
            check::<1>(seed, &o64, layout, &removed);
            check::<2>(seed, &o128, layout, &removed);
            check::<4>(seed, &o256, layout, &removed);
            check::<8>(seed, &o512, layout, &removed);
        }
    }
}
