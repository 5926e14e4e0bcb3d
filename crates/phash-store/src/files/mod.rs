//! Owns the code files: layout, appending, recovery after a crash, and reading. Knows nothing of the catalog: it is
//! told how many codes are committed ([`Tail`]) and trusts nothing else.

pub(crate) mod append;
pub(crate) mod check;
pub(crate) mod copy;
pub(crate) mod labels;
pub(crate) mod layout;
pub(crate) mod lookup;
pub(crate) mod recover;
pub(crate) mod verify;
pub(crate) mod view;

/// What the catalog says about the end of a code file. All zero for a file without codes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tail {
    /// Committed codes.
    pub(crate) count: u32,
    /// The commit that last added codes to this file.
    pub(crate) generation: u64,
    /// Checksum of the committed codes in the last block.
    pub(crate) crc: u32,
}
