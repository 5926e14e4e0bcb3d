//! Owns the checksum of a catalog row: CRC-32 over the name of the table and the columns in order, each with its kind
//! and length, so that no two different rows read the same.

/// A column's value.
#[derive(Clone, Copy, Debug)]
pub(super) enum Field<'a> {
    Int(i64),
    Text(&'a str),
    Blob(&'a [u8]),
    Null,
}

/// The checksum of a row of `table`.
pub(super) fn row_crc(table: &str, fields: &[Field<'_>]) -> u32 {
    let mut bytes = Vec::with_capacity(128);
    let mut put = |kind: u8, value: &[u8]| {
        bytes.push(kind);
        bytes.extend_from_slice(&(value.len() as u64).to_le_bytes());
        bytes.extend_from_slice(value);
    };
    put(b't', table.as_bytes());
    for field in fields {
        match field {
            Field::Int(value) => put(b'i', &value.to_le_bytes()),
            Field::Text(value) => put(b's', value.as_bytes()),
            Field::Blob(value) => put(b'b', value),
            Field::Null => put(b'n', &[]),
        }
    }
    crc32fast::hash(&bytes)
}
