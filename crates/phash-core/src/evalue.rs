//! Owns the statistics of a match: how probable it is that unrelated codes come so close, and the E-value, the expected
//! number of unrelated models in a library at or under a distance (docs/hashing.md, section 8). Distances of unrelated
//! codes follow a binomial distribution with fewer bits than the code has: calibrated, not assumed.

use crate::CODE_BITS;
use crate::view::View;

/// How many features stand for one effective bit in a model with few of them.
pub(crate) const FEATURES_PER_BIT: u32 = 8;
/// The effective bits of models with still fewer features, as long as each feature can stand for one.
const LEAST_BITS: u32 = 24;

impl View {
    /// The effective number of bits of this view's codes when features are ample: the number of fair coins whose tosses
    /// spread as much as distances between independently trained models of one architecture were seen to spread.
    pub const fn effective_bits(self) -> u32 {
        match self {
            View::Energy | View::Blocks => 135,
        }
    }
}

/// The effective number of bits of a distance in `view` between models of which the smaller has `features` features:
/// one for every 8 features, but at least 24 (or one for each feature) and at most [`View::effective_bits`].
pub fn effective_bits(view: View, features: u32) -> u32 {
    (features / FEATURES_PER_BIT).max(features.min(LEAST_BITS)).min(view.effective_bits())
}

/// The probability that the codes of two unrelated models differ in at most `distance_bits` bits.
///
/// `features` is the smaller number of features of the two models in that view. With `n` effective bits it is the
/// probability of at most `distance_bits * n / 256` heads in `n` tosses, interpolated between whole numbers of heads.
/// Between 0 and 1, monotone in both arguments. O(256).
pub fn p_value(view: View, features: u32, distance_bits: u32) -> f64 {
    let bits = effective_bits(view, features);
    let distance = distance_bits.min(CODE_BITS) * bits;
    let (heads, rest) = (distance / CODE_BITS, distance % CODE_BITS);
    let (mut ways, mut at_most) = (1.0, 1.0);
    for i in 0..heads {
        ways = next_binomial(ways, bits, i);
        at_most += ways;
    }
    let next = at_most + next_binomial(ways, bits, heads);
    // In the logarithm: tails are nearly straight there.
    let share = f64::from(rest) / f64::from(CODE_BITS);
    let tosses = f64::from(bits) * std::f64::consts::LN_2;
    let ln_p = (1.0 - share) * libm::log(at_most) + share * libm::log(next) - tosses;
    libm::exp(ln_p).min(1.0)
}

/// C(n, i + 1) from C(n, i).
fn next_binomial(ways: f64, n: u32, i: u32) -> f64 {
    ways * f64::from(n.saturating_sub(i)) / f64::from(i + 1)
}

/// The expected number of unrelated models at or under that distance: `models * views * p_value`.
///
/// `models` is the number of models compared with, `views` the number of views that were searched.
#[expect(clippy::cast_precision_loss, reason = "no library has 2^53 models")]
pub fn e_value(view: View, features: u32, distance_bits: u32, models: u64, views: u32) -> f64 {
    models as f64 * f64::from(views) * p_value(view, features, distance_bits)
}

/// The largest distance in bits whose E-value is at most `e_max`, or `None` if even distance 0 exceeds it.
pub fn radius_for_e_value(view: View, features: u32, e_max: f64, models: u64, views: u32) -> Option<u32> {
    (0..=CODE_BITS).take_while(|&bits| e_value(view, features, bits, models, views) <= e_max).last()
}

#[cfg(test)]
mod tests {
    use statrs::distribution::{Binomial, DiscreteCDF};

    use super::*;

    const AMPLE: u32 = 1 << 20;

    #[test]
    fn p_values_at_whole_heads_are_the_binomial_tail() {
        for features in [8, 80, 256, 800, AMPLE] {
            let n = effective_bits(View::Energy, features);
            let binomial = Binomial::new(0.5, u64::from(n)).expect("valid");
            for distance in 0..=CODE_BITS {
                if (distance * n).is_multiple_of(CODE_BITS) {
                    let expected = binomial.cdf(u64::from(distance * n / CODE_BITS));
                    let got = p_value(View::Energy, features, distance);
                    assert!(
                        (got / expected - 1.0).abs() < 1e-9,
                        "n {n}, {distance} bits: {got} is not {expected}"
                    );
                }
            }
        }
    }

    #[test]
    fn p_values_grow_with_distance_and_fall_with_features() {
        for view in View::ALL {
            for features in [0, 1, 100, 500, 1_000, AMPLE] {
                assert_eq!(p_value(view, features, CODE_BITS), 1.0);
                for distance in 0..CODE_BITS {
                    let (near, far) =
                        (p_value(view, features, distance), p_value(view, features, distance + 1));
                    assert!(near > 0.0 && near <= far, "{features} features, {distance} bits");
                }
            }
            assert!(p_value(view, 400, 40) > p_value(view, 800, 40));
            assert_eq!(p_value(view, 30, 40), p_value(view, 190, 40));
            assert_eq!(p_value(view, 0, 0), 1.0, "no features say nothing");
        }
    }

    #[test]
    fn e_values_scale_with_the_library_and_give_the_radius_back() {
        let one = e_value(View::Blocks, AMPLE, 60, 1, 1);
        assert!((e_value(View::Blocks, AMPLE, 60, 1_000, 2) / one - 2_000.0).abs() < 1e-6);
        for models in [1, 271, 10_000_000] {
            let radius = radius_for_e_value(View::Energy, AMPLE, 1e-3, models, 2).expect("some radius");
            assert!(e_value(View::Energy, AMPLE, radius, models, 2) <= 1e-3);
            assert!(e_value(View::Energy, AMPLE, radius + 1, models, 2) > 1e-3);
        }
        assert_eq!(radius_for_e_value(View::Energy, 12, 1e-3, 1_000, 2), None);
        assert_eq!(radius_for_e_value(View::Energy, AMPLE, 1e9, 1, 1), Some(CODE_BITS));
    }
}
