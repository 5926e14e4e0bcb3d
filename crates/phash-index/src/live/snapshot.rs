//! Owns [`Snapshot`]: a live index as it was at one moment, to be searched. What must hold: every answer equals that of a
//! linear scan of the codes inserted and not removed by then, whatever happened since.

use std::ops::Range;
use std::sync::Arc;

use phash_code::{Code, Codes};

use super::state::State;
use super::store::Store;
use crate::filter::Filter;
use crate::limit::Account;
use crate::order::sort;
use crate::scan::Scan;
use crate::scratch::with_scratch;
use crate::topk::TopK;
use crate::{Count, Error, Index, Limit, Match, Matches, Plan, SearchStats, Strategy, threads};

/// Bytes of codes scanned a nanosecond: those of a tail were written lately and lie in a cache.
const SCAN_BYTES_PER_NS: f64 = 75.0;

/// A live index as it was when [`crate::Live::snapshot`] was called. Cheap to copy; may be kept as long as one likes and
/// sent to other threads; holds the memory of what it shows.
#[derive(Clone, Debug)]
pub struct Snapshot<const W: usize> {
    state: Arc<State<W>>,
    strategy: Strategy,
}

impl<const W: usize> Snapshot<W> {
    pub(super) fn new(state: Arc<State<W>>) -> Self {
        Self { state, strategy: Strategy::Auto }
    }

    /// Takes the choice between tables and scan from the planner. Answers stay the same.
    #[must_use]
    pub fn strategy(mut self, strategy: Strategy) -> Self {
        self.strategy = strategy;
        self
    }

    /// How many ids were given out; ids are `0..len()`.
    #[must_use]
    pub fn len(&self) -> u32 {
        self.state.store.len()
    }

    /// Whether nothing was ever inserted.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many codes were inserted and not removed.
    #[must_use]
    pub fn live(&self) -> u64 {
        u64::from(self.len()).saturating_sub(self.state.removed.len())
    }

    /// The code of an id, unless it was removed or never given out.
    #[must_use]
    pub fn code(&self, id: u32) -> Option<&Code<W>> {
        if self.state.removed.contains(id) { None } else { self.state.store.get(id) }
    }

    /// Every code within `radius_bits` (inclusive) of the query, in order of distance, then id.
    ///
    /// Exact. Costs as [`Index::within`], and a search of the tail.
    #[must_use]
    pub fn within(&self, query: &Code<W>, radius_bits: u32) -> Matches {
        let sealed = self.state.sealed();
        let mut found = match self.state.index(&sealed) {
            Ok(index) => index.strategy(self.strategy).within(query, radius_bits),
            Err(_) => self.without_segments(query, radius_bits),
        };
        let sealed_len = found.matches.len();
        self.tail_within(query, radius_bits, &mut found);
        if found.matches.len() > sealed_len {
            in_order(&mut found.matches);
        }
        found
    }

    /// How many codes are within `radius_bits` (inclusive) of the query.
    ///
    /// Exact. Costs as [`Index::count_within`], and a search of the tail.
    #[must_use]
    pub fn count_within(&self, query: &Code<W>, radius_bits: u32) -> Count {
        let sealed = self.state.sealed();
        let mut count = match self.state.index(&sealed) {
            Ok(index) => index.strategy(self.strategy).count_within(query, radius_bits),
            Err(_) => {
                let Matches { matches, complete, stats } = self.without_segments(query, radius_bits);
                Count { count: matches.len() as u64, complete, stats }
            }
        };
        let mut tail = Matches { stats: count.stats, ..Matches::default() };
        self.tail_within(query, radius_bits, &mut tail);
        count.count += tail.matches.len() as u64;
        count.stats = tail.stats;
        count
    }

    /// The `k` codes nearest to the query (all if there are fewer), in order of distance, then id. Of codes at the same
    /// distance those with smaller ids are taken.
    ///
    /// Exact. Costs as [`Index::nearest`], and a search of the tail within the distance of the `k`-th that it gave.
    #[must_use]
    pub fn nearest(&self, query: &Code<W>, k: usize) -> Matches {
        self.nearest_within(query, k, Code::<W>::BITS)
    }

    /// As [`Self::nearest`], of the codes within `radius_bits` (inclusive).
    #[must_use]
    pub fn nearest_within(&self, query: &Code<W>, k: usize, radius_bits: u32) -> Matches {
        let k = k.min(self.len() as usize);
        if k == 0 {
            return Matches::default();
        }
        let sealed = self.state.sealed();
        let mut found = match self.state.index(&sealed) {
            Ok(index) => index.strategy(self.strategy).nearest_within(query, k, radius_bits),
            Err(_) => self.without_segments(query, radius_bits),
        };
        self.with_tail_nearest(query, k, radius_bits, &mut found);
        found
    }

    /// Adds what the tail has to the `k` nearest in segments.
    fn with_tail_nearest(&self, query: &Code<W>, k: usize, radius_bits: u32, found: &mut Matches) {
        let bound_bits = match k.checked_sub(1).and_then(|last| found.matches.get(last)) {
            Some(worst) => worst.distance_bits,
            None => radius_bits.min(Code::<W>::BITS),
        };
        self.tail_nearest(query, k, bound_bits, found);
    }

