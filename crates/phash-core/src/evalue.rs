//! Owns the statistics of a match: how probable it is that unrelated codes come so close in one view and in all views
//! together, and the E-value, the number of unrelated models in a library from which as much is expected
//! (docs/hashing.md, section 8). Distances of unrelated codes follow a binomial distribution with fewer bits than the
//! code has: calibrated, not assumed.

use crate::CODE_BITS;
use crate::view::{PerView, View};

/// Up to this probability a distance is the less probable the more effective bits there are (a test tries all); above,
/// the steps of the binomial can turn that around.
const ORDERLY_P: f64 = 0.25;

impl View {
    /// How cosines between the features of unrelated models spread, calibrated on independently trained models of one
    /// architecture: the variance is `of_chance^2 / features + in_common^2`. Chance alone would give 1 and 0.
    const fn spread(self) -> Spread {
        match self {
            View::Energy => Spread { of_chance: 1.4, in_common: 0.13 },
            View::Blocks => Spread { of_chance: 1.5, in_common: 0.16 },
            View::Weights => Spread { of_chance: 1.7, in_common: 0.03 },
            View::Order => Spread { of_chance: 1.7, in_common: 0.04 },
            View::Orbit => Spread { of_chance: 1.6, in_common: 0.04 },
        }
    }
}

struct Spread {
    of_chance: f64,
    in_common: f64,
}

/// The effective number of bits of a distance in `view` between models of which the smaller has `features` independent
/// features: the number of fair coins whose tosses spread as much as the distances of unrelated models do. Grows with the
/// features up to a limit; 0 without features.
///
/// A cosine c is a distance of `acos(c) / pi` of the bits; bits cut that coarser: together the share of the bits that differ
/// has the variance `1 / (4 * 512) + (of_chance^2 / features + in_common^2) / pi^2`, and fair coins 1 / 4 over their number.
pub fn effective_bits(view: View, features: u32) -> u32 {
    if features == 0 {
        return 0;
    }
    let Spread { of_chance, in_common } = view.spread();
    let of_cosines = of_chance * of_chance / f64::from(features) + in_common * in_common;
    let pi = std::f64::consts::PI;
    let variance = 0.25 / f64::from(CODE_BITS) + of_cosines / (pi * pi);
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "0..=512")]
    let bits = (0.25 / variance) as u32;
    bits
}

/// The probability that the codes of two unrelated models differ in at most `distance_bits` bits in `view`.
///
/// `features` is the smaller number of features of the two models in that view. With `n` effective bits it is the
/// probability of at most `distance_bits * n / 512` heads in `n` tosses, interpolated between whole numbers of heads.
/// Above 0, at most 1, and the larger the distance the larger. O(512).
pub fn p_value(view: View, features: u32, distance_bits: u32) -> f64 {
    at_most(effective_bits(view, features), distance_bits)
}

/// [`p_value`] with so many effective bits.
fn at_most(bits: u32, distance_bits: u32) -> f64 {
    let distance = distance_bits.min(CODE_BITS) * bits;
    let (heads, rest) = (distance / CODE_BITS, distance % CODE_BITS);
    let (mut ways, mut so_far) = (1.0, 1.0);
    for i in 0..heads {
        ways = next_binomial(ways, bits, i);
        so_far += ways;
    }
    let next = so_far + next_binomial(ways, bits, heads);
    // In the logarithm: tails are nearly straight there.
    let share = f64::from(rest) / f64::from(CODE_BITS);
    let tosses = f64::from(bits) * std::f64::consts::LN_2;
    let ln_p = (1.0 - share) * libm::log(so_far) + share * libm::log(next) - tosses;
    libm::exp(ln_p).min(1.0)
}

/// C(n, i + 1) from C(n, i).
fn next_binomial(ways: f64, n: u32, i: u32) -> f64 {
    ways * f64::from(n.saturating_sub(i)) / f64::from(i + 1)
}

/// [`p_value`] of a pair of models in each view in which it has a distance.
pub fn p_values(distances_bits: &PerView<Option<u32>>, features: &PerView<u32>) -> PerView<Option<f64>> {
    PerView::from_fn(|view| Some(p_value(view, features[view], distances_bits[view]?)))
}

