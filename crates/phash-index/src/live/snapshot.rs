//! Owns [`Snapshot`]: a live index as it was at one moment, to be searched. What must hold: every answer equals that of a
//! linear scan of the codes inserted and not removed by then, whatever happened since.

use std::collections::BinaryHeap;
use std::ops::Range;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use phash_code::{Code, Codes, Kernel};

use super::state::State;
use crate::join::add_work;
use crate::scan::for_each_run;
use crate::{Count, Error, Index, Match, Matches, Plan, SearchStats, Strategy};

/// Codes scanned between two looks at the distance of the `k`-th nearest.
const NEAREST_CHUNK: u32 = 1024;
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
            found.matches.sort_unstable();
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
        found.matches.sort_unstable();
        found.matches.truncate(k);
    }

    /// [`Self::within`] for each of the queries, in their order; as [`Index::batch_within`] on `threads` threads (0: as many
    /// as the machine runs at once).
    #[must_use]
    pub fn batch_within(&self, queries: &[Code<W>], radius_bits: u32, threads: usize) -> Vec<Matches> {
        let sealed = self.state.sealed();
        let Ok(index) = self.state.index(&sealed) else {
            return in_parallel(queries, threads, |query| self.within(query, radius_bits));
        };
        let found = index.strategy(self.strategy).batch_within(queries, radius_bits, threads);
        if sealed.len == self.len() {
            return found;
        }
        let items: Vec<(&Code<W>, Matches)> = queries.iter().zip(found).collect();
        in_parallel(&items, threads, |(query, found)| {
            let mut found = found.clone();
            self.tail_within(query, radius_bits, &mut found);
            found.matches.sort_unstable();
            found
        })
    }

    /// [`Self::nearest`] for each of the queries, as [`Self::batch_within`].
    #[must_use]
    pub fn batch_nearest(&self, queries: &[Code<W>], k: usize, threads: usize) -> Vec<Matches> {
        let k = k.min(self.len() as usize);
        let sealed = self.state.sealed();
        let Ok(index) = self.state.index(&sealed) else {
            return in_parallel(queries, threads, |query| self.nearest(query, k));
        };
        let found = index.strategy(self.strategy).batch_nearest(queries, k, threads);
        if k == 0 || sealed.len == self.len() {
            return found;
        }
        let items: Vec<(&Code<W>, Matches)> = queries.iter().zip(found).collect();
        in_parallel(&items, threads, |(query, found)| {
            let mut found = found.clone();
            self.with_tail_nearest(query, k, Code::<W>::BITS, &mut found);
            found
        })
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
        found.matches.sort_unstable();
        found
    }

    /// Appends what lies behind the segments.
    fn tail_within(&self, query: &Code<W>, radius_bits: u32, found: &mut Matches) {
        for (tail, ids) in self.state.tailed() {
            let matches = &mut found.matches;
            let hit = |id, distance_bits| {
                if !self.state.removed.contains(id) {
                    matches.push(Match { distance_bits, id });
                }
            };
            let budget_ns = self.budget_ns(&ids);
            match tail.within(&self.state.store, ids.clone(), query, radius_bits, budget_ns, hit) {
                Some(looked) => {
                    found.stats.probes += looked.probes;
                    found.stats.candidates += looked.candidates;
                    found.stats.verified += looked.candidates;
                    found.stats.plan = if found.stats.scanned > 0 { Plan::Mixed } else { Plan::Index };
                }
                None => self.scan(ids, query, radius_bits, found),
            }
        }
        self.scan(self.state.scanned(), query, radius_bits, found);
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
        scanned(&mut found.stats, &ids);
        let kernel = Kernel::detect();
        for_each_run(&self.state.store, ids, |first_id, run| {
            kernel.within(query, run, radius_bits, |place, distance_bits| {
                let id = first_id + id_of(place);
                if !self.state.removed.contains(id) {
                    found.matches.push(Match { distance_bits, id });
                }
            });
        });
    }

    /// Appends the codes behind the segments that may be among the `k` nearest, of those within the bound.
    fn tail_nearest(&self, query: &Code<W>, k: usize, bound_bits: u32, found: &mut Matches) {
        // The worst on top.
        let mut nearest: BinaryHeap<Match> = std::mem::take(&mut found.matches).into();
        let offer = |nearest: &mut BinaryHeap<Match>, id, distance_bits| {
            if !self.state.removed.contains(id) {
                nearest.push(Match { distance_bits, id });
                if nearest.len() > k {
                    nearest.pop();
                }
            }
        };
        // Of codes as far as the k-th, those of the tail lose: their ids are larger.
        let bound = |nearest: &BinaryHeap<Match>| match nearest.peek() {
            Some(worst) if nearest.len() == k => {
                worst.distance_bits.checked_sub(1).map(|b| b.min(bound_bits))
            }
            _ => Some(bound_bits),
        };
        let mut left = Vec::new();
        for (tail, ids) in self.state.tailed() {
            let Some(radius_bits) = bound(&nearest) else { break };
            let hit = |id, distance_bits| offer(&mut nearest, id, distance_bits);
            let budget_ns = self.budget_ns(&ids);
            match tail.within(&self.state.store, ids.clone(), query, radius_bits, budget_ns, hit) {
                Some(looked) => {
                    found.stats.probes += looked.probes;
                    found.stats.candidates += looked.candidates;
                    found.stats.verified += looked.candidates;
                }
                None => left.push(ids),
            }
        }
        left.push(self.state.scanned());
        let kernel = Kernel::detect();
        for ids in left {
            scanned(&mut found.stats, &ids);
            let mut next = ids.start;
            while next < ids.end {
                // Equal distances are wanted of a range whose ids are smaller than some found already.
                let radius_bits = match nearest.peek() {
                    Some(worst) if nearest.len() == k => worst.distance_bits.min(bound_bits),
                    _ => bound_bits,
                };
                let end = ids.end.min(next.saturating_add(NEAREST_CHUNK));
                for_each_run(&self.state.store, next..end, |first_id, run| {
                    kernel.within(query, run, radius_bits, |place, distance_bits| {
                        offer(&mut nearest, first_id + id_of(place), distance_bits);
                    });
                });
                next = end;
            }
        }
        found.matches = nearest.into_vec();
    }
}

