//! Owns the AVX2 comparison of bucket planes: 8 entries at a time, ones counted by the byte and summed to words once an
//! entry, by masked loads, which touch no byte beyond the bucket.
#![expect(unsafe_code, reason = "vector loads and stores take pointers")]

use std::arch::x86_64::{
    __m256i, _mm256_add_epi8, _mm256_add_epi32, _mm256_and_si256, _mm256_castsi256_ps, _mm256_cmpgt_epi32,
    _mm256_madd_epi16, _mm256_maddubs_epi16, _mm256_maskload_epi32, _mm256_movemask_ps, _mm256_set1_epi8,
    _mm256_set1_epi16, _mm256_set1_epi32, _mm256_setr_epi32, _mm256_setzero_si256, _mm256_storeu_si256,
    _mm256_xor_si256,
};

use zerocopy::little_endian::U32;

use super::super::{Bucket, check_len};
use super::count_bytes;

/// Entries in a block: as many as a register has sums.
const BLOCK: usize = 8;

/// Planes whose counts a byte can hold: 31 times 8 ones is below 256.
const PLANES_IN_BYTES: usize = 31;

bucket_entries!("avx2,popcnt");

#[target_feature(enable = "avx2,popcnt")]
#[inline]
fn splat(word: u32) -> __m256i {
    _mm256_set1_epi32(word.cast_signed())
}

/// The ones of the words of `count` planes, lane by lane; `word(p)` is the plane's words already combined with the query.
#[target_feature(enable = "avx2,popcnt")]
#[inline]
fn sum_planes(count: usize, word: impl Fn(usize) -> __m256i) -> __m256i {
    let mut sums = _mm256_setzero_si256();
    for from in (0..count).step_by(PLANES_IN_BYTES) {
        let mut bytes = _mm256_setzero_si256();
        for p in from..count.min(from + PLANES_IN_BYTES) {
            bytes = _mm256_add_epi8(bytes, count_bytes(word(p)));
        }
        let pairs = _mm256_maddubs_epi16(bytes, _mm256_set1_epi8(1));
        sums = _mm256_add_epi32(sums, _mm256_madd_epi16(pairs, _mm256_set1_epi16(1)));
    }
    sums
}

#[target_feature(enable = "avx2,popcnt")]
#[inline]
fn compare(
    count: usize,
    query: impl Fn(usize) -> __m256i,
    planes: &[U32],
    len: usize,
    radius_bits: u32,
    found: &mut impl FnMut(usize, u32),
) {
    check_len(count, planes, len);
    // Strictly less than radius + 1, as signed numbers: no distance is larger than the largest of them.
    let beyond = splat(radius_bits.min(i32::MAX.cast_unsigned() - 1) + 1);
    for first in (0..len).step_by(BLOCK) {
        let lanes = BLOCK.min(len - first);
        #[expect(clippy::cast_possible_truncation, clippy::cast_possible_wrap, reason = "at most 8")]
        let ends = _mm256_set1_epi32(lanes as i32);
        let mask = _mm256_cmpgt_epi32(ends, _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
        let sums = sum_planes(count, |p| {
            // SAFETY: there are `count * len` words, as was checked, and `p < count`. The mask has the lanes below
            // `len - first`, so that what is read ends with plane `p`; lanes not in the mask are not read.
            let words = unsafe { _mm256_maskload_epi32(planes.as_ptr().add(p * len + first).cast(), mask) };
            _mm256_xor_si256(query(p), words)
        });
        let near = _mm256_and_si256(mask, _mm256_cmpgt_epi32(beyond, sums));
        let mut near = _mm256_movemask_ps(_mm256_castsi256_ps(near));
        if near != 0 {
            let mut distances = [0u32; BLOCK];
            // SAFETY: the array is 32 writable bytes, and `storeu` asks for no alignment.
            unsafe { _mm256_storeu_si256(distances.as_mut_ptr().cast(), sums) };
            while near != 0 {
                let lane = near.trailing_zeros() as usize;
                found(first + lane, distances[lane]);
                near &= near - 1;
            }
        }
    }
}
