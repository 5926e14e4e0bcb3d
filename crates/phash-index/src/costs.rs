//! Owns the cost model: what a scan, a probe and a candidate take, so that an index is used only where it wins.
//! Only speed depends on it, never an answer. Figures and their origin are in docs/search.md.

use phash_code::{Code, Kernel};

use crate::ball::shell_size;
use crate::cut::Substring;

/// Estimated times in nanoseconds for one segment, on one core of the machines we measured (docs/search.md).
#[derive(Clone, Copy, Debug)]
pub(crate) struct Costs {
    /// How many codes the segment has.
    codes: u32,
    /// 32-bit words of sketch beside each id; 0 if there are none.
    planes: usize,
    /// One access to a place of the segment that the processor cannot foresee, of several under way.
    access_ns: f64,
    /// The same to a code.
    code_ns: f64,
    /// One sketch compared where it lies beside others.
    sketch_ns: f64,
    /// One code compared in a scan.
    scan_code_ns: f64,
    /// The same for one query of many.
    batched_code_ns: f64,
    /// Whether the sketch is all of the code that the substring is not.
    complete: bool,
    /// Looking up whether an entry was met before.
    met_ns: f64,
}

/// Setting up the search of a segment, and the view of each of its tables.
const SEGMENT_NS: f64 = 120.0;
const TABLE_NS: f64 = 6.0;
/// For each bit of a code, working out how far the nearest of random codes are likely to be: a step for every second bit.
const LIKELY_NS: f64 = 0.6;
/// Working out what a table's next shell costs, and comparing it with the others'.
const EXPECT_NS: f64 = 12.0;
const COMPARE_NS: f64 = 0.8;
/// Steps that are looked up and verified together, beside the accesses that wait for one another.
const BATCH_NS: f64 = 40.0;
/// Bucket, ids, code: each waits for the one before, about four times as long as one of several accesses under way.
const BATCH_ACCESSES: f64 = 12.0;
/// A shell: its list of buckets and the query's sketch.
const SHELL_NS: f64 = 80.0;
/// What a probe, a bucket that is not empty, and a candidate's code take beside their memory accesses.
const PROBE_NS: f64 = 1.0;
const BUCKET_NS: f64 = 6.0;
const FETCH_NS: f64 = 3.0;
/// An entry whose sketch passes, beside its code: whether it was met before is looked up in its differing bits, by word, and
/// if it is within the radius it is put in order, which the ids of a scan are already.
const PASS_NS: f64 = 8.0;
const PASS_WORD_NS: f64 = 6.0;
/// Comparing a sketch takes that much for each of its words, beside reading it.
const PLANE_NS: f64 = 0.06;
/// Up to this size data stay in a core's own cache.
const CACHED_BYTES: f64 = 1024.0 * 1024.0;
/// From this size on nearly every random access goes to memory, and waits for the page tables too.
const RANDOM_MEMORY_BYTES: f64 = 64.0 * 1024.0 * 1024.0;
/// From this size on a scan runs at the speed of memory.
const SCAN_MEMORY_BYTES: f64 = 256.0 * 1024.0 * 1024.0;

/// Bytes of codes that a kernel compares in a nanosecond, from a core's own cache: with one query, and, summed over the
/// queries, with many at once, where each code is loaded once.
fn compared_bytes_per_ns(kernel: Kernel) -> (f64, f64) {
    match kernel.name() {
        "avx512" => (150.0, 240.0),
        "avx2" | "neon" => (45.0, 45.0),
        _ => (15.0, 15.0),
    }
}

/// The same from memory, at the most.
const MEMORY_BYTES_PER_NS: f64 = 12.0;

/// How far a size is on the way from a core's cache to memory, by its logarithm: 0 to 1.
fn to_memory(bytes: f64, memory_bytes: f64) -> f64 {
    ((bytes / CACHED_BYTES).max(1.0).ln() / (memory_bytes / CACHED_BYTES).ln()).min(1.0)
}

/// A random access to one of so many bytes. Squared, because the cache that cores share still holds most of a few MiB.
fn access_ns(bytes: f64) -> f64 {
    2.0 + 18.0 * to_memory(bytes, RANDOM_MEMORY_BYTES).powi(2)
}

/// Bytes a nanosecond compared one after the other of so many; `cached` of them from a core's own cache.
fn stream_bytes_per_ns(bytes: f64, cached: f64) -> f64 {
    cached - (cached - MEMORY_BYTES_PER_NS).max(0.0) * to_memory(bytes, SCAN_MEMORY_BYTES)
}

