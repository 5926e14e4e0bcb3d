//! The view `weights`: the weights themselves, signs and all, summed over smooth waves along rows and columns. As good as the
//! cosine of the weights on noise, precision, pruning and merges; a matrix that lost some channels still looks alike.

use crate::coordinates::{by_index, cosines, over_columns, over_rows};
use crate::cut::Cut;
use crate::features::{Features, Statistic, octaves, transposed};
use crate::planes::Planes;

/// Waves along each axis.
const WAVES: usize = 16;

/// The features of the weights; `planes` are normalised.
#[inline(always)]
pub(crate) fn features(cut: &Cut, planes: &Planes) -> Vec<Features> {
    let (rows, columns) = (cut.rows, cut.columns);
    let over = cosines(&by_index(rows), WAVES);
    let square = cut.dense && cut.row_len == cut.column_len;
    let (mut values, mut other_way) = (Vec::new(), Vec::new());
    let across = if cut.dense { cosines(&by_index(columns), WAVES) } else { Vec::new() };
    for field in planes.gathered(&cut.orbits) {
        let sums = over_rows(&field, columns, &over);
        if cut.dense {
            let waves = over_columns(&sums, rows, columns, &across);
            if square {
                other_way.extend(transposed(&waves, WAVES));
            }
            values.extend(waves);
        } else {
            // Each column of a thin matrix stands for itself.
            let scale = (rows as f64 / 2.0).sqrt();
            values.extend(sums.iter().map(|&sum| f64::from(sum) / scale));
        }
    }
    let thin_columns = if cut.dense { 0 } else { columns as u64 };
    octaves(cut.row_len, cut.column_len)
        .into_iter()
        .map(|(octave, share)| {
            let sizes = [cut.orbits.len() as u64, octave, thin_columns];
            let features = Features::new(Statistic::Places, sizes, &values, share);
            if square { features.with_transposed(&other_way, share) } else { features }
        })
        .collect()
}
