//! Owns the search through all stored tensors: one pass over their codes, every tensor of the query against each run while it
//! is in the cache. A clue is a stored tensor nearer than a few unrelated stored tensors are expected to be. What must hold: every
//! model with a clue is a candidate, and memory does not grow with the library.

use std::borrow::Cow;
use std::cmp::Reverse;
use std::collections::BTreeSet;
use std::ops::Range;

use phash_code::{Codes as _, Kernel};
use phash_core::{CODE_WORDS, ModelCode, PerView, View};
use phash_store::{CodeView, Reader};
use roaring::RoaringBitmap;

use super::evidence::radius_for_p_value;
use super::tensor::Tensor;
use crate::error::Result;

/// Of more candidates only those with the most clues are looked at.
pub(super) const MAX_CANDIDATES: usize = 1_000;

/// A model with clues.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Candidate {
    /// How many tensors of the query are the nearest to some clue: the most first.
    found: Reverse<usize>,
    /// The sum of the clues' distances.
    distance_bits: u64,
    /// The model.
    pub(super) id: u32,
}

/// The candidates, and how many there were in all.
#[derive(Debug, Default)]
pub(super) struct Clues {
    pub(super) candidates: Vec<Candidate>,
    pub(super) models: u64,
}

/// The stored tensors' codes.
#[derive(Debug)]
pub(super) struct StoredCodes<'r> {
    codes: PerView<CodeView<CODE_WORDS>>,
    /// Void and removed tensors.
    denied: PerView<Cow<'r, RoaringBitmap>>,
}

impl<'r> StoredCodes<'r> {
    pub(super) fn open(reader: &'r Reader) -> Result<Self> {
        let removed = reader.removed_tensors()?;
        Ok(Self {
            codes: PerView::try_from_fn(|view| reader.tensor_codes(view.name()))?,
            denied: PerView::try_from_fn(|view| -> Result<_> {
                let voids = reader.tensor_voids(view.name())?;
                Ok(if removed.is_empty() { Cow::Borrowed(voids) } else { Cow::Owned(voids | removed) })
            })?,
        })
    }

    /// How many tensors there are, removed ones included.
    pub(super) fn len(&self) -> u32 {
        self.codes.0.iter().map(|codes| codes.len()).min().unwrap_or(0)
    }

    /// A tensor's codes.
    pub(super) fn of(&self, id: u32) -> PerView<Option<ModelCode>> {
        PerView::from_fn(|view| {
            if self.denied[view].contains(id) { None } else { self.codes[view].get(id).copied() }
        })
    }
}

/// The probability at or below which a stored tensor is a clue, in one view: so many false ones are expected for each tensor of the
/// query, and each costs a look at a model.
pub(super) fn clue_p_value(stored_tensors: u32) -> f64 {
    const FALSE_CLUES: f64 = 32.0;
    FALSE_CLUES / f64::from(stored_tensors.max(1))
}

/// The models but `except` with clues to the items.
///
/// Time: stored tensors times items, at the speed of the cache; then two looks into the catalog a model with clues.
pub(super) fn clues(
    reader: &Reader,
    codes: &StoredCodes<'_>,
    items: &[Tensor],
    except: Option<u32>,
) -> Result<Clues> {
    let wanted = PerView::from_fn(|view| wanted(items, view, clue_p_value(codes.len())));
    let mut clues = Gathering { reader, except, clues: Clues::default(), model: None };
    let mut first = 0;
    while first < codes.len() {
        let len = View::ALL.into_iter().map(|view| codes.codes[view].run(first).len()).min().unwrap_or(0);
        if len == 0 {
            break;
        }
        for (number, best) in best_of_run(codes, &wanted, first, len).into_iter().enumerate() {
            if let Some((bits, item)) = best {
                clues.add(first + u32::try_from(number).unwrap_or(u32::MAX), item, bits)?;
            }
        }
        first += u32::try_from(len).unwrap_or(u32::MAX);
    }
    clues.finish()
}

/// An item's code, the radius of its clues, and its number. Equal codes once.
type Wanted = (ModelCode, u32, usize);

fn wanted(items: &[Tensor], view: View, max_p: f64) -> Vec<Wanted> {
    let mut seen = BTreeSet::new();
    let code = |(number, item): (usize, &Tensor)| {
        let hash = item.views[view];
        let code = hash.code.filter(|code| seen.insert((*code, hash.features)))?;
        Some((code, radius_for_p_value(view, hash.features, max_p)?, number))
    };
    items.iter().enumerate().filter_map(code).collect()
}

/// The nearest item of each of `len` stored tensors: distance and number, if it is a clue in some view.
fn best_of_run(
    codes: &StoredCodes<'_>,
    wanted: &PerView<Vec<Wanted>>,
    first: u32,
    len: usize,
) -> Vec<Option<(u32, usize)>> {
    let mut best: Vec<Option<(u32, usize)>> = vec![None; len];
    let kernel = Kernel::detect();
    for (view, wanted) in wanted.iter() {
        let Some(run) = codes.codes[view].run(first).get(..len) else { continue };
        for (code, radius_bits, item) in wanted {
            kernel.within(code, run, *radius_bits, |number, bits| {
                let id = first + u32::try_from(number).unwrap_or(u32::MAX);
                let nearer = best[number].is_none_or(|best| (bits, *item) < best);
                if nearer && !codes.denied[view].contains(id) {
                    best[number] = Some((bits, *item));
                }
            });
        }
    }
    best
}

/// The clues of the model that is being passed.
#[derive(Debug)]
struct Passing {
    id: u32,
    tensors: Range<u32>,
    items: BTreeSet<usize>,
    distance_bits: u64,
}

/// Gathers clues, which come in the order of the stored tensors, hence model by model.
struct Gathering<'r> {
    reader: &'r Reader,
    except: Option<u32>,
    clues: Clues,
    model: Option<Passing>,
}

impl Gathering<'_> {
    fn add(&mut self, tensor: u32, item: usize, bits: u32) -> Result<()> {
        if self.model.as_ref().is_none_or(|model| !model.tensors.contains(&tensor)) {
            self.pass();
            let Some(row) = self.reader.tensor(tensor)? else { return Ok(()) };
            let Some(model) = self.reader.model(row.model_id)? else { return Ok(()) };
            let (items, distance_bits) = (BTreeSet::new(), 0);
            self.model = Some(Passing { id: model.id, tensors: model.tensors, items, distance_bits });
        }
        if let Some(model) = &mut self.model {
            model.items.insert(item);
            model.distance_bits += u64::from(bits);
        }
        Ok(())
    }

    /// The model that was being passed is behind.
    fn pass(&mut self) {
        let Some(model) = self.model.take().filter(|model| Some(model.id) != self.except) else { return };
        let found = Reverse(model.items.len());
        self.clues.models += 1;
        self.clues.candidates.push(Candidate { found, distance_bits: model.distance_bits, id: model.id });
        if self.clues.candidates.len() >= 2 * MAX_CANDIDATES {
            self.keep_best();
        }
    }

    fn keep_best(&mut self) {
        self.clues.candidates.sort_unstable();
        self.clues.candidates.truncate(MAX_CANDIDATES);
    }

    fn finish(mut self) -> Result<Clues> {
        self.pass();
        self.keep_best();
        Ok(self.clues)
    }
}
