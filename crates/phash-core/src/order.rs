//! The views that do not see a permutation of channels, of dense matrices. `order` tells channels apart by their energies,
//! and forgives noise and removed channels; `orbit` by ranks that rescaling leaves alone too.
//!
//! What must hold: every coordinate is blind to the signs of rows and columns while every field is not, so that sums are
//! as often positive as negative whatever trained networks have in common.

use pulp::Simd;

use crate::coordinates::{by_energy, by_rank, faster_cosines, over_columns, over_rows};
use crate::cut::Cut;
use crate::equilibrate::Scales;
use crate::features::{Features, Statistic, transposed};
use crate::planes::{Fields, Moments, Planes};
use crate::pool::Pool;
use crate::sums::dot;

/// Waves along each axis of view `order`, and of view `orbit`; the first one is left out.
const ORDER_WAVES: usize = 8;
const ORBIT_WAVES: usize = 5;
/// Magnitudes of equilibrated weights are clipped here before they are raised to the third power.
const CUBE_CLIP: f32 = 3.0;
/// The root mean square of x^3 - 3 x over normal numbers: the third Hermite polynomial.
const CUBE_SCALE: f32 = 2.449_489_8;

/// The equilibrated planes, normalised, and the field of their cubes.
pub(crate) struct Equilibrated {
    planes: Planes,
    cubes: Vec<f32>,
}

impl Equilibrated {
    /// Scales `planes` by the square roots of `scales`.
    #[inline(always)]
    pub(crate) fn new<S: Simd>(simd: S, planes: &Planes, scales: &Scales, pool: &mut Pool) -> Self {
        let (rows, columns): (Vec<f32>, Vec<f32>) = (
            scales.rows.iter().map(|scale| scale.sqrt()).collect(),
            scales.columns.iter().map(|scale| scale.sqrt()).collect(),
        );
        let mut values = pool.take(planes.values.len());
        for plane in planes.iter() {
            for (line, row) in plane.chunks_exact(planes.columns).zip(&rows) {
                values.extend_from_slice(line);
                let start = values.len() - line.len();
                for (value, column) in values[start..].iter_mut().zip(&columns) {
                    *value = *value * row * column;
                }
            }
        }
        let mut planes = Planes { values, ..*planes };
        planes.normalise(simd);
        let mut cubes = pool.zeros(planes.entries());
        for plane in planes.iter() {
            for (cube, value) in cubes.iter_mut().zip(plane) {
                let value = value.clamp(-CUBE_CLIP, CUBE_CLIP);
                *cube += (value * value * value - 3.0 * value) / CUBE_SCALE;
            }
        }
        let scale = 1.0 / (planes.positions as f32).sqrt();
        for cube in &mut cubes {
            *cube *= scale;
        }
        Self { planes, cubes }
    }

    /// Gives the memory back.
    pub(crate) fn give(self, pool: &mut Pool) {
        pool.give(self.planes.values);
        pool.give(self.cubes);
    }
}

/// The features of view `order`; `fields` are those of the normalised planes.
#[inline(always)]
pub(crate) fn order<S: Simd>(
    simd: S,
    cut: &Cut,
    fields: &Fields<'_>,
    moments: &Moments,
    equilibrated: &Equilibrated,
    pool: &mut Pool,
) -> Vec<Features> {
    let down = faster_cosines(&by_energy(&moments.row_sums), ORDER_WAVES);
    let across = faster_cosines(&by_energy(&moments.column_sums), ORDER_WAVES);
    let (mut values, mut other_way) = (Vec::new(), Vec::new());
    for field in fields.iter().chain([&*equilibrated.cubes]) {
        let sums = over_rows(simd, field, cut.columns, &down, pool);
        let waves = over_columns(simd, &sums, cut.rows, cut.columns, &across);
        pool.give(sums);
        if cut.is_square() {
            other_way.extend(transposed(&waves, ORDER_WAVES));
        }
        values.extend(waves);
    }
    let sizes = |octave| [cut.orbits.len() as u64 + 1, octave, 0];
    Features::by_octave(Statistic::Energies, cut, sizes, &values, cut.is_square().then_some(&*other_way))
}

