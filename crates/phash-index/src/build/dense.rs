//! Owns the dense buckets of a segment that is being built: those of one table, and of all of them in order.

use crate::format::DenseMeta;

/// The dense buckets of one table, in order of value.
#[derive(Default)]
pub(super) struct DenseTables {
    pub(super) buckets: Vec<DenseMeta>,
    /// Their bitmaps, one after the other.
    pub(super) bytes: Vec<u8>,
}

impl DenseTables {
    /// Adds a bucket of the table under way.
    pub(super) fn add(&mut self, value: u32, ids: u32, bitmap: &[u8]) {
        let len_bytes = u32::try_from(bitmap.len()).unwrap_or(u32::MAX);
        self.buckets.push(DenseMeta { table: 0, value, ids, len_bytes });
        self.bytes.extend_from_slice(bitmap);
    }

    /// Adds the buckets of table `table` to those of the tables before.
    pub(super) fn append(&mut self, table: u32, mut other: DenseTables) {
        other.buckets.iter_mut().for_each(|bucket| bucket.table = table);
        self.buckets.append(&mut other.buckets);
        self.bytes.append(&mut other.bytes);
    }
}
