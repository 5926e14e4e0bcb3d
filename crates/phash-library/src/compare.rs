//! Comparing two hashed files: distance, E-value, verdict, and which tensor of one is which of the other.
//!
//! Tensors are matched one to one: first those with the same bytes, then, among those with the same axes, the nearest
//! codes, then the same names. What is left was added or removed.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use phash_core::{PerView, TensorHash, TensorInfo};

use crate::pipeline::HashedFile;
use crate::verdict::{Closeness, Verdict, closeness, common_features, distances};

/// Within one shape, every pair of tensors is compared if there are at most this many pairs; beyond, only tensors of
/// the same name and neighbours in order are, so that a hostile file cannot ask for 10^10 distances.
const MAX_PAIRS: usize = 4_000_000;

/// How two models are related.
#[derive(Clone, Debug)]
pub struct Comparison {
    /// The relation in a word.
    pub verdict: Verdict,
    /// The closest view's distance and the E-value of all views (for this one pair); `None` if no view has a code of both.
    pub closeness: Option<Closeness>,
    /// The distance in each view, in bits.
    pub views: PerView<Option<u32>>,
    /// The smaller number of features in each view.
    pub features: PerView<u32>,
    /// Whether one of the two is weak: distances to it are unreliable.
    pub weak: bool,
    /// The tensors, by name.
    pub tensors: Vec<TensorPair>,
}

/// A tensor of one model and the tensor of the other that it was matched with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TensorPair {
    /// Its number in the first model; `None` if it was added.
    pub a: Option<usize>,
    /// Its number in the second model; `None` if it was removed.
    pub b: Option<usize>,
    /// Why they were matched.
    pub how: Matched,
    /// The smallest distance of any view, in bits; 0 for the same bytes, `None` without codes.
    pub distance_bits: Option<u32>,
    /// The distance in each view, in bits.
    pub views: PerView<Option<u32>>,
}

/// Why two tensors were matched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Matched {
    /// The same bytes.
    Bytes,
    /// The nearest codes among tensors of the same axes.
    Codes,
    /// The same name and axes; one of them has no code.
    Name,
    /// Not at all: added or removed.
    Alone,
}

impl Matched {
    /// The reason in words, as printed.
    pub const fn name(self) -> &'static str {
        match self {
            Matched::Bytes => "bytes",
            Matched::Codes => "codes",
            Matched::Name => "name",
            Matched::Alone => "alone",
        }
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
    let mut matcher = Matcher::new(a, b);
    matcher.match_bytes();
    matcher.match_codes();
    matcher.match_names();
    Comparison {
        verdict,
        closeness,
        views,
        features,
        weak: a.hash.is_weak() || b.hash.is_weak(),
        tensors: matcher.finish(),
    }
}

/// The axes that tell tensors apart whatever their layout: sorted, without those of length 1.
fn axes(info: &TensorInfo) -> Vec<u64> {
    let mut axes: Vec<u64> = info.shape.iter().copied().filter(|&axis| axis != 1).collect();
    axes.sort_unstable();
    axes
}

struct Matcher<'a> {
    a: &'a HashedFile,
    b: &'a HashedFile,
    free_a: Vec<bool>,
    free_b: Vec<bool>,
    pairs: Vec<TensorPair>,
}

impl<'a> Matcher<'a> {
    fn new(a: &'a HashedFile, b: &'a HashedFile) -> Self {
        let (free_a, free_b) = (vec![true; a.tensors.len()], vec![true; b.tensors.len()]);
        Self { a, b, free_a, free_b, pairs: Vec::new() }
    }

    fn pair(&mut self, a: usize, b: usize, how: Matched) {
        (self.free_a[a], self.free_b[b]) = (false, false);
        let views = tensor_distances(&self.a.hash.tensors[a], &self.b.hash.tensors[b]);
        let distance_bits = if how == Matched::Bytes { Some(0) } else { nearest(&views) };
        self.pairs.push(TensorPair { a: Some(a), b: Some(b), how, distance_bits, views });
    }

