//! Owns [`AnyCode`]: one code of any of the widths.

use std::fmt;
use std::str::FromStr;

use phash_code::Code;

use super::{Any, bits_of};
use crate::Error;

/// A code of 64, 128, 256 or 512 bits. From hexadecimal digits by [`str::parse`], the width by their number.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct AnyCode(pub(super) Any<Code<1>, Code<2>, Code<4>, Code<8>>);

impl AnyCode {
    /// The code with these bytes, in order; the width is their number.
    ///
    /// # Errors
    /// [`Error::NoWidth`] unless there are 8, 16, 32 or 64.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, Error> {
        let got_bits = 8 * bytes.len() as u64;
        let bits = u32::try_from(got_bits).map_err(|_| Error::NoWidth { got_bits })?;
        Ok(Self(of_bits!(bits, W => Code::<W>::from_bytes(bytes)?)))
    }

    /// The width in bits.
    #[must_use]
    pub fn bits(&self) -> u32 {
        bits_of(&self.0)
    }

    /// The bytes, in order.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        each!(&self.0, code => code.as_bytes())
    }
}

impl FromStr for AnyCode {
    type Err = Error;

    /// # Errors
    /// [`Error::NoWidth`] unless there are 16, 32, 64 or 128 characters, [`Error::Code`] if they are not all hexadecimal
    /// digits.
    fn from_str(text: &str) -> Result<Self, Error> {
        let got_bits = 4 * text.chars().count() as u64;
        let bits = u32::try_from(got_bits).map_err(|_| Error::NoWidth { got_bits })?;
        Ok(Self(of_bits!(bits, W => text.parse::<Code<W>>()?)))
    }
}

impl fmt::Display for AnyCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        each!(&self.0, code => code.fmt(f))
    }
}

impl fmt::Debug for AnyCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

macro_rules! from_code {
    ($words:literal, $kind:ident) => {
        impl From<Code<$words>> for AnyCode {
            fn from(code: Code<$words>) -> Self {
                Self(Any::$kind(code))
            }
        }
    };
}
from_code!(1, Bits64);
from_code!(2, Bits128);
from_code!(4, Bits256);
from_code!(8, Bits512);