/// The features of view `orbit`.
#[inline(always)]
pub(crate) fn orbit<S: Simd>(
    simd: S,
    cut: &Cut,
    moments: &Moments,
    scales: &Scales,
    equilibrated: &Equilibrated,
    pool: &mut Pool,
) -> Features {
    let (rows, columns) = (cut.rows, cut.columns);
    let all = equilibrated.planes.fields(&[(0..cut.positions).collect()], pool);
    let whole = all.iter().next().unwrap_or_default();
    let column_totals = times_rows(whole, columns, &vec![1.0; rows]);
    let row_totals = times_columns(simd, whole, columns, &vec![1.0; columns]);
    // Where each channel lies: how strongly it is tied to the totals of the other side, directly and once removed, and how
    // heavy its tails are.
    let magnitudes = |values: Vec<f32>| by_rank(&values.iter().map(|value| value.abs()).collect::<Vec<_>>());
    let row_far = magnitudes(times_columns(simd, whole, columns, &column_totals));
    let column_far = magnitudes(times_rows(whole, columns, &row_totals));
    let (row_near, column_near) = (magnitudes(row_totals), magnitudes(column_totals));
    let (row_tails, column_tails) = tails(simd, moments, scales);
    let wave = |coordinates: &[f64]| faster_cosines(coordinates, ORBIT_WAVES);
    let down = [wave(&row_far), wave(&row_near), wave(&by_rank(&row_tails))];
    let across = [wave(&column_near), wave(&column_far), wave(&by_rank(&column_tails))];
    let all_down = down.concat();
    all.give(pool);
    let fields = equilibrated.planes.fields(&cut.orbits, pool);
    let (mut values, mut other_way) = (Vec::new(), Vec::new());
    for field in fields.iter() {
        let sums = over_rows(simd, field, columns, &all_down, pool);
        let mut waves = [const { Vec::new() }; PAIRS.len()];
        for (waves, (row, column)) in waves.iter_mut().zip(PAIRS) {
            let of_row = &sums[row * ORBIT_WAVES * columns..(row + 1) * ORBIT_WAVES * columns];
            *waves = over_columns(simd, of_row, rows, columns, &across[column]);
        }
        if cut.is_square() {
            TRANSPOSED.iter().for_each(|&pair| other_way.extend(transposed(&waves[pair], ORBIT_WAVES)));
        }
        values.extend(waves.concat());
        pool.give(sums);
    }
    fields.give(pool);
    let sizes = [cut.row_len as u64, cut.column_len as u64, cut.orbits.len() as u64];
    Features::new(Statistic::Ranks, sizes, &values, cut.is_square().then_some(&*other_way))
}

/// Which row coordinate goes with which column coordinate: (far, near), (near, far), (tails, near), (near, tails), (tails, tails).
const PAIRS: [(usize, usize); 5] = [(0, 0), (1, 1), (2, 0), (1, 2), (2, 2)];
/// Where each pair is found in the transposed matrix.
const TRANSPOSED: [usize; 5] = [1, 0, 3, 2, 4];

/// The sums over rows of the matrix times a weight for each row.
#[inline(always)]
fn times_rows(matrix: &[f32], columns: usize, weights: &[f32]) -> Vec<f32> {
    let mut sums = vec![0.0f32; columns];
    for (line, weight) in matrix.chunks_exact(columns).zip(weights) {
        for (sum, value) in sums.iter_mut().zip(line) {
            *sum += weight * value;
        }
    }
    sums
}

/// The sums over columns of the matrix times a weight for each column.
#[inline(always)]
fn times_columns<S: Simd>(simd: S, matrix: &[f32], columns: usize, weights: &[f32]) -> Vec<f32> {
    let mut sums = Vec::with_capacity(matrix.len() / columns);
    for line in matrix.chunks_exact(columns) {
        sums.push(dot(simd, line, weights));
    }
    sums
}

/// The fourth moments of equilibrated rows and columns.
#[inline(always)]
fn tails<S: Simd>(simd: S, moments: &Moments, scales: &Scales) -> (Vec<f32>, Vec<f32>) {
    let columns = scales.columns.len();
    let squared = |scales: &[f32]| scales.iter().map(|scale| scale * scale).collect::<Vec<_>>();
    let (of_rows, of_columns) = (squared(&scales.rows), squared(&scales.columns));
    let mut rows = times_columns(simd, &moments.fourths, columns, &of_columns);
    rows.iter_mut().zip(&of_rows).for_each(|(sum, scale)| *sum *= scale);
    let mut columns = times_rows(&moments.fourths, columns, &of_rows);
    columns.iter_mut().zip(&of_columns).for_each(|(sum, scale)| *sum *= scale);
    (rows, columns)
}
