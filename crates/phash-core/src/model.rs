//! Owns the way from a model's tensors to its codes: [`Plan`] (what the header alone decides), [`Sketch`] (one tensor's
//! contribution) and [`ModelHasher`] (the sum). Sums are integers, so the result does not depend on the order in which
//! tensors are added, nor on the threads that sketch them.

use std::collections::{BTreeMap, HashSet};

use crate::cut::Cut;
use crate::digest::{Digest, content_digest, tensor_record};
use crate::hash::{ModelHash, TensorHash, ViewHash};
use crate::projection::Sums;
use crate::sketch::{TensorSums, tensor_sums};
use crate::skip::SkipReason;
use crate::source::{TensorInfo, TensorSource};
use crate::view::{PerView, View};

/// What the headers alone decide: which tensors are used, and how each is cut.
#[derive(Clone, Debug)]
pub struct Plan {
    cuts: Vec<Result<Cut, SkipReason>>,
}

/// One tensor's contribution: its digest, and the sums to add to the model's.
#[derive(Clone, Debug)]
pub struct Sketch {
    bytes_digest: Digest,
    sums: Result<Box<TensorSums>, SkipReason>,
}

/// Working memory that a thread reuses from tensor to tensor: grows to 1.5 times the largest tensor's bytes, or that
/// and 8 MiB.
#[derive(Debug)]
pub struct Scratch {
    bytes: Vec<u8>,
    entries: Vec<f64>,
    simd: pulp::Arch,
}

impl Default for Scratch {
    fn default() -> Self {
        Self { bytes: Vec::new(), entries: Vec::new(), simd: pulp::Arch::new() }
    }
}

impl Scratch {
    /// Working memory for hashing without the SIMD that the machine has beyond its baseline. Gives the same bits, slower:
    /// for tests and measurements.
    pub fn portable() -> Self {
        Self { simd: pulp::Arch::Scalar, ..Self::default() }
    }

    /// Gives back memory beyond 8 MiB a buffer, so that a thread between tensors does not hold what another one needs.
    pub fn shrink(&mut self) {
        const KEEP_BYTES: usize = 8 << 20;
        const KEEP_ENTRIES: usize = KEEP_BYTES / size_of::<f64>();
        self.bytes.truncate(KEEP_BYTES);
        self.bytes.shrink_to(KEEP_BYTES);
        self.entries.truncate(KEEP_ENTRIES);
        self.entries.shrink_to(KEEP_ENTRIES);
    }
}

impl Plan {
    /// Plans a model. O(tensors + their rows and columns).
    pub fn new(tensors: &[TensorInfo]) -> Self {
        Self { cuts: tensors.iter().map(Cut::of).collect() }
    }

    /// Reads and sketches tensor number `tensor` of `source`, which must be the source that was planned.
    ///
    /// Bytes are read once, front to back. Time O(elements).
    ///
    /// # Errors
    /// The source's error if the bytes cannot be read.
    ///
    /// # Panics
    /// If `source` is not the one that was planned.
    pub fn sketch<S>(&self, source: &S, tensor: usize, scratch: &mut Scratch) -> Result<Sketch, S::Error>
    where
        S: TensorSource + ?Sized,
    {
        let info = &source.tensors()[tensor];
        let cut = &self.cuts[tensor];
        let bytes_digest = read(source, tensor, info.len_bytes, cut.is_ok(), &mut scratch.bytes)?;
        let sums = cut
            .as_ref()
            .map_err(|&reason| reason)
            .and_then(|cut| tensor_sums(scratch.simd, info.dtype, &scratch.bytes, cut, &mut scratch.entries));
        Ok(Sketch { bytes_digest, sums: sums.map(Box::new) })
    }
}

/// Reads a tensor in pieces and digests them; the bytes are left in `buffer` if they are to be kept.
fn read<S>(
    source: &S,
    tensor: usize,
    len_bytes: u64,
    keep: bool,
    buffer: &mut Vec<u8>,
) -> Result<Digest, S::Error>
where
    S: TensorSource + ?Sized,
{
    const PIECE: usize = 1 << 20;
    let mut hasher = blake3::Hasher::new();
    if keep {
        // At once and exactly: growing would leave the smaller buffers' memory with the allocator.
        buffer.reserve_exact(usize::try_from(len_bytes).unwrap_or(0).saturating_sub(buffer.len()));
    }
    let (mut offset_bytes, mut end) = (0, 0);
    while offset_bytes < len_bytes {
        let len = usize::try_from(len_bytes - offset_bytes).unwrap_or(PIECE).min(PIECE);
        let start = if keep { end } else { 0 };
        end = start + len;
        if buffer.len() < end {
            buffer.resize(end, 0);
        }
        let piece = &mut buffer[start..end];
        source.read_at(tensor, offset_bytes, piece)?;
        hasher.update(piece);
        offset_bytes += len as u64;
    }
    buffer.truncate(end);
    Ok(Digest(hasher.finalize().into()))
}

/// Adds sketches up to a model's hash, in any order.
#[derive(Debug)]
pub struct ModelHasher {
    /// Sums of view `energy` by axis length, with the number of axes: only lengths that occur twice will count.
    energy: BTreeMap<usize, (u32, Sums)>,
    blocks: Sums,
    tensors: Vec<Option<TensorHash>>,
    records: Vec<Digest>,
    /// The records of the tensors that are in the sums: a tensor stored several times counts once.
    summed: HashSet<Digest>,
}

impl ModelHasher {
    /// Starts a model of `tensors` tensors.
    pub fn new(tensors: usize) -> Self {
        Self {
            energy: BTreeMap::new(),
            blocks: Sums::default(),
            tensors: vec![None; tensors],
            records: Vec::with_capacity(tensors),
            summed: HashSet::new(),
        }
    }

    /// Adds the sketch of tensor number `tensor`, which is `info`.
    ///
    /// # Panics
    /// If the tensor was added before, or is out of range.
    pub fn add(&mut self, tensor: usize, info: &TensorInfo, sketch: &Sketch) {
        assert!(self.tensors[tensor].is_none(), "tensor {tensor} was added twice");
        let record = tensor_record(info, &sketch.bytes_digest);
        self.records.push(record);
        let mut hash = TensorHash {
            views: PerView::default(),
            bytes_digest: sketch.bytes_digest,
            skipped: sketch.sums.as_ref().err().copied(),
        };
        if let Ok(sums) = &sketch.sums {
            let mut energy = Sums::default();
            sums.energy.iter().for_each(|(_, axis)| energy.add(axis));
            hash.views[View::Energy] = view_hash(&energy);
            hash.views[View::Blocks] = view_hash(&sums.blocks);
            if self.summed.insert(record) {
                self.add_sums(sums);
            }
        }
        self.tensors[tensor] = Some(hash);
    }

    fn add_sums(&mut self, sums: &TensorSums) {
        for (len, axis) in &sums.energy {
            let (times, total) = self.energy.entry(*len).or_default();
            *times += 1;
            total.add(axis);
        }
        self.blocks.add(&sums.blocks);
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
        let mut energy = Sums::default();
        self.energy.values().filter(|(times, _)| *times >= 2).for_each(|(_, axes)| energy.add(axes));
        let mut views = PerView::default();
        views[View::Energy] = view_hash(&energy);
        views[View::Blocks] = view_hash(&self.blocks);
        ModelHash {
            views,
            tensors: self.tensors.into_iter().flatten().collect(),
            content_digest: content_digest(&mut self.records),
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

fn view_hash(sums: &Sums) -> ViewHash {
    ViewHash { code: sums.code(), features: sums.features }
}
