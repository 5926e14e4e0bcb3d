//! Owns [`Index`]: codes, the index segments over them, and the choice between the two for each query. Always exact:
//! ids that no segment covers are scanned, and so is a segment that is damaged or where scanning is cheaper.

use std::ops::{ControlFlow, Range};

use phash_code::{Code, Codes};
use roaring::RoaringBitmap;

use crate::filter::Filter;
use crate::limit::Account;
use crate::nearest::{Nearest, Reach};
use crate::order::in_order;
use crate::pages::Damaged;
use crate::scan::Scan;
use crate::scratch::{Scratch, Work, with_scratch};
use crate::topk::TopK;
use crate::within::Within;
use crate::{Count, Error, Limit, Match, Matches, SearchStats, Segment, Strategy};

/// Codes of so many bytes are scanned in about the time that it takes to set up the search of a segment.
const FEW_BYTES: usize = 32 * 1024;

/// A search over codes by the index segments that cover them, wholly or in part. Cheap to make; immutable; may be
/// shared between threads if the codes may.
#[derive(Debug)]
pub struct Index<'a, const W: usize, C: ?Sized, B> {
    pub(crate) codes: &'a C,
    pub(crate) segments: &'a [Segment<W, B>],
    pub(crate) filter: Filter<'a>,
    pub(crate) strategy: Strategy,
    pub(crate) limit: Limit<'a>,
}

impl<const W: usize, C: ?Sized, B> Clone for Index<'_, W, C, B> {
    fn clone(&self) -> Self {
        Self { ..*self }
    }
}

impl<'a, const W: usize, C: Codes<W> + ?Sized, B: AsRef<[u8]>> Index<'a, W, C, B> {
    /// Searches `codes` with the help of `segments`, which were built from these codes (see
    /// [`Segment::verify_against`]); ids they do not cover are scanned.
    ///
    /// # Errors
    /// [`Error::Order`] unless the segments are in order of their ids and do not overlap; [`Error::BeyondCodes`] if one
    /// covers ids that the collection does not have.
    pub fn new(codes: &'a C, segments: &'a [Segment<W, B>]) -> Result<Self, Error> {
        let mut before = 0;
        for segment in segments {
            let ids = segment.ids();
            if ids.start < before {
                return Err(Error::Order { ids, before });
            }
            if ids.end > codes.len() {
                return Err(Error::BeyondCodes { ids, codes: codes.len() });
            }
            before = ids.end;
        }
        Ok(Self {
            codes,
            segments,
            filter: Filter::default(),
            strategy: Strategy::Auto,
            limit: Limit::default(),
        })
    }

    /// Never report these code ids (deleted or void codes). Asked only for codes within the radius, so it costs nothing
    /// measurable.
    #[must_use]
    pub fn deny(mut self, ids: &'a RoaringBitmap) -> Self {
        self.filter.deny = Some(ids);
        self
    }

    /// Report only these code ids. Asked only for codes within the radius; of a few allowed ids the codes are compared one
    /// by one if that is cheaper than any other way.
    #[must_use]
    pub fn allow(mut self, ids: &'a RoaringBitmap) -> Self {
        self.filter.allow = Some(ids);
        self
    }

    /// Takes the choice between index and scan from the planner. Answers stay the same.
    #[must_use]
    pub fn strategy(mut self, strategy: Strategy) -> Self {
        self.strategy = strategy;
        self
    }

    /// Limits what a search may do; an answer that is not whole says so.
    #[must_use]
    pub fn limit(mut self, limit: Limit<'a>) -> Self {
        self.limit = limit;
        self
    }

    /// Every code within `radius_bits` (inclusive) of the query, in order of distance, then id.
    ///
    /// Exact. Time at most about that of the scan; for radii well below the distance of unrelated codes sublinear in the
    /// number of codes (docs/search.md). Memory linear in the matches and candidates.
    pub fn within(&self, query: &Code<W>, radius_bits: u32) -> Matches {
        let mut matches = Vec::new();
        let (stats, complete) = if self.few() {
            self.scan_few(query, radius_bits, &mut matches)
        } else {
            with_scratch(|scratch| self.within_into(scratch, query, radius_bits, &mut matches))
        };
        Matches { matches, complete, stats }
    }

