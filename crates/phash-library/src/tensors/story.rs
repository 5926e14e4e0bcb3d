//! Owns [`Story`]: what all the models in which tensors of a query stand say together. One model explains them, or two do: each
//! has what the other lacks, or every tensor lies between the two, as averaging leaves it.

use phash_core::{CODE_BITS, PerView, View};

use super::evidence::MAX_CHANCE;
use super::finding::Finding;
use super::pairing::TensorPair;
use super::parts::Match;
use super::standing::{KEPT_BITS, Standing, is_near};
use super::tensor::Tensor;

/// A tensor that stands in two models comes from the one that is so many times nearer.
const NEARER: f64 = 4.0;
/// Only so many of the models are looked at as parents of a merge.
const MAX_PARENTS: usize = 16;
/// A tensor lies between two related ones if the way over it is at most so many times the direct one. A common parent of two
/// fine-tunes, which is no merge, lies at about 1.4.
const DETOUR: f64 = 1.25;
/// The same between two unrelated ones, which have no common parent.
const DETOUR_OF_STRANGERS: f64 = 1.4;
/// Parents at least this far apart on average are unrelated.
const STRANGER_BITS: u32 = CODE_BITS * 2 / 5;
/// Between means nearer to each than this share of the way between them, and farther than that of the model itself.
const SHARES: std::ops::RangeInclusive<f64> = 0.1..=0.9;

/// What the reported models say together; places are places in the list of models.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Story {
    /// No stored model has a tensor of the query.
    Nothing,
    /// The first model explains most: its finding says how.
    One,
    /// What the first lacks stands in another one.
    Joined {
        /// Place of the second model.
        second: usize,
        /// Tensors that stand in the first model.
        in_first: usize,
        /// Tensors that stand only in the second.
        in_second: usize,
        /// Tensors of which something can be said.
        of: usize,
    },
    /// The tensors lie between those of two models: their average.
    Between {
        /// Places of the two models, the nearer first.
        parents: [usize; 2],
        /// Tensors that stand in both.
        tensors: usize,
        /// Tensors of which something can be said.
        of: usize,
    },
}

impl Story {
    /// The story of matches in their order.
    pub(super) fn of(items: &[Tensor], matches: &[Match]) -> Self {
        let Some(first) = matches.first() else { return Story::Nothing };
        if matches!(first.hit.finding, Finding::SameTensors | Finding::AllKept { .. }) {
            return Story::One;
        }
        joined(items, matches).or_else(|| between(items, matches)).unwrap_or(Story::One)
    }

    /// How many of the models the story needs.
    pub(super) fn models(&self) -> usize {
        match self {
            Story::Nothing => 0,
            Story::One => 1,
            Story::Joined { second, .. } => second + 1,
            Story::Between { parents, .. } => parents[0].max(parents[1]) + 1,
        }
    }

    /// The story in a word, for programs.
    pub const fn name(&self) -> &'static str {
        match self {
            Story::Nothing => "nothing",
            Story::One => "one",
            Story::Joined { .. } | Story::Between { .. } => "merge",
        }
    }
}

/// The model that has most of what the first one lacks, or has only changed, if any has.
fn joined(items: &[Tensor], matches: &[Match]) -> Option<Story> {
    let (first, others) = matches.split_first()?;
    let in_first = partners(items, first);
    let only_in = |other: &Match| {
        // One of many models: chance had so many trials.
        let proven = |pair: &&TensorPair| pair.is_found() && pair.chance * matches.len() as f64 <= MAX_CHANCE;
        let of_other =
            |pair: &&TensorPair| match pair.a.and_then(|a| in_first[a]).filter(|pair| pair.is_found()) {
                Some(known) => {
                    known.standing == Standing::Changed && NEARER * mean_bits(pair) < mean_bits(known)
                }
                None => true,
            };
        other.pairs.iter().filter(proven).filter(of_other).count()
    };
    let counts = others.iter().map(only_in).enumerate();
    let (place, in_second) = counts.max_by_key(|&(place, count)| (count, std::cmp::Reverse(place)))?;
    let (found, of) = (first.hit.tally.found(), first.hit.tally.decidable());
    let in_first = found.min(of.saturating_sub(in_second));
    (in_second > 0 && in_first > 0).then_some(Story::Joined { second: place + 1, in_first, in_second, of })
}

/// The mean distance over the views.
fn mean_bits(pair: &TensorPair) -> f64 {
    let bits: Vec<f64> = pair.views.0.iter().flatten().map(|&bits| f64::from(bits)).collect();
    bits.iter().sum::<f64>() / bits.len().max(1) as f64
}

