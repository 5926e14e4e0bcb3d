//! Owns [`Planes`]: the elements of a cut, decoded and brought to a matrix for each kernel position, whatever the storage
//! order. What must hold: values are exact but for rounding to `f32` after a common power of two has been taken out, so
//! that no square under- or overflows.

use std::borrow::Cow;

use pulp::Simd;

use crate::cut::Cut;
use crate::pool::Pool;
use crate::skip::SkipReason;
use crate::sums::{dot, sum};

/// A matrix for each kernel position, row-major; the largest magnitude is in 1..2.
#[derive(Debug, Default)]
pub(crate) struct Planes {
    pub(crate) rows: usize,
    pub(crate) columns: usize,
    pub(crate) positions: usize,
    /// Position-major, then rows, then columns.
    pub(crate) values: Vec<f32>,
}

/// Elements as they were decoded, in the order of the planes.
#[derive(Debug)]
pub(crate) enum Values {
    Narrow(Vec<f32>),
    Wide(Vec<f64>),
}

impl Planes {
    /// The planes of the gathered elements, or why the tensor is not used.
    #[inline(always)]
    pub(crate) fn new(cut: &Cut, gathered: Values) -> Result<Self, SkipReason> {
        let values = match gathered {
            Values::Narrow(values) => narrow(values)?,
            Values::Wide(values) => wide(&values)?,
        };
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
    pub(crate) fn moments<S: Simd>(&self, simd: S, pool: &mut Pool) -> Moments {
        let (mut squares, mut fourths) = (pool.zeros(self.entries()), pool.zeros(self.entries()));
        for plane in self.iter() {
            for ((square_sum, fourth_sum), value) in squares.iter_mut().zip(&mut fourths).zip(plane) {
                let square = value * value;
                *square_sum += square;
                *fourth_sum += square * square;
            }
        }
        let positions = self.positions as f32;
        for values in [&mut squares, &mut fourths] {
            for value in values {
                *value /= positions;
            }
        }
        let mut row_sums = Vec::with_capacity(self.rows);
        for row in squares.chunks_exact(self.columns) {
            row_sums.push(sum(simd, row));
        }
        let mut column_sums = vec![0.0f32; self.columns];
        for row in squares.chunks_exact(self.columns) {
            for (sum, value) in column_sums.iter_mut().zip(row) {
                *sum += value;
            }
        }
        Moments { squares, fourths, row_sums, column_sums }
    }

    /// Brings each plane to root mean square 1; planes of zeros stay.
    #[inline(always)]
    pub(crate) fn normalise<S: Simd>(&mut self, simd: S) {
        let entries = self.entries();
        for plane in self.values.chunks_exact_mut(entries) {
            let mut energy = 0.0;
            for values in plane.chunks(1024) {
                energy += f64::from(dot(simd, values, values));
            }
            if energy > 0.0 {
                #[expect(clippy::cast_possible_truncation, reason = "rounding to f32 is meant")]
                let scale = (entries as f64 / energy).sqrt() as f32;
                for value in plane {
                    *value *= scale;
                }
            }
        }
    }

    /// For each orbit, the sum of its planes over the square root of their number.
    #[inline(always)]
    pub(crate) fn fields(&self, orbits: &[Vec<usize>], pool: &mut Pool) -> Fields<'_> {
        let plane =
            |position: usize| &self.values[position * self.entries()..(position + 1) * self.entries()];
        let mut fields = Vec::with_capacity(orbits.len());
        for orbit in orbits {
            let [only] = orbit[..] else {
                let mut sums = pool.take(self.entries());
                sums.extend_from_slice(plane(orbit[0]));
                for &position in &orbit[1..] {
                    for (sum, value) in sums.iter_mut().zip(plane(position)) {
                        *sum += value;
                    }
                }
                let scale = 1.0 / (orbit.len() as f32).sqrt();
                for sum in &mut sums {
                    *sum *= scale;
                }
                fields.push(Cow::Owned(sums));
                continue;
            };
            fields.push(Cow::Borrowed(plane(only)));
        }
        Fields(fields)
    }
}

