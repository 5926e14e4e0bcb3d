//! Comparing two hashed files: distance, E-value, verdict, which tensor of one is which of the other, what became of each,
//! and what that says of the whole.

use phash_core::PerView;

use crate::pipeline::HashedFile;
use crate::tensors::{Finding, Tally, Tensor, TensorPair, pair, severity};
use crate::verdict::{Closeness, Verdict, closeness, common_features, distances};

/// How two models are related.
#[derive(Clone, Debug)]
pub struct Comparison {
    /// The relation in a word, by the models' codes.
    pub verdict: Verdict,
    /// The relation of their parts, by the tensors' codes.
    pub finding: Finding,
    /// How many of the tensors with a code stand how.
    pub tally: Tally,
    /// The closest view's distance and the E-value of all views (for this one pair); `None` if no view has a code of both.
    pub closeness: Option<Closeness>,
    /// The distance in each view, in bits.
    pub views: PerView<Option<u32>>,
    /// The smaller number of features in each view.
    pub features: PerView<u32>,
    /// Whether one of the two is weak: distances to it are unreliable.
    pub weak: bool,
    /// The tensors: replaced, removed, added, changed, kept, too small to say; the most changed first, then by name.
    pub tensors: Vec<TensorPair>,
}

impl Comparison {
    /// Whether nothing in common was found, neither in the whole nor in parts.
    pub fn is_unrelated(&self) -> bool {
        self.verdict == Verdict::Unrelated && !self.finding.is_related()
    }
}

/// Compares two hashed files. O(tensors log tensors), and within one shape O(n^2) up to 4 million pairs.
pub fn compare(a: &HashedFile, b: &HashedFile) -> Comparison {
    let views = distances(&a.hash.views, &b.hash.views);
    let features = common_features(&a.hash.views, &b.hash.views);
    let closeness = closeness(&views, &features, 1);
    let verdict = if a.hash.content_digest == b.hash.content_digest {
        Verdict::IdenticalContents
    } else {
        Verdict::of(closeness)
    };
    let (items_a, items_b) = (Tensor::of_file(a), Tensor::of_file(b));
    let mut tensors = pair(&items_a, &items_b);
    let finding = Finding::of(&tensors, &items_a, &items_b);
    let tally = Tally::of_pairs(&tensors, &items_a, &items_b);
    let name = |pair: &TensorPair| match (pair.a, pair.b) {
        (Some(number), _) => items_a[number].name.as_str(),
        (None, Some(number)) => items_b[number].name.as_str(),
        (None, None) => "",
    };
    tensors.sort_by(|x, y| {
        let order = severity(x).cmp(&severity(y)).then_with(|| name(x).cmp(name(y)));
        order.then((x.a, x.b).cmp(&(y.a, y.b)))
    });
    Comparison {
        verdict,
        finding,
        tally,
        closeness,
        views,
        features,
        weak: a.hash.is_weak() || b.hash.is_weak(),
        tensors,
    }
}
