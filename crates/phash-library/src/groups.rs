//! Groups of copies among models that are not in a database: which of them are joined by matches, and how far each is
//! from the one in the middle.
//!
//! Two models are joined if their E-value, by all views together and with the number of models each is compared with, is at
//! most the given one, or if their contents are identical. Joining is transitive: a group is a connected component.

use phash_core::{Digest, ModelCode, PerView, View, ViewHash, radius_for_e_value};
use phash_index::UnionFind;

use crate::error::Result;
use crate::pipeline::HashedFile;
use crate::search::ViewSearch;
use crate::verdict::{Closeness, Verdict, closeness, common_features, distances};

/// Beyond so many members the middle of a group is not looked for: the shortest name stands for it.
const MAX_MEDOID: usize = 1_000;
/// Beyond so many models the nearest other model of those that stand alone is not looked for.
const MAX_NEAREST: usize = 20_000;

/// What grouping needs of a hashed file.
#[derive(Clone, Debug)]
pub struct Fingerprint {
    /// The path as it was given.
    pub name: String,
    /// Codes and features.
    pub views: PerView<ViewHash>,
    /// Digest of the contents.
    pub content_digest: Digest,
    /// Whether it has too few features to be sure of anything.
    pub weak: bool,
}

impl Fingerprint {
    /// The distance in each view in which both have a code, in bits.
    pub fn distances(&self, other: &Self) -> PerView<Option<u32>> {
        distances(&self.views, &other.views)
    }
}

impl From<&HashedFile> for Fingerprint {
    fn from(file: &HashedFile) -> Self {
        Self {
            name: file.name.clone(),
            views: file.hash.views,
            content_digest: file.hash.content_digest,
            weak: file.hash.is_weak(),
        }
    }
}

/// Another model and how close it is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Neighbour {
    /// Its place in the slice that was grouped.
    pub model: usize,
    /// How close it is; `None` if they share no view.
    pub closeness: Option<Closeness>,
    /// The relation in a word.
    pub verdict: Verdict,
}

/// A member of a group.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Member {
    /// The member, and how close the group's representative is to it.
    pub model: Neighbour,
    /// The nearest other member, if that is why it belongs here: it does not match the representative itself.
    pub through: Option<Neighbour>,
}

/// Copies of one another.
#[derive(Clone, Debug, PartialEq)]
pub struct Group {
    /// The model that the distances are to: the one in the middle.
    pub representative: usize,
    /// The others, by distance, then name.
    pub members: Vec<Member>,
}

/// The result of [`group`].
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Grouping {
    /// The groups, largest first, then by the representative's name.
    pub groups: Vec<Group>,
    /// Models that belong to no group, in the order given, each with the nearest other one (not looked for among more
    /// than 20,000 models).
    pub alone: Vec<(usize, Option<Neighbour>)>,
}

/// Groups models.
///
/// Exact: every pair within `max_e_value` is found. One search over all models for each view of each model with other contents,
/// plus the pairs found.
///
/// # Errors
/// If an index segment cannot be built (a fault of this program).
pub fn group(models: &[Fingerprint], max_e_value: f64) -> Result<Grouping> {
    let grouper = Grouper::new(models, max_e_value)?;
    // Models have ids of 32 bits, as everywhere: more do not fit in memory.
    let mut sets = UnionFind::new(u32::try_from(models.len()).unwrap_or(u32::MAX));
    for model in grouper.join_identical(&mut sets) {
        for other in grouper.matches(model as usize) {
            sets.unite(model, other);
        }
    }
    let mut grouping = Grouping::default();
    for set in sets.into_sets(1).iter() {
        match *set {
            [alone] => grouping.alone.push((alone as usize, grouper.nearest(alone as usize))),
            _ => grouping.groups.push(grouper.group_of(set)),
        }
    }
    grouping.groups.sort_by(|a, b| {
        let key = |group: &Group| std::cmp::Reverse(group.members.len());
        key(a).cmp(&key(b)).then_with(|| models[a.representative].name.cmp(&models[b.representative].name))
    });
    Ok(grouping)
}

struct Grouper<'m> {
    models: &'m [Fingerprint],
    max_e_value: f64,
    /// How many models each is compared with.
    compared_with: u64,
    searches: PerView<ViewSearch<Vec<ModelCode>>>,
}

impl<'m> Grouper<'m> {
    fn new(models: &'m [Fingerprint], max_e_value: f64) -> Result<Self> {
        let search = |view: View| {
            let codes =
                models.iter().map(|model| model.views[view].code.unwrap_or(ModelCode::ZERO)).collect();
            let voids = (0u32..).zip(models).filter(|(_, model)| model.views[view].code.is_none());
            ViewSearch::in_memory(view, codes, voids.map(|(id, _)| id).collect())
        };
        let searches = PerView::try_from_fn(search)?;
        let compared_with = models.len().saturating_sub(1).max(1) as u64;
        Ok(Self { models, max_e_value, compared_with, searches })
    }

