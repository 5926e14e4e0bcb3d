//! Owns [`AnyCodes`]: codes in memory, all of one of the widths.

use phash_code::Code;

use super::{Any, AnyCode, bits_of, mismatch};
use crate::{BuildParams, Error, build_segment};

/// Codes of one width, in memory; ids are `0..len()`.
#[derive(Clone, Debug)]
pub struct AnyCodes(pub(super) Any<Vec<Code<1>>, Vec<Code<2>>, Vec<Code<4>>, Vec<Code<8>>>);

impl AnyCodes {
    /// No codes yet, of so many bits.
    ///
    /// # Errors
    /// [`Error::NoWidth`] unless they are 64, 128, 256 or 512.
    pub fn new(bits: u32) -> Result<Self, Error> {
        Ok(Self(of_bits!(bits, W => Vec::<Code<W>>::new())))
    }

    /// The codes whose bytes these are, one after the other.
    ///
    /// # Errors
    /// [`Error::NoWidth`], or [`Error::Code`] if they are not a whole number of codes.
    pub fn from_bytes(bits: u32, bytes: &[u8]) -> Result<Self, Error> {
        Ok(Self(of_bits!(bits, W => {
            // Not viewed as codes but copied: foreign bytes lie at any address.
            let (codes, rest) = bytes.split_at(bytes.len() - bytes.len() % Code::<W>::BYTES);
            if !rest.is_empty() {
                let (code_bytes, got_bytes) = (Code::<W>::BYTES, bytes.len());
                return Err(phash_code::Error::SliceLength { code_bytes, got_bytes }.into());
            }
            codes.chunks_exact(Code::<W>::BYTES).map(Code::<W>::from_bytes).collect::<Result<Vec<_>, _>>()?
        })))
    }

    /// The width in bits.
    #[must_use]
    pub fn bits(&self) -> u32 {
        bits_of(&self.0)
    }

    /// How many codes there are.
    #[must_use]
    pub fn len(&self) -> u32 {
        each!(&self.0, codes => phash_code::Codes::len(codes))
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The code of an id.
    #[must_use]
    pub fn get(&self, id: u32) -> Option<AnyCode> {
        each!(&self.0, codes => codes.get(id as usize).copied().map(AnyCode::from))
    }

    /// Adds a code and gives its id.
    ///
    /// # Errors
    /// [`Error::CodeWidth`] if it has another width, [`Error::Full`] after `u32::MAX` codes.
    pub fn push(&mut self, code: &AnyCode) -> Result<u32, Error> {
        let (id, mismatch) = (self.len(), mismatch(self.bits(), code));
        if id == u32::MAX {
            return Err(Error::Full { codes: id, more: 1 });
        }
        both!(&mut self.0, code.0, (codes, code) => codes.push(code), mismatch);
        Ok(id)
    }

    /// Builds an index segment of all codes, in memory.
    ///
    /// # Errors
    /// As [`build_segment`].
    pub fn build_segment(&self, params: &BuildParams) -> Result<Vec<u8>, Error> {
        each!(&self.0, codes => build_segment(codes, 0..self.len(), params))
    }
}
