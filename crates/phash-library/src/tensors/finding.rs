//! Owns [`Finding`]: what the standings of its tensors say about a model as a whole, in words. The thresholds of these words
//! are here and nowhere else (docs/cli.md repeats them).

use super::head::heads;
use super::item::Item;
use super::pairing::TensorPair;
use super::standing::{Standing, Tally};

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
    pub(crate) fn of(pairs: &[TensorPair], a: &[Item], b: &[Item]) -> Self {
        let coded: Vec<&TensorPair> = pairs.iter().filter(|pair| pair.has_code(a, b)).collect();
        let tally = Tally::of(coded.iter().map(|pair| pair.standing));
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
fn tampered_names(coded: &[&TensorPair], a: &[Item]) -> Vec<String> {
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
