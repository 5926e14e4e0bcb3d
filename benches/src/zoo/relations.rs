//! The table of labelled pairs: for each relation and view, how the distances spread and how many pairs are found.

use std::collections::BTreeMap;

use phash_core::View;

use super::{LARGE_LIBRARY, Pair};
use crate::table::{Table, percent};

/// One row for each relation and view, and one for the nearest view. The columns of E-values count, in a view's row,
/// what it finds if it is the only one that is searched; in the row `best`, what all find together.
#[must_use]
pub fn relations_table(pairs: &[Pair], models: u64) -> Table {
    let mut by_relation: BTreeMap<&str, Vec<&Pair>> = BTreeMap::new();
    for pair in pairs {
        by_relation.entry(&pair.relation).or_default().push(pair);
    }
    let here = format!("E<=1e-3 here (n={models})");
    let mut table = Table::new(&[
        "relation",
        "view",
        "pairs",
        "min",
        "q10",
        "median",
        "q90",
        "max",
        "<=12",
        "<=32",
        "<=64",
        &here,
        "E<=1e-6 at 10M",
        "E<=1e-3 at 10M",
    ]);
    for (relation, pairs) in by_relation {
        for view in View::ALL {
            let distances = pairs.iter().filter_map(|pair| pair.evidence.distances[view]).collect();
            let alone = |pair: &Pair, models: u64| pair.evidence.p_view(view).map(|p| p * models as f64);
            let found = recall(&pairs, models, alone);
            table.row(distance_cells(relation, view.name(), distances).into_iter().chain(found));
        }
        let best = pairs.iter().filter_map(|pair| pair.evidence.best()).collect();
        let found = recall(&pairs, models, |pair, models| Some(pair.evidence.e_value(models)));
        table.row(distance_cells(relation, "best", best).into_iter().chain(found));
    }
    table
}

fn recall(pairs: &[&Pair], models: u64, e_value: impl Fn(&Pair, u64) -> Option<f64>) -> [String; 3] {
    [(1e-3, models), (1e-6, LARGE_LIBRARY), (1e-3, LARGE_LIBRARY)].map(|(limit, models)| {
        let found = pairs.iter().filter(|pair| e_value(pair, models).is_some_and(|e| e <= limit)).count();
        percent(found, pairs.len())
    })
}

fn distance_cells(relation: &str, view: &str, mut distances: Vec<u32>) -> Vec<String> {
    distances.sort_unstable();
    let mut cells = vec![relation.to_owned(), view.to_owned(), distances.len().to_string()];
    for quantile in [0, 10, 50, 90, 100] {
        let at = distances.len().saturating_sub(1) * quantile / 100;
        cells.push(distances.get(at).map_or_else(String::new, u32::to_string));
    }
    for radius in [12, 32, 64] {
        cells.push(percent(distances.iter().filter(|&&bits| bits <= radius).count(), distances.len()));
    }
    cells
}