    /// As [`Self::within`], the matches put in `matches` (what it held is dropped), with the caller's buffers: allocates
    /// nothing once they have grown. Returns the work it took, and whether the matches are all.
    pub fn within_into(
        &self,
        scratch: &mut Scratch,
        query: &Code<W>,
        radius_bits: u32,
        matches: &mut Vec<Match>,
    ) -> (SearchStats, bool) {
        if self.few() {
            return self.scan_few(query, radius_bits, matches);
        }
        matches.clear();
        let (account, mut stats) = (Account::new(self.limit), SearchStats::default());
        let mut left = std::mem::take(&mut scratch.left);
        let search = Within { query, radius_bits: radius_bits.min(Code::<W>::BITS) };
        let mut hit = |id, distance_bits| matches.push(Match { distance_bits, id });
        let budget_ns = |segment: &_| self.budget_ns(segment);
        let mut work = Work { scratch, account: &account, stats: &mut stats };
        let probed = self.probe_within(&search, budget_ns, &mut work, &mut hit, &mut left);
        for ids in left.drain(..) {
            self.scan(&account).collect(ids, query, search.radius_bits, &mut stats, matches);
        }
        scratch.left = left;
        in_order(matches, &mut scratch.sorting, &stats);
        (stats.planned(probed), account.complete())
    }

    /// How many codes lie within `radius_bits` (inclusive) of the query. Exact; as [`Self::within`], but keeps and sorts
    /// nothing.
    pub fn count_within(&self, query: &Code<W>, radius_bits: u32) -> Count {
        with_scratch(|scratch| {
            let mut count = 0;
            let (stats, complete) = self.visit_within(scratch, query, radius_bits, |_| {
                count += 1;
                ControlFlow::Continue(())
            });
            if stats.damaged_segments == 0 {
                return Count { count, complete, stats };
            }
            // A damaged segment may have reported some before it was found out.
            let mut matches = std::mem::take(&mut scratch.matches);
            let (stats, complete) = self.within_into(scratch, query, radius_bits, &mut matches);
            let count = matches.len() as u64;
            scratch.matches = matches;
            Count { count, complete, stats }
        })
    }

    /// Calls `visit` for every code within `radius_bits` (inclusive) of the query, as they are found: in no order, each
    /// once (unless `damaged_segments` of the result is not 0: then some may come twice). Ends when `visit` says so; it is
    /// not called again, and the result is marked incomplete. Returns the work it took, and whether it went to the end.
    pub fn visit_within(
        &self,
        scratch: &mut Scratch,
        query: &Code<W>,
        radius_bits: u32,
        mut visit: impl FnMut(Match) -> ControlFlow<()>,
    ) -> (SearchStats, bool) {
        let account = Account::new(self.limit);
        let mut stats = SearchStats::default();
        let mut hit = |id, distance_bits| {
            if visit(Match { distance_bits, id }).is_break() {
                account.stop();
            }
        };
        let mut left = std::mem::take(&mut scratch.left);
        let search = Within { query, radius_bits: radius_bits.min(Code::<W>::BITS) };
        let budget_ns = |segment: &_| self.budget_ns(segment);
        let mut work = Work { scratch, account: &account, stats: &mut stats };
        let probed = self.probe_within(&search, budget_ns, &mut work, &mut hit, &mut left);
        for ids in left.drain(..) {
            self.scan(&account).within(ids, query, search.radius_bits, &mut stats, &mut hit);
        }
        scratch.left = left;
        (stats.planned(probed), account.complete())
    }

