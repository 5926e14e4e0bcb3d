//! Owns how a batch of queries is compared with many codes: codes in chunks that stay in the second-level cache while all
//! queries meet them, queries in groups that stay in the first-level cache while all blocks of a chunk meet them.

use super::Kernel;
use crate::Code;

/// Bytes of codes in a chunk.
const CHUNK_BYTES: usize = 256 << 10;

/// Bytes of queries in a group.
const GROUP_BYTES: usize = 16 << 10;

/// As [`Kernel::within_many`], which has checked the lengths.
pub(super) fn within_many<const W: usize>(
    kernel: Kernel,
    queries: &[Code<W>],
    codes: &[Code<W>],
    below_bits: &mut [u32],
    mut found: impl FnMut(usize, usize, u32, &mut u32),
) {
    // A multiple of every kernel's block, so that only the last chunk leaves a rest.
    let chunk_codes = (CHUNK_BYTES / size_of::<Code<W>>().max(1)).next_multiple_of(64);
    let group_queries = (GROUP_BYTES / size_of::<Code<W>>().max(1)).max(1);
    for (number, chunk) in codes.chunks(chunk_codes).enumerate() {
        let first_code = number * chunk_codes;
        let groups = queries.chunks(group_queries).zip(below_bits.chunks_mut(group_queries));
        for (number, (group, below_bits)) in groups.enumerate() {
            let first_query = number * group_queries;
            let mut found = |query: usize, code: usize, distance_bits: u32, below_bits: &mut u32| {
                found(first_query + query, first_code + code, distance_bits, below_bits);
            };
            let done = kernel.cross(group, chunk, below_bits, &mut found);
            if done == chunk.len() {
                continue;
            }
            for (query, below_bits) in below_bits.iter_mut().enumerate() {
                let Some(radius_bits) = below_bits.checked_sub(1) else { continue };
                kernel.within(&group[query], &chunk[done..], radius_bits, |code, distance_bits| {
                    if distance_bits < *below_bits {
                        found(query, done + code, distance_bits, below_bits);
                    }
                });
            }
        }
    }
}
