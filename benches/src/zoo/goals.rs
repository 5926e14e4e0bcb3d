//! Owns what is asked of the hash: for rows of the tables, the share of models that must be found, and how near.

use super::LARGE_LIBRARY;
use crate::evidence::Evidence;
use crate::table::Table;

/// When a pair counts as found.
#[derive(Clone, Copy)]
enum Found {
    /// Within so many bits in the nearest view.
    Bits(u32),
    /// With this E-value or a smaller one in a library of [`LARGE_LIBRARY`] models.
    E(f64),
    /// The other way round: counts if the E-value in a library as large as this zoo is larger.
    Apart(f64),
}

use Found::{Apart, Bits, E};

/// The start of a row's name, when a pair of it is found, and the share that must be, in percent; the first that fits
/// counts. Rows without a goal are measured only.
const GOALS: [(&str, Found, f64); 52] = [
    // The same weights in any format, layout, order, naming and sharding.
    ("none", Bits(2), 100.0),
    ("same", Bits(2), 100.0),
    ("renamed", Bits(2), 100.0),
    ("transposed", Bits(2), 100.0),
    ("large tensors split", Bits(2), 100.0),
    ("bf16", Bits(2), 100.0),
    ("fp16", Bits(2), 100.0),
    // Hardly changed.
    ("fp8", Bits(12), 100.0),
    ("int8", Bits(12), 100.0),
    ("noise 1 %", Bits(12), 100.0),
    ("fine-tune, cosine .98+", Bits(12), 100.0),
    // Changed.
    ("fine-tune, cosine .9-", E(1e-6), 99.5),
    ("fine-tune, cosine .8-", E(1e-6), 99.5),
    ("fine-tune, cosine .7-", E(1e-6), 99.5),
    ("pruned 90 %", E(1e-3), 98.0),
    ("pruned 50 % + int8", E(1e-6), 99.5),
    ("pruned 30 %", E(1e-6), 99.5),
    ("pruned 50 %", E(1e-6), 99.5),
    ("pruned 70 %", E(1e-6), 99.5),
    ("pruned+retrained, 90 %", E(1e-3), 98.0),
    ("pruned+retrained", E(1e-6), 99.5),
    ("int4", E(1e-6), 99.5),
    ("noise 5 %", E(1e-6), 99.5),
    ("noise 10 %", E(1e-6), 99.5),
    ("adapter", E(1e-6), 99.5),
    ("last tensor", E(1e-6), 99.5),
    ("first tensor", E(1e-6), 99.5),
    ("new-head", E(1e-6), 99.5),
    ("head-swapped", E(1e-6), 99.5),
    ("20 % of tensors", E(1e-6), 99.5),
    ("merge .9/.1 with a twin, to the .9", E(1e-6), 99.5),
    ("merge .7/.3 with a twin, to the .7", E(1e-6), 99.5),
    ("merge-of-tunes", E(1e-6), 99.5),
    ("10 % of channels", E(1e-6), 99.5),
    ("structured-pruned+retrained, 10 %", E(1e-6), 99.5),
    // Much changed.
    ("fine-tune, cosine .6-", E(1e-3), 98.0),
    ("fine-tune, cosine .5-", E(1e-3), 98.0),
    ("fine-tune, cosine .4-", E(1e-3), 98.0),
    ("noise 20 %", E(1e-3), 98.0),
    ("50 % of tensors", E(1e-3), 98.0),
    ("merge .5/.5", E(1e-3), 98.0),
    ("25 % of channels", E(1e-3), 98.0),
    ("structured-pruned+retrained, 25 %", E(1e-3), 98.0),
    // The function kept: as if untouched.
    ("bn-folded", Bits(2), 100.0),
    ("outputs rescaled", Bits(2), 100.0),
    ("channels rescaled", Bits(2), 100.0),
    ("signs of channels flipped", Bits(2), 100.0),
    // Reordered, alone and combined.
    ("channels permuted, consistently", E(1e-3), 95.0),
    ("channels permuted, on each edge", E(1e-3), 95.0),
    ("channels permuted + ", E(1e-3), 95.0),
    ("permuted", E(1e-3), 95.0),
    // Trained apart.
    ("independent", Apart(1e-3), 100.0),
];

fn goal(row: &str) -> Option<(Found, f64)> {
    let (_, found, percent) = GOALS.iter().find(|(start, ..)| row.starts_with(start))?;
    Some((*found, *percent))
}

/// One row for each row of the other tables that has a goal: what is asked, and what is reached, by ample models, which
/// decide whether the goal is met, and by weak ones. `models`: how many the zoo has.
#[must_use]
pub fn goals_table(rows: &[(&str, Vec<(bool, &Evidence)>)], models: u64) -> Table {
    let mut table =
        Table::new(&["case", "counts if", "goal", "n", "reached", "met", "weak n", "weak reached"]);
    for (name, pairs) in rows.iter().filter(|(_, pairs)| !pairs.is_empty()) {
        let Some((found, percent)) = goal(name) else { continue };
        let is_found = |evidence: &Evidence| match found {
            Bits(radius) => evidence.best().is_some_and(|bits| bits <= radius),
            E(limit) => evidence.e_value(LARGE_LIBRARY) <= limit,
            Apart(limit) => evidence.e_value(models) > limit,
        };
        let reached = |weak: bool| {
            let of_class: Vec<&Evidence> =
                pairs.iter().filter(|(is_weak, _)| *is_weak == weak).map(|&(_, evidence)| evidence).collect();
            let found = of_class.iter().filter(|evidence| is_found(evidence)).count();
            (of_class.len(), 100.0 * found as f64 / of_class.len() as f64)
        };
        let share = |reached: f64| if reached.is_nan() { String::new() } else { format!("{reached:.1} %") };
        let ((ample, by_ample), (weak, by_weak)) = (reached(false), reached(true));
        let met = match (ample, by_ample >= percent) {
            (0, _) => "",
            (_, true) => "yes",
            (_, false) => "no",
        };
        table.row([
            (*name).to_owned(),
            match found {
                Bits(radius) => format!("<= {radius} bits"),
                E(limit) => format!("E <= {limit:e} at 10M"),
                Apart(limit) => format!("E > {limit:e} here"),
            },
            format!("{percent} %"),
            ample.to_string(),
            share(by_ample),
            met.to_owned(),
            weak.to_string(),
            share(by_weak),
        ]);
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_goal_that_fits_counts() {
        let percent = |row: &str| goal(row).map(|(_, percent)| percent);
        assert_eq!(percent("pruned 90 % by magnitude, global"), Some(98.0));
        assert_eq!(percent("pruned 70 % by magnitude, global"), Some(99.5));
        assert_eq!(percent("channels permuted, each axis for itself"), None);
        assert_eq!(percent("merge .9/.1 with a twin, to the .1"), None);
        assert!(matches!(goal("noise 1 % of a tensor's sd"), Some((Bits(12), 100.0))));
        assert!(matches!(goal("noise 10 % of a tensor's sd"), Some((E(_), 99.5))));
    }
}
