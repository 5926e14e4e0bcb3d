//! The view `blocks`: a weight segment is a block of about 8x8 channels of the equilibrated matrix; its statistics are the
//! logs of the block means of squares and of fourth powers, double-centred. Blind to rescaled channels.

use crate::cut::Cut;
use crate::decode::Element;
use crate::equilibrate::{Scales, equilibrate};
use crate::features::{logs, standardise};
use crate::moments::{Entries, Moments};
use crate::projection::{Statistic, Sums};
use crate::sums::sum;

/// Channels a block, along each axis of a dense matrix.
const DENSE_BLOCK: usize = 8;
/// Rows a block in a thin matrix, whose columns are blocks of their own.
const THIN_BLOCK_ROWS: usize = 4;
/// A grid has at most this many blocks along each axis; blocks of longer axes are larger.
const MAX_GRID: usize = 64;

/// The sums of the tensor's block features.
#[inline(always)]
pub(crate) fn sums<E: Element>(cut: &Cut, moments: &Moments, entries: &Entries<'_, E>) -> Sums {
    let mut sums = Sums::default();
    let (rows, columns) = cut.rows_and_columns();
    let (row_block, column_block) = if cut.dense { (DENSE_BLOCK, DENSE_BLOCK) } else { (THIN_BLOCK_ROWS, 1) };
    let (grid_rows, grid_columns) = (grid_len(rows, row_block), grid_len(columns, column_block));
    if grid_rows < 2 || grid_columns < 2 {
        return sums; // Double-centring would leave nothing.
    }
    let scales = equilibrate(moments, entries, cut.outer_is_rows);
    let (outer_blocks, inner_blocks) =
        if cut.outer_is_rows { (grid_rows, grid_columns) } else { (grid_columns, grid_rows) };
    let (squares, fourths) = block_means(entries, &scales, outer_blocks, inner_blocks);
    for (statistic, means) in [(Statistic::BlockSquares, squares), (Statistic::BlockFourths, fourths)] {
        let grid = match cut.outer_is_rows {
            true => means,
            false => transposed(&means, inner_blocks),
        };
        let mean = sum(&grid) / grid.len() as f64;
        if mean <= 0.0 || !mean.is_finite() {
            continue; // Fourth powers may underflow or overflow where squares do not.
        }
        let mut logs = logs(grid.into_iter(), mean);
        double_centre(&mut logs, grid_columns);
        let features = standardise(&logs);
        let sizes = [grid_rows as u64, grid_columns as u64];
        sums.project(statistic, sizes, &features);
        if rows == columns {
            // Nothing tells rows from columns: both orientations count, once.
            sums.project(statistic, sizes, &transposed(&features, grid_columns));
        }
        sums.features += u32::try_from(features.len()).unwrap_or(u32::MAX);
    }
    sums
}

/// Blocks along an axis of `len` with about `block` channels each.
fn grid_len(len: usize, block: usize) -> usize {
    (len / block).clamp(1, MAX_GRID)
}

/// The first index of block `i` of `blocks` along an axis of `len`.
fn block_start(i: usize, blocks: usize, len: usize) -> usize {
    i * len / blocks
}

/// Means over blocks of the scaled mean squares, and of the mean fourth powers with the scales squared; outer-major.
#[inline(always)]
fn block_means<E: Element>(
    entries: &Entries<'_, E>,
    scales: &Scales,
    outer_blocks: usize,
    inner_blocks: usize,
) -> (Vec<f64>, Vec<f64>) {
    let (outer_len, inner_len) = (scales.outer.len(), scales.inner.len());
    let (mut squares, mut fourths) = (Vec::new(), Vec::new());
    let (mut buffer, mut line_fourths) = (vec![0.0; inner_len], vec![0.0; inner_len]);
    let (mut square_sums, mut fourth_sums) = (vec![0.0; inner_len], vec![0.0; inner_len]);
    for i in 0..outer_blocks {
        square_sums.fill(0.0);
        fourth_sums.fill(0.0);
        let lines = block_start(i, outer_blocks, outer_len)..block_start(i + 1, outer_blocks, outer_len);
        let line_count = lines.len();
        for a in lines {
            let scale = scales.outer[a];
            let line = entries.line(a, &mut buffer);
            square_sums.iter_mut().zip(line).for_each(|(sum, entry)| *sum += entry * scale);
            entries.mean_fourths(a, line, &mut line_fourths);
            let scale = scale * scale;
            fourth_sums.iter_mut().zip(&line_fourths).for_each(|(sum, entry)| *sum += entry * scale);
        }
        square_sums.iter_mut().zip(&scales.inner).for_each(|(sum, scale)| *sum *= scale);
        fourth_sums.iter_mut().zip(&scales.inner).for_each(|(sum, scale)| *sum *= scale * scale);
        for j in 0..inner_blocks {
            let block = block_start(j, inner_blocks, inner_len)..block_start(j + 1, inner_blocks, inner_len);
            let count = (line_count * block.len()) as f64;
            squares.push(sum(&square_sums[block.clone()]) / count);
            fourths.push(sum(&fourth_sums[block]) / count);
        }
    }
    (squares, fourths)
}

/// Subtracts the mean of each row, then the mean of each column of what is left.
fn double_centre(grid: &mut [f64], columns: usize) {
    for row in grid.chunks_exact_mut(columns) {
        let mean = sum(row) / columns as f64;
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

/// The transpose of a row-major grid with `columns` columns. Empty stays empty.
fn transposed<T: Copy>(grid: &[T], columns: usize) -> Vec<T> {
    (0..columns).flat_map(|column| grid.iter().skip(column).step_by(columns).copied()).collect()
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
        for len in [2, 15, 16, 17, 63, 64, 500, 513, 4096, 50_257] {
            let blocks = grid_len(len, DENSE_BLOCK);
            assert_eq!((block_start(0, blocks, len), block_start(blocks, blocks, len)), (0, len));
            assert!((0..blocks).all(|i| block_start(i, blocks, len) < block_start(i + 1, blocks, len)));
        }
    }

    #[test]
    fn transposing_twice_gives_the_grid_back() {
        let grid = [1, 2, 3, 4, 5, 6];
        assert_eq!(transposed(&grid, 3), [1, 4, 2, 5, 3, 6]);
        assert_eq!(transposed(&transposed(&grid, 3), 2), grid);
    }
}
