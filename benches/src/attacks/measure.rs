//! Runs attacks on every model of a folder, on all threads, and gathers how far each took its model's codes.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use phash_core::{ModelHash, hash_model};

use super::{Attack, Baselines, Chance, InMemory, SEED, Tensor, load, merge};
use crate::evidence::Evidence;
use crate::parallel;
use crate::random::{Normal, SplitMix};

/// What is to be attacked, and how.
#[derive(Clone, Copy)]
pub struct Plan<'p> {
    /// The folder.
    pub dir: &'p Path,
    /// The models and their codes, by names relative to the folder. Models of equal content are attacked once.
    pub models: &'p BTreeMap<String, ModelHash>,
    /// Which of them are independent twins.
    pub twins: &'p [(String, String)],
    /// What is done to each.
    pub attacks: &'p [Attack],
    /// In which shares (percent) a model is merged with its first twin of equal shapes, each pair once.
    pub merges: &'p [u8],
    /// Attack only so many models, drawn with [`SEED`].
    pub sample: Option<usize>,
    /// Whether the baselines see each case, too.
    pub with_baselines: bool,
}

/// One attack on one model, against the code of the model's file.
#[derive(Clone, Debug)]
pub struct Case {
    /// The model's name.
    pub model: String,
    /// Whether the model is weak.
    pub weak: bool,
    /// What the codes of both say.
    pub evidence: Evidence,
    /// How far the baselines see it from the original, in the order of [`super::BASELINES`]; `None` without them.
    pub baselines: [Option<f64>; 3],
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
    /// What could not be read.
    pub skipped: Vec<String>,
}

struct Task<'t> {
    plan: &'t Plan<'t>,
    normal: Normal,
}

/// Attacks the models of a plan.
#[must_use]
pub fn measure(plan: &Plan<'_>) -> Measured {
    let task = Task { plan, normal: Normal::new() };
    let mut by_content: BTreeMap<_, &String> = BTreeMap::new();
    for (name, model) in plan.models {
        by_content.entry(model.content_digest.0).or_insert(name);
    }
    let mut names: Vec<&String> = by_content.into_values().collect();
    names.sort();
    if let Some(count) = plan.sample {
        let end = u32::try_from(names.len()).unwrap_or(u32::MAX);
        let chosen = SplitMix::new(SEED).choose(count, end);
        names = chosen.into_iter().map(|place| names[place as usize]).collect();
        names.sort();
    }
    let done = parallel::map(&names, |name| task.attack_model(name));
    task.collect(done)
}

/// The cases of one model with the number of their row.
type Done = Result<Vec<(usize, Case)>, phash_weights::Error>;

impl Task<'_> {
    fn path(&self, name: &str) -> PathBuf {
        self.plan.dir.join(name)
    }

    fn attack_model(&self, name: &str) -> Done {
        let original = load(&self.path(name))?;
        let baselines = self.baselines_of(&original.tensors);
        let mut cases = Vec::new();
        for (row, attack) in self.plan.attacks.iter().enumerate() {
            let mut chance = Chance::new(&attack.name, name, &self.normal);
            if let Some(attacked) = attack.apply(&original, &mut chance) {
                cases.extend(self.case(name, &baselines, attacked).map(|case| (row, case)));
            }
        }
        self.merge_model(name, &original.tensors, &baselines, &mut cases)?;
        Ok(cases)
    }

    fn baselines_of(&self, tensors: &[Tensor]) -> Baselines {
        Baselines::of(if self.plan.with_baselines { tensors } else { &[] })
    }

    /// Merges a model with the first twin that fits; both parents are looked for.
    fn merge_model(
        &self,
        name: &str,
        original: &[Tensor],
        baselines: &Baselines,
        cases: &mut Vec<(usize, Case)>,
    ) -> Result<(), phash_weights::Error> {
        let shares = self.plan.merges;
        for (_, twin) in self.plan.twins.iter().filter(|(a, _)| a == name && !shares.is_empty()) {
            let other = load(&self.path(twin))?.tensors;
            if !merge::mergeable(original, &other) {
                continue;
            }
            let of_twin = self.baselines_of(&other);
            let row = |share: u8| {
                let place = shares.iter().position(|&other| other == share)?;
                Some(self.plan.attacks.len() + place)
            };
            for share in merge::SHARES {
                let (to_model, to_twin) = (row(share), row(100 - share));
                if to_model.is_none() && to_twin.is_none() {
                    continue;
                }
                let merged = merge::merge(original, &other, share);
                for (row, parent, of_parent) in [(to_model, name, baselines), (to_twin, twin, &of_twin)] {
                    let Some(row) = row else { continue };
                    cases.extend(self.case(parent, of_parent, merged.clone()).map(|case| (row, case)));
                }
            }
            break;
        }
        Ok(())
    }

    /// Compares attacked tensors with the code of the file; `None` if the file has none.
    fn case(&self, name: &str, baselines: &Baselines, attacked: Vec<Tensor>) -> Option<Case> {
        let target = self.plan.models.get(name)?;
        target.views.iter().find(|(_, view)| view.code.is_some())?;
        let attacked = InMemory::new(attacked);
        let Ok(hash) = hash_model(&attacked);
        let of_attacked = self.baselines_of(attacked.tensors_in_memory());
        Some(Case {
            model: name.to_owned(),
            weak: target.is_weak(),
            evidence: Evidence::between(target, &hash),
            baselines: baselines.distances(&of_attacked),
        })
    }

    fn collect(&self, done: Vec<Done>) -> Measured {
        let merges = self.plan.merges.iter().map(|&share| merge::name(share));
        let attacks = self.plan.attacks.iter().map(|attack| attack.name.clone()).chain(merges);
        let mut rows: Vec<Row> = attacks.map(|attack| Row { attack, cases: Vec::new() }).collect();
        let mut skipped = Vec::new();
        for done in done {
            match done {
                Ok(cases) => cases.into_iter().for_each(|(row, case)| rows[row].cases.push(case)),
                Err(error) => skipped.push(error.to_string()),
            }
        }
        Measured { rows, skipped }
    }
}
