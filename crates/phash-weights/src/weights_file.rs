//! Owns [`WeightsFile`]: one model opened for reading, whatever its format. What must hold: every tensor's bytes lie
//! inside the file they were found in, as it was when it was opened.

use std::path::PathBuf;

use phash_core::{TensorInfo, TensorSource};

use crate::digest::{IndexRecord, file_digest};
use crate::parts::Parts;
use crate::{Error, FileStamp};

/// One model opened for reading: the table of its tensors in memory, their bytes on disk.
///
/// Shared between threads freely. Holds a handful of file descriptors at most, however many shards there are.
#[derive(Debug)]
pub struct WeightsFile {
    pub(crate) format_name: &'static str,
    pub(crate) paths: Vec<PathBuf>,
    pub(crate) index: Option<IndexRecord>,
    pub(crate) parts: Parts,
    pub(crate) tensors: Vec<TensorInfo>,
    /// Where tensor i begins.
    pub(crate) places: Vec<Place>,
}

/// Where a tensor begins: in which data file, at which byte of it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place {
    pub(crate) part: usize,
    pub(crate) offset_bytes: u64,
}

impl WeightsFile {
    /// The format: `"safetensors"` or `"safetensors sharded"`.
    pub fn format_name(&self) -> &'static str {
        self.format_name
    }

    /// The files the model consists of: the one given first, then the shards by name.
    pub fn paths(&self) -> &[PathBuf] {
        &self.paths
    }

    /// Length of all its files together, in bytes.
    pub fn len_bytes(&self) -> u64 {
        self.stamp().len_bytes
    }

    /// Length and newest modification time of all its files, as they were when they were opened; equal to
    /// [`crate::stamp`] of an unchanged model. O(files).
    pub fn stamp(&self) -> FileStamp {
        let index = self.index.as_ref().map_or(FileStamp::NONE, |index| index.stamp);
        self.parts.iter().fold(index, |sum, part| sum.and(part.stamp))
    }

    /// Looks whether length and modification time of the data files are still what they were. Call it after the last
    /// read: together with the errors of the reads it tells a model that was written to from one that was not.
    ///
    /// # Errors
    /// [`Error::Changed`], or as [`WeightsFile::open`] if a file is gone.
    pub fn check_unchanged(&self) -> Result<(), Error> {
        self.parts.check_unchanged()
    }

    /// The exact digest of the file set as it is, from the BLAKE3 digests of the tensors' bytes (`leaves`, in the order
    /// of [`TensorSource::tensors`]), so that the data need be read only once. `docs/digests.md` defines it.
    ///
    /// # Panics
    /// If there are not as many leaves as tensors.
    pub fn file_digest(&self, leaves: &[[u8; 32]]) -> [u8; 32] {
        assert_eq!(leaves.len(), self.tensors.len(), "one leaf digest for each tensor");
        file_digest(self.index.as_ref(), self.parts.iter(), leaves)
    }
}

impl TensorSource for WeightsFile {
    type Error = Error;

    fn tensors(&self) -> &[TensorInfo] {
        &self.tensors
    }

    fn read_at(&self, tensor: usize, offset_bytes: u64, buf: &mut [u8]) -> Result<(), Error> {
        let inside = u64::try_from(buf.len())
            .ok()
            .and_then(|len| offset_bytes.checked_add(len))
            .is_some_and(|end| end <= self.tensors[tensor].len_bytes);
        assert!(inside, "the range lies inside the tensor");
        let place = self.places[tensor];
        // Cannot overflow: the tensor's end was checked against the file's length.
        self.parts.read_exact_at(place.part, buf, place.offset_bytes + offset_bytes)
    }
}
