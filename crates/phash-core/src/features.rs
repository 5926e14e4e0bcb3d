//! Owns what makes statistics comparable: logarithms with a floor, standardisation by median and MAD, clipping, rounding to
//! integers, and the [`Key`] that says which numbers of two models stand for the same. What must hold: everything after
//! this module is integer arithmetic, hence exact in any order.

use crate::cut::Cut;

/// Features are clipped at this many standard deviations.
const CLIP: f64 = 3.0;
/// Steps a standard deviation when features are rounded to integers.
const STEPS: f64 = 256.0;
/// Statistics under this share of their mean count as this share: empty channels stay finite.
const FLOOR: f64 = 1.0 / 1_048_576.0;
/// The standard deviation of a normal distribution is this many times its median absolute deviation.
const MAD_TO_SD: f64 = 1.4826;

/// What a list of features is about. Lists of equal keys have equal lengths, are added up, and are projected alike.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Key {
    pub(crate) statistic: Statistic,
    pub(crate) sizes: [u64; 3],
}

/// What was measured; the numbers are part of the specification.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Statistic {
    /// High-passed log energies of channels; sizes: axis length.
    ChannelEnergy = 1,
    /// Log block means of equilibrated squares; sizes: grid rows and columns.
    BlockSquares = 2,
    /// Log block means of equilibrated fourth powers; sizes: grid rows and columns.
    BlockFourths = 3,
    /// Sums of weights times cosines of the channels' places; sizes: kernel orbits, octave, columns of a thin matrix.
    Places = 4,
    /// Sums of weights times cosines of the channels' energies; sizes: fields, octave.
    Energies = 5,
    /// Sums of equilibrated weights times cosines of the channels' ranks; sizes: rows, columns, fields.
    Ranks = 6,
}

/// A list of features of one tensor.
#[derive(Clone, Debug)]
pub(crate) struct Features {
    pub(crate) key: Key,
    pub(crate) values: Vec<i16>,
    /// How many of the values are free: half of them where a square matrix adds its transpose.
    pub(crate) free: usize,
}

impl Features {
    /// Rounds `values`, which have a standard deviation of about 1, after clipping. `transposed` holds those of the transposed
    /// matrix if it is a square one, where nothing tells rows from columns: both are added up.
    #[inline(always)]
    pub(crate) fn new(
        statistic: Statistic,
        sizes: [u64; 3],
        values: &[f64],
        transposed: Option<&[f64]>,
    ) -> Self {
        Self::share(statistic, sizes, values, transposed, 1.0)
    }

    /// The same for the octave of a matrix's size and for the next one, in shares: a matrix that lost a few channels keeps
    /// most of its features' keys. `sizes` makes those of a key from its octave.
    #[inline(always)]
    pub(crate) fn by_octave(
        statistic: Statistic,
        cut: &Cut,
        sizes: impl Fn(u64) -> [u64; 3],
        values: &[f64],
        transposed: Option<&[f64]>,
    ) -> Vec<Self> {
        let of_octave = |(octave, share)| Self::share(statistic, sizes(octave), values, transposed, share);
        octaves(cut.row_len, cut.column_len).into_iter().map(of_octave).collect()
    }

    /// A share of the features, at most 1.
    #[inline(always)]
    fn share(
        statistic: Statistic,
        sizes: [u64; 3],
        values: &[f64],
        transposed: Option<&[f64]>,
        share: f64,
    ) -> Self {
        let mut rounded: Vec<i16> = values.iter().map(|&value| round(value, share)).collect();
        let mut free = rounded.len();
        if let Some(transposed) = transposed {
            rounded.iter_mut().zip(transposed).for_each(|(value, &other)| *value += round(other, share));
            free = free.div_ceil(2);
        }
        Self { key: Key { statistic, sizes }, values: rounded, free }
    }
}

/// Natural logarithms of `values`, each taken as at least 2^-20 times `mean`. `mean` must be positive.
pub(crate) fn logs(values: impl Iterator<Item = f64>, mean: f64) -> Vec<f64> {
    let least = mean * FLOOR;
    values.map(|value| libm::log(if value > least { value } else { least })).collect()
}

/// Standardises by median and MAD. Empty if the MAD is zero, as then the values carry no information, or if a value is not
/// finite.
#[inline(always)]
pub(crate) fn standardise(values: &[f64]) -> Vec<f64> {
    if !values.iter().all(|value| value.is_finite()) {
        return Vec::new();
    }
    let mut sorted = values.to_vec();
    let centre = median(&mut sorted);
    sorted.iter_mut().zip(values).for_each(|(deviation, value)| *deviation = (value - centre).abs());
    let spread = MAD_TO_SD * median(&mut sorted);
    if spread > 0.0 { values.iter().map(|value| (value - centre) / spread).collect() } else { Vec::new() }
}