/// The mean distance of the tensors that stand in a model.
fn mean_bits_of_found(found: &Match) -> f64 {
    let pairs: Vec<f64> = found.pairs.iter().filter(|pair| pair.is_found()).map(mean_bits).collect();
    pairs.iter().sum::<f64>() / pairs.len().max(1) as f64
}

/// The two models between which most tensors lie, if there are such.
fn between(items: &[Tensor], matches: &[Match]) -> Option<Story> {
    let parents = &matches[..matches.len().min(MAX_PARENTS)];
    let far: Vec<f64> = parents.iter().map(mean_bits_of_found).collect();
    let nearest = far.iter().copied().fold(f64::INFINITY, f64::min);
    let mut best: Option<(f64, Story)> = None;
    for (x, first) in parents.iter().enumerate() {
        for (y, second) in parents.iter().enumerate().skip(x + 1) {
            // Between two relatives lie others of the family: what is one of them is no average.
            if 2.0 * nearest < far[x].min(far[y]) {
                continue;
            }
            let Some((detour, story)) = is_between(items, [(x, first), (y, second)]) else { continue };
            if best.as_ref().is_none_or(|(least, _)| detour < *least) {
                best = Some((detour, story));
            }
        }
    }
    best.map(|(_, story)| story)
}

fn is_between(items: &[Tensor], [(x, first), (y, second)]: [(usize, &Match); 2]) -> Option<(f64, Story)> {
    let of = first.hit.tally.decidable().max(second.hit.tally.decidable());
    let (in_first, in_second) = (partners(items, first), partners(items, second));
    let (mut tensors, mut ways) = (0, PerView::<Ways>::default());
    for (number, item) in items.iter().enumerate().filter(|(_, item)| item.has_code()) {
        let (Some(a), Some(b)) = (in_first[number], in_second[number]) else { continue };
        let (Some(in_a), Some(in_b)) = (a.b, b.b) else { continue };
        // What both parents have says nothing.
        if is_near(&first.items[in_a].views, &second.items[in_b].views) {
            continue;
        }
        tensors += usize::from(a.is_found() && b.is_found());
        for view in View::ALL {
            let code = |item: &Tensor| item.views[view].code;
            if let (Some(q), Some(a), Some(b)) =
                (code(item), code(&first.items[in_a]), code(&second.items[in_b]))
            {
                ways[view].add(q.distance(&a), q.distance(&b), a.distance(&b));
            }
        }
    }
    let (detour, way) =
        ways.0.iter().filter_map(|way| Some((way.detour()?, way))).min_by(|a, b| a.0.total_cmp(&b.0))?;
    let parents = if way.to_first <= way.to_second { [x, y] } else { [y, x] };
    (tensors > 0).then_some((detour, Story::Between { parents, tensors, of }))
}

/// Distances in one view, summed over tensors: from the query to both models, and between these.
#[derive(Clone, Copy, Debug, Default)]
struct Ways {
    to_first: u32,
    to_second: u32,
    direct: u32,
    tensors: u32,
}

impl Ways {
    fn add(&mut self, to_first: u32, to_second: u32, direct: u32) {
        self.to_first = self.to_first.saturating_add(to_first);
        self.to_second = self.to_second.saturating_add(to_second);
        self.direct = self.direct.saturating_add(direct);
        self.tensors += 1;
    }

    /// How many times the direct way the way over the query is, if it lies between.
    fn detour(&self) -> Option<f64> {
        // Parents that are alike are no two parents.
        if self.direct <= self.tensors.saturating_mul(KEPT_BITS) {
            return None;
        }
        let strangers = self.direct >= self.tensors.saturating_mul(STRANGER_BITS);
        let limit = if strangers { DETOUR_OF_STRANGERS } else { DETOUR };
        let share = |way: u32| f64::from(way) / f64::from(self.direct);
        let (first, second) = (share(self.to_first), share(self.to_second));
        let between = SHARES.contains(&first) && SHARES.contains(&second);
        Some(first + second).filter(|&detour| between && detour <= limit)
    }
}

/// For each tensor of the query the pair that it is in, if any.
fn partners<'m>(items: &[Tensor], found: &'m Match) -> Vec<Option<&'m TensorPair>> {
    let mut partners = vec![None; items.len()];
    found
        .pairs
        .iter()
        .filter_map(|pair| Some((pair.a?, pair)))
        .for_each(|(a, pair)| partners[a] = Some(pair));
    partners
}
