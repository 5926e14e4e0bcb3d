//! Owns the way from a source's bytes to a tensor's [`Sketch`]: [`Plan`] (what the headers alone decide) and [`Scratch`]
//! (working memory). What must hold: every byte is read once for the digest, in order, unless a sample is asked for; what
//! the hash looks at is at most a fixed number of elements, so memory does not grow with the tensors.

use crate::cut::{Cut, Cuts, Whole};
use crate::decode::{Bf16, F8E4M3, F8E4M3Fnuz, F8E5M2, F8E5M2Fnuz, F16, F32, F64};
use crate::digest::{Digest, SampleDigest};
use crate::gather::{Elements, gather};
use crate::hash::TensorHash;
use crate::planes::Values;
use crate::pool::Pool;
use crate::sketch::{Gathered, Sketching, TensorTallies};
use crate::skip::SkipReason;
use crate::source::{Dtype, TensorInfo, TensorSource};

/// Bytes read at a time.
const PIECE: usize = 1 << 20;
/// Tensors of up to so many bytes are kept whole while they are read; of larger ones, what the hash looks at is read again,
/// or only that.
const KEEP_BYTES: u64 = 8 << 20;
/// Of a large tensor that no code is made of, so many pieces of so many bytes stand for it in a sample.
const SAMPLE_PIECES: u64 = 256;
const SAMPLE_PIECE: usize = 4_096;

/// How much of a model is read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Reading {
    /// Every byte: digests stand for the model byte by byte.
    #[default]
    Whole,
    /// Of tensors over 8 MiB only what the codes are made of, at most 256 rows and columns; their digests stand for no
    /// more than that.
    Sample,
}

/// What the headers alone decide: which tensors are used, how each is cut, and how much of it is read.
#[derive(Clone, Debug)]
pub struct Plan {
    cuts: Vec<Result<Cuts, SkipReason>>,
    reading: Reading,
}

/// One tensor's contribution: its hash, and the tallies to add to the model's.
#[derive(Clone, Debug)]
pub struct Sketch {
    pub(crate) hash: TensorHash,
    pub(crate) sampled: bool,
    pub(crate) tallies: Option<Box<TensorTallies>>,
}

/// Working memory that a thread reuses from tensor to tensor: at most 80 MiB.
#[derive(Debug)]
pub struct Scratch {
    bytes: Vec<u8>,
    pool: Pool,
    simd: pulp::Arch,
}

impl Default for Scratch {
    fn default() -> Self {
        Self { bytes: Vec::new(), pool: Pool::default(), simd: pulp::Arch::new() }
    }
}

impl Scratch {
    /// Working memory for hashing without the SIMD that the machine has beyond its baseline. Gives the same bits, slower:
    /// for tests and measurements.
    pub fn portable() -> Self {
        Self { simd: pulp::Arch::Scalar, ..Self::default() }
    }
}

impl Plan {
    /// Plans a model of which every byte is to be read. O(tensors).
    pub fn new(tensors: &[TensorInfo]) -> Self {
        Self { cuts: tensors.iter().map(Cuts::of).collect(), reading: Reading::Whole }
    }

    /// The same plan with as much of the model read.
    #[must_use]
    pub fn reading(self, reading: Reading) -> Self {
        Self { reading, ..self }
    }