    /// [`Self::within`] for each of the queries, in their order; as [`Index::batch_within`] on `threads` threads (0: as many
    /// as the machine runs at once).
    #[must_use]
    pub fn batch_within(&self, queries: &[Code<W>], radius_bits: u32, threads: usize) -> Vec<Matches> {
        let sealed = self.state.sealed();
        let Ok(index) = self.state.index(&sealed) else {
            return threads::map(
                queries.len(),
                threads,
                || (),
                |query, ()| self.within(&queries[query], radius_bits),
            );
        };
        let found = index.strategy(self.strategy).batch_within(queries, radius_bits, threads);
        if sealed.len == self.len() {
            return found;
        }
        threads::map(
            queries.len(),
            threads,
            || (),
            |query, ()| {
                let mut found = found[query].clone();
                self.tail_within(&queries[query], radius_bits, &mut found);
                in_order(&mut found.matches);
                found
            },
        )
    }

    /// [`Self::nearest`] for each of the queries, as [`Self::batch_within`].
    #[must_use]
    pub fn batch_nearest(&self, queries: &[Code<W>], k: usize, threads: usize) -> Vec<Matches> {
        let k = k.min(self.len() as usize);
        let sealed = self.state.sealed();
        let Ok(index) = self.state.index(&sealed) else {
            return threads::map(queries.len(), threads, || (), |query, ()| self.nearest(&queries[query], k));
        };
        let found = index.strategy(self.strategy).batch_nearest(queries, k, threads);
        if k == 0 || sealed.len == self.len() {
            return found;
        }
        threads::map(
            queries.len(),
            threads,
            || (),
            |query, ()| {
                let mut found = found[query].clone();
                self.with_tail_nearest(&queries[query], k, Code::<W>::BITS, &mut found);
                found
            },
        )
    }

    /// The snapshot as an [`Index`] over its codes: for joins, groups and everything else that an index can do. It scans
    /// the tail.
    ///
    /// # Errors
    /// None of a sound snapshot; the type of [`Index::new`].
    pub fn index(&self) -> Result<Index<'_, W, impl Codes<W> + Sync, impl AsRef<[u8]> + Sync>, Error> {
        Ok(self.state.index(&self.state.store)?.strategy(self.strategy))
    }

    /// Should the segments not be usable, which nothing can cause that we know of: the scan.
    fn without_segments(&self, query: &Code<W>, radius_bits: u32) -> Matches {
        let mut found = Matches::default();
        self.scan(0..self.state.sealed_end(), query, radius_bits, &mut found);
        in_order(&mut found.matches);
        found
    }

    /// Appends what lies behind the segments.
    fn tail_within(&self, query: &Code<W>, radius_bits: u32, found: &mut Matches) {
        let mut probed = found.stats.plan != Plan::Scan;
        for (tail, ids) in self.state.tailed() {
            let matches = &mut found.matches;
            let hit = |id, distance_bits| {
                if !self.state.removed.contains(id) {
                    matches.push(Match { distance_bits, id });
                }
            };
            let budget_ns = self.budget_ns(&ids);
            let looked = tail.within(&self.state.store, ids.clone(), query, radius_bits, budget_ns, hit);
            looked.add_to(&mut found.stats);
            probed |= looked.whole;
            if !looked.whole {
                self.scan(ids, query, radius_bits, found);
            }
        }
        self.scan(self.state.scanned(), query, radius_bits, found);
        found.stats = found.stats.planned(probed);
    }

    /// What searching tables may take: as long as scanning.
    fn budget_ns(&self, ids: &Range<u32>) -> f64 {
        match self.strategy {
            Strategy::Index => f64::INFINITY,
            Strategy::Scan => 0.0,
            Strategy::Auto => f64::from(ids.end - ids.start) * Code::<W>::BYTES as f64 / SCAN_BYTES_PER_NS,
        }
    }

    fn scan(&self, ids: Range<u32>, query: &Code<W>, radius_bits: u32, found: &mut Matches) {
        let Matches { matches, stats, .. } = found;
        self.scanning(ids, stats, |scan, ids, stats| {
            scan.collect(ids, query, radius_bits, stats, matches);
        });
    }

    /// Lets `search` scan the ids that were not removed.
    fn scanning(
        &self,
        ids: Range<u32>,
        stats: &mut SearchStats,
        search: impl FnOnce(&Scan<'_, Store<W>>, Range<u32>, &mut SearchStats),
    ) {
        if ids.is_empty() {
            return;
        }
        let filter = Filter { allow: None, deny: Some(self.state.removed.bitmap()) };
        let account = Account::new(Limit::default());
        search(&Scan { codes: &self.state.store, filter, account: &account }, ids, stats);
    }

    /// Adds the codes behind the segments to the `k` nearest, of those within the bound.
    fn tail_nearest(&self, query: &Code<W>, k: usize, bound_bits: u32, found: &mut Matches) {
        let mut top = TopK::new(k, bound_bits);
        found.matches.drain(..).for_each(|nearer| top.offer(nearer));
        let mut left = Vec::new();
        let mut probed = found.stats.plan != Plan::Scan;
        for (tail, ids) in self.state.tailed() {
            let Some(radius_bits) = top.radius_from(ids.start) else { break };
            let hit = |id, distance_bits| {
                if !self.state.removed.contains(id) {
                    top.offer(Match { distance_bits, id });
                }
            };
            let budget_ns = self.budget_ns(&ids);
            let looked = tail.within(&self.state.store, ids.clone(), query, radius_bits, budget_ns, hit);
            looked.add_to(&mut found.stats);
            probed |= looked.whole;
            if !looked.whole {
                left.push(ids);
            }
        }
        left.push(self.state.scanned());
        for ids in left {
            self.scanning(ids, &mut found.stats, |scan, ids, stats| {
                scan.nearest(ids, query, &mut top, stats)
            });
        }
        found.matches = top.into_sorted();
        found.stats = found.stats.planned(probed);
    }
}

/// Sorts by distance, then id.
fn in_order(matches: &mut [Match]) {
    with_scratch(|scratch| sort(matches, &mut scratch.sorting));
}
