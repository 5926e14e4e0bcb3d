//! Owns [`Bytes`]: the first bytes of a file, mapped or read into memory, with the same content either way and
//! starting at an address divisible by 8.

use std::io;

use zerocopy::IntoBytes;

use crate::mmap::Map;
use crate::vfs::{StoreFile, read_exact_at};

/// Read-only bytes of a file.
#[derive(Debug)]
pub(crate) enum Bytes {
    /// Mapped.
    Mapped(Map),
    /// Read into memory; words, so that codes are aligned.
    Owned {
        /// The bytes, filled up with zeros to whole words.
        words: Vec<u64>,
        /// How many bytes there are.
        len: usize,
    },
}

impl Bytes {
    /// The first `len_bytes` bytes of `file`, which the caller has checked to be there.
    pub(crate) fn load(file: &dyn StoreFile, len_bytes: u64, mmap: bool) -> io::Result<Self> {
        if mmap
            && len_bytes > 0
            && let Some(map) = file.map(len_bytes)?
        {
            return Ok(Self::Mapped(map));
        }
        let too_large = || io::Error::from(io::ErrorKind::OutOfMemory);
        let len = usize::try_from(len_bytes).map_err(|_| too_large())?;
        let mut words: Vec<u64> = Vec::new();
        words.try_reserve_exact(len.div_ceil(8)).map_err(|_| too_large())?;
        words.resize(len.div_ceil(8), 0);
        read_exact_at(file, &mut words.as_mut_bytes()[..len], 0)?;
        Ok(Self::Owned { words, len })
    }
}

impl AsRef<[u8]> for Bytes {
    fn as_ref(&self) -> &[u8] {
        match self {
            Self::Mapped(map) => map.as_ref(),
            Self::Owned { words, len } => &words.as_bytes()[..*len],
        }
    }
}
