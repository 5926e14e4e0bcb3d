//! Owns the linear scan: every code compared with the query. The oracle of the index, its fallback, and the way to
//! search codes that have no index. Always exact; linear in the number of codes.

use std::ops::Range;

use phash_code::{Code, Codes, Kernel};

use crate::costs::Costs;
use crate::filter::Filter;
use crate::limit::{Account, Limit};
use crate::order::in_order;
use crate::scratch::with_scratch;
use crate::topk::TopK;
use crate::{Match, Matches, SearchStats};

/// The most codes compared between two looks at the radius of a nearest-neighbour scan.
const MAX_CHUNK: u32 = 4096;
/// Codes compared between two looks at whether to go on.
const CHUNK: u32 = 65_536;

/// Every code within `radius_bits` (inclusive) of the query, in order of distance, then id.
///
/// Time linear in `codes.len()`, at the speed of memory; memory linear in the matches.
pub fn within<const W: usize, C: Codes<W> + ?Sized>(codes: &C, query: &Code<W>, radius_bits: u32) -> Matches {
    let mut matches = Vec::new();
    let scan = Scan { codes, filter: Filter::default(), account: &Account::new(Limit::default()) };
    let mut stats = SearchStats::default();
    scan.collect(0..codes.len(), query, radius_bits, &mut stats, &mut matches);
    with_scratch(|scratch| in_order(&mut matches, &mut scratch.sorting, &stats));
    Matches { matches, complete: true, stats }
}

/// The `k` codes nearest to the query (all if there are fewer), in order of distance, then id. Of codes at the same
/// distance those with smaller ids are taken.
///
/// Time linear in `codes.len()`, at the speed of memory; memory linear in `min(k, codes.len())`.
pub fn nearest<const W: usize, C: Codes<W> + ?Sized>(codes: &C, query: &Code<W>, k: usize) -> Matches {
    let mut top = TopK::new(k.min(codes.len() as usize), Code::<W>::BITS);
    let scan = Scan { codes, filter: Filter::default(), account: &Account::new(Limit::default()) };
    let mut stats = SearchStats::default();
    scan.nearest(0..codes.len(), query, &mut top, &mut stats);
    Matches { matches: top.into_sorted(), complete: true, stats }
}

/// Codes to be scanned, which of them may be reported, and the account of it.
pub(crate) struct Scan<'a, C: ?Sized> {
    pub(crate) codes: &'a C,
    pub(crate) filter: Filter<'a>,
    pub(crate) account: &'a Account<'a>,
}

impl<C: ?Sized> Scan<'_, C> {
    /// Adds the codes `ids` within the radius that are wanted to `matches`, by ascending id.
    // One machine code, whoever asks: a search that falls back on it is to be as fast as the scan itself, down to where the
    // loops lie.
    #[inline(never)]
    pub(crate) fn collect<const W: usize>(
        &self,
        ids: Range<u32>,
        query: &Code<W>,
        radius_bits: u32,
        stats: &mut SearchStats,
        matches: &mut Vec<Match>,
    ) where
        C: Codes<W>,
    {
        self.within(ids, query, radius_bits, stats, &mut |id, distance_bits| {
            matches.push(Match { distance_bits, id });
        });
    }

    /// Calls `hit(id, distance_bits)` for the codes `ids` within the radius that are wanted, by ascending id.
    #[inline]
    pub(crate) fn within<const W: usize>(
        &self,
        ids: Range<u32>,
        query: &Code<W>,
        radius_bits: u32,
        stats: &mut SearchStats,
        hit: &mut impl FnMut(u32, u32),
    ) where
        C: Codes<W>,
    {
        let Self { codes, filter, account } = *self;
        if self.listing_is_cheaper::<W>(&ids) {
            return self.for_each_listed(ids, query, stats, |id, distance_bits| {
                if distance_bits <= radius_bits {
                    hit(id, distance_bits);
                }
            });
        }
        let kernel = Kernel::detect();
        let mut next = ids.start;
        while let Some(chunk) = self.grant(next..ids.end, CHUNK, stats) {
            for_each_run(codes, chunk.clone(), |first_id, run| {
                kernel.within(query, run, radius_bits, |index, distance_bits| {
                    let id = first_id + id_of(index);
                    if filter.wants(id) && !account.stopped() {
                        hit(id, distance_bits);
                    }
                });
            });
            next = chunk.end;
        }
    }

    /// Offers the codes `ids` that are wanted to `top`, which must hold none of them.
    #[inline(never)]
    pub(crate) fn nearest<const W: usize>(
        &self,
        ids: Range<u32>,
        query: &Code<W>,
        top: &mut TopK,
        stats: &mut SearchStats,
    ) where
        C: Codes<W>,
    {
        let Self { codes, filter, .. } = *self;
        if self.listing_is_cheaper::<W>(&ids) {
            return self.for_each_listed(ids, query, stats, |id, distance_bits| {
                if top.radius_from(id).is_some_and(|radius_bits| distance_bits <= radius_bits) {
                    top.offer(Match { distance_bits, id });
                }
            });
        }
        let kernel = Kernel::detect();
        // Short chunks at first: until there are k matches everything is one.
        let mut size = 64;
        let mut next = ids.start;
        while let Some(radius_bits) = top.radius_from(next)
            && let Some(chunk) = self.grant(next..ids.end, size, stats)
        {
            for_each_run(codes, chunk.clone(), |first_id, run| {
                kernel.within(query, run, radius_bits, |index, distance_bits| {
                    let id = first_id + id_of(index);
                    if filter.wants(id) {
                        top.offer(Match { distance_bits, id });
                    }
                });
            });
            next = chunk.end;
            size = (size * 2).min(MAX_CHUNK);
        }
        // Behind k codes at distance 0 nothing can enter: that is as good as scanned.
    }

    /// The next of `ids` to be scanned, at most `size`, if any are left and may be.
    fn grant(&self, ids: Range<u32>, size: u32, stats: &mut SearchStats) -> Option<Range<u32>> {
        if ids.is_empty() || !self.account.goes_on() {
            return None;
        }
        let granted = self.account.grant(u64::from(size.min(ids.end - ids.start)));
        stats.scanned += granted;
        // No more than was asked for.
        let end = ids.start + u32::try_from(granted).unwrap_or(0);
        (granted > 0).then_some(ids.start..end)
    }

    /// Whether so few ids are allowed that fetching their codes takes less than scanning all.
    fn listing_is_cheaper<const W: usize>(&self, ids: &Range<u32>) -> bool
    where
        C: Codes<W>,
    {
        if self.filter.allow.is_none() {
            return false;
        }
        let costs = Costs::of::<W>(ids.end - ids.start, 0, 0, false);
        self.filter.allowed(ids.clone()) as f64 * costs.fetch() < costs.scan()
    }

    fn for_each_listed<const W: usize>(
        &self,
        ids: Range<u32>,
        query: &Code<W>,
        stats: &mut SearchStats,
        mut visit: impl FnMut(u32, u32),
    ) where
        C: Codes<W>,
    {
        for id in self.filter.listed(ids) {
            if !self.account.goes_on() || self.account.grant(1) == 0 {
                return;
            }
            stats.scanned += 1;
            if let Some(code) = self.codes.get(id) {
                visit(id, query.distance(code));
            }
        }
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
