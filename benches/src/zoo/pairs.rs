//! Owns the pairs that are measured: labelled ones, and those of models that have nothing to do with each other.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::error::Error;
use std::fs;
use std::path::Path;

use phash_core::ModelHash;
use serde_json::Value;

use super::relation::{Kind, kind};
use crate::evidence::Evidence;
use crate::halves::{Half, Label, halves};

/// Two models and what is between them.
#[derive(Clone, Debug)]
pub struct Pair {
    /// The first model; the pair belongs to its half.
    pub a: String,
    /// The second one.
    pub b: String,
    /// How they are related; fine-tunes with the band of their cosine. Empty if they are not.
    pub relation: String,
    /// What their codes say.
    pub evidence: Evidence,
}

impl Pair {
    fn new(a: &str, b: &str, relation: String, models: &BTreeMap<String, ModelHash>) -> Option<Self> {
        let evidence = Evidence::between(models.get(a)?, models.get(b)?);
        Some(Self { a: a.to_owned(), b: b.to_owned(), relation, evidence })
    }

    /// What is asked of the pair.
    #[must_use]
    pub fn kind(&self) -> Kind {
        kind(&self.relation)
    }
}

/// Family and half of each model.
#[derive(Clone, Debug)]
pub struct Labels {
    families: HashMap<String, String>,
    halves: HashMap<String, Half>,
}

impl Labels {
    fn new(labels: HashMap<String, Label>) -> Self {
        let halves = halves(labels.values());
        Self { families: labels.into_iter().map(|(file, label)| (file, label.family)).collect(), halves }
    }

    /// The family of a model.
    #[must_use]
    pub fn family(&self, model: &str) -> Option<&str> {
        self.families.get(model).map(String::as_str)
    }

    /// Whether a model belongs to the half, if one is asked for.
    #[must_use]
    pub fn is_in(&self, model: &str, half: Option<Half>) -> bool {
        half.is_none_or(|half| {
            self.family(model).is_some_and(|family| self.halves.get(family) == Some(&half))
        })
    }
}

/// The families of the models, from a file of labels or from the folders they lie in.
///
/// # Errors
/// If the file cannot be read or is no JSON lines.
pub fn read_labels(
    models: &BTreeMap<String, ModelHash>,
    path: Option<&Path>,
) -> Result<Labels, Box<dyn Error>> {
    let Some(path) = path else {
        let folder = |name: &str| name.split('/').next().unwrap_or_default().to_owned();
        let label = |name: &String| (name.clone(), Label { family: folder(name), half: None });
        return Ok(Labels::new(models.keys().map(label).collect()));
    };
    let label = |line: Value| {
        let label =
            Label { family: text(&line, "family").to_owned(), half: Half::from_name(text(&line, "half")) };
        (text(&line, "file").to_owned(), label)
    };
    Ok(Labels::new(json_lines(path)?.into_iter().map(label).collect()))
}

/// The labelled pairs of the half, and those that could not be measured.
///
/// # Errors
/// If the file cannot be read or is no JSON lines.
pub fn labelled(
    path: &Path,
    models: &BTreeMap<String, ModelHash>,
    labels: &Labels,
    half: Option<Half>,
) -> Result<(Vec<Pair>, Vec<String>), Box<dyn Error>> {
    let (mut pairs, mut skipped) = (Vec::new(), Vec::new());
    for line in json_lines(path)? {
        let (a, b) = (text(&line, "a"), text(&line, "b"));
        if !labels.is_in(a, half) {
            continue;
        }
        let relation = match (text(&line, "relation"), line["cosine"].as_f64().unwrap_or(0.0)) {
            ("fine-tune", cosine) => band(cosine),
            (relation, _) => relation.to_owned(),
        };
        match Pair::new(a, b, relation, models) {
            Some(pair) => pairs.push(pair),
            None => skipped.push(format!("not measured: {a} ~ {b}")),
        }
    }
    Ok((pairs, skipped))
}

/// All pairs of models of the half whose families differ; families that a label joins, whatever it says, are no
/// strangers. `pairs` must be the labelled pairs of both halves.
#[must_use]
pub fn unrelated(
    models: &BTreeMap<String, ModelHash>,
    pairs: &[Pair],
    labels: &Labels,
    half: Option<Half>,
) -> Vec<Pair> {
    let joined: HashSet<(&str, &str)> = pairs
        .iter()
        .filter_map(|pair| Some((labels.family(&pair.a)?, labels.family(&pair.b)?)))
        .flat_map(|(a, b)| [(a, b), (b, a)])
        .collect();
    let named: Vec<(&String, &str)> = models
        .keys()
        .filter(|name| labels.is_in(name, half))
        .filter_map(|name| Some((name, labels.family(name)?)))
        .collect();
    let mut strangers = Vec::new();
    for (place, &(a, family)) in named.iter().enumerate() {
        for &(b, other) in &named[..place] {
            if family != other && !joined.contains(&(family, other)) {
                strangers.extend(Pair::new(a, b, String::new(), models));
            }
        }
    }
    strangers
}

fn json_lines(path: &Path) -> Result<Vec<Value>, Box<dyn Error>> {
    let text = fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))?;
    Ok(text.lines().map(serde_json::from_str).collect::<Result<_, _>>()?)
}

fn text<'v>(value: &'v Value, field: &str) -> &'v str {
    value[field].as_str().unwrap_or_default()
}

/// Fine-tunes by the cosine of their weights.
fn band(cosine: f64) -> String {
    match cosine {
        0.98.. => "fine-tune, cosine .98+".to_owned(),
        0.9..0.98 => "fine-tune, cosine .9-.98".to_owned(),
        0.4..0.9 => {
            let tenths = (cosine * 10.0).floor();
            format!("fine-tune, cosine .{tenths}-.{}", tenths + 1.0)
        }
        _ => "fine-tune, cosine < .4".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bands_hold_their_lower_end() {
        let bands = [0.98, 0.9, 0.89, 0.4, 0.39].map(band);
        let ends = bands.each_ref().map(|band| &band["fine-tune, cosine ".len()..]);
        assert_eq!(ends, [".98+", ".9-.98", ".8-.9", ".4-.5", "< .4"]);
    }
}
