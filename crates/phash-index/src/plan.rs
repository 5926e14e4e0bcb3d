//! Owns the cost model: what a scan, a probe and a candidate take, so that an index is used only where it wins.
//! Only speed depends on it, never an answer. Figures and their origin are in docs/search.md.

use std::ops::Range;

use phash_code::Code;

use crate::ball::{shell_size, shells, step};
use crate::cut::Substring;

/// Who decides between index and scan.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Strategy {
    /// The planner: whichever it expects to be faster.
    #[default]
    Auto,
    /// Use the index segments whatever it costs: time can grow exponentially with the radius. For tests and benches.
    Index,
    /// Scan every code.
    Scan,
}

/// Estimated times in nanoseconds, on one core of the machines we measured (docs/search.md).
#[derive(Clone, Copy, Debug)]
pub(crate) struct Costs {
    /// How many codes the segment has.
    codes: u32,
    /// One access to a place that the processor cannot foresee, of several under way.
    access_ns: f64,
    /// One code compared in a scan.
    scan_code_ns: f64,
}

/// Setting up the search of a segment: buffers, and the view of each of its tables.
const SEGMENT_NS: f64 = 150.0;
const TABLE_NS: f64 = 30.0;
/// Setting up one step of a nearest-neighbour search.
pub(crate) const STEP_NS: f64 = 80.0;
/// What a bucket or a candidate takes beside its memory accesses.
const WORK_NS: f64 = 1.5;
/// Up to this size data stay in a core's own cache.
const CACHED_BYTES: f64 = 1024.0 * 1024.0;
/// From this size on nearly every random access goes to memory, and waits for the page tables too.
const RANDOM_MEMORY_BYTES: f64 = 64.0 * 1024.0 * 1024.0;
/// From this size on a scan runs at the speed of memory.
const SCAN_MEMORY_BYTES: f64 = 256.0 * 1024.0 * 1024.0;

/// From `cached` to `in_memory` by the logarithm of the size.
fn by_size(bytes: f64, memory_bytes: f64, cached: f64, in_memory: f64) -> f64 {
    let memory = (bytes / CACHED_BYTES).max(1.0).ln() / (memory_bytes / CACHED_BYTES).ln();
    cached + (in_memory - cached) * memory.min(1.0)
}

impl Costs {
    /// For a segment of `codes` codes and `segment_bytes` bytes.
    pub(crate) fn of<const W: usize>(codes: u32, segment_bytes: usize) -> Self {
        let code_bytes = Code::<W>::BYTES as f64;
        let codes_bytes = f64::from(codes) * code_bytes;
        Self {
            codes,
            access_ns: by_size(codes_bytes + segment_bytes as f64, RANDOM_MEMORY_BYTES, 2.0, 25.0),
            scan_code_ns: code_bytes / by_size(codes_bytes, SCAN_MEMORY_BYTES, 80.0, 12.0),
        }
    }

    /// Scanning the codes of the segment.
    pub(crate) fn scan(&self) -> f64 {
        f64::from(self.codes) * self.scan_code_ns
    }

    /// Setting the search of a segment with that many tables up.
    pub(crate) fn set_up(&self, tables: u32) -> f64 {
        SEGMENT_NS + f64::from(tables) * TABLE_NS
    }

    /// Looking buckets up: an access each.
    pub(crate) fn probes(&self, probes: f64) -> f64 {
        probes * (self.access_ns + WORK_NS)
    }

    /// Verifying: an access for the ids of each bucket that is not empty, and one for each candidate's code.
    pub(crate) fn candidates(&self, buckets: f64, candidates: f64) -> f64 {
        buckets * self.access_ns + candidates * (self.access_ns + WORK_NS)
    }

    /// Probes of the whole ball of a radius, and the time they and their candidates take if the codes are spread evenly
    /// over the buckets.
    pub(crate) fn ball(&self, cut: impl ExactSizeIterator<Item = Substring>, radius_bits: u32) -> (f64, f64) {
        let tables = as_u32(cut.len());
        let (mut probes, mut verify_ns) = (0.0, 0.0);
        for (table, substring) in (0u32..).zip(cut) {
            let (more, ns) = self.shells(substring, 0..shells(radius_bits, table, tables));
            probes += more;
            verify_ns += ns;
        }
        (probes, self.set_up(tables) + self.probes(probes) + verify_ns)
    }

    /// The time the step of [`step`] takes under the same assumption: one shell of one table.
    pub(crate) fn step(&self, cut: &[Substring], radius_bits: u32) -> f64 {
        let (table, distance_bits) = step(radius_bits, as_u32(cut.len()));
        let Some(&substring) = cut.get(table as usize) else { return 0.0 };
        let (probes, verify_ns) = self.shells(substring, distance_bits..distance_bits + 1);
        STEP_NS + self.probes(probes) + verify_ns
    }

    /// Probes of some shells of a table, and the time it takes to verify what they may find.
    fn shells(&self, substring: Substring, shells: Range<u32>) -> (f64, f64) {
        let bucket_ids = f64::from(self.codes) / f64::from(substring.values());
        let end = shells.end.min(substring.len_bits + 1);
        let probes: f64 =
            (shells.start..end).map(|shell| f64::from(shell_size(substring.len_bits, shell))).sum();
        (probes, self.candidates(probes * bucket_ids.min(1.0), probes * bucket_ids))
    }
}

#[expect(clippy::cast_possible_truncation, reason = "at most one table a bit")]
fn as_u32(tables: usize) -> u32 {
    tables as u32
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cut::cut;

    #[test]
    fn a_ball_costs_as_much_as_its_steps_and_setting_up() {
        let cut = cut(256, Some(13), 0).unwrap();
        let costs = Costs::of::<4>(1_000_000, 98_000_000);
        let mut steps = costs.set_up(13);
        for radius_bits in 0..=256 {
            steps += costs.step(&cut, radius_bits) - STEP_NS;
            let (_, ball) = costs.ball(cut.iter().copied(), radius_bits);
            assert!((ball - steps).abs() <= 1e-9 * ball);
        }
        // All shells of all tables: every value once.
        let values: f64 = cut.iter().map(|substring| f64::from(substring.values())).sum();
        let (probes, _) = costs.ball(cut.iter().copied(), 13 * 21);
        assert!((probes - values).abs() < 1e-3);
    }

    #[test]
    fn few_codes_and_large_radii_are_cheaper_to_scan() {
        let index_wins = |codes: u32, radius_bits| {
            let costs = Costs::of::<4>(codes, codes as usize * 98);
            costs.ball(cut(256, None, codes).unwrap().into_iter(), radius_bits).1 < costs.scan()
        };
        assert!(index_wins(1_000_000, 12) && index_wins(1_000_000, 31));
        assert!(!index_wins(1_000_000, 100) && !index_wins(100, 0));
    }
}
