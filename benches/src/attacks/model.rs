//! Owns models in memory: decoded `f32` tensors, loaded through any [`TensorSource`] and hashed as one.

use std::collections::HashSet;
use std::convert::Infallible;
use std::path::Path;

use half::{bf16, f16};
use phash_core::{Dtype, TensorInfo, TensorSource};
use phash_weights::WeightsFile;

/// A tensor whose values are at hand.
#[derive(Clone, Debug, PartialEq)]
pub struct Tensor {
    /// The name in the file.
    pub name: String,
    /// Sizes of the axes, the last one varies fastest.
    pub shape: Vec<usize>,
    /// The values in storage order.
    pub values: Vec<f32>,
}

impl Tensor {
    /// Whether this is a matrix or more: two axes longer than 1, and not empty.
    #[must_use]
    pub fn is_weights(&self) -> bool {
        !self.values.is_empty() && self.shape.iter().filter(|&&len| len > 1).count() >= 2
    }

    /// Whether the hash looks at the tensor: weights of 1,024 elements or more.
    #[must_use]
    pub fn is_hashed(&self) -> bool {
        self.is_weights() && self.values.len() >= 1024
    }

    /// Mean and standard deviation of the values.
    #[must_use]
    pub fn moments(&self) -> (f64, f64) {
        let n = self.values.len().max(1) as f64;
        let mean = self.values.iter().map(|&x| f64::from(x)).sum::<f64>() / n;
        let variance = self.values.iter().map(|&x| (f64::from(x) - mean).powi(2)).sum::<f64>() / n;
        (mean, variance.sqrt())
    }
}

/// The floating tensors of a file, decoded.
pub struct Loaded {
    /// One of each.
    pub tensors: Vec<Tensor>,
    /// Those that an earlier tensor equals in type, shape and bytes: exporters store tied tensors several times. They are
    /// one parameter, the hash counts them once, and attacks change them once.
    pub copies: Vec<Tensor>,
}

/// Loads a file. F64, F32, F16 and BF16; tensors of other types are left out.
///
/// # Errors
/// If the file cannot be opened or read.
pub fn load(path: &Path) -> Result<Loaded, phash_weights::Error> {
    let file = WeightsFile::open(path)?;
    let (mut tensors, mut copies, mut seen) = (Vec::new(), Vec::new(), HashSet::new());
    for (number, info) in file.tensors().iter().enumerate() {
        let Some(decode) = decoder(info.dtype) else { continue };
        let mut bytes = vec![0; info.len_bytes as usize];
        file.read_at(number, 0, &mut bytes)?;
        let shape = info.shape.iter().map(|&len| len as usize).collect();
        let tensor = Tensor { name: info.name.clone(), shape, values: decode(&bytes) };
        let first = seen.insert((info.dtype, info.shape.clone(), blake3::hash(&bytes)));
        if first { &mut tensors } else { &mut copies }.push(tensor);
    }
    Ok(Loaded { tensors, copies })
}

type Decode = fn(&[u8]) -> Vec<f32>;

fn decoder(dtype: Dtype) -> Option<Decode> {
    fn with<const N: usize>(bytes: &[u8], value: fn([u8; N]) -> f32) -> Vec<f32> {
        bytes.as_chunks().0.iter().map(|&element| value(element)).collect()
    }
    match dtype {
        Dtype::F64 => Some(|bytes| with(bytes, |x| f64::from_le_bytes(x) as f32)),
        Dtype::F32 => Some(|bytes| with(bytes, f32::from_le_bytes)),
        Dtype::F16 => Some(|bytes| with(bytes, |x| f16::from_le_bytes(x).to_f32())),
        Dtype::BF16 => Some(|bytes| with(bytes, |x| bf16::from_le_bytes(x).to_f32())),
        _ => None,
    }
}

/// Tensors as a source for the hash: an F32 file that was never written.
pub struct InMemory {
    infos: Vec<TensorInfo>,
    tensors: Vec<Tensor>,
}

impl InMemory {
    /// The model of these tensors, in this order.
    #[must_use]
    pub fn new(tensors: Vec<Tensor>) -> Self {
        let info = |tensor: &Tensor| TensorInfo {
            name: tensor.name.clone(),
            dtype: Dtype::F32,
            shape: tensor.shape.iter().map(|&len| len as u64).collect(),
            len_bytes: 4 * tensor.values.len() as u64,
        };
        Self { infos: tensors.iter().map(info).collect(), tensors }
    }

    /// The tensors.
    #[must_use]
    pub fn tensors_in_memory(&self) -> &[Tensor] {
        &self.tensors
    }
}

impl TensorSource for InMemory {
    type Error = Infallible;

    fn tensors(&self) -> &[TensorInfo] {
        &self.infos
    }

    fn read_at(&self, tensor: usize, offset_bytes: u64, buf: &mut [u8]) -> Result<(), Infallible> {
        assert!(offset_bytes.is_multiple_of(4), "reads start at whole elements");
        let values = &self.tensors[tensor].values[(offset_bytes / 4) as usize..];
        assert!(buf.len() <= 4 * values.len(), "reads stay in the tensor");
        for (bytes, value) in buf.chunks_mut(4).zip(values) {
            bytes.copy_from_slice(&value.to_le_bytes()[..bytes.len()]);
        }
        Ok(())
    }
}
