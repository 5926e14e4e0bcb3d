//! Owns the nearest-neighbour search of one segment: radii grow until nothing nearer can be left, or until something else is
//! expected to be cheaper. What is lost on giving up is a small part of the scan ([`RISK`]).

use std::ops::RangeInclusive;

use phash_code::{Code, Codes};

use crate::allocation::Allocation;
use crate::costs::{self, Costs, likely_bits};
use crate::pages::Damaged;
use crate::probe::Probe;
use crate::scratch::{Scratch, Work};
use crate::topk::TopK;
use crate::within::{IN_VAIN, passing_afforded};
use crate::{Match, Segment};

/// The part of the budget risked on the chance that the nearest codes are nearer than random ones would be; for the k-th
/// nearest the chance is smaller, and so is the part, divided by `k^(1/2)`. Where codes lie densely the nearest so many are near or far
/// together.
const RISK: f64 = 0.05;
const FEW: f64 = 100.0;
/// The part of the budget that going through with it may be expected to take. How far the nearest of an even segment are is known
/// well enough to need nothing to spare.
const CLEARLY: f64 = 0.85;
const EVENLY: f64 = 1.0;
/// How much more than expected may be found where the budget ends.
const FORESEEN: f64 = 1.5;
/// Steps taken together take at least that part of what has been spent: each group waits for memory several times over.
const GROUP: f64 = 0.5;

/// A nearest-neighbour search of one segment.
pub(crate) struct Nearest<'q, const W: usize> {
    pub(crate) query: &'q Code<W>,
    pub(crate) k: usize,
}

/// How far the search of one segment may go.
pub(crate) struct Reach {
    /// How many of the segment's codes may be reported.
    pub(crate) allowed: u64,
    /// Codes farther away are not wanted.
    pub(crate) bound_bits: u32,
    /// What may be spent; infinity to go through with it whatever it costs.
    pub(crate) budget_ns: f64,
}

