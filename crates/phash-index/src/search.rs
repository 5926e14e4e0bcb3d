//! Owns one query on index segments under the planner: an account of what it takes, and when to give up and scan.
//!
//! What must hold: looking up is what may be wasted. Candidates are verified only once they are counted and fit in
//! what scanning costs; until then look-ups take at most [`LOOK_UPS`] of it (docs/search.md).

use phash_code::{Code, Codes};

use crate::plan::{Costs, Expected, Strategy, likely_bits};
use crate::probe::{Damaged, Found, Probe};
use crate::topk::TopK;
use crate::{Match, SearchStats, Segment};

/// The part of a scan's time that look-ups may take before it is known whether the candidates are worth it.
pub(crate) const LOOK_UPS: f64 = 1.0 / 3.0;
/// The part that is risked on the chance that the nearest code is much nearer than a random one would be; for the k-th
/// nearest the chance is smaller, and so is the part, divided by `k^(3/4)`.
pub(crate) const RISK: f64 = 0.08;
/// The part that may be spent step by step, while it is expected that the index wins; beyond, everything left is looked
/// up before more is verified.
pub(crate) const STEPWISE: f64 = 1.0 / 8.0;
/// The part that the index must be expected to save before more than the risk is spent on it.
const MARGIN: f64 = 0.1;

/// The part of a scan's time that counts as clearly less, where only the average query is known.
const CLEARLY: f64 = 0.7;

/// A query on some segments.
pub(crate) struct Search<'s, const W: usize> {
    parts: Vec<Part<'s, W>>,
    /// What scanning the segments takes.
    budget_ns: f64,
    spent_ns: f64,
    /// The candidates looked up and not verified yet, and the time that takes.
    pending: u64,
    pending_ns: f64,
    /// The step to look up next: steps below are.
    next_bits: u32,
}

/// One segment's part.
struct Part<'s, const W: usize> {
    costs: Costs,
    probe: Probe<'s, W>,
    /// Ids a bucket held on average in the last round: one shell of every table.
    bucket_ids: f64,
    /// The round under way.
    round: Found,
}

impl<'s, const W: usize> Search<'s, W> {
    pub(crate) fn new<B: AsRef<[u8]>>(
        segments: &'s [Segment<W, B>],
        query: &Code<W>,
        strategy: Strategy,
    ) -> Result<Self, Damaged> {
        let parts = segments.iter().map(|segment| {
            let (costs, probe) = (costs_of(segment), Probe::new(segment, query)?);
            Ok(Part { costs, probe, bucket_ids: 0.0, round: Found::default() })
        });
        let budget_ns = match strategy {
            Strategy::Index => f64::INFINITY,
            _ => segments.iter().map(|segment| costs_of(segment).scan()).sum(),
        };
        let spent_ns = segments.iter().map(|segment| costs_of(segment).set_up(segment.substrings())).sum();
        Ok(Self {
            parts: parts.collect::<Result<_, _>>()?,
            budget_ns,
            spent_ns,
            pending: 0,
            pending_ns: 0.0,
            next_bits: 0,
        })
    }

