//! Owns which tensor of one model is which of another: one to one, first those with the same bytes, then the nearest codes
//! among those with the same axes as far as they prove something, then the same names. What is left was added or removed.

use std::collections::BTreeMap;
use std::collections::HashMap;
use std::collections::hash_map::Entry;

use phash_core::PerView;

use super::evidence::{MAX_CHANCE, chance, is_decidable};
use super::standing::{Standing, is_near};
use super::tensor::Tensor;
use crate::verdict::distances;

/// Within one shape, every pair of tensors is compared if there are at most this many pairs; beyond, only tensors of
/// the same name and neighbours in order are, so that a hostile file cannot ask for 10^10 distances.
const MAX_PAIRS: usize = 4_000_000;

/// What a partner by name was chosen from, as it were: codes had the first choice, names the second.
const NAMED_OTHERS: usize = 2;

/// A tensor of one model and the tensor of the other that it was matched with.
#[derive(Clone, Debug, PartialEq)]
pub struct TensorPair {
    /// Its number in the first model; `None` if it was added.
    pub a: Option<usize>,
    /// Its number in the second model; `None` if it was removed.
    pub b: Option<usize>,
    /// Why they were matched.
    pub how: Matched,
    /// What became of it.
    pub standing: Standing,
    /// The probability that an unrelated model has a tensor that close, by the codes; 1 without codes.
    pub chance: f64,
    /// The smallest distance of any view, in bits; 0 for the same bytes, `None` without codes.
    pub distance_bits: Option<u32>,
    /// The distance in each view, in bits.
    pub views: PerView<Option<u32>>,
}

impl TensorPair {
    /// Whether the first model's tensor stands in the second one, changed or not.
    pub fn is_found(&self) -> bool {
        self.standing.is_found()
    }

    /// Whether the tensor (the first model's, if it is there) has a code: those without one are too small to count.
    pub(crate) fn has_code(&self, a: &[Tensor], b: &[Tensor]) -> bool {
        match (self.a, self.b) {
            (Some(number), _) => a[number].has_code(),
            (None, Some(number)) => b[number].has_code(),
            (None, None) => false,
        }
    }
}

/// Why two tensors were matched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Matched {
    /// The same bytes.
    Bytes,
    /// The nearest codes among tensors of the same axes, nearer than chance explains.
    Codes,
    /// The same name and axes; their codes prove nothing, or there are none.
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

/// Matches the tensors of two models. O(tensors log tensors), and within one shape O(n^2) up to 4 million pairs. The pairs come in
/// the order of `a`, what is only in `b` at the end.
pub(crate) fn pair(a: &[Tensor], b: &[Tensor]) -> Vec<TensorPair> {
    let mut pairing = Pairing::new(a, b);
    pairing.match_bytes();
    pairing.match_codes();
    pairing.match_names();
    pairing.mark_other_bytes();
    pairing.finish()
}

struct Pairing<'a> {
    a: &'a [Tensor],
    b: &'a [Tensor],
    free_a: Vec<bool>,
    free_b: Vec<bool>,
    pairs: Vec<TensorPair>,
    /// How many tensors of `b` with a code have these axes.
    peers: BTreeMap<&'a [u64], usize>,
}

impl<'a> Pairing<'a> {
    fn new(a: &'a [Tensor], b: &'a [Tensor]) -> Self {
        let peers = count_axes(b.iter().filter(|item| item.has_code()));
        Self { a, b, free_a: vec![true; a.len()], free_b: vec![true; b.len()], pairs: Vec::new(), peers }
    }

    fn peers(&self, item: &Tensor) -> usize {
        self.peers.get(item.axes.as_slice()).copied().unwrap_or(0)
    }

    fn pair(&mut self, a: usize, b: usize, how: Matched) {
        (self.free_a[a], self.free_b[b]) = (false, false);
        let (x, y) = (&self.a[a], &self.b[b]);
        let views = distances(&x.views, &y.views);
        // A name picks its partner before the codes are looked at: no choice among peers.
        let others = if how == Matched::Name { NAMED_OTHERS } else { self.peers(x) };
        let (standing, distance_bits) = match how {
            Matched::Bytes => (Standing::Kept, Some(0)),
            _ => (Standing::of_codes(&x.views, &y.views, others), nearest(&views)),
        };
        let chance = chance(&x.views, &y.views, others);
        self.pairs.push(TensorPair { a: Some(a), b: Some(b), how, standing, chance, distance_bits, views });
    }

    /// Equal bytes, equal type, equal axes; of several, the one with the same name, then the first free one.
    fn match_bytes(&mut self) {
        fn key(item: &Tensor) -> Option<([u8; 32], &str, &[u64])> {
            Some((item.bytes_digest?.0, item.dtype.as_str(), item.axes.as_slice()))
        }
        let (a, b) = (self.a, self.b);
        let named: HashMap<_, usize> = b
            .iter()
            .enumerate()
            .filter_map(|(number, item)| Some(((key(item)?, &item.name), number)))
            .collect();
        for (number, item) in a.iter().enumerate() {
            if let Some(key) = key(item)
                && let Some(&other) = named.get(&(key, &item.name))
                && self.free_b[other]
            {
                self.pair(number, other, Matched::Bytes);
            }
        }
        let mut free: HashMap<_, Vec<usize>> = HashMap::new();
        for number in (0..b.len()).rev().filter(|&number| self.free_b[number]) {
            if let Some(key) = key(&b[number]) {
                free.entry(key).or_default().push(number);
            }
        }
        for (number, item) in a.iter().enumerate() {
            if self.free_a[number]
                && let Some(key) = key(item)
                && let Entry::Occupied(mut same) = free.entry(key)
                && let Some(other) = same.get_mut().pop()
            {
                self.pair(number, other, Matched::Bytes);
            }
        }
    }

