//! Owns what the distance of two tensors' codes proves: the probability that unrelated tensors of the same axes come so
//! close. What must hold: it never promises too much, so it is a bound (Chernoff's) on a binomial tail, with effective bits
//! that are calibrated on real tensors (docs/cli.md); monotone in distance and features.

use phash_core::{CODE_BITS, PerView, View, ViewHash, joint_p_value};

use crate::verdict::{common_features, distances};

/// The effective bits of tensors with ample features.
const AMPLE_BITS: f64 = 150.0;
/// At this probability, for all tensors it might have been, two tensors are related: more than the rate at which a replaced
/// tensor is taken for a changed one, as probabilities are bounds.
pub(crate) const MAX_CHANCE: f64 = 1e-2;
/// A tensor can be called replaced only if it would be recognised at this distance in some view: an eighth of the bits.
const DECIDABLE_BITS: u32 = CODE_BITS / 8;

/// How many features stand for one effective bit while there are few.
fn features_per_bit(view: View) -> f64 {
    match view {
        // Channels of one axis: as good as independent.
        View::Energy => 1.25,
        // Square tensors count in both orientations, which halves what is free; twins spread more.
        _ => 3.0,
    }
}

/// The effective bits of a tensor's code of so many features. 0 for none.
fn effective_bits(view: View, features: u32) -> f64 {
    if features == 0 {
        return 0.0;
    }
    (features_per_bit(view) / f64::from(features) + 1.0 / AMPLE_BITS).recip()
}

/// A bound on the probability that the codes of unrelated tensors differ in at most `distance_bits` bits in `view`;
/// `features` is the smaller number of the two. Above 0, at most 1. Chernoff's bound of n tosses with a share x of heads:
/// exp(-n (ln 2 + x ln x + (1 - x) ln(1 - x))).
pub(crate) fn tensor_p_value(view: View, features: u32, distance_bits: u32) -> f64 {
    let x = f64::from(distance_bits) / f64::from(CODE_BITS);
    if x >= 0.5 {
        return 1.0;
    }
    let entropy = |x: f64| if x > 0.0 { x * libm::log(x) } else { 0.0 };
    let divergence = std::f64::consts::LN_2 + entropy(x) + entropy(1.0 - x);
    libm::exp(-effective_bits(view, features) * divergence)
}

/// The probability in each view in which both tensors have a code.
pub(crate) fn tensor_p_values(a: &PerView<ViewHash>, b: &PerView<ViewHash>) -> PerView<Option<f64>> {
    let (distances, features) = (distances(a, b), common_features(a, b));
    PerView::from_fn(|view| Some(tensor_p_value(view, features[view], distances[view]?)))
}

/// A bound on the probability that one of `others` unrelated tensors comes so close, all views together; 1 if there is no
/// view in which both have a code.
pub(crate) fn chance(a: &PerView<ViewHash>, b: &PerView<ViewHash>, others: usize) -> f64 {
    (joint_p_value(&tensor_p_values(a, b)) * others.max(1) as f64).min(1.0)
}

/// The largest distance in `view` whose probability is at most `max_p`; `None` if even equal codes prove less.
pub(crate) fn radius_for_p_value(view: View, features: u32, max_p: f64) -> Option<u32> {
    (0..CODE_BITS / 2).take_while(|&bits| tensor_p_value(view, features, bits) <= max_p).last()
}

/// Whether a tensor with these codes could be told from `others` unrelated ones even after a change of an eighth of
/// the bits: if not, that it is not recognised says nothing.
pub(crate) fn is_decidable(views: &PerView<ViewHash>, others: usize) -> bool {
    let searched = views.0.iter().filter(|view| view.code.is_some()).count().max(1);
    let max_p = MAX_CHANCE / (others.max(1) * searched) as f64;
    views.iter().any(|(view, hash)| {
        hash.code.is_some() && tensor_p_value(view, hash.features, DECIDABLE_BITS) <= max_p
    })
}

#[cfg(test)]
mod tests {
    use statrs::distribution::{Binomial, DiscreteCDF};

    use super::*;

    #[test]
    fn the_bound_holds_for_the_binomial_it_stands_for() {
        for view in View::ALL {
            for features in [16, 64, 128, 1_000, 1 << 20] {
                #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a few hundred")]
                let bits = effective_bits(view, features).floor() as u64;
                let binomial = Binomial::new(0.5, bits).unwrap();
                for distance in (0..CODE_BITS).step_by(7) {
                    let tail = binomial.cdf(u64::from(distance) * bits / u64::from(CODE_BITS));
                    let bound = tensor_p_value(view, features, distance);
                    // One effective bit less than the bound has: a factor of at most 2.
                    assert!(
                        2.0 * bound >= tail,
                        "{view}, {features} features, {distance} bits: {bound} < {tail}"
                    );
                    assert!(bound > 0.0 && bound <= 1.0);
                }
            }
        }
    }

    #[test]
    fn nearer_and_richer_is_less_probable() {
        for view in View::ALL {
            for features in [0, 1, 16, 128, 4_096] {
                for bits in 0..CODE_BITS {
                    assert!(tensor_p_value(view, features, bits) <= tensor_p_value(view, features, bits + 1));
                    let richer = tensor_p_value(view, features + 1, bits);
                    assert!(richer <= tensor_p_value(view, features, bits), "{features}, {bits}");
                }
            }
            assert_eq!(tensor_p_value(view, 0, 0), 1.0, "no features prove nothing");
        }
    }

    #[test]
    fn the_radius_is_the_last_distance_that_proves_enough() {
        for view in View::ALL {
            for max_p in [1e-3, 1e-9] {
                let radius_bits = radius_for_p_value(view, 1_000, max_p).unwrap();
                assert!(tensor_p_value(view, 1_000, radius_bits) <= max_p);
                assert!(tensor_p_value(view, 1_000, radius_bits + 1) > max_p);
            }
            assert_eq!(radius_for_p_value(view, 4, 1e-9), None);
        }
    }
}
