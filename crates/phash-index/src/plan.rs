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

/// Estimated times in nanoseconds, on one core of the machines we measured.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Costs {
    /// One bucket looked up.
    pub(crate) probe_ns: f64,
    /// One candidate: its id read, its code fetched from anywhere and compared.
    pub(crate) candidate_ns: f64,
    /// One code compared in a scan.
    pub(crate) scan_code_ns: f64,
    /// Setting up the search of a segment: buffers and the views of its tables.
    pub(crate) table_ns: f64,
}

/// Up to this size codes stay in a core's own cache, and random access costs next to nothing.
const CACHED_BYTES: f64 = 1024.0 * 1024.0;
/// From this size on nearly every random access goes to memory.
const MEMORY_BYTES: f64 = 256.0 * 1024.0 * 1024.0;

impl Costs {
    /// For the codes of a segment of `codes` codes.
    pub(crate) fn of<const W: usize>(codes: u32) -> Self {
        let bytes = f64::from(codes) * Code::<W>::BYTES as f64;
        // 0 in the cache, 1 in memory, in between by the logarithm of the size.
        let memory = ((bytes / CACHED_BYTES).max(1.0).ln() / (MEMORY_BYTES / CACHED_BYTES).ln()).min(1.0);
        let between = |cached: f64, in_memory: f64| cached + (in_memory - cached) * memory;
        let bytes_per_ns = between(45.0, 12.0);
        Self {
            probe_ns: between(2.0, 8.0),
            candidate_ns: between(4.0, 25.0),
            scan_code_ns: Code::<W>::BYTES as f64 / bytes_per_ns,
            table_ns: 15.0,
        }
    }

    /// Scanning that many codes.
    pub(crate) fn scan(&self, codes: u32) -> f64 {
        f64::from(codes) * self.scan_code_ns
    }

    /// Probing the whole ball of a radius, and its candidates if the codes were spread evenly over the buckets.
    pub(crate) fn ball(
        &self,
        cut: impl ExactSizeIterator<Item = Substring>,
        codes: u32,
        radius_bits: u32,
    ) -> f64 {
        let tables = as_u32(cut.len());
        (0u32..)
            .zip(cut)
            .map(|(table, substring)| {
                self.table_ns + self.shells(substring, codes, 0..shells(radius_bits, table, tables))
            })
            .sum()
    }

    /// The step of [`step`]: one shell of one table.
    pub(crate) fn step(&self, cut: &[Substring], codes: u32, radius_bits: u32) -> f64 {
        let (table, distance_bits) = step(radius_bits, as_u32(cut.len()));
        let shells = distance_bits..distance_bits + 1;
        cut.get(table as usize)
            .map_or(0.0, |&substring| self.table_ns + self.shells(substring, codes, shells))
    }

    fn shells(&self, substring: Substring, codes: u32, shells: Range<u32>) -> f64 {
        let bucket_ids = f64::from(codes) / f64::from(substring.values());
        let end = shells.end.min(substring.len_bits + 1);
        let probes: f64 =
            (shells.start..end).map(|shell| f64::from(shell_size(substring.len_bits, shell))).sum();
        probes * (self.probe_ns + bucket_ids * self.candidate_ns)
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
    fn a_ball_costs_as_much_as_its_steps_but_for_setting_up() {
        let cut = cut(256, Some(13), 0).unwrap();
        let costs = Costs { table_ns: 0.0, ..Costs::of::<4>(1_000_000) };
        let mut steps = 0.0;
        for radius_bits in 0..=256 {
            steps += costs.step(&cut, 1_000_000, radius_bits);
            let ball = costs.ball(cut.iter().copied(), 1_000_000, radius_bits);
            assert!((ball - steps).abs() <= 1e-9 * ball);
        }
        // All shells of all tables: every value once.
        let values: f64 = cut.iter().map(|substring| f64::from(substring.values())).sum();
        let all = Costs { probe_ns: 1.0, candidate_ns: 0.0, ..costs }.ball(cut.iter().copied(), 1, 13 * 21);
        assert!((all - values).abs() < 1e-3);
    }

    #[test]
    fn few_codes_and_large_radii_are_cheaper_to_scan() {
        let index_wins = |codes, radius_bits| {
            let (cut, costs) = (cut(256, None, codes).unwrap(), Costs::of::<4>(codes));
            costs.ball(cut.into_iter(), codes, radius_bits) < costs.scan(codes)
        };
        assert!(index_wins(1_000_000, 12) && index_wins(1_000_000, 31));
        assert!(!index_wins(1_000_000, 100) && !index_wins(100, 0));
    }
}
