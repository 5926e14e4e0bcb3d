//! Section 6, first half: the lists of integers that a tensor gives in each view, with their keys.

use super::VIEWS;
use super::cut::Cut;
use super::energies::{blocks, energy};
use super::planes::Matrix;
use super::real::{Real, real};
use super::waves::{Sums, orbit, order, weights};

/// Statistic and three sizes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Key {
    pub(crate) statistic: u64,
    pub(crate) sizes: [u64; 3],
}

/// Features on their way to a code.
#[derive(Clone, Debug)]
pub(crate) struct List {
    pub(crate) key: Key,
    /// Before clamping; those of the transposed matrix apart, and only of a square one.
    pub(crate) features: Vec<f64>,
    pub(crate) transposed: Option<Vec<f64>>,
    pub(crate) share: f64,
}

impl List {
    /// The integers; of a square matrix the sum of both.
    pub(crate) fn integers(&self) -> Vec<i64> {
        #[expect(clippy::cast_possible_truncation, reason = "between -768 and 768")]
        let integer = |x: f64| ((x.clamp(-3.0, 3.0) * self.share) * 256.0).round_ties_even() as i64;
        let mut integers: Vec<i64> = self.features.iter().map(|&x| integer(x)).collect();
        for (sum, &x) in integers.iter_mut().zip(self.transposed.iter().flatten()) {
            *sum += integer(x);
        }
        integers
    }
}

/// What a tensor gives.
pub(crate) struct Lists {
    /// In the order of the views.
    pub(crate) views: [Vec<List>; VIEWS],
    /// The lengths of the axes that are cut into channels, whether or not they gave features.
    pub(crate) axes: Vec<usize>,
    /// `R*` and `C*`.
    pub(crate) lengths: [usize; 2],
}

/// The lists of a cut tensor, computed in `T`.
pub(crate) fn lists<T: Real>(cut: &Cut) -> Lists {
    let square = cut.dense && cut.all_rows == cut.all_columns;
    let mut lists =
        Lists { views: Default::default(), axes: Vec::new(), lengths: [cut.all_rows, cut.all_columns] };
    let sample = Matrix::<T>::new(cut, &cut.sample);

    let mut axes = vec![(cut.all_rows, &sample.row_sum)];
    if cut.dense {
        axes.push((cut.all_columns, &sample.column_sum));
    }
    for (length, sums) in axes {
        if length >= 16 {
            lists.axes.push(length);
            if let Some(features) = energy(sums) {
                let key = Key { statistic: 1, sizes: [size(length), 0, 0] };
                lists.views[0].push(List { key, features, transposed: None, share: 1.0 });
            }
        }
    }
    for grid in blocks(&sample, cut.dense) {
        let key = Key { statistic: grid.statistic, sizes: [size(grid.rows), size(grid.columns), 0] };
        let transposed = square.then(|| exchanged(&grid.features, grid.rows));
        lists.views[1].push(List { key, features: grid.features, transposed, share: 1.0 });
    }
    let last = if cut.dense { 0 } else { sample.columns };
    lists.views[2] = octaves(cut, weights(&sample, cut.dense), square.then_some(16), 4, last);
    if let Some(places) = &cut.whole {
        let whole = Matrix::<T>::new(cut, places);
        lists.views[3] = octaves(cut, order(&whole), square.then_some(8), 5, 0);
        let Sums { fields, features } = orbit(&whole);
        let transposed = square.then(|| {
            let mut result = Vec::new();
            for field in features.chunks(5 * 25) {
                for pair in [1, 0, 3, 2, 4] {
                    result.extend(exchanged(&field[pair * 25..(pair + 1) * 25], 5));
                }
            }
            result
        });
        let key = Key { statistic: 6, sizes: [size(cut.all_rows), size(cut.all_columns), size(fields)] };
        lists.views[4].push(List { key, features, transposed, share: 1.0 });
    }
    lists
}

fn size(n: usize) -> u64 {
    u64::try_from(n).unwrap()
}

/// A square list with i and j exchanged.
fn exchanged(features: &[f64], n: usize) -> Vec<f64> {
    assert_eq!(features.len(), n * n);
    (0..n * n).map(|at| features[(at % n) * n + at / n]).collect()
}

/// The features twice, for both octaves of the matrix's size. `square`: the number of waves, if i and j are to be exchanged.
fn octaves(cut: &Cut, sums: Sums, square: Option<usize>, statistic: u64, last: usize) -> Vec<List> {
    let z = libm::log2(real(cut.all_rows * cut.all_columns)) / 2.0;
    let transposed = square
        .map(|waves| sums.features.chunks(waves * waves).flat_map(|field| exchanged(field, waves)).collect());
    let list = |octave: f64, share: f64| {
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "between 5 and 32")]
        let key = Key { statistic, sizes: [size(sums.fields), octave as u64, size(last)] };
        List { key, features: sums.features.clone(), transposed: transposed.clone(), share }
    };
    vec![list(z.floor(), 1.0 - (z - z.floor())), list(z.floor() + 1.0, z - z.floor())]
}
