//! Looks at a column of a row group before the parquet crate reads it: where it lies, and each of its pages. The crate allocates
//! what headers say (for a dictionary, room for each value that its header promises) before it has seen the bytes.

use std::io;

use parquet::basic::{Compression, Type};
use parquet::file::metadata::ColumnChunkMetaData;

use super::chunks::{Chunks, MAX_READ_BYTES};
use super::page::{self, PageHeader, PageKind};

/// Most bytes of a page, decompressed.
const MAX_PAGE_BYTES: u32 = 64 << 20;
/// Most bytes of a dictionary, decompressed: in memory a short value takes ten times as much.
const MAX_DICTIONARY_BYTES: u32 = 16 << 20;
/// Most bytes of the largest pages and dictionaries of all columns of a row group together.
const MAX_GROUP_BYTES: u64 = 256 << 20;
/// Most bytes of a page's header.
const MAX_HEADER_BYTES: usize = 1 << 20;
/// Bytes of a header that are looked at first.
const HEADER_BYTES: usize = 1 << 10;

/// Numbers of encodings (parquet.thrift): what the usual writers use unless asked for others.
const PLAIN: i32 = 0;
const PLAIN_DICTIONARY: i32 = 2;
const RLE: i32 = 3;
const RLE_DICTIONARY: i32 = 8;

/// Why a file is not read.
#[derive(Debug)]
pub(super) enum Refused {
    /// What was expected, and what is there.
    Wrong(String, String),
    Io(io::Error),
}

pub(super) fn refuse<T>(expected: impl Into<String>, got: impl Into<String>) -> Result<T, Refused> {
    Err(Refused::Wrong(expected.into(), got.into()))
}

/// Adds up what the columns of a row group may take.
#[derive(Debug, Default)]
pub(super) struct GroupBytes(u64);

/// Checks a column of a row group of `rows` rows.
pub(super) fn check(
    chunks: &Chunks,
    column: &ColumnChunkMetaData,
    rows: u64,
    sum: &mut GroupBytes,
) -> Result<(), Refused> {
    let known = matches!(
        column.compression(),
        Compression::UNCOMPRESSED | Compression::SNAPPY | Compression::ZSTD(_)
    );
    if !known {
        return refuse("no compression, Snappy or Zstandard", format!("{:?}", column.compression()));
    }
    let offsets =
        [Some(column.data_page_offset()), column.dictionary_page_offset(), Some(column.compressed_size())];
    let negative = offsets.into_iter().flatten().any(|offset| offset < 0);
    let at = column.dictionary_page_offset().unwrap_or(column.data_page_offset()).cast_unsigned();
    let end = at.checked_add(column.compressed_size().cast_unsigned());
    let Some(end) = end.filter(|&end| !negative && end <= chunks.len_bytes()) else {
        return refuse("columns that lie in the file", format!("one at byte {at}"));
    };
    if u64::try_from(column.num_values()).ok() != Some(rows) {
        return refuse(format!("{rows} values, as many as rows"), column.num_values().to_string());
    }
    let (mut next, mut largest, mut dictionary, mut values) = (at, 0, None, 0u64);
    while next < end {
        let header = header(chunks, next, end)?;
        next += header.len as u64 + u64::from(header.compressed_bytes);
        if next > end {
            return refuse(
                "pages that lie in their column",
                format!("one that ends at byte {next}, behind {end}"),
            );
        }
        match header.kind {
            PageKind::Dictionary if dictionary.is_none() && values == 0 => {
                check_dictionary(&header, column)?;
                dictionary = Some(header.uncompressed_bytes);
            }
            PageKind::Dictionary => return refuse("one dictionary, before all pages", "another one"),
            PageKind::Data | PageKind::DataV2 => {
                check_data(&header, column, dictionary.is_some())?;
                values += u64::from(header.values);
                largest = largest.max(header.uncompressed_bytes.max(header.compressed_bytes));
            }
        }
    }
    if values != rows {
        return refuse(format!("pages of {rows} values, as many as rows"), values.to_string());
    }
    sum.0 += u64::from(largest) + u64::from(dictionary.unwrap_or_default());
    if sum.0 > MAX_GROUP_BYTES {
        let expected = format!("pages of all columns that take at most {MAX_GROUP_BYTES} bytes together");
        return refuse(expected, "larger ones; write them with smaller pages");
    }
    Ok(())
}

