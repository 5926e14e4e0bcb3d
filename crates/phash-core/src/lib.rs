//! NTS hashing: tensors of weights to NTS features to a fixed-length binary code, and what a distance means.
//!
//! Pure: no files, no unsafe code, no clock. The same tensors give the same codes on every machine, for every number of
//! threads and every SIMD width. docs/hashing.md is the specification; it follows the published outline of Chen et al.,
//! "Perceptual Hashing of Deep Convolutional Neural Networks for Model Copy Detection", ACM TOMM 2023.

/// The examples of the README, run as tests.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;

mod blocks;
mod coordinates;
mod cut;
mod decode;
mod digest;
mod energy;
mod equilibrate;
mod evalue;
mod features;
mod gather;
mod hash;
mod model;
mod order;
mod places;
mod plan;
mod planes;
mod pool;
mod projection;
mod sketch;
mod skip;
mod source;
mod sums;
mod tally;
mod view;

pub use digest::Digest;
pub use evalue::{e_value, effective_bits, joint_p_value, p_value, p_values, radius_for_e_value};
pub use hash::{ModelHash, TensorHash, ViewHash};
pub use model::{ModelHasher, hash_model};
pub use plan::{Plan, Reading, Scratch, Sketch};
pub use skip::SkipReason;
pub use source::{Dtype, TensorInfo, TensorSource};
pub use view::{PerView, View};

/// The width of every model and tensor code, in bits.
pub const CODE_BITS: u32 = ModelCode::BITS;

/// The width of every model and tensor code, in 64-bit words.
pub const CODE_WORDS: usize = 8;

/// The code of a model or a tensor in one view.
pub type ModelCode = phash_code::Code<CODE_WORDS>;

/// A model with fewer independent features than this, all views together, is weak: distances to it spread more, so they
/// prove less, and E-values say so.
pub const WEAK_FEATURES: u32 = 2_000;

/// The fingerprint of everything that decides a code's bits: BLAKE3 of the parameter text in docs/hashing.md.
/// Stored in databases; codes of different parameters are never compared.
pub fn parameters_fingerprint() -> Digest {
    Digest(blake3::hash(PARAMETERS.as_bytes()).into())
}

/// The parameters in words: the version of the definition and every constant in it.
pub const PARAMETERS: &str = "phashdb nts v2; bits 512; elements >= 1024; axis >= 16; sample 256 in runs of 8, kernel 64; \
    whole <= 2^20 elements; log floor 2^-20; energy: high-pass 2+2, axis lengths that occur twice; \
    blocks: dense 8x8, thin 4x1 longest axis first, grid <= 64, rounds 8; weights: 16 waves by index; \
    order: waves 2 to 9 by energy, logistic 1.6 shift 0.5, cubes clip 3; orbit: waves 2 to 6 by rank, 5 pairs; \
    both: axis lengths that occur twice; \
    kernels by orbits; octaves; median, 1.4826 MAD, clip 3, steps 256; SplitMix64 signs; equal tensors once";
