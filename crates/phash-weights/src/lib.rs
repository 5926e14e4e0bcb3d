//! Weights files to named tensors: the only crate that knows file formats.
//!
//! [`WeightsFile::open`] reads the table of tensors and nothing else; the tensors' bytes are read on demand, by
//! position, through [`phash_core::TensorSource`]. [`discover`] finds the models below a directory.
//! What must hold: no file, however hostile, makes this crate panic, execute anything, leave the model's folder, or
//! allocate more than a small multiple of its header (see [`limits`]); whatever is refused is refused with an [`Error`]
//! that names the file.
//!
//! ```
//! use phash_core::TensorSource as _;
//! use phash_weights::WeightsFile;
//!
//! # let dir = tempfile::tempdir()?;
//! # let path = dir.path().join("model.safetensors");
//! # let header = br#"{"w":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}"#;
//! # let mut bytes = u64::try_from(header.len())?.to_le_bytes().to_vec();
//! # bytes.extend_from_slice(header);
//! # bytes.extend_from_slice(&[0, 0, 128, 63, 0, 0, 0, 64]);
//! # std::fs::write(&path, &bytes)?;
//! let model = WeightsFile::open(&path)?;
//! for (number, tensor) in model.tensors().iter().enumerate() {
//!     let mut first = [0u8; 4];
//!     model.read_at(number, 0, &mut first)?;
//!     println!("{} {} {:?}: {}", tensor.name, tensor.dtype.name(), tensor.shape, f32::from_le_bytes(first));
//! }
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod digest;
pub mod discover;
mod error;
mod foreign;
mod format;
#[doc(hidden)]
pub mod fuzzing;
mod json;
pub mod limits;
mod parts;
mod positioned;
mod stamp;
mod weights_file;

pub use error::Error;
pub use stamp::{FileStamp, stamp};
pub use weights_file::WeightsFile;

/// Compiles the README's example.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
