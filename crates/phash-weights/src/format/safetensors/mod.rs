//! Owns the safetensors format: 8 bytes header length (u64, little-endian), a JSON header, the tensors' bytes. Accepts
//! exactly what the safetensors crate accepts, except duplicate keys and what exceeds [`crate::limits`].

mod dtype;
mod header;
mod table;

use std::path::Path;

use crate::format::{Format, HEAD_BYTES};
use crate::parts::{Part, Parts};
use crate::positioned::PositionedFile;
use crate::weights_file::Place;
use crate::{Error, FileStamp, WeightsFile, foreign, limits};

pub(crate) use table::Entry;

/// Bytes before the header: its length.
const PREFIX_BYTES: u64 = 8;

/// What a file of this name is called without the ending `.safetensors`, if it has that, in letters of either case.
pub(crate) fn safetensors_stem(name: &str) -> Option<&str> {
    const ENDING: &str = ".safetensors";
    let (stem, ending) = name.split_at_checked(name.len().checked_sub(ENDING.len())?)?;
    ending.eq_ignore_ascii_case(ENDING).then_some(stem)
}

/// The format.
pub(super) struct Safetensors;

impl Format for Safetensors {
    fn claims(&self, _path: &Path, _head: &[u8]) -> bool {
        true
    }

    fn open(&self, file: PositionedFile) -> Result<WeightsFile, Error> {
        let table = read_table(&file)?;
        let (tensors, places) = table
            .entries
            .into_iter()
            .map(|entry| (entry.info, Place { part: 0, offset_bytes: entry.offset_bytes }))
            .unzip::<_, _, Vec<_>, Vec<_>>();
        let part = Part {
            path: file.path.clone(),
            location: None,
            stamp: file.stamp,
            header_bytes: table.header_bytes,
            header_digest: table.header_digest,
            tensors: u64::try_from(tensors.len()).unwrap_or(u64::MAX),
        };
        Ok(WeightsFile {
            format_name: "safetensors",
            paths: vec![file.path.clone()],
            index: None,
            parts: Parts::single(part, file),
            tensors,
            places,
        })
    }

    fn stamp(&self, file: &PositionedFile) -> Result<FileStamp, Error> {
        Ok(file.stamp)
    }
}

/// The header of one file, read and checked.
pub(super) struct Table {
    pub(super) header_bytes: u64,
    pub(super) header_digest: [u8; 32],
    /// In the order of their data; tensors without data that share a place are ordered by name.
    pub(super) entries: Vec<Entry>,
}

/// Reads and checks the header. What is no safetensors file at all is told apart by its first bytes.
pub(super) fn read_table(file: &PositionedFile) -> Result<Table, Error> {
    read_table_of_safetensors(file).map_err(|error| match error {
        Error::Truncated { .. }
        | Error::HeaderOverLimit { .. }
        | Error::HeaderBeyondFile { .. }
        | Error::NotUtf8 { .. }
        | Error::NotJson { .. } => match file.head(HEAD_BYTES) {
            Ok(head) => foreign::recognise(&file.path, &head).unwrap_or(error),
            Err(_) => error,
        },
        _ => error,
    })
}

fn read_table_of_safetensors(file: &PositionedFile) -> Result<Table, Error> {
    let file_bytes = file.stamp.len_bytes;
    check_prefix(&file.path, file_bytes)?;
    let mut prefix = [0; 8];
    file.read_exact_at(&mut prefix, 0)?;
    let len = header_len(&file.path, prefix, file_bytes)?;
    let header = file.read_vec(PREFIX_BYTES, len)?;
    let entries = entries(&file.path, &header, file_bytes)?;
    Ok(Table {
        header_bytes: u64::from_le_bytes(prefix),
        header_digest: *blake3::hash(&header).as_bytes(),
        entries,
    })
}

/// The same on bytes in memory, for fuzzing and for comparison with the safetensors crate.
pub(crate) fn table_of_bytes(path: &Path, bytes: &[u8]) -> Result<Vec<Entry>, Error> {
    let file_bytes = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
    check_prefix(path, file_bytes)?;
    let (prefix, rest) = bytes.split_first_chunk::<8>().expect("the length was checked");
    let len = header_len(path, *prefix, file_bytes)?;
    entries(path, &rest[..len], file_bytes)
}

fn check_prefix(path: &Path, file_bytes: u64) -> Result<(), Error> {
    if file_bytes < PREFIX_BYTES {
        let path = path.to_path_buf();
        return Err(Error::Truncated { path, expected_bytes: PREFIX_BYTES, got_bytes: file_bytes });
    }
    Ok(())
}

/// The header's length out of the first 8 bytes, checked before anything is allocated.
fn header_len(path: &Path, prefix: [u8; 8], file_bytes: u64) -> Result<usize, Error> {
    let got_bytes = u64::from_le_bytes(prefix);
    let limit_bytes = limits::HEADER_BYTES;
    if got_bytes > limit_bytes {
        return Err(Error::HeaderOverLimit { path: path.to_path_buf(), got_bytes, limit_bytes });
    }
    let expected_bytes = PREFIX_BYTES + got_bytes;
    if expected_bytes > file_bytes {
        let path = path.to_path_buf();
        return Err(Error::HeaderBeyondFile { path, expected_bytes, got_bytes: file_bytes });
    }
    Ok(usize::try_from(got_bytes).expect("the limit fits usize"))
}

fn entries(path: &Path, header: &[u8], file_bytes: u64) -> Result<Vec<Entry>, Error> {
    let text = std::str::from_utf8(header).map_err(|error| Error::NotUtf8 {
        path: path.to_path_buf(),
        offset_bytes: PREFIX_BYTES + u64::try_from(error.valid_up_to()).unwrap_or(u64::MAX),
    })?;
    let data_start = PREFIX_BYTES + u64::try_from(header.len()).unwrap_or(u64::MAX);
    table::check(path, header::parse(path, PREFIX_BYTES, text)?, data_start, file_bytes)
}
