//! Owns the AVX-512 comparison of bucket planes: 16 entries at a time, by masked loads, which touch no byte beyond the bucket.
#![expect(unsafe_code, reason = "vector loads take pointers")]

use std::arch::x86_64::{
    __m512i, _mm512_add_epi32, _mm512_mask_cmple_epu32_mask, _mm512_maskz_loadu_epi32, _mm512_popcnt_epi32,
    _mm512_set1_epi32, _mm512_setzero_si512, _mm512_storeu_si512, _mm512_xor_si512,
};

use zerocopy::little_endian::U32;

use super::super::{Bucket, check_len};

/// Entries in a block: as many as a register has sums.
const BLOCK: usize = 16;

/// After how many planes it is worth a look whether all of 16 entries are already beyond the radius: where words of fair
/// bits, whose distance after `p` planes is 16 `p` with deviation `(8 p)^1/2`, are beyond it by three deviations. A look
/// that may go either way costs more than it saves.
#[inline]
pub(in crate::kernel) fn look_after(radius_bits: u32) -> usize {
    match radius_bits {
        0..=7 => 1,
        8..=20 => 2,
        21..=47 => 4,
        48..=75 => 6,
        _ => usize::MAX,
    }
}

bucket_entries!("avx512f,avx512vpopcntdq,popcnt");

#[target_feature(enable = "avx512f,avx512vpopcntdq,popcnt")]
#[inline]
fn splat(word: u32) -> __m512i {
    _mm512_set1_epi32(word.cast_signed())
}

#[target_feature(enable = "avx512f,avx512vpopcntdq,popcnt")]
#[inline]
fn compare(
    count: usize,
    query: impl Fn(usize) -> __m512i,
    planes: &[U32],
    len: usize,
    radius_bits: u32,
    found: &mut impl FnMut(usize, u32),
) {
    check_len(count, planes, len);
    let radius = splat(radius_bits);
    let look = look_after(radius_bits);
    for first in (0..len).step_by(BLOCK) {
        let mut near = u16::MAX >> BLOCK.saturating_sub(len - first);
        let lanes = near;
        let mut sums = _mm512_setzero_si512();
        for p in 0..count {
            // SAFETY: there are `count * len` words, as was checked, and `p < count`. The mask has the lanes below
            // `len - first`, so that what is read ends with plane `p`; lanes not in the mask are not read.
            let words =
                unsafe { _mm512_maskz_loadu_epi32(lanes, planes.as_ptr().add(p * len + first).cast()) };
            sums = _mm512_add_epi32(sums, _mm512_popcnt_epi32(_mm512_xor_si512(query(p), words)));
            let last = p + 1 == count;
            if last || p + 1 == look {
                near = _mm512_mask_cmple_epu32_mask(lanes, sums, radius);
                if near == 0 {
                    break;
                }
            }
        }
        if near != 0 {
            let mut distances = [0u32; BLOCK];
            // SAFETY: the array is 64 writable bytes, and `storeu` asks for no alignment.
            unsafe { _mm512_storeu_si512(distances.as_mut_ptr().cast(), sums) };
            while near != 0 {
                let lane = near.trailing_zeros() as usize;
                found(first + lane, distances[lane]);
                near &= near - 1;
            }
        }
    }
}
