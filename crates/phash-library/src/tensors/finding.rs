//! Owns [`Finding`]: what the standings of its tensors say about a model as a whole, in words. The thresholds of these words
//! are here and nowhere else (docs/cli.md repeats them).

use super::head::heads;
use super::pairing::TensorPair;
use super::standing::{Standing, Tally};
use super::tensor::Tensor;

/// Beyond so many names a list is cut.
const MAX_NAMES: usize = 3;

/// What the first model's tensors are to the second model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Finding {
    /// Every tensor is kept, and the second model has no other.
    SameTensors,
    /// Every tensor is kept, but the second model has more.
    AllKept {
        /// How many.
        kept: usize,
        /// How many the second model has beside them.
        added: usize,
    },
    /// Only the head is another.
    NewHead {
        /// Tensors that stand in the second model.
        found: usize,
        /// Those among them that were changed.
        changed: usize,
        /// Tensors of which something can be said.
        of: usize,
    },
    /// A few tensors were changed or replaced, and all others kept.
    Tampered {
        /// Their names in the first model, the most changed first.
        names: Vec<String>,
    },
    /// Most or all tensors were changed, and none replaced.
    Changed {
        /// Tensors that were changed.
        changed: usize,
        /// Tensors of which something can be said.
        of: usize,
    },
    /// Some tensors stand in the second model, others were replaced.
    Part {
        /// Tensors that stand in the second model.
        found: usize,
        /// Those among them that were changed.
        changed: usize,
        /// Tensors of which something can be said.
        of: usize,
    },
    /// No tensor stands in the second model.
    Unrelated,
    /// All tensors are too small to say.
    TooSmall,
}

impl Finding {
    /// The finding on two models' pairs of tensors: only those with a code count.
    pub(crate) fn of(pairs: &[TensorPair], a: &[Tensor], b: &[Tensor]) -> Self {
        let coded: Vec<&TensorPair> = pairs.iter().filter(|pair| pair.has_code(a, b)).collect();
        let tally = Tally::of_pairs(pairs, a, b);
        let (found, changed, of) = (tally.found(), tally.changed, tally.decidable());
        let lost = tally.replaced + tally.removed;
        if of == 0 {
            // Small tensors of the same bytes are counted as kept: nothing is known of the others.
            return Finding::TooSmall;
        }
        if found == 0 {
            return Finding::Unrelated;
        }
        let is_head = heads(a);
        let lost_heads =
            pairs.iter().filter(|pair| is_lost(pair) && pair.a.is_some_and(|number| is_head[number]));
        // A head may be too small for a code: that it is gone shows all the same.
        let lost_heads = lost_heads.count();
        if lost + lost_heads + changed == 0 {
            return match tally.added {
                0 => Finding::SameTensors,
                added => Finding::AllKept { kept: tally.kept, added },
            };
        }
        let others_lost =
            coded.iter().any(|pair| is_lost(pair) && pair.a.is_some_and(|number| !is_head[number]));
        if lost_heads > 0 && !others_lost {
            return Finding::NewHead { found, changed, of };
        }
        if lost + changed <= (of / 10).max(1) && tally.kept > lost + changed {
            return Finding::Tampered { names: tampered_names(&coded, a) };
        }
        match lost {
            0 => Finding::Changed { changed, of },
            _ => Finding::Part { found, changed, of },
        }
    }

    /// Whether the second model has something of the first.
    pub fn is_related(&self) -> bool {
        !matches!(self, Finding::Unrelated | Finding::TooSmall)
    }

    /// The finding in words, the second model being called `name`.
    pub fn describe(&self, name: &str) -> String {
        let also = |changed: usize| match changed {
            0 => String::new(),
            changed => format!(", {changed} of them changed"),
        };
        match self {
            Finding::SameTensors => format!("same tensors as {name}"),
            Finding::AllKept { kept, added } => {
                format!("part of {name}: all {}, which has {added} more", tensors(*kept))
            }
            Finding::NewHead { found, changed, of } => {
                format!("backbone of {name} ({found} of {}{}), new head", tensors(*of), also(*changed))
            }
            Finding::Tampered { names } => {
                let more = match names.len().saturating_sub(MAX_NAMES) {
                    0 => String::new(),
                    more => format!(" and {more} more"),
                };
                let shown: Vec<&str> = names.iter().take(MAX_NAMES).map(String::as_str).collect();
                format!("{name}, tampered: {}{more} only", shown.join(", "))
            }
            Finding::Changed { changed, of } => {
                format!("changed throughout from {name} ({changed} of {})", tensors(*of))
            }
            Finding::Part { found, changed, of } => {
                let replaced = of - found;
                format!("part of {name} ({found} of {}{}), {replaced} replaced", tensors(*of), also(*changed))
            }
            Finding::Unrelated => format!("nothing of {name}"),
            Finding::TooSmall => "tensors too small to say".to_owned(),
        }
    }

