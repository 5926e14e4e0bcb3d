//! The view `blocks`: a weight segment is a block of about 8x8 channels of the equilibrated matrix; its statistics are the
//! logs of the block means of squares and of fourth powers, double-centred. Blind to rescaled channels and flipped signs.

use pulp::Simd;

use crate::cut::Cut;
use crate::equilibrate::Scales;
use crate::features::{Features, Statistic, logs, standardise, transposed};
use crate::planes::Moments;
use crate::sums::sum;

/// Channels a block, along each axis of a dense matrix.
const DENSE_BLOCK: usize = 8;
/// Rows a block in a thin matrix, whose columns are blocks of their own.
const THIN_BLOCK_ROWS: usize = 4;
/// A grid has at most this many blocks along each axis; blocks of longer axes are larger.
const MAX_GRID: usize = 64;

/// The features of the tensor's blocks.
#[inline(always)]
pub(crate) fn features<S: Simd>(simd: S, cut: &Cut, moments: &Moments, scales: &Scales) -> Vec<Features> {
    let (row_block, column_block) = if cut.dense { (DENSE_BLOCK, DENSE_BLOCK) } else { (THIN_BLOCK_ROWS, 1) };
    let (grid_rows, grid_columns) = (grid_len(cut.rows, row_block), grid_len(cut.columns, column_block));
    if grid_rows < 2 || grid_columns < 2 {
        return Vec::new(); // Double-centring would leave nothing.
    }
    let statistics =
        [(Statistic::BlockSquares, &moments.squares, 1), (Statistic::BlockFourths, &moments.fourths, 2)];
    let mut all = Vec::new();
    for (statistic, values, power) in statistics {
        let grid = block_means(simd, values, scales, power, grid_rows, grid_columns);
        let mean = grid.iter().fold(0.0, |sum, value| sum + value) / grid.len() as f64;
        if mean <= 0.0 || !mean.is_finite() {
            continue; // Fourth powers may underflow or overflow where squares do not.
        }
        let mut logs = logs(grid.into_iter(), mean);
        double_centre(&mut logs, grid_columns);
        let values = standardise(&logs);
        let sizes = [grid_rows as u64, grid_columns as u64, 0];
        let other_way = cut.is_square().then(|| transposed(&values, grid_columns));
        all.push(Features::new(statistic, sizes, &values, other_way.as_deref()));
    }
    all
}

/// Blocks along an axis of `len` with about `block` channels each.
fn grid_len(len: usize, block: usize) -> usize {
    (len / block).clamp(1, MAX_GRID)
}

/// The first index of block `i` of `blocks` along an axis of `len`.
fn block_start(i: usize, blocks: usize, len: usize) -> usize {
    i * len / blocks
}

/// Means over blocks of the values times the scales to the given power (1 or 2); row-major.
#[inline(always)]
fn block_means<S: Simd>(
    simd: S,
    values: &[f32],
    scales: &Scales,
    power: u32,
    grid_rows: usize,
    grid_columns: usize,
) -> Vec<f64> {
    let (rows, columns) = (scales.rows.len(), scales.columns.len());
    let raised = |scale: f32| if power == 1 { scale } else { scale * scale };
    let mut means = Vec::with_capacity(grid_rows * grid_columns);
    let mut sums = vec![0.0f32; columns];
    for i in 0..grid_rows {
        sums.fill(0.0);
        let lines = block_start(i, grid_rows, rows)..block_start(i + 1, grid_rows, rows);
        let line_count = lines.len();
        for row in lines {
            let scale = raised(scales.rows[row]);
            let line = &values[row * columns..(row + 1) * columns];
            for (sum, value) in sums.iter_mut().zip(line) {
                *sum += value * scale;
            }
        }
        sums.iter_mut().zip(&scales.columns).for_each(|(sum, &scale)| *sum *= raised(scale));
        for j in 0..grid_columns {
            let block = block_start(j, grid_columns, columns)..block_start(j + 1, grid_columns, columns);
            let count = line_count * block.len();
            means.push(f64::from(sum(simd, &sums[block])) / count as f64);
        }
    }
    means
}

/// Subtracts the mean of each row, then the mean of each column of what is left.
fn double_centre(grid: &mut [f64], columns: usize) {
    for row in grid.chunks_exact_mut(columns) {
        let mean = row.iter().fold(0.0, |sum, value| sum + value) / columns as f64;
        row.iter_mut().for_each(|value| *value -= mean);
    }
    let rows = grid.len() / columns;
    let mut sums = vec![0.0; columns];
    for row in grid.chunks_exact(columns) {
        sums.iter_mut().zip(row).for_each(|(sum, value)| *sum += value);
    }
    for row in grid.chunks_exact_mut(columns) {
        row.iter_mut().zip(&sums).for_each(|(value, sum)| *value -= sum / rows as f64);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn double_centring_removes_what_rows_and_columns_explain() {
        // value = 10 * row + column has no interaction; the corner adds one.
        let mut grid: Vec<f64> = (0..12).map(|i| f64::from(10 * (i / 4) + i % 4)).collect();
        double_centre(&mut grid, 4);
        assert!(grid.iter().all(|value| value.abs() < 1e-12), "{grid:?}");
        grid[0] += 12.0;
        double_centre(&mut grid, 4);
        assert!((grid[0] - 6.0).abs() < 1e-12 && (grid[5] - 1.0).abs() < 1e-12, "{grid:?}");
    }

    #[test]
    fn blocks_cover_an_axis_without_gaps() {
        for len in [2, 15, 16, 17, 63, 64, 250, 256] {
            let blocks = grid_len(len, DENSE_BLOCK);
            assert_eq!((block_start(0, blocks, len), block_start(blocks, blocks, len)), (0, len));
            assert!((0..blocks).all(|i| block_start(i, blocks, len) < block_start(i + 1, blocks, len)));
        }
    }
}
