//! Owns [`Width`] and [`RawCode`]: a code whose width is known at run time, and its hexadecimal form (bytes in order, the
//! high digit of each first), decoded fast enough for files of millions.

use std::fmt;

use phash_code::Code;

/// The widths that codes can have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Width {
    /// 64 bits.
    Bits64,
    /// 128 bits.
    Bits128,
    /// 256 bits.
    Bits256,
    /// 512 bits.
    Bits512,
}

impl Width {
    /// All widths.
    pub const ALL: [Self; 4] = [Self::Bits64, Self::Bits128, Self::Bits256, Self::Bits512];

    /// 64-bit words.
    pub const fn words(self) -> u32 {
        match self {
            Self::Bits64 => 1,
            Self::Bits128 => 2,
            Self::Bits256 => 4,
            Self::Bits512 => 8,
        }
    }

    /// Bits.
    pub const fn bits(self) -> u32 {
        self.words() * 64
    }

    /// Bytes.
    pub const fn bytes(self) -> usize {
        self.words() as usize * 8
    }

    /// Hexadecimal digits.
    pub const fn digits(self) -> usize {
        self.bytes() * 2
    }

    /// The width of so many bits, if codes can have it.
    pub fn from_bits(bits: u32) -> Option<Self> {
        Self::ALL.into_iter().find(|width| width.bits() == bits)
    }

    pub(crate) fn from_words(words: u32) -> Option<Self> {
        Self::ALL.into_iter().find(|width| width.words() == words)
    }
}

/// A code of any width.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct RawCode {
    /// The code's bytes, then zeros.
    bytes: [u8; 64],
    width: Width,
}

impl RawCode {
    /// The code of these bytes, if they are as many as a code of this width has.
    pub fn from_bytes(width: Width, bytes: &[u8]) -> Option<Self> {
        if bytes.len() != width.bytes() {
            return None;
        }
        let mut code = Self { bytes: [0; 64], width };
        code.bytes[..bytes.len()].copy_from_slice(bytes);
        Some(code)
    }

    /// Reads exactly as many hexadecimal digits as the width has, in either case, and nothing else.
    ///
    /// # Errors
    /// [`phash_code::Error::HexLength`] or [`phash_code::Error::HexDigit`].
    pub fn from_hex(width: Width, text: &[u8]) -> Result<Self, phash_code::Error> {
        let mut code = Self { bytes: [0; 64], width };
        decode_hex(text, &mut code.bytes[..width.bytes()])?;
        Ok(code)
    }

    /// The width.
    pub fn width(&self) -> Width {
        self.width
    }

    /// The code's bytes.
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes[..self.width.bytes()]
    }

    /// The number of bits in which two codes of one width differ.
    pub fn distance(&self, other: &Self) -> u32 {
        let pairs = self.bytes.iter().zip(&other.bytes);
        pairs.map(|(a, b)| (a ^ b).count_ones()).sum()
    }

    /// Changes a bit; one behind the last is none.
    pub(crate) fn flip(&mut self, bit: u32) {
        let bytes = &mut self.bytes[..self.width.bytes()];
        if let Some(byte) = bytes.get_mut((bit / 8) as usize) {
            *byte ^= 1 << (bit % 8);
        }
    }

    /// The code as one of `W` words; nothing is lost if that is its width.
    pub(crate) fn sized<const W: usize>(&self) -> Code<W> {
        Code::from_bytes(&self.bytes[..(W * 8).min(64)]).unwrap_or(Code::ZERO)
    }
}

impl<const W: usize> From<&Code<W>> for RawCode {
    /// Codes of other widths than [`Width::ALL`] are cut or filled up to 512 bits; there are none here.
    fn from(code: &Code<W>) -> Self {
        let mut bytes = [0; 64];
        for (to, from) in bytes.iter_mut().zip(code.as_bytes()) {
            *to = *from;
        }
        let words = u32::try_from(W).unwrap_or(8);
        Self { bytes, width: Width::from_words(words).unwrap_or(Width::Bits512) }
    }
}

impl fmt::Display for RawCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.as_bytes().iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for RawCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// What is no hexadecimal digit in [`NIBBLES`].
const NO_DIGIT: u8 = 0x80;

/// The value of each character as a hexadecimal digit.
#[expect(clippy::cast_possible_truncation, reason = "values are below 16")]
const NIBBLES: [u8; 256] = {
    let mut table = [NO_DIGIT; 256];
    let mut value = 0;
    while value < 16 {
        table[b"0123456789abcdef"[value] as usize] = value as u8;
        table[b"0123456789ABCDEF"[value] as usize] = value as u8;
        value += 1;
    }
    table
};

/// Decodes exactly `2 * out.len()` digits.
pub(crate) fn decode_hex(text: &[u8], out: &mut [u8]) -> Result<(), phash_code::Error> {
    let (pairs, rest) = text.as_chunks::<2>();
    let mut seen = 0;
    for (byte, [high, low]) in out.iter_mut().zip(pairs) {
        let (high, low) = (NIBBLES[usize::from(*high)], NIBBLES[usize::from(*low)]);
        seen |= high | low;
        *byte = high << 4 | (low & 15);
    }
    if seen & NO_DIGIT == 0 && pairs.len() == out.len() && rest.is_empty() {
        return Ok(());
    }
    Err(what_is_wrong(text, out.len() * 2))
}

/// The first character that is no digit, or else the length.
#[cold]
fn what_is_wrong(text: &[u8], expected_digits: usize) -> phash_code::Error {
    let text = String::from_utf8_lossy(text);
    let wrong = text.chars().enumerate().find(|(_, found)| !found.is_ascii_hexdigit());
    match wrong {
        Some((position, found)) => phash_code::Error::HexDigit { found, position },
        None => phash_code::Error::HexLength { expected_digits, got_chars: text.chars().count() },
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn each_width_is_found_by_its_bits_and_words() {
        for width in Width::ALL {
            assert_eq!(Width::from_bits(width.bits()), Some(width));
            assert_eq!(Width::from_words(width.words()), Some(width));
            assert_eq!(
                (width.bytes() * 8, width.digits() * 4),
                (width.bits() as usize, width.bits() as usize)
            );
        }
        assert_eq!((Width::from_bits(192), Width::from_bits(0)), (None, None));
    }

    proptest! {
        /// The oracle is phash-code's own parser.
        #[test]
        fn hexadecimal_is_read_as_phash_code_reads_it(
            text in prop_oneof!["[0-9a-fA-F]{32}", "[0-9a-fA-F]{30,34}", "[0-9a-g]{32}", ".{0,40}"],
        ) {
            let read = RawCode::from_hex(Width::Bits128, text.as_bytes());
            match text.parse::<Code<2>>() {
                Ok(code) => {
                    let read = read.unwrap();
                    prop_assert_eq!(read.sized::<2>(), code);
                    prop_assert_eq!(read.to_string(), code.to_string());
                    prop_assert_eq!(RawCode::from(&code), read);
                    prop_assert_eq!(RawCode::from_bytes(Width::Bits128, code.as_bytes()), Some(read));
                }
                Err(error) => prop_assert_eq!(read.unwrap_err(), error),
            }
        }
    }
}