impl Costs {
    /// For a segment of `codes` codes and `segment_bytes` bytes whose entries have sketches of `planes` words; `complete`
    /// if these and the substring are the whole code.
    pub(crate) fn of<const W: usize>(
        codes: u32,
        segment_bytes: usize,
        planes: usize,
        complete: bool,
    ) -> Self {
        let code_bytes = Code::<W>::BYTES as f64;
        let codes_bytes = f64::from(codes) * code_bytes;
        let all_bytes = codes_bytes + segment_bytes as f64;
        let sketch_bytes = 4.0 * planes as f64;
        let (one, many) = compared_bytes_per_ns(Kernel::detect());
        Self {
            codes,
            planes,
            access_ns: access_ns(all_bytes),
            code_ns: access_ns(codes_bytes),
            sketch_ns: sketch_bytes / stream_bytes_per_ns(all_bytes, one) + PLANE_NS * planes as f64,
            scan_code_ns: code_bytes / stream_bytes_per_ns(codes_bytes, one),
            batched_code_ns: code_bytes / many,
            complete,
            met_ns: PASS_WORD_NS * W as f64,
        }
    }

    /// What an entry takes whose sketch lies within the radius, more than expected of unrelated codes.
    pub(crate) fn pass(&self) -> f64 {
        PASS_NS + self.met_ns
    }

    /// What an entry takes whose sketch lies within the radius where it is not put in order, with its code; nothing more than any
    /// other entry where there are no sketches.
    pub(crate) fn offer(&self) -> f64 {
        match self.planes {
            0 => 0.0,
            _ if self.complete => self.met_ns,
            _ => self.met_ns + self.fetch() + self.access_ns,
        }
    }

    /// What the candidates that lie near the query take beyond what is expected of so many of `candidate_ns` each: `passed` by their
    /// sketches, or where there are none `offered` by their codes.
    pub(crate) fn offers(&self, candidates: f64, passed: f64, offered: f64, candidate_ns: f64) -> f64 {
        match self.planes {
            0 => offered * self.met_ns,
            _ => (passed * self.offer() - candidates * (candidate_ns - self.sketch_ns)).max(0.0),
        }
    }

    /// Scanning the codes of the segment.
    pub(crate) fn scan(&self) -> f64 {
        f64::from(self.codes) * self.scan_code_ns
    }

    /// The share of one query in scanning the codes for many at once.
    pub(crate) fn batched_scan(&self) -> f64 {
        f64::from(self.codes) * self.batched_code_ns
    }

    /// Fetching and comparing one code somewhere.
    pub(crate) fn fetch(&self) -> f64 {
        self.code_ns + FETCH_NS
    }

    /// Setting the search of a segment with that many tables up.
    pub(crate) fn set_up(&self, tables: usize) -> f64 {
        SEGMENT_NS + tables as f64 * TABLE_NS
    }

    /// Reading the estimates of that many tables.
    pub(crate) fn estimates(&self, tables: usize) -> f64 {
        tables as f64 * self.access_ns
    }

    /// Working out how far the nearest of random codes of so many bits are likely to be.
    pub(crate) fn likely(&self, bits: u32) -> f64 {
        LIKELY_NS * f64::from(bits)
    }

    /// Choosing so many shells among that many tables.
    pub(crate) fn choose(&self, shells: u32, tables: usize) -> f64 {
        let (shells, tables) = (f64::from(shells), tables as f64);
        (shells + tables) * EXPECT_NS + shells * tables * COMPARE_NS
    }

    /// What so many shells take at least: their probes, the shells spread evenly over the tables.
    pub(crate) fn even_probes(&self, substrings: &[Substring], shells: u32) -> f64 {
        let tables = u32::try_from(substrings.len()).unwrap_or(u32::MAX).max(1);
        let shortest = substrings.last().map_or(0, |substring| substring.len_bits);
        let of_table = |taken: u32| -> f64 {
            let probes = |distance_bits| f64::from(shell_size(shortest, distance_bits));
            (0..taken).map(|distance_bits| SHELL_NS + self.probes(probes(distance_bits))).sum()
        };
        let (each, more) = (shells / tables, shells % tables);
        f64::from(tables - more) * of_table(each) + f64::from(more) * of_table(each + 1)
    }

    /// Beside their probes and candidates, steps that are looked up and verified together.
    pub(crate) fn batch(&self) -> f64 {
        BATCH_NS + BATCH_ACCESSES * self.access_ns
    }

