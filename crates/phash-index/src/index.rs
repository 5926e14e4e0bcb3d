//! Owns [`Index`]: codes, the index segments over them, and the choice between the two for each query. Always exact:
//! ids that no segment covers are scanned, and so is a segment that is damaged or where scanning is cheaper.

use std::ops::Range;

use phash_code::{Code, Codes};
use roaring::RoaringBitmap;

use crate::plan::Strategy;
use crate::probe::Damaged;
use crate::search::{Nearest, Search, worth_within};
use crate::topk::TopK;
use crate::{Error, Match, Matches, Plan, SearchStats, Segment, scan};

/// A search over codes by the index segments that cover them, wholly or in part. Cheap to make; immutable; may be
/// shared between threads if the codes may.
#[derive(Debug)]
pub struct Index<'a, const W: usize, C: ?Sized, B> {
    codes: &'a C,
    segments: &'a [Segment<W, B>],
    except: Option<&'a RoaringBitmap>,
    strategy: Strategy,
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
        Ok(Self { codes, segments, except: None, strategy: Strategy::Auto })
    }

    /// Never report these code ids (deleted or void codes). Asked only for codes within the radius, so it costs nothing
    /// measurable.
    #[must_use]
    pub fn except(mut self, ids: &'a RoaringBitmap) -> Self {
        self.except = Some(ids);
        self
    }

    /// Takes the choice between index and scan from the planner. Answers stay the same.
    #[must_use]
    pub fn strategy(mut self, strategy: Strategy) -> Self {
        self.strategy = strategy;
        self
    }

    /// Every code within `radius_bits` (inclusive) of the query, in order of distance, then id.
    ///
    /// Exact. Time at most about that of the scan; for radii well below the distance of unrelated codes, and substrings
    /// of log2(n) bits, sublinear in the number of codes (docs/search.md). Memory linear in the matches and candidates.
    pub fn within(&self, query: &Code<W>, radius_bits: u32) -> Matches {
        let radius_bits = radius_bits.min(Code::<W>::BITS);
        let mut matches = Vec::new();
        let mut stats = SearchStats::default();
        let mut probed = false;
        let scan_ids = |ids: Range<u32>, matches: &mut Vec<Match>, stats: &mut SearchStats| {
            stats.scanned += u64::from(ids.end - ids.start);
            scan::within_ids(self.codes, ids, query, radius_bits, self.except, matches);
        };
        for segment in self.segments {
            match self.probe_within(segment, query, radius_bits, &mut matches, &mut stats) {
                Ok(true) => {
                    probed = true;
                    continue;
                }
                Ok(false) => {}
                Err(Damaged) => stats.damaged_segments += 1,
            }
            scan_ids(segment.ids(), &mut matches, &mut stats);
        }
        for ids in self.unindexed() {
            scan_ids(ids, &mut matches, &mut stats);
        }
        matches.sort_unstable();
        // A sound segment reports no code twice. A damaged one might, or report some before it was found out and scanned.
        matches.dedup();
        finish(matches, stats, probed)
    }

    /// The `k` codes nearest to the query (all if there are fewer), in order of distance, then id. Of codes at the same
    /// distance those with smaller ids are taken.
    ///
    /// Exact. Grows the radius until it holds `k` codes, or scans once that is expected to be cheaper. Memory linear in
    /// `min(k, codes.len())` and the candidates.
    pub fn nearest(&self, query: &Code<W>, k: usize) -> Matches {
        let k = k.min(self.codes.len() as usize);
        let mut top = TopK::new(k, Code::<W>::BITS);
        let mut stats = SearchStats::default();
        if k == 0 {
            return finish(Vec::new(), stats, false);
        }
        let scan_ids = |ids: Range<u32>, top: &mut TopK, stats: &mut SearchStats| {
            stats.scanned += u64::from(ids.end - ids.start);
            scan::nearest_ids(self.codes, ids, query, top, self.except);
        };
        for ids in self.unindexed() {
            scan_ids(ids, &mut top, &mut stats);
        }
        let complete = match self.probe_nearest(query, k, &mut top, &mut stats) {
            Ok(complete) => complete,
            Err(Damaged) => {
                stats.damaged_segments += 1;
                false
            }
        };
        if !complete {
            // What the segments gave is offered again by the scan.
            top.forget(|id| self.segments.iter().any(|segment| segment.ids().contains(&id)));
            for segment in self.segments {
                scan_ids(segment.ids(), &mut top, &mut stats);
            }
        }
        finish(top.into_sorted(), stats, complete && !self.segments.is_empty())
    }

    /// The codes searched.
    pub(crate) fn codes(&self) -> &'a C {
        self.codes
    }

    /// Who chooses between index and scan.
    pub(crate) fn chosen_by(&self) -> Strategy {
        self.strategy
    }

    /// Whether the id may be reported.
    pub(crate) fn wanted(&self, id: u32) -> bool {
        scan::wanted(self.except, id)
    }

    /// The ranges of ids that no segment covers.
    fn unindexed(&self) -> impl Iterator<Item = Range<u32>> {
        let starts = std::iter::once(0).chain(self.segments.iter().map(|segment| segment.ids().end));
        let ends =
            self.segments.iter().map(|segment| segment.ids().start).chain(std::iter::once(self.codes.len()));
        starts.zip(ends).map(|(start, end)| start..end).filter(|ids| !ids.is_empty())
    }

    /// Whether the index found everything within the radius; if not, nothing is known of the segment.
    fn probe_within(
        &self,
        segment: &Segment<W, B>,
        query: &Code<W>,
        radius_bits: u32,
        matches: &mut Vec<Match>,
        stats: &mut SearchStats,
    ) -> Result<bool, Damaged> {
        match self.strategy {
            Strategy::Scan => return Ok(false),
            Strategy::Auto if !worth_within(segment, radius_bits) => return Ok(false),
            Strategy::Auto | Strategy::Index => {}
        }
        let mut search = Search::new(std::slice::from_ref(segment), query, self.strategy)?;
        if !search.look_up_to(radius_bits, stats)? {
            return Ok(false);
        }
        let hit = |id, distance_bits| {
            if self.wanted(id) {
                matches.push(Match { distance_bits, id });
            }
        };
        search.report(self.codes, radius_bits, hit, stats)?;
        Ok(true)
    }

    /// Whether the index found the nearest codes of its segments; if not, `top` lacks some.
    fn probe_nearest(
        &self,
        query: &Code<W>,
        k: usize,
        top: &mut TopK,
        stats: &mut SearchStats,
    ) -> Result<bool, Damaged> {
        if self.segments.is_empty() {
            return Ok(true);
        }
        let Some(plan) = Nearest::plan(self.segments, k, self.strategy) else { return Ok(false) };
        let mut search = Search::new(self.segments, query, self.strategy)?;
        plan.run(&mut search, self.codes, |id| self.wanted(id), top, stats)
    }
}

fn finish(matches: Vec<Match>, mut stats: SearchStats, probed: bool) -> Matches {
    stats.plan = match (probed, stats.scanned) {
        (false, _) => Plan::Scan,
        (true, 0) => Plan::Index,
        (true, _) => Plan::Mixed,
    };
    Matches { matches, stats }
}