/// The probability that two unrelated models come as close as this, all views taken together.
///
/// `p` holds [`p_value`] of the views that were compared and in which both have a code; the others do not count. With one
/// view it is that view's. With V of them, two tests are made, and the better one counts twice: the least probability
/// times V (one view knows), and Fisher's method (all know a little): `-2 sum ln p` is chi-square with 2 V degrees of
/// freedom. 1 without views; never 0 and never over 1.
///
/// R. A. Fisher, "Statistical Methods for Research Workers", 4th edition, section 21.1 (1932).
pub fn joint_p_value(p: &PerView<Option<f64>>) -> f64 {
    let (mut views, mut least, mut surprise) = (0u32, 1.0f64, 0.0);
    for &p in p.0.iter().flatten() {
        views += 1;
        least = least.min(p);
        surprise -= libm::log(p);
    }
    if views <= 1 {
        return least;
    }
    let single = f64::from(views) * least;
    (2.0 * single.min(fisher(surprise, views))).clamp(f64::MIN_POSITIVE, 1.0)
}

/// The probability that `-sum ln p` of `views` independent probabilities is at least `surprise`.
fn fisher(surprise: f64, views: u32) -> f64 {
    let (mut term, mut sum) = (1.0, 1.0);
    for i in 1..views {
        term *= surprise / f64::from(i);
        sum += term;
    }
    libm::exp(-surprise) * sum
}

/// The number of unrelated models expected at that probability among `models`: their product.
///
/// `p` is [`joint_p_value`], `models` the number of models compared with.
#[expect(clippy::cast_precision_loss, reason = "no library has 2^53 models")]
pub fn e_value(p: f64, models: u64) -> f64 {
    models as f64 * p
}

/// The radius in each view within which every model lies whose E-value is at most `e_max`: a model that has that E-value
/// is within the radius in at least one view, if not in each. `None` if even distance 0 proves too little there.
///
/// `features` holds the query's features in the views that are searched and in which it has a code, `models` the number of
/// models compared with. What is within a radius must still be judged by its own E-value: it may have fewer features, and
/// one view is not all. Exact whatever the features and void views of the models are. Some thousand steps.
pub fn radius_for_e_value(features: &PerView<Option<u32>>, e_max: f64, models: u64) -> PerView<Option<u32>> {
    let mut views = 0;
    features.0.iter().flatten().for_each(|_| views += 1);
    let p_max = e_max / e_value(1.0, models);
    // A model may be void in some of the views, and then has fewer of them to prove itself.
    let p_least = (1..=views).map(|views| least_p_value(p_max, views)).fold(0.0, f64::max);
    // No pair is to be lost to rounding.
    let p_least = p_least * (1.0 + 1e-9);
    PerView::from_fn(|view| radius_for_p_value(effective_bits(view, features[view]?), p_least))
}

/// The most that the least probability of `views` views can be if the joint one is at most `p_max`.
fn least_p_value(p_max: f64, views: u32) -> f64 {
    if p_max >= 1.0 || views == 1 {
        return p_max;
    }
    let half = p_max / 2.0;
    // If Fisher's test gives it, the surprise is at least the one that gives `half`, and the least of the probabilities is at
    // most their geometric mean. That is more than `half / views`, which the other test allows.
    let (mut low, mut high) = (0.0, 1_000.0);
    for _ in 0..64 {
        let middle = (low + high) / 2.0;
        if fisher(middle, views) > half {
            low = middle;
        } else {
            high = middle;
        }
    }
    libm::exp(-low / f64::from(views))
}

