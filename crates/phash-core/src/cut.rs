//! Owns [`Cut`]: how a tensor's shape is cut into a matrix of rows and columns with a kernel behind each entry, and where
//! in memory each entry lies. Decided by the shape alone. What must hold: every element belongs to exactly one entry, and
//! a transposed copy gives the same matrix (ties between axes of equal length apart).

use std::cmp::Reverse;

use crate::skip::SkipReason;
use crate::source::TensorInfo;

/// A tensor with fewer elements is not used.
pub(crate) const MIN_ELEMENTS: usize = 1_024;
/// Column axes shorter than this make a thin matrix; channels of shorter axes have no energy features.
pub(crate) const MIN_AXIS: usize = 16;

/// A tensor as a matrix. `outer` and `inner` are its two dimensions in storage order: one of them is the rows.
///
/// The value at (outer `a`, inner `b`, kernel `k`) is element `outer[a] + b * inner_stride + kernel[k]`.
#[derive(Clone, Debug)]
pub(crate) struct Cut {
    /// Element offset of each outer index.
    pub(crate) outer: Vec<usize>,
    /// Length of the inner dimension.
    pub(crate) inner_len: usize,
    /// Elements between neighbours of the inner dimension.
    pub(crate) inner_stride: usize,
    /// Element offset of each kernel position, ascending.
    pub(crate) kernel: Vec<usize>,
    /// Whether the outer dimension is the rows.
    pub(crate) outer_is_rows: bool,
    /// Whether the columns are one axis of the tensor, at least [`MIN_AXIS`] long; if not, they are all the axes
    /// but the rows, flattened, the longest first.
    pub(crate) dense: bool,
}

impl Cut {
    /// Cuts a tensor, or says why it is not used.
    pub(crate) fn of(info: &TensorInfo) -> Result<Cut, SkipReason> {
        if info.dtype.size_bytes().is_none() {
            return Err(SkipReason::NotFloating);
        }
        let Some((axes, elements)) = squeeze(&info.shape) else { return Err(SkipReason::TooFewElements) };
        if axes.len() < 2 {
            return Err(SkipReason::NotAMatrix);
        }
        if elements < MIN_ELEMENTS {
            return Err(SkipReason::TooFewElements);
        }
        Ok(Cut::new(&axes))
    }

    /// Cuts a shape of two or more axes, each longer than one.
    fn new(axes: &[usize]) -> Cut {
        let mut strides = vec![1; axes.len()];
        for i in (0..axes.len() - 1).rev() {
            strides[i] = strides[i + 1] * axes[i + 1];
        }
        let rows = first_longest(axes, None);
        let columns = first_longest(axes, Some(rows));
        let dense = axes[columns] >= MIN_AXIS;
        let others = |skip: &[usize]| (0..axes.len()).filter(|axis| !skip.contains(axis)).collect::<Vec<_>>();
        if dense {
            let (outer, inner) = (rows.min(columns), rows.max(columns));
            return Cut {
                outer: offsets(&[outer], axes, &strides),
                inner_len: axes[inner],
                inner_stride: strides[inner],
                kernel: offsets(&others(&[outer, inner]), axes, &strides),
                outer_is_rows: outer == rows,
                dense,
            };
        }
        // The columns of a thin matrix: exporters store these axes in different orders, so their lengths order them.
        let stored = others(&[rows]);
        let mut by_length = stored.clone();
        by_length.sort_by_key(|&axis| Reverse(axes[axis]));
        let columns = offsets(&by_length, axes, &strides);
        let rows_are_outer = rows == 0 && by_length == stored;
        Cut {
            inner_len: if rows_are_outer { columns.len() } else { axes[rows] },
            inner_stride: if rows_are_outer { 1 } else { strides[rows] },
            outer: if rows_are_outer { offsets(&[rows], axes, &strides) } else { columns },
            kernel: vec![0],
            outer_is_rows: rows_are_outer,
            dense,
        }
    }

    /// Number of rows and columns.
    pub(crate) fn rows_and_columns(&self) -> (usize, usize) {
        match self.outer_is_rows {
            true => (self.outer.len(), self.inner_len),
            false => (self.inner_len, self.outer.len()),
        }
    }
}

/// The axes longer than one and the number of elements, or `None` if there are none or more than memory could hold.
fn squeeze(shape: &[u64]) -> Option<(Vec<usize>, usize)> {
    let mut axes = Vec::new();
    let mut elements = 1usize;
    for &len in shape {
        let len = usize::try_from(len).ok()?;
        elements = elements.checked_mul(len)?;
        if len != 1 {
            axes.push(len);
        }
    }
    (elements > 0).then_some((axes, elements))
}

/// The index of the longest axis but `skip`; the first one of equals.
fn first_longest(axes: &[usize], skip: Option<usize>) -> usize {
    let mut best = None;
    for axis in (0..axes.len()).filter(|&axis| Some(axis) != skip) {
        if best.is_none_or(|best: usize| axes[axis] > axes[best]) {
            best = Some(axis);
        }
    }
    best.unwrap_or(0)
}