impl<const W: usize> Nearest<'_, W> {
    /// Offers the segment's nearest codes to `top`, which holds none of them. False if it gave up: then `top` holds some.
    pub(crate) fn run<B: AsRef<[u8]>, C: Codes<W> + ?Sized>(
        &self,
        segment: &Segment<W, B>,
        codes: &C,
        reach: &Reach,
        work: &mut Work<'_>,
        top: &mut TopK,
        wants: impl Fn(u32) -> bool,
    ) -> Result<bool, Damaged> {
        let bound_bits = reach.bound_bits;
        let Some(Beginning { likely_bits, candidate_ns, mut spent_ns, purse }) = self.begin(segment, reach)
        else {
            return Ok(false);
        };
        let costs = purse.costs;
        let Work { scratch, account, stats } = work;
        let Scratch { allocation, ahead, buffers, .. } = &mut **scratch;
        let mut probe = Probe::new(segment, self.query, likely_bits, buffers)?;
        allocation.start(&probe, costs, candidate_ns)?;
        // So many shells are taken: every code nearer than that has been offered.
        let mut met_bits = 0;
        loop {
            let worst_bits = top.worst().map(|worst| worst.distance_bits);
            // Of codes as far as the worst, ones with smaller ids may be left.
            let target_bits = worst_bits.unwrap_or(u32::MAX).min(bound_bits);
            if met_bits > target_bits || !account.goes_on() {
                return Ok(true);
            }
            let group_ns = (spent_ns * GROUP).max(costs.batch());
            let likely = worst_bits.unwrap_or(likely_bits).clamp(met_bits, bound_bits);
            let Some((_, first_ns)) = allocation.next() else { return Ok(true) };
            let known = worst_bits.is_some();
            let shells = met_bits..=likely;
            let Some(mut left_ns) = purse.left_ns(spent_ns, first_ns, shells, known, allocation, ahead)
            else {
                return Ok(false);
            };
            spent_ns += costs.batch();
            let (mut taken_ns, mut found_ns, mut candidates) = (0.0, 0.0, 0);
            while met_bits <= target_bits
                && let Some((table, ns)) = allocation.next()
                && (taken_ns == 0.0 || (taken_ns + ns <= group_ns && met_bits <= likely))
            {
                let shell = allocation.take(table, costs);
                let found = probe.look_up(shell)?;
                met_bits += 1;
                stats.tables += u64::from(shell.distance_bits == 0);
                taken_ns += ns;
                found_ns += costs.candidates(found.buckets as f64, found.candidates as f64, candidate_ns);
                candidates += found.candidates;
                stats.probes += found.probes;
                stats.candidates += found.candidates;
                let unforeseen = found_ns > left_ns && found_ns > taken_ns * FORESEEN;
                if unforeseen || candidates >= u64::from(u32::MAX) {
                    return Ok(false);
                }
            }
            spent_ns += taken_ns.max(found_ns);
            left_ns -= taken_ns.max(found_ns);
            let limit_bits = top.radius().min(bound_bits);
            if !passing_afforded(segment, &mut probe, limit_bits, candidates, costs.offer(), left_ns)? {
                return Ok(false);
            }
            let mut offered = 0u32;
            let passed =
                probe.verify(codes, limit_bits, candidates, account, stats, |id, distance_bits| {
                    offered += 1;
                    if wants(id) {
                        top.offer(Match { distance_bits, id });
                    }
                })?;
            spent_ns += costs.offers(candidates as f64, passed as f64, offered.into(), candidate_ns);
            if !account.complete() {
                return Ok(true);
            }
        }
    }

    /// What is known before anything is looked up; `None` if that says that something else is cheaper.
    fn begin<'s, B: AsRef<[u8]>>(&self, segment: &'s Segment<W, B>, reach: &Reach) -> Option<Beginning<'s>> {
        let Reach { allowed, bound_bits, budget_ns } = *reach;
        let (costs, bits) = (segment.costs(), Code::<W>::BITS);
        let even = segment.even().is_some();
        let few = if even { 1.0 } else { FEW };
        let risk_ns = budget_ns * RISK * (few / self.k as f64).sqrt().min(1.0);
        let tables = segment.tables().len();
        let estimated = if even { 0 } else { tables };
        let mut spent_ns = costs.set_up(tables) + costs.estimates(estimated) + costs.likely(bits);
        if spent_ns > budget_ns * IN_VAIN {
            return None;
        }
        let likely_bits = likely_bits(allowed, bits, self.k).min(bound_bits);
        spent_ns += costs.choose(1, tables);
        // Where the equal buckets alone are too much to risk, codes spread evenly tell whether it can be worth it at all.
        let even_ns = |shells: u32| costs.even_probes(segment.tables(), shells);
        let first_ns = spent_ns + costs.batch() + even_ns(1);
        if spent_ns > budget_ns * IN_VAIN
            || (first_ns > risk_ns && spent_ns + even_ns(likely_bits + 1) > budget_ns)
        {
            return None;
        }
        let reached = even.then_some((allowed, self.k));
        let purse = Purse { costs, bits, reached, budget_ns, risk_ns };
        Some(Beginning { likely_bits, candidate_ns: costs.candidate(likely_bits), spent_ns, purse })
    }
}

/// What a search begins with.
struct Beginning<'a> {
    /// How far the k-th nearest of random codes would be.
    likely_bits: u32,
    /// What a candidate costs.
    candidate_ns: f64,
    /// What it took to know that.
    spent_ns: f64,
    purse: Purse<'a>,
}

/// What a search may spend, and what it looks at to know.
struct Purse<'a> {
    costs: &'a Costs,
    bits: u32,
    /// Of an even segment: how many codes may be reported, and how many are wanted.
    reached: Option<(u64, usize)>,
    budget_ns: f64,
    risk_ns: f64,
}

