//! Owns the checks that every opening of a code file makes, by readers and the writer alike: header, length, and the
//! checksum of the last block. O(1): they touch the header and at most one block. `verify` checks the rest.

use std::path::Path;

use super::Tail;
use super::layout::{self, BLOCK_HEADER_BYTES, CODES_PER_BLOCK, FileHeader, Geometry, HEADER_BYTES, hex32};
use crate::error::{Error, Result};
use crate::vfs::{StoreFile, read_exact_at};

/// Checks header and length.
pub(crate) fn header_and_length(
    file: &dyn StoreFile,
    path: &Path,
    header: &FileHeader,
    count: u32,
) -> Result<()> {
    let got_bytes = file.len_bytes().map_err(|e| Error::io("read the length of", path, e))?;
    let expected_bytes = Geometry::new(header.words).len_bytes(count);
    if got_bytes < expected_bytes {
        return Err(Error::TooShort { file: path.to_owned(), expected_bytes, got_bytes });
    }
    header_alone(file, path, header)
}

/// Checks the header.
pub(crate) fn header_alone(file: &dyn StoreFile, path: &Path, header: &FileHeader) -> Result<()> {
    let mut bytes = [0; HEADER_BYTES];
    read_exact_at(file, &mut bytes, 0).map_err(|e| Error::io("read the header of", path, e))?;
    header.check(&bytes, path)
}

/// Checks the committed codes of the last block against the catalog's checksum. The slots are not asked: the writer
/// may be replacing the one that was committed when the reader's snapshot was taken.
pub(crate) fn last_block(file: &dyn StoreFile, path: &Path, geometry: Geometry, tail: Tail) -> Result<()> {
    let Some(block) = layout::blocks(tail.count).checked_sub(1) else { return Ok(()) };
    let codes = layout::codes_in_block(tail.count, block);
    let mut bytes = vec![0; codes as usize * geometry.code_bytes];
    let at = geometry.code_at(block * CODES_PER_BLOCK);
    read_exact_at(file, &mut bytes, at).map_err(|e| Error::io("read the last block of", path, e))?;
    codes_crc(path, geometry, block, tail.crc, &bytes)
}

/// Compares the checksum of a block's codes.
pub(crate) fn codes_crc(
    path: &Path,
    geometry: Geometry,
    block: u32,
    expected: u32,
    codes: &[u8],
) -> Result<()> {
    let computed = crc32fast::hash(codes);
    if computed == expected {
        return Ok(());
    }
    let at = geometry.block_at(block) + BLOCK_HEADER_BYTES as u64;
    let what = format!("checksum of the {} codes of block {block}", codes.len() / geometry.code_bytes);
    Err(Error::corrupted(path, at, what, hex32(expected), hex32(computed)))
}
