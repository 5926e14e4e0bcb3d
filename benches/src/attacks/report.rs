//! Prints what attacks did: one row for each, models that are not weak; weak ones in the last columns.

use std::collections::BTreeMap;

use phash_core::{ModelHash, View};

use super::{BASELINES, Baselines, Case, Row};
use crate::table::Table;

/// One row for each attack that applied to a model. Distances as median / worst.
#[must_use]
pub fn table(rows: &[Row]) -> Table {
    let mut table = Table::new(&[
        "attack",
        "n",
        "energy",
        "blocks",
        "best",
        "best <= 12",
        "E<=1e-6",
        "E<=1e-3",
        "weak n",
        "weak best",
        "weak E<=1e-3",
    ]);
    for row in rows.iter().filter(|row| !row.cases.is_empty()) {
        let (weak, ample): (Vec<&Case>, Vec<&Case>) = row.cases.iter().partition(|case| case.weak);
        let view = |view: View| spread(ample.iter().map(|case| case.distances[view]));
        table.row([
            row.attack.clone(),
            ample.len().to_string(),
            view(View::Energy),
            view(View::Blocks),
            spread(ample.iter().map(|case| case.best())),
            share(&ample, |case| case.best().is_some_and(|bits| bits <= 12)),
            share(&ample, |case| case.e_value <= 1e-6),
            share(&ample, |case| case.e_value <= 1e-3),
            weak.len().to_string(),
            spread(weak.iter().map(|case| case.best())),
            share(&weak, |case| case.e_value <= 1e-3),
        ]);
    }
    table
}

/// Median and worst of the distances there are.
fn spread(distances: impl Iterator<Item = Option<u32>>) -> String {
    let mut distances: Vec<u32> = distances.flatten().collect();
    distances.sort_unstable();
    match distances.last() {
        Some(worst) => format!("{} / {worst}", distances[(distances.len() - 1) / 2]),
        None => String::new(),
    }
}

fn share(cases: &[&Case], found: impl Fn(&Case) -> bool) -> String {
    if cases.is_empty() {
        return String::new();
    }
    let part = cases.iter().filter(|case| found(case)).count();
    format!("{:.1} %", 100.0 * part as f64 / cases.len() as f64)
}

/// Our codes and the baselines on equal terms: of the models that are not weak, the share that is nearer to its original
/// than any independent pair of models is to each other, so that not one pair is taken for a copy falsely. The thresholds
/// stand in the first row.
#[must_use]
pub fn baselines_table(
    rows: &[Row],
    models: &BTreeMap<String, ModelHash>,
    baselines: &BTreeMap<String, Baselines>,
    twins: &[(String, String)],
) -> Table {
    let ample = |name: &String| {
        baselines.contains_key(name) && models.get(name).is_some_and(|model| !model.is_weak())
    };
    let twins = || twins.iter().filter(|(a, b)| ample(a) && ample(b));
    let best = |(a, b): &(String, String)| {
        let (a, b) = (&models.get(a)?.views, &models.get(b)?.views);
        View::ALL.into_iter().filter_map(|view| Some(a[view].code?.distance(&b[view].code?))).min()
    };
    let ours = twins().filter_map(best).min().map_or(f64::INFINITY, f64::from);
    let least = |number: usize| {
        let distance = |(a, b): &(String, String)| baselines.get(a)?.distances(baselines.get(b)?)[number];
        twins().filter_map(distance).fold(f64::INFINITY, f64::min)
    };
    let theirs: [f64; 3] = std::array::from_fn(least);
    let mut table = Table::new(&["attack", "n", "our best view", BASELINES[0], BASELINES[1], BASELINES[2]]);
    let limits = [format!("{ours} bits"), format!("{} bits", theirs[0])];
    let limits = limits.into_iter().chain([1, 2].map(|number| format!("{:.3}", 1.0 - theirs[number])));
    let head = ["the closest independent pair".to_owned(), twins().count().to_string()];
    table.row(head.into_iter().chain(limits));
    for row in rows {
        let cases: Vec<&Case> = row.cases.iter().filter(|case| !case.weak).collect();
        if cases.is_empty() {
            continue;
        }
        let found = share(&cases, |case| case.best().is_some_and(|bits| f64::from(bits) < ours));
        let of_baselines = (0..BASELINES.len()).map(|number| {
            share(&cases, |case| case.baselines[number].is_some_and(|distance| distance < theirs[number]))
        });
        table.row([row.attack.clone(), cases.len().to_string(), found].into_iter().chain(of_baselines));
    }
    table
}