    /// Equal bytes, equal type, equal axes; of several, the one with the same name, then the first free one.
    fn match_bytes(&mut self) {
        let key = |file: &HashedFile, number: usize| {
            (file.hash.tensors[number].bytes_digest, file.tensors[number].dtype, axes(&file.tensors[number]))
        };
        let mut named = HashMap::new();
        for number in 0..self.b.tensors.len() {
            named.insert((key(self.b, number), self.b.tensors[number].name.as_str()), number);
        }
        for number in 0..self.a.tensors.len() {
            let name = self.a.tensors[number].name.as_str();
            if let Some(&other) = named.get(&(key(self.a, number), name)) {
                self.pair(number, other, Matched::Bytes);
            }
        }
        let mut free: HashMap<_, Vec<usize>> = HashMap::new();
        for number in (0..self.b.tensors.len()).rev().filter(|&number| self.free_b[number]) {
            free.entry(key(self.b, number)).or_default().push(number);
        }
        for number in 0..self.a.tensors.len() {
            if self.free_a[number]
                && let Entry::Occupied(mut same) = free.entry(key(self.a, number))
                && let Some(other) = same.get_mut().pop()
            {
                self.pair(number, other, Matched::Bytes);
            }
        }
    }

    /// Among the free tensors of the same axes, the nearest pair first.
    fn match_codes(&mut self) {
        let by_axes = |file: &HashedFile, free: &[bool]| {
            let mut groups: HashMap<Vec<u64>, Vec<usize>> = HashMap::new();
            for number in (0..file.tensors.len()).filter(|&number| free[number]) {
                if file.hash.tensors[number].skipped.is_none() {
                    groups.entry(axes(&file.tensors[number])).or_default().push(number);
                }
            }
            groups
        };
        let (groups_a, groups_b) = (by_axes(self.a, &self.free_a), by_axes(self.b, &self.free_b));
        for (axes, ours) in &groups_a {
            if let Some(theirs) = groups_b.get(axes) {
                self.match_group(ours, theirs);
            }
        }
    }

    fn match_group(&mut self, ours: &[usize], theirs: &[usize]) {
        let mut candidates = Vec::new();
        let mut consider = |this: &Self, a: usize, b: usize| {
            let views = tensor_distances(&this.a.hash.tensors[a], &this.b.hash.tensors[b]);
            if let Some(bits) = nearest(&views) {
                let renamed = this.a.tensors[a].name != this.b.tensors[b].name;
                candidates.push((bits, renamed, a, b));
            }
        };
        if ours.len().saturating_mul(theirs.len()) <= MAX_PAIRS {
            for &a in ours {
                for &b in theirs {
                    consider(self, a, b);
                }
            }
        } else {
            let names: HashMap<&str, usize> =
                theirs.iter().map(|&b| (self.b.tensors[b].name.as_str(), b)).collect();
            for (&a, &neighbour) in ours.iter().zip(theirs.iter().cycle()) {
                let b = names.get(self.a.tensors[a].name.as_str()).copied().unwrap_or(neighbour);
                consider(self, a, b);
            }
        }
        candidates.sort_unstable();
        for (_, _, a, b) in candidates {
            if self.free_a[a] && self.free_b[b] {
                self.pair(a, b, Matched::Codes);
            }
        }
    }

    /// The free tensors of the same name and axes: those too small for a code.
    fn match_names(&mut self) {
        let names: HashMap<&str, usize> = (0..self.b.tensors.len())
            .filter(|&number| self.free_b[number])
            .map(|number| (self.b.tensors[number].name.as_str(), number))
            .collect();
        for number in 0..self.a.tensors.len() {
            if self.free_a[number]
                && let Some(&other) = names.get(self.a.tensors[number].name.as_str())
                && self.free_b[other]
                && axes(&self.a.tensors[number]) == axes(&self.b.tensors[other])
            {
                self.pair(number, other, Matched::Name);
            }
        }
    }

    /// The pairs and what is left, ordered by name.
    fn finish(mut self) -> Vec<TensorPair> {
        let alone =
            |a, b| TensorPair { a, b, how: Matched::Alone, distance_bits: None, views: PerView::default() };
        let removed = (0..self.free_a.len()).filter(|&number| self.free_a[number]);
        let added = (0..self.free_b.len()).filter(|&number| self.free_b[number]);
        self.pairs.extend(removed.map(|number| alone(Some(number), None)));
        self.pairs.extend(added.map(|number| alone(None, Some(number))));
        let (a, b) = (self.a, self.b);
        let name = |pair: &TensorPair| match (pair.a, pair.b) {
            (Some(number), _) => a.tensors[number].name.as_str(),
            (None, Some(number)) => b.tensors[number].name.as_str(),
            (None, None) => "",
        };
        self.pairs.sort_by(|x, y| name(x).cmp(name(y)).then((x.a, x.b).cmp(&(y.a, y.b))));
        self.pairs
    }
}

fn tensor_distances(a: &TensorHash, b: &TensorHash) -> PerView<Option<u32>> {
    distances(&a.views, &b.views)
}

fn nearest(views: &PerView<Option<u32>>) -> Option<u32> {
    views.0.iter().flatten().copied().min()
}
