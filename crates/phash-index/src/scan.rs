//! Owns the linear scan: every code compared with the query. The oracle of the index, its fallback, and the way to
//! search codes that have no index. Always exact; linear in the number of codes.

use std::ops::Range;

use phash_code::{Code, Codes, Kernel};
use roaring::RoaringBitmap;

use crate::topk::TopK;
use crate::{Match, Matches, Plan, SearchStats};

/// The most codes compared between two looks at the radius of a nearest-neighbour scan.
const MAX_CHUNK: u32 = 4096;

/// Every code within `radius_bits` (inclusive) of the query, in order of distance, then id.
///
/// Time linear in `codes.len()`, at the speed of memory; memory linear in the matches.
pub fn within<const W: usize, C: Codes<W> + ?Sized>(codes: &C, query: &Code<W>, radius_bits: u32) -> Matches {
    let ids = 0..codes.len();
    let mut matches = Vec::new();
    within_ids(codes, ids.clone(), query, radius_bits, None, &mut matches);
    matches.sort_unstable();
    Matches { matches, stats: stats(ids) }
}

/// The `k` codes nearest to the query (all if there are fewer), in order of distance, then id. Of codes at the same
/// distance those with smaller ids are taken.
///
/// Time linear in `codes.len()`, at the speed of memory; memory linear in `min(k, codes.len())`.
pub fn nearest<const W: usize, C: Codes<W> + ?Sized>(codes: &C, query: &Code<W>, k: usize) -> Matches {
    let ids = 0..codes.len();
    let mut top = TopK::new(k.min(ids.len()), Code::<W>::BITS);
    nearest_ids(codes, ids.clone(), query, &mut top, None);
    Matches { matches: top.into_sorted(), stats: stats(ids) }
}

fn stats(ids: Range<u32>) -> SearchStats {
    SearchStats { plan: Plan::Scan, scanned: u64::from(ids.end - ids.start), ..SearchStats::default() }
}

/// Whether an id is to be reported.
pub(crate) fn wanted(except: Option<&RoaringBitmap>, id: u32) -> bool {
    except.is_none_or(|except| !except.contains(id))
}

/// Appends the codes `ids` within the radius that are wanted, by ascending id. Not inlined, so that a scan runs the same
/// machine code whoever asks for it.
#[inline(never)]
pub(crate) fn within_ids<const W: usize, C: Codes<W> + ?Sized>(
    codes: &C,
    ids: Range<u32>,
    query: &Code<W>,
    radius_bits: u32,
    except: Option<&RoaringBitmap>,
    matches: &mut Vec<Match>,
) {
    let kernel = Kernel::detect();
    for_each_run(codes, ids, |first_id, run| {
        kernel.within(query, run, radius_bits, |index, distance_bits| {
            let id = first_id + id_of(index);
            if wanted(except, id) {
                matches.push(Match { distance_bits, id });
            }
        });
    });
}

/// Offers the codes `ids` that are wanted to `top`, which must hold none of them.
#[inline(never)]
pub(crate) fn nearest_ids<const W: usize, C: Codes<W> + ?Sized>(
    codes: &C,
    ids: Range<u32>,
    query: &Code<W>,
    top: &mut TopK,
    except: Option<&RoaringBitmap>,
) {
    let kernel = Kernel::detect();
    // Short chunks at first: until there are k matches everything is one.
    let mut chunk = 64;
    let mut next = ids.start;
    while next < ids.end {
        let Some(radius_bits) = top.radius_from(next) else { return };
        let end = ids.end.min(next.saturating_add(chunk));
        for_each_run(codes, next..end, |first_id, run| {
            kernel.within(query, run, radius_bits, |index, distance_bits| {
                let id = first_id + id_of(index);
                if wanted(except, id) {
                    top.offer(Match { distance_bits, id });
                }
            });
        });
        next = end;
        chunk = (chunk * 2).min(MAX_CHUNK);
    }
}

/// Calls `visit(first id, codes)` for runs of codes that together are `ids`, in order.
pub(crate) fn for_each_run<const W: usize, C: Codes<W> + ?Sized>(
    codes: &C,
    ids: Range<u32>,
    mut visit: impl FnMut(u32, &[Code<W>]),
) {
    let mut next = ids.start;
    while next < ids.end {
        let run = codes.run(next);
        let len = run.len().min((ids.end - next) as usize);
        if len == 0 {
            return;
        }
        visit(next, &run[..len]);
        next += id_of(len);
    }
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "an index below the number of ids, which are 32 bits wide"
)]
fn id_of(index: usize) -> u32 {
    index as u32
}