    /// Reads and sketches tensor number `tensor` of `source`, which must be the source that was planned.
    ///
    /// Bytes are read once, front to back; of tensors over 8 MiB, what the hash looks at is read a second time. Time
    /// O(bytes) for the digest and O(1) for the rest. From a sample ([`Reading::Sample`]), only what the hash looks at is
    /// read of tensors over 8 MiB, in spans of up to a row, all in O(1); codes are the same. Memory O(1): some 100 MiB for
    /// the most awkward shapes.
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
        let cuts = &self.cuts[tensor];
        let large = info.len_bytes > KEEP_BYTES;
        let sampled = large && self.reading == Reading::Sample;
        let Scratch { bytes, pool, simd } = scratch;
        let (bytes_digest, gathered) = match cuts {
            Err(reason) if sampled => (read_pieces(source, tensor, info.len_bytes, bytes)?, Err(*reason)),
            Err(reason) => (read(source, tensor, info.len_bytes, false, bytes)?, Err(*reason)),
            Ok(cuts) if sampled => {
                let mut digest = SampleDigest::default();
                let mut window = Window { source, tensor, bytes };
                let gathered = gathered(cuts, info.dtype, &mut window, Some(&mut digest), pool)?;
                (digest.finish(), gathered.map(|gathered| (cuts, gathered)))
            }
            Ok(cuts) => {
                let digest = read(source, tensor, info.len_bytes, !large, bytes)?;
                let gathered = if large {
                    gathered(cuts, info.dtype, &mut Window { source, tensor, bytes }, None, pool)?
                } else {
                    let Ok(gathered) = gathered(cuts, info.dtype, &mut Kept(bytes), None, pool);
                    gathered
                };
                (digest, gathered.map(|gathered| (cuts, gathered)))
            }
        };
        let tallies = gathered
            .and_then(|(cuts, gathered)| simd.dispatch(Sketching { cuts, gathered, pool: &mut *pool }));
        let hash = TensorHash {
            views: tallies.as_ref().map(TensorTallies::views).unwrap_or_default(),
            bytes_digest,
            skipped: tallies.as_ref().err().copied(),
        };
        Ok(Sketch { hash, sampled, tallies: tallies.ok().map(Box::new) })
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
    let mut hasher = blake3::Hasher::new();
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

/// Reads pieces of a tensor of at least [`SAMPLE_PIECE`] bytes, evenly from end to end, and digests them.
fn read_pieces<S>(source: &S, tensor: usize, len_bytes: u64, buffer: &mut Vec<u8>) -> Result<Digest, S::Error>
where
    S: TensorSource + ?Sized,
{
    let mut digest = SampleDigest::default();
    buffer.resize(SAMPLE_PIECE, 0);
    let last = len_bytes.saturating_sub(SAMPLE_PIECE as u64);
    let (each, left) = (last / (SAMPLE_PIECES - 1), last % (SAMPLE_PIECES - 1));
    for piece in 0..SAMPLE_PIECES {
        source.read_at(tensor, piece * each + piece * left / (SAMPLE_PIECES - 1), buffer)?;
        digest.add(buffer);
    }
    Ok(digest.finish())
}

/// All bytes of a tensor.
struct Kept<'a>(&'a [u8]);

impl Elements for Kept<'_> {
    type Error = std::convert::Infallible;

    fn bytes(&mut self, first: usize, len: usize) -> Result<&[u8], Self::Error> {
        Ok(&self.0[first..first + len])
    }
}

/// A tensor of which a span is read at a time.
struct Window<'a, S: ?Sized> {
    source: &'a S,
    tensor: usize,
    bytes: &'a mut Vec<u8>,
}

impl<S: TensorSource + ?Sized> Elements for Window<'_, S> {
    type Error = S::Error;

    fn bytes(&mut self, first: usize, len: usize) -> Result<&[u8], S::Error> {
        self.bytes.resize(len, 0);
        self.source.read_at(self.tensor, first as u64, self.bytes)?;
        Ok(self.bytes)
    }
}

/// The elements that the cuts look at, decoded; `digest` is told the bytes of those in the sample.
fn gathered<T: Elements>(
    cuts: &Cuts,
    dtype: Dtype,
    elements: &mut T,
    digest: Option<&mut SampleDigest>,
    pool: &mut Pool,
) -> Result<Result<Gathered, SkipReason>, T::Error> {
    let Some(sample) = one(&cuts.sample, dtype, elements, digest, pool)? else {
        return Ok(Err(SkipReason::NotFloating));
    };
    let whole = match &cuts.whole {
        Whole::Own(cut) => one(cut, dtype, elements, None, pool)?,
        Whole::Sample | Whole::Nowhere => None,
    };
    Ok(Ok(Gathered { sample, whole }))
}

/// The elements of one cut; `None` if the type is not a floating one.
fn one<T: Elements>(
    cut: &Cut,
    dtype: Dtype,
    elements: &mut T,
    mut digest: Option<&mut SampleDigest>,
    pool: &mut Pool,
) -> Result<Option<Values>, T::Error> {
    let mut looked_at = |bytes: &[u8]| {
        if let Some(digest) = &mut digest {
            digest.add(bytes);
        }
    };
    let len = cut.positions * cut.entries();
    macro_rules! run {
        ($($dtype:ident => $element:ident),*) => {
            match dtype {
                Dtype::F64 => {
                    let mut values = vec![0.0; len];
                    gather::<F64, _>(cut, elements, &mut values, &mut looked_at)?;
                    Values::Wide(values)
                }
                $(Dtype::$dtype => {
                    let mut values = pool.zeros(len);
                    gather::<$element, _>(cut, elements, &mut values, &mut looked_at)?;
                    Values::Narrow(values)
                })*
                Dtype::Other(_) => return Ok(None),
            }
        };
    }
    Ok(Some(run!(F32 => F32, F16 => F16, BF16 => Bf16, F8E4M3 => F8E4M3, F8E5M2 => F8E5M2,
        F8E4M3Fnuz => F8E4M3Fnuz, F8E5M2Fnuz => F8E5M2Fnuz)))
}
