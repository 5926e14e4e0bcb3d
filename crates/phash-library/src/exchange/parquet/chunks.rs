//! Owns [`Chunks`], the bytes of a Parquet file as the parquet crate asks for them: from a file, or from memory. What must hold:
//! nothing is allocated for bytes that are not there.

use std::fs::File;
use std::io::{self, Read, Seek as _, SeekFrom};
use std::sync::{Arc, Mutex, PoisonError};

use parquet::errors::{ParquetError, Result};
use parquet::file::reader::{ChunkReader, Length};

/// Most bytes that are read at once.
pub(super) const MAX_READ_BYTES: u64 = 64 << 20;

/// Bytes that can be read at any place; cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Chunks {
    source: Source,
    len_bytes: u64,
}

#[derive(Clone, Debug)]
enum Source {
    File(Arc<Mutex<File>>),
    Memory(Arc<[u8]>),
}

impl Chunks {
    pub(crate) fn of_file(file: File) -> io::Result<Self> {
        let len_bytes = file.metadata()?.len();
        Ok(Self { source: Source::File(Arc::new(Mutex::new(file))), len_bytes })
    }

    pub(crate) fn of_memory(bytes: &[u8]) -> Self {
        Self { source: Source::Memory(bytes.into()), len_bytes: bytes.len() as u64 }
    }

    pub(super) fn len_bytes(&self) -> u64 {
        self.len_bytes
    }

    /// Reads some bytes at a place; none at the end.
    pub(super) fn read_at(&self, at: u64, out: &mut [u8]) -> io::Result<usize> {
        match &self.source {
            Source::File(file) => {
                let mut file = file.lock().unwrap_or_else(PoisonError::into_inner);
                file.seek(SeekFrom::Start(at))?;
                file.read(out)
            }
            Source::Memory(bytes) => {
                let from = usize::try_from(at).unwrap_or(usize::MAX).min(bytes.len());
                (&bytes[from..]).read(out)
            }
        }
    }

    /// Up to `len` bytes at a place: fewer if the file ends before. `len` must be bounded by the caller.
    pub(super) fn up_to(&self, at: u64, len: usize) -> io::Result<Vec<u8>> {
        let there = self.len_bytes.saturating_sub(at).min(len as u64);
        let mut bytes = vec![0; usize::try_from(there).unwrap_or(len)];
        let mut filled = 0;
        while filled < bytes.len() {
            match self.read_at(at + filled as u64, &mut bytes[filled..]) {
                Ok(0) => break,
                Ok(read) => filled += read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        bytes.truncate(filled);
        Ok(bytes)
    }
}

/// The bytes from a place on.
#[derive(Debug)]
pub(crate) struct From {
    chunks: Chunks,
    at: u64,
}

impl Read for From {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let read = self.chunks.read_at(self.at, out)?;
        self.at += read as u64;
        Ok(read)
    }
}

impl Length for Chunks {
    fn len(&self) -> u64 {
        self.len_bytes
    }
}

impl ChunkReader for Chunks {
    type T = io::BufReader<From>;

    fn get_read(&self, start: u64) -> Result<Self::T> {
        Ok(io::BufReader::new(From { chunks: self.clone(), at: start }))
    }

    // The type is one of a crate that we do not name: it is made from a vector.
    fn get_bytes(&self, start: u64, length: usize) -> Result<bytes::Bytes> {
        if length as u64 > MAX_READ_BYTES {
            return Err(ParquetError::General(format!("{length} bytes at once, at most {MAX_READ_BYTES}")));
        }
        let bytes = self.up_to(start, length).map_err(|error| ParquetError::External(Box::new(error)))?;
        if bytes.len() < length {
            let what = format!("{length} bytes at byte {start}, the file has {}", self.len_bytes);
            return Err(ParquetError::EOF(what));
        }
        Ok(bytes.into())
    }
}
