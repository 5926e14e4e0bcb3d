//! Owns [`Moments`]: the first pass over a tensor. Mean squares of all entries (kept when they are small beside the
//! tensor, made again line by line when not) and their sums along both dimensions.

use crate::cut::Cut;
use crate::decode::Element;
use crate::matrix::Matrix;
use crate::sums::sum;

/// Entries are kept if they take at most this many bytes, or half of the tensor's.
const ALWAYS_KEEP_BYTES: usize = 8 << 20;

/// Mean squares along the dimensions of a matrix.
pub(crate) struct Moments {
    /// Sum over the inner dimension of the entries' mean squares, for each outer index.
    pub(crate) outer_sums: Vec<f64>,
    /// Sum over the outer dimension, for each inner index.
    pub(crate) inner_sums: Vec<f64>,
    /// Sum over everything. Not finite if any weight is not, or if squares overflow.
    pub(crate) total: f64,
}

/// The entries' mean squares, line by line: kept, or made again at each visit.
pub(crate) struct Entries<'a, E> {
    matrix: Matrix<'a, E>,
    inner_len: usize,
    kept: Option<&'a [f64]>,
}

impl<E: Element> Entries<'_, E> {
    /// The line of outer index `outer`; `buffer` (of the inner length) is used if it has to be made.
    #[inline(always)]
    pub(crate) fn line<'b>(&'b self, outer: usize, buffer: &'b mut [f64]) -> &'b [f64] {
        match self.kept {
            Some(kept) => &kept[outer * self.inner_len..(outer + 1) * self.inner_len],
            None => {
                self.matrix.mean_squares(outer, buffer);
                buffer
            }
        }
    }

    /// `out[b]` = mean fourth power at (`outer`, `b`), where `line` is [`Self::line`] of `outer`.
    #[inline(always)]
    pub(crate) fn mean_fourths(&self, outer: usize, line: &[f64], out: &mut [f64]) {
        if self.matrix.has_kernel() {
            self.matrix.mean_fourths(outer, out);
        } else {
            out.iter_mut().zip(line).for_each(|(fourth, square)| *fourth = square * square);
        }
    }
}

/// Makes the first pass. `keep` is working memory for the entries.
#[inline(always)]
pub(crate) fn first_pass<'a, E: Element>(
    bytes: &'a [u8],
    cut: &'a Cut,
    keep: &'a mut Vec<f64>,
) -> (Moments, Entries<'a, E>) {
    let matrix = Matrix::<E>::new(bytes, cut);
    let (outer_len, inner_len) = (cut.outer.len(), cut.inner_len);
    let kept = outer_len * inner_len * size_of::<f64>() <= ALWAYS_KEEP_BYTES.max(bytes.len() / 2);
    // Whatever it held is overwritten.
    keep.resize(if kept { outer_len * inner_len } else { inner_len }, 0.0);
    let mut outer_sums = Vec::with_capacity(outer_len);
    let mut inner_sums = vec![0.0; inner_len];
    for outer in 0..outer_len {
        let line = match kept {
            true => &mut keep[outer * inner_len..(outer + 1) * inner_len],
            false => &mut keep[..],
        };
        matrix.mean_squares(outer, line);
        outer_sums.push(sum(line));
        inner_sums.iter_mut().zip(&*line).for_each(|(sum, entry)| *sum += entry);
    }
    let total = sum(&outer_sums);
    let entries = Entries { matrix, inner_len, kept: kept.then_some(&keep[..]) };
    (Moments { outer_sums, inner_sums, total }, entries)
}
