//! Section 4: the statistics of the views `energy` and `blocks`.

use super::arithmetic::{dot, logs, standardise, sum};
use super::matrix::Matrix;

#[expect(clippy::cast_precision_loss, reason = "lengths are far below 2^53")]
fn real(n: usize) -> f64 {
    n as f64
}

/// Length and features (perhaps none) of each axis that is cut into segments.
pub(crate) fn energy(matrix: &Matrix) -> Vec<(usize, Vec<i64>)> {
    let (row_sums, column_sums) = if matrix.rows_are_outer {
        (&matrix.outer_sum, &matrix.inner_sum)
    } else {
        (&matrix.inner_sum, &matrix.outer_sum)
    };
    let mut axes = vec![row_sums];
    if matrix.dense {
        axes.push(column_sums);
    }
    let mut result = Vec::new();
    for sums in axes {
        if sums.len() < 16 {
            continue;
        }
        let x = logs(sums, matrix.total / real(sums.len()));
        result.push((sums.len(), standardise(&high_pass(&x)).unwrap_or_default()));
    }
    result
}

fn high_pass(x: &[f64]) -> Vec<f64> {
    let n = i64::try_from(x.len()).unwrap();
    let mut y = Vec::new();
    for i in 0..n {
        let (mut total, mut count) = (0.0, 0);
        for neighbour in [i - 2, i - 1, i + 1, i + 2] {
            if (0..n).contains(&neighbour) {
                total += x[usize::try_from(neighbour).unwrap()];
                count += 1;
            }
        }
        y.push(x[usize::try_from(i).unwrap()] - total / real(count));
    }
    y
}

/// The features of one grid, row-major.
pub(crate) struct Grid {
    pub(crate) statistic: u64,
    pub(crate) rows: usize,
    pub(crate) columns: usize,
    pub(crate) features: Vec<i64>,
}

impl Grid {
    pub(crate) fn transposed(&self) -> Vec<i64> {
        let mut features = Vec::new();
        for column in 0..self.columns {
            for row in 0..self.rows {
                features.push(self.features[row * self.columns + column]);
            }
        }
        features
    }
}

/// The grids of a matrix that give features.
pub(crate) fn blocks(matrix: &Matrix) -> Vec<Grid> {
    let blocks_of = |n: usize, p: usize| (n / p).clamp(1, 64);
    let (row_size, column_size) = if matrix.dense { (8, 8) } else { (4, 1) };
    let (rows, columns) = (blocks_of(matrix.rows, row_size), blocks_of(matrix.columns, column_size));
    if rows == 1 || columns == 1 {
        return Vec::new();
    }
    let (u, v) = equilibrate(matrix);
    let squared = |x: &[f64]| -> Vec<f64> { x.iter().map(|x| x * x).collect() };
    let second = block_means(matrix, &matrix.e, &u, &v, rows, columns);
    let fourth = block_means(matrix, &matrix.f, &squared(&u), &squared(&v), rows, columns);
    let mut grids = Vec::new();
    for (statistic, means) in [(2, second), (3, fourth)] {
        if let Some(features) = grid_features(&means, rows, columns) {
            grids.push(Grid { statistic, rows, columns, features });
        }
    }
    grids
}

/// The factors of the outer and of the inner channels.
fn equilibrate(matrix: &Matrix) -> (Vec<f64>, Vec<f64>) {
    let inv = |s: f64, n: usize| if s > 0.0 { real(n) / s } else { 0.0 };
    let (outer, inner) = (matrix.outer_sum.len(), matrix.inner_sum.len());
    let rounds = if outer * inner < 1 << 20 { 8 } else { 3 };
    let mut u = vec![0.0; outer];
    let mut v = vec![1.0; inner];
    if !matrix.rows_are_outer {
        for b in 0..inner {
            v[b] = inv(matrix.inner_sum[b], outer);
        }
    }
    for round in 1..=rounds {
        let mut t = vec![0.0; inner];
        for a in 0..outer {
            u[a] = inv(dot(&matrix.e[a], &v), inner);
            for b in 0..inner {
                t[b] += matrix.e[a][b] * u[a];
            }
        }
        if matrix.rows_are_outer || round < rounds {
            for b in 0..inner {
                v[b] = inv(t[b], outer);
            }
        }
    }
    (u, v)
}

/// Means of scaled entries over blocks, in the orientation rows x columns, row-major.
fn block_means(
    matrix: &Matrix,
    entries: &[Vec<f64>],
    u: &[f64],
    v: &[f64],
    rows: usize,
    columns: usize,
) -> Vec<f64> {
    let (outer_blocks, inner_blocks) = if matrix.rows_are_outer { (rows, columns) } else { (columns, rows) };
    let (outer, inner) = (u.len(), v.len());
    let mut grid = vec![0.0; rows * columns];
    for i in 0..outer_blocks {
        let in_outer = i * outer / outer_blocks..(i + 1) * outer / outer_blocks;
        for j in 0..inner_blocks {
            let in_inner = j * inner / inner_blocks..(j + 1) * inner / inner_blocks;
            let mut p = Vec::new();
            for b in in_inner.clone() {
                let mut total = 0.0;
                for a in in_outer.clone() {
                    total += entries[a][b] * u[a];
                }
                p.push(total * v[b]);
            }
            let mean = sum(&p) / real(in_outer.len() * in_inner.len());
            let (row, column) = if matrix.rows_are_outer { (i, j) } else { (j, i) };
            grid[row * columns + column] = mean;
        }
    }
    grid
}

fn grid_features(grid: &[f64], rows: usize, columns: usize) -> Option<Vec<i64>> {
    let m = sum(grid) / real(grid.len());
    if !(m.is_finite() && m > 0.0) {
        return None;
    }
    let mut x = logs(grid, m);
    for row in x.chunks_mut(columns) {
        let mean = sum(row) / real(columns);
        for value in row {
            *value -= mean;
        }
    }
    for column in 0..columns {
        let mut total = 0.0;
        for row in 0..rows {
            total += x[row * columns + column];
        }
        let mean = total / real(rows);
        for row in 0..rows {
            x[row * columns + column] -= mean;
        }
    }
    standardise(&x)
}