    /// The finding in one or two words, for columns and for programs.
    pub const fn name(&self) -> &'static str {
        match self {
            Finding::SameTensors => "same tensors",
            Finding::AllKept { .. } => "all kept",
            Finding::NewHead { .. } => "new head",
            Finding::Tampered { .. } => "tampered",
            Finding::Changed { .. } => "changed",
            Finding::Part { .. } => "part",
            Finding::Unrelated => "unrelated",
            Finding::TooSmall => "too small",
        }
    }
}

fn is_lost(pair: &TensorPair) -> bool {
    matches!(pair.standing, Standing::Replaced | Standing::Removed)
}

fn tensors(count: usize) -> String {
    format!("{count} {}", if count == 1 { "tensor" } else { "tensors" })
}

/// The names of what was not kept: what was replaced or removed first, then the most changed.
fn tampered_names(coded: &[&TensorPair], a: &[Tensor]) -> Vec<String> {
    let mut touched: Vec<&&TensorPair> =
        coded.iter().filter(|pair| is_lost(pair) || pair.standing == Standing::Changed).collect();
    touched.sort_by_key(|pair| severity(pair));
    touched.iter().filter_map(|pair| Some(a[pair.a?].name.clone())).collect()
}

/// For sorting: the most changed first.
pub(crate) fn severity(pair: &TensorPair) -> (Standing, std::cmp::Reverse<Option<u32>>) {
    let mean = {
        let bits: Vec<u32> = pair.views.0.iter().flatten().copied().collect();
        let sum: u32 = bits.iter().sum();
        u32::try_from(bits.len()).ok().filter(|&count| count > 0).map(|count| sum / count)
    };
    (pair.standing, std::cmp::Reverse(mean))
}

#[cfg(test)]
mod tests {
    use phash_core::{ModelCode, PerView, ViewHash};

    use super::*;
    use crate::tensors::Matched;

    fn items(count: usize) -> Vec<Tensor> {
        let views = PerView::from_fn(|_| ViewHash { code: Some(ModelCode::ZERO), features: 1_000 });
        let item = |number: usize| Tensor {
            name: format!("t{number}"),
            dtype: "F32".to_owned(),
            shape: vec![64, 64],
            axes: vec![64, 64],
            views,
            bytes_digest: None,
        };
        (0..count).map(item).collect()
    }

    /// The finding of a model whose tensors stand so; added ones are the second model's.
    fn finding(standings: &[Standing]) -> Finding {
        let (items, how) = (items(standings.len()), Matched::Codes);
        let pair = |(number, &standing): (usize, &Standing)| {
            let a = (standing != Standing::Added).then_some(number);
            let b = (standing != Standing::Removed).then_some(number);
            TensorPair { a, b, how, standing, chance: 0.0, distance_bits: None, views: PerView::default() }
        };
        let pairs: Vec<TensorPair> = standings.iter().enumerate().map(pair).collect();
        Finding::of(&pairs, &items, &items)
    }

    #[test]
    fn each_finding_has_its_standings() {
        use Standing::{Added, Changed, Kept, Removed, Replaced, TooSmall};
        let mixed = |kept: usize, others: &[Standing]| {
            // Kept ones at both ends, so that the last matrix, the head, is kept.
            [&vec![Kept; kept / 2][..], others, &vec![Kept; kept - kept / 2]].concat()
        };
        assert_eq!(finding(&mixed(6, &[TooSmall])), Finding::SameTensors);
        assert_eq!(finding(&mixed(6, &[Added])), Finding::AllKept { kept: 6, added: 1 });
        let head = |standing| [vec![Kept; 9], vec![standing]].concat();
        for lost in [Replaced, Removed] {
            assert_eq!(finding(&head(lost)), Finding::NewHead { found: 9, changed: 0, of: 10 });
            assert_eq!(finding(&mixed(9, &[lost])), Finding::Tampered { names: vec!["t4".to_owned()] });
            assert_eq!(finding(&mixed(8, &[lost, lost])), Finding::Part { found: 8, changed: 0, of: 10 });
        }
        assert_eq!(finding(&mixed(19, &[Changed])), Finding::Tampered { names: vec!["t9".to_owned()] });
        assert_eq!(finding(&mixed(7, &[Changed; 3])), Finding::Changed { changed: 3, of: 10 });
        assert_eq!(
            finding(&mixed(7, &[Changed, Changed, Replaced])),
            Finding::Part { found: 9, changed: 2, of: 10 }
        );
        assert_eq!(finding(&[Replaced, Removed]), Finding::Unrelated);
        assert_eq!(finding(&[TooSmall, TooSmall]), Finding::TooSmall);
        assert_eq!(finding(&[]), Finding::TooSmall);
    }

    #[test]
    fn what_was_replaced_is_named_before_what_was_changed() {
        use Standing::{Changed, Kept, Replaced};
        let standings = [vec![Kept; 9], vec![Changed], vec![Kept; 9], vec![Replaced, Kept]].concat();
        let Finding::Tampered { names } = finding(&standings) else { panic!("two of 21 are a few") };
        assert_eq!(names, ["t19", "t9"]);
        let many = Finding::Tampered { names: (0..5).map(|number| format!("t{number}")).collect() };
        assert_eq!(many.describe("X"), "X, tampered: t0, t1, t2 and 2 more only");
    }
}
