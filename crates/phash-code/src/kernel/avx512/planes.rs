//! Owns the AVX-512 comparison of bucket planes: 16 entries at a time, the last ones by masked loads, which touch no byte
//! beyond the bucket.
#![expect(unsafe_code, reason = "vector loads and stores take pointers")]

use std::arch::x86_64::{
    __m512i, _mm512_add_epi32, _mm512_cmple_epu32_mask, _mm512_loadu_si512, _mm512_mask_cmple_epu32_mask,
    _mm512_maskz_loadu_epi32, _mm512_popcnt_epi32, _mm512_set1_epi32, _mm512_setzero_si512,
    _mm512_storeu_si512, _mm512_xor_si512,
};

use zerocopy::little_endian::U32;

/// Entries in a block: as many as a register has sums.
const BLOCK: usize = 16;

/// Callers have checked that `planes` holds `query.len() * len` words.
#[target_feature(enable = "avx512f,avx512vpopcntdq,popcnt")]
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

#[target_feature(enable = "avx512f,avx512vpopcntdq,popcnt")]
#[inline]
fn splat(word: u32) -> __m512i {
    _mm512_set1_epi32(word.cast_signed())
}

/// As [`blocks`], the query held in registers and the loop over the planes unrolled.
#[target_feature(enable = "avx512f,avx512vpopcntdq,popcnt")]
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

#[target_feature(enable = "avx512f,avx512vpopcntdq,popcnt")]
#[inline]
fn blocks(
    planes: &[U32],
    len: usize,
    count: usize,
    radius_bits: u32,
    query: impl Fn(usize) -> __m512i,
    mut found: impl FnMut(usize, u32),
) {
    debug_assert_eq!(planes.len(), count * len, "callers have checked this");
    let radius = splat(radius_bits);
    let mut report = |first: usize, sums: __m512i, mut hits: u16| {
        if hits != 0 {
            let mut distances = [0u32; BLOCK];
            // SAFETY: the array is 64 writable bytes, and `storeu` asks for no alignment.
            unsafe { _mm512_storeu_si512(distances.as_mut_ptr().cast(), sums) };
            while hits != 0 {
                let lane = hits.trailing_zeros() as usize;
                found(first + lane, distances[lane]);
                hits &= hits - 1;
            }
        }
    };
    let whole = len / BLOCK * BLOCK;
    for first in (0..whole).step_by(BLOCK) {
        let mut sums = _mm512_setzero_si512();
        for p in 0..count {
            // SAFETY: `p < count` and `first + 16 <= len`, so the 16 words from `p * len + first` on lie within the
            // `count * len` that `planes` holds. `loadu` asks for no alignment.
            let words = unsafe { _mm512_loadu_si512(planes.as_ptr().add(p * len + first).cast()) };
            sums = _mm512_add_epi32(sums, _mm512_popcnt_epi32(_mm512_xor_si512(query(p), words)));
        }
        report(first, sums, _mm512_cmple_epu32_mask(sums, radius));
    }
    if whole < len {
        let mask = u16::MAX >> (BLOCK - (len - whole));
        let mut sums = _mm512_setzero_si512();
        for p in 0..count {
            // SAFETY: `p < count`, and the mask loads the `len - whole` words from `p * len + whole` on, which lie within
            // the `count * len` that `planes` holds; lanes not in the mask are not read.
            let words =
                unsafe { _mm512_maskz_loadu_epi32(mask, planes.as_ptr().add(p * len + whole).cast()) };
            sums = _mm512_add_epi32(sums, _mm512_popcnt_epi32(_mm512_xor_si512(query(p), words)));
        }
        report(whole, sums, _mm512_mask_cmple_epu32_mask(mask, sums, radius));
    }
}
