//! Owns [`ModelHasher`], the sum of a model's tensors, and [`hash_model`]. Sums are integers, so the result does not depend
//! on the order in which tensors are added, nor on the threads that sketch them.

use std::collections::{BTreeMap, HashSet};

use crate::digest::{Digest, content_digest, tensor_record};
use crate::hash::{ModelHash, TensorHash};
use crate::plan::{Plan, Scratch, Sketch};
use crate::sketch::TensorTallies;
use crate::source::{TensorInfo, TensorSource};
use crate::tally::Tally;
use crate::view::{PerView, View};

/// The views of whole matrices.
const WHOLE: [View; 2] = [View::Order, View::Orbit];

/// Adds sketches up to a model's hash, in any order.
#[derive(Debug)]
pub struct ModelHasher {
    /// View `energy` by axis length, with the number of axes: only lengths that occur twice will count.
    axes: BTreeMap<usize, (u32, Tally)>,
    /// Views `order` and `orbit` by rows and columns: only if both lengths occur twice will they count.
    whole: BTreeMap<(usize, usize), [Tally; 2]>,
    /// The other views.
    views: PerView<Tally>,
    tensors: Vec<Option<TensorHash>>,
    records: Vec<Digest>,
    /// The records of the tensors that are in the sums: a tensor stored several times counts once.
    summed: HashSet<Digest>,
    sampled: bool,
}

impl ModelHasher {
    /// Starts a model of `tensors` tensors.
    pub fn new(tensors: usize) -> Self {
        Self {
            axes: BTreeMap::new(),
            whole: BTreeMap::new(),
            views: PerView::default(),
            tensors: vec![None; tensors],
            records: Vec::with_capacity(tensors),
            summed: HashSet::new(),
            sampled: false,
        }
    }

    /// Adds the sketch of tensor number `tensor`, which is `info`.
    ///
    /// # Panics
    /// If the tensor was added before, or is out of range.
    pub fn add(&mut self, tensor: usize, info: &TensorInfo, sketch: &Sketch) {
        assert!(self.tensors[tensor].is_none(), "tensor {tensor} was added twice");
        let record = tensor_record(info, &sketch.hash.bytes_digest);
        self.records.push(record);
        self.sampled |= sketch.sampled;
        if let Some(tallies) = &sketch.tallies
            && self.summed.insert(record)
        {
            self.add_tallies(tallies);
        }
        self.tensors[tensor] = Some(sketch.hash);
    }

    fn add_tallies(&mut self, tallies: &TensorTallies) {
        for (len, axis) in &tallies.axes {
            let (times, total) = self.axes.entry(*len).or_default();
            *times += 1;
            total.add(axis);
        }
        let whole = WHOLE.map(|view| &tallies.views[view]);
        if whole.iter().any(|tally| !tally.is_empty()) {
            let totals = self.whole.entry(tallies.lens).or_default();
            totals.iter_mut().zip(whole).for_each(|(total, tally)| total.add(tally));
        }
        let others = tallies.views.iter().filter(|(view, _)| !WHOLE.contains(view));
        others.for_each(|(view, tally)| self.views[view].add(tally));
    }

    /// Whether every tensor has been added.
    pub fn is_complete(&self) -> bool {
        self.records.len() == self.tensors.len()
    }

    /// The model's hash.
    ///
    /// # Panics
    /// If a tensor is missing.
    pub fn finish(mut self) -> ModelHash {
        assert!(self.is_complete(), "{} of {} tensors were added", self.records.len(), self.tensors.len());
        // Axes that mean something outside the network (inputs, classes) mostly have a length of their own, and make
        // independent models look alike; hidden axes have a partner.
        let is_hidden = |len: &usize| self.axes.get(len).is_some_and(|(times, _)| *times >= 2);
        let energy = &mut self.views[View::Energy];
        self.axes.iter().filter(|(len, _)| is_hidden(len)).for_each(|(_, (_, axes))| energy.add(axes));
        for ((rows, columns), tallies) in &self.whole {
            if is_hidden(rows) && is_hidden(columns) {
                WHOLE.iter().zip(tallies).for_each(|(view, tally)| self.views[*view].add(tally));
            }
        }
        let views = PerView::from_fn(|view| self.views[view].hash());
        ModelHash {
            views,
            tensors: self.tensors.into_iter().flatten().collect(),
            content_digest: content_digest(&mut self.records, self.sampled),
            sampled: self.sampled,
        }
    }
}

/// Hashes a model on this thread, tensor by tensor. Several threads may share the work by the same steps: one [`Plan`], a
/// [`Scratch`] for each, one [`ModelHasher`].
///
/// # Errors
/// The source's first error; the remaining tensors are then not read.
pub fn hash_model<S: TensorSource + ?Sized>(source: &S) -> Result<ModelHash, S::Error> {
    let tensors = source.tensors();
    let (plan, mut scratch) = (Plan::new(tensors), Scratch::default());
    let mut hasher = ModelHasher::new(tensors.len());
    for (tensor, info) in tensors.iter().enumerate() {
        hasher.add(tensor, info, &plan.sketch(source, tensor, &mut scratch)?);
    }
    Ok(hasher.finish())
}
