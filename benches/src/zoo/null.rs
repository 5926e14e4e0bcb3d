//! The table of the null: how the distances of pairs spread that should know nothing of each other.

use phash_core::{CODE_BITS, View, WEAK_FEATURES};

use super::{Kind, Pair};
use crate::table::Table;

/// Mean, spread and the effective bits it shows, for unrelated models and for independent twins, by the number of
/// features in the view.
#[must_use]
pub fn null_table(pairs: &[Pair], unrelated: &[Pair]) -> Table {
    let mut table = Table::new(&[
        "null",
        "view",
        "features",
        "pairs",
        "mean (bits)",
        "sd (bits)",
        "min (bits)",
        "effective bits",
    ]);
    let independent = pairs.iter().filter(|pair| pair.kind() == Kind::Independent).collect();
    for (name, pairs) in
        [("unrelated", unrelated.iter().collect::<Vec<&Pair>>()), ("independent twins", independent)]
    {
        for view in View::ALL {
            for (class, ample) in
                [(format!("< {WEAK_FEATURES}"), false), (format!(">= {WEAK_FEATURES}"), true)]
            {
                let of_class = pairs
                    .iter()
                    .filter(|pair| (pair.evidence.features[view] >= WEAK_FEATURES) == ample)
                    .filter_map(|pair| pair.evidence.distances[view]);
                let distances: Vec<f64> = of_class.map(f64::from).collect();
                if distances.len() < 2 {
                    continue;
                }
                let n = distances.len() as f64;
                let mean = distances.iter().sum::<f64>() / n;
                let sd = (distances.iter().map(|d| (d - mean).powi(2)).sum::<f64>() / (n - 1.0)).sqrt();
                let min = distances.iter().copied().fold(f64::INFINITY, f64::min);
                // A binomial of `b` fair bits, stretched to the width of the code, has this standard deviation.
                let effective = (f64::from(CODE_BITS) / 2.0 / sd).powi(2);
                let cells = [n, mean, sd, min, effective];
                let cells =
                    cells.iter().zip([0, 1, 1, 0, 0]).map(|(cell, digits)| format!("{cell:.digits$}"));
                table.row([name.to_owned(), view.to_string(), class].into_iter().chain(cells));
            }
        }
    }
    table
}

/// The independent pairs of least E-value, a row each.
#[must_use]
pub fn close_twins(pairs: &[Pair], count: usize) -> Table {
    let mut twins: Vec<&Pair> = pairs.iter().filter(|pair| pair.kind() == Kind::Independent).collect();
    twins.sort_by(|x, y| x.evidence.e_value(1).total_cmp(&y.evidence.e_value(1)));
    let mut table =
        Table::new(&["closest independent pairs", "bits by view", "features by view", "weak", "P"]);
    for pair in twins.into_iter().take(count) {
        let evidence = &pair.evidence;
        let bits =
            View::ALL.map(|view| evidence.distances[view].map_or("void".to_owned(), |bits| bits.to_string()));
        let features = View::ALL.map(|view| evidence.features[view].to_string());
        table.row([
            format!("{} ~ {}", pair.a, pair.b),
            bits.join(" / "),
            features.join(" / "),
            if evidence.weak { "yes" } else { "" }.to_owned(),
            format!("{:.1e}", evidence.e_value(1)),
        ]);
    }
    table
}
