//! The header of a page (parquet.thrift, `PageHeader`), read strictly: every field must be known and of its type, so that the
//! parquet crate reads the same.

use super::shapes::STATISTICS;
use super::thrift::{Fields, Shape, wire};

/// What a page holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum PageKind {
    Data,
    Dictionary,
    DataV2,
}

/// What its header says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct PageHeader {
    pub(super) kind: PageKind,
    pub(super) uncompressed_bytes: u32,
    pub(super) compressed_bytes: u32,
    pub(super) values: u32,
    /// The number of its encoding.
    pub(super) encoding: i32,
    /// Version 1: the number of the encoding of the levels that tell which values are null.
    pub(super) level_encoding: Option<i32>,
    /// Version 2: bytes of the levels, which are not compressed.
    pub(super) level_bytes: u32,
    /// Length of the header itself.
    pub(super) len: usize,
}

/// Reads the header at the beginning of `bytes`.
pub(super) fn header(bytes: &[u8]) -> Option<PageHeader> {
    let mut fields = Fields::new(bytes);
    let (mut kind, mut sizes, mut inner, mut last) = (None, [None; 2], None, 0);
    loop {
        let (number, wire) = fields.field(last)?;
        match (number, wire) {
            (_, 0) => break,
            (1, wire::I32) => kind = Some(fields.i32()?),
            (2 | 3, wire::I32) => sizes[usize::from(number == 3)] = Some(u32::try_from(fields.i32()?).ok()?),
            (4, wire::I32) => fields.pass(wire)?,
            (5 | 7 | 8, wire::STRUCT) if inner.is_none() => {
                inner = Some((number, of_kind(&mut fields, number)?))
            }
            _ => return None,
        }
        last = number;
    }
    let (number, inner) = inner?;
    let kind = match (kind?, number) {
        (0, 5) => PageKind::Data,
        (2, 7) => PageKind::Dictionary,
        (3, 8) => PageKind::DataV2,
        _ => return None,
    };
    let [uncompressed_bytes, compressed_bytes] = [sizes[0]?, sizes[1]?];
    let Inner { values, encoding, level_encoding, level_bytes } = inner;
    let (values, encoding) = (values?, encoding?);
    let level_bytes = level_bytes[0].checked_add(level_bytes[1])?;
    Some(PageHeader {
        kind,
        uncompressed_bytes,
        compressed_bytes,
        values,
        encoding,
        level_encoding,
        level_bytes,
        len: fields.at(),
    })
}

/// What the header for the kind of page says.
#[derive(Clone, Copy, Default)]
struct Inner {
    values: Option<u32>,
    encoding: Option<i32>,
    level_encoding: Option<i32>,
    level_bytes: [u32; 2],
}

/// The header for a kind of page: field 5, 7 or 8.
fn of_kind(fields: &mut Fields<'_>, kind: i16) -> Option<Inner> {
    let (mut inner, mut last) = (Inner::default(), 0);
    loop {
        let (number, wire) = fields.field(last)?;
        match (kind, number, wire) {
            (_, _, 0) => return Some(inner),
            (_, 1, wire::I32) => inner.values = Some(u32::try_from(fields.i32()?).ok()?),
            (5 | 7, 2, wire::I32) | (8, 4, wire::I32) => inner.encoding = Some(fields.i32()?),
            (8, 5 | 6, wire::I32) => {
                inner.level_bytes[usize::from(number == 6)] = u32::try_from(fields.i32()?).ok()?;
            }
            (5, 3, wire::I32) => inner.level_encoding = Some(fields.i32()?),
            (5, 4, wire::I32) | (8, 2 | 3, wire::I32) => drop(u32::try_from(fields.i32()?).ok()?),
            (7, 3, wire::TRUE | wire::FALSE) | (8, 7, wire::TRUE | wire::FALSE) => {}
            (5, 5, wire::STRUCT) | (8, 8, wire::STRUCT) => {
                fields.pass_as(wire, &Shape::Closed(STATISTICS))?
            }
            _ => return None,
        }
        last = number;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statistics_have_no_fields_but_those_of_the_format() {
        // A data page of 7 bytes and 3 values, whose statistics have one field with a number or text of one byte.
        let page = |field: [u8; 3]| {
            let inner = [0x15, 6, 0x15, 0, 0x15, 6, 0x15, 6, 0x1c, field[0], field[1], field[2], 0, 0];
            [&[0x15, 0, 0x15, 14, 0x15, 14, 0x2c][..], &inner, &[0]].concat()
        };
        assert_eq!(header(&page([0x18, 1, b'x'])).map(|page| page.values), Some(3));
        // Field 10; field 1 as a list of one number.
        assert_eq!(header(&page([0xa8, 1, b'x'])), None);
        assert_eq!(header(&page([0x19, 0x15, 2])), None);
    }
}
