//! Owns [`Cut`]: how a tensor's shape is cut into a matrix of rows and columns with a kernel behind each entry, which
//! indices of each axis are looked at, and where in the planes each element goes. Decided by the shape alone. What must
//! hold: a transposed copy gives the same matrix (ties between axes of equal length apart), and no cut asks for more
//! than 256 x 256 x 64 elements, however large the tensor.

use std::cmp::Reverse;

use crate::skip::SkipReason;
use crate::source::TensorInfo;

/// A tensor with fewer elements is not used.
pub(crate) const MIN_ELEMENTS: usize = 1_024;
/// Column axes shorter than this make a thin matrix; channels of shorter axes have no energy features.
pub(crate) const MIN_AXIS: usize = 16;
/// Of longer rows or columns so many are sampled, in runs of [`RUN`].
const SAMPLE: usize = 256;
const RUN: usize = 8;
/// Of larger kernels so many positions are sampled, evenly along each axis.
const KERNEL_SAMPLE: usize = 64;
/// Tensors of more elements have no whole cut: views that need every channel leave them out.
const WHOLE_ELEMENTS: usize = 1 << 20;

/// One axis of the tensor, in storage order.
#[derive(Clone, Debug)]
pub(crate) struct Axis {
    /// Elements between neighbours in storage.
    pub(crate) stride: usize,
    /// The indices that are looked at, ascending.
    pub(crate) used: Vec<usize>,
    /// Elements between neighbours of `used` in the planes.
    pub(crate) plane_stride: usize,
}

/// A tensor as a matrix.
#[derive(Clone, Debug)]
pub(crate) struct Cut {
    /// The axes, slowest first.
    pub(crate) axes: Vec<Axis>,
    /// Rows and columns that are looked at.
    pub(crate) rows: usize,
    pub(crate) columns: usize,
    /// How many rows and columns the tensor has.
    pub(crate) row_len: usize,
    pub(crate) column_len: usize,
    /// Kernel positions behind each entry, and which of them are one under reversal of the kernel, and under exchange of its
    /// two axes if they are equally long: formats store them either way.
    pub(crate) positions: usize,
    pub(crate) orbits: Vec<Vec<usize>>,
    /// Whether the columns are one axis of the tensor, at least [`MIN_AXIS`] long; if not, they are all the axes
    /// but the rows, flattened, the longest first.
    pub(crate) dense: bool,
}

/// The cuts of one tensor.
#[derive(Clone, Debug)]
pub(crate) struct Cuts {
    /// At most 256 rows and columns.
    pub(crate) sample: Cut,
    /// All rows and columns, for the views that need every channel.
    pub(crate) whole: Whole,
}

/// Where all rows and columns of a tensor are looked at.
#[derive(Clone, Debug)]
pub(crate) enum Whole {
    /// Nowhere: it is thin, or too large.
    Nowhere,
    /// In the sample.
    Sample,
    /// In a cut of their own.
    Own(Cut),
}

impl Cuts {
    /// Cuts a tensor, or says why it is not used. O(axes and what is looked at along them).
    pub(crate) fn of(info: &TensorInfo) -> Result<Cuts, SkipReason> {
        if info.dtype.size_bytes().is_none() {
            return Err(SkipReason::NotFloating);
        }
        let Some((lens, elements)) = squeeze(&info.shape) else { return Err(SkipReason::TooFewElements) };
        if lens.len() < 2 {
            return Err(SkipReason::NotAMatrix);
        }
        if elements < MIN_ELEMENTS {
            return Err(SkipReason::TooFewElements);
        }
        let sample = Cut::new(&lens, SAMPLE);
        let whole = if !sample.dense || elements > WHOLE_ELEMENTS {
            Whole::Nowhere
        } else if sample.rows == sample.row_len && sample.columns == sample.column_len {
            Whole::Sample
        } else {
            Whole::Own(Cut::new(&lens, usize::MAX))
        };
        Ok(Cuts { sample, whole })
    }
}

