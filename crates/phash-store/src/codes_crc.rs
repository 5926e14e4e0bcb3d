//! Owns the checksum of an item's codes, which the item's own row has. It is taken of the codes when they are put in and carried
//! along by compactions, so that it says of a row and codes, wherever they lie, that they belong together.

use crc32fast::Hasher;

/// CRC-32 of, for each view in order, a byte 1 and the code, or a byte 0 if it is void (`None`).
///
/// It needs no id and no database: the checksum of the row covers the id, and other codes than the item's do not fit.
pub(crate) fn codes_crc<'a>(codes: impl IntoIterator<Item = Option<&'a [u8]>>) -> u32 {
    let mut hasher = Hasher::new();
    for code in codes {
        hasher.update(&[u8::from(code.is_some())]);
        hasher.update(code.unwrap_or_default());
    }
    hasher.finalize()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_other_code_order_or_void_has_another_checksum() {
        let (a, b) = ([7u8; 8], [0u8; 8]);
        let lists: [&[Option<&[u8]>]; 7] = [
            &[Some(&a), Some(&b)],
            &[Some(&b), Some(&a)],
            &[Some(&a), None],
            &[None, Some(&a)],
            &[Some(&a)],
            &[None, None],
            &[Some(&b), Some(&b)],
        ];
        let crcs: std::collections::BTreeSet<u32> =
            lists.iter().map(|codes| codes_crc(codes.iter().copied())).collect();
        assert_eq!(crcs.len(), lists.len());
        assert_eq!(codes_crc([Some(&b"23456789"[..]), None]), crc32fast::hash(b"\x0123456789\0"));
    }
}
