//! Owns the byte layout of an index segment (docs/segment-format.md): header, footer, metadata. Reading checks the
//! checksums of all three; that the metadata makes sense is for `places`.

use rkyv::rancor;
use zerocopy::little_endian::{U32, U64};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use crate::Error;

pub(crate) const VERSION: u32 = 3;
const HEADER_MAGIC: [u8; 8] = *b"phashmih";
const FOOTER_MAGIC: [u8; 8] = *b"hsahpmih";
pub(crate) const HEADER_BYTES: usize = size_of::<Header>();
pub(crate) const FOOTER_BYTES: usize = size_of::<Footer>();
const _: () = assert!(HEADER_BYTES == 16 && FOOTER_BYTES == 32);

/// The first bytes of a segment.
#[derive(FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
struct Header {
    magic: [u8; 8],
    version: U32,
    code_bits: U32,
}

/// The last bytes of a segment. `footer_crc32` is the CRC32 of the header and of the footer's fields before it.
#[derive(FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
struct Footer {
    meta_len_bytes: U64,
    file_len_bytes: U64,
    meta_crc32: U32,
    footer_crc32: U32,
    magic: [u8; 8],
}

/// The archived metadata. Flat: numbers and lists of numbers.
#[derive(Clone, Debug, PartialEq, Eq, rkyv::Archive, rkyv::Serialize, rkyv::Deserialize)]
pub(crate) struct Meta {
    pub(crate) first_id: u32,
    pub(crate) end_id: u32,
    /// How many of them the segment holds; the others were removed.
    pub(crate) held_ids: u32,
    /// Planes of a sketch; 0 without sketches.
    pub(crate) planes: u32,
    /// Which bit of a code each bit of an ordered code is; empty if each is where it was.
    pub(crate) order: Vec<u16>,
    pub(crate) tables: Vec<TableMeta>,
    pub(crate) dense: Vec<DenseMeta>,
    pub(crate) dense_crc32: u32,
    pub(crate) page_sums_crc32: u32,
}

/// One bucket table: its substring, how many ids its array lists (the others are in dense buckets), and whether its buckets
/// are about equally full: then it has no estimates.
#[derive(Clone, Debug, PartialEq, Eq, rkyv::Archive, rkyv::Serialize, rkyv::Deserialize)]
pub(crate) struct TableMeta {
    pub(crate) first_bit: u32,
    pub(crate) len_bits: u32,
    pub(crate) listed_ids: u32,
    pub(crate) even: bool,
}

/// One bucket kept as a roaring bitmap. In order of table, then value; their bytes follow each other in that order.
#[derive(Clone, Debug, PartialEq, Eq, rkyv::Archive, rkyv::Serialize, rkyv::Deserialize)]
pub(crate) struct DenseMeta {
    pub(crate) table: u32,
    pub(crate) value: u32,
    pub(crate) ids: u32,
    pub(crate) len_bytes: u32,
}

pub(crate) fn header(code_bits: u32) -> [u8; HEADER_BYTES] {
    let header = Header { magic: HEADER_MAGIC, version: U32::new(VERSION), code_bits: U32::new(code_bits) };
    zerocopy::transmute!(header)
}

/// The metadata and the footer that end a segment whose header and arrays take `len_bytes`.
pub(crate) fn ending(meta: &Meta, code_bits: u32, len_bytes: u64) -> Result<Vec<u8>, Error> {
    let archived = rkyv::to_bytes::<rancor::Error>(meta).map_err(std::io::Error::other)?;
    let meta_len_bytes = archived.len() as u64;
    let mut footer = Footer {
        meta_len_bytes: U64::new(meta_len_bytes),
        file_len_bytes: U64::new(len_bytes + meta_len_bytes + FOOTER_BYTES as u64),
        meta_crc32: U32::new(crc32fast::hash(&archived)),
        footer_crc32: U32::ZERO,
        magic: FOOTER_MAGIC,
    };
    footer.footer_crc32 = U32::new(footer_crc32(&header(code_bits), &footer));
    let mut bytes = archived.to_vec();
    bytes.extend_from_slice(footer.as_bytes());
    Ok(bytes)
}

