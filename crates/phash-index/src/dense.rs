//! Owns the buckets that are kept as roaring bitmaps: those that hold so large a share of all ids that a bitmap takes
//! less than a list. A sparse bucket would be an order of magnitude larger as a bitmap (docs/search.md).

use roaring::RoaringBitmap;

use crate::Error;
use crate::format::DenseMeta;

/// A bucket with fewer ids than this share of all is never worth a bitmap: roaring pays about 8 bytes for each 65,536
/// ids it spans, a list 4 bytes an id.
const LEAST_SHARE: u32 = 1600;
/// Nor is one with fewer ids than this, whatever its share.
const LEAST_IDS: u32 = 64;

/// How many ids a bucket must hold to be tried as a bitmap.
pub(crate) fn least_ids(all_ids: u32) -> u32 {
    all_ids.div_ceil(LEAST_SHARE).max(LEAST_IDS)
}

/// The bucket as a bitmap, if that takes fewer bytes than the list. `ids` must ascend.
pub(crate) fn encode(ids: &[u32]) -> Option<Vec<u8>> {
    let mut bitmap = RoaringBitmap::from_sorted_iter(ids.iter().copied()).ok()?;
    bitmap.optimize();
    let len_bytes = bitmap.serialized_size();
    if len_bytes >= size_of_val(ids) || u32::try_from(len_bytes).is_err() {
        return None;
    }
    let mut bytes = Vec::with_capacity(len_bytes);
    bitmap.serialize_into(&mut bytes).ok()?;
    Some(bytes)
}

/// A bucket read back: the value of the substring and the ids under it, relative to the segment's first.
#[derive(Clone, Debug)]
pub(crate) struct DenseBucket {
    pub(crate) table: u32,
    pub(crate) value: u32,
    pub(crate) ids: RoaringBitmap,
}

/// The dense buckets of all tables.
#[derive(Clone, Debug)]
pub(crate) struct DenseBuckets {
    /// In order of table, then value.
    buckets: Vec<DenseBucket>,
    /// The value of each bucket, close together for searching.
    values: Vec<u32>,
    /// Where the buckets of each table start, and where the last one's end.
    starts: Vec<usize>,
}

impl DenseBuckets {
    /// Of `buckets` in order of table, then value, all of them of the first `tables` tables.
    pub(crate) fn new(buckets: Vec<DenseBucket>, tables: usize) -> Self {
        let values = buckets.iter().map(|bucket| bucket.value).collect();
        let start = |table: usize| buckets.partition_point(|bucket| (bucket.table as usize) < table);
        let starts = (0..=tables).map(start).collect();
        Self { buckets, values, starts }
    }

    /// The buckets of a table and their values, ascending.
    pub(crate) fn of(&self, table: usize) -> (&[DenseBucket], &[u32]) {
        let Some(&[start, end]) = self.starts.get(table..).and_then(|starts| starts.first_chunk()) else {
            return (&[], &[]);
        };
        (&self.buckets[start..end], &self.values[start..end])
    }
}

/// Reads the bitmaps that lie one after the other in `bytes`. Memory stays in proportion to the bytes: roaring
/// containers are no larger decoded than encoded.
pub(crate) fn decode(
    mut bytes: &[u8],
    buckets: &[DenseMeta],
    all_ids: u32,
) -> Result<Vec<DenseBucket>, Error> {
    buckets
        .iter()
        .map(|&DenseMeta { table, value, ids: count, len_bytes }| {
            let damaged = |what| Error::Damaged { what, table };
            let (mut own, rest) =
                bytes.split_at_checked(len_bytes as usize).ok_or(damaged("a dense bucket is cut off"))?;
            bytes = rest;
            let ids = RoaringBitmap::deserialize_from(&mut own)
                .map_err(|_| damaged("a dense bucket is no bitmap"))?;
            if !own.is_empty() {
                return Err(damaged("a dense bucket is shorter than it says"));
            }
            if ids.len() != u64::from(count) {
                return Err(damaged("a dense bucket does not hold as many ids as it says"));
            }
            if ids.max().is_some_and(|id| id >= all_ids) {
                return Err(damaged("a dense bucket holds ids beyond the segment's"));
            }
            Ok(DenseBucket { table, value, ids })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bitmap_is_taken_only_where_it_is_smaller() {
        let run: Vec<u32> = (0..100_000).collect();
        assert!(encode(&run).unwrap().len() < 100);
        let sparse: Vec<u32> = (0..1000).map(|i| i * 65_536).collect();
        assert_eq!(encode(&sparse), None);
        assert_eq!(encode(&[]), None);
    }

    #[test]
    fn a_bucket_that_contradicts_its_description_is_refused() {
        let bytes = encode(&(0..1000).collect::<Vec<_>>()).unwrap();
        let len_bytes = u32::try_from(bytes.len()).unwrap();
        let meta = DenseMeta { table: 2, value: 7, ids: 1000, len_bytes };
        assert_eq!(decode(&bytes, std::slice::from_ref(&meta), 1000).unwrap()[0].ids.len(), 1000);
        let refused =
            |bytes: &[u8], meta: DenseMeta, all_ids| decode(bytes, &[meta], all_ids).unwrap_err().to_string();
        assert!(refused(&bytes, meta.clone(), 999).contains("beyond"));
        assert!(refused(&bytes, DenseMeta { ids: 999, ..meta.clone() }, 1000).contains("as many"));
        assert!(refused(&bytes[1..], meta.clone(), 1000).contains("cut off"));
        assert!(refused(&bytes, DenseMeta { len_bytes: 3, ..meta.clone() }, 1000).contains("no bitmap"));
        let longer = [&bytes[..], &[0]].concat();
        assert!(refused(&longer, DenseMeta { len_bytes: len_bytes + 1, ..meta }, 1000).contains("shorter"));
    }
}
