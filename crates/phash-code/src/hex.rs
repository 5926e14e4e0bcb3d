//! Owns the hexadecimal form of a code: its bytes in order, two digits a byte, high digit first, as digests are
//! printed. Written in lower case, read in either.

use std::fmt::{self, Write};
use std::str::FromStr;

use crate::{Code, Error};

const DIGITS: &[u8; 16] = b"0123456789abcdef";

impl<const W: usize> fmt::LowerHex for Code<W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for &byte in self.as_bytes() {
            f.write_char(char::from(DIGITS[usize::from(byte >> 4)]))?;
            f.write_char(char::from(DIGITS[usize::from(byte & 15)]))?;
        }
        Ok(())
    }
}

impl<const W: usize> fmt::Display for Code<W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::LowerHex::fmt(self, f)
    }
}

impl<const W: usize> fmt::Debug for Code<W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::LowerHex::fmt(self, f)
    }
}

impl<const W: usize> FromStr for Code<W> {
    type Err = Error;

    /// Reads exactly `2 * BYTES` hexadecimal digits, nothing before or after them.
    fn from_str(text: &str) -> Result<Self, Error> {
        let mut code = Self::ZERO;
        let mut got_chars = 0;
        for (position, found) in text.chars().enumerate() {
            got_chars = position + 1;
            let digit = found.to_digit(16).ok_or(Error::HexDigit { found, position })?;
            if position >= 2 * Self::BYTES {
                continue;
            }
            // The high digit of a byte comes first: digit 0 holds bits 4..8, digit 1 bits 0..4, digit 2 bits 12..16.
            let first_bit = (position ^ 1) * 4;
            for j in 0..4 {
                #[expect(clippy::cast_possible_truncation, reason = "below BITS, which is a u32")]
                code.set_bit(first_bit as u32 + j, digit >> j & 1 == 1);
            }
        }
        if got_chars != 2 * Self::BYTES {
            return Err(Error::HexLength { expected_digits: 2 * Self::BYTES, got_chars });
        }
        Ok(code)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Code64, Code256};
    use proptest::prelude::*;

    #[test]
    fn a_code_prints_its_bytes_in_order() {
        let code = Code64::from_bytes(&[0x01, 0x23, 0x45, 0x67, 0x89, 0xab, 0xcd, 0xef]).unwrap();
        assert_eq!(format!("{code} {code:?} {code:x}"), "0123456789abcdef 0123456789abcdef 0123456789abcdef");
        assert_eq!("0123456789ABCDef".parse(), Ok(code));
    }

    #[test]
    fn errors_name_the_length_or_the_first_bad_character() {
        assert_eq!("".parse::<Code64>(), Err(Error::HexLength { expected_digits: 16, got_chars: 0 }));
        assert_eq!(
            "0123456789abcdef0".parse::<Code64>(),
            Err(Error::HexLength { expected_digits: 16, got_chars: 17 })
        );
        assert_eq!("0123456789abcdeg".parse::<Code64>(), Err(Error::HexDigit { found: 'g', position: 15 }));
        assert_eq!("é123".parse::<Code64>(), Err(Error::HexDigit { found: 'é', position: 0 }));
        assert_eq!("+123456789abcdef".parse::<Code64>(), Err(Error::HexDigit { found: '+', position: 0 }));
    }

    proptest! {
        #[test]
        fn hex_round_trips_in_either_case_and_any_text_is_safe(words in any::<[u64; 4]>(), text in ".*") {
            let code = Code256::from_le_words(words);
            prop_assert_eq!(code.to_string().parse(), Ok(code));
            prop_assert_eq!(code.to_string().to_uppercase().parse(), Ok(code));
            let _ = text.parse::<Code256>();
        }
    }
}
