//! Owns the search by parts: in which stored models the tensors of a model stand, how many, how sure that is, and what it says.
//!
//! A model is reported if it has a clue (see `clues`) or matches as a whole, if its E-value is small enough, and if at least one
//! tensor stands in it. The order: the share of weights found, then tensors kept, then distances, then id.

use std::collections::BTreeMap;

use phash_core::PerView;

use super::clues::{MAX_CANDIDATES, StoredCodes, clues};
use super::finding::Finding;
use super::pairing::{TensorPair, pair};
use super::standing::{Standing, Tally};
use super::story::Story;
use super::tensor::Tensor;
use crate::error::{Error, Result};
use crate::library::Library;
use crate::pipeline::HashedFile;
use crate::query::{Mode, Query};

/// Which models are reported.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PartsLimits {
    /// At most so many models.
    pub models: usize,
    /// Only those with an E-value of at most this.
    pub max_e_value: f64,
}

/// Where the tensors of a model stand.
#[derive(Clone, Debug, PartialEq)]
pub struct Parts {
    /// What the query's tensors are, in its order: all of them, those without a code too.
    pub tensors: Vec<TensorPlaces>,
    /// The stored models in which some stand.
    pub models: Vec<PartHit>,
    /// How many models were found in all: more than `models` if the limit cut them.
    pub found: u64,
    /// What it says as a whole.
    pub story: Story,
}

/// A tensor of the query and where it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TensorPlaces {
    /// Its name.
    pub name: String,
    /// Sizes of the axes.
    pub shape: Vec<u64>,
    /// Whether it has a code: others are not searched for.
    pub has_code: bool,
    /// In how many of the reported models it stands, kept or changed.
    pub models: usize,
    /// The reported model (its place in the list) in which it stands nearest; of equals the first.
    pub nearest: Option<(usize, Place)>,
}

/// A stored tensor that a tensor of the query was matched with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The stored tensor's name.
    pub name: String,
    /// What became of it.
    pub standing: Standing,
    /// The smallest distance of any view, in bits.
    pub distance_bits: u32,
    /// The distance in each view, in bits.
    pub views: PerView<Option<u32>>,
}

/// A stored model in which tensors of the query stand.
#[derive(Clone, Debug, PartialEq)]
pub struct PartHit {
    /// The model's id.
    pub id: u32,
    /// The path as it was given when the model was ingested.
    pub label: String,
    /// What the query's tensors are to this model.
    pub finding: Finding,
    /// How many of them stand how.
    pub tally: Tally,
    /// The share of the query's weights (in tensors with a code) that stand in this model, 0 to 1.
    pub weights_share: f64,
    /// The number of unrelated models expected in the library with as much of the query.
    pub e_value: f64,
    /// For each tensor of the query the stored one it was matched with: kept, changed, replaced or too small to say.
    pub places: Vec<Option<Place>>,
}

/// A stored model that was matched with the query.
#[derive(Debug)]
pub(super) struct Match {
    pub(super) hit: PartHit,
    pub(super) items: Vec<Tensor>,
    pub(super) pairs: Vec<TensorPair>,
}

impl Library {
    /// Where the tensors of a hashed file stand.
    ///
    /// Exact: one pass over the codes of all stored tensors, and then a look at each tensor of at most 1,000 models. Memory does
    /// not grow with the library.
    ///
    /// # Errors
    /// [`Error::NoCode`] if no tensor has a code, [`Error::Store`] if the database cannot be read.
    pub fn parts(&self, file: &HashedFile, limits: PartsLimits) -> Result<Parts> {
        let codes = StoredCodes::open(self.reader())?;
        self.parts_of(&Tensor::of_file(file), &codes, &Query::from(file), limits)
    }

    /// Where the tensors of a stored model stand in others.
    ///
    /// # Errors
    /// As [`Library::parts`], and [`Error::NoSuchModel`].
    pub fn parts_of_id(&self, id: u32, limits: PartsLimits) -> Result<Parts> {
        let query = self.query_for_id(id)?;
        let codes = StoredCodes::open(self.reader())?;
        self.parts_of(&self.stored_items(id, &codes)?, &codes, &query, limits)
    }

    fn parts_of(
        &self,
        items: &[Tensor],
        codes: &StoredCodes<'_>,
        query: &Query,
        limits: PartsLimits,
    ) -> Result<Parts> {
        if !items.iter().any(Tensor::has_code) {
            return Err(Error::NoCode { name: query.name.clone() });
        }
        let clues = clues(self.reader(), codes, items, query.except)?;
        // The models' own E-values: one can match as a whole though no tensor by itself is a clue.
        let mut wholes: BTreeMap<u32, f64> = BTreeMap::new();
        match self.query(query, Mode::EValue(limits.max_e_value), &phash_core::View::ALL) {
            Ok(hits) => {
                wholes.extend(hits.iter().take(MAX_CANDIDATES).map(|hit| (hit.id, hit.closeness.e_value)))
            }
            Err(Error::NoCode { .. }) => {}
            Err(error) => return Err(error),
        }
        let mut ids: Vec<u32> = clues.candidates.iter().map(|candidate| candidate.id).collect();
        ids.extend(wholes.keys().copied().filter(|id| !clues.candidates.iter().any(|known| known.id == *id)));
        let mut matches = Vec::new();
        for id in ids {
            let whole = wholes.get(&id).copied();
            let found = self.match_model(id, items, codes, whole)?;
            matches.extend(found.filter(|found| found.hit.e_value <= limits.max_e_value));
        }
        matches.sort_by(|x, y| order(x).partial_cmp(&order(y)).unwrap_or(std::cmp::Ordering::Equal));
        let found = matches.len() as u64 + clues.models.saturating_sub(clues.candidates.len() as u64);
        let story = Story::of(items, &matches);
        let mut models: Vec<PartHit> = matches.into_iter().map(|found| found.hit).collect();
        models.truncate(limits.models.max(story.models()));
        Ok(Parts { tensors: places_of(items, &models), models, found, story })
    }

