//! Owns the scales that bring every row and column of a matrix of mean squares to mean 1 (Sinkhorn and Knopp 1967), so
//! that rescaled channels and folded batch-norm leave no trace. A fixed number of rounds, rows before columns, each
//! round one visit of every line.

use crate::decode::Element;
use crate::moments::{Entries, Moments};
use crate::sums::dot;

/// Rounds of scaling rows, then columns. Large matrices converge faster, and cost more.
const fn rounds(entries: usize) -> usize {
    if entries < 1 << 20 { 8 } else { 3 }
}

/// Scales along both dimensions; 0 where a line is all zero.
pub(crate) struct Scales {
    pub(crate) outer: Vec<f64>,
    pub(crate) inner: Vec<f64>,
}

/// Equilibrates. `outer_is_rows` tells which dimension is scaled first.
#[inline(always)]
pub(crate) fn equilibrate<E: Element>(
    moments: &Moments,
    entries: &Entries<'_, E>,
    outer_is_rows: bool,
) -> Scales {
    let (outer_len, inner_len) = (moments.outer_sums.len(), moments.inner_sums.len());
    let mut outer = vec![0.0; outer_len];
    // If the inner dimension is the rows it comes first, and the first pass has already summed it.
    let mut inner = match outer_is_rows {
        true => vec![1.0; inner_len],
        false => moments.inner_sums.iter().map(|&sum| inverse_mean(sum, outer_len)).collect(),
    };
    let mut sums = vec![0.0; inner_len];
    let mut buffer = vec![0.0; inner_len];
    let rounds = rounds(outer_len * inner_len);
    for round in 0..rounds {
        sums.fill(0.0);
        for (a, scale) in outer.iter_mut().enumerate() {
            let line = entries.line(a, &mut buffer);
            *scale = inverse_mean(dot(line, &inner), inner_len);
            sums.iter_mut().zip(line).for_each(|(sum, entry)| *sum += entry * *scale);
        }
        if outer_is_rows || round + 1 < rounds {
            inner.iter_mut().zip(&sums).for_each(|(scale, &sum)| *scale = inverse_mean(sum, outer_len));
        }
    }
    Scales { outer, inner }
}

/// `count / sum`, or 0 if there is nothing to scale.
#[inline(always)]
fn inverse_mean(sum: f64, count: usize) -> f64 {
    if sum > 0.0 { count as f64 / sum } else { 0.0 }
}
