//! Owns where on the unit interval a channel lies, and the cosines over that interval. Channels are told apart by what
//! they are and not by their index, so that views built on these coordinates do not see a permutation.

use pulp::Simd;

use crate::features::logs;
use crate::pool::Pool;
use crate::sums::dot;

/// Steepness of the logistic function that stands for the normal distribution.
const STEEPNESS: f64 = 1.6;
/// How far above the energy-weighted mean the middle of the interval lies, in standard deviations, with the sign turned.
const SHIFT: f64 = 0.5;

/// The middle of each of `len` equal parts of the interval: channels by their index.
pub(crate) fn by_index(len: usize) -> Vec<f64> {
    (0..len).map(|i| (i as f64 + 0.5) / len as f64).collect()
}

/// Channels by the logarithm of their energy: its mean and standard deviation weighted by the energies, so that weak
/// channels, the first to be pruned, move nothing; then squeezed into the interval by a logistic function.
#[inline(always)]
pub(crate) fn by_energy(energies: &[f32]) -> Vec<f64> {
    let energies: Vec<f64> = energies.iter().map(|&energy| f64::from(energy)).collect();
    let total: f64 = energies.iter().fold(0.0, |sum, energy| sum + energy);
    let logs = logs(energies.iter().copied(), total / energies.len() as f64);
    let weighted = |value: &dyn Fn(f64) -> f64| {
        energies.iter().zip(&logs).fold(0.0, |sum, (energy, &log)| sum + energy * value(log)) / total
    };
    let mean = weighted(&|log| log);
    let deviation = weighted(&|log| (log - mean) * (log - mean)).sqrt();
    let deviation = if deviation > 1e-9 { deviation } else { 1e-9 };
    let logistic = |x: f64| 1.0 / (1.0 + libm::exp(-STEEPNESS * x));
    logs.iter().map(|log| logistic((log - mean) / deviation + SHIFT)).collect()
}

/// Channels by the rank of a value, equal values sharing their mean rank.
pub(crate) fn by_rank(values: &[f32]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..values.len()).collect();
    order.sort_by(|&a, &b| values[a].total_cmp(&values[b]).then(a.cmp(&b)));
    let mut coordinates = vec![0.0; values.len()];
    let mut first = 0;
    for equals in order.chunk_by(|&a, &b| values[a].total_cmp(&values[b]).is_eq()) {
        // The mean of ranks first..first + len, each counted from its middle.
        let mean = (first as f64 + equals.len() as f64 / 2.0) / values.len() as f64;
        equals.iter().for_each(|&channel| coordinates[channel] = mean);
        first += equals.len();
    }
    coordinates
}

/// [`cosines`] of q = 2..=count + 1. What networks of one kind have in common along such coordinates is the slow change from
/// one end to the other.
#[inline(always)]
pub(crate) fn faster_cosines(coordinates: &[f64], count: usize) -> Vec<Vec<f32>> {
    let mut rows = cosines(coordinates, count + 1);
    rows.remove(0);
    rows
}

/// `cos(pi q x)` for q = 1..=count at each coordinate, less the mean over the channels: one row for each q.
///
/// By Chebyshev's recurrence from the first cosine.
#[inline(always)]
pub(crate) fn cosines(coordinates: &[f64], count: usize) -> Vec<Vec<f32>> {
    let first: Vec<f64> = coordinates.iter().map(|x| libm::cos(std::f64::consts::PI * x)).collect();
    let (mut before, mut now) = (vec![1.0; first.len()], first.clone());
    let mut rows = Vec::with_capacity(count);
    for _ in 0..count {
        let mean = now.iter().fold(0.0, |sum, value| sum + value) / now.len() as f64;
        #[expect(clippy::cast_possible_truncation, reason = "rounding to f32 is meant")]
        rows.push(now.iter().map(|value| (value - mean) as f32).collect());
        let next =
            first.iter().zip(&now).zip(&before).map(|((c, now), before)| 2.0 * c * now - before).collect();
        before = std::mem::replace(&mut now, next);
    }
    rows
}

/// For each row function and plane column, the sum over rows of function times value: `functions x columns`, row-major.
///
/// Sums stay in registers; whatever the width of these, rows are added in ascending order, each product rounded first.
#[inline(always)]
pub(crate) fn over_rows<S: Simd>(
    simd: S,
    plane: &[f32],
    columns: usize,
    functions: &[Vec<f32>],
    pool: &mut Pool,
) -> Vec<f32> {
    let rows = plane.len() / columns;
    let mut sums = pool.zeros(functions.len() * columns);
    let lanes = S::F32_LANES;
    // The columns that do not fill a register, filled up with zeros.
    let (full, rest) = (columns - columns % lanes, columns % lanes);
    let mut edge = pool.zeros(if rest > 0 { rows * lanes } else { 0 });
    for (target, line) in edge.chunks_exact_mut(lanes).zip(plane.chunks_exact(columns)) {
        target[..rest].copy_from_slice(&line[full..]);
    }
    for (functions, targets) in functions.chunks(FUNCTIONS).zip(sums.chunks_mut(FUNCTIONS * columns)) {
        let mut by_row = vec![[0.0; FUNCTIONS]; rows];
        for (f, function) in functions.iter().enumerate() {
            for (weights, value) in by_row.iter_mut().zip(function) {
                weights[f] = *value;
            }
        }
        let mut start = 0;
        while start + 2 * lanes <= full {
            let tile = tile::<S, 2>(simd, plane, columns, start, &by_row);
            keep::<S, 2>(&tile, targets, columns, start, 2 * lanes);
            start += 2 * lanes;
        }
        if start < full {
            let tile = tile::<S, 1>(simd, plane, columns, start, &by_row);
            keep::<S, 1>(&tile, targets, columns, start, lanes);
        }
        if rest > 0 {
            let tile = tile::<S, 1>(simd, &edge, lanes, 0, &by_row);
            keep::<S, 1>(&tile, targets, columns, full, rest);
        }
    }
    pool.give(edge);
    sums
}

