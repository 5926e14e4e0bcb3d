//! Owns timing: warm up once, then the median of several passes.

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