/// The largest distance whose probability is at most `p_max` with so many effective bits or any smaller number of them.
fn radius_for_p_value(bits: u32, p_max: f64) -> Option<u32> {
    if p_max > ORDERLY_P {
        return Some(CODE_BITS);
    }
    let (mut within, mut beyond) = (0, CODE_BITS + 1);
    while within < beyond {
        let middle = u32::midpoint(within, beyond);
        if at_most(bits, middle) <= p_max {
            within = middle + 1;
        } else {
            beyond = middle;
        }
    }
    within.checked_sub(1)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use statrs::distribution::{Binomial, ChiSquared, ContinuousCDF, DiscreteCDF};

    use super::*;

    const AMPLE: u32 = 1 << 20;

    #[test]
    fn p_values_at_whole_heads_are_the_binomial_tail() {
        for n in [1, 10, 24, 32, 100, 209, 300, 511, CODE_BITS] {
            let binomial = Binomial::new(0.5, u64::from(n)).expect("valid");
            let mut tried = 0;
            for distance in 0..=CODE_BITS {
                if (distance * n).is_multiple_of(CODE_BITS) {
                    let expected = binomial.cdf(u64::from(distance * n / CODE_BITS));
                    let got = at_most(n, distance);
                    assert!((got / expected - 1.0).abs() < 1e-9, "n {n}, {distance} bits: {got}, {expected}");
                    tried += 1;
                }
            }
            assert!(tried >= 2);
        }
    }

    #[test]
    fn p_values_between_whole_heads_lie_straight_in_the_logarithm() {
        for n in [24, 209, 511] {
            let binomial = Binomial::new(0.5, u64::from(n)).expect("valid");
            for distance in 0..CODE_BITS {
                let heads = f64::from(distance * n) / f64::from(CODE_BITS);
                let whole = u64::from(distance * n / CODE_BITS);
                let (low, high) = (binomial.cdf(whole).ln(), binomial.cdf(whole + 1).ln());
                let expected = low + heads.fract() * (high - low);
                assert!((at_most(n, distance).ln() - expected).abs() < 1e-9, "n {n}, {distance} bits");
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
                    assert!(near > 0.0 && near <= far * (1.0 + 1e-9), "{features} features, {distance} bits");
                }
            }
            assert!(p_value(view, 400, 80) > p_value(view, 800, 80));
            let most = effective_bits(view, u32::MAX);
            assert!((40..=CODE_BITS).contains(&most) && most <= effective_bits(view, 1 << 20) + 1, "{most}");
            assert_eq!(p_value(view, 0, 0), 1.0, "no features say nothing");
        }
    }

    #[test]
    fn small_p_values_fall_with_every_effective_bit() {
        let mut least = [1.0f64; CODE_BITS as usize + 1];
        for n in 0..=CODE_BITS {
            for (distance, least) in (0..).zip(&mut least) {
                let p = at_most(n, distance);
                assert!(p <= *least || *least > ORDERLY_P, "{n} bits, distance {distance}: {p} over {least}");
                *least = least.min(p);
            }
        }
    }

    /// The joint probability of these, in whatever views.
    fn joint(p: &[f64]) -> f64 {
        let mut views = PerView::<Option<f64>>::default();
        views.0.iter_mut().zip(p).for_each(|(view, &p)| *view = Some(p));
        joint_p_value(&views)
    }

    #[test]
    fn the_joint_p_value_is_twice_the_better_of_bonferroni_and_fisher() {
        for (a, b) in [(1e-3, 1e-3), (1e-9, 0.8), (0.04, 1e-4), (1e-60, 1e-55), (0.2, 0.3)] {
            let chi_square = ChiSquared::new(4.0).expect("valid");
            let fisher = chi_square.sf(-2.0 * (f64::ln(a) + f64::ln(b)));
            let expected = (2.0 * fisher.min(2.0 * f64::min(a, b))).min(1.0);
            let got = joint(&[a, b]);
            assert!((got / expected - 1.0).abs() < 1e-6, "{a}, {b}: {got} is not {expected}");
        }
        // One strong view is not spoilt by a weak one; two of the same strength are worth more than either.
        assert!(joint(&[1e-9, 1.0]) <= 4.0 * 1e-9 && joint(&[1e-9, 1e-9]) < 1e-15);
    }

    #[test]
    fn fishers_method_is_chi_square_for_any_number_of_views() {
        for views in 1..=5u32 {
            let chi_square = ChiSquared::new(2.0 * f64::from(views)).expect("valid");
            for surprise in [0.0, 0.1, 1.0, 10.0, 40.0] {
                let (got, expected) = (fisher(surprise, views), chi_square.sf(2.0 * surprise));
                assert!((got / expected - 1.0).abs() < 1e-6, "{views} views, {surprise}: {got}, {expected}");
            }
        }
    }

    #[test]
    fn one_view_counts_as_it_is_and_none_proves_nothing() {
        let mut p = PerView::default();
        assert_eq!(joint_p_value(&p), 1.0);
        p[View::Blocks] = Some(1e-5);
        assert_eq!(joint_p_value(&p), 1e-5);
        assert_eq!(joint(&[1.0, 1.0]), 1.0);
        assert!(joint(&[1e-300; View::COUNT]) > 0.0, "improbable, not impossible");
    }

    #[test]
    fn e_values_scale_with_the_library_and_views_that_are_missing_have_no_p_value() {
        assert_eq!((e_value(0.25, 8), e_value(0.25, 0)), (2.0, 0.0));
        let mut distances = PerView::default();
        distances[View::Blocks] = Some(60);
        let mut features = PerView::from_fn(|_| AMPLE);
        features[View::Blocks] = 700;
        let p = p_values(&distances, &features);
        assert_eq!((p[View::Energy], p[View::Blocks]), (None, Some(p_value(View::Blocks, 700, 60))));
    }

    #[test]
    fn the_radius_of_one_view_is_where_the_e_value_reaches_the_limit() {
        let e_at = |bits| e_value(p_value(View::Energy, AMPLE, bits), 1_000_000);
        let mut features = PerView::default();
        features[View::Energy] = Some(AMPLE);
        let radii = radius_for_e_value(&features, 1e-3, 1_000_000);
        let radius = radii[View::Energy].expect("some radius");
        assert!(e_at(radius) <= 1e-3 && e_at(radius + 1) > 1e-3, "{radius}");
        assert_eq!(radii[View::Blocks], None);
        features[View::Energy] = Some(12);
        assert_eq!(radius_for_e_value(&features, 1e-3, 1_000)[View::Energy], None, "2^-12 is too much");
        assert_eq!(radius_for_e_value(&features, 1e9, 1)[View::Energy], Some(CODE_BITS));
        assert_eq!(radius_for_e_value(&features, 0.0, 1)[View::Energy], None);
    }

    fn any_view() -> impl Strategy<Value = Option<(u32, u32, u32)>> {
        let features = || prop_oneof![1..30u32, 30..2_000u32, Just(AMPLE)];
        prop::option::weighted(0.9, (0..300u32, features(), features()))
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 4_000, failure_persistence: None, ..ProptestConfig::default() })]
        #[test]
        fn whatever_has_the_e_value_is_within_the_radius_in_some_view(
            views in prop::collection::vec(any_view(), View::COUNT),
            query_only in prop::collection::vec(prop::bool::weighted(0.2), View::COUNT),
            models in prop_oneof![1..40u64, Just(10_000_000)],
            slack in prop_oneof![Just(1.0), 1.0..3.0],
        ) {
            // Some views are void in the stored model but not in the query.
            let ours = PerView::from_fn(|view| views[view as usize].map(|(_, ours, _)| ours));
            let void = |view: View| query_only[view as usize];
            let distances = PerView::from_fn(|view| if void(view) { None } else { Some(views[view as usize]?.0) });
            let features = PerView::from_fn(|view| views[view as usize].map_or(0, |(_, ours, theirs)| ours.min(theirs)));
            let comparable = distances.0.iter().any(Option::is_some);
            let e_max = slack * e_value(joint_p_value(&p_values(&distances, &features)), models);
            let radii = radius_for_e_value(&ours, e_max, models);
            let within = |view| matches!((distances[view], radii[view]), (Some(d), Some(r)) if d <= r);
            prop_assert!(!comparable || View::ALL.into_iter().any(within), "{distances:?} beyond {radii:?}");
        }

        #[test]
        fn no_radius_is_much_too_large(p_max in 1e-40..0.2f64) {
            // At the bound on the least probability, equal probabilities in all views reach the limit.
            for views in 2..=4u32 {
                let least = least_p_value(p_max, views);
                let surprise = -f64::from(views) * least.ln();
                let reached = 2.0 * fisher(surprise, views).min(f64::from(views) * least);
                prop_assert!((reached / p_max - 1.0).abs() < 1e-6, "{views} views: {reached} is not {p_max}");
            }
        }
    }
}