/// Clips at 3, takes `share` of it, and rounds to 1/256, ties to even. Not a number gives 0.
#[inline(always)]
#[expect(clippy::cast_possible_truncation, reason = "clipped to +-768 before the cast")]
fn round(value: f64, share: f64) -> i16 {
    (value.clamp(-CLIP, CLIP) * share * STEPS).round_ties_even() as i16
}

/// The median; the mean of the two middle values of an even number. Reorders `values`; 0 if there are none.
fn median(values: &mut [f64]) -> f64 {
    let middle = values.len() / 2;
    if values.is_empty() {
        return 0.0;
    }
    let odd = values.len() % 2 == 1;
    let (below, &mut upper, _) = values.select_nth_unstable_by(middle, f64::total_cmp);
    if odd {
        return upper;
    }
    let lower = below.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    (lower + upper) / 2.0
}

/// The transpose of a row-major grid with `columns` columns. Empty stays empty.
pub(crate) fn transposed<T: Copy>(grid: &[T], columns: usize) -> Vec<T> {
    (0..columns).flat_map(|column| grid.iter().skip(column).step_by(columns).copied()).collect()
}

/// The size of a matrix in octaves of the square root of its entries, and the shares of its features that go to that octave
/// and to the next.
fn octaves(rows: usize, columns: usize) -> [(u64, f64); 2] {
    let size = libm::log2(rows as f64 * columns as f64) / 2.0;
    let octave = size.floor();
    let share = size - octave;
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "0..=64")]
    let octave = octave as u64;
    [(octave, 1.0 - share), (octave + 1, share)]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rounded(values: &[f64]) -> Vec<i16> {
        Features::new(Statistic::ChannelEnergy, [0; 3], &standardise(values), None).values
    }

    #[test]
    fn features_are_centred_scaled_clipped_and_rounded() {
        // Median 3, MAD 1: one unit is 256 / 1.4826 = 172.67 steps.
        assert_eq!(rounded(&[1.0, 2.0, 3.0, 4.0, 100.0]), [-345, -173, 0, 173, 768]);
        // An even number: median 2.5, deviations 1.5 .5 .5 1.5, MAD 1.
        assert_eq!(rounded(&[1.0, 2.0, 3.0, 4.0]), [-259, -86, 86, 259]);
        assert_eq!(rounded(&[-1e9, 0.0, 1.0, 2.0, 3.0])[0], -768);
    }

    #[test]
    fn rounding_takes_ties_to_even() {
        let ties = [0.5, 1.5, 2.5, -0.5, -1.5].map(|steps| round(steps / STEPS, 1.0));
        assert_eq!(ties, [0, 2, 2, 0, -2]);
        assert_eq!((round(100.0, 0.5), round(f64::NAN, 1.0)), (384, 0));
    }

    #[test]
    fn values_without_spread_give_no_features() {
        assert!(standardise(&[5.0; 9]).is_empty());
        assert!(standardise(&[]).is_empty());
        assert!(standardise(&[5.0, 5.0, 5.0, 7.0]).is_empty());
        assert!(standardise(&[1.0, 2.0, 3.0, f64::NAN]).is_empty());
        assert!(standardise(&[1.0, 2.0, 3.0, f64::NEG_INFINITY]).is_empty());
    }

    #[test]
    fn logs_have_a_floor_relative_to_the_mean() {
        let values = logs([0.0, 1.0, 4.0].into_iter(), 4.0);
        assert_eq!(values, [libm::log(4.0 / 1_048_576.0), 0.0, libm::log(4.0)]);
    }

    #[test]
    fn transposing_twice_gives_the_grid_back_and_squares_add_both() {
        let grid = [1, 2, 3, 4, 5, 6];
        assert_eq!(transposed(&grid, 3), [1, 4, 2, 5, 3, 6]);
        assert_eq!(transposed(&transposed(&grid, 3), 2), grid);
        let both = Features::new(Statistic::Ranks, [0; 3], &[1.0, 2.0], Some(&[1.0, -1.0]));
        assert_eq!((both.values, both.free), (vec![512, 256], 1));
    }

    #[test]
    fn octaves_move_slowly_with_the_size() {
        assert_eq!(octaves(64, 64), [(6, 1.0), (7, 0.0)]);
        let [(octave, share), (next, rest)] = octaves(58, 58);
        assert_eq!((octave, next, share + rest), (5, 6, 1.0));
        assert!((rest - 0.858).abs() < 1e-3, "{rest}");
    }
}
