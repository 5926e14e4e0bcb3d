//! Runs attacks on every model of a folder, on all threads, and gathers how far each took its model's codes.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use phash_core::{ModelHash, PerView, View, e_value, hash_model};

use super::{Attack, Baselines, Chance, InMemory, Tensor, load, merge};
use crate::random::Normal;

/// What is attacked: the models below a folder, their codes, and which of them are independent twins.
struct Task<'t> {
    dir: &'t Path,
    models: &'t BTreeMap<String, ModelHash>,
    twins: &'t [(String, String)],
    attacks: &'t [Attack],
    normal: Normal,
    with_merges: bool,
}

/// One attack on one model, against the code of the model's file.
#[derive(Clone, Debug)]
pub struct Case {
    /// The model's name.
    pub model: String,
    /// Whether the model is weak.
    pub weak: bool,
    /// Bits between the codes, by view; `None` if one is void.
    pub distances: PerView<Option<u32>>,
    /// The smallest E-value of all views in a library of 10 million models; infinite if all are void.
    pub e_value: f64,
    /// How far the baselines see it from the original, in the order of [`super::BASELINES`].
    pub baselines: [Option<f64>; 3],
}

impl Case {
    /// The smallest distance of all views.
    #[must_use]
    pub fn best(&self) -> Option<u32> {
        self.distances.0.iter().flatten().min().copied()
    }
}

/// One attack and what it did to every model that it applies to, by the models' names.
pub struct Row {
    /// What was done.
    pub attack: String,
    /// The models.
    pub cases: Vec<Case>,
}

/// What came of it.
pub struct Measured {
    /// One row for each attack, in their order; merges at the end.
    pub rows: Vec<Row>,
    /// What the baselines keep of each model, by the models' names.
    pub baselines: BTreeMap<String, Baselines>,
    /// What could not be read.
    pub skipped: Vec<String>,
}

/// The library size at which cases count as found.
const LIBRARY: u64 = 10_000_000;

/// Attacks every model of `models` (names relative to `dir`); models of equal content once. With `with_merges`, models
/// that have an independent twin of equal shapes are merged with the first of them, each pair once.
#[must_use]
pub fn measure(
    dir: &Path,
    models: &BTreeMap<String, ModelHash>,
    twins: &[(String, String)],
    attacks: &[Attack],
    with_merges: bool,
) -> Measured {
    let task = Task { dir, models, twins, attacks, normal: Normal::new(), with_merges };
    let mut by_content: BTreeMap<_, &String> = BTreeMap::new();
    for (name, model) in models {
        by_content.entry(model.content_digest.0).or_insert(name);
    }
    let mut names: Vec<&String> = by_content.into_values().collect();
    names.sort();
    let (next, gathered) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                while let Some(name) = names.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let done = task.attack_model(name);
                    let mut gathered = gathered.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
                    gathered.push(((*name).clone(), done));
                }
            });
        }
    });
    let mut gathered = gathered.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
    gathered.sort_by(|(a, _), (b, _)| a.cmp(b));
    task.collect(gathered)
}

/// The cases of one model with the number of their row, and what the baselines keep of it.
type Done = Result<(Vec<(usize, Case)>, Baselines), phash_weights::Error>;

impl Task<'_> {
    fn path(&self, name: &str) -> PathBuf {
        self.dir.join(name)
    }

    fn attack_model(&self, name: &str) -> Done {
        let original = load(&self.path(name))?;
        let baselines = Baselines::of(&original.tensors);
        let mut cases = Vec::new();
        for (row, attack) in self.attacks.iter().enumerate() {
            let mut chance = Chance::new(&attack.name, name, &self.normal);
            if let Some(attacked) = attack.apply(&original, &mut chance) {
                cases.extend(self.case(name, &baselines, attacked).map(|case| (row, case)));
            }
        }
        if self.with_merges {
            self.merge_model(name, &original.tensors, &baselines, &mut cases)?;
        }
        Ok((cases, baselines))
    }

    /// Merges a model with the first twin that fits; both parents are looked for.
    fn merge_model(
        &self,
        name: &str,
        original: &[Tensor],
        baselines: &Baselines,
        cases: &mut Vec<(usize, Case)>,
    ) -> Result<(), phash_weights::Error> {
        for (_, twin) in self.twins.iter().filter(|(a, _)| a == name) {
            let other = load(&self.path(twin))?.tensors;
            if !merge::mergeable(original, &other) {
                continue;
            }
            let of_twin = Baselines::of(&other);
            for (place, share) in merge::SHARES.into_iter().enumerate() {
                let merged = merge::merge(original, &other, share);
                let opposite = merge::opposite(share);
                let first = self.attacks.len();
                cases.extend(self.case(name, baselines, merged.clone()).map(|case| (first + place, case)));
                cases.extend(self.case(twin, &of_twin, merged).map(|case| (first + opposite, case)));
            }
            return Ok(());
        }
        Ok(())
    }

    /// Compares attacked tensors with the code of the file; `None` if the file has none.
    fn case(&self, name: &str, baselines: &Baselines, attacked: Vec<Tensor>) -> Option<Case> {
        let target = self.models.get(name)?;
        target.views.iter().find(|(_, view)| view.code.is_some())?;
        let attacked = InMemory::new(attacked);
        let Ok(hash) = hash_model(&attacked);
        let distance = |view: View| Some(target.views[view].code?.distance(&hash.views[view].code?));
        let distances = PerView::from_fn(distance);
        let views = u32::try_from(View::COUNT).unwrap_or(u32::MAX);
        let e = |view: View| {
            let features = target.views[view].features.min(hash.views[view].features);
            Some(e_value(view, features, distances[view]?, LIBRARY, views))
        };
        Some(Case {
            model: name.to_owned(),
            weak: target.is_weak(),
            distances,
            e_value: View::ALL.into_iter().filter_map(e).fold(f64::INFINITY, f64::min),
            baselines: baselines.distances(&Baselines::of(attacked.tensors_in_memory())),
        })
    }

    fn collect(&self, gathered: Vec<(String, Done)>) -> Measured {
        let merges = merge::SHARES.into_iter().map(merge::name).filter(|_| self.with_merges);
        let attacks = self.attacks.iter().map(|attack| attack.name.clone()).chain(merges);
        let mut rows: Vec<Row> = attacks.map(|attack| Row { attack, cases: Vec::new() }).collect();
        let (mut baselines, mut skipped) = (BTreeMap::new(), Vec::new());
        for (name, done) in gathered {
            match done {
                Ok((cases, of_model)) => {
                    cases.into_iter().for_each(|(row, case)| rows[row].cases.push(case));
                    baselines.insert(name, of_model);
                }
                Err(error) => skipped.push(error.to_string()),
            }
        }
        Measured { rows, baselines, skipped }
    }
}
