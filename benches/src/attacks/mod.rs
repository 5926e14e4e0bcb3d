//! What is done to weights between their release and their discovery: each attack changes a model in memory, and the
//! changed model is hashed as if it were a file. One file for each kind of attack; `measure` runs them and `report`
//! prints one row for each.
//!
//! Only *weights* are changed (tensors with two axes longer than 1) unless an attack says otherwise; the *channel axis*
//! is the longest, the first of equals, as in docs/hashing.md. Random numbers are a function of [`SEED`], the attack's
//! name and the model's name.

mod axes;
mod baselines;
mod combination;
mod edges;
mod function;
mod labelled;
mod layout;
mod measure;
mod merge;
mod model;
mod noise;
mod outline;
mod precision;
mod pruning;
mod replace;
mod report;

use crate::random::{Normal, SplitMix};

pub use baselines::{Baselines, NAMES as BASELINES};
pub use labelled::{Labelled, labelled};
pub use measure::{Case, Measured, Plan, Row, measure};
pub use model::{InMemory, Loaded, Tensor, load};
pub use report::{baselines_table, table};

/// The seed of all attacks.
pub const SEED: u64 = 1;

/// Where an attack takes its random numbers from.
pub struct Chance<'n> {
    bits: SplitMix,
    normal: &'n Normal,
    spare: Vec<f32>,
}

impl<'n> Chance<'n> {
    /// The numbers of one attack on one model.
    #[must_use]
    pub fn new(attack: &str, model: &str, normal: &'n Normal) -> Self {
        let text = format!("{SEED}\n{attack}\n{model}");
        let digest = *blake3::hash(text.as_bytes()).as_bytes();
        let seed = u64::from_le_bytes(std::array::from_fn(|byte| digest[byte]));
        Self { bits: SplitMix::new(seed), normal, spare: Vec::new() }
    }

    /// A standard normal number.
    fn normal(&mut self) -> f32 {
        if self.spare.is_empty() {
            self.spare.extend(self.normal.four(&mut self.bits));
        }
        self.spare.pop().unwrap_or_default()
    }

    /// Uniform in 0..1.
    fn uniform(&mut self) -> f64 {
        (self.bits.bits() >> 11) as f64 / (1u64 << 53) as f64
    }

    fn is_heads(&mut self) -> bool {
        self.bits.below(2) == 1
    }

    /// The numbers `0..len` in random order.
    fn order(&mut self, len: usize) -> Vec<usize> {
        let mut order: Vec<usize> = (0..len).collect();
        for last in (1..len).rev() {
            order.swap(last, self.bits.place(last + 1));
        }
        order
    }
}

/// Changes a model; `false` if there is nothing in it that the attack could change.
type Change = Box<dyn Fn(&mut Vec<Tensor>, &mut Chance<'_>) -> bool + Send + Sync>;

/// One thing to do to a model.
pub struct Attack {
    /// What is done, as the table says it.
    pub name: String,
    change: Change,
    /// Whether the attack is on the copies of equal tensors, which other attacks see once.
    on_copies: bool,
}

impl Attack {
    fn new(
        name: impl Into<String>,
        change: impl Fn(&mut Vec<Tensor>, &mut Chance<'_>) -> bool + Send + Sync + 'static,
    ) -> Self {
        Self { name: name.into(), change: Box::new(change), on_copies: false }
    }

    /// An attack that changes each weights tensor for itself.
    fn each(
        name: impl Into<String>,
        change: impl Fn(&mut Tensor, &mut Chance<'_>) + Send + Sync + 'static,
    ) -> Self {
        Self::new(name, move |tensors, chance| {
            let mut any = false;
            for tensor in tensors.iter_mut().filter(|tensor| tensor.is_weights()) {
                change(tensor, chance);
                any = true;
            }
            any
        })
    }

    /// The model after the attack; `None` if the attack does not apply to it.
    #[must_use]
    pub fn apply(&self, model: &Loaded, chance: &mut Chance<'_>) -> Option<Vec<Tensor>> {
        if self.on_copies && !model.copies.iter().any(Tensor::is_hashed) {
            return None;
        }
        let mut attacked = model.tensors.clone();
        if self.on_copies {
            attacked.extend_from_slice(&model.copies);
        }
        (self.change)(&mut attacked, chance).then_some(attacked)
    }
}

/// All attacks but merges, in the order of the table.
#[must_use]
pub fn all() -> Vec<Attack> {
    let unchanged = Attack::new("none: decoded to F32 and hashed", |_, _| true);
    [
        vec![unchanged],
        layout::attacks(),
        precision::attacks(),
        pruning::attacks(),
        noise::attacks(),
        replace::attacks(),
        function::attacks(),
        edges::attacks(),
        combination::attacks(),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// Whether a row of that name was asked for: all are if `only` is empty, else those whose names contain one of it.
fn is_chosen(name: &str, only: &[String]) -> bool {
    only.is_empty() || only.iter().any(|part| name.contains(part.as_str()))
}

/// Those of the attacks that were asked for.
#[must_use]
pub fn chosen(attacks: Vec<Attack>, only: &[String]) -> Vec<Attack> {
    attacks.into_iter().filter(|attack| is_chosen(&attack.name, only)).collect()
}

/// Those shares of merges that were asked for, in percent: a model's own share, the rest is its twin's.
#[must_use]
pub fn chosen_merges(only: &[String]) -> Vec<u8> {
    merge::SHARES.into_iter().filter(|&share| is_chosen(&merge::name(share), only)).collect()
}

/// A few attacks, one of each kind, that show in a moment that the program still runs.
#[must_use]
pub fn few() -> Vec<Attack> {
    const FEW: [&str; 6] = [
        "none",
        "transposed",
        "int8 per tensor",
        "pruned 50 % by magnitude",
        "noise 5 %",
        "channels permuted",
    ];
    all().into_iter().filter(|attack| FEW.iter().any(|name| attack.name.starts_with(name))).collect()
}
