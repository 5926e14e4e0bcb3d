//! Section 5: coordinates, waves, and the sums of the views `weights`, `order` and `orbit`.

use std::f64::consts::PI;

use super::planes::{Matrix, Plane, cubes, sum_of};
use super::real::{Real, ascending, dot, lanes, real};

/// Waves `from` to `to` over channels of these coordinates.
fn waves<T: Real>(coordinates: &[f64], from: usize, to: usize) -> Vec<Vec<T>> {
    let n = coordinates.len();
    let first: Vec<f64> = coordinates.iter().map(|x| libm::cos(PI * x)).collect();
    let mut before = vec![1.0; n];
    let mut wave = first.clone();
    let mut result = Vec::new();
    for q in 1..=to {
        if q >= from {
            let mean = ascending(&wave) / real(n);
            result.push(wave.iter().map(|t| T::of(t - mean)).collect());
        }
        let next = (0..n).map(|i| (2.0 * first[i]) * wave[i] - before[i]).collect();
        before = wave;
        wave = next;
    }
    result
}

/// T: sums over the rows under each row wave.
fn over_rows<T: Real>(field: &Plane<T>, row_waves: &[Vec<T>]) -> Plane<T> {
    let mut result = Vec::new();
    for wave in row_waves {
        let mut total = vec![T::of(0.0); field[0].len()];
        for r in 0..field.len() {
            for c in 0..total.len() {
                total[c] = total[c] + wave[r] * field[r][c];
            }
        }
        result.push(total);
    }
    result
}

/// G of one field, row-major.
fn sums<T: Real>(field: &Plane<T>, row_waves: &[Vec<T>], column_waves: &[Vec<T>]) -> Vec<f64> {
    let scale = (real(field.len() * field[0].len()) / 4.0).sqrt();
    let mut g = Vec::new();
    for t in over_rows(field, row_waves) {
        for wave in column_waves {
            g.push(dot(&t, wave).wide() / scale);
        }
    }
    g
}

/// Features, and how many fields they are of.
pub(crate) struct Sums {
    pub(crate) fields: usize,
    pub(crate) features: Vec<f64>,
}

pub(crate) fn weights<T: Real>(matrix: &Matrix<T>, dense: bool) -> Sums {
    let by_index = |n: usize| -> Vec<f64> { (0..n).map(|i| (real(i) + 0.5) / real(n)).collect() };
    let fields = matrix.orbits(&matrix.normalised);
    let row_waves = waves(&by_index(matrix.rows), 1, 16);
    let mut features = Vec::new();
    for field in &fields {
        if dense {
            features.extend(sums(field, &row_waves, &waves(&by_index(matrix.columns), 1, 16)));
        } else {
            let scale = (real(matrix.rows) / 2.0).sqrt();
            features.extend(over_rows(field, &row_waves).concat().iter().map(|t| t.wide() / scale));
        }
    }
    Sums { fields: fields.len(), features }
}

fn by_energy<T: Real>(sums: &[T]) -> Vec<f64> {
    let e: Vec<f64> = sums.iter().map(|e| e.wide()).collect();
    let n = e.len();
    let total = ascending(&e);
    let l = super::energies::logs(&e, total / real(n));
    let weighted: Vec<f64> = (0..n).map(|i| e[i] * l[i]).collect();
    let mean = ascending(&weighted) / total;
    let squares: Vec<f64> = (0..n).map(|i| e[i] * ((l[i] - mean) * (l[i] - mean))).collect();
    let mut deviation = (ascending(&squares) / total).sqrt();
    if deviation < 1e-9 {
        deviation = 1e-9;
    }
    l.iter().map(|l| 1.0 / (1.0 + libm::exp(-1.6 * ((l - mean) / deviation + 0.5)))).collect()
}

/// Of a whole matrix.
pub(crate) fn order<T: Real>(matrix: &Matrix<T>) -> Sums {
    let (u, v) = matrix.equilibrate();
    let mut fields = matrix.orbits(&matrix.normalised);
    fields.push(cubes(&matrix.equilibrated(&u, &v)));
    let row_waves = waves(&by_energy(&matrix.row_sum), 2, 9);
    let column_waves = waves(&by_energy(&matrix.column_sum), 2, 9);
    let features = fields.iter().flat_map(|field| sums(field, &row_waves, &column_waves)).collect();
    Sums { fields: fields.len(), features }
}

fn by_rank<T: Real>(values: &[T]) -> Vec<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_by(|a, b| a.partial_cmp(b).unwrap());
    let rank = |value: &T| {
        let smaller = sorted.partition_point(|other| other < value);
        let equal = sorted.partition_point(|other| other <= value) - smaller;
        (real(smaller) + real(equal) / 2.0) / real(values.len())
    };
    values.iter().map(rank).collect()
}

/// The sum over the rows of `factor[r] * plane[r][c]`, for each column.
fn columns_under<T: Real>(factor: &[T], plane: &Plane<T>) -> Vec<T> {
    over_rows(plane, &[factor.to_vec()]).remove(0)
}

/// Of a whole matrix.
pub(crate) fn orbit<T: Real>(matrix: &Matrix<T>) -> Sums {
    let (u, v) = matrix.equilibrate();
    let equilibrated = matrix.equilibrated(&u, &v);
    let all: Vec<&Plane<T>> = equilibrated.iter().collect();
    let m = sum_of(&all);
    let row_sums: Vec<T> = m.iter().map(|row| lanes(row)).collect();
    let column_sums = columns_under(&vec![T::of(1.0); matrix.rows], &m);
    let magnitudes = |x: Vec<T>| -> Vec<T> { x.into_iter().map(T::magnitude).collect() };
    let near_columns = magnitudes(column_sums.clone());
    let near_rows = magnitudes(row_sums.clone());
    let far_rows = magnitudes(m.iter().map(|row| dot(row, &column_sums)).collect());
    let far_columns = magnitudes(columns_under(&row_sums, &m));
    let squared = |x: &[T]| -> Vec<T> { x.iter().map(|&x| x * x).collect() };
    let (uu, vv) = (squared(&u), squared(&v));
    let tails_rows: Vec<T> = (0..matrix.rows).map(|r| dot(&matrix.f[r], &vv) * uu[r]).collect();
    let tails_columns: Vec<T> =
        columns_under(&uu, &matrix.f).iter().zip(&vv).map(|(&sum, &vv)| sum * vv).collect();

    let waves_of = |values: &Vec<T>| waves::<T>(&by_rank(values), 2, 6);
    let (rows_near, rows_far, rows_tails) =
        (waves_of(&near_rows), waves_of(&far_rows), waves_of(&tails_rows));
    let (columns_near, columns_far, columns_tails) =
        (waves_of(&near_columns), waves_of(&far_columns), waves_of(&tails_columns));
    let pairs = [
        (&rows_far, &columns_near),
        (&rows_near, &columns_far),
        (&rows_tails, &columns_near),
        (&rows_near, &columns_tails),
        (&rows_tails, &columns_tails),
    ];
    let fields = matrix.orbits(&equilibrated);
    let mut features = Vec::new();
    for field in &fields {
        for (row_waves, column_waves) in pairs {
            features.extend(sums(field, row_waves, column_waves));
        }
    }
    Sums { fields: fields.len(), features }
}
