//! Owns [`Standing`]: what became of a tensor between two models, and [`Tally`], how many of a model's tensors stand how.
//! What must hold: nothing is called replaced that could not have been recognised.

use phash_core::{CODE_BITS, PerView, ViewHash};

use super::evidence::{MAX_CHANCE, chance, is_decidable};
use super::pairing::TensorPair;
use super::tensor::Tensor;
use crate::verdict::distances;

/// Codes at most this far apart in more than half of the views are those of the same weights, in another precision or layout.
pub const KEPT_BITS: u32 = CODE_BITS / 8;

/// What became of a tensor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Standing {
    /// Another tensor is in its place: it would be recognised, and is not.
    Replaced,
    /// It is missing in the second model.
    Removed,
    /// It is missing in the first model.
    Added,
    /// Other weights, made from these: tuned, pruned, merged, tampered with.
    Changed,
    /// The same bytes, or the same weights within the noise of quantisation.
    Kept,
    /// Too few features to say: few weights, or mostly zeros.
    TooSmall,
}

impl Standing {
    /// The standing in words, as printed.
    pub const fn name(self) -> &'static str {
        match self {
            Standing::Replaced => "replaced",
            Standing::Removed => "removed",
            Standing::Added => "added",
            Standing::Changed => "changed",
            Standing::Kept => "kept",
            Standing::TooSmall => "too small to say",
        }
    }

    /// Whether the tensor stands in the other model: kept or changed.
    pub const fn is_found(self) -> bool {
        matches!(self, Standing::Kept | Standing::Changed)
    }

    /// Of two tensors in the same place, neither known to be the same bytes; `others` is the number of tensors that the second one was
    /// chosen from.
    pub(super) fn of_codes(a: &PerView<ViewHash>, b: &PerView<ViewHash>, others: usize) -> Self {
        let related = chance(a, b, others) <= MAX_CHANCE;
        if related && is_near(a, b) {
            Standing::Kept
        } else if related {
            Standing::Changed
        } else if has_same_views(a, b) && is_decidable(a, others) && is_decidable(b, others) {
            Standing::Replaced
        } else {
            Standing::TooSmall
        }
    }
}

/// Whether the codes are those of the same weights in another precision: near in most of the views that both have. One may be
/// thrown by rounding; what leaves only one near (a permutation, rescaled channels) is a change.
pub(super) fn is_near(a: &PerView<ViewHash>, b: &PerView<ViewHash>) -> bool {
    let distances = distances(a, b);
    let shared = distances.0.iter().flatten().count();
    let near = distances.0.iter().flatten().filter(|&&bits| bits <= KEPT_BITS).count();
    2 * near > shared
}

/// Whether both have a code in the same views. If not, one is mostly zeros, as coarse rounding of weights with a few very large ones
/// leaves it: that its codes prove nothing does not say that it was replaced.
fn has_same_views(a: &PerView<ViewHash>, b: &PerView<ViewHash>) -> bool {
    a.iter().all(|(view, hash)| hash.code.is_some() == b[view].code.is_some())
}

/// How many tensors with a code stand how.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Kept: the same bytes, or within the noise of quantisation.
    pub kept: usize,
    /// Changed.
    pub changed: usize,
    /// Replaced.
    pub replaced: usize,
    /// Only in the first model.
    pub removed: usize,
    /// Only in the second model.
    pub added: usize,
    /// Too small to say.
    pub too_small: usize,
}

impl Tally {
    /// Counts standings.
    pub fn of(standings: impl Iterator<Item = Standing>) -> Self {
        let mut tally = Self::default();
        for standing in standings {
            *match standing {
                Standing::Kept => &mut tally.kept,
                Standing::Changed => &mut tally.changed,
                Standing::Replaced => &mut tally.replaced,
                Standing::Removed => &mut tally.removed,
                Standing::Added => &mut tally.added,
                Standing::TooSmall => &mut tally.too_small,
            } += 1;
        }
        tally
    }

    /// Counts the pairs of two models' tensors: those with a code.
    pub(crate) fn of_pairs(pairs: &[TensorPair], a: &[Tensor], b: &[Tensor]) -> Self {
        Self::of(pairs.iter().filter(|pair| pair.has_code(a, b)).map(|pair| pair.standing))
    }

    /// The first model's tensors of which something can be said.
    pub fn decidable(&self) -> usize {
        self.found() + self.replaced + self.removed
    }

    /// Those of them that stand in the second model, changed or not.
    pub fn found(&self) -> usize {
        self.kept + self.changed
    }
}

#[cfg(test)]
mod tests {
    use phash_core::{ModelCode, View};

    use super::*;

    /// Codes with so many bits set in every view.
    fn views(bits: u32, features: u32) -> PerView<ViewHash> {
        PerView::from_fn(|_| ViewHash { code: Some(ModelCode::from_bits(|bit| bit < bits)), features })
    }

    #[test]
    fn near_is_kept_far_is_changed_farther_is_replaced_and_few_features_say_nothing() {
        let ample = views(0, 1_000);
        assert_eq!(Standing::of_codes(&ample, &views(KEPT_BITS, 1_000), 1), Standing::Kept);
        assert_eq!(Standing::of_codes(&ample, &views(KEPT_BITS + 1, 1_000), 1), Standing::Changed);
        assert_eq!(Standing::of_codes(&ample, &views(CODE_BITS / 2, 1_000), 1), Standing::Replaced);
        let few = views(0, 3);
        assert_eq!(Standing::of_codes(&few, &views(0, 3), 1), Standing::TooSmall, "even the same code");
        assert_eq!(Standing::of_codes(&few, &views(CODE_BITS / 2, 3), 1), Standing::TooSmall);
        // Enough for one candidate, too little for a million.
        let some = views(0, 24);
        assert_eq!(Standing::of_codes(&some, &views(0, 24), 1), Standing::Kept);
        assert_eq!(
            Standing::of_codes(&some, &views(CODE_BITS / 2, 24), 1_000_000_000_000),
            Standing::TooSmall
        );
    }

    #[test]
    fn a_code_that_only_one_has_leaves_nothing_to_say() {
        let (ours, mut theirs) = (views(0, 1_000), views(CODE_BITS / 2, 1_000));
        assert_eq!(Standing::of_codes(&ours, &theirs, 1), Standing::Replaced);
        theirs[View::Energy] = ViewHash::default();
        assert_eq!(Standing::of_codes(&ours, &theirs, 1), Standing::TooSmall);
    }

    #[test]
    fn one_view_near_is_a_change_and_most_views_near_are_kept() {
        let ours = views(0, 1_000);
        for near in 1..View::COUNT {
            let mut theirs = views(200, 1_000);
            View::ALL.into_iter().take(near).for_each(|view| theirs[view] = ours[view]);
            let expected = if 2 * near > View::COUNT { Standing::Kept } else { Standing::Changed };
            assert_eq!(Standing::of_codes(&ours, &theirs, 1), expected, "{near} views near");
        }
    }
}