/// Counts codes as compared by scanning.
fn scanned(stats: &mut SearchStats, ids: &Range<u32>) {
    if ids.is_empty() {
        return;
    }
    let probed = stats.probes > 0;
    add_work(stats, &SearchStats { scanned: u64::from(ids.end - ids.start), ..SearchStats::default() });
    stats.plan = if probed { Plan::Mixed } else { Plan::Scan };
}

/// Work on each item, on `threads` threads (0: as many as the machine runs at once); results in the order of the items.
fn in_parallel<T: Sync, R: Send>(items: &[T], threads: usize, work: impl Fn(&T) -> R + Sync) -> Vec<R> {
    const TURN: usize = 16;
    let turns = items.len().div_ceil(TURN);
    let threads = match threads {
        0 => std::thread::available_parallelism().map_or(1, usize::from),
        threads => threads,
    };
    if threads == 1 || turns <= 1 {
        return items.iter().map(work).collect();
    }
    let (next, done) = (AtomicUsize::new(0), Mutex::new(Vec::with_capacity(turns)));
    std::thread::scope(|scope| {
        for _ in 0..threads.min(turns) {
            scope.spawn(|| {
                loop {
                    let turn = next.fetch_add(1, Ordering::Relaxed);
                    let Some(own) = items.chunks(TURN).nth(turn) else { break };
                    let results: Vec<R> = own.iter().map(&work).collect();
                    done.lock().unwrap_or_else(PoisonError::into_inner).push((turn, results));
                }
            });
        }
    });
    let mut done = done.into_inner().unwrap_or_else(PoisonError::into_inner);
    done.sort_by_key(|&(turn, _)| turn);
    done.into_iter().flat_map(|(_, results)| results).collect()
}

#[expect(clippy::cast_possible_truncation, reason = "a place in a run of codes, whose ids are 32 bits wide")]
fn id_of(place: usize) -> u32 {
    place as u32
}
