//! The table of the null: how the distances of pairs spread that should know nothing of each other.

use std::collections::BTreeMap;

use phash_core::{CODE_BITS, View};

use super::{Kind, Labels, Pair};
use crate::evidence::Evidence;
use crate::table::Table;

/// Mean, spread and the effective bits it shows, for unrelated models and for independent twins, ample and weak ones.
#[must_use]
pub fn null_table(pairs: &[Pair], unrelated: &[Pair]) -> Table {
    let mut table = Table::new(&[
        "null",
        "view",
        "models",
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
            for (class, weak) in [("weak", true), ("ample", false)] {
                let of_class = pairs
                    .iter()
                    .filter(|pair| pair.evidence.weak == weak)
                    .filter_map(|pair| pair.evidence.distances[view]);
                let distances: Vec<f64> = of_class.map(f64::from).collect();
                let Some((mean, sd)) = moments(&distances) else { continue };
                let min = distances.iter().copied().fold(f64::INFINITY, f64::min);
                // A binomial of `b` fair bits, stretched to the width of the code, has this standard deviation.
                let effective = (f64::from(CODE_BITS) / 2.0 / sd).powi(2);
                let cells = [distances.len() as f64, mean, sd, min, effective];
                let cells =
                    cells.iter().zip([0, 1, 1, 0, 0]).map(|(cell, digits)| format!("{cell:.digits$}"));
                table.row([name.to_owned(), view.to_string(), class.to_owned()].into_iter().chain(cells));
            }
        }
    }
    table
}

/// The independent pairs by family of their first model: mean, standard deviation and least of the distances in each view,
/// and how many pairs have a joint probability of at most 1e-2 and 1e-4, with the number promised. What one architecture
/// and one task have in common shows here before it drowns among others.
#[must_use]
pub fn family_table(pairs: &[Pair], labels: &Labels) -> Table {
    let mut families: BTreeMap<&str, Vec<&Evidence>> = BTreeMap::new();
    for pair in pairs.iter().filter(|pair| pair.kind() == Kind::Independent) {
        families.entry(labels.family(&pair.a).unwrap_or_default()).or_default().push(&pair.evidence);
    }
    let views = View::ALL.map(|view| format!("{view}: mean / sd / min"));
    let mut head = vec!["independent pairs of", "n"];
    head.extend(views.iter().map(String::as_str));
    head.extend(["P <= 1e-2, seen / promised", "P <= 1e-4, seen / promised"]);
    let mut table = Table::new(&head);
    for (family, pairs) in families {
        let mut cells = vec![family.to_owned(), pairs.len().to_string()];
        cells.extend(View::ALL.map(|view| {
            let distances: Vec<f64> = pairs.iter().filter_map(|e| e.distances[view]).map(f64::from).collect();
            let Some((mean, sd)) = moments(&distances) else { return String::new() };
            let min = distances.iter().copied().fold(f64::INFINITY, f64::min);
            format!("{mean:.0} / {sd:.1} / {min}")
        }));
        cells.extend([1e-2, 1e-4].map(|limit| {
            let seen = pairs.iter().filter(|e| e.p_joint().is_some_and(|p| p <= limit)).count();
            format!("{seen} / {:.3}", limit * pairs.len() as f64)
        }));
        table.row(cells);
    }
    table
}

/// Mean and standard deviation; `None` of fewer than two.
fn moments(values: &[f64]) -> Option<(f64, f64)> {
    if values.len() < 2 {
        return None;
    }
    let n = values.len() as f64;
    let mean = values.iter().sum::<f64>() / n;
    Some((mean, (values.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / (n - 1.0)).sqrt()))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_spread_is_that_of_a_sample() {
        assert_eq!(moments(&[1.0]), None);
        assert_eq!(moments(&[1.0, 2.0, 3.0]), Some((2.0, 1.0)));
    }
}
