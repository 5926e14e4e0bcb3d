//! The fixed-width binary code: the type, its hexadecimal form, Hamming distance, and the trait [`Codes`].
//!
//! A leaf crate: everything that stores, searches or makes codes meets here and nowhere else.
//! Bit `i` of a code is bit `i % 8` of byte `i / 8`, on every machine.
//!
//! ```
//! use phash_code::{Code64, Kernel};
//!
//! let query: Code64 = "00000000000000ff".parse()?;
//! let codes: Vec<Code64> = vec!["00000000000000fe".parse()?, "ffffffffffffffff".parse()?];
//! assert_eq!(query.distance(&codes[0]), 1);
//!
//! // One code against many: the fastest kernel this CPU has.
//! let mut near = Vec::new();
//! Kernel::detect().within(&query, &codes, 8, |index, distance_bits| near.push((index, distance_bits)));
//! assert_eq!(near, [(0, 1)]);
//! # Ok::<(), phash_code::Error>(())
//! ```

mod code;
mod codes;
mod error;
mod hex;
mod kernel;

pub use code::{Code, Code64, Code128, Code256, Code512};
pub use codes::Codes;
pub use error::Error;
pub use kernel::{Bucket, Kernel, prefetch, prefetch_all};
