//! Owns [`TensorSource`], the hinge between the crates that read weights files and the hash: a list of tensors and
//! positional reads of their bytes. Knows no format. Element types and their widths live here too.

/// The element type of a tensor, as far as hashing is concerned.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Dtype {
    /// IEEE 754 binary64, little-endian.
    F64,
    /// IEEE 754 binary32, little-endian.
    F32,
    /// IEEE 754 binary16, little-endian.
    F16,
    /// bfloat16: the upper half of a binary32, little-endian.
    BF16,
    /// FP8 E4M3 (OCP "FN": no infinities, NaN is S.1111.111).
    F8E4M3,
    /// FP8 E5M2 (OCP: IEEE-like with infinities).
    F8E5M2,
    /// FP8 E4M3 FNUZ: bias 8, no infinities, no negative zero, NaN is 0x80.
    F8E4M3Fnuz,
    /// FP8 E5M2 FNUZ: bias 16, no infinities, no negative zero, NaN is 0x80.
    F8E5M2Fnuz,
    /// Anything that is not a floating type we hash (integers, booleans, complex, sub-byte, scale types). Its name as
    /// the format spells it; the bytes still enter the content digest.
    Other(&'static str),
}

impl Dtype {
    /// Bytes an element, or `None` for [`Dtype::Other`].
    pub fn size_bytes(self) -> Option<u64> {
        match self {
            Dtype::F64 => Some(8),
            Dtype::F32 => Some(4),
            Dtype::F16 | Dtype::BF16 => Some(2),
            Dtype::F8E4M3 | Dtype::F8E5M2 | Dtype::F8E4M3Fnuz | Dtype::F8E5M2Fnuz => Some(1),
            Dtype::Other(_) => None,
        }
    }

    /// The name that safetensors files use for the type (`F32`, `BF16`, `F8_E4M3`, ...).
    pub fn name(self) -> &'static str {
        match self {
            Dtype::F64 => "F64",
            Dtype::F32 => "F32",
            Dtype::F16 => "F16",
            Dtype::BF16 => "BF16",
            Dtype::F8E4M3 => "F8_E4M3",
            Dtype::F8E5M2 => "F8_E5M2",
            Dtype::F8E4M3Fnuz => "F8_E4M3FNUZ",
            Dtype::F8E5M2Fnuz => "F8_E5M2FNUZ",
            Dtype::Other(name) => name,
        }
    }
}

/// One tensor of a model, as its file describes it.
///
/// What must hold (the source checks it before it hands the value out): for a floating type,
/// `len_bytes == product(shape) * dtype.size_bytes()`, without overflow.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TensorInfo {
    /// The tensor's name in the file; never enters a code or a content digest.
    pub name: String,
    /// Element type.
    pub dtype: Dtype,
    /// Sizes of the axes in storage order (the last one varies fastest).
    pub shape: Vec<u64>,
    /// Length of the tensor's data in bytes.
    pub len_bytes: u64,
}

/// A model opened for reading: tensors in the order of their data, and positional reads.
///
/// Implementations are cheap to share between threads: `read_at` takes `&self` and may be called from
/// several threads at once.
pub trait TensorSource: Sync {
    /// What goes wrong when bytes are read.
    type Error;

    /// The tensors, in the order in which their data lie in the file (for sharded models: shard by shard).
    fn tensors(&self) -> &[TensorInfo];

    /// Fills `buf` with the bytes of tensor number `tensor` from `offset_bytes` on.
    ///
    /// # Errors
    /// If the bytes cannot be read in full, e.g. because the file became shorter since it was opened.
    ///
    /// # Panics
    /// May panic if `tensor` is out of range or the range lies outside the tensor: those are programmer's errors.
    fn read_at(&self, tensor: usize, offset_bytes: u64, buf: &mut [u8]) -> Result<(), Self::Error>;
}
