//! Owns the portable kernel: the twin that defines what the others must answer. Inlined into functions of a CPU
//! feature it becomes their scalar path (tails, and widths they are not tuned for).

use zerocopy::little_endian::U32;

use super::{Bucket, check_len};
use crate::Code;

/// Entries of a bucket in a block.
const BLOCK: usize = 16;

#[inline(always)]
pub(super) fn distances<const W: usize>(query: &Code<W>, codes: &[Code<W>], out: &mut [u32]) {
    for (code, distance) in codes.iter().zip(out) {
        *distance = query.distance(code);
    }
}

/// `first` is the index of the first code.
#[inline(always)]
pub(super) fn within<const W: usize>(
    query: &Code<W>,
    codes: &[Code<W>],
    radius_bits: u32,
    first: usize,
    mut found: impl FnMut(usize, u32),
) {
    for (i, code) in codes.iter().enumerate() {
        let distance_bits = query.distance(code);
        if distance_bits <= radius_bits {
            found(first + i, distance_bits);
        }
    }
}

#[inline(always)]
pub(super) fn within_buckets<'b, K>(
    query: &[u32],
    buckets: impl Iterator<Item = Bucket<'b, K>>,
    mut found: impl FnMut(&K, usize, u32),
) {
    for bucket in buckets {
        let Bucket { key, planes, len, radius_bits } = bucket;
        within_planes(query, planes, len, radius_bits, |entry, distance_bits| {
            found(&key, entry, distance_bits)
        });
    }
}

#[inline(always)]
pub(super) fn within_planes(
    query: &[u32],
    planes: &[U32],
    len: usize,
    radius_bits: u32,
    mut found: impl FnMut(usize, u32),
) {
    check_len(query.len(), planes, len);
    for first in (0..len).step_by(BLOCK) {
        // Plane by plane, so that a compiler may use what vectors the machine has.
        let mut distances = [0; BLOCK];
        let distances = &mut distances[..BLOCK.min(len - first)];
        for (p, word) in query.iter().enumerate() {
            let plane = &planes[p * len + first..];
            for (distance_bits, other) in distances.iter_mut().zip(plane) {
                *distance_bits += (word ^ other.get()).count_ones();
            }
        }
        for (i, &distance_bits) in distances.iter().enumerate() {
            if distance_bits <= radius_bits {
                found(first + i, distance_bits);
            }
        }
    }
}
