//! Section 3, first half: which tensors are used, which is the row and which the column axis, and which indices are
//! looked at.

use std::cmp::Reverse;

use super::{Tensor, decode};

/// A tensor's elements, and where its rows, columns and kernel positions lie among them.
pub(crate) struct Cut {
    pub(crate) dense: bool,
    /// `R*` and `C*`.
    pub(crate) all_rows: usize,
    pub(crate) all_columns: usize,
    /// `s`: how many indices are looked at of each of two other axes, if that is the same number.
    pub(crate) side: Option<usize>,
    values: Vec<f64>,
    pub(crate) sample: Places,
    pub(crate) whole: Option<Places>,
}

/// The element of a row, a column and a kernel position is that of the sum of the three numbers.
pub(crate) struct Places {
    pub(crate) rows: Vec<usize>,
    pub(crate) columns: Vec<usize>,
    pub(crate) kernel: Vec<usize>,
    /// Two numbers whose product is 2^-e, which itself may be out of range.
    scale: [f64; 2],
}

impl Places {
    fn elements(&self) -> Vec<usize> {
        let mut elements = Vec::new();
        for kernel in &self.kernel {
            for row in &self.rows {
                for column in &self.columns {
                    elements.push(row + column + kernel);
                }
            }
        }
        elements
    }
}

impl Cut {
    /// Cuts a tensor, or says why it is skipped.
    pub(crate) fn new(tensor: &Tensor) -> Result<Self, &'static str> {
        let values = decode::decode(tensor.dtype, tensor.bytes).ok_or("not floating")?;
        if tensor.shape.contains(&0) {
            return Err("under 1024 elements");
        }
        if tensor.shape.iter().filter(|&&axis| axis != 1).count() < 2 {
            return Err("not a matrix");
        }
        if values.len() < 1024 {
            return Err("under 1024 elements");
        }
        let mut cut = Self::of_axes(tensor.shape, values);
        cut.sample.scale = unit(&cut.values, &cut.sample.elements())?;
        if let Some(whole) = &mut cut.whole {
            whole.scale = unit(&cut.values, &whole.elements())?;
        }
        Ok(cut)
    }

    /// An element of a sample or of the whole, times 2^-e.
    pub(crate) fn value(&self, places: &Places, element: usize) -> f64 {
        self.values[element] * places.scale[0] * places.scale[1]
    }

    fn of_axes(shape: &[usize], values: Vec<f64>) -> Self {
        // Axes of length 1 are removed; the others as (length, stride).
        let mut axes = Vec::new();
        for i in 0..shape.len() {
            if shape[i] != 1 {
                axes.push((shape[i], shape[i + 1..].iter().product::<usize>()));
            }
        }
        let rows = axes.remove(first_longest(&axes));
        let column_axis = first_longest(&axes);
        let dense = axes[column_axis].0 >= 16;
        let columns = dense.then(|| axes.remove(column_axis));
        let mut others = axes;
        others.sort_by_key(|axis| Reverse(axis.0)); // stable: equals in storage order
        let all_columns = columns.map_or(others.iter().map(|axis| axis.0).product(), |axis| axis.0);

        let looked_at = sample_of_others(&others, if dense { 64 } else { 256 });
        let side = match &looked_at[..] {
            [first, second] if dense && first.len() == second.len() => Some(first.len()),
            _ => None,
        };
        let mut flattened = vec![0];
        for (axis, indices) in others.iter().zip(&looked_at) {
            let mut finer = Vec::new();
            for place in &flattened {
                for index in indices {
                    finer.push(place + index * axis.1);
                }
            }
            flattened = finer;
        }
        let places = |look: fn(usize) -> Vec<usize>| {
            let along = |axis: (usize, usize)| look(axis.0).iter().map(|index| index * axis.1).collect();
            match columns {
                Some(columns) => Places {
                    rows: along(rows),
                    columns: along(columns),
                    kernel: flattened.clone(),
                    scale: [1.0; 2],
                },
                None => {
                    Places { rows: along(rows), columns: flattened.clone(), kernel: vec![0], scale: [1.0; 2] }
                }
            }
        };
        let sample = places(runs);
        let whole = (dense && values.len() <= 1 << 20).then(|| places(|len| (0..len).collect()));
        Self { dense, all_rows: rows.0, all_columns, side, values, sample, whole }
    }
}

/// The scale of the elements that are looked at, or why there is none.
fn unit(values: &[f64], looked_at: &[usize]) -> Result<[f64; 2], &'static str> {
    if looked_at.iter().any(|&element| !values[element].is_finite()) {
        return Err("not finite");
    }
    let mut largest = looked_at.iter().map(|&element| values[element].abs()).fold(0.0, f64::max);
    if largest == 0.0 {
        return Err("all zero");
    }
    let mut scale = [1.0; 2];
    let mut turn = 0;
    while largest >= 2.0 {
        largest /= 2.0;
        scale[turn % 2] /= 2.0;
        turn += 1;
    }
    while largest < 1.0 {
        largest *= 2.0;
        scale[turn % 2] *= 2.0;
        turn += 1;
    }
    Ok(scale)
}

fn first_longest(axes: &[(usize, usize)]) -> usize {
    let mut best = 0;
    for i in 1..axes.len() {
        if axes[i].0 > axes[best].0 {
            best = i;
        }
    }
    best
}

/// The indices that are looked at of a row or column axis: all of 256, or 32 runs of 8.
fn runs(len: usize) -> Vec<usize> {
    if len <= 256 {
        return (0..len).collect();
    }
    (0..32).flat_map(|i| (0..8).map(move |k| i * (len - 8) / 31 + k)).collect()
}

/// The indices that are looked at of each other axis, ascending.
fn sample_of_others(others: &[(usize, usize)], most: usize) -> Vec<Vec<usize>> {
    let positions: usize = others.iter().map(|axis| axis.0).product();
    let m = u32::try_from(others.len()).unwrap();
    let c = (2..=most)
        .step_by(2)
        .filter(|c: &usize| c.checked_pow(m).is_some_and(|n| n <= most))
        .max()
        .unwrap_or(1);
    let mut result = Vec::new();
    for &(len, _) in others {
        let indices = if positions <= most || len <= c {
            (0..len).collect()
        } else if c == 1 {
            vec![0]
        } else {
            let mut indices: Vec<usize> =
                (0..c / 2).map(|i| i * len / c).flat_map(|index| [index, len - 1 - index]).collect();
            indices.sort_unstable();
            indices
        };
        result.push(indices);
    }
    result
}
