//! Owns the comparison of what probabilities promise with what pairs show that should know nothing of each other.

use phash_core::View;

use super::{Kind, Pair};
use crate::table::Table;

/// One null: pairs of one kind and class, with their probabilities, ascending, in each view and joint.
#[derive(Clone, Debug)]
pub struct Null {
    /// What the pairs are.
    pub name: String,
    /// The probabilities by view, in the order of [`View::ALL`]; the joint ones last.
    pub columns: Vec<Vec<f64>>,
}

/// The nulls of a zoo: unrelated and independent pairs, weak and ample.
#[derive(Clone, Debug)]
pub struct Calibration {
    /// Those with pairs.
    pub nulls: Vec<Null>,
}

/// Gathers the probabilities of all pairs that must not match.
#[must_use]
pub fn calibrate(pairs: &[Pair], unrelated: &[Pair]) -> Calibration {
    let independent: Vec<&Pair> = pairs.iter().filter(|pair| pair.kind() == Kind::Independent).collect();
    let mut nulls = Vec::new();
    for (kind, pairs) in [("unrelated", unrelated.iter().collect()), ("independent", independent)] {
        for (class, weak) in [("ample", false), ("weak", true)] {
            let of_class: Vec<_> =
                pairs.iter().map(|pair| &pair.evidence).filter(|evidence| evidence.weak == weak).collect();
            let views = View::ALL.map(|view| of_class.iter().filter_map(|e| e.p_view(view)).collect());
            let joint = of_class.iter().filter_map(|evidence| evidence.p_joint()).collect();
            let mut columns: Vec<Vec<f64>> = views.into_iter().chain([joint]).collect();
            columns.iter_mut().for_each(|column| column.sort_by(f64::total_cmp));
            if columns.iter().any(|column| !column.is_empty()) {
                nulls.push(Null { name: format!("{kind}, {class}"), columns });
            }
        }
    }
    Calibration { nulls }
}

/// How many of ascending probabilities are at most `p`.
#[must_use]
pub(super) fn at_most(column: &[f64], p: f64) -> usize {
    column.partition_point(|&x| x <= p)
}

impl Calibration {
    /// For P from 1 down to 10^-8 in half decades: pairs seen / pairs promised, in each view and joint. The row P = 1
    /// says how many there are; a null ends where nothing is seen and next to nothing promised. Pairs share models, so that a row's counts spread more than independent ones would.
    #[must_use]
    pub fn table(&self) -> Table {
        let views = View::ALL.map(|view| format!("{view}, seen / promised"));
        let head: Vec<&str> = ["null", "P <="]
            .into_iter()
            .chain(views.iter().map(String::as_str))
            .chain(["joint, seen / promised"])
            .collect();
        let mut table = Table::new(&head);
        for null in &self.nulls {
            for half_decades in 0..=16 {
                let p = 10f64.powf(-f64::from(half_decades) / 2.0);
                let pairs = null.columns.iter().map(Vec::len).max().unwrap_or(0) as f64;
                if p * pairs < 1e-3 && null.columns.iter().all(|column| at_most(column, p) == 0) {
                    break;
                }
                let cells = null.columns.iter().map(|column| {
                    let promised = p * column.len() as f64;
                    format!("{} / {}", at_most(column, p), count(promised))
                });
                table.row([null.name.clone(), format!("{p:.1e}")].into_iter().chain(cells));
            }
        }
        table
    }
}

/// An expected count, in as many digits as it takes to tell it from 0.
fn count(expected: f64) -> String {
    match expected {
        10.0.. => format!("{expected:.0}"),
        0.1..10.0 => format!("{expected:.1}"),
        _ => format!("{expected:.6}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seen_counts_the_limit_itself_and_promised_is_the_share() {
        let null = Null { name: "n".to_owned(), columns: vec![vec![0.05, 0.1, 0.5, 1.0]; View::COUNT + 1] };
        let lines = Calibration { nulls: vec![null] }.table().to_json_lines("c");
        let line = lines.lines().nth(2).expect("a row for each half decade");
        assert!(line.contains("\"P <=\":0.1") && line.contains("[2.0,0.4]"), "{line}");
        assert_eq!(lines.lines().count(), 8, "4 * 10^-3.5 is over 0.001");
    }
}
