//! Owns the cost model: what a scan, a probe and a candidate take, so that an index is used only where it wins.
//! Only speed depends on it, never an answer. Figures and their origin are in docs/search.md.

use phash_code::Code;

use crate::ball::{shell_size, shells};
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
    /// One access to a place of the segment that the processor cannot foresee, of several under way.
    access_ns: f64,
    /// The same to a code.
    code_ns: f64,
    /// One code compared in a scan.
    scan_code_ns: f64,
}

/// Setting up the search of a segment: buffers, and the view of each of its tables.
const SEGMENT_NS: f64 = 200.0;
const TABLE_NS: f64 = 80.0;
/// Setting up steps that are verified together, beside the accesses that wait for one another.
const BATCH_NS: f64 = 80.0;
/// Bucket, ids, code: each waits for the one before, about four times as long as one of several accesses under way.
const BATCH_ACCESSES: f64 = 12.0;
/// How much fuller than the next shell's the buckets of a shell are, where they are fuller than on average: measured
/// on skewed codes, whose buckets hold about half as many ids at each bit farther from the query.
const THINNING: f64 = 0.5;
/// What a probe and a candidate take beside their memory accesses.
const PROBE_NS: f64 = 1.5;
const CANDIDATE_NS: f64 = 3.0;
/// Up to this size data stay in a core's own cache.
const CACHED_BYTES: f64 = 1024.0 * 1024.0;
/// From this size on nearly every random access goes to memory, and waits for the page tables too.
const RANDOM_MEMORY_BYTES: f64 = 64.0 * 1024.0 * 1024.0;
/// From this size on a scan runs at the speed of memory.
const SCAN_MEMORY_BYTES: f64 = 256.0 * 1024.0 * 1024.0;

/// How far a size is on the way from a core's cache to memory, by its logarithm: 0 to 1.
fn to_memory(bytes: f64, memory_bytes: f64) -> f64 {
    ((bytes / CACHED_BYTES).max(1.0).ln() / (memory_bytes / CACHED_BYTES).ln()).min(1.0)
}

/// A random access to one of so many bytes. Squared, because the cache that cores share still holds most of a few MiB.
fn access_ns(bytes: f64) -> f64 {
    2.0 + 23.0 * to_memory(bytes, RANDOM_MEMORY_BYTES).powi(2)
}

impl Costs {
    /// For a segment of `codes` codes and `segment_bytes` bytes.
    pub(crate) fn of<const W: usize>(codes: u32, segment_bytes: usize) -> Self {
        let code_bytes = Code::<W>::BYTES as f64;
        let codes_bytes = f64::from(codes) * code_bytes;
        Self {
            codes,
            access_ns: access_ns(codes_bytes + segment_bytes as f64),
            code_ns: access_ns(codes_bytes),
            scan_code_ns: code_bytes / (110.0 - 98.0 * to_memory(codes_bytes, SCAN_MEMORY_BYTES)),
        }
    }

    /// Scanning the codes of the segment.
    pub(crate) fn scan(&self) -> f64 {
        f64::from(self.codes) * self.scan_code_ns
    }

    /// Setting the search of a segment with that many tables up.
    pub(crate) fn set_up(&self, tables: u32) -> f64 {
        SEGMENT_NS + f64::from(tables) * (TABLE_NS + self.access_ns)
    }

    /// Beside their probes and candidates, steps that are looked up and verified together.
    pub(crate) fn batch(&self) -> f64 {
        BATCH_NS + BATCH_ACCESSES * self.access_ns
    }

    /// Looking buckets up: an access each.
    pub(crate) fn probes(&self, probes: f64) -> f64 {
        probes * (self.access_ns + PROBE_NS)
    }

    /// Verifying: an access for the ids of each bucket that is not empty, and one for each candidate's code.
    pub(crate) fn candidates(&self, buckets: f64, candidates: f64) -> f64 {
        buckets * self.access_ns + candidates * (self.code_ns + CANDIDATE_NS)
    }

    /// What the whole ball of a radius takes if the query's own buckets hold `bucket_ids` ids; if that is 0, if the codes
    /// are spread evenly over the buckets.
    pub(crate) fn ball(
        &self,
        cut: impl ExactSizeIterator<Item = Substring>,
        radius_bits: u32,
        bucket_ids: f64,
    ) -> Expected {
        let tables = as_u32(cut.len());
        let mut all = Expected { look_up_ns: self.set_up(tables) + self.batch(), ..Expected::default() };
        for (table, substring) in (0u32..).zip(cut) {
            let mut before = bucket_ids / THINNING;
            for shell in 0..shells(radius_bits, table, tables) {
                all = all.and(self.shell(substring, shell, before));
                before *= THINNING;
            }
        }
        all
    }

