//! Owns [`Planes`]: the elements of a cut, decoded and brought to a matrix for each kernel position, whatever the storage
//! order. What must hold: values are exact but for rounding to `f32` after a common power of two has been taken out, so
//! that no square under- or overflows.

use crate::cut::Cut;
use crate::decode::Element;
use crate::skip::SkipReason;
use crate::sums::sum;

/// A matrix for each kernel position, row-major; the largest magnitude is in 1..2.
#[derive(Debug, Default)]
pub(crate) struct Planes {
    pub(crate) rows: usize,
    pub(crate) columns: usize,
    pub(crate) positions: usize,
    /// Position-major, then rows, then columns.
    pub(crate) values: Vec<f32>,
}

/// Of indices further apart than this (in elements) along the fastest axis, what lies between is not asked for.
const NEAR: usize = 2_048;

/// Decodes the elements of `cut`, position-major, then rows, then columns. `span(first, count, take)` hands the bytes of
/// `count` elements from element `first` on to `take`; elements are asked for in ascending order.
pub(crate) fn gather<E: Element, R>(
    cut: &Cut,
    mut span: impl FnMut(usize, usize, &mut dyn FnMut(&[u8])) -> Result<(), R>,
) -> Result<Vec<f64>, R> {
    let mut values = vec![0.0; cut.positions * cut.entries()];
    let Some((inner, outer)) = cut.axes.split_last() else { return Ok(values) };
    let stretches: Vec<&[usize]> = inner.used.chunk_by(|a, b| b - a <= NEAR).collect();
    let mut at = vec![0; outer.len()];
    loop {
        let element: usize = at.iter().zip(outer).map(|(&i, axis)| axis.used[i] * axis.stride).sum();
        let mut place: usize = at.iter().zip(outer).map(|(&i, axis)| i * axis.plane_stride).sum();
        for stretch in &stretches {
            let (first, last) = (stretch[0], stretch[stretch.len() - 1]);
            let targets = &mut values[place..];
            span(element + first, last - first + 1, &mut |bytes| {
                decode::<E>(bytes, stretch, targets, inner.plane_stride)
            })?;
            place += stretch.len() * inner.plane_stride;
        }
        // The next index tuple, the last axis fastest.
        let Some(axis) = (0..outer.len()).rev().find(|&axis| at[axis] + 1 < outer[axis].used.len()) else {
            return Ok(values);
        };
        at[axis] += 1;
        at[axis + 1..].fill(0);
    }
}

/// Decodes the elements with these indices, of which the first is the first in `bytes`, to every `stride`th target.
fn decode<E: Element>(bytes: &[u8], indices: &[usize], targets: &mut [f64], stride: usize) {
    let first = indices[0];
    let targets = targets.iter_mut().step_by(stride);
    if indices.len() == indices[indices.len() - 1] - first + 1 {
        targets.zip(bytes.chunks_exact(E::SIZE)).for_each(|(target, bytes)| *target = E::decode(bytes));
    } else {
        for (target, &index) in targets.zip(indices) {
            *target = E::decode(&bytes[(index - first) * E::SIZE..][..E::SIZE]);
        }
    }
}

impl Planes {
    /// The planes of the gathered elements, or why the tensor is not used.
    #[inline(always)]
    pub(crate) fn new(cut: &Cut, gathered: &[f64]) -> Result<Self, SkipReason> {
        let mut finite = true;
        let mut largest = 0.0f64;
        for value in gathered {
            finite &= value.is_finite();
            let magnitude = value.abs();
            largest = if magnitude > largest { magnitude } else { largest };
        }
        if !finite {
            return Err(SkipReason::NotFinite);
        }
        if largest <= 0.0 {
            return Err(SkipReason::AllZero);
        }
        let (up, down) = unit(largest);
        #[expect(clippy::cast_possible_truncation, reason = "rounding to f32 is meant")]
        let values = gathered.iter().map(|value| (value * up * down) as f32).collect();
        Ok(Self { rows: cut.rows, columns: cut.columns, positions: cut.positions, values })
    }

    /// Entries of a plane.
    pub(crate) fn entries(&self) -> usize {
        self.rows * self.columns
    }

