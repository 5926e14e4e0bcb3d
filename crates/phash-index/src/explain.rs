//! Owns [`Explanation`]: what a radius search would do and why, told without doing it.

use std::fmt;
use std::ops::Range;

use phash_code::{Code, Codes};

use crate::ball::shell_size;
use crate::probe::Probe;
use crate::scratch::{Scratch, with_scratch};
use crate::within::{Within, affords};
use crate::{Index, Plan};

/// What a radius search would do with each part of the codes. Its text form is for people and may change.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Explanation {
    /// The radius, in bits, inclusive.
    pub radius_bits: u32,
    /// What it would do with each segment, in order.
    pub segments: Vec<SegmentPlan>,
    /// Codes that no segment covers; they are scanned.
    pub unindexed: u64,
}

/// What a radius search would do with a segment. Times are those of the cost model (docs/search.md), for one thread.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct SegmentPlan {
    /// The code ids of the segment.
    pub ids: Range<u32>,
    /// Whether it would be searched by its tables or scanned.
    pub plan: Plan,
    /// For each table the length of its substring in bits, and how far from the query's substring it would be probed:
    /// shells 0 to that number, exclusive (0: not at all).
    pub tables: Vec<(u32, u32)>,
    /// Buckets to look up.
    pub probes: u64,
    /// Ids that these are expected to hold, by the estimates kept in the segment.
    pub expected_candidates: f64,
    /// What searching the tables is expected to take, in nanoseconds.
    pub index_ns: f64,
    /// What doing without them is expected to take, in nanoseconds: scanning, or comparing the allowed ids.
    pub otherwise_ns: f64,
    /// The segment is damaged and will be scanned.
    pub damaged: bool,
}

impl<const W: usize, C: Codes<W> + ?Sized, B: AsRef<[u8]>> Index<'_, W, C, B> {
    /// What [`Self::within`] would do. Looks at the tables' estimates only.
    pub fn explain_within(&self, query: &Code<W>, radius_bits: u32) -> Explanation {
        let radius_bits = radius_bits.min(Code::<W>::BITS);
        let segments = self.segments.iter().map(|segment| {
            let search = Within { query, radius_bits };
            let otherwise_ns = self.otherwise_ns(segment);
            with_scratch(|scratch| {
                let Scratch { allocation, buffers, shells, .. } = scratch;
                let planned = Probe::new(segment, query, radius_bits, buffers)
                    .and_then(|probe| search.plan(segment, &probe, f64::INFINITY, allocation, shells));
                let expected = planned.as_ref().ok().copied().flatten().unwrap_or_default();
                let lens = segment.tables().iter().map(|substring| substring.len_bits);
                let mut tables: Vec<(u32, u32)> = lens.map(|len_bits| (len_bits, 0)).collect();
                shells.iter().for_each(|shell| tables[shell.table].1 += 1);
                let probes = |&(len_bits, taken): &(u32, u32)| -> u64 {
                    (0..taken).map(|distance_bits| u64::from(shell_size(len_bits, distance_bits))).sum()
                };
                let budget_ns = self.budget_ns(segment);
                let by_index = planned.is_ok()
                    && !self.few()
                    && search.is_worth_planning(segment, budget_ns)
                    && affords(budget_ns, expected.ns);
                SegmentPlan {
                    ids: segment.ids(),
                    plan: if by_index { Plan::Index } else { Plan::Scan },
                    probes: tables.iter().map(probes).sum(),
                    tables,
                    expected_candidates: expected.candidates,
                    index_ns: expected.ns,
                    otherwise_ns,
                    damaged: planned.is_err(),
                }
            })
        });
        let segments: Vec<SegmentPlan> = segments.collect();
        let unindexed = self.unindexed().map(|ids| u64::from(ids.end - ids.start)).sum();
        Explanation { radius_bits, segments, unindexed }
    }
}

impl fmt::Display for Explanation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for segment in &self.segments {
            let Range { start, end } = segment.ids;
            let how = if segment.plan == Plan::Index { "by its tables" } else { "by scanning" };
            writeln!(f, "ids {start}..{end}: radius {} bits (inclusive) {how}", self.radius_bits)?;
            if segment.damaged {
                writeln!(f, "  the index segment is damaged; build it again")?;
                continue;
            }
            let probed = segment.tables.iter().filter(|(_, taken)| *taken > 0).count();
            writeln!(
                f,
                "  tables: {probed} of {} probed, {} buckets, {:.0} candidates expected",
                segment.tables.len(),
                segment.probes,
                segment.expected_candidates,
            )?;
            write!(f, "  substrings (bits, probed to a distance of):")?;
            for (len_bits, taken) in &segment.tables {
                match taken.checked_sub(1) {
                    Some(farthest) => write!(f, " {len_bits}:{farthest}")?,
                    None => write!(f, " {len_bits}:-")?,
                }
            }
            writeln!(f)?;
            let (index_us, otherwise_us) = (segment.index_ns / 1000.0, segment.otherwise_ns / 1000.0);
            writeln!(f, "  expected: {index_us:.1} µs by the tables, {otherwise_us:.1} µs without them")?;
        }
        if self.unindexed > 0 {
            writeln!(f, "{} codes without an index segment: by scanning", self.unindexed)?;
        }
        Ok(())
    }
}
