//! Section 3: which tensors are used, and how each is cut into the matrices E and F.

use super::arithmetic::sum;
use super::{Tensor, decode};

/// A tensor cut into matrices of second and fourth moments. `[a][b]` is [outer][inner].
pub(crate) struct Matrix {
    pub(crate) rows: usize,
    pub(crate) columns: usize,
    pub(crate) dense: bool,
    pub(crate) rows_are_outer: bool,
    pub(crate) e: Vec<Vec<f64>>,
    pub(crate) f: Vec<Vec<f64>>,
    pub(crate) outer_sum: Vec<f64>,
    pub(crate) inner_sum: Vec<f64>,
    pub(crate) total: f64,
}

impl Matrix {
    /// The matrices of a tensor, or why it is skipped.
    pub(crate) fn cut(tensor: &Tensor) -> Result<Self, &'static str> {
        let values = decode::decode(tensor.dtype, tensor.bytes).ok_or("not floating")?;
        if tensor.shape.contains(&0) {
            return Err("under 1024 elements");
        }
        let axes: Vec<usize> = tensor.shape.iter().copied().filter(|&axis| axis != 1).collect();
        if axes.len() < 2 {
            return Err("not a matrix");
        }
        if values.len() < 1024 {
            return Err("under 1024 elements");
        }
        if values.iter().any(|value| !value.is_finite()) {
            return Err("not finite");
        }
        if values.iter().all(|&value| value == 0.0) {
            return Err("all zero");
        }
        let matrix = Self::of_axes(&axes, &values);
        match matrix.total {
            total if !total.is_finite() => Err("not finite"),
            0.0 => Err("all zero"),
            _ => Ok(matrix),
        }
    }

    fn of_axes(axes: &[usize], values: &[f64]) -> Self {
        let row_axis = first_longest(axes, None);
        let column_axis = first_longest(axes, Some(row_axis));
        let dense = axes[column_axis] >= 16;
        let rows = axes[row_axis];
        let columns = if dense { axes[column_axis] } else { axes.iter().product::<usize>() / rows };
        // The axes behind the columns of a thin matrix: longest first, equals in storage order.
        let mut flattened: Vec<usize> = (0..axes.len()).filter(|&axis| axis != row_axis).collect();
        let in_order = flattened.windows(2).all(|pair| axes[pair[0]] >= axes[pair[1]]);
        flattened.sort_by(|&x, &y| axes[y].cmp(&axes[x]).then(x.cmp(&y)));
        let rows_are_outer = if dense { row_axis < column_axis } else { row_axis == 0 && in_order };
        let (outer, inner) = if rows_are_outer { (rows, columns) } else { (columns, rows) };
        // The weights behind each entry, in ascending storage order.
        let mut kernels = vec![vec![Vec::new(); inner]; outer];
        for (position, &value) in values.iter().enumerate() {
            let index = unravel(position, axes);
            let row = index[row_axis];
            let column = if dense { index[column_axis] } else { ravel(&index, axes, &flattened) };
            let (a, b) = if rows_are_outer { (row, column) } else { (column, row) };
            kernels[a][b].push(value);
        }
        let mean = |kernel: &Vec<f64>, term: fn(f64) -> f64| {
            let mut total = term(kernel[0]);
            for &weight in &kernel[1..] {
                total += term(weight);
            }
            #[expect(clippy::cast_precision_loss, reason = "small")]
            let size = kernel.len() as f64;
            total / size
        };
        let entries = |term: fn(f64) -> f64| -> Vec<Vec<f64>> {
            kernels.iter().map(|row| row.iter().map(|kernel| mean(kernel, term)).collect()).collect()
        };
        let e = entries(|w| w * w);
        let f = entries(|w| (w * w) * (w * w));
        let outer_sum: Vec<f64> = e.iter().map(|row| sum(row)).collect();
        let mut inner_sum = vec![0.0; inner];
        for row in &e {
            for b in 0..inner {
                inner_sum[b] += row[b];
            }
        }
        let total = sum(&outer_sum);
        Self { rows, columns, dense, rows_are_outer, e, f, outer_sum, inner_sum, total }
    }
}

fn first_longest(axes: &[usize], but: Option<usize>) -> usize {
    let mut best = None;
    for i in 0..axes.len() {
        if Some(i) != but && best.is_none_or(|best: usize| axes[i] > axes[best]) {
            best = Some(i);
        }
    }
    best.unwrap()
}

/// The index tuple of a position; the last axis varies fastest.
fn unravel(mut position: usize, axes: &[usize]) -> Vec<usize> {
    let mut index = vec![0; axes.len()];
    for i in (0..axes.len()).rev() {
        index[i] = position % axes[i];
        position /= axes[i];
    }
    index
}

/// The position along the axes `which`, flattened in that order, the last one fastest.
fn ravel(index: &[usize], axes: &[usize], which: &[usize]) -> usize {
    which.iter().fold(0, |position, &axis| position * axes[axis] + index[axis])
}
