//! Owns what attacks do along the axes of a tensor: scale, choose, reorder and transpose.

use std::collections::BTreeMap;

use super::Tensor;

/// Axes shorter than this are kernels, colours and the like, not channels.
pub(super) const CHANNELS: usize = 16;

impl Tensor {
    /// The longest axis, the first of equals.
    pub(super) fn channel_axis(&self) -> usize {
        let longest = self.shape.iter().copied().max().unwrap_or(0);
        self.shape.iter().position(|&len| len == longest).unwrap_or(0)
    }

    /// The axes that hold channels, in storage order.
    pub(super) fn channel_axes(&self) -> Vec<usize> {
        (0..self.shape.len()).filter(|&axis| self.shape[axis] >= CHANNELS).collect()
    }

    /// How many values lie between neighbours along `axis`.
    fn stride(&self, axis: usize) -> usize {
        self.shape[axis + 1..].iter().product()
    }

    /// The runs of values under one index of `axis`, with the index; several runs for an index.
    pub(super) fn runs(&mut self, axis: usize) -> impl Iterator<Item = (usize, &mut [f32])> {
        let (stride, len) = (self.stride(axis), self.shape[axis]);
        self.values.chunks_mut(stride.max(1)).enumerate().map(move |(run, values)| (run % len, values))
    }

    /// Multiplies what lies under each index of `axis` by that index's factor.
    pub(super) fn scale(&mut self, axis: usize, factors: &[f32]) {
        for (index, run) in self.runs(axis) {
            run.iter_mut().for_each(|value| *value *= factors[index]);
        }
    }

    /// The sum of squares under each index of `axis`.
    pub(super) fn energies(&mut self, axis: usize) -> Vec<f64> {
        let mut energies = vec![0.0; self.shape[axis]];
        for (index, run) in self.runs(axis) {
            energies[index] += run.iter().map(|&value| f64::from(value).powi(2)).sum::<f64>();
        }
        energies
    }

    /// Keeps the given indices of `axis`, in the given order.
    pub(super) fn choose(&mut self, axis: usize, indices: &[usize]) {
        let (stride, len) = (self.stride(axis), self.shape[axis]);
        let mut chosen = Vec::with_capacity(self.values.len() / len.max(1) * indices.len());
        for block in self.values.chunks(stride * len) {
            for &index in indices {
                chosen.extend_from_slice(&block[index * stride..][..stride]);
            }
        }
        self.shape[axis] = indices.len();
        self.values = chosen;
    }

    /// Gives `axis` another length, by repeating its indices in turn or leaving the last ones out.
    pub(super) fn resize(&mut self, axis: usize, len: usize) {
        let old = self.shape[axis];
        self.choose(axis, &(0..len).map(|index| index % old).collect::<Vec<_>>());
    }

    /// Stores the same tensor with its axes in another order: new axis `i` is old axis `order[i]`.
    pub(super) fn permute_axes(&mut self, order: &[usize]) {
        let strides: Vec<usize> = order.iter().map(|&axis| self.stride(axis)).collect();
        let shape: Vec<usize> = order.iter().map(|&axis| self.shape[axis]).collect();
        let mut values = Vec::with_capacity(self.values.len());
        let (mut index, mut place) = (vec![0; shape.len()], 0);
        for _ in 0..self.values.len() {
            values.push(self.values[place]);
            for axis in (0..shape.len()).rev() {
                index[axis] += 1;
                place += strides[axis];
                if index[axis] < shape[axis] {
                    break;
                }
                place -= strides[axis] * shape[axis];
                index[axis] = 0;
            }
        }
        (self.shape, self.values) = (shape, values);
    }
}

/// How often each axis length of at least [`CHANNELS`] occurs among the weights.
pub(super) fn lengths(tensors: &[Tensor]) -> BTreeMap<usize, usize> {
    let mut lengths = BTreeMap::new();
    for tensor in tensors.iter().filter(|tensor| tensor.is_weights()) {
        tensor.channel_axes().iter().for_each(|&axis| *lengths.entry(tensor.shape[axis]).or_default() += 1);
    }
    lengths
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tensor(shape: &[usize]) -> Tensor {
        let values = (0..shape.iter().product()).map(|value: usize| value as f32).collect();
        Tensor { name: "t".to_owned(), shape: shape.to_vec(), values }
    }

    #[test]
    fn axes_are_reordered_as_an_index_says() {
        let old = tensor(&[2, 3, 4]);
        let mut new = old.clone();
        new.permute_axes(&[2, 0, 1]);
        assert_eq!(new.shape, [4, 2, 3]);
        for (a, b, c) in (0..2).flat_map(|a| (0..3).flat_map(move |b| (0..4).map(move |c| (a, b, c)))) {
            assert_eq!(new.values[(c * 2 + a) * 3 + b], old.values[(a * 3 + b) * 4 + c]);
        }
    }

    #[test]
    fn indices_of_a_middle_axis_are_chosen_and_scaled() {
        let mut chosen = tensor(&[2, 3, 2]);
        chosen.choose(1, &[2, 0]);
        assert_eq!(
            (&chosen.shape[..], &chosen.values[..]),
            (&[2, 2, 2][..], &[4., 5., 0., 1., 10., 11., 6., 7.][..])
        );
        chosen.scale(1, &[1.0, -1.0]);
        assert_eq!(chosen.values, [4., 5., -0., -1., 10., 11., -6., -7.]);
        assert_eq!(chosen.energies(1), [262.0, 86.0]);
    }

    #[test]
    fn a_longer_axis_repeats_its_indices_and_a_shorter_one_lacks_the_last() {
        let mut longer = tensor(&[2, 3]);
        longer.resize(1, 5);
        assert_eq!(longer.values, [0., 1., 2., 0., 1., 3., 4., 5., 3., 4.]);
        longer.resize(0, 1);
        assert_eq!((&longer.shape[..], &longer.values[..]), (&[1, 5][..], &[0., 1., 2., 0., 1.][..]));
    }
}
