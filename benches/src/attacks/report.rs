//! Prints what attacks did: one row for each, models that are not weak; weak ones in the last columns.

use std::collections::BTreeMap;

use phash_code::Code256;
use phash_core::View;

use super::{Case, Row};
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
        "outline",
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
            spread(ample.iter().map(|case| case.outline)),
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

/// How near independent twins come in the baseline: the closest pair and how many lie within 64 bits. What the other
/// columns show as found is worth nothing where this is small.
#[must_use]
pub fn twins_of_the_outline(outlines: &BTreeMap<String, Code256>, twins: &[(String, String)]) -> String {
    let mut distances: Vec<u32> =
        twins.iter().filter_map(|(a, b)| Some(outlines.get(a)?.distance(outlines.get(b)?))).collect();
    distances.sort_unstable();
    let within = distances.iter().filter(|&&bits| bits <= 64).count();
    let closest = distances.first().map_or("-".to_owned(), u32::to_string);
    format!(
        "outline, independent pairs: {}, closest {closest} bits, {within} within 64 bits",
        distances.len()
    )
}