    /// Looking buckets up: an access each.
    pub(crate) fn probes(&self, probes: f64) -> f64 {
        probes * (self.access_ns + PROBE_NS)
    }

    /// The time each candidate takes within a radius, beside its bucket: its sketch and, if that passes, its code.
    pub(crate) fn candidate(&self, radius_bits: u32) -> f64 {
        let fetch_ns = self.fetch() + self.access_ns;
        match self.planes {
            0 => self.fetch(),
            _ if self.complete => self.sketch_ns,
            planes => self.sketch_ns + passing(planes, radius_bits) * fetch_ns,
        }
    }

    /// Going through buckets that hold `ids` candidates of `candidate_ns` each.
    pub(crate) fn candidates(&self, buckets: f64, ids: f64, candidate_ns: f64) -> f64 {
        buckets * (self.access_ns + BUCKET_NS) + ids * candidate_ns
    }

    /// Looking up `probes` buckets and going through them, `ids` candidates being expected.
    pub(crate) fn shell(&self, probes: f64, ids: f64, candidate_ns: f64) -> f64 {
        SHELL_NS + self.probes(probes) + self.candidates(probes.min(ids), ids, candidate_ns)
    }
}

/// The part of unrelated codes whose sketches lie within the radius: the tail of fair coins.
fn passing(planes: usize, radius_bits: u32) -> f64 {
    let bits = 32.0 * planes as f64;
    let z = (f64::from(radius_bits) + 0.5 - bits / 2.0) / (bits / 4.0).sqrt();
    below(z)
}

/// The part of a normal distribution below so many standard deviations, by the logistic function.
fn below(z: f64) -> f64 {
    1.0 / (1.0 + (-1.702 * z).exp())
}

/// How many of `codes` random codes of `bits` bits are expected within 0, 1, ... bits.
fn expected_within(codes: u64, bits: u32) -> impl Iterator<Item = f64> {
    let mut here = codes as f64 * (-f64::from(bits)).exp2();
    let mut within = 0.0;
    (0..=bits).map(move |distance_bits| {
        within += here;
        here *= f64::from(bits - distance_bits) / f64::from(distance_bits + 1);
        within
    })
}

/// The distance within which `2 k + 3` of `codes` random codes of `bits` bits are expected: seldom fewer than `k` are.
pub(crate) fn likely_bits(codes: u64, bits: u32, k: usize) -> u32 {
    let wanted = 2.0 * k as f64 + 3.0;
    let enough = (0..bits).zip(expected_within(codes, bits)).find(|(_, within)| *within >= wanted);
    enough.map_or(bits, |(distance_bits, _)| distance_bits)
}

/// How likely it is that the `k`-th nearest of `codes` random codes of `bits` bits is at a distance of at least 0, 1, ...: that
/// fewer than `k` are nearer.
pub(crate) fn reached(codes: u64, bits: u32, k: usize) -> impl Iterator<Item = f64> {
    let nearer = std::iter::once(0.0).chain(expected_within(codes, bits));
    nearer.map(move |nearer| {
        // Not zero, so that there is something to divide by.
        below((k as f64 - 0.5 - nearer) / nearer.max(f64::MIN_POSITIVE).sqrt())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sketches_reject_unrelated_codes_at_small_radii_only() {
        assert!(passing(3, 31) < 5e-3 && passing(3, 12) < 1e-5);
        assert!((0.45..0.55).contains(&passing(3, 47)) && passing(3, 80) > 0.99);
        assert!(passing(6, 64) < 1e-3 && passing(3, 64) > 0.9);
    }

    #[test]
    fn a_complete_sketch_needs_no_code() {
        let [sketch, fetch] =
            [true, false].map(|complete| Costs::of::<1>(1 << 23, 1 << 29, 2, complete).candidate(64));
        assert!(sketch * 5.0 < fetch);
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

    #[test]
    fn how_far_the_kth_nearest_is_follows_the_poisson_distribution() {
        // 10 million codes of 64 bits: 1.9 are expected within 12 bits, 9.1 within 13, 41 within 14.
        let reached: Vec<f64> = reached(10_000_000, 64, 10).collect();
        assert!(reached[..=12].iter().all(|reached| *reached > 0.999));
        assert!(reached[13] > 0.99, "{}", reached[13]);
        assert!((0.4..0.7).contains(&reached[14]) && reached[15] < 1e-3, "{:?}", &reached[14..16]);
        assert_eq!(reached.len(), 66);
    }
}
