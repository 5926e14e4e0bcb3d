//! Owns [`Error`]: everything that can go wrong when an index segment is built, opened, verified or searched with.

use std::io;
use std::ops::Range;

/// Why an index segment could not be built, opened, trusted or used.
///
/// An index segment holds nothing that its codes do not: the remedy for a damaged one is to build it again.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The code ids to index are not all there, or the range runs backwards.
    #[error("cannot index code ids {}..{}: there are {codes} codes", .ids.start, .ids.end)]
    Ids {
        /// The ids asked for.
        ids: Range<u32>,
        /// How many codes the collection has.
        codes: u32,
    },
    /// The collection has no code where its length says there is one.
    #[error("the collection of codes has no code {id} although it claims more")]
    MissingCode {
        /// The code id.
        id: u32,
    },
    /// The number of substrings makes them too short or too long.
    #[error("a code of {bits} bits can be cut in {min} to {max} substrings, not {got}")]
    Substrings {
        /// Width of the codes.
        bits: u32,
        /// Substrings asked for.
        got: u32,
        /// Fewest substrings of the width.
        min: u32,
        /// Most substrings of the width.
        max: u32,
    },
    /// A sketch cannot have so many planes.
    #[error("a sketch has 1 to {max} planes of 32 bits, not {got}")]
    Planes {
        /// Planes asked for.
        got: u32,
        /// Most planes of the width: then the sketch is the code.
        max: u32,
    },
    /// The cancel flag was raised while the segment was built.
    #[error("the building of the index segment was cancelled; without it the codes are scanned")]
    Cancelled,
    /// Writing the segment failed.
    #[error("cannot write the index segment")]
    Io(#[from] io::Error),
    /// The bytes do not begin and end like an index segment.
    #[error("not an index segment: the magic bytes at offset {offset_bytes} are wrong; rebuild the index")]
    Magic {
        /// Where they should be.
        offset_bytes: u64,
    },
    /// The segment has a format version that this program does not read.
    #[error(
        "index segment version {got}, this program reads {expected}; it can be rebuilt from the codes: rebuild the index"
    )]
    Version {
        /// The version this program reads.
        expected: u32,
        /// The version found.
        got: u32,
    },
    /// The segment indexes codes of another width.
    #[error("index segment of codes of {got_bits} bits, expected {expected_bits}")]
    Width {
        /// Width of the codes asked for.
        expected_bits: u32,
        /// Width in the segment.
        got_bits: u32,
    },
    /// The segment is shorter or longer than it says.
    #[error(
        "index segment of {got_bytes} bytes, expected {expected_bytes}: cut off or damaged; rebuild the index"
    )]
    Length {
        /// Bytes the segment should have (at least).
        expected_bytes: u64,
        /// Bytes it has.
        got_bytes: u64,
    },
    /// A section does not have the checksum it was written with.
    #[error(
        "index segment damaged: {section} at offset {offset_bytes} has checksum {got:08x}, expected {expected:08x}; \
         rebuild the index"
    )]
    Checksum {
        /// What the section holds.
        section: &'static str,
        /// Where it starts.
        offset_bytes: u64,
        /// CRC32 written.
        expected: u32,
        /// CRC32 of the bytes as they are.
        got: u32,
    },
    /// Something in the segment contradicts the rest of it.
    #[error("index segment damaged: {what} (table {table}); rebuild the index")]
    Damaged {
        /// The contradiction.
        what: &'static str,
        /// The bucket table concerned, counted from 0.
        table: u32,
    },
    /// The segment indexes other codes than the ones given.
    #[error(
        "the index segment does not belong to these codes: table {table} misplaces code id {id}; rebuild the index"
    )]
    OtherCodes {
        /// The bucket table concerned, counted from 0.
        table: u32,
        /// The code id.
        id: u32,
    },
    /// Index segments overlap or are not in order of their ids.
    #[error("index segments must be in order and must not overlap: {}..{} follows {before}", .ids.start, .ids.end)]
    Order {
        /// The ids of the segment out of place.
        ids: Range<u32>,
        /// The end of the segment before it.
        before: u32,
    },
    /// An index segment covers code ids that the collection does not have.
    #[error("index segment of code ids {}..{}, but there are only {codes} codes", .ids.start, .ids.end)]
    BeyondCodes {
        /// The segment's ids.
        ids: Range<u32>,
        /// How many codes the collection has.
        codes: u32,
    },
    /// There are as many codes as there are ids.
    #[error("cannot add {more} codes to {codes}: code ids have 32 bits")]
    Full {
        /// How many codes there are.
        codes: u32,
        /// How many were to be added.
        more: usize,
    },
    /// There are no codes of this width.
    #[error("codes have 64, 128, 256 or 512 bits, not {got_bits}")]
    NoWidth {
        /// The bits asked for, or given.
        got_bits: u64,
    },
    /// A code has another width than those it is to be compared with.
    #[error("a code of {got_bits} bits among codes of {expected_bits}")]
    CodeWidth {
        /// Width of the codes.
        expected_bits: u32,
        /// Width of the one given.
        got_bits: u32,
    },
    /// Text or bytes are no code.
    #[error(transparent)]
    Code(#[from] phash_code::Error),
}