impl Cut {
    /// Cuts a shape of two or more axes, each longer than one, looking at up to `most` rows and columns.
    fn new(lens: &[usize], most: usize) -> Cut {
        let mut strides = vec![1; lens.len()];
        for i in (0..lens.len() - 1).rev() {
            strides[i] = strides[i + 1] * lens[i + 1];
        }
        let row_axis = first_longest(lens, None);
        let column_axis = first_longest(lens, Some(row_axis));
        let dense = lens[column_axis] >= MIN_AXIS;
        // What is neither rows nor, in a dense matrix, columns; the longest first, as exporters store them in any order.
        let mut others: Vec<usize> =
            (0..lens.len()).filter(|&axis| axis != row_axis && !(dense && axis == column_axis)).collect();
        others.sort_by_key(|&axis| Reverse(lens[axis]));
        let others_most = root(if dense { KERNEL_SAMPLE } else { SAMPLE }, others.len());
        let product: usize = others.iter().map(|&axis| lens[axis]).product();
        let others_all = product <= if dense { KERNEL_SAMPLE } else { SAMPLE };
        let mut used: Vec<Vec<usize>> = lens
            .iter()
            .map(|&len| if others_all { (0..len).collect() } else { spread(len, others_most) })
            .collect();
        used[row_axis] = runs(lens[row_axis], most);
        if dense {
            used[column_axis] = runs(lens[column_axis], most);
        }
        let count_others: usize = others.iter().map(|&axis| used[axis].len()).product();
        let (rows, columns) =
            (used[row_axis].len(), if dense { used[column_axis].len() } else { count_others });
        let positions = if dense { count_others } else { 1 };
        // Planes are position-major, then rows, then columns.
        let mut plane_strides = vec![1; lens.len()];
        plane_strides[row_axis] = columns;
        let mut stride = if dense { rows * columns } else { 1 };
        for &axis in others.iter().rev() {
            plane_strides[axis] = stride;
            stride *= used[axis].len();
        }
        let kernel: Vec<usize> =
            if dense { others.iter().map(|&axis| used[axis].len()).collect() } else { Vec::new() };
        let column_len = if dense { lens[column_axis] } else { product };
        let axes = used.into_iter().zip(strides).zip(plane_strides);
        Cut {
            axes: axes.map(|((used, stride), plane_stride)| Axis { stride, used, plane_stride }).collect(),
            rows,
            columns,
            row_len: lens[row_axis],
            column_len,
            positions,
            orbits: orbits(&kernel),
            dense,
        }
    }

    /// Whether nothing tells rows from columns.
    pub(crate) fn is_square(&self) -> bool {
        self.dense && self.row_len == self.column_len
    }

