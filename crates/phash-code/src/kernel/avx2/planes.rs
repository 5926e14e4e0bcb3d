//! Owns the AVX2 comparison of bucket planes: 8 entries at a time, ones counted by the byte and summed to words once an
//! entry; the last entries by masked loads, which touch no byte beyond the bucket.
#![expect(unsafe_code, reason = "vector loads and stores take pointers")]

use std::arch::x86_64::{
    __m256i, _mm256_add_epi8, _mm256_add_epi32, _mm256_castsi256_ps, _mm256_cmpgt_epi32, _mm256_loadu_si256,
    _mm256_madd_epi16, _mm256_maddubs_epi16, _mm256_maskload_epi32, _mm256_movemask_ps, _mm256_set1_epi8,
    _mm256_set1_epi16, _mm256_set1_epi32, _mm256_setr_epi32, _mm256_setzero_si256, _mm256_storeu_si256,
    _mm256_xor_si256,
};

use zerocopy::little_endian::U32;

use super::count_bytes;

/// Entries in a block: as many as a register has sums.
const BLOCK: usize = 8;

/// Planes whose counts a byte can hold: 31 times 8 ones is below 256.
const PLANES_IN_BYTES: usize = 31;

/// Callers have checked that `planes` holds `query.len() * len` words.
#[target_feature(enable = "avx2,popcnt")]
#[inline]
pub(in crate::kernel) fn within_planes(
    query: &[u32],
    planes: &[U32],
    len: usize,
    radius_bits: u32,
    found: impl FnMut(usize, u32),
) {
    match *query {
        [a] => fixed([a], planes, len, radius_bits, found),
        [a, b] => fixed([a, b], planes, len, radius_bits, found),
        [a, b, c] => fixed([a, b, c], planes, len, radius_bits, found),
        [a, b, c, d] => fixed([a, b, c, d], planes, len, radius_bits, found),
        [a, b, c, d, e, f] => fixed([a, b, c, d, e, f], planes, len, radius_bits, found),
        [a, b, c, d, e, f, g, h] => fixed([a, b, c, d, e, f, g, h], planes, len, radius_bits, found),
        _ => blocks(planes, len, query.len(), radius_bits, |p| splat(query[p]), found),
    }
}

#[target_feature(enable = "avx2,popcnt")]
#[inline]
fn splat(word: u32) -> __m256i {
    _mm256_set1_epi32(word.cast_signed())
}

/// As [`blocks`], the query held in registers and the loop over the planes unrolled.
#[target_feature(enable = "avx2,popcnt")]
#[inline]
fn fixed<const P: usize>(
    query: [u32; P],
    planes: &[U32],
    len: usize,
    radius_bits: u32,
    found: impl FnMut(usize, u32),
) {
    let query = query.map(|word| splat(word));
    blocks(planes, len, P, radius_bits, |p| query[p], found);
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
fn blocks(
    planes: &[U32],
    len: usize,
    count: usize,
    radius_bits: u32,
    query: impl Fn(usize) -> __m256i,
    mut found: impl FnMut(usize, u32),
) {
    debug_assert_eq!(planes.len(), count * len, "callers have checked this");
    // Strictly less than radius + 1, as signed numbers: no distance is larger than the largest of them.
    let beyond = splat(radius_bits.min(i32::MAX.cast_unsigned() - 1) + 1);
    let mut report = |first: usize, sums: __m256i, lanes: usize| {
        let near = _mm256_movemask_ps(_mm256_castsi256_ps(_mm256_cmpgt_epi32(beyond, sums)));
        let mut hits = near.cast_unsigned() & (u32::MAX >> (u32::BITS as usize - lanes));
        if hits != 0 {
            let mut distances = [0u32; BLOCK];
            // SAFETY: the array is 32 writable bytes, and `storeu` asks for no alignment.
            unsafe { _mm256_storeu_si256(distances.as_mut_ptr().cast(), sums) };
            while hits != 0 {
                let lane = hits.trailing_zeros() as usize;
                found(first + lane, distances[lane]);
                hits &= hits - 1;
            }
        }
    };
    let whole = len / BLOCK * BLOCK;
    for first in (0..whole).step_by(BLOCK) {
        let sums = sum_planes(count, |p| {
            // SAFETY: `p < count` and `first + 8 <= len`, so the 8 words from `p * len + first` on lie within the
            // `count * len` that `planes` holds. `loadu` asks for no alignment.
            let words = unsafe { _mm256_loadu_si256(planes.as_ptr().add(p * len + first).cast()) };
            _mm256_xor_si256(query(p), words)
        });
        report(first, sums, BLOCK);
    }
    if whole < len {
        let lanes = len - whole;
        #[expect(clippy::cast_possible_truncation, clippy::cast_possible_wrap, reason = "below 8")]
        let mask =
            _mm256_cmpgt_epi32(_mm256_set1_epi32(lanes as i32), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
        let sums = sum_planes(count, |p| {
            // SAFETY: `p < count`, and the mask loads the `lanes` words from `p * len + whole` on, which lie within the
            // `count * len` that `planes` holds; lanes not in the mask are not read.
            let words = unsafe { _mm256_maskload_epi32(planes.as_ptr().add(p * len + whole).cast(), mask) };
            _mm256_xor_si256(query(p), words)
        });
        report(whole, sums, lanes);
    }
}
