//! The footer of a Parquet file, looked at before the parquet crate reads it: how long it is, and how many columns and row groups
//! it tells of. The crate makes the tree of columns by recursion, and room for all row groups at once, and for as many columns in a
//! group as the group claims to have.

use super::chunks::Chunks;
use super::guard::{Refused, refuse};
use super::shapes::FILE_META_DATA;
use super::thrift::{Fields, wire};

/// Most bytes of a footer.
const MAX_FOOTER_BYTES: u32 = 8 << 20;
/// Most columns, groups of them included.
const MAX_COLUMNS: usize = 512;
/// Most row groups.
const MAX_ROW_GROUPS: usize = 1 << 16;
/// What a file begins and ends with.
pub(super) const MAGIC: [u8; 4] = *b"PAR1";

/// Checks the footer of a file.
pub(super) fn check(chunks: &Chunks) -> Result<(), Refused> {
    let expected = "a Parquet file: PAR1 at its beginning and end";
    let len = chunks.len_bytes();
    let begin = chunks.up_to(0, 4).map_err(Refused::Io)?;
    let end = chunks.up_to(len.saturating_sub(8), 8).map_err(Refused::Io)?;
    let (Some((&footer_len, magic)), true) = (end.split_first_chunk::<4>(), len >= 12) else {
        return refuse(expected, format!("{len} bytes"));
    };
    if begin != MAGIC || magic != MAGIC {
        return refuse(expected, "something else");
    }
    let footer_len = u32::from_le_bytes(footer_len);
    if footer_len > MAX_FOOTER_BYTES || u64::from(footer_len) > len - 12 {
        let expected = format!("a footer of at most {} bytes", (len - 12).min(MAX_FOOTER_BYTES.into()));
        return refuse(expected, format!("{footer_len}"));
    }
    let from = len - 8 - u64::from(footer_len);
    let bytes = chunks.up_to(from, footer_len as usize).map_err(Refused::Io)?;
    match counts(&bytes) {
        None => refuse("a footer in Thrift's compact protocol", "something else"),
        Some(Counts { columns, .. }) if columns > MAX_COLUMNS => {
            refuse(format!("at most {MAX_COLUMNS} columns"), columns.to_string())
        }
        Some(Counts { columns, children, .. }) if children > columns => {
            refuse(format!("at most all {columns} columns in a group of columns"), children.to_string())
        }
        Some(Counts { row_groups, .. }) if row_groups > MAX_ROW_GROUPS => {
            refuse(format!("at most {MAX_ROW_GROUPS} row groups"), row_groups.to_string())
        }
        Some(_) => Ok(()),
    }
}

/// How much of each a footer claims.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Counts {
    columns: usize,
    /// Of the group of columns that claims most.
    children: usize,
    row_groups: usize,
}

/// The version comes first, then the columns. All of it must be made as the format has it, else the crate reads something else.
fn counts(bytes: &[u8]) -> Option<Counts> {
    let mut fields = Fields::new(bytes);
    fields.clone().pass_as(wire::STRUCT, &FILE_META_DATA)?;
    if fields.field(0)? != (1, wire::I32) {
        return None;
    }
    fields.i32()?;
    if fields.field(1)? != (2, wire::LIST) {
        return None;
    }
    let (columns, element) = fields.list()?;
    if element != wire::STRUCT {
        return None;
    }
    let mut children = 0;
    for _ in 0..columns {
        children = column_children(&mut fields)?.max(children);
    }
    let (mut row_groups, mut last) = (0, 2);
    loop {
        let (number, wire) = fields.field(last)?;
        match (number, wire) {
            (_, 0) => return Some(Counts { columns, children, row_groups }),
            (4, wire::LIST) => row_groups = fields.clone().list()?.0.max(row_groups),
            (3 | 5 | 6 | 7, _) | (9, wire::BINARY) => {}
            // Version and columns once more; encryption; fields of formats to come.
            _ => return None,
        }
        fields.pass(wire)?;
        last = number;
    }
}

/// How many children an element of the schema (`SchemaElement`) claims.
fn column_children(fields: &mut Fields<'_>) -> Option<usize> {
    let (mut children, mut last) = (0, 0);
    loop {
        let (number, wire) = fields.field(last)?;
        match (number, wire) {
            (_, 0) => return Some(children),
            (5, wire::I32) => children = usize::try_from(fields.i32()?).ok()?.max(children),
            _ => fields.pass(wire)?,
        }
        last = number;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A footer of one group of columns that claims `children`, as a varint in zigzag, and one row group.
    fn footer(children: &[u8]) -> Vec<u8> {
        [&[0x15, 2, 0x19, 0x1c, 0x48, 1, b'm', 0x15][..], children, &[0, 0x16, 0, 0x19, 0x0c, 0]].concat()
    }

    #[test]
    fn what_a_group_of_columns_claims_is_seen() {
        let counts_of = |children: &[u8]| counts(&footer(children));
        assert_eq!(counts_of(&[4]), Some(Counts { columns: 1, children: 2, row_groups: 0 }));
        // 2^31 - 1, for which the crate would make room; less than none.
        let most = counts_of(&[0xfe, 0xff, 0xff, 0xff, 0x0f]).unwrap();
        assert_eq!(most.children, i32::MAX as usize);
        assert_eq!(counts_of(&[1]), None);
    }

    #[test]
    fn a_field_of_another_type_than_the_format_has_is_refused() {
        // A name (4) that is said to be a number, of which the crate reads so many bytes of text as the number says, and what is
        // behind them as fields; a key (5.1) that is one.
        let name = [0x15, 2, 0x19, 0x1c, 0x46, 2, 0, 0x16, 0, 0x19, 0x0c, 0];
        let key = [&footer(&[0])[..10], &[0x29, 0x0c, 0x19, 0x1c, 0x16, 2, 0, 0]].concat();
        let text = [&footer(&[0])[..10], &[0x29, 0x0c, 0x19, 0x1c, 0x18, 1, b'k', 0, 0]].concat();
        assert_eq!((counts(&name), counts(&key)), (None, None));
        assert!(counts(&text).is_some());
        // The same with a field 8, which an encrypted file has.
        let encrypted = [&text[..text.len() - 1], &[0x3c, 0, 0]].concat();
        assert_eq!(counts(&encrypted), None);
    }
}