/// The header of the page at a place.
fn header(chunks: &Chunks, at: u64, end: u64) -> Result<PageHeader, Refused> {
    let most = usize::try_from(end - at).unwrap_or(usize::MAX);
    // Nearly all are short; those with long statistics are read once more.
    for len in [HEADER_BYTES, MAX_HEADER_BYTES] {
        let bytes = chunks.up_to(at, len.min(most)).map_err(Refused::Io)?;
        if let Some(header) = page::header(&bytes) {
            return Ok(header);
        }
    }
    refuse(format!("the header of a page at byte {at}"), "something else")
}

fn check_dictionary(header: &PageHeader, column: &ColumnChunkMetaData) -> Result<(), Refused> {
    let least = match column.column_type() {
        Type::BOOLEAN => return refuse("no dictionary of true and false", "one"),
        Type::INT32 | Type::FLOAT | Type::BYTE_ARRAY => 4,
        Type::INT64 | Type::DOUBLE => 8,
        Type::INT96 => 12,
        Type::FIXED_LEN_BYTE_ARRAY => u64::try_from(column.column_descr().type_length()).unwrap_or(0).max(1),
    };
    if header.uncompressed_bytes > MAX_DICTIONARY_BYTES {
        let expected = format!("dictionaries of at most {MAX_DICTIONARY_BYTES} bytes");
        return refuse(expected, header.uncompressed_bytes.to_string());
    }
    if u64::from(header.values) * least > u64::from(header.uncompressed_bytes) {
        let expected = format!("a dictionary of values that fit {} bytes", header.uncompressed_bytes);
        return refuse(expected, format!("{} values", header.values));
    }
    if !matches!(header.encoding, PLAIN | PLAIN_DICTIONARY) {
        return refuse("a plain dictionary", format!("encoding {}", header.encoding));
    }
    check_sizes(header, column)
}

fn check_data(header: &PageHeader, column: &ColumnChunkMetaData, dictionary: bool) -> Result<(), Refused> {
    if header.uncompressed_bytes > MAX_PAGE_BYTES {
        let expected = format!("pages of at most {MAX_PAGE_BYTES} bytes");
        return refuse(expected, header.uncompressed_bytes.to_string());
    }
    let known = match header.encoding {
        PLAIN => true,
        PLAIN_DICTIONARY | RLE_DICTIONARY => dictionary,
        RLE => column.column_type() == Type::BOOLEAN,
        _ => false,
    };
    if !known {
        let got = format!("encoding {}; write it with the usual ones", header.encoding);
        return refuse("values in plain encoding or by a dictionary", got);
    }
    // The crate trusts the length of levels that are packed.
    let levels = column.column_descr().max_def_level() > 0 && header.kind == PageKind::Data;
    if levels && header.level_encoding != Some(RLE) {
        let got = format!("encoding {:?}", header.level_encoding);
        return refuse("levels that are run-length encoded", got);
    }
    if header.level_bytes > header.uncompressed_bytes.min(header.compressed_bytes) {
        return refuse("levels that fit their page", format!("{} bytes", header.level_bytes));
    }
    check_sizes(header, column)
}

fn check_sizes(header: &PageHeader, column: &ColumnChunkMetaData) -> Result<(), Refused> {
    if u64::from(header.compressed_bytes) > MAX_READ_BYTES {
        let expected = format!("pages of at most {MAX_READ_BYTES} bytes");
        return refuse(expected, header.compressed_bytes.to_string());
    }
    if column.compression() == Compression::UNCOMPRESSED
        && header.compressed_bytes != header.uncompressed_bytes
    {
        let got = format!("{} and {} bytes", header.compressed_bytes, header.uncompressed_bytes);
        return refuse("pages of one size, as they are not compressed", got);
    }
    Ok(())
}
