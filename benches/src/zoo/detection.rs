//! The table of detection: how well pairs that belong together are told from those that do not, by their E-values.

use super::{Kind, Pair};
use crate::roc;
use crate::table::{Table, percent};

/// Area under the ROC, and recall at one false match in a million pairs. The latter is estimated by the E-values
/// themselves: E <= 1e-6 in a library of one model; how far they may be trusted, null and calibration show.
#[must_use]
pub fn detection_table(pairs: &[Pair], unrelated: &[Pair]) -> Table {
    let mut table = Table::new(&[
        "models",
        "related",
        "others",
        "area under ROC",
        "recall at 1 in 1e6",
        "others found there",
    ]);
    for (class, with_weak) in [("all", true), ("not weak", false)] {
        let scores = |pairs: &[Pair], kind: Option<Kind>| -> Vec<f64> {
            let is_meant = |pair: &&Pair| {
                kind.is_none_or(|kind| pair.kind() == kind) && (with_weak || !pair.evidence.weak)
            };
            pairs.iter().filter(is_meant).map(|pair| pair.evidence.e_value(1)).collect()
        };
        let related = scores(pairs, Some(Kind::Related));
        let others = [scores(pairs, Some(Kind::Independent)), scores(unrelated, None)].concat();
        let found = |scores: &[f64]| scores.iter().filter(|&&e| e <= 1e-6).count();
        table.row([
            class.to_owned(),
            related.len().to_string(),
            others.len().to_string(),
            roc::area(&related, &others).map_or_else(String::new, |area| format!("{area:.4}")),
            percent(found(&related), related.len()),
            found(&others).to_string(),
        ]);
    }
    table
}
