//! Prints what attacks did: one row for each, models that are not weak; weak ones in the last columns.

use std::collections::BTreeMap;

use phash_core::{ModelHash, View};

use super::{BASELINES, Baselines, Case, Row};
use crate::evidence::Evidence;
use crate::table::Table;
use crate::zoo::LARGE_LIBRARY;

/// One row for each attack that applied to a model: distances as median / worst; what all views find together; and what
/// each finds if it is the only one that is searched.
#[must_use]
pub fn table(rows: &[Row]) -> Table {
    let views = View::ALL.map(View::name);
    let alone = View::ALL.map(|view| format!("{view} alone E<=1e-3"));
    let mut head = vec!["attack", "n"];
    head.extend(views);
    head.extend(["best", "best <= 12", "E<=1e-6", "E<=1e-3"]);
    head.extend(alone.iter().map(String::as_str));
    head.extend(["weak n", "weak best", "weak E<=1e-3"]);
    let mut table = Table::new(&head);
    for row in rows.iter().filter(|row| !row.cases.is_empty()) {
        let (weak, ample): (Vec<&Case>, Vec<&Case>) = row.cases.iter().partition(|case| case.weak);
        let mut cells = vec![row.attack.clone(), ample.len().to_string()];
        cells.extend(View::ALL.map(|view| spread(ample.iter().map(|case| case.evidence.distances[view]))));
        cells.push(spread(ample.iter().map(|case| case.evidence.best())));
        cells.push(share(&ample, |case| case.evidence.best().is_some_and(|bits| bits <= 12)));
        cells.extend([1e-6, 1e-3].map(|limit| share(&ample, |case| e_value(case) <= limit)));
        cells.extend(View::ALL.map(|view| {
            let e = |case: &Case| case.evidence.p_view(view).map(|p| p * LARGE_LIBRARY as f64);
            share(&ample, |case| e(case).is_some_and(|e| e <= 1e-3))
        }));
        cells.push(weak.len().to_string());
        cells.push(spread(weak.iter().map(|case| case.evidence.best())));
        cells.push(share(&weak, |case| e_value(case) <= 1e-3));
        table.row(cells);
    }
    table
}

fn e_value(case: &Case) -> f64 {
    case.evidence.e_value(LARGE_LIBRARY)
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
    let best = |(a, b): &(String, String)| Evidence::between(models.get(a)?, models.get(b)?).best();
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
        let found = share(&cases, |case| case.evidence.best().is_some_and(|bits| f64::from(bits) < ours));
        let of_baselines = (0..BASELINES.len()).map(|number| {
            share(&cases, |case| case.baselines[number].is_some_and(|distance| distance < theirs[number]))
        });
        table.row([row.attack.clone(), cases.len().to_string(), found].into_iter().chain(of_baselines));
    }
    table
}
