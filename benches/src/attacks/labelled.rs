//! Labelled pairs as rows beside the attacks, so that the baselines see them, too.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use super::{Baselines, Case, Row, load};
use crate::parallel;
use crate::zoo::{Kind, Pair};

/// What the baselines keep of every model of labelled pairs, and what they see between the two of each pair.
pub struct Labelled {
    /// A row for each relation but those trained apart.
    pub rows: Vec<Row>,
    /// The pairs trained apart.
    pub independent: Vec<Case>,
    /// What could not be read.
    pub skipped: Vec<String>,
}

/// Loads the models of the pairs from below `dir`.
#[must_use]
pub fn labelled(dir: &Path, pairs: &[Pair]) -> Labelled {
    let names: BTreeSet<&String> = pairs.iter().flat_map(|pair| [&pair.a, &pair.b]).collect();
    let names: Vec<&String> = names.into_iter().collect();
    let loaded =
        parallel::map(&names, |name| load(&dir.join(name)).map(|model| Baselines::of(&model.tensors)));
    let (mut baselines, mut skipped) = (BTreeMap::new(), Vec::new());
    for (name, loaded) in names.into_iter().zip(loaded) {
        match loaded {
            Ok(of_model) => drop(baselines.insert(name, of_model)),
            Err(error) => skipped.push(error.to_string()),
        }
    }
    let case = |pair: &Pair| Case {
        model: format!("{} ~ {}", pair.a, pair.b),
        weak: pair.evidence.weak,
        evidence: pair.evidence.clone(),
        baselines: baselines
            .get(&pair.a)
            .zip(baselines.get(&pair.b))
            .map_or([None; 3], |(a, b)| a.distances(b)),
    };
    let mut rows: BTreeMap<&str, Vec<Case>> = BTreeMap::new();
    let mut independent = Vec::new();
    for pair in pairs {
        match pair.kind() {
            Kind::Independent => independent.push(case(pair)),
            _ => rows.entry(&pair.relation).or_default().push(case(pair)),
        }
    }
    let rows = rows.into_iter().map(|(relation, cases)| Row { attack: relation.to_owned(), cases }).collect();
    Labelled { rows, independent, skipped }
}