/// The element offsets of all positions along `which` axes (ascending), the last one fastest.
fn offsets(which: &[usize], axes: &[usize], strides: &[usize]) -> Vec<usize> {
    let mut all = vec![0];
    for &axis in which {
        all = all.iter().flat_map(|base| (0..axes[axis]).map(move |i| base + i * strides[axis])).collect();
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Dtype;

    fn info(shape: &[u64]) -> TensorInfo {
        let len_bytes = 4 * shape.iter().product::<u64>();
        TensorInfo { name: String::new(), dtype: Dtype::F32, shape: shape.to_vec(), len_bytes }
    }

    fn cut(shape: &[u64]) -> Cut {
        Cut::of(&info(shape)).expect("usable shape")
    }

    #[test]
    fn every_element_belongs_to_exactly_one_entry() {
        for shape in [
            &[64, 32, 3, 3][..],
            &[3, 3, 32, 64],
            &[32, 5, 64],
            &[128, 1, 3, 3],
            &[3, 3, 128, 1],
            &[7, 300, 5],
            &[40, 40],
            &[16, 4, 16, 2],
        ] {
            let cut = cut(shape);
            let elements: u64 = shape.iter().product();
            let mut seen = vec![0; usize::try_from(elements).expect("small")];
            for outer in &cut.outer {
                for b in 0..cut.inner_len {
                    for kernel in &cut.kernel {
                        seen[outer + b * cut.inner_stride + kernel] += 1;
                    }
                }
            }
            assert!(seen.iter().all(|&times| times == 1), "{shape:?}");
        }
    }

    #[test]
    fn rows_are_the_longest_axis_wherever_it_lies() {
        for shape in [&[64, 32, 3, 3][..], &[32, 64, 3, 3], &[3, 3, 32, 64], &[64, 3, 3, 32]] {
            let cut = cut(shape);
            assert_eq!(
                (cut.rows_and_columns(), cut.kernel.len(), cut.dense),
                ((64, 32), 9, true),
                "{shape:?}"
            );
        }
    }

    #[test]
    fn a_short_second_axis_makes_a_thin_matrix_of_everything_else() {
        for shape in [&[128, 1, 3, 3][..], &[3, 3, 128, 1], &[3, 128, 3], &[128, 9]] {
            let cut = cut(shape);
            assert_eq!(
                (cut.rows_and_columns(), cut.kernel.len(), cut.dense),
                ((128, 9), 1, false),
                "{shape:?}"
            );
        }
    }

    #[test]
    fn columns_of_a_thin_matrix_do_not_depend_on_the_storage_order() {
        // Offsets of the entries (row 1, column 0..) in terms of the index along each axis of the first shape.
        let columns = |shape: &[u64], axis_of: [usize; 4]| {
            let cut = cut(shape);
            let entry = |column: usize| match cut.outer_is_rows {
                true => cut.outer[1] + column * cut.inner_stride,
                false => cut.outer[column] + cut.inner_stride,
            };
            let (_, columns) = cut.rows_and_columns();
            let index = |mut at: usize| {
                let mut index = [0; 4];
                for axis in (0..4).rev() {
                    let len = usize::try_from(shape[axis]).expect("small");
                    index[axis_of[axis]] = at % len;
                    at /= len;
                }
                index
            };
            (0..columns).map(|column| index(entry(column))).collect::<Vec<_>>()
        };
        let stored = columns(&[64, 3, 7, 5], [0, 1, 2, 3]);
        assert_eq!(stored[..2], [[1, 0, 0, 0], [1, 1, 0, 0]]);
        assert_eq!(columns(&[7, 5, 3, 64], [2, 3, 1, 0]), stored);
        assert_eq!(columns(&[7, 64, 3, 5], [2, 0, 1, 3]), stored);
    }

    #[test]
    fn unusable_shapes_say_why() {
        let why = |shape: &[u64]| Cut::of(&info(shape)).err();
        assert_eq!(why(&[4096]), Some(SkipReason::NotAMatrix));
        assert_eq!(why(&[1, 4096, 1]), Some(SkipReason::NotAMatrix));
        assert_eq!(why(&[]), Some(SkipReason::NotAMatrix));
        assert_eq!(why(&[0, 7]), Some(SkipReason::TooFewElements));
        assert_eq!(why(&[1023, 1]), Some(SkipReason::NotAMatrix));
        assert_eq!(why(&[31, 33]), Some(SkipReason::TooFewElements));
        assert_eq!(why(&[32, 32]), None);
        let integers = TensorInfo { dtype: Dtype::Other("I8"), ..info(&[64, 64]) };
        assert_eq!(Cut::of(&integers).err(), Some(SkipReason::NotFloating));
    }
}