    /// Does by the segments' tables what is worth it, and lists the ids that are left to be scanned. Whether any table was
    /// probed.
    pub(crate) fn probe_within(
        &self,
        search: &Within<'_, W>,
        budget_ns: impl Fn(&Segment<W, B>) -> f64,
        work: &mut Work<'_>,
        hit: &mut impl FnMut(u32, u32),
        left: &mut Vec<Range<u32>>,
    ) -> bool {
        left.clear();
        if self.few() {
            left.push(0..self.codes.len());
            return false;
        }
        left.extend(self.unindexed());
        let mut probed = false;
        for segment in self.segments {
            let account = work.account;
            let mut wanted = |id, distance_bits| {
                if self.filter.wants(id) && !account.stopped() {
                    hit(id, distance_bits);
                }
            };
            match search.run(segment, self.codes, budget_ns(segment), work, &mut wanted) {
                Ok(true) => {
                    probed = true;
                    continue;
                }
                Ok(false) => {}
                Err(Damaged { .. }) => work.stats.damaged_segments += 1,
            }
            left.push(segment.ids());
        }
        probed
    }

    /// The `k` codes nearest to the query (all if there are fewer), in order of distance, then id. Of codes at the same
    /// distance those with smaller ids are taken.
    ///
    /// Exact. Grows the radius until it holds `k` codes, or scans once that is expected to be cheaper. Memory linear in
    /// `min(k, codes.len())` and the candidates.
    pub fn nearest(&self, query: &Code<W>, k: usize) -> Matches {
        self.nearest_within(query, k, Code::<W>::BITS)
    }

    /// As [`Self::nearest`], of the codes within `radius_bits` (inclusive): a bound that the caller knows saves work.
    pub fn nearest_within(&self, query: &Code<W>, k: usize, radius_bits: u32) -> Matches {
        let mut matches = Vec::new();
        let (stats, complete) = if self.few() {
            self.nearest_of_few(query, k, radius_bits, &mut matches)
        } else {
            with_scratch(|scratch| self.nearest_into(scratch, query, k, radius_bits, &mut matches))
        };
        Matches { matches, complete, stats }
    }

    /// As [`Self::nearest_within`], the matches put in `matches` (what it held is dropped), with the caller's buffers:
    /// allocates nothing once they have grown. Returns the work it took, and whether the matches are what was asked for.
    pub fn nearest_into(
        &self,
        scratch: &mut Scratch,
        query: &Code<W>,
        k: usize,
        radius_bits: u32,
        matches: &mut Vec<Match>,
    ) -> (SearchStats, bool) {
        if self.few() {
            return self.nearest_of_few(query, k, radius_bits, matches);
        }
        let radius_bits = radius_bits.min(Code::<W>::BITS);
        let k = k.min(self.codes.len() as usize);
        let mut top = TopK::in_buffer(k, radius_bits, std::mem::take(matches));
        let mut stats = SearchStats::default();
        let account = Account::new(self.limit);
        // What has to be scanned anyhow goes first: the nearer its codes, the less is left to look for.
        for ids in self.unindexed() {
            self.scan(&account).nearest(ids, query, &mut top, &mut stats);
        }
        let search = Nearest { query, k };
        let mut left = std::mem::take(&mut scratch.left);
        left.clear();
        let budget_ns = |segment: &_| self.budget_ns(segment);
        let mut work = Work { scratch, account: &account, stats: &mut stats };
        let probed = self.probe_nearest(&search, budget_ns, &mut work, &mut top, &mut left);
        for ids in left.drain(..) {
            self.scan(&account).nearest(ids, query, &mut top, &mut stats);
        }
        scratch.left = left;
        *matches = top.into_sorted();
        (stats.planned(probed), account.complete())
    }

