//! Owns [`Error`]: everything that can be wrong with a code that comes from outside.

use std::fmt;

/// Why text or bytes are not a code (or not a slice of codes).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Error {
    /// The text has the wrong number of hexadecimal digits.
    HexLength {
        /// Digits a code of this width has.
        expected_digits: usize,
        /// Characters the text has.
        got_chars: usize,
    },
    /// The text contains a character that is not a hexadecimal digit.
    HexDigit {
        /// The first offending character.
        found: char,
        /// Its position, counted in characters from 0.
        position: usize,
    },
    /// The bytes are not exactly one code.
    ByteLength {
        /// Bytes a code of this width has.
        expected_bytes: usize,
        /// Bytes given.
        got_bytes: usize,
    },
    /// The bytes are not a whole number of codes.
    SliceLength {
        /// Bytes a code of this width has.
        code_bytes: usize,
        /// Bytes given.
        got_bytes: usize,
    },
    /// The bytes do not start at an address that is a multiple of 8, so they cannot be viewed as codes.
    Misaligned {
        /// How many bytes the address lies beyond a multiple of 8.
        off_by_bytes: usize,
    },
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::HexLength { expected_digits, got_chars } => {
                write!(
                    f,
                    "a code of this width has {expected_digits} hexadecimal digits, got {got_chars} characters"
                )
            }
            Error::HexDigit { found, position } => {
                write!(f, "{found:?} at position {position} is not a hexadecimal digit (0-9, a-f, A-F)")
            }
            Error::ByteLength { expected_bytes, got_bytes } => {
                write!(f, "a code of this width has {expected_bytes} bytes, got {got_bytes}")
            }
            Error::SliceLength { code_bytes, got_bytes } => {
                write!(f, "{got_bytes} bytes are not a whole number of codes of {code_bytes} bytes")
            }
            Error::Misaligned { off_by_bytes } => {
                write!(
                    f,
                    "the bytes start {off_by_bytes} beyond a multiple of 8; copy them to an aligned buffer"
                )
            }
        }
    }
}

impl std::error::Error for Error {}
