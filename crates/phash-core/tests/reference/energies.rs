//! Section 4: the statistics of the views `energy` and `blocks`.

use super::planes::{Matrix, Plane};
use super::real::{Real, ascending, lanes, real};

pub(crate) fn logs(x: &[f64], m: f64) -> Vec<f64> {
    let floor = m * (1.0 / 1_048_576.0);
    x.iter().map(|&value| libm::log(if value > floor { value } else { floor })).collect()
}

fn median(x: &[f64]) -> f64 {
    let mut sorted = x.to_vec();
    sorted.sort_by(f64::total_cmp);
    let middle = sorted.len() / 2;
    if sorted.len() % 2 == 1 { sorted[middle] } else { (sorted[middle - 1] + sorted[middle]) / 2.0 }
}

/// The features of `x`, or none.
fn standardise(x: &[f64]) -> Option<Vec<f64>> {
    if x.iter().any(|value| !value.is_finite()) {
        return None;
    }
    let centre = median(x);
    let deviations: Vec<f64> = x.iter().map(|value| (value - centre).abs()).collect();
    let spread = 1.4826 * median(&deviations);
    let positive = spread > 0.0;
    positive.then(|| x.iter().map(|value| (value - centre) / spread).collect())
}

/// The features of the channels of one axis, from row_sum or column_sum.
pub(crate) fn energy<T: Real>(sums: &[T]) -> Option<Vec<f64>> {
    let s: Vec<f64> = sums.iter().map(|sum| sum.wide()).collect();
    let x = logs(&s, ascending(&s) / real(s.len()));
    standardise(&high_pass(&x))
}

fn high_pass(x: &[f64]) -> Vec<f64> {
    let mut y = Vec::new();
    for i in 0..x.len() {
        let mut around = Vec::new();
        for (there, at) in
            [(i >= 2, i.wrapping_sub(2)), (i >= 1, i.wrapping_sub(1)), (true, i + 1), (true, i + 2)]
        {
            if there && at < x.len() {
                around.push(x[at]);
            }
        }
        y.push(x[i] - ascending(&around) / real(around.len()));
    }
    y
}

/// The features of one grid, row-major.
pub(crate) struct Grid {
    pub(crate) statistic: u64,
    pub(crate) rows: usize,
    pub(crate) columns: usize,
    pub(crate) features: Vec<f64>,
}

/// The grids of a matrix that give features.
pub(crate) fn blocks<T: Real>(matrix: &Matrix<T>, dense: bool) -> Vec<Grid> {
    let blocks_of = |n: usize, p: usize| (n / p).clamp(1, 64);
    let (row_size, column_size) = if dense { (8, 8) } else { (4, 1) };
    let (rows, columns) = (blocks_of(matrix.rows, row_size), blocks_of(matrix.columns, column_size));
    if rows == 1 || columns == 1 {
        return Vec::new();
    }
    let (u, v) = matrix.equilibrate();
    let squared = |x: &[T]| -> Vec<T> { x.iter().map(|&x| x * x).collect() };
    let second = block_means(&matrix.e, &u, &v, rows, columns);
    let fourth = block_means(&matrix.f, &squared(&u), &squared(&v), rows, columns);
    let mut grids = Vec::new();
    for (statistic, means) in [(2, second), (3, fourth)] {
        if let Some(features) = grid_features(&means, rows, columns) {
            grids.push(Grid { statistic, rows, columns, features });
        }
    }
    grids
}

/// Means of scaled entries over blocks, row-major.
fn block_means<T: Real>(entries: &Plane<T>, u: &[T], v: &[T], rows: usize, columns: usize) -> Vec<f64> {
    let mut grid = Vec::new();
    for i in 0..rows {
        let in_rows = i * u.len() / rows..(i + 1) * u.len() / rows;
        for j in 0..columns {
            let in_columns = j * v.len() / columns..(j + 1) * v.len() / columns;
            let mut p = Vec::new();
            for c in in_columns.clone() {
                let mut total = T::of(0.0);
                for r in in_rows.clone() {
                    total = total + entries[r][c] * u[r];
                }
                p.push(total * v[c]);
            }
            grid.push(lanes(&p).wide() / real(in_rows.len() * in_columns.len()));
        }
    }
    grid
}

fn grid_features(grid: &[f64], rows: usize, columns: usize) -> Option<Vec<f64>> {
    let m = ascending(grid) / real(grid.len());
    if !(m.is_finite() && m > 0.0) {
        return None;
    }
    let mut x = logs(grid, m);
    for row in x.chunks_mut(columns) {
        let mean = ascending(row) / real(columns);
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
