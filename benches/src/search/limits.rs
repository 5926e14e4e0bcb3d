//! Owns what the machine allows: bandwidth and latency measured in the same run, and what a search would take if it did
//! nothing but read what it has to.

use phash_code::Code;
use phash_index::SearchStats;

use super::ours::{Layout, default_planes};
use crate::machine;

/// What was measured on the codes of this run.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Sequential read of the codes, one thread.
    pub gb_per_s: f64,
    /// An independent random read among the codes.
    pub random_ns: f64,
}

impl Limits {
    /// Measures on these codes.
    #[must_use]
    pub fn measure<const W: usize>(codes: &[Code<W>]) -> Self {
        let (words, _) = Code::as_bytes_slice(codes).as_chunks::<8>();
        let words: Vec<u64> = words.iter().take(1 << 26).map(|word| u64::from_le_bytes(*word)).collect();
        if words.is_empty() {
            return Self { gb_per_s: f64::NAN, random_ns: f64::NAN };
        }
        Self { gb_per_s: machine::sequential_gb_per_s(&words), random_ns: machine::random_read_ns(&words) }
    }

    /// The scan's: every code read once.
    #[must_use]
    pub fn scan_ns<const W: usize>(&self, n: usize) -> f64 {
        (n * Code::<W>::BYTES) as f64 / self.gb_per_s
    }

    /// An index query's: what it misses, at the cost of an independent random read each, and the lists it reads.
    #[must_use]
    pub fn index_ns<const W: usize>(&self, layout: Layout, work: &SearchStats) -> f64 {
        misses(work) * self.random_ns
            + list_bytes::<W>(layout, work) / self.gb_per_s
            + work.scanned as f64 * Code::<W>::BYTES as f64 / self.gb_per_s
    }
}

/// Lines that are not expected in a cache, estimated from the counters: two a probe that finds something (where the bucket
/// begins, and its first line), one that does not, and one for each code fetched.
#[must_use]
pub fn misses(work: &SearchStats) -> f64 {
    let buckets = work.probes.min(work.candidates);
    (work.probes + buckets + work.verified) as f64
}

/// Bytes of the buckets read: ids, or sketches.
fn list_bytes<const W: usize>(layout: Layout, work: &SearchStats) -> f64 {
    work.compared as f64
        * match layout {
            Layout::Compact => 4.0,
            Layout::Fast => 4.0 * default_planes(W),
        }
}
