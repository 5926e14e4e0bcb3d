//! Owns the words for how two models are related, and the thresholds behind them: the one place where they are defined
//! (docs/cli.md repeats them).

use std::fmt;

use phash_core::{PerView, View, ViewHash, e_value, joint_p_value, p_values};

/// At most this far apart in some view: the same weights in another format, layout or precision, or with channels permuted or
/// rescaled, which some view does not see. Rounding to BF16, F16 or int8 stays within it; pruning by half does not.
pub const SAME_WEIGHTS_BITS: u32 = 8;
/// An E-value that makes chance no explanation: every labelled fine-tune of cosine .4 or more has a smaller one, no labelled
/// pair of independent twins.
pub const RELATED_E_VALUE: f64 = 1e-6;
/// An E-value that only light changes reach: quantisation, pruning, fine-tunes of cosine .8 or more (of .7 to .8 some, below
/// none).
pub const NEAR_COPY_E_VALUE: f64 = 1e-30;
/// What searching and grouping call a match if nothing else is asked for.
pub const MATCH_E_VALUE: f64 = 1e-3;

/// How two models are related.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Verdict {
    /// The same tensors byte for byte, whatever their names and order.
    IdenticalContents,
    /// The same weights in another format, layout or precision, or with channels permuted or rescaled.
    SameWeights,
    /// Lightly changed.
    NearCopy,
    /// Changed much, but not by chance alike.
    Related,
    /// No more alike than chance explains.
    Unrelated,
}

impl Verdict {
    /// The verdict in words, as printed.
    pub const fn name(self) -> &'static str {
        match self {
            Verdict::IdenticalContents => "identical contents",
            Verdict::SameWeights => "same weights",
            Verdict::NearCopy => "near copy",
            Verdict::Related => "related",
            Verdict::Unrelated => "unrelated",
        }
    }

    /// The verdict on a pair of models with different contents.
    pub(crate) fn of(closeness: Option<Closeness>) -> Self {
        match closeness {
            Some(Closeness { distance_bits, e_value, .. })
                if distance_bits <= SAME_WEIGHTS_BITS && e_value <= RELATED_E_VALUE =>
            {
                Verdict::SameWeights
            }
            Some(Closeness { e_value, .. }) if e_value <= NEAR_COPY_E_VALUE => Verdict::NearCopy,
            Some(Closeness { e_value, .. }) if e_value <= RELATED_E_VALUE => Verdict::Related,
            _ => Verdict::Unrelated,
        }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// How close two models are: the distance in the closest view, and what all views together are worth.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Closeness {
    /// The distance in the closest view, in bits.
    pub distance_bits: u32,
    /// The closest view: of equal distances the least probable one. It tells what was done to the model.
    pub view: View,
    /// The expected number of unrelated models that come as close, by the evidence of all views together.
    pub e_value: f64,
}

/// The distance in each view in which both have a code.
pub(crate) fn distances(a: &PerView<ViewHash>, b: &PerView<ViewHash>) -> PerView<Option<u32>> {
    PerView::from_fn(|view| Some(a[view].code?.distance(&b[view].code?)))
}

/// How close two models are that have these distances in the views that were compared, when each is compared with so many
/// models. `features` is the smaller number of the pair. `None` if they share no view.
pub(crate) fn closeness(
    distances: &PerView<Option<u32>>,
    features: &PerView<u32>,
    models: u64,
) -> Option<Closeness> {
    let p = p_values(distances, features);
    let views = View::ALL.into_iter().filter_map(|view| Some((distances[view]?, p[view]?, view)));
    let (distance_bits, _, view) = views.min_by(|a, b| a.0.cmp(&b.0).then(a.1.total_cmp(&b.1)))?;
    Some(Closeness { distance_bits, view, e_value: e_value(joint_p_value(&p), models) })
}