/// How many functions are summed in one go: 4 by 2 registers of sums fit any machine.
const FUNCTIONS: usize = 4;

/// The sums of `N` registers' columns from `start` on.
#[inline(always)]
fn tile<S: Simd, const N: usize>(
    simd: S,
    plane: &[f32],
    columns: usize,
    start: usize,
    by_row: &[[f32; FUNCTIONS]],
) -> [[S::f32s; N]; FUNCTIONS] {
    let mut sums = [[simd.splat_f32s(0.0); N]; FUNCTIONS];
    for (line, weights) in plane.chunks_exact(columns).zip(by_row) {
        let (values, _) = S::as_simd_f32s(&line[start..start + N * S::F32_LANES]);
        let Some(values) = values.first_chunk::<N>() else { continue };
        for (sums, &weight) in sums.iter_mut().zip(weights) {
            let weight = simd.splat_f32s(weight);
            for (sum, &value) in sums.iter_mut().zip(values) {
                *sum = simd.add_f32s(*sum, simd.mul_f32s(weight, value));
            }
        }
    }
    sums
}

/// Puts `count` columns of a tile's sums to their place.
#[inline(always)]
fn keep<S: Simd, const N: usize>(
    tile: &[[S::f32s; N]; FUNCTIONS],
    targets: &mut [f32],
    columns: usize,
    start: usize,
    count: usize,
) {
    for (target, sums) in targets.chunks_exact_mut(columns).zip(tile) {
        let sums: &[f32] = pulp::bytemuck::cast_slice(sums);
        target[start..start + count].copy_from_slice(&sums[..count]);
    }
}

/// From [`over_rows`], the sums over columns too: row functions x column functions, divided by half the square root of the
/// entries, so that values of root mean square 1 without order give sums of root mean square 1.
#[inline(always)]
pub(crate) fn over_columns<S: Simd>(
    simd: S,
    row_sums: &[f32],
    rows: usize,
    columns: usize,
    functions: &[Vec<f32>],
) -> Vec<f64> {
    let scale = (rows as f64 * columns as f64 / 4.0).sqrt();
    let mut waves = Vec::with_capacity(row_sums.len() / columns * functions.len());
    for sums in row_sums.chunks_exact(columns) {
        for function in functions {
            waves.push(f64::from(dot(simd, sums, function)) / scale);
        }
    }
    waves
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranks_are_shared_by_equals_and_fill_the_interval() {
        assert_eq!(by_rank(&[5.0, 1.0, 3.0, 3.0]), [0.875, 0.125, 0.5, 0.5]);
        assert_eq!(by_rank(&[2.0; 4]), [0.5; 4]);
        assert_eq!(by_index(4), [0.125, 0.375, 0.625, 0.875]);
    }

    #[test]
    fn cosines_are_centred_cosines() {
        let x = [0.1, 0.4, 0.45, 0.9];
        for (q, row) in (1u8..).zip(cosines(&x, 9)) {
            let plain = x.map(|x| (std::f64::consts::PI * f64::from(q) * x).cos());
            let mean = plain.iter().sum::<f64>() / 4.0;
            for (got, expected) in row.iter().zip(plain) {
                assert!((f64::from(*got) - (expected - mean)).abs() < 1e-6, "q {q}");
            }
        }
    }

    #[test]
    fn weak_channels_move_nothing() {
        let strong: Vec<f32> = (0..20u8).map(|i| 1.0 + f32::from(i % 7)).collect();
        let with_weak = [strong.clone(), vec![1e-4; 5]].concat();
        for (a, b) in by_energy(&strong).iter().zip(by_energy(&with_weak)) {
            assert!((a - b).abs() < 1e-3, "{a} {b}");
        }
    }

    /// `over_rows` at some SIMD width.
    struct Both<'a>(&'a [f32], usize, &'a [Vec<f32>]);

    impl pulp::WithSimd for Both<'_> {
        type Output = Vec<f32>;

        #[inline(always)]
        fn with_simd<S: Simd>(self, simd: S) -> Vec<f32> {
            over_rows(simd, self.0, self.1, self.2, &mut Pool::default())
        }
    }

    #[test]
    fn tiles_and_the_rest_give_the_plain_sums_in_the_same_order_at_any_width() {
        let value = |i: usize| ((i * 2_654_435_761) % 1000) as f32 / 500.0 - 1.0;
        for (rows, columns) in [(37, 71), (5, 3), (64, 64), (40, 16), (17, 33)] {
            let plane: Vec<f32> = (0..rows * columns).map(value).collect();
            let functions: Vec<Vec<f32>> =
                (0..11).map(|f| (0..rows).map(|r| value(f * 97 + r)).collect()).collect();
            for arch in [pulp::Arch::new(), pulp::Arch::Scalar] {
                let got = arch.dispatch(Both(&plane, columns, &functions));
                for (f, function) in functions.iter().enumerate() {
                    for column in 0..columns {
                        let expected = (0..rows)
                            .fold(0.0, |sum, row| sum + function[row] * plane[row * columns + column]);
                        assert_eq!(got[f * columns + column].to_bits(), expected.to_bits());
                    }
                }
            }
        }
    }
}
