//! The footer of a Parquet file, looked at before the parquet crate reads it: how long it is, and how many columns and row groups
//! it tells of. The crate makes the tree of columns by recursion, and room for all row groups at once.

use super::chunks::Chunks;
use super::guard::{Refused, refuse};
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
        Some((columns, _)) if columns > MAX_COLUMNS => {
            refuse(format!("at most {MAX_COLUMNS} columns"), columns.to_string())
        }
        Some((_, groups)) if groups > MAX_ROW_GROUPS => {
            refuse(format!("at most {MAX_ROW_GROUPS} row groups"), groups.to_string())
        }
        Some(_) => Ok(()),
    }
}

/// The numbers of columns and of row groups. The version comes first, then the columns: what is read before them is read here
/// as the crate does.
fn counts(bytes: &[u8]) -> Option<(usize, usize)> {
    let mut fields = Fields::new(bytes);
    if fields.field(0)? != (1, wire::I32) {
        return None;
    }
    fields.i32()?;
    if fields.field(1)? != (2, wire::LIST) {
        return None;
    }
    let columns = fields.clone().list()?.0;
    fields.pass(wire::LIST)?;
    let (mut groups, mut last) = (0, 2);
    loop {
        let (number, wire) = fields.field(last)?;
        match (number, wire) {
            (_, 0) => return Some((columns, groups)),
            (4, wire::LIST) => groups = fields.clone().list()?.0.max(groups),
            (3, wire::I64) | (5 | 7, wire::LIST) | (6 | 9, wire::BINARY) => {}
            _ => return None,
        }
        fields.pass(wire)?;
        last = number;
    }
}
