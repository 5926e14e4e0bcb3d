//! The fixed-width binary code: the type, its hexadecimal form, Hamming distance, and the trait [`Codes`].
//!
//! A leaf crate: everything that stores, searches or makes codes meets here and nowhere else.
//! Bit `i` of a code is bit `i % 8` of byte `i / 8`, on every machine.

mod code;
mod codes;

pub use code::{Code, Code64, Code128, Code256, Code512};
pub use codes::Codes;