    /// Looks up the steps to `radius_bits`. False if it would be cheaper to scan.
    pub(crate) fn look_up_to(&mut self, radius_bits: u32, stats: &mut SearchStats) -> Result<bool, Damaged> {
        let batch_ns: f64 = self.parts.iter().map(|part| part.costs.batch()).sum();
        self.spent_ns += batch_ns;
        while self.next_bits <= radius_bits {
            let mut round_ended = false;
            for part in &mut self.parts {
                let found = part.probe.look_up_step(self.next_bits)?;
                stats.probes += found.probes;
                stats.candidates += found.candidates;
                self.spent_ns += part.costs.probes(found.probes as f64);
                self.pending += found.candidates;
                self.pending_ns += part.costs.candidates(found.buckets as f64, found.candidates as f64);
                round_ended |= part.count(found, self.next_bits);
            }
            self.next_bits += 1;
            // What is found so far must fit, and, looked at whenever more is known of the buckets, what is to come too.
            if !self.fits(if round_ended { radius_bits } else { 0 }, 0.0) {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Verifies what was looked up; `wanted` ids are passed to `hit` with their distance if within `radius_bits`.
    pub(crate) fn report<C: Codes<W> + ?Sized>(
        &mut self,
        codes: &C,
        radius_bits: u32,
        mut hit: impl FnMut(u32, u32),
        stats: &mut SearchStats,
    ) -> Result<(), Damaged> {
        for part in &mut self.parts {
            stats.verified += part.probe.report(codes, radius_bits, &mut hit)?;
        }
        self.spent_ns += self.pending_ns;
        self.pending = 0;
        self.pending_ns = 0.0;
        Ok(())
    }

    /// What the steps up to `last_bits` that are left are expected to take; no longer exact once more than the budget.
    fn expected(&self, last_bits: u32) -> Expected {
        let mut sum = Expected::default();
        for radius_bits in self.next_bits..=last_bits {
            for part in &self.parts {
                sum = sum.and(part.expected(radius_bits));
            }
            if sum.ns() > self.budget_ns {
                break;
            }
        }
        sum
    }

    /// Whether it is expected that the steps up to `last_bits` leave at least the part `margin` of the budget, and their
    /// look-ups are not too much to risk.
    fn fits(&self, last_bits: u32, margin: f64) -> bool {
        let left = self.expected(last_bits);
        // Beyond 2^32 candidates a scan is cheaper whatever the model says.
        self.pending < u64::from(u32::MAX)
            && self.spent_ns + self.pending_ns + left.ns() <= self.budget_ns * (1.0 - margin)
            && left.look_up_ns <= self.budget_ns * LOOK_UPS
    }
}

impl<const W: usize> Part<'_, W> {
    /// Adds a step to its round; whether that ended.
    fn count(&mut self, found: Found, radius_bits: u32) -> bool {
        self.round = self.round.and(found);
        let ended = (radius_bits + 1).is_multiple_of(self.probe.table_count());
        if ended {
            self.bucket_ids = self.round.candidates as f64 / self.round.probes.max(1) as f64;
            self.round = Found::default();
        }
        ended
    }

    fn expected(&self, radius_bits: u32) -> Expected {
        let shell = self.probe.shell_of(radius_bits);
        shell.map_or(Expected::default(), |(substring, shell)| {
            self.costs.shell(substring, shell, self.bucket_ids)
        })
    }
}

/// Whether it is worth beginning to look for the codes within a radius in a segment.
pub(crate) fn worth_within<const W: usize, B: AsRef<[u8]>>(
    segment: &Segment<W, B>,
    radius_bits: u32,
) -> bool {
    let costs = costs_of(segment);
    let fits = |bucket_ids, part: f64| {
        let expected = costs.ball(segment.cut(), radius_bits, bucket_ids);
        expected.ns() <= costs.scan() * part && expected.look_up_ns <= costs.scan() * LOOK_UPS
    };
    if !fits(0.0, 1.0) {
        return false;
    }
    // How full the buckets near the query are shows after the first round. Where that costs too much to try, the average
    // query decides.
    let first_ns = costs.set_up(segment.substrings()) + costs.batch();
    first_ns <= costs.scan() * RISK
        || segment.dense_bucket_ids() <= 0.0
        || fits(segment.dense_bucket_ids(), CLEARLY)
}

/// The search for the `k` nearest codes in segments.
pub(crate) struct Nearest {
    risk_ns: f64,
    /// The distance within which there would be `k` codes if they were random.
    likely_bits: u32,
}

impl Nearest {
    /// None if it is not worth beginning to look for the `k` nearest codes in these segments.
    pub(crate) fn plan<const W: usize, B: AsRef<[u8]>>(
        segments: &[Segment<W, B>],
        k: usize,
        strategy: Strategy,
    ) -> Option<Self> {
        let codes = segments.iter().map(|segment| segment.ids().len() as u64).sum();
        let all_costs = || segments.iter().map(|segment| (segment, costs_of(segment)));
        let budget_ns: f64 = all_costs().map(|(_, costs)| costs.scan()).sum();
        let risk_ns = match strategy {
            Strategy::Scan => return None,
            Strategy::Index => f64::INFINITY,
            Strategy::Auto => budget_ns * RISK / (k as f64).powf(0.75),
        };
        // The equal buckets: what is tried first.
        let first_ns: f64 = all_costs()
            .map(|(segment, costs)| {
                costs.ball(segment.cut(), segment.substrings().saturating_sub(1), 0.0).ns()
            })
            .sum();
        if first_ns > budget_ns * STEPWISE && strategy == Strategy::Auto {
            return None;
        }
        let plan = Self { risk_ns, likely_bits: likely_bits(codes, Code::<W>::BITS, k) };
        let whole_ns =
            |(segment, costs): (&Segment<W, B>, Costs)| costs.ball(segment.cut(), plan.likely_bits, 0.0);
        let whole = all_costs().map(whole_ns).fold(Expected::default(), Expected::and);
        let fits = whole.ns() <= budget_ns * (1.0 - MARGIN) && whole.look_up_ns <= budget_ns * LOOK_UPS;
        (first_ns <= risk_ns || fits).then_some(plan)
    }

    /// Offers the nearest codes of the segments to `top`. False if it gave up, and `top` lacks some.
    pub(crate) fn run<const W: usize, C: Codes<W> + ?Sized>(
        &self,
        search: &mut Search<'_, W>,
        codes: &C,
        wanted: impl Fn(u32) -> bool,
        top: &mut TopK,
        stats: &mut SearchStats,
    ) -> Result<bool, Damaged> {
        while search.next_bits <= Code::<W>::BITS {
            // Every code nearer than the next step has been offered.
            let worst = top.worst().map(|worst| worst.distance_bits);
            if worst.is_some_and(|worst| worst < search.next_bits) {
                return Ok(true);
            }
            // All equal buckets at once, because each step waits for memory several times over; then one step at a time.
            let tables = search.parts.iter().map(|part| part.probe.table_count());
            let first = if search.next_bits == 0 { tables.max().unwrap_or(1) - 1 } else { search.next_bits };
            let target = worst.unwrap_or(self.likely_bits).max(search.next_bits);
            let step = first.min(worst.unwrap_or(first));
            let next = search.expected(step);
            let within_risk = search.spent_ns + next.ns() <= self.risk_ns;
            if !within_risk && !search.fits(target, MARGIN) {
                return Ok(false);
            }
            let stepwise_ns = self.risk_ns.max(search.budget_ns * STEPWISE);
            let last = if search.spent_ns + next.ns() <= stepwise_ns { step } else { target };
            if !search.look_up_to(last, stats)? {
                return Ok(false);
            }
            // More candidates than expected: verify them only if that leads to the end.
            let so_far_ns = search.spent_ns + search.pending_ns;
            if so_far_ns > self.risk_ns && !search.fits(target, 0.0) {
                return Ok(false);
            }
            if so_far_ns > stepwise_ns && !search.look_up_to(target, stats)? {
                return Ok(false);
            }
            let limit_bits = worst.unwrap_or(Code::<W>::BITS);
            let hit = |id, distance_bits| {
                if wanted(id) {
                    top.offer(Match { distance_bits, id });
                }
            };
            search.report(codes, limit_bits, hit, stats)?;
        }
        Ok(true)
    }
}

pub(crate) fn costs_of<const W: usize, B: AsRef<[u8]>>(segment: &Segment<W, B>) -> Costs {
    let ids = segment.ids();
    Costs::of::<W>(ids.end - ids.start, segment.bytes().len())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{BuildParams, Index, Plan, build_segment};

    /// splitmix64.
    struct Random(u64);

    impl Random {
        fn next(&mut self) -> u64 {
            self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let mut z = self.0;
            z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            z ^ (z >> 31)
        }

        fn code<const W: usize>(&mut self) -> Code<W> {
            Code::from_le_words(std::array::from_fn(|_| self.next()))
        }

        fn near<const W: usize>(&mut self, code: &Code<W>, flips: u64) -> Code<W> {
            (0..flips).fold(*code, |mut near, _| {
                let bit = u32::try_from(self.next() % u64::from(Code::<W>::BITS)).unwrap();
                near.set_bit(bit, !near.bit(bit));
                near
            })
        }
    }

    /// The work counted must not exceed what the planner says it risks, in its own units. Returns how many searches
    /// probed and went through with it, and how many probed and gave up.
    fn check<const W: usize>(kind: &str, codes: &[Code<W>], random: &mut Random) -> [u32; 2] {
        let n = u32::try_from(codes.len()).unwrap();
        let segments =
            [Segment::<W, _>::open(build_segment(codes, 0..n, &BuildParams::default()).unwrap()).unwrap()];
        let index = Index::new(codes, &segments).unwrap();
        let costs = costs_of(&segments[0]);
        let mut counts = [0, 0];
        for i in 0..24 {
            let source = codes[usize::try_from(random.next() % u64::from(n)).unwrap()];
            let query = if i % 3 == 2 { random.code() } else { random.near(&source, 2 * i) };
            let within = [0, 2, 4, 8, 12, 16, 24, 31, 48, 64]
                .map(|radius_bits| index.within(&query, radius_bits).stats);
            let nearest = [1, 2, 10, 100, 5000].map(|k| index.nearest(&query, k).stats);
            for stats in within.into_iter().chain(nearest) {
                if stats.probes == 0 {
                    assert_eq!(stats.candidates, 0);
                    continue;
                }
                // Without the buckets' ids, which are not counted in the open: no less strict by more than a third.
                let spent_ns = costs.set_up(segments[0].substrings())
                    + costs.probes(stats.probes as f64)
                    + costs.candidates(0.0, stats.verified as f64);
                let gave_up = stats.plan == Plan::Scan;
                let most = if gave_up { STEPWISE + LOOK_UPS } else { 1.0 };
                assert!(spent_ns <= most * costs.scan(), "{kind} {}: {stats:?}", Code::<W>::BITS);
                counts[usize::from(gave_up)] += 1;
            }
        }
        counts
    }

    fn check_all<const W: usize>(random: &mut Random) -> [u32; 2] {
        let n = 60_000;
        let one = random.code::<W>();
        let even: Vec<Code<W>> = (0..n).map(|_| random.code()).collect();
        let centres: Vec<Code<W>> = (0..40).map(|_| random.code()).collect();
        let clusters =
            (0..n).map(|i| random.near(&centres[i % 40], u64::from(Code::<W>::BITS) / 8)).collect();
        let half = (0..n).map(|i| if i % 2 == 0 { one } else { even[i] }).collect();
        // Full buckets near the query in the first table, and nothing else near it.
        let word = one.to_le_words()[0];
        let lures = even.iter().map(|code| {
            let mut words = [0; W];
            words.copy_from_slice(&code.to_le_words()[..]);
            words[0] = (words[0] & !0xffff_ffff) | (word & 0xffff_ffff) ^ (1 << (words[0] % 32));
            Code::from_le_words(words)
        });
        let lures: Vec<Code<W>> = lures.collect();
        let kinds: [(&str, Vec<Code<W>>); 5] = [
            ("all equal", vec![one; n]),
            ("half equal", half),
            ("clusters", clusters),
            ("lures", lures),
            ("even", even),
        ];
        kinds
            .iter()
            .map(|(kind, codes)| check(kind, codes, random))
            .fold([0, 0], |[a, b], [c, d]| [a + c, b + d])
    }

    #[test]
    fn the_work_never_exceeds_the_scan_by_more_than_the_planner_risks() {
        let mut random = Random(23);
        let counts = [
            check_all::<1>(&mut random),
            check_all::<2>(&mut random),
            check_all::<4>(&mut random),
            check_all::<8>(&mut random),
        ];
        assert!(counts.iter().all(|[through, _]| *through > 100), "{counts:?}");
        assert!(counts.iter().map(|[_, gave_up]| gave_up).sum::<u32>() > 20, "{counts:?}");
    }
}
