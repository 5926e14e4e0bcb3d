//! Owns the way from a source's bytes to a tensor's [`Sketch`]: [`Plan`] (what the headers alone decide) and [`Scratch`]
//! (working memory). What must hold: every byte is read once for the digest, in order; what the hash looks at is at most
//! a fixed number of elements, so memory does not grow with the tensors.

use crate::cut::{Cut, Cuts};
use crate::decode::{Bf16, F8E4M3, F8E4M3Fnuz, F8E5M2, F8E5M2Fnuz, F16, F32, F64};
use crate::digest::Digest;
use crate::planes::gather;
use crate::sketch::{Gathered, Sketching, TensorTallies};
use crate::skip::SkipReason;
use crate::source::{Dtype, TensorInfo, TensorSource};

/// Bytes read at a time.
const PIECE: usize = 1 << 20;
/// Tensors of up to so many bytes are kept whole while they are read; of larger ones, what the hash looks at is read again.
const KEEP_BYTES: u64 = 8 << 20;
/// Least bytes that are read again at a time.
const WINDOW: usize = 1 << 14;

/// What the headers alone decide: which tensors are used, and how each is cut.
#[derive(Clone, Debug)]
pub struct Plan {
    cuts: Vec<Result<Cuts, SkipReason>>,
}

/// One tensor's contribution: its digest, and the tallies to add to the model's.
#[derive(Clone, Debug)]
pub struct Sketch {
    pub(crate) bytes_digest: Digest,
    pub(crate) tallies: Result<Box<TensorTallies>, SkipReason>,
}

/// Working memory that a thread reuses from tensor to tensor: at most 9 MiB.
#[derive(Debug)]
pub struct Scratch {
    bytes: Vec<u8>,
    simd: pulp::Arch,
}

impl Default for Scratch {
    fn default() -> Self {
        Self { bytes: Vec::new(), simd: pulp::Arch::new() }
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
    /// Plans a model. O(tensors).
    pub fn new(tensors: &[TensorInfo]) -> Self {
        Self { cuts: tensors.iter().map(Cuts::of).collect() }
    }

    /// Reads and sketches tensor number `tensor` of `source`, which must be the source that was planned.
    ///
    /// Bytes are read once, front to back; of tensors over 8 MiB, what the hash looks at is read a second time. Time
    /// O(bytes) for the digest and O(1) for the rest; memory O(1): some 100 MiB for the most awkward shapes.
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
        let keep = cuts.is_ok() && info.len_bytes <= KEEP_BYTES;
        let bytes_digest = read(source, tensor, info.len_bytes, keep, &mut scratch.bytes)?;
        let tallies = match cuts {
            Err(reason) => Err(*reason),
            Ok(cuts) => {
                let gathered = if keep {
                    let Ok(gathered) = gathered(cuts, info.dtype, &mut Kept(&scratch.bytes));
                    gathered
                } else {
                    scratch.bytes.clear();
                    let window = Window { source, tensor, info, start: 0, bytes: &mut scratch.bytes };
                    gathered(cuts, info.dtype, &mut { window })?
                };
                gathered.and_then(|gathered| scratch.simd.dispatch(Sketching { cuts, gathered: &gathered }))
            }
        };
        Ok(Sketch { bytes_digest, tallies: tallies.map(Box::new) })
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

/// Where a tensor's elements come from.
trait Elements {
    type Error;

    /// The bytes from `first` on, `count` of them.
    fn bytes(&mut self, first: usize, count: usize) -> Result<&[u8], Self::Error>;
}

/// All bytes of a tensor.
struct Kept<'a>(&'a [u8]);

impl Elements for Kept<'_> {
    type Error = std::convert::Infallible;

    fn bytes(&mut self, first: usize, count: usize) -> Result<&[u8], Self::Error> {
        Ok(&self.0[first..first + count])
    }
}

/// A tensor of which a window is read at a time.
struct Window<'a, S: ?Sized> {
    source: &'a S,
    tensor: usize,
    info: &'a TensorInfo,
    start: usize,
    bytes: &'a mut Vec<u8>,
}

impl<S: TensorSource + ?Sized> Elements for Window<'_, S> {
    type Error = S::Error;

    fn bytes(&mut self, first: usize, count: usize) -> Result<&[u8], S::Error> {
        let within = first >= self.start && first + count <= self.start + self.bytes.len();
        if !within {
            let left = usize::try_from(self.info.len_bytes).unwrap_or(usize::MAX) - first;
            self.bytes.resize(count.max(WINDOW).min(left), 0);
            self.source.read_at(self.tensor, first as u64, self.bytes)?;
            self.start = first;
        }
        let at = first - self.start;
        Ok(&self.bytes[at..at + count])
    }
}

/// The elements that the cuts look at, decoded.
fn gathered<T: Elements>(
    cuts: &Cuts,
    dtype: Dtype,
    elements: &mut T,
) -> Result<Result<Gathered, SkipReason>, T::Error> {
    let sample = one(&cuts.sample, dtype, elements)?;
    let whole = cuts.whole.as_ref().map(|cut| one(cut, dtype, elements)).transpose()?;
    Ok(match (sample, whole) {
        (Some(sample), whole) => Ok(Gathered { sample, whole: whole.flatten() }),
        (None, _) => Err(SkipReason::NotFloating),
    })
}

/// The elements of one cut; `None` if the type is not a floating one.
fn one<T: Elements>(cut: &Cut, dtype: Dtype, elements: &mut T) -> Result<Option<Vec<f64>>, T::Error> {
    let Some(size) = dtype.size_bytes().and_then(|size| usize::try_from(size).ok()) else { return Ok(None) };
    let mut span = |first: usize, count: usize, take: &mut dyn FnMut(&[u8])| {
        take(elements.bytes(first * size, count * size)?);
        Ok(())
    };
    macro_rules! run {
        ($($dtype:ident => $element:ident),*) => {
            match dtype {
                $(Dtype::$dtype => gather::<$element, _>(cut, &mut span).map(Some),)*
                Dtype::Other(_) => Ok(None),
            }
        };
    }
    run!(F64 => F64, F32 => F32, F16 => F16, BF16 => Bf16, F8E4M3 => F8E4M3, F8E5M2 => F8E5M2,
        F8E4M3Fnuz => F8E4M3Fnuz, F8E5M2Fnuz => F8E5M2Fnuz)
}