fn footer_crc32(header: &[u8], footer: &Footer) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(header);
    hasher.update(footer.meta_len_bytes.as_bytes());
    hasher.update(footer.file_len_bytes.as_bytes());
    hasher.update(footer.meta_crc32.as_bytes());
    hasher.finalize()
}

/// The metadata of a segment and where it starts, after checking header, footer and checksums. Looks at no array.
pub(crate) fn read(bytes: &[u8], code_bits: u32) -> Result<(Meta, usize), Error> {
    let got_bytes = bytes.len() as u64;
    let least_bytes = (HEADER_BYTES + FOOTER_BYTES) as u64;
    let too_short = || Error::Length { expected_bytes: least_bytes, got_bytes };
    if got_bytes < least_bytes {
        return Err(too_short());
    }
    let (header, _) = Header::ref_from_prefix(bytes).map_err(|_| too_short())?;
    if header.magic != HEADER_MAGIC {
        return Err(Error::Magic { offset_bytes: 0 });
    }
    if header.version.get() != VERSION {
        return Err(Error::Version { expected: VERSION, got: header.version.get() });
    }
    if header.code_bits.get() != code_bits {
        return Err(Error::Width { expected_bits: code_bits, got_bits: header.code_bits.get() });
    }
    let (before_footer, footer) = Footer::ref_from_suffix(bytes).map_err(|_| too_short())?;
    let footer_offset_bytes = before_footer.len() as u64;
    if footer.magic != FOOTER_MAGIC {
        return Err(Error::Magic { offset_bytes: got_bytes - FOOTER_MAGIC.len() as u64 });
    }
    check_crc32("footer", footer_offset_bytes, footer.footer_crc32.get(), || {
        footer_crc32(header.as_bytes(), footer)
    })?;
    if footer.file_len_bytes.get() != got_bytes {
        return Err(Error::Length { expected_bytes: footer.file_len_bytes.get(), got_bytes });
    }
    let meta_start = usize::try_from(footer.meta_len_bytes.get())
        .ok()
        .and_then(|len| before_footer.len().checked_sub(len))
        .filter(|&start| start >= HEADER_BYTES)
        .ok_or(Error::Length {
            expected_bytes: footer.meta_len_bytes.get().saturating_add(least_bytes),
            got_bytes,
        })?;
    let archived = &before_footer[meta_start..];
    check_crc32("metadata", meta_start as u64, footer.meta_crc32.get(), || crc32fast::hash(archived))?;
    let meta = rkyv::from_bytes::<Meta, rancor::Error>(archived)
        .map_err(|_| Error::Damaged { what: "the metadata is not what its checksum promises", table: 0 })?;
    Ok((meta, meta_start))
}

pub(crate) fn check_crc32(
    section: &'static str,
    offset_bytes: u64,
    expected: u32,
    compute: impl FnOnce() -> u32,
) -> Result<(), Error> {
    let got = compute();
    if got == expected { Ok(()) } else { Err(Error::Checksum { section, offset_bytes, expected, got }) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_that_are_no_archive_are_refused_under_good_checksums() {
        let garbage = vec![0xa5u8; 64];
        let mut footer = Footer {
            meta_len_bytes: U64::new(64),
            file_len_bytes: U64::new(16 + 64 + 32),
            meta_crc32: U32::new(crc32fast::hash(&garbage)),
            footer_crc32: U32::ZERO,
            magic: FOOTER_MAGIC,
        };
        let forge = |footer: &mut Footer| {
            footer.footer_crc32 = U32::new(footer_crc32(&header(64), footer));
            read(&[&header(64)[..], &garbage, footer.as_bytes()].concat(), 64).unwrap_err()
        };
        assert!(matches!(forge(&mut footer), Error::Damaged { .. }));
        for len_bytes in [65, u64::MAX] {
            footer.meta_len_bytes = U64::new(len_bytes);
            assert!(matches!(forge(&mut footer), Error::Length { .. }));
        }
    }
}
