//! Owns [`Index`]: codes, the index segments over them, and the choice between the two for each query. Always exact:
//! ids that no segment covers are scanned, and so is a segment that is damaged or where scanning is cheaper.

use std::ops::Range;

use phash_code::{Code, Codes};
use roaring::RoaringBitmap;

use crate::plan::{Costs, STEP_NS, Strategy};
use crate::probe::{Damaged, Found, Probe};
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
            scan::within_ids(self.codes, ids, query, radius_bits, |id, distance_bits| {
                if self.wanted(id) {
                    matches.push(Match { distance_bits, id });
                }
            });
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
            scan::nearest_ids(self.codes, ids, query, top, |id| self.wanted(id));
        };
        for ids in self.unindexed() {
            scan_ids(ids, &mut top, &mut stats);
        }
        let complete = match self.probe_nearest(query, &mut top, &mut stats) {
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

    fn wanted(&self, id: u32) -> bool {
        self.except.is_none_or(|except| !except.contains(id))
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
        let costs = costs_of(segment);
        let budget_ns = match self.strategy {
            Strategy::Scan => return Ok(false),
            Strategy::Index => f64::INFINITY,
            Strategy::Auto => costs.scan(),
        };
        let (probes, expected_ns) = costs.ball(segment.cut(), radius_bits);
        let probes_ns = costs.set_up(segment.substrings()) + costs.probes(probes);
        // A quarter of the budget at most is risked before it is known how many candidates there are.
        if expected_ns > budget_ns || probes_ns > budget_ns / 4.0 {
            return Ok(false);
        }
        let mut probe = Probe::new(segment, query)?;
        let found = probe.look_up_ball(radius_bits)?;
        add(stats, found);
        if probes_ns + costs.candidates(found.buckets as f64, found.candidates as f64) > budget_ns {
            return Ok(false);
        }
        stats.verified += probe.report(self.codes, radius_bits, |id, distance_bits| {
            if self.wanted(id) {
                matches.push(Match { distance_bits, id });
            }
        })?;
        Ok(true)
    }

    /// Whether the index found the nearest codes of its segments; if not, `top` lacks some.
    fn probe_nearest(
        &self,
        query: &Code<W>,
        top: &mut TopK,
        stats: &mut SearchStats,
    ) -> Result<bool, Damaged> {
        if self.segments.is_empty() {
            return Ok(true);
        }
        let searches: Vec<_> = self
            .segments
            .iter()
            .map(|segment| (costs_of(segment), segment.cut().collect::<Vec<_>>()))
            .collect();
        let mut budget_ns: f64 = searches.iter().map(|(costs, _)| costs.scan()).sum();
        match self.strategy {
            Strategy::Scan => return Ok(false),
            Strategy::Index => budget_ns = f64::INFINITY,
            Strategy::Auto => {}
        }
        let step_ns = |radius_bits: u32| -> f64 {
            searches.iter().map(|(costs, cut)| costs.step(cut, radius_bits)).sum()
        };
        let tables = self.segments.iter().map(Segment::substrings);
        let mut spent_ns: f64 =
            searches.iter().zip(tables).map(|((costs, _), tables)| costs.set_up(tables)).sum();
        if spent_ns > budget_ns / 8.0 {
            return Ok(false);
        }
        let mut probes = Vec::with_capacity(self.segments.len());
        for segment in self.segments {
            probes.push(Probe::new(segment, query)?);
        }
        for radius_bits in 0..=Code::<W>::BITS {
            // Every code nearer than `radius_bits` has been offered.
            let worst = top.worst();
            if worst.is_some_and(|worst| worst.distance_bits < radius_bits) {
                return Ok(true);
            }
            // Without k matches nobody knows how far they are: risk an eighth. With them the way left is known.
            let this_ns = step_ns(radius_bits);
            if spent_ns + this_ns > budget_ns / 8.0 {
                let Some(worst) = worst else { return Ok(false) };
                let mut rest_ns = 0.0;
                for later in radius_bits..=worst.distance_bits {
                    rest_ns += step_ns(later);
                    if spent_ns + rest_ns > budget_ns {
                        return Ok(false);
                    }
                }
            }
            for (probe, (costs, _)) in probes.iter_mut().zip(&searches) {
                let found = probe.look_up_step(radius_bits)?;
                add(stats, found);
                spent_ns += STEP_NS
                    + costs.probes(found.probes as f64)
                    + costs.candidates(found.buckets as f64, found.candidates as f64);
                if spent_ns > budget_ns {
                    return Ok(false);
                }
                let limit_bits = top.worst().map_or(Code::<W>::BITS, |worst| worst.distance_bits);
                stats.verified += probe.report(self.codes, limit_bits, |id, distance_bits| {
                    if self.wanted(id) {
                        top.offer(Match { distance_bits, id });
                    }
                })?;
            }
        }
        Ok(true)
    }
}

fn costs_of<const W: usize, B: AsRef<[u8]>>(segment: &Segment<W, B>) -> Costs {
    let ids = segment.ids();
    Costs::of::<W>(ids.end - ids.start, segment.bytes().len())
}

fn add(stats: &mut SearchStats, found: Found) {
    stats.probes += found.probes;
    stats.candidates += found.candidates;
}

fn finish(matches: Vec<Match>, mut stats: SearchStats, probed: bool) -> Matches {
    stats.plan = match (probed, stats.scanned) {
        (false, _) => Plan::Scan,
        (true, 0) => Plan::Index,
        (true, _) => Plan::Mixed,
    };
    Matches { matches, stats }
}