    /// The tensors of a stored model.
    fn stored_items(&self, id: u32, codes: &StoredCodes<'_>) -> Result<Vec<Tensor>> {
        let rows = self.reader().tensors(id)?;
        Ok(rows.into_iter().map(|row| Tensor::stored(codes.of(row.id), row)).collect())
    }

    /// The query's tensors in a stored model; `None` if none stands there.
    fn match_model(
        &self,
        id: u32,
        items: &[Tensor],
        codes: &StoredCodes<'_>,
        whole_e_value: Option<f64>,
    ) -> Result<Option<Match>> {
        let stored = self.stored_items(id, codes)?;
        let pairs = pair(items, &stored);
        let finding = Finding::of(&pairs, items, &stored);
        if !finding.is_related() {
            return Ok(None);
        }
        let tally = Tally::of_pairs(&pairs, items, &stored);
        let mut places: Vec<Option<Place>> = vec![None; items.len()];
        for pair in &pairs {
            if let (Some(a), Some(b), Some(distance_bits)) = (pair.a, pair.b, pair.distance_bits) {
                let name = stored[b].name.clone();
                places[a] = Some(Place { name, standing: pair.standing, distance_bits, views: pair.views });
            }
        }
        let hit = PartHit {
            id,
            label: self.reader().label(id)?.unwrap_or_default(),
            finding,
            tally,
            weights_share: weights_share(items, &places),
            e_value: e_value(items, &pairs, u64::from(self.model_count()), whole_e_value),
            places,
        };
        Ok(Some(Match { hit, items: stored, pairs }))
    }
}

/// The share of the weights found.
fn weights_share(items: &[Tensor], places: &[Option<Place>]) -> f64 {
    let coded = || items.iter().zip(places).filter(|(item, _)| item.has_code());
    let weights = |item: &Tensor| item.weights() as f64;
    let all: f64 = coded().map(|(item, _)| weights(item)).sum();
    let found = coded().filter(|(_, place)| place.as_ref().is_some_and(Place::is_found));
    found.map(|(item, _)| weights(item)).sum::<f64>() / all.max(1.0)
}

impl Place {
    /// Whether the stored tensor is the query's, changed or not.
    pub fn is_found(&self) -> bool {
        self.standing.is_found()
    }
}

/// The number of unrelated models expected with as much of the query: by the whole (which counts half), or by its tensors.
fn e_value(items: &[Tensor], pairs: &[TensorPair], models: u64, whole: Option<f64>) -> f64 {
    let tensors = items.iter().filter(|item| item.has_code()).count();
    let chances = pairs.iter().map(|pair| pair.chance).filter(|&chance| chance < 1.0).collect();
    let by_tensors = models as f64 * p_value_of_tensors(tensors, chances);
    2.0 * by_tensors.min(whole.unwrap_or(f64::INFINITY))
}

/// A bound on the probability that of `tensors` unrelated tensors some have chances as small as these, whichever they are: for each
/// k, the probability that k of them come as close as the k-th is at most C(tensors, k) chance^k; test k counts 2^-k.
fn p_value_of_tensors(tensors: usize, mut chances: Vec<f64>) -> f64 {
    chances.sort_by(f64::total_cmp);
    let (mut ln_ways, mut least) = (0.0, 0.0f64);
    for (place, &chance) in chances.iter().enumerate().take(tensors) {
        let k = (place + 1) as f64;
        ln_ways += libm::log((tensors - place) as f64 / k);
        least = least.min(ln_ways + k * (libm::log(chance) + std::f64::consts::LN_2));
    }
    libm::exp(least).max(f64::MIN_POSITIVE)
}

/// For sorting: the larger the share of weights the earlier.
fn order(found: &Match) -> (f64, usize, u64, u32) {
    let hit = &found.hit;
    let bits = hit.places.iter().flatten().filter(|place| place.is_found());
    let bits = bits.map(|place| u64::from(place.distance_bits)).sum();
    (-hit.weights_share, usize::MAX - hit.tally.kept, bits, hit.id)
}

fn places_of(items: &[Tensor], models: &[PartHit]) -> Vec<TensorPlaces> {
    let places = |(number, item): (usize, &Tensor)| {
        let mut found: Vec<(usize, &Place)> = Vec::new();
        for (model, hit) in models.iter().enumerate() {
            found.extend(
                hit.places[number].as_ref().filter(|place| place.is_found()).map(|place| (model, place)),
            );
        }
        let nearest = found.iter().min_by_key(|(model, place)| (place.distance_bits, *model));
        TensorPlaces {
            name: item.name.clone(),
            shape: item.shape.clone(),
            has_code: item.has_code(),
            models: found.len(),
            nearest: nearest.map(|(model, place)| (*model, (*place).clone())),
        }
    };
    items.iter().enumerate().map(places).collect()
}
