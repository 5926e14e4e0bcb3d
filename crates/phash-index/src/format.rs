//! Owns the byte layout of an index segment (docs/segment-format.md): header, arrays, metadata, footer. Reading
//! checks every field on its own; a layout handed out covers the file exactly and lies inside it.

use std::ops::Range;

use rkyv::rancor;
use zerocopy::little_endian::{U32, U64};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use crate::Error;
use crate::cut::{MAX_LEN_BITS, Substring};

pub(crate) const VERSION: u32 = 1;
const HEADER_MAGIC: [u8; 8] = *b"phashmih";
const FOOTER_MAGIC: [u8; 8] = *b"hsahpmih";
pub(crate) const HEADER_BYTES: usize = size_of::<Header>();
pub(crate) const FOOTER_BYTES: usize = size_of::<Footer>();
const U32_BYTES: u64 = 4;
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
    pub(crate) tables: Vec<TableMeta>,
    pub(crate) dense: Vec<DenseMeta>,
    pub(crate) dense_crc32: u32,
}

/// One bucket table: its substring, how many ids its array lists (the others are in dense buckets), checksums.
#[derive(Clone, Debug, PartialEq, Eq, rkyv::Archive, rkyv::Serialize, rkyv::Deserialize)]
pub(crate) struct TableMeta {
    pub(crate) first_bit: u32,
    pub(crate) len_bits: u32,
    pub(crate) listed_ids: u32,
    pub(crate) offsets_crc32: u32,
    pub(crate) ids_crc32: u32,
}

/// One bucket kept as a roaring bitmap. In order of table, then value; their bytes follow each other in that order.
#[derive(Clone, Debug, PartialEq, Eq, rkyv::Archive, rkyv::Serialize, rkyv::Deserialize)]
pub(crate) struct DenseMeta {
    pub(crate) table: u32,
    pub(crate) value: u32,
    pub(crate) ids: u32,
    pub(crate) len_bytes: u32,
}

/// Where a table's arrays lie in the segment.
#[derive(Clone, Debug)]
pub(crate) struct TablePlace {
    pub(crate) substring: Substring,
    pub(crate) offsets: Range<usize>,
    pub(crate) ids: Range<usize>,
}

