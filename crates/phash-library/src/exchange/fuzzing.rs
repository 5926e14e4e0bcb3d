//! What the fuzz targets of imports and of codes, and the tests, share. Not part of the public interface: no promise of
//! stability. Panics when a property is broken.

use std::io::Read;

use phash_store::Schema;

use super::assemble::{Assembler, Item};
use super::columns::columns;
use super::header::Header;
use super::import::Rows;
use super::jsonl;
use crate::error::{Error, Result};
use crate::raw::{CodeFormat, CodeInput, Columns, RawCode, Width};

/// Reads any bytes as an export in JSON lines: how many models or raw codes it holds.
///
/// # Errors
/// What is wrong with it.
///
/// # Panics
/// If a row that was read is written and then read as something else.
pub fn import_jsonl(bytes: &[u8]) -> Result<usize> {
    let reader: Box<dyn Read + '_> = Box::new(bytes);
    let (rows, header, schema) = jsonl::Rows::open("fuzz.jsonl", reader)?;
    count(Rows::Jsonl(rows), &header, &schema)
}

/// Reads any bytes as an export in Parquet: how many models or raw codes it holds.
///
/// # Errors
/// What is wrong with it.
///
/// # Panics
/// As [`import_jsonl`].
#[cfg(feature = "parquet")]
pub fn import_parquet(bytes: &[u8]) -> Result<usize> {
    let chunks = super::parquet::Chunks::of_memory(bytes);
    let (rows, header, schema) = super::parquet::Rows::open("fuzz.parquet", chunks, None)?;
    count(Rows::Parquet(Box::new(rows)), &header, &schema)
}

fn count(rows: Rows<'_>, header: &Header, schema: &Schema) -> Result<usize> {
    let mut items = 0;
    // Far beyond what an input of this size holds unless it repeats itself: enough was seen.
    const ENOUGH: usize = 1 << 16;
    let read = rows.for_each("fuzz", header, schema, &mut |item| {
        items += 1;
        if items < 64 {
            check_again(&item, schema);
        }
        if items < ENOUGH { Ok(()) } else { Err(Error::Cancelled) }
    });
    match read {
        Ok(()) | Err(Error::Cancelled) => Ok(items),
        Err(error) => Err(error),
    }
}

/// Writes an item as JSON lines and reads it again.
fn check_again(item: &Item, schema: &Schema) {
    let columns = columns(schema);
    let header = Header::new(schema, Some(1));
    let mut bytes = Vec::new();
    let mut writer = jsonl::Writer::new(&mut bytes, &header, columns.clone()).expect("memory");
    let mut fits = true;
    super::rows::rows_of(item, columns.len(), &mut |cells| {
        // A row may be longer than a line has to be: names of which every byte is escaped.
        fits &= writer.row(cells).is_ok();
        Ok(())
    })
    .expect("memory");
    writer.finish().expect("memory");
    if !fits {
        return;
    }
    let reader: Box<dyn Read + '_> = Box::new(&bytes[..]);
    let (mut rows, again, _) = jsonl::Rows::open("again", reader).expect("what was written is read");
    assert_eq!(again, header);
    let mut assembler = Assembler::new("again", schema);
    let mut cells = vec![super::columns::Cell::Null; columns.len()];
    let mut read = None;
    while rows.next(&columns, &mut cells).expect("what was written is read") {
        assert!(read.is_none(), "rows behind the last one");
        read = assembler.row(&mut cells, rows.place()).expect("what was written is read");
    }
    assert_eq!(read.as_ref(), Some(item), "it reads differently");
}

/// Reads any text as codes of each width, as `--code` is read.
///
/// # Panics
/// If a code is not written as it was read, but for the case of its digits, or phash-code's parser finds something else.
pub fn code_text(bytes: &[u8]) -> [bool; 4] {
    Width::ALL.map(|width| {
        let read = RawCode::from_hex(width, bytes);
        let text = std::str::from_utf8(bytes).ok();
        let again = |text: &str| match width {
            Width::Bits64 => text.parse::<phash_code::Code<1>>().map(|code| RawCode::from(&code)),
            Width::Bits128 => text.parse::<phash_code::Code<2>>().map(|code| RawCode::from(&code)),
            Width::Bits256 => text.parse::<phash_code::Code<4>>().map(|code| RawCode::from(&code)),
            Width::Bits512 => text.parse::<phash_code::Code<8>>().map(|code| RawCode::from(&code)),
        };
        match text.map(again) {
            Some(Ok(code)) => assert_eq!(read.as_ref().ok(), Some(&code)),
            Some(Err(error)) => assert_eq!(read.as_ref().err(), Some(&error)),
            None => assert!(read.is_err(), "a code that is no text"),
        }
        if let (Ok(code), Some(text)) = (&read, text) {
            assert_eq!(code.to_string(), text.to_ascii_lowercase());
        }
        read.is_ok()
    })
}

/// Reads any bytes as files of raw codes of two widths in each format.
///
/// # Panics
/// If a code has another width, or a label is empty.
pub fn code_files(bytes: &[u8]) {
    for format in [CodeFormat::Hex, CodeFormat::Jsonl, CodeFormat::Csv, CodeFormat::Binary] {
        for width in [Width::Bits64, Width::Bits512] {
            let input = CodeInput::stream("fuzz", Box::new(std::io::Cursor::new(bytes.to_vec())), format);
            // What is wrong is an error; that is all that is asked for.
            let _ = input.for_each(width, &Columns::default(), &|_| {}, &mut |entry| {
                assert_eq!(entry.code.len(), width.bytes());
                assert!(entry.label.is_none_or(|label| !label.is_empty()));
                Ok(())
            });
        }
    }
}
