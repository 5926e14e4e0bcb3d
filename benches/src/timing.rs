//! Owns timing: medians of several passes, robust against a busy machine.

use std::hint::black_box;
use std::time::Instant;

/// The median of the values; of the two in the middle, the lower.
///
/// # Panics
/// If there are none.
#[must_use]
pub fn median(values: &[f64]) -> f64 {
    let mut values = values.to_vec();
    values.sort_by(f64::total_cmp);
    values[(values.len() - 1) / 2]
}

/// The mean over `queries` of the median time of each over `passes`, in nanoseconds.
///
/// Each pass starts with `evict` having gone through the caches and asks every query once, so that a query finds what
/// others left there but not its own lines. Medians of single queries, because on a busy machine every longer stretch
/// is interrupted. Includes the clock, about 30 ns.
///
/// # Panics
/// If there are no queries or no passes.
pub fn per_query_ns<Q>(passes: usize, evict: &[u64], queries: &[Q], mut search: impl FnMut(&Q)) -> f64 {
    let mut times = vec![Vec::with_capacity(passes); queries.len()];
    for _ in 0..passes {
        black_box(evict.iter().fold(0, |sum, word| sum ^ word));
        for (query, times) in queries.iter().zip(&mut times) {
            let start = Instant::now();
            search(query);
            times.push(start.elapsed().as_nanos() as f64);
        }
    }
    times.iter().map(|times| median(times)).sum::<f64>() / queries.len() as f64
}

/// Runs `work` once to warm up and then `passes` times; the median time of a pass in nanoseconds.
pub fn median_ns(passes: usize, mut work: impl FnMut()) -> f64 {
    work();
    let times: Vec<f64> = (0..passes)
        .map(|_| {
            let start = Instant::now();
            work();
            start.elapsed().as_nanos() as f64
        })
        .collect();
    median(&times)
}
