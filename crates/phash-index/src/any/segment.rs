//! Owns [`AnySegment`]: an index segment that says itself how wide its codes are.

use phash_code::Code;

use super::{Any, bits_of};
use crate::{Error, Segment};

/// An index segment of codes of any of the widths.
#[derive(Clone, Debug)]
pub struct AnySegment<B>(pub(super) Any<Segment<1, B>, Segment<2, B>, Segment<4, B>, Segment<8, B>>);

impl<B: AsRef<[u8]>> AnySegment<B> {
    /// Opens a segment; the bytes say the width. As [`Segment::open`].
    ///
    /// # Errors
    /// As [`Segment::open`]; [`Error::NoWidth`] for a segment of codes of another width.
    pub fn open(bytes: B) -> Result<Self, Error> {
        let bits = match crate::format::read(bytes.as_ref(), Code::<1>::BITS) {
            Err(Error::Width { got_bits, .. }) => got_bits,
            _ => Code::<1>::BITS,
        };
        Ok(Self(of_bits!(bits, W => Segment::<W, B>::open(bytes)?)))
    }

    /// The width of the codes in bits.
    #[must_use]
    pub fn bits(&self) -> u32 {
        bits_of(&self.0)
    }

    /// The code ids it covers.
    #[must_use]
    pub fn ids(&self) -> std::ops::Range<u32> {
        each!(&self.0, segment => segment.ids())
    }

    /// As [`Segment::verify`].
    ///
    /// # Errors
    /// As [`Segment::verify`].
    pub fn verify(&self) -> Result<(), Error> {
        each!(&self.0, segment => segment.verify())
    }
}
