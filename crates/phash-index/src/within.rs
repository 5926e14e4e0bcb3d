//! Owns the radius search of one segment: allocate the radius to the tables, look up, verify; or say that something else
//! is cheaper. The estimates decide before a bucket is touched, the buckets' true sizes before a code is.

use phash_code::{Code, Codes};

use crate::Segment;
use crate::allocation::{Allocation, Shell};
use crate::even::Even;
use crate::pages::Damaged;
use crate::probe::Probe;
use crate::scratch::{Scratch, Work};

/// The part of a budget that a plan may be expected to take: what is left is for errors of the model.
const CLEARLY: f64 = 0.9;

/// The part of a budget that may be spent on a plan that comes to nothing.
pub(crate) const IN_VAIN: f64 = 0.1;

/// A radius search of one segment.
pub(crate) struct Within<'q, const W: usize> {
    pub(crate) query: &'q Code<W>,
    pub(crate) radius_bits: u32,
}

/// What a plan is expected to take and to meet.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Expected {
    pub(crate) ns: f64,
    pub(crate) candidates: f64,
}

/// Whether a plan that is expected to take so long is to be followed.
pub(crate) fn affords(budget_ns: f64, ns: f64) -> bool {
    ns <= budget_ns * CLEARLY
}

/// Whether what was looked up may be verified within `left_ns`, `pass_ns` for each entry near the query, if there are many of them:
/// codes that resemble each other, of which an even segment has none. Next to nothing is done where all of them may.
pub(crate) fn passing_afforded<const W: usize, B: AsRef<[u8]>>(
    segment: &Segment<W, B>,
    probe: &mut Probe<'_, '_, W>,
    radius_bits: u32,
    candidates: u64,
    pass_ns: f64,
    left_ns: f64,
) -> Result<bool, Damaged> {
    let most = left_ns / pass_ns;
    Ok(candidates as f64 <= most
        || segment.even().is_some()
        || probe.passing(radius_bits, candidates, most)? <= most)
}

impl<const W: usize> Within<'_, W> {
    /// What it takes to make a plan.
    fn plan_ns<B: AsRef<[u8]>>(&self, segment: &Segment<W, B>) -> f64 {
        let (costs, tables) = (segment.costs(), segment.tables().len());
        let choosing_ns = match segment.even() {
            Some(_) => 0.0,
            None => costs.estimates(tables) + costs.choose(self.radius_bits + 1, tables),
        };
        costs.set_up(tables) + choosing_ns
    }

    /// What it takes before the first bucket is gone through, beside looking it up.
    fn begin_ns<B: AsRef<[u8]>>(&self, segment: &Segment<W, B>) -> f64 {
        self.plan_ns(segment) + segment.costs().batch()
    }

    /// What the search of an even segment is expected to take: the same for every query.
    fn even<B: AsRef<[u8]>>(&self, segment: &Segment<W, B>, even: &Even) -> Expected {
        let (shells_ns, candidates) = even.expected(self.radius_bits as usize + 1);
        let candidates_ns = candidates * segment.costs().candidate(self.radius_bits);
        Expected { ns: self.begin_ns(segment) + shells_ns + candidates_ns, candidates }
    }

    /// The least that a search may be expected to take, before anything is looked at.
    fn least_ns<B: AsRef<[u8]>>(&self, segment: &Segment<W, B>) -> f64 {
        match segment.even() {
            Some(even) => self.even(segment, even).ns,
            None => {
                let costs = segment.costs();
                self.begin_ns(segment) + costs.even_probes(segment.tables(), self.radius_bits + 1)
            }
        }
    }

    /// Whether little of the budget is lost if the plan says that something else is cheaper. The plan of an even segment is
    /// there already.
    pub(crate) fn is_worth_planning<B: AsRef<[u8]>>(&self, segment: &Segment<W, B>, budget_ns: f64) -> bool {
        segment.even().is_some() || self.plan_ns(segment) <= budget_ns * IN_VAIN
    }

    /// Shares the radius among the tables: leaves the shells in `shells`. `None` as soon as more than `most_ns` are expected.
    pub(crate) fn plan<B: AsRef<[u8]>>(
        &self,
        segment: &Segment<W, B>,
        probe: &Probe<'_, '_, W>,
        most_ns: f64,
        allocation: &mut Allocation,
        shells: &mut Vec<Shell>,
    ) -> Result<Option<Expected>, Damaged> {
        shells.clear();
        if let Some(even) = segment.even() {
            let expected = self.even(segment, even);
            shells.extend_from_slice(even.first(self.radius_bits as usize + 1));
            return Ok(Some(expected).filter(|expected| expected.ns <= most_ns));
        }
        let costs = segment.costs();
        allocation.start(probe, costs, costs.candidate(self.radius_bits))?;
        let mut expected = Expected { ns: self.begin_ns(segment), candidates: 0.0 };
        for _ in 0..=self.radius_bits {
            let Some((table, ns)) = allocation.next() else { break };
            expected.ns += ns;
            expected.candidates += allocation.next_ids(table);
            if expected.ns > most_ns {
                return Ok(None);
            }
            shells.push(allocation.take(table, costs));
        }
        Ok(Some(expected))
    }

    /// Calls `hit(id, distance_bits)` for every code of the segment within the radius, each once, in no order. False, and
    /// nothing reported, if that is expected to exceed `budget_ns` (infinity: whatever it costs).
    pub(crate) fn run<B: AsRef<[u8]>, C: Codes<W> + ?Sized>(
        &self,
        segment: &Segment<W, B>,
        codes: &C,
        budget_ns: f64,
        work: &mut Work<'_>,
        hit: impl FnMut(u32, u32),
    ) -> Result<bool, Damaged> {
        if !self.is_worth_planning(segment, budget_ns) || !affords(budget_ns, self.least_ns(segment)) {
            return Ok(false);
        }
        let costs = segment.costs();
        let candidate_ns = costs.candidate(self.radius_bits);
        let Work { scratch, account, stats } = work;
        let Scratch { allocation, buffers, shells, .. } = &mut **scratch;
        let mut probe = Probe::new(segment, self.query, self.radius_bits, buffers)?;
        if self.plan(segment, &probe, budget_ns * CLEARLY, allocation, shells)?.is_none() {
            return Ok(false);
        }
        let own = shells.iter().filter(|shell| shell.distance_bits == 0);
        let tables = own.map(|shell| probe.prefetch_own_bucket(shell.table)).count();
        // The estimates may be wrong: what has been found must fit too.
        let mut found_ns = 0.0;
        let mut candidates = 0;
        for &shell in shells.iter() {
            let found = probe.look_up(shell)?;
            stats.probes += found.probes;
            stats.candidates += found.candidates;
            candidates += found.candidates;
            found_ns += costs.candidates(found.buckets as f64, found.candidates as f64, candidate_ns);
            if found_ns > budget_ns || candidates >= u64::from(u32::MAX) {
                return Ok(false);
            }
        }
        let (pass_ns, left_ns) = (costs.pass(), budget_ns - found_ns);
        if !passing_afforded(segment, &mut probe, self.radius_bits, candidates, pass_ns, left_ns)? {
            return Ok(false);
        }
        stats.tables += tables as u64;
        probe.verify(codes, self.radius_bits, candidates, account, stats, hit)?;
        Ok(true)
    }
}
