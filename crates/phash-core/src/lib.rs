//! NTS hashing: tensors of weights to NTS features to a fixed-length binary code.
mod source;
pub use source::{Dtype, TensorInfo, TensorSource};