    /// As [`Self::probe_within`], for the nearest codes: of the ids that are left, `top` holds none, but knows how far the
    /// `k`-th nearest is at most.
    pub(crate) fn probe_nearest(
        &self,
        search: &Nearest<'_, W>,
        budget_ns: impl Fn(&Segment<W, B>) -> f64,
        work: &mut Work<'_>,
        top: &mut TopK,
        left: &mut Vec<Range<u32>>,
    ) -> bool {
        let mut probed = false;
        for segment in self.segments {
            let Some(bound_bits) = top.radius_from(segment.ids().start) else { break };
            let within = Reach {
                allowed: self.filter.allowed(segment.ids()),
                bound_bits,
                budget_ns: budget_ns(segment),
            };
            let wants = |id| self.filter.wants(id);
            match search.run(segment, self.codes, &within, work, top, wants) {
                Ok(true) => {
                    probed = true;
                    continue;
                }
                Ok(false) => {}
                Err(Damaged { .. }) => work.stats.damaged_segments += 1,
            }
            top.forget(|id| segment.ids().contains(&id));
            left.push(segment.ids());
        }
        probed
    }

    /// The codes searched.
    pub(crate) fn codes(&self) -> &'a C {
        self.codes
    }

    /// Whether the id may be reported.
    pub(crate) fn wanted(&self, id: u32) -> bool {
        self.filter.wants(id)
    }

    /// The scan of what the index leaves.
    pub(crate) fn scan<'s>(&'s self, account: &'s Account<'s>) -> Scan<'s, C> {
        Scan { codes: self.codes, filter: self.filter, account }
    }

    /// Whether there are so few codes that scanning them takes less time than finding out what else could be done.
    pub(crate) fn few(&self) -> bool {
        self.strategy == Strategy::Auto && self.codes.len() as usize <= FEW_BYTES / Code::<W>::BYTES.max(1)
    }

    /// The radius search of few codes.
    fn scan_few(&self, query: &Code<W>, radius_bits: u32, matches: &mut Vec<Match>) -> (SearchStats, bool) {
        let account = Account::new(self.limit);
        let mut stats = SearchStats::default();
        matches.clear();
        self.scan(&account).collect(0..self.codes.len(), query, radius_bits, &mut stats, matches);
        if matches.len() > 1 {
            with_scratch(|scratch| in_order(matches, &mut scratch.sorting, &stats));
        }
        (stats.planned(false), account.complete())
    }

    /// The nearest of few codes.
    fn nearest_of_few(
        &self,
        query: &Code<W>,
        k: usize,
        radius_bits: u32,
        matches: &mut Vec<Match>,
    ) -> (SearchStats, bool) {
        let (account, mut stats) = (Account::new(self.limit), SearchStats::default());
        let k = k.min(self.codes.len() as usize);
        let mut top = TopK::in_buffer(k, radius_bits.min(Code::<W>::BITS), std::mem::take(matches));
        self.scan(&account).nearest(0..self.codes.len(), query, &mut top, &mut stats);
        *matches = top.into_sorted();
        (stats.planned(false), account.complete())
    }

    /// What a search of a segment may take.
    pub(crate) fn budget_ns(&self, segment: &Segment<W, B>) -> f64 {
        match self.strategy {
            Strategy::Scan => 0.0,
            Strategy::Index => f64::INFINITY,
            Strategy::Auto => self.otherwise_ns(segment),
        }
    }

    /// What it takes to do without a segment: to scan its codes, or to compare those that the filter lists.
    pub(crate) fn otherwise_ns(&self, segment: &Segment<W, B>) -> f64 {
        let costs = segment.costs();
        match self.filter.allow {
            None => costs.scan(),
            Some(_) => costs.scan().min(self.filter.allowed(segment.ids()) as f64 * costs.fetch()),
        }
    }

    /// The ranges of ids that no segment covers.
    pub(crate) fn unindexed(&self) -> impl Iterator<Item = Range<u32>> {
        let starts = std::iter::once(0).chain(self.segments.iter().map(|segment| segment.ids().end));
        let ends =
            self.segments.iter().map(|segment| segment.ids().start).chain(std::iter::once(self.codes.len()));
        starts.zip(ends).map(|(start, end)| start..end).filter(|ids| !ids.is_empty())
    }
}
