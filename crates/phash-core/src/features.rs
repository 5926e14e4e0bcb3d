//! Owns what makes statistics comparable: logarithms with a floor, standardisation by median and MAD, clipping, and
//! rounding to integers. What must hold: everything after this module is integer arithmetic, hence exact in any order.

/// Standardised features are clipped at this many standard deviations.
const CLIP: f64 = 3.0;
/// Steps a standard deviation when features are rounded to integers.
const STEPS: f64 = 256.0;
/// Statistics under this share of their mean count as this share: empty channels stay finite.
const FLOOR: f64 = 1.0 / 1_048_576.0;
/// The standard deviation of a normal distribution is this many times its median absolute deviation.
const MAD_TO_SD: f64 = 1.4826;

/// Natural logarithms of `values`, each taken as at least [`FLOOR`] times `mean`. `mean` must be positive.
pub(crate) fn logs(values: impl Iterator<Item = f64>, mean: f64) -> Vec<f64> {
    let least = mean * FLOOR;
    values.map(|value| libm::log(if value > least { value } else { least })).collect()
}

/// Standardises by median and MAD, clips at 3, and rounds to 1/256 (ties to even). Empty if the MAD is zero, as then the
/// values carry no information, or if a value is not finite, as of weights so small that floors vanish.
#[inline(always)]
pub(crate) fn standardise(values: &[f64]) -> Vec<i16> {
    if !values.iter().all(|value| value.is_finite()) {
        return Vec::new();
    }
    let mut sorted = values.to_vec();
    let centre = median(&mut sorted);
    sorted.iter_mut().zip(values).for_each(|(deviation, value)| *deviation = (value - centre).abs());
    let spread = MAD_TO_SD * median(&mut sorted);
    if spread > 0.0 {
        values.iter().map(|value| round((value - centre) / spread)).collect()
    } else {
        Vec::new()
    }
}

#[inline(always)]
#[expect(clippy::cast_possible_truncation, reason = "clipped to +-768 before the cast")]
fn round(value: f64) -> i16 {
    (value.clamp(-CLIP, CLIP) * STEPS).round_ties_even() as i16
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn features_are_centred_scaled_clipped_and_rounded() {
        // Median 3, MAD 1: one unit is 256 / 1.4826 = 172.67 steps.
        assert_eq!(standardise(&[1.0, 2.0, 3.0, 4.0, 100.0]), [-345, -173, 0, 173, 768]);
        // An even number: median 2.5, deviations 1.5 .5 .5 1.5, MAD 1.
        assert_eq!(standardise(&[1.0, 2.0, 3.0, 4.0]), [-259, -86, 86, 259]);
        assert_eq!(standardise(&[-1e9, 0.0, 1.0, 2.0, 3.0])[0], -768);
    }

    #[test]
    fn rounding_takes_ties_to_even() {
        assert_eq!([0.5, 1.5, 2.5, -0.5, -1.5].map(|steps| round(steps / STEPS)), [0, 2, 2, 0, -2]);
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
}
