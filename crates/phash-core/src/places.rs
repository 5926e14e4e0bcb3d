//! The view `weights`: the weights themselves, signs and all, summed over smooth waves along rows and columns. As good as the
//! cosine of the weights on noise, precision, pruning and merges; a matrix that lost some channels still looks alike.

use pulp::Simd;

use crate::coordinates::{by_index, cosines, over_columns, over_rows};
use crate::cut::Cut;
use crate::features::{Features, Statistic, transposed};
use crate::planes::Fields;
use crate::pool::Pool;

/// Waves along each axis.
const WAVES: usize = 16;

/// The features of the weights; `fields` are those of the normalised planes.
#[inline(always)]
pub(crate) fn features<S: Simd>(simd: S, cut: &Cut, fields: &Fields<'_>, pool: &mut Pool) -> Vec<Features> {
    let (rows, columns) = (cut.rows, cut.columns);
    let over = cosines(&by_index(rows), WAVES);
    let (mut values, mut other_way) = (Vec::new(), Vec::new());
    let across = if cut.dense { cosines(&by_index(columns), WAVES) } else { Vec::new() };
    for field in fields.iter() {
        let sums = over_rows(simd, field, columns, &over, pool);
        if cut.dense {
            let waves = over_columns(simd, &sums, rows, columns, &across);
            if cut.is_square() {
                other_way.extend(transposed(&waves, WAVES));
            }
            values.extend(waves);
        } else {
            // Each column of a thin matrix stands for itself.
            let scale = (rows as f64 / 2.0).sqrt();
            values.extend(sums.iter().map(|&sum| f64::from(sum) / scale));
        }
        pool.give(sums);
    }
    let thin_columns = if cut.dense { 0 } else { columns as u64 };
    let sizes = |octave| [cut.orbits.len() as u64, octave, thin_columns];
    Features::by_octave(Statistic::Places, cut, sizes, &values, cut.is_square().then_some(&*other_way))
}