impl Purse<'_> {
    /// What may be spent from here on, `spent_ns` having been spent; `None` to give up. A risk is taken for little: the next shell
    /// alone, which takes `first_ns`. More than that only if all the shells that are likely to be needed, `shells`, can be afforded.
    /// `known`: so many codes have been found as are wanted.
    fn left_ns(
        &self,
        spent_ns: f64,
        first_ns: f64,
        shells: RangeInclusive<u32>,
        known: bool,
        allocation: &Allocation,
        ahead: &mut Allocation,
    ) -> Option<f64> {
        let Self { costs, bits, reached, budget_ns, risk_ns } = *self;
        if spent_ns + costs.batch() + first_ns <= risk_ns {
            return Some(budget_ns * IN_VAIN);
        }
        let mut expected_ns = |chances: &mut dyn Iterator<Item = f64>| {
            costs.batch() + expected(allocation, ahead, costs, chances, budget_ns)
        };
        let (met, end) = (*shells.start() as usize, *shells.end() as usize + 1);
        let at_most = &mut (met..end).map(|_| 1.0);
        let (likely_ns, clearly) = match reached {
            Some((allowed, k)) => {
                let chances = costs::reached(allowed, bits, k).take(end).skip(met);
                (expected_ns(&mut { chances }), EVENLY)
            }
            None => (expected_ns(&mut at_most.clone()), CLEARLY),
        };
        let left_ns = budget_ns - spent_ns;
        if spent_ns + likely_ns <= budget_ns * clearly {
            return Some(left_ns);
        }
        // What is spent is spent: what is left at the most may take less than the scan.
        let goes_on = known && left_ns > 0.0 && expected_ns(at_most) <= budget_ns * clearly;
        goes_on.then_some(budget_ns)
    }
}

/// What the next shells are expected to cost together, each being taken with its chance, as far as that is less than `most_ns`.
fn expected(
    allocation: &Allocation,
    ahead: &mut Allocation,
    costs: &Costs,
    chances: &mut dyn Iterator<Item = f64>,
    most_ns: f64,
) -> f64 {
    ahead.clone_from(allocation);
    let mut sum_ns = 0.0;
    for chance in chances {
        let Some((table, ns)) = ahead.next() else { break };
        sum_ns += ns * chance;
        if sum_ns > most_ns {
            break;
        }
        ahead.take(table, costs);
    }
    sum_ns
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limit::{Account, Limit};
    use crate::{BuildParams, SearchStats, build_segment};

    #[test]
    fn a_search_of_even_codes_is_given_up_early_or_not_at_all() {
        let mut state = 1u64;
        let mut random = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            state ^ (state >> 29)
        };
        let codes: Vec<Code<1>> = (0..200_000).map(|_| Code::from_le_words([random()])).collect();
        let bytes = build_segment(&codes, 0..200_000, &BuildParams::default()).unwrap();
        let segment = Segment::<1, _>::open(bytes).unwrap();
        assert!(segment.even().is_some());
        let mut scratch = Scratch::new();
        let (mut given_up, mut finished) = (0, 0);
        for step in 0..1000 {
            let (query, k) = (Code::from_le_words([random()]), 10);
            let budget_ns = 1000.0 * 1.007f64.powi(step);
            let (mut stats, account) = (SearchStats::default(), Account::new(Limit::default()));
            let mut work = Work { scratch: &mut scratch, account: &account, stats: &mut stats };
            let mut top = TopK::new(k, 64);
            let reach = Reach { allowed: 200_000, bound_bits: 64, budget_ns };
            let search = Nearest { query: &query, k };
            if search.run(&segment, &codes, &reach, &mut work, &mut top, |_| true).unwrap() {
                finished += 1;
            } else {
                given_up += 1;
                let compared_ns = stats.compared as f64 * segment.costs().candidate(0);
                assert!(compared_ns < budget_ns * IN_VAIN, "{budget_ns} {stats:?}");
            }
        }
        assert!(given_up > 50 && finished > 50, "{given_up} {finished}");
    }
}
