//! Owns [`Matrix`]: a tensor's bytes seen as the matrix of a [`Cut`], and the mean of a power of the weights at each entry
//! of one outer line. What must hold: the kernel is summed in ascending offset, so the result does not depend on the path
//! taken; entries of a line are independent, so the loops vectorise.

use std::marker::PhantomData;

use crate::cut::Cut;
use crate::decode::Element;

/// A tensor's bytes as a matrix with elements of type `E`.
pub(crate) struct Matrix<'a, E> {
    bytes: &'a [u8],
    cut: &'a Cut,
    element: PhantomData<E>,
}

impl<'a, E: Element> Matrix<'a, E> {
    /// Views `bytes`, which must be exactly the elements that `cut` addresses.
    pub(crate) fn new(bytes: &'a [u8], cut: &'a Cut) -> Self {
        Self { bytes, cut, element: PhantomData }
    }

    /// Whether an entry has more than one weight.
    pub(crate) fn has_kernel(&self) -> bool {
        self.cut.kernel.len() > 1
    }

    /// `out[b]` = mean over the kernel of the squared weights at (`outer`, `b`).
    #[inline(always)]
    pub(crate) fn mean_squares(&self, outer: usize, out: &mut [f64]) {
        self.means(outer, out, |w| w * w);
    }

    /// `out[b]` = mean over the kernel of the fourth powers of the weights at (`outer`, `b`).
    #[inline(always)]
    pub(crate) fn mean_fourths(&self, outer: usize, out: &mut [f64]) {
        self.means(outer, out, |w| {
            let square = w * w;
            square * square
        });
    }

    #[inline(always)]
    fn means(&self, outer: usize, out: &mut [f64], power: impl Fn(f64) -> f64) {
        let (cut, start) = (self.cut, self.cut.outer[outer]);
        let kernel = cut.kernel.len();
        if cut.inner_stride == 1 {
            for (k, &offset) in cut.kernel.iter().enumerate() {
                let line = self.elements(start + offset, out.len());
                let terms = line.chunks_exact(E::SIZE).map(|bytes| power(E::decode(bytes)));
                if k == 0 {
                    out.iter_mut().zip(terms).for_each(|(sum, term)| *sum = term);
                } else {
                    out.iter_mut().zip(terms).for_each(|(sum, term)| *sum += term);
                }
            }
        } else if cut.inner_stride == kernel && cut.kernel[kernel - 1] == kernel - 1 {
            let line = self.elements(start, out.len() * kernel);
            for (sum, window) in out.iter_mut().zip(line.chunks_exact(kernel * E::SIZE)) {
                *sum = total(window.chunks_exact(E::SIZE).map(|bytes| power(E::decode(bytes))));
            }
        } else {
            for (b, sum) in out.iter_mut().enumerate() {
                let entry = start + b * cut.inner_stride;
                *sum = total(cut.kernel.iter().map(|&k| power(E::decode(self.elements(entry + k, 1)))));
            }
        }
        if kernel > 1 {
            let count = kernel as f64;
            out.iter_mut().for_each(|sum| *sum /= count);
        }
    }

    #[inline(always)]
    fn elements(&self, first: usize, count: usize) -> &[u8] {
        &self.bytes[first * E::SIZE..(first + count) * E::SIZE]
    }
}

/// The terms added one after the other, the first one as it is.
#[inline(always)]
fn total(mut terms: impl Iterator<Item = f64>) -> f64 {
    let first = terms.next().unwrap_or(0.0);
    terms.fold(first, |sum, term| sum + term)
}
