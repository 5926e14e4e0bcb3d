//! Owns what is done to some of a model's tensors, and how the answers about them are counted.

use phash_bench::attacks::{self, Tensor};
use phash_bench::random::{Normal, SplitMix};
use phash_library::{Finding, Standing, Story};

use crate::LARGE;

/// What is done to some of the tensors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum What {
    Last,
    First,
    Fifth,
    Half,
    One,
    Noise,
}

impl What {
    pub(crate) const ALL: [Self; 6] =
        [Self::Last, Self::First, Self::Fifth, Self::Half, Self::One, Self::Noise];

    pub(crate) fn name(self) -> &'static str {
        match self {
            What::Last => "last tensor replaced",
            What::First => "first tensor replaced",
            What::Fifth => "20 % of tensors replaced",
            What::Half => "50 % of tensors replaced",
            What::One => "one tensor replaced",
            What::Noise => "one tensor, noise of its sd added",
        }
    }

    pub(crate) fn choose(self, places: &[usize], random: &mut SplitMix) -> Vec<usize> {
        let len = places.len();
        let count = match self {
            What::Last => return places.last().copied().into_iter().collect(),
            What::First => return places.first().copied().into_iter().collect(),
            What::Fifth => (len / 5).max(1),
            What::Half => len / 2,
            What::One | What::Noise => 1,
        };
        let all = u32::try_from(len).unwrap_or(u32::MAX);
        random.choose(count, all).into_iter().map(|place| places[place as usize]).collect()
    }

    pub(crate) fn touch(self, tensor: &mut Tensor, normal: &Normal, random: &mut SplitMix) {
        let (mean, sd) = tensor.moments();
        let (mean, sd) = (mean as f32, sd as f32);
        for values in tensor.values.chunks_mut(4) {
            for (value, noise) in values.iter_mut().zip(normal.four(random)) {
                *value = if self == What::Noise { *value + sd * noise } else { mean + sd * noise };
            }
        }
    }

    /// Whether the words for the model fit what was done to it.
    pub(crate) fn is_right(self, finding: &Finding, story: &Story) -> bool {
        let told = matches!(story, Story::One);
        told && match finding {
            // Where nothing else was changed; else it is the backbone, changed throughout.
            Finding::Tampered { .. } | Finding::NewHead { .. } => true,
            Finding::Part { .. } => !matches!(self, What::Noise),
            Finding::Changed { .. } => self == What::Noise,
            _ => false,
        }
    }
}

/// Tensors called replaced, against those that were.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Named {
    pub(crate) hits: usize,
    pub(crate) false_alarms: usize,
    pub(crate) missed: usize,
    pub(crate) too_small: usize,
}

impl Named {
    pub(crate) fn count(&mut self, touched: bool, standing: Standing, what: What) {
        let named = match standing {
            Standing::TooSmall => {
                self.too_small += 1;
                return;
            }
            Standing::Replaced | Standing::Removed | Standing::Added => true,
            // A tensor with noise added is rightly called changed, but so may others be.
            Standing::Changed => what == What::Noise && touched,
            Standing::Kept => false,
        };
        match (touched, named) {
            (true, true) => self.hits += 1,
            (false, true) => self.false_alarms += 1,
            (true, false) => self.missed += 1,
            (false, false) => {}
        }
    }

    pub(crate) fn and(self, other: Self) -> Self {
        Self {
            hits: self.hits + other.hits,
            false_alarms: self.false_alarms + other.false_alarms,
            missed: self.missed + other.missed,
            too_small: self.too_small + other.too_small,
        }
    }
}

/// One model with something done to it.
pub(crate) struct Case {
    pub(crate) found: bool,
    pub(crate) first: bool,
    pub(crate) verdict: bool,
    pub(crate) query: Named,
    pub(crate) compare: Named,
}

pub(crate) fn row(what: What, rest: &str, cases: &[Case]) -> Vec<String> {
    let share = |is: fn(&Case) -> bool| percent(cases.iter().filter(|case| is(case)).count(), cases.len());
    let sum = |of: fn(&Case) -> Named| cases.iter().map(of).fold(Named::default(), Named::and);
    let (query, compare) = (sum(|case| case.query), sum(|case| case.compare));
    let recall = |named: Named| percent(named.hits, named.hits + named.missed);
    let precision = |named: Named| percent(named.hits, named.hits + named.false_alarms);
    vec![
        what.name().to_owned(),
        rest.to_owned(),
        cases.len().to_string(),
        share(|case| case.found),
        share(|case| case.first),
        share(|case| case.verdict),
        (query.hits + query.missed).to_string(),
        recall(query),
        precision(query),
        query.too_small.to_string(),
        recall(compare),
        precision(compare),
    ]
}

pub(crate) fn percent(part: usize, of: usize) -> String {
    if of == 0 { "-".to_owned() } else { format!("{:.1} %", 100.0 * part as f64 / of as f64) }
}

pub(crate) fn is_large(tensor: &Tensor) -> bool {
    tensor.is_hashed() && tensor.values.len() >= LARGE
}

pub(crate) fn seed(text: &str) -> u64 {
    let text = format!("{}\n{text}", attacks::SEED);
    let digest = *blake3::hash(text.as_bytes()).as_bytes();
    u64::from_le_bytes(std::array::from_fn(|byte| digest[byte]))
}

/// Each tensor from one or the other, or their average by the share of the first.
pub(crate) fn merge(a: &[Tensor], b: &[Tensor], share: Option<f32>) -> Vec<Tensor> {
    let both = a.iter().zip(b).enumerate();
    let tensor = |(number, (a, b)): (usize, (&Tensor, &Tensor))| match share {
        None => if number % 2 == 0 { a } else { b }.clone(),
        Some(share) => {
            let values = a.values.iter().zip(&b.values).map(|(a, b)| share * a + (1.0 - share) * b);
            Tensor { values: values.collect(), ..a.clone() }
        }
    };
    both.map(tensor).collect()
}
