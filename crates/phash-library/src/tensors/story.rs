//! Owns [`Story`]: what all the models in which tensors of a query stand say together. One model explains them, or two do: each
//! has what the other lacks, or every tensor lies between the two, as averaging leaves it.

use phash_core::View;

use super::evidence::MAX_CHANCE;
use super::finding::Finding;
use super::item::Item;
use super::parts::Match;
use super::standing::{KEPT_BITS, Standing};

/// Only so many of the models are looked at as parents of a merge.
const MAX_PARENTS: usize = 16;
/// A tensor lies between two others if the way over it is at most so many times the direct one. A common parent of two
/// fine-tunes, which is no merge, lies at about 1.4.
const DETOUR: f64 = 1.25;
/// A parent that is nearer than this share of the way to the other is no parent of a merge but the model itself.
const LEAST_SHARE: f64 = 0.1;

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
    pub(super) fn of(items: &[Item], matches: &[Match]) -> Self {
        let Some(first) = matches.first() else { return Story::Nothing };
        if matches!(first.hit.finding, Finding::SameTensors | Finding::AllKept { .. }) {
            return Story::One;
        }
        between(items, matches).or_else(|| joined(matches)).unwrap_or(Story::One)
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

/// The model that has most of what the first one lacks, if any has.
fn joined(matches: &[Match]) -> Option<Story> {
    let (first, others) = matches.split_first()?;
    let is_missing = |number: usize| !first.hit.places[number].as_ref().is_some_and(super::Place::is_found);
    let only_in = |other: &Match| {
        let proven = other.pairs.iter().filter(|pair| {
            let found = matches!(pair.standing, Standing::Kept | Standing::Changed);
            // One of many models: chance had so many trials.
            found && pair.chance * matches.len() as f64 <= MAX_CHANCE
        });
        proven.filter_map(|pair| pair.a).filter(|&number| is_missing(number)).count()
    };
    let counts = others.iter().map(only_in).enumerate();
    let (place, in_second) = counts.max_by_key(|&(place, count)| (count, std::cmp::Reverse(place)))?;
    let tally = first.hit.tally;
    (in_second > 0).then_some(Story::Joined {
        second: place + 1,
        in_first: tally.found(),
        in_second,
        of: tally.decidable(),
    })
}

/// The two models between which most tensors lie, if there are such.
fn between(items: &[Item], matches: &[Match]) -> Option<Story> {
    let parents = &matches[..matches.len().min(MAX_PARENTS)];
    let mut best: Option<(f64, Story)> = None;
    for (x, first) in parents.iter().enumerate() {
        for (y, second) in parents.iter().enumerate().skip(x + 1) {
            let Some((detour, story)) = is_between(items, [(x, first), (y, second)]) else { continue };
            if best.as_ref().is_none_or(|(least, _)| detour < *least) {
                best = Some((detour, story));
            }
        }
    }
    best.map(|(_, story)| story)
}

fn is_between(items: &[Item], [(x, first), (y, second)]: [(usize, &Match); 2]) -> Option<(f64, Story)> {
    let of = first.hit.tally.decidable().max(second.hit.tally.decidable());
    let partner = |of: &Match| {
        let mut partners = vec![None; items.len()];
        for pair in &of.pairs {
            if let (Some(a), Standing::Kept | Standing::Changed) = (pair.a, pair.standing) {
                partners[a] = pair.b;
            }
        }
        partners
    };
    let (in_first, in_second) = (partner(first), partner(second));
    let (mut tensors, mut views) = (0, 0u32);
    let (mut to_first, mut to_second, mut direct) = (0u32, 0u32, 0u32);
    for (number, item) in items.iter().enumerate() {
        let (Some(a), Some(b)) = (in_first[number], in_second[number]) else { continue };
        let (a, b) = (&first.items[a], &second.items[b]);
        tensors += 1;
        for view in View::ALL {
            let (Some(q), Some(a), Some(b)) = (item.views[view].code, a.views[view].code, b.views[view].code) else {
                continue;
            };
            views += 1;
            to_first += q.distance(&a);
            to_second += q.distance(&b);
            direct += a.distance(&b);
        }
    }
    // Parents that are alike are no two parents.
    if 2 * tensors < of || direct <= views * KEPT_BITS {
        return None;
    }
    let least = LEAST_SHARE * f64::from(direct);
    let detour = f64::from(to_first + to_second) / f64::from(direct);
    if f64::from(to_first.min(to_second)) < least || detour > DETOUR {
        return None;
    }
    let parents = if to_first <= to_second { [x, y] } else { [y, x] };
    Some((detour, Story::Between { parents, tensors, of }))
}
