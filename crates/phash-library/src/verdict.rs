//! Owns the words for how two models are related, and the thresholds behind them: the one place where they are defined
//! (docs/cli.md repeats them).

use std::fmt;

use phash_core::{PerView, View, ViewHash, e_value};

/// At most this far apart in some view: the same weights in another format, layout or precision. Rounding to BF16, F16 or
/// int8 and transposing stay within it; pruning by half does not.
pub const SAME_WEIGHTS_BITS: u32 = 4;
/// An E-value that makes chance no explanation: fine-tuned, merged, or closer.
pub const RELATED_E_VALUE: f64 = 1e-6;
/// An E-value that only light changes reach: quantisation, pruning, a short fine-tune.
pub const NEAR_COPY_E_VALUE: f64 = 1e-12;
/// What searching and grouping call a match if nothing else is asked for.
pub const MATCH_E_VALUE: f64 = 1e-3;

/// How two models are related.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Verdict {
    /// The same tensors byte for byte, whatever their names and order.
    IdenticalContents,
    /// The same weights in another format, layout or precision.
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

/// How close two models are in their best view.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Closeness {
    /// The distance in that view, in bits.
    pub distance_bits: u32,
    /// The view.
    pub view: View,
    /// The expected number of unrelated models at or under that distance.
    pub e_value: f64,
}

impl Closeness {
    /// The closer one: smaller distance, then smaller E-value, then the earlier view.
    pub(crate) fn closer(self, other: Self) -> Self {
        let ours = (self.distance_bits, self.e_value, self.view as usize);
        let theirs = (other.distance_bits, other.e_value, other.view as usize);
        if theirs < ours { other } else { self }
    }
}

/// How large a comparison is: what E-values are relative to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Scale {
    /// Models compared with.
    pub(crate) models: u64,
    /// Views searched.
    pub(crate) views: u32,
}

impl Scale {
    pub(crate) fn new(models: u64, views: usize) -> Self {
        Self { models, views: u32::try_from(views).unwrap_or(u32::MAX) }
    }
}

/// The distance in each view in which both have a code.
pub(crate) fn distances(a: &PerView<ViewHash>, b: &PerView<ViewHash>) -> PerView<Option<u32>> {
    PerView::from_fn(|view| Some(a[view].code?.distance(&b[view].code?)))
}

/// The E-value in each view: `features` is the smaller number of the pair.
pub(crate) fn e_values(
    distances: &PerView<Option<u32>>,
    features: &PerView<u32>,
    scale: Scale,
) -> PerView<Option<f64>> {
    PerView::from_fn(|view| {
        distances[view].map(|bits| e_value(view, features[view], bits, scale.models, scale.views))
    })
}

/// The best view among those whose E-value `counts`.
pub(crate) fn best(
    distances: &PerView<Option<u32>>,
    e_values: &PerView<Option<f64>>,
    counts: impl Fn(f64) -> bool,
) -> Option<Closeness> {
    View::ALL
        .into_iter()
        .filter_map(|view| {
            Some(Closeness { distance_bits: distances[view]?, view, e_value: e_values[view]? })
        })
        .filter(|closeness| counts(closeness.e_value))
        .reduce(Closeness::closer)
}

/// The smaller number of features in each view.
pub(crate) fn common_features(a: &PerView<ViewHash>, b: &PerView<ViewHash>) -> PerView<u32> {
    PerView::from_fn(|view| a[view].features.min(b[view].features))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn closeness(distance_bits: u32, e_value: f64) -> Option<Closeness> {
        Some(Closeness { distance_bits, view: View::Energy, e_value })
    }

    #[test]
    fn each_threshold_is_inclusive_and_separates_two_verdicts() {
        assert_eq!(Verdict::of(closeness(4, 1e-6)), Verdict::SameWeights);
        assert_eq!(Verdict::of(closeness(5, 1e-12)), Verdict::NearCopy);
        assert_eq!(Verdict::of(closeness(5, 1.1e-12)), Verdict::Related);
        assert_eq!(Verdict::of(closeness(5, 1e-6)), Verdict::Related);
        assert_eq!(Verdict::of(closeness(5, 1.1e-6)), Verdict::Unrelated);
        // Close, but of so few features that chance would do as well.
        assert_eq!(Verdict::of(closeness(0, 1e-5)), Verdict::Unrelated);
        assert_eq!(Verdict::of(None), Verdict::Unrelated);
    }

    #[test]
    fn the_best_view_is_the_nearest_then_the_least_likely_then_the_first() {
        let near = PerView([Some(30), Some(20)]);
        assert_eq!(best(&near, &PerView([Some(1e-9), Some(1e-5)]), |_| true).unwrap().view, View::Blocks);
        let tie = PerView([Some(20), Some(20)]);
        assert_eq!(best(&tie, &PerView([Some(1e-5), Some(1e-9)]), |_| true).unwrap().view, View::Blocks);
        assert_eq!(best(&tie, &PerView([Some(1e-5), Some(1e-5)]), |_| true).unwrap().view, View::Energy);
        // A view that does not count is not the best one, however near.
        assert_eq!(best(&near, &PerView([Some(1e-9), Some(1.0)]), |e| e < 1e-3).unwrap().distance_bits, 30);
        assert_eq!(best(&PerView([None, None]), &PerView([None, None]), |_| true), None);
    }
}
