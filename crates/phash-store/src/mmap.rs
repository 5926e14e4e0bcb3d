//! Owns the only unsafe code of the crate: mapping the committed prefix of a file, read-only. What must hold: nobody
//! changes or cuts off mapped bytes. Our writer never does; `Bytes::Owned` is the safe twin for when others might.
#![expect(unsafe_code, reason = "mapping a file is unsafe: another process could change it under the map")]

use std::fs::File;
use std::io;

use memmap2::{Mmap, MmapOptions};

/// The first bytes of a file, mapped read-only.
#[derive(Debug)]
pub struct Map(Mmap);

impl Map {
    /// Maps the first `len_bytes` bytes of `file`.
    ///
    /// # Errors
    /// If the file is shorter than that (reading behind its end would kill the process), or as the system gives them.
    pub(crate) fn new(file: &File, len_bytes: u64) -> io::Result<Self> {
        if file.metadata()?.len() < len_bytes {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let len = usize::try_from(len_bytes).map_err(|_| io::Error::from(io::ErrorKind::OutOfMemory))?;
        // SAFETY: the map is sound as long as no process changes or cuts off the mapped bytes while it lives.
        // The mapped prefix is committed: the writer only appends behind it, rewrites only the spare slot of a
        // block header (which is never read through a map, see `files::view`), and recovery cuts files back
        // to the committed length, never into it. Segments are immutable and replaced by rename, not in place.
        // A program that ignores the writer's lock could still break this; for such media there is
        // `OpenOptions { mmap: false }`, which reads into owned memory instead.
        let map = unsafe { MmapOptions::new().len(len).map(file)? };
        Ok(Self(map))
    }
}

impl AsRef<[u8]> for Map {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}