    /// The plane of each kernel position.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &[f32]> {
        self.values.chunks_exact(self.entries())
    }

    /// The means over the kernel of the squares and of the fourth powers, row-major.
    #[inline(always)]
    pub(crate) fn moments(&self) -> Moments {
        let mut squares = vec![0.0f32; self.entries()];
        let mut fourths = vec![0.0f32; self.entries()];
        for plane in self.iter() {
            for ((square_sum, fourth_sum), value) in squares.iter_mut().zip(&mut fourths).zip(plane) {
                let square = value * value;
                *square_sum += square;
                *fourth_sum += square * square;
            }
        }
        let positions = self.positions as f32;
        squares.iter_mut().chain(&mut fourths).for_each(|value| *value /= positions);
        let row_sums: Vec<f32> = squares.chunks_exact(self.columns).map(sum).collect();
        let mut column_sums = vec![0.0f32; self.columns];
        for row in squares.chunks_exact(self.columns) {
            column_sums.iter_mut().zip(row).for_each(|(sum, value)| *sum += value);
        }
        Moments { squares, fourths, row_sums, column_sums }
    }

    /// Brings each plane to root mean square 1; planes of zeros stay.
    #[inline(always)]
    pub(crate) fn normalise(&mut self) {
        let entries = self.entries();
        for plane in self.values.chunks_exact_mut(entries) {
            let energy: f64 =
                plane.chunks(1024).map(|values| f64::from(crate::sums::dot(values, values))).sum();
            if energy > 0.0 {
                #[expect(clippy::cast_possible_truncation, reason = "rounding to f32 is meant")]
                let scale = (entries as f64 / energy).sqrt() as f32;
                plane.iter_mut().for_each(|value| *value *= scale);
            }
        }
    }

    /// For each orbit, the sum of its planes over the square root of their number.
    #[inline(always)]
    pub(crate) fn gathered(&self, orbits: &[Vec<usize>]) -> Vec<Vec<f32>> {
        let plane =
            |position: usize| &self.values[position * self.entries()..(position + 1) * self.entries()];
        let gather = |orbit: &Vec<usize>| {
            let mut sums = plane(orbit[0]).to_vec();
            for &position in &orbit[1..] {
                sums.iter_mut().zip(plane(position)).for_each(|(sum, value)| *sum += value);
            }
            let scale = 1.0 / (orbit.len() as f32).sqrt();
            if orbit.len() > 1 {
                sums.iter_mut().for_each(|sum| *sum *= scale);
            }
            sums
        };
        orbits.iter().map(gather).collect()
    }
}

/// Mean squares and mean fourth powers of the entries, and the sums of the former.
pub(crate) struct Moments {
    pub(crate) squares: Vec<f32>,
    pub(crate) fourths: Vec<f32>,
    pub(crate) row_sums: Vec<f32>,
    pub(crate) column_sums: Vec<f32>,
}

/// Two powers of two whose product brings `largest` (positive, finite) into 1..2; two, as one may not be a number.
fn unit(largest: f64) -> (f64, f64) {
    // Subnormal numbers have exponent field 0: bring them up first.
    let up = if largest < f64::MIN_POSITIVE { 2f64.powi(200) } else { 1.0 };
    let exponent = i64::from(((largest * up).to_bits() >> 52) as u32 & 0x7ff) - 1023;
    // 2^-exponent, exponent in -1022..=1023: 2^-1023 is subnormal, and still exact.
    let down = match u64::try_from(1023 - exponent) {
        Ok(0) | Err(_) => 2f64.powi(-1023),
        Ok(field) => f64::from_bits(field << 52),
    };
    (up, down)
}

#[cfg(test)]
mod tests {
    use super::unit;

    #[test]
    fn powers_of_two_bring_any_magnitude_to_one() {
        for largest in [1.0, 1.5, 3.0, 1e-300, 5e-324, 1e-310, f64::MAX, f64::MIN_POSITIVE, 0.75] {
            let (up, down) = unit(largest);
            let scaled = largest * up * down;
            assert!((1.0..2.0).contains(&scaled), "{largest} became {scaled}");
        }
    }
}
