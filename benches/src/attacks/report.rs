//! Prints what attacks did: one row for each, models that are not weak; weak ones in the last columns.

use phash_core::View;

use super::{BASELINES, Case, Row};
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

/// Our codes and the baselines on equal terms: of the pairs of models that are not weak (of all if all are), the share that is nearer than any
/// of the independent ones is, so that not one of these is taken for a copy falsely. The thresholds stand in the first
/// row: our joint probability, bits of the outline, and correlation or cosine of the other two.
#[must_use]
pub fn baselines_table(rows: &[&Row], independent: &[Case]) -> Table {
    let all_weak = rows.iter().flat_map(|row| &row.cases).all(|case| case.weak);
    let is_meant = |case: &&Case| all_weak || !case.weak;
    let independent: Vec<&Case> = independent.iter().filter(is_meant).collect();
    let ours = |case: &Case| case.evidence.p_joint().unwrap_or(1.0);
    let our_limit = independent.iter().map(|case| ours(case)).fold(f64::INFINITY, f64::min);
    let limits: [f64; 3] = std::array::from_fn(|number| {
        independent.iter().filter_map(|case| case.baselines[number]).fold(f64::INFINITY, f64::min)
    });
    let mut table = Table::new(&["attack", "n", "our codes", BASELINES[0], BASELINES[1], BASELINES[2]]);
    table.row([
        "the closest independent pair".to_owned(),
        independent.len().to_string(),
        format!("P = {our_limit:.0e}"),
        format!("{} bits", limits[0]),
        format!("{:.3}", 1.0 - limits[1]),
        format!("{:.3}", 1.0 - limits[2]),
    ]);
    for row in rows {
        let cases: Vec<&Case> = row.cases.iter().filter(is_meant).collect();
        if cases.is_empty() {
            continue;
        }
        let found = share(&cases, |case| ours(case) < our_limit);
        let of_baselines = (0..BASELINES.len()).map(|number| {
            share(&cases, |case| case.baselines[number].is_some_and(|distance| distance < limits[number]))
        });
        table.row([row.attack.clone(), cases.len().to_string(), found].into_iter().chain(of_baselines));
    }
    table
}