    /// Joins models of the same contents, and gives the first one of each: what matches it matches the others.
    fn join_identical(&self, sets: &mut UnionFind) -> Vec<u32> {
        let mut first = std::collections::HashMap::new();
        let mut distinct = Vec::new();
        for (number, model) in (0..sets.len()).zip(self.models) {
            let same = *first.entry(model.content_digest).or_insert(number);
            sets.unite(number, same);
            if same == number {
                distinct.push(number);
            }
        }
        distinct
    }

    /// The models that match this one, by the E-value.
    fn matches(&self, model: usize) -> Vec<u32> {
        let views = &self.models[model].views;
        let features = PerView::from_fn(|view| views[view].code.map(|_| views[view].features));
        let radii = radius_for_e_value(&features, self.max_e_value, self.compared_with);
        let mut found = Vec::new();
        for (view, radius_bits) in radii.iter() {
            let Some((code, radius_bits)) = views[view].code.zip(*radius_bits) else { continue };
            found.extend(self.searches[view].within(&code, radius_bits).iter().map(|&(id, _)| id));
        }
        found.sort_unstable();
        found.dedup();
        found
            .retain(|&other| other as usize != model && self.is_match(self.closeness(model, other as usize)));
        found
    }

    fn is_match(&self, closeness: Option<Closeness>) -> bool {
        closeness.is_some_and(|closeness| closeness.e_value <= self.max_e_value)
    }

    fn closeness(&self, a: usize, b: usize) -> Option<Closeness> {
        let (a, b) = (&self.models[a].views, &self.models[b].views);
        closeness(&distances(a, b), &common_features(a, b), self.compared_with)
    }

    /// How close `other` is to `model`.
    fn neighbour(&self, model: usize, other: usize) -> Neighbour {
        let closeness = self.closeness(model, other);
        let identical = self.models[model].content_digest == self.models[other].content_digest;
        let verdict = if identical { Verdict::IdenticalContents } else { Verdict::of(closeness) };
        Neighbour { model: other, closeness, verdict }
    }

    /// The nearest other model, whatever the distance.
    fn nearest(&self, model: usize) -> Option<Neighbour> {
        if self.models.len() > MAX_NEAREST {
            return None;
        }
        let mut nearest: Option<Neighbour> = None;
        for (view, hash) in self.models[model].views.iter() {
            let Some(code) = hash.code else { continue };
            for (other, _) in self.searches[view].nearest(&code, 2) {
                if other as usize == model {
                    continue;
                }
                let found = self.neighbour(model, other as usize);
                if nearest.is_none_or(|nearest| rank(&found) < rank(&nearest)) {
                    nearest = Some(found);
                }
            }
        }
        nearest
    }

    fn group_of(&self, set: &[u32]) -> Group {
        let set: Vec<usize> = set.iter().map(|&model| model as usize).collect();
        let representative = self.representative(&set);
        let matches = |neighbour: &Neighbour| {
            neighbour.verdict == Verdict::IdenticalContents || self.is_match(neighbour.closeness)
        };
        let mut members: Vec<Member> = set
            .iter()
            .filter(|&&model| model != representative)
            .map(|&model| {
                let to_representative = self.neighbour(representative, model);
                let through = if matches(&to_representative) {
                    None
                } else {
                    let others = set.iter().filter(|&&other| other != model);
                    others.map(|&other| self.neighbour(model, other)).filter(matches).min_by_key(rank)
                };
                Member { model: to_representative, through }
            })
            .collect();
        members.sort_by(|a, b| {
            let name = |member: &Member| &self.models[member.model.model].name;
            rank(&a.model).cmp(&rank(&b.model)).then_with(|| name(a).cmp(name(b)))
        });
        Group { representative, members }
    }

    /// The member with the smallest sum of distances to the others; of several, the one with the shortest name (which is
    /// rarely the copy), then the first by name.
    fn representative(&self, set: &[usize]) -> usize {
        let name = |model: usize| (self.models[model].name.len(), self.models[model].name.as_str());
        if set.len() > MAX_MEDOID {
            return set.iter().copied().min_by_key(|&model| name(model)).unwrap_or_default();
        }
        let sum = |model: usize| -> u64 {
            set.iter().map(|&other| u64::from(rank(&self.neighbour(model, other)))).sum()
        };
        let sums = set.iter().map(|&model| (sum(model), name(model), model));
        sums.min().map_or(0, |(_, _, model)| model)
    }
}

/// Distance for ordering: identical contents first, no common view last.
fn rank(neighbour: &Neighbour) -> u32 {
    match neighbour.verdict {
        Verdict::IdenticalContents => 0,
        _ => neighbour.closeness.map_or(u32::MAX, |closeness| closeness.distance_bits + 1),
    }
}