    /// Among the free tensors of the same axes, the nearest pair first.
    fn match_codes(&mut self) {
        fn by_axes<'t>(items: &'t [Tensor], free: &[bool]) -> BTreeMap<&'t [u64], Vec<usize>> {
            let mut groups: BTreeMap<&[u64], Vec<usize>> = BTreeMap::new();
            for (number, item) in items.iter().enumerate() {
                if free[number] && item.has_code() {
                    groups.entry(item.axes.as_slice()).or_default().push(number);
                }
            }
            groups
        }
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
            let (x, y) = (&this.a[a], &this.b[b]);
            if let Some(bits) = nearest(&distances(&x.views, &y.views)) {
                candidates.push((bits, x.name != y.name, a, b));
            }
        };
        if ours.len().saturating_mul(theirs.len()) <= MAX_PAIRS {
            for &a in ours {
                for &b in theirs {
                    consider(self, a, b);
                }
            }
        } else {
            let names: HashMap<&str, usize> = theirs.iter().map(|&b| (self.b[b].name.as_str(), b)).collect();
            for (&a, &neighbour) in ours.iter().zip(theirs.iter().cycle()) {
                consider(self, a, names.get(self.a[a].name.as_str()).copied().unwrap_or(neighbour));
            }
        }
        candidates.sort_unstable();
        for (_, _, a, b) in candidates {
            if self.free_a[a] && self.free_b[b] && self.is_evident(a, b) {
                self.pair(a, b, Matched::Codes);
            }
        }
    }

    /// Whether the codes say that one tensor was made from the other, or are so near that nothing else is likelier.
    fn is_evident(&self, a: usize, b: usize) -> bool {
        let (x, y) = (&self.a[a], &self.b[b]);
        is_near(&x.views, &y.views) || chance(&x.views, &y.views, self.peers(x)) <= MAX_CHANCE
    }

    /// The free tensors of the same name and axes: those too small for a code, and those replaced.
    fn match_names(&mut self) {
        let names: HashMap<&str, usize> = (0..self.b.len())
            .filter(|&number| self.free_b[number])
            .map(|number| (self.b[number].name.as_str(), number))
            .collect();
        for number in 0..self.a.len() {
            if self.free_a[number]
                && let Some(&other) = names.get(self.a[number].name.as_str())
                && self.free_b[other]
                && self.a[number].axes == self.b[other].axes
            {
                self.pair(number, other, Matched::Name);
            }
        }
    }

    /// Marks what bytes alone can tell: where most tensors have the same bytes, nothing was converted, and one of the same
    /// type and shape with other bytes was changed, however little.
    fn mark_other_bytes(&mut self) {
        let (a, b) = (self.a, self.b);
        let comparable = |pair: &TensorPair| {
            let (x, y) = (&a[pair.a?], &b[pair.b?]);
            let known = x.bytes_digest.is_some() && y.bytes_digest.is_some();
            (known && x.dtype == y.dtype && x.shape == y.shape).then_some(pair.how == Matched::Bytes)
        };
        // Biases and norms often stay what they were while the rest is converted.
        let coded = || self.pairs.iter().filter(|pair| pair.has_code(a, b));
        let same = |wanted: bool| coded().filter(|pair| comparable(pair) == Some(wanted)).count();
        if same(true) <= same(false) {
            return;
        }
        for pair in &mut self.pairs {
            let open = matches!(pair.standing, Standing::Kept | Standing::TooSmall);
            if open && comparable(pair) == Some(false) {
                pair.standing = Standing::Changed;
            }
        }
    }

    /// The pairs and what is left.
    fn finish(mut self) -> Vec<TensorPair> {
        let alone = |a, b, standing| TensorPair {
            a,
            b,
            how: Matched::Alone,
            standing,
            chance: 1.0,
            distance_bits: None,
            views: PerView::default(),
        };
        let left = |free: &[bool]| (0..free.len()).filter(|&number| free[number]).collect::<Vec<_>>();
        let (removed, added) = (left(&self.free_a), left(&self.free_b));
        let (axes_a, axes_b) = (count_axes(self.a), count_axes(self.b));
        for number in removed {
            let standing = without_partner(&self.a[number], &axes_b, Standing::Removed);
            self.pairs.push(alone(Some(number), None, standing));
        }
        for number in added {
            let standing = without_partner(&self.b[number], &axes_a, Standing::Added);
            self.pairs.push(alone(None, Some(number), standing));
        }
        self.pairs.sort_by_key(|pair| (pair.a.is_none(), pair.a, pair.b));
        self.pairs
    }
}

/// How many of the tensors have the same axes.
fn count_axes<'t>(items: impl IntoIterator<Item = &'t Tensor>) -> BTreeMap<&'t [u64], usize> {
    let mut counts = BTreeMap::new();
    for item in items {
        *counts.entry(item.axes.as_slice()).or_insert(0) += 1;
    }
    counts
}

/// What became of a tensor without a partner: removed, or added, if it would have been recognised among the other model's
/// tensors, of which so many have each axes.
fn without_partner(item: &Tensor, others: &BTreeMap<&[u64], usize>, standing: Standing) -> Standing {
    let peers = others.get(item.axes.as_slice()).copied().unwrap_or(0);
    let certain = peers == 0 || !item.has_code() || is_decidable(&item.views, peers);
    if certain { standing } else { Standing::TooSmall }
}

/// The smallest distance of any view.
pub(crate) fn nearest(views: &PerView<Option<u32>>) -> Option<u32> {
    views.0.iter().flatten().copied().min()
}