/// The smaller number of features in each view.
pub(crate) fn common_features(a: &PerView<ViewHash>, b: &PerView<ViewHash>) -> PerView<u32> {
    PerView::from_fn(|view| a[view].features.min(b[view].features))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn close(distance_bits: u32, e_value: f64) -> Option<Closeness> {
        Some(Closeness { distance_bits, view: View::Energy, e_value })
    }

    #[test]
    fn each_threshold_is_inclusive_and_separates_two_verdicts() {
        assert_eq!(Verdict::of(close(SAME_WEIGHTS_BITS, 1e-6)), Verdict::SameWeights);
        assert_eq!(Verdict::of(close(SAME_WEIGHTS_BITS + 1, 1e-30)), Verdict::NearCopy);
        assert_eq!(Verdict::of(close(SAME_WEIGHTS_BITS + 1, 1.1e-30)), Verdict::Related);
        assert_eq!(Verdict::of(close(SAME_WEIGHTS_BITS + 1, 1e-6)), Verdict::Related);
        assert_eq!(Verdict::of(close(SAME_WEIGHTS_BITS + 1, 1.1e-6)), Verdict::Unrelated);
        // Close, but of so few features that chance would do as well.
        assert_eq!(Verdict::of(close(0, 1e-5)), Verdict::Unrelated);
        assert_eq!(Verdict::of(None), Verdict::Unrelated);
    }

    /// How close models are that have a distance and features in `energy` and in `blocks`, and in no other view.
    fn between(energy: Option<(u32, u32)>, blocks: Option<(u32, u32)>, models: u64) -> Option<Closeness> {
        let (mut distances, mut features) = (PerView::default(), PerView::default());
        for (view, pair) in [(View::Energy, energy), (View::Blocks, blocks)] {
            distances[view] = pair.map(|(bits, _)| bits);
            features[view] = pair.map_or(0, |(_, features)| features);
        }
        closeness(&distances, &features, models)
    }

    #[test]
    fn the_closest_view_is_the_nearest_then_the_least_likely_then_the_first() {
        let (ample, few) = (1 << 20, 100);
        let view = |energy, blocks| between(energy, blocks, 1).unwrap().view;
        assert_eq!(view(Some((60, ample)), Some((40, few))), View::Blocks);
        assert_eq!(view(Some((40, few)), Some((40, ample))), View::Blocks);
        assert_eq!(view(Some((40, ample)), Some((40, few))), View::Energy);
        assert_eq!(view(None, Some((500, ample))), View::Blocks);
        assert_eq!(between(None, None, 1), None);
    }

    #[test]
    fn of_equal_distances_and_features_the_first_view_is_the_closest() {
        // So few features that their spreads differ by less than one effective bit.
        let few = 1;
        let p = [View::Energy, View::Blocks].map(|view| phash_core::p_value(view, few, 40));
        assert!(p[0] == p[1] && p[0] < 1.0, "alike in both views: {p:?}");
        assert_eq!(between(Some((40, few)), Some((40, few)), 1).unwrap().view, View::Energy);
    }

    #[test]
    fn the_e_value_is_of_all_views_together_and_of_all_models() {
        let e_value = |energy, blocks, models| {
            let with_features = |bits: Option<u32>| bits.map(|bits| (bits, 5_000));
            between(with_features(energy), with_features(blocks), models).unwrap().e_value
        };
        let p = |view, bits| phash_core::p_value(view, 5_000, bits);
        let (energy, blocks) = (p(View::Energy, 170), p(View::Blocks, 175));
        let fisher = energy * blocks * (1.0 - energy.ln() - blocks.ln());
        assert!(fisher < 2.0 * energy.min(blocks), "two weak hints are more than the better of them");
        let got = e_value(Some(170), Some(175), 1_000);
        assert!((got / (2_000.0 * fisher) - 1.0).abs() < 1e-9, "{got}");
        // The other view says nothing: a factor of 4 for two views and two tests; not searched: none.
        let (lone, least) = (e_value(Some(60), None, 7), 7.0 * p(View::Energy, 60));
        assert!((lone / least - 1.0).abs() < 1e-9, "{lone}");
        let spoilt = e_value(Some(60), Some(256), 7);
        assert!((spoilt / (4.0 * least) - 1.0).abs() < 1e-9, "{spoilt}");
    }
}
