//! Owns searches of many queries together: each by the index where that is cheaper than its share of a scan that compares
//! all the others block by block. Answers are those of the queries one by one, whatever the number of threads.

use std::ops::Range;
use std::sync::{Mutex, PoisonError};

use phash_code::{Code, Codes, Kernel};

use crate::limit::Account;
use crate::nearest::Nearest;
use crate::order::in_order;
use crate::scan::for_each_run;
use crate::scratch::{Scratch, Work, with_scratch};
use crate::topk::TopK;
use crate::within::Within;
use crate::{Index, Match, Matches, SearchStats, Segment, Strategy, threads};

/// Queries compared together with each block of codes.
const SCANNED_QUERIES: usize = 128;

/// A search that is under way: what the index has found, and which ids are left to be scanned.
struct Begun<F> {
    query: usize,
    found: F,
    stats: SearchStats,
    probed: bool,
    left: Vec<Range<u32>>,
    complete: bool,
}

impl<const W: usize, C: Codes<W> + Sync + ?Sized, B: AsRef<[u8]> + Sync> Index<'_, W, C, B> {
    /// [`Self::within`] for each of the queries, in their order, on `threads` threads (0: as many as the machine runs at
    /// once). A limit holds for each query by itself.
    ///
    /// Exact, and the same answers for every number of threads. What is scanned is read once for all queries and not once
    /// for each. Memory linear in all matches together.
    pub fn batch_within(&self, queries: &[Code<W>], radius_bits: u32, threads: usize) -> Vec<Matches> {
        let radius_bits = radius_bits.min(Code::<W>::BITS);
        let begun = threads::map(queries.len(), threads, Scratch::new, |query, scratch| {
            let search = Within { query: &queries[query], radius_bits };
            let account = Account::new(self.limit);
            let (mut found, mut stats, mut left) = (Vec::new(), SearchStats::default(), Vec::new());
            let mut hit = |id, distance_bits| found.push(Match { distance_bits, id });
            let budget_ns = |segment: &Segment<W, B>| self.batch_budget_ns(segment);
            let mut work = Work { scratch, account: &account, stats: &mut stats };
            let probed = self.probe_within(&search, budget_ns, &mut work, &mut hit, &mut left);
            if self.limited() {
                for ids in left.drain(..) {
                    self.scan(&account).within(ids, search.query, radius_bits, &mut stats, &mut hit);
                }
            }
            if left.is_empty() {
                in_order(&mut found, &mut scratch.sorting, &stats);
            }
            Begun { query, found, stats, probed, left, complete: account.complete() }
        });
        let in_order = |begun: &mut Begun<Vec<Match>>| {
            with_scratch(|scratch| in_order(&mut begun.found, &mut scratch.sorting, &begun.stats));
        };
        let add = |found: &mut Vec<Match>, hit| found.push(hit);
        let scanned = self.finish(queries, begun, threads, |_| radius_bits, add, in_order);
        let finish = |begun: Begun<Vec<Match>>| Matches {
            matches: begun.found,
            complete: begun.complete,
            stats: begun.stats.planned(begun.probed),
        };
        scanned.into_iter().map(finish).collect()
    }

    /// [`Self::nearest`] for each of the queries, as [`Self::batch_within`].
    pub fn batch_nearest(&self, queries: &[Code<W>], k: usize, threads: usize) -> Vec<Matches> {
        let k = k.min(self.codes.len() as usize);
        let begun = threads::map(queries.len(), threads, Scratch::new, |query, scratch| {
            let search = Nearest { query: &queries[query], k };
            let account = Account::new(self.limit);
            let (mut stats, mut left) = (SearchStats::default(), Vec::new());
            let mut top = TopK::new(k, Code::<W>::BITS);
            let budget_ns = |segment: &Segment<W, B>| self.batch_budget_ns(segment);
            left.extend(self.unindexed());
            let mut work = Work { scratch, account: &account, stats: &mut stats };
            let probed = self.probe_nearest(&search, budget_ns, &mut work, &mut top, &mut left);
            if self.limited() {
                for ids in left.drain(..) {
                    self.scan(&account).nearest(ids, search.query, &mut top, &mut stats);
                }
            }
            Begun { query, found: top, stats, probed, left, complete: account.complete() }
        });
        let offer = |top: &mut TopK, hit: Match| top.offer(hit);
        let scanned = self.finish(queries, begun, threads, |top: &TopK| top.radius(), offer, |_| ());
        let finish = |begun: Begun<TopK>| Matches {
            matches: begun.found.into_sorted(),
            complete: begun.complete,
            stats: begun.stats.planned(begun.probed),
        };
        scanned.into_iter().map(finish).collect()
    }

    /// Whether searches account for what they do, each by itself.
    fn limited(&self) -> bool {
        self.limit.comparisons.is_some() || self.limit.cancel.is_some() || self.filter.allow.is_some()
    }

    /// What a search of a segment may take in a batch.
    fn batch_budget_ns(&self, segment: &Segment<W, B>) -> f64 {
        match self.strategy {
            Strategy::Auto if !self.limited() => segment.costs().batched_scan(),
            _ => self.budget_ns(segment),
        }
    }

    /// Scans what is left of the searches, calls `done` with each of these, and gives all back in the order of their queries.
    fn finish<F: Send>(
        &self,
        queries: &[Code<W>],
        mut begun: Vec<Begun<F>>,
        threads: usize,
        radius: impl Fn(&F) -> u32 + Sync,
        hit: impl Fn(&mut F, Match) + Sync,
        done: impl Fn(&mut Begun<F>) + Sync,
    ) -> Vec<Begun<F>> {
        let unfinished: Vec<&mut Begun<F>> =
            begun.iter_mut().filter(|begun| !begun.left.is_empty()).collect();
        let group = unfinished.len().div_ceil(threads::thread_count(threads)).clamp(1, SCANNED_QUERIES);
        let mut groups: Vec<Vec<&mut Begun<F>>> = Vec::new();
        for begun in unfinished {
            match groups.last_mut() {
                Some(last) if last.len() < group => last.push(begun),
                _ => groups.push(vec![begun]),
            }
        }
        let count = groups.len();
        let groups = Mutex::new(groups);
        threads::on_threads(threads, count, || {
            loop {
                let group = groups.lock().unwrap_or_else(PoisonError::into_inner).pop();
                let Some(mut group) = group else { break };
                self.scan_group(queries, &mut group, &radius, &hit);
                group.into_iter().for_each(&done);
            }
        });
        begun
    }

    /// Compares the queries of a group with all the codes that are left of them.
    fn scan_group<F>(
        &self,
        queries: &[Code<W>],
        group: &mut [&mut Begun<F>],
        radius: &impl Fn(&F) -> u32,
        hit: &impl Fn(&mut F, Match),
    ) {
        // Most have the same left: everything, or the same segments.
        let mut ranges: Vec<Range<u32>> = group.iter().flat_map(|begun| begun.left.iter().cloned()).collect();
        ranges.sort_unstable_by_key(|ids| (ids.start, ids.end));
        ranges.dedup();
        let kernel = Kernel::detect();
        for ids in ranges {
            let members: Vec<usize> =
                (0..group.len()).filter(|&member| group[member].left.contains(&ids)).collect();
            let codes: Vec<Code<W>> = members.iter().map(|&member| queries[group[member].query]).collect();
            for &member in &members {
                group[member].stats.scanned += u64::from(ids.end - ids.start);
            }
            let below = |found: &F| radius(found).saturating_add(1);
            let mut below_bits: Vec<u32> =
                members.iter().map(|&member| below(&group[member].found)).collect();
            for_each_run(self.codes, ids, |first_id, run| {
                kernel.within_many(&codes, run, &mut below_bits, |query, at, distance_bits, below_bits| {
                    #[expect(clippy::cast_possible_truncation, reason = "ids are 32 bits wide")]
                    let id = first_id + at as u32;
                    if self.filter.wants(id) {
                        let found = &mut group[members[query]].found;
                        hit(found, Match { distance_bits, id });
                        *below_bits = below(found);
                    }
                });
            });
        }
    }
}