/// Metadata that agrees with itself and with the length of the file, and the places it implies.
#[derive(Clone, Debug)]
pub(crate) struct Layout {
    pub(crate) meta: Meta,
    pub(crate) tables: Vec<TablePlace>,
    /// The dense buckets, one after the other.
    pub(crate) dense: Range<usize>,
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

/// Reads and checks header, footer and metadata. Looks at none of the arrays.
pub(crate) fn read(bytes: &[u8], code_bits: u32) -> Result<Layout, Error> {
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
    place(meta, code_bits, meta_start)
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

/// Lays the sections out one after the other from the header to `end`; they must meet it exactly.
fn place(meta: Meta, code_bits: u32, end: usize) -> Result<Layout, Error> {
    let damaged =
        |what, table: usize| Err(Error::Damaged { what, table: u32::try_from(table).unwrap_or(u32::MAX) });
    let Some(ids) = meta.end_id.checked_sub(meta.first_id) else {
        return damaged("its ids run backwards", 0);
    };
    let mut next_bit = 0u32;
    let mut next_byte = HEADER_BYTES as u64;
    let mut take = |len_bytes: u64| -> Option<Range<usize>> {
        let start = next_byte;
        next_byte = next_byte.checked_add(len_bytes).filter(|&next| next <= end as u64)?;
        Some(usize::try_from(start).ok()?..usize::try_from(next_byte).ok()?)
    };
    let mut dense = meta.dense.iter().peekable();
    let mut tables = Vec::with_capacity(meta.tables.len());
    let mut dense_bytes = 0u64;
    for (number, table) in meta.tables.iter().enumerate() {
        if table.first_bit != next_bit || !(1..=MAX_LEN_BITS).contains(&table.len_bits) {
            return damaged("the substrings do not follow each other", number);
        }
        next_bit += table.len_bits;
        if next_bit > code_bits {
            return damaged("the substrings are longer than the code", number);
        }
        let substring = Substring { first_bit: table.first_bit, len_bits: table.len_bits };
        let mut bucketed = u64::from(table.listed_ids);
        let mut last_value = None;
        while let Some(bucket) = dense.next_if(|bucket| bucket.table as usize == number) {
            if bucket.value >= substring.values() || last_value.is_some_and(|last| last >= bucket.value) {
                return damaged("the dense buckets are out of order", number);
            }
            last_value = Some(bucket.value);
            bucketed += u64::from(bucket.ids);
            dense_bytes += u64::from(bucket.len_bytes);
        }
        if bucketed != u64::from(ids) {
            return damaged("the buckets do not hold as many ids as the segment covers", number);
        }
        let offsets = take((u64::from(substring.values()) + 1) * U32_BYTES);
        let listed = take(u64::from(table.listed_ids) * U32_BYTES);
        let (Some(offsets), Some(ids)) = (offsets, listed) else {
            return damaged("the tables are longer than the segment", number);
        };
        tables.push(TablePlace { substring, offsets, ids });
    }
    let last_table = meta.tables.len();
    if next_bit != code_bits {
        return damaged("the substrings are shorter than the code", last_table);
    }
    if dense.next().is_some() {
        return damaged("a dense bucket belongs to no table", last_table);
    }
    match take(dense_bytes) {
        Some(dense) if dense.end == end => Ok(Layout { meta, tables, dense }),
        _ => damaged("the dense buckets do not end where the metadata begins", last_table),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A segment of ids 10..15 over 64 bits in three tables, and where its metadata would start.
    fn sound() -> (Meta, usize) {
        let tables: Vec<TableMeta> = [(0, 22), (22, 21), (43, 21)]
            .map(|(first_bit, len_bits)| TableMeta {
                first_bit,
                len_bits,
                listed_ids: if first_bit == 22 { 2 } else { 5 },
                offsets_crc32: 0,
                ids_crc32: 0,
            })
            .into();
        let dense =
            [(4, 1), (9, 2)].map(|(value, ids)| DenseMeta { table: 1, value, ids, len_bytes: 100 }).into();
        let end = 16 + 4 * ((1 << 22) + (2 << 21) + 3) + 4 * 12 + 200;
        (Meta { first_id: 10, end_id: 15, tables, dense, dense_crc32: 0 }, end)
    }

    /// What is said of the sound segment after `change`.
    fn refused(change: impl FnOnce(&mut Meta)) -> &'static str {
        let (mut meta, end) = sound();
        change(&mut meta);
        match place(meta, 64, end) {
            Err(Error::Damaged { what, .. }) => what,
            other => panic!("not refused: {other:?}"),
        }
    }

    #[test]
    fn a_sound_layout_is_accepted_and_only_at_its_own_length() {
        let (meta, end) = sound();
        let layout = place(meta.clone(), 64, end).unwrap();
        assert_eq!(layout.tables[0].offsets.start, 16);
        assert_eq!((layout.dense.clone(), layout.dense.len()), (end - 200..end, 200));
        assert!(place(meta.clone(), 64, end - 1).is_err() && place(meta.clone(), 64, end + 1).is_err());
        assert!(place(meta.clone(), 64, 20).is_err() && place(meta, 128, end).is_err());
    }

    #[test]
    fn each_contradiction_in_the_metadata_is_told() {
        assert!(refused(|meta| meta.first_id = 16).contains("backwards"));
        assert!(refused(|meta| meta.end_id = 16).contains("as many ids"));
        assert!(refused(|meta| meta.tables[0].listed_ids = 6).contains("as many ids"));
        assert!(refused(|meta| meta.dense[1].ids = 3).contains("as many ids"));
        assert!(refused(|meta| meta.tables[1].first_bit = 23).contains("follow each other"));
        assert!(refused(|meta| meta.tables[0].len_bits = 0).contains("follow each other"));
        assert!(refused(|meta| meta.tables[0].len_bits = 27).contains("follow each other"));
        assert!(refused(|meta| meta.tables[2].len_bits = 22).contains("longer than the code"));
        assert!(refused(|meta| meta.tables[2].len_bits = 20).contains("shorter than the code"));
        assert!(refused(|meta| meta.tables[0].len_bits = 26).contains("longer than the segment"));
        assert!(refused(|meta| meta.dense[1].value = 4).contains("out of order"));
        assert!(refused(|meta| meta.dense[1].value = 1 << 21).contains("out of order"));
        assert!(refused(|meta| meta.dense[1].table = 3).contains("as many ids"));
        assert!(
            refused(|meta| meta.dense.push(DenseMeta { table: 3, value: 0, ids: 0, len_bytes: 0 }))
                .contains("no table")
        );
        assert!(refused(|meta| meta.dense[0].len_bytes = 99).contains("do not end"));
        assert!(refused(|meta| meta.dense[0].len_bytes = u32::MAX).contains("do not end"));
    }

    #[test]
    fn metadata_with_good_checksums_but_no_sense_is_refused() {
        let (mut meta, _) = sound();
        meta.tables.clear();
        meta.dense.clear();
        let bytes = [&header(64)[..], &ending(&meta, 64, 16).unwrap()].concat();
        assert!(matches!(
            read(&bytes, 64),
            Err(Error::Damaged { what: "the substrings are shorter than the code", .. })
        ));
        // Bytes that are no archive, under the right checksums.
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