    /// What one shell of a table is expected to take, after a shell was met in whose buckets there were `bucket_ids` ids.
    pub(crate) fn shell(&self, substring: Substring, shell: u32, bucket_ids: f64) -> Expected {
        let even = f64::from(self.codes) / f64::from(substring.values());
        let bucket_ids = even.max(bucket_ids * THINNING);
        let probes = f64::from(shell_size(substring.len_bits, shell));
        Expected {
            look_up_ns: self.probes(probes),
            verify_ns: self.candidates(probes * bucket_ids.min(1.0), probes * bucket_ids),
        }
    }
}

/// Time that work is expected to take.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Expected {
    /// Until it is known how many candidates there are.
    pub(crate) look_up_ns: f64,
    /// For the candidates.
    pub(crate) verify_ns: f64,
}

impl Expected {
    pub(crate) fn and(self, other: Self) -> Self {
        Self { look_up_ns: self.look_up_ns + other.look_up_ns, verify_ns: self.verify_ns + other.verify_ns }
    }

    pub(crate) fn ns(self) -> f64 {
        self.look_up_ns + self.verify_ns
    }
}

/// The distance within which `2 k + 3` of `codes` random codes of `bits` bits are expected: seldom fewer than `k` are.
pub(crate) fn likely_bits(codes: u64, bits: u32, k: usize) -> u32 {
    let wanted = 2.0 * k as f64 + 3.0;
    // How many are expected at distance 0, 1, ...
    let mut here = codes as f64 * (-f64::from(bits)).exp2();
    let mut within = here;
    let mut distance_bits = 0;
    while within < wanted && distance_bits < bits {
        here *= f64::from(bits - distance_bits) / f64::from(distance_bits + 1);
        within += here;
        distance_bits += 1;
    }
    distance_bits
}

#[expect(clippy::cast_possible_truncation, reason = "at most one table a bit")]
fn as_u32(tables: usize) -> u32 {
    tables as u32
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Layout;
    use crate::cut::cut;

    #[test]
    fn a_ball_costs_as_much_as_its_shells_and_setting_up() {
        let cut = cut(256, Layout::Compact, Some(13), 0).unwrap();
        let costs = Costs::of::<4>(1_000_000, 98_000_000);
        let mut steps = costs.set_up(13) + costs.batch();
        for radius_bits in 0..=256 {
            let (table, shell) = crate::ball::step(radius_bits, 13);
            steps += costs.shell(cut[table as usize], shell, 0.0).ns();
            let ball = costs.ball(cut.iter().copied(), radius_bits, 0.0).ns();
            assert!((ball - steps).abs() <= 1e-9 * ball);
        }
        // All shells of all tables: every value once.
        let values: f64 = cut.iter().map(|substring| f64::from(substring.values())).sum();
        let look_up_ns =
            costs.ball(cut.iter().copied(), 13 * 21, 0.0).look_up_ns - costs.set_up(13) - costs.batch();
        assert!((look_up_ns / costs.probes(values) - 1.0).abs() < 1e-9);
    }

    #[test]
    fn few_codes_and_large_radii_are_cheaper_to_scan() {
        let index_wins = |codes: u32, radius_bits| {
            let costs = Costs::of::<4>(codes, codes as usize * 98);
            costs.ball(cut(256, Layout::Compact, None, codes).unwrap().into_iter(), radius_bits, 0.0).ns()
                < costs.scan()
        };
        assert!(index_wins(1_000_000, 12) && index_wins(1_000_000, 31));
        assert!(!index_wins(1_000_000, 100) && !index_wins(100, 0));
    }

    #[test]
    fn fuller_buckets_are_expected_to_thin_out_but_not_below_the_average() {
        let substring = cut(256, Layout::Compact, Some(16), 0).unwrap()[0];
        let costs = Costs::of::<4>(65_536 * 4, 50_000_000);
        let verify_ns = |bucket_ids| costs.shell(substring, 1, bucket_ids).verify_ns;
        assert!((verify_ns(0.0) - costs.candidates(16.0, 64.0)).abs() < 1e-6);
        assert!((verify_ns(8.0) - verify_ns(0.0)).abs() < 1e-6);
        assert!((verify_ns(20.0) - costs.candidates(16.0, 160.0)).abs() < 1e-6);
    }

    #[test]
    fn the_likely_distance_is_that_of_the_binomial_tail() {
        // 2^20 codes of 64 bits, 5 wanted: the tail of the binomial distribution, summed in integers.
        let binomial = |k: u32| (0..k).fold(1u128, |b, i| b * u128::from(64 - i) / u128::from(i + 1));
        let mut tail = 0;
        let expected = (0..).find(|&d| {
            tail += binomial(d);
            tail << 20 >= 5u128 << 64
        });
        assert_eq!(Some(likely_bits(1 << 20, 64, 1)), expected);
        assert_eq!((likely_bits(0, 64, 1), likely_bits(1 << 20, 64, 1 << 20)), (64, 64));
    }
}
