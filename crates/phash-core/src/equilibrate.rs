//! Owns the scales that bring every row and column of a matrix of mean squares to mean 1 (Sinkhorn and Knopp 1967), so
//! that rescaled channels and folded batch-norm leave no trace. A fixed number of rounds, rows before columns.

use pulp::Simd;

use crate::sums::dot;

const ROUNDS: usize = 8;
/// A line whose mean is under 1e-15, where the largest entry is about 1, is empty. Its square is still a number.
const MOST: f32 = 1e15;

/// Scales of rows and columns; 0 where a line is all zero.
pub(crate) struct Scales {
    pub(crate) rows: Vec<f32>,
    pub(crate) columns: Vec<f32>,
}

/// Equilibrates a row-major matrix. O(entries).
#[inline(always)]
pub(crate) fn equilibrate<S: Simd>(simd: S, squares: &[f32], columns: usize) -> Scales {
    let rows = squares.len() / columns;
    let mut scales = Scales { rows: vec![0.0; rows], columns: vec![1.0; columns] };
    let mut sums = vec![0.0f32; columns];
    for _ in 0..ROUNDS {
        sums.fill(0.0);
        for (scale, line) in scales.rows.iter_mut().zip(squares.chunks_exact(columns)) {
            *scale = inverse_mean(dot(simd, line, &scales.columns), columns);
            let scale = *scale;
            for (sum, entry) in sums.iter_mut().zip(line) {
                *sum += entry * scale;
            }
        }
        scales.columns.iter_mut().zip(&sums).for_each(|(scale, &sum)| *scale = inverse_mean(sum, rows));
    }
    scales
}

/// `count / sum`, or 0 if that is over [`MOST`]: such a line is empty.
#[inline(always)]
fn inverse_mean(sum: f32, count: usize) -> f32 {
    let scale = count as f32 / sum;
    if sum > 0.0 && scale <= MOST { scale } else { 0.0 }
}
