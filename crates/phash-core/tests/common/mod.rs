//! Models in memory for the tests: tensors that are generated or read from `data/models`.
#![allow(dead_code, reason = "each test file uses its part")]

pub(crate) mod bundled;
pub(crate) mod generate;
pub(crate) mod realistic;

use std::convert::Infallible;
use std::fmt;

use phash_core::{Dtype, ModelHash, TensorInfo, TensorSource};

/// A tensor with its bytes.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Tensor {
    pub(crate) info: TensorInfo,
    pub(crate) bytes: Vec<u8>,
}

impl Tensor {
    pub(crate) fn new(name: &str, dtype: Dtype, shape: &[usize], bytes: Vec<u8>) -> Self {
        let shape = shape.iter().map(|&axis| axis as u64).collect();
        let info = TensorInfo { name: name.to_owned(), dtype, shape, len_bytes: bytes.len() as u64 };
        Self { info, bytes }
    }

    /// The shape in the machine's own numbers.
    pub(crate) fn axes(&self) -> Vec<usize> {
        self.info.shape.iter().map(|&axis| usize::try_from(axis).unwrap()).collect()
    }

    /// The same tensor with its axes stored in another order: axis `i` of the result is axis `order[i]` of `self`.
    pub(crate) fn transposed(&self, order: &[usize]) -> Self {
        let axes = self.axes();
        let count: usize = axes.iter().product();
        let shape: Vec<usize> = order.iter().map(|&axis| axes[axis]).collect();
        let width = self.bytes.len().checked_div(count).unwrap_or(0);
        let mut bytes = Vec::with_capacity(self.bytes.len());
        let mut index = vec![0; axes.len()];
        for _ in 0..count {
            let position = (0..axes.len()).fold(0, |position, axis| position * axes[axis] + index[axis]);
            bytes.extend_from_slice(&self.bytes[position * width..(position + 1) * width]);
            for &axis in order.iter().rev() {
                index[axis] += 1;
                if index[axis] < axes[axis] {
                    break;
                }
                index[axis] = 0;
            }
        }
        Self::new(&self.info.name, self.info.dtype, &shape, bytes)
    }

    /// An F32 tensor's values.
    pub(crate) fn f32s(&self) -> Vec<f32> {
        assert_eq!(self.info.dtype, Dtype::F32);
        self.bytes.as_chunks::<4>().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect()
    }

    /// The same tensor with other F32 values.
    pub(crate) fn with_f32s(&self, values: &[f32]) -> Self {
        let bytes = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        Self::new(&self.info.name, Dtype::F32, &self.axes(), bytes)
    }
}

impl fmt::Debug for Tensor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let start = &self.bytes[..self.bytes.len().min(16)];
        write!(f, "{:?} {:?} {start:02x?}..", self.info.dtype, self.info.shape)
    }
}

/// A model in memory.
#[derive(Clone)]
pub(crate) struct Model {
    pub(crate) tensors: Vec<Tensor>,
    infos: Vec<TensorInfo>,
}

impl Model {
    pub(crate) fn new(tensors: Vec<Tensor>) -> Self {
        let infos = tensors.iter().map(|tensor| tensor.info.clone()).collect();
        Self { tensors, infos }
    }

    /// The model with each tensor replaced.
    pub(crate) fn map(&self, change: impl FnMut(&Tensor) -> Tensor) -> Self {
        Self::new(self.tensors.iter().map(change).collect())
    }

    pub(crate) fn hash(&self) -> ModelHash {
        let Ok(hash) = phash_core::hash_model(self);
        hash
    }
}

impl fmt::Debug for Model {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.tensors.fmt(f)
    }
}

impl TensorSource for Model {
    type Error = Infallible;

    fn tensors(&self) -> &[TensorInfo] {
        &self.infos
    }

    fn read_at(&self, tensor: usize, offset_bytes: u64, buf: &mut [u8]) -> Result<(), Infallible> {
        let start = usize::try_from(offset_bytes).unwrap();
        buf.copy_from_slice(&self.tensors[tensor].bytes[start..start + buf.len()]);
        Ok(())
    }
}