    /// Elements of a plane.
    pub(crate) fn entries(&self) -> usize {
        self.rows * self.columns
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
fn first_longest(lens: &[usize], skip: Option<usize>) -> usize {
    let mut best = None;
    for axis in (0..lens.len()).filter(|&axis| Some(axis) != skip) {
        if best.is_none_or(|best: usize| lens[axis] > lens[best]) {
            best = Some(axis);
        }
    }
    best.unwrap_or(0)
}

/// All of `0..len`, or `most` of them in runs of 8 from end to end.
fn runs(len: usize, most: usize) -> Vec<usize> {
    if len <= most {
        return (0..len).collect();
    }
    let count = most / RUN;
    (0..count)
        .flat_map(|run| {
            let start = run * (len - RUN) / (count - 1);
            start..start + RUN
        })
        .collect()
}

/// All of `0..len`, or `most` of them (1 or an even number), evenly spread and the same from either end.
fn spread(len: usize, most: usize) -> Vec<usize> {
    if len <= most {
        return (0..len).collect();
    }
    if most < 2 {
        return vec![0];
    }
    let half: Vec<usize> = (0..most / 2).map(|i| i * len / most).collect();
    half.iter().copied().chain(half.iter().rev().map(|i| len - 1 - i)).collect()
}

/// The largest even number whose `power`th power is at most `most`; 1 if there is none.
fn root(most: usize, power: usize) -> usize {
    let power = u32::try_from(power).unwrap_or(u32::MAX);
    let fits = |n: usize| n.checked_pow(power).is_some_and(|all| all <= most);
    (1..=most / 2).map(|half| 2 * half).take_while(|&n| fits(n)).last().unwrap_or(1)
}

/// The positions of a kernel (axes slowest first), gathered: a position and its mirror image are one, and in a kernel of
/// two equal axes also its transposes. Each orbit ascending, orbits by their first position.
fn orbits(kernel: &[usize]) -> Vec<Vec<usize>> {
    let count: usize = kernel.iter().product();
    let square = if let [a, b] = kernel { (a == b).then_some(*a) } else { None };
    let mut seen = vec![false; count];
    let mut orbits = Vec::new();
    for position in 0..count {
        if seen[position] {
            continue;
        }
        let mut orbit = vec![position, count - 1 - position];
        if let Some(side) = square {
            let transposed = position % side * side + position / side;
            orbit.extend([transposed, count - 1 - transposed]);
        }
        orbit.sort_unstable();
        orbit.dedup();
        orbit.iter().for_each(|&position| seen[position] = true);
        orbits.push(orbit);
    }
    orbits
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Dtype;

    fn cuts(shape: &[u64]) -> Cuts {
        let len_bytes = 4 * shape.iter().product::<u64>();
        let info = TensorInfo { name: String::new(), dtype: Dtype::F32, shape: shape.to_vec(), len_bytes };
        Cuts::of(&info).expect("usable shape")
    }

    /// Every (element, place in the planes) of a cut.
    fn places(cut: &Cut) -> Vec<(usize, usize)> {
        cut.axes.iter().fold(vec![(0, 0)], |places, axis| {
            let step = |&(element, place): &(usize, usize)| {
                let used = axis.used.iter().enumerate();
                used.map(move |(i, index)| (element + index * axis.stride, place + i * axis.plane_stride))
                    .collect::<Vec<_>>()
            };
            places.iter().flat_map(step).collect()
        })
    }

    #[test]
    fn every_place_is_filled_once_and_small_tensors_wholly() {
        for shape in [
            &[64, 32, 3, 3][..],
            &[3, 3, 32, 64],
            &[32, 5, 64],
            &[128, 1, 3, 3],
            &[40, 40],
            &[16, 4, 16, 2],
            &[300, 700],
            &[600, 17, 9, 9],
            &[16, 16, 5, 5, 5],
            &[2_000, 3, 7, 7],
            &[900, 15, 15, 15],
        ] {
            let cuts = cuts(shape);
            let own = if let Whole::Own(cut) = &cuts.whole { Some(cut) } else { None };
            for cut in [Some(&cuts.sample), own].into_iter().flatten() {
                let mut places = places(cut);
                assert!(places.is_sorted(), "{shape:?}: elements are visited as they are stored");
                places.sort_by_key(|&(_, place)| place);
                let all = cut.positions * cut.entries();
                assert!(places.iter().map(|&(_, place)| place).eq(0..all), "{shape:?}");
                assert!(all <= 256 * 256 * 64);
                let elements: u64 = shape.iter().product();
                if cut.row_len <= 256 && cut.column_len <= 256 && elements < 1 << 20 && cut.positions < 64 {
                    assert_eq!(all as u64, elements, "{shape:?}");
                }
            }
        }
    }

    #[test]
    fn rows_are_the_longest_axis_wherever_it_lies() {
        for shape in [&[64, 32, 3, 3][..], &[32, 64, 3, 3], &[3, 3, 32, 64], &[64, 3, 3, 32]] {
            let cut = cuts(shape).sample;
            assert_eq!((cut.rows, cut.columns, cut.positions, cut.dense), (64, 32, 9, true), "{shape:?}");
        }
        for shape in [&[128, 1, 3, 3][..], &[3, 3, 128, 1], &[3, 128, 3], &[128, 9]] {
            let cut = cuts(shape).sample;
            assert_eq!((cut.rows, cut.columns, cut.positions, cut.dense), (128, 9, 1, false), "{shape:?}");
        }
    }

    #[test]
    fn long_axes_are_sampled_from_end_to_end() {
        let sampled = runs(10_000, SAMPLE);
        assert_eq!((sampled.len(), sampled[0], sampled[255]), (256, 0, 9_999));
        assert!(sampled.windows(2).all(|pair| pair[0] < pair[1]));
        let barely = runs(257, SAMPLE);
        assert!(barely.len() == 256 && barely.windows(2).all(|pair| pair[0] < pair[1]));
        assert_eq!(spread(10, 4), [0, 2, 7, 9]);
        assert_eq!((root(64, 1), root(64, 2), root(64, 3), root(64, 6), root(64, 7)), (64, 8, 4, 2, 1));
    }

    #[test]
    fn only_dense_tensors_of_a_million_elements_or_fewer_are_cut_whole() {
        let is_whole = |shape: &[u64]| !matches!(cuts(shape).whole, Whole::Nowhere);
        assert!(is_whole(&[1024, 1024]) && is_whole(&[64, 64, 3, 3]) && is_whole(&[256, 300]));
        assert!(!is_whole(&[1024, 1025]) && !is_whole(&[128, 1, 3, 3]) && !is_whole(&[256, 256, 5, 5]));
    }

    #[test]
    fn kernels_are_blind_to_reversal_and_exchange_of_equal_axes() {
        assert_eq!(orbits(&[]), [[0]]);
        assert_eq!(orbits(&[4]), [[0, 3], [1, 2]]);
        assert_eq!(orbits(&[3, 3]), [&[0, 8][..], &[1, 3, 5, 7], &[2, 6], &[4]]);
        assert_eq!(orbits(&[3, 2]), [[0, 5], [1, 4], [2, 3]]);
    }

    #[test]
    fn unusable_shapes_say_why() {
        let reason = |dtype, shape: &[u64]| {
            let info = TensorInfo { name: String::new(), dtype, shape: shape.to_vec(), len_bytes: 0 };
            Cuts::of(&info).err()
        };
        assert_eq!(reason(Dtype::Other("I8"), &[64, 64]), Some(SkipReason::NotFloating));
        assert_eq!(reason(Dtype::F32, &[4096, 1, 1]), Some(SkipReason::NotAMatrix));
        assert_eq!(reason(Dtype::F32, &[31, 33]), Some(SkipReason::TooFewElements));
        assert_eq!(reason(Dtype::F32, &[0, 64]), Some(SkipReason::TooFewElements));
        assert_eq!(reason(Dtype::F32, &[u64::MAX, u64::MAX]), Some(SkipReason::TooFewElements));
        assert_eq!(reason(Dtype::F32, &[32, 32]), None);
    }
}