/// A matrix for each orbit of kernel positions.
pub(crate) struct Fields<'a>(Vec<Cow<'a, [f32]>>);

impl Fields<'_> {
    pub(crate) fn iter(&self) -> impl Iterator<Item = &[f32]> {
        self.0.iter().map(|field| &**field)
    }

    /// Gives the memory back.
    pub(crate) fn give(self, pool: &mut Pool) {
        for field in self.0 {
            if let Cow::Owned(field) = field {
                pool.give(field);
            }
        }
    }
}

/// Brings the largest magnitude into 1..2 by a power of two.
#[inline(always)]
fn narrow(mut values: Vec<f32>) -> Result<Vec<f32>, SkipReason> {
    // Magnitudes are ordered as their bits are; all that is not finite lies above.
    let mut largest = 0;
    for value in &values {
        largest = largest.max(value.to_bits() & 0x7fff_ffff);
    }
    let (up, down) = match f32::from_bits(largest) {
        largest if !largest.is_finite() => return Err(SkipReason::NotFinite),
        0.0 => return Err(SkipReason::AllZero),
        largest => unit(largest.into()),
    };
    let scale = up * down;
    if (f64::from(f32::MIN_POSITIVE)..=f64::from(f32::MAX)).contains(&scale) {
        // A power of two that is a normal number: the product is rounded once, as below.
        #[expect(clippy::cast_possible_truncation, reason = "exact")]
        let scale = scale as f32;
        for value in &mut values {
            *value *= scale;
        }
    } else {
        #[expect(clippy::cast_possible_truncation, reason = "rounding to f32 is meant")]
        values.iter_mut().for_each(|value| *value = (f64::from(*value) * up * down) as f32);
    }
    Ok(values)
}

/// The same for numbers that may be too large or too small for `f32` before.
#[inline(always)]
fn wide(values: &[f64]) -> Result<Vec<f32>, SkipReason> {
    let finite = values.iter().fold(true, |finite, value| finite & value.is_finite());
    let largest = values.iter().fold(0.0f64, |largest, value| largest.max(value.abs()));
    if !finite {
        return Err(SkipReason::NotFinite);
    }
    if largest <= 0.0 {
        return Err(SkipReason::AllZero);
    }
    let (up, down) = unit(largest);
    #[expect(clippy::cast_possible_truncation, reason = "rounding to f32 is meant")]
    Ok(values.iter().map(|value| (value * up * down) as f32).collect())
}

/// Mean squares and mean fourth powers of the entries, and the sums of the former.
pub(crate) struct Moments {
    pub(crate) squares: Vec<f32>,
    pub(crate) fourths: Vec<f32>,
    pub(crate) row_sums: Vec<f32>,
    pub(crate) column_sums: Vec<f32>,
}

impl Moments {
    /// Gives the memory back.
    pub(crate) fn give(self, pool: &mut Pool) {
        pool.give(self.squares);
        pool.give(self.fourths);
    }
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
    use super::{narrow, unit, wide};

    #[test]
    fn narrow_and_wide_numbers_are_scaled_alike() {
        let f32s = |exponent: i32, values: &[f32]| -> Vec<f32> {
            #[expect(clippy::cast_possible_truncation, reason = "some are meant to underflow")]
            values.iter().map(|&value| (f64::from(value) * 2f64.powi(exponent)) as f32).collect()
        };
        for exponent in [-149, -148, -140, -127, -126, -60, 0, 3, 100, 124] {
            let values = f32s(exponent, &[1.0, -7.25, 3.000_001, 0.0, -1e-7, 1e-30]);
            let wider: Vec<f64> = values.iter().map(|&value| value.into()).collect();
            assert_eq!(narrow(values), wide(&wider), "2^{exponent}");
        }
    }

    #[test]
    fn powers_of_two_bring_any_magnitude_to_one() {
        for largest in [1.0, 1.5, 3.0, 1e-300, 5e-324, 1e-310, f64::MAX, f64::MIN_POSITIVE, 0.75] {
            let (up, down) = unit(largest);
            let scaled = largest * up * down;
            assert!((1.0..2.0).contains(&scaled), "{largest} became {scaled}");
        }
    }
}
