//! Owns the AVX-512 kernel: VPOPCNTDQ counts eight words at a time, and eight codes are summed by a short tree of
//! shuffles, so that one comparison decides on all of them.
#![expect(unsafe_code, reason = "vector loads and stores take pointers")]

use std::arch::x86_64::{
    __m512i, _mm512_add_epi64, _mm512_cmple_epu64_mask, _mm512_loadu_si512, _mm512_permutex2var_epi64,
    _mm512_permutexvar_epi64, _mm512_popcnt_epi64, _mm512_set_epi64, _mm512_set1_epi64, _mm512_shuffle_i64x2,
    _mm512_storeu_si512, _mm512_unpackhi_epi64, _mm512_unpacklo_epi64, _mm512_xor_si512,
};

mod many;
mod planes;

pub(super) use many::cross;
pub(super) use planes::{look_after, within_buckets, within_planes};

use super::portable;
use crate::Code;

/// Codes in a block, whatever their width: as many as a register has sums.
const BLOCK: usize = 8;

#[target_feature(enable = "avx512f,avx512vpopcntdq,popcnt")]
#[inline]
fn load(words: &[u64; 8]) -> __m512i {
    // SAFETY: the reference is to 64 readable bytes, and `loadu` asks for no alignment.
    unsafe { _mm512_loadu_si512(words.as_ptr().cast()) }
}

#[target_feature(enable = "avx512f,avx512vpopcntdq,popcnt")]
#[inline]
fn store(value: __m512i) -> [u64; 8] {
    let mut words = [0; 8];
    // SAFETY: the array is 64 writable bytes, and `storeu` asks for no alignment.
    unsafe { _mm512_storeu_si512(words.as_mut_ptr().cast(), value) };
    words
}

/// Neighbouring lanes of `a` and of `b` added: lanes 2i and 2i+1 of `a` give lane 2i, those of `b` lane 2i+1.
#[target_feature(enable = "avx512f,avx512vpopcntdq,popcnt")]
#[inline]
fn add_pairs(a: __m512i, b: __m512i) -> __m512i {
    _mm512_add_epi64(_mm512_unpacklo_epi64(a, b), _mm512_unpackhi_epi64(a, b))
}

/// The distances of the eight codes whose words are `block` (`W` rows of 8) to the query, in order. `query` is the
/// code's words repeated over the register.
#[target_feature(enable = "avx512f,avx512vpopcntdq,popcnt")]
#[inline]
fn block_distances<const W: usize>(query: __m512i, block: &[[u64; 8]]) -> __m512i {
    let count = |row: &[u64; 8]| _mm512_popcnt_epi64(_mm512_xor_si512(query, load(row)));
    match (W, block) {
        (1, [a]) => count(a),
        (2, [a, b]) => {
            // Lanes: a0 b0 a1 b1 a2 b2 a3 b3, where a holds codes 0..4 and b codes 4..8.
            let sums = add_pairs(count(a), count(b));
            _mm512_permutexvar_epi64(_mm512_set_epi64(7, 5, 3, 1, 6, 4, 2, 0), sums)
        }
        (4, [a, b, c, d]) => {
            // Lanes of `low`: halves of a0 b0, then their other halves, then a1 b1 likewise.
            let low = add_pairs(count(a), count(b));
            let high = add_pairs(count(c), count(d));
            let one = _mm512_set_epi64(13, 9, 12, 8, 5, 1, 4, 0);
            let other = _mm512_set_epi64(15, 11, 14, 10, 7, 3, 6, 2);
            _mm512_add_epi64(
                _mm512_permutex2var_epi64(low, one, high),
                _mm512_permutex2var_epi64(low, other, high),
            )
        }
        (8, [a, b, c, d, e, f, g, h]) => {
            // A row is a code. Two steps leave halves of a b c d in lanes 0..4 and their other halves in 4..8.
            let one = _mm512_set_epi64(13, 12, 5, 4, 9, 8, 1, 0);
            let other = _mm512_set_epi64(15, 14, 7, 6, 11, 10, 3, 2);
            let four = |ab: __m512i, cd: __m512i| {
                _mm512_add_epi64(
                    _mm512_permutex2var_epi64(ab, one, cd),
                    _mm512_permutex2var_epi64(ab, other, cd),
                )
            };
            let low = four(add_pairs(count(a), count(b)), add_pairs(count(c), count(d)));
            let high = four(add_pairs(count(e), count(f)), add_pairs(count(g), count(h)));
            _mm512_add_epi64(
                _mm512_shuffle_i64x2::<0b01_00_01_00>(low, high),
                _mm512_shuffle_i64x2::<0b11_10_11_10>(low, high),
            )
        }
        _ => unreachable!("callers pass W rows, W one of 1, 2, 4, 8"),
    }
}

/// The query's words repeated over a register, if the width divides it.
#[target_feature(enable = "avx512f,avx512vpopcntdq,popcnt")]
#[inline]
fn repeat<const W: usize>(query: &Code<W>) -> Option<__m512i> {
    matches!(W, 1 | 2 | 4 | 8).then(|| load(&std::array::from_fn(|i| query.raw_words()[i % W])))
}

#[target_feature(enable = "avx512f,avx512vpopcntdq,popcnt")]
pub(super) fn distances<const W: usize>(query: &Code<W>, codes: &[Code<W>], out: &mut [u32]) {
    let Some(repeated) = repeat(query) else { return portable::distances(query, codes, out) };
    let (rows, _) = Code::raw_words_slice(codes).as_chunks::<8>();
    let (blocks, _) = out.as_chunks_mut::<BLOCK>();
    for (block, out) in rows.chunks_exact(W).zip(blocks) {
        let sums = store(block_distances::<W>(repeated, block));
        #[expect(clippy::cast_possible_truncation, reason = "a distance is at most 512")]
        let narrow = sums.map(|sum| sum as u32);
        *out = narrow;
    }
    let tail = codes.len() / BLOCK * BLOCK;
    portable::distances(query, &codes[tail..], &mut out[tail..]);
}

#[target_feature(enable = "avx512f,avx512vpopcntdq,popcnt")]
pub(super) fn within<const W: usize>(
    query: &Code<W>,
    codes: &[Code<W>],
    radius_bits: u32,
    first: usize,
    mut found: impl FnMut(usize, u32),
) {
    let Some(repeated) = repeat(query) else {
        return portable::within(query, codes, radius_bits, first, found);
    };
    let radius = _mm512_set1_epi64(i64::from(radius_bits));
    let (rows, _) = Code::raw_words_slice(codes).as_chunks::<8>();
    // Four blocks to a branch: then it matters little where in memory the loop lies, which was worth up to half. Blocks of
    // eight rows are long enough, and four of them more than there are registers.
    let (fours, _) = rows.split_at(if W < 8 { rows.len() } else { 0 });
    let fours = fours.chunks_exact(4 * W);
    let rest = if W < 8 { fours.remainder() } else { rows };
    let mut place = first;
    for four in fours {
        let (ab, cd) = four.split_at(2 * W);
        let ((a, b), (c, d)) = (ab.split_at(W), cd.split_at(W));
        let a = block_distances::<W>(repeated, a);
        let b = block_distances::<W>(repeated, b);
        let c = block_distances::<W>(repeated, c);
        let d = block_distances::<W>(repeated, d);
        let hits = [
            _mm512_cmple_epu64_mask(a, radius),
            _mm512_cmple_epu64_mask(b, radius),
            _mm512_cmple_epu64_mask(c, radius),
            _mm512_cmple_epu64_mask(d, radius),
        ];
        // A bit a code, in order.
        let hits = u32::from_le_bytes(hits);
        if hits != 0 {
            report(hits, &[store(a), store(b), store(c), store(d)], place, &mut found);
        }
        place += 4 * BLOCK;
    }
    for block in rest.chunks_exact(W) {
        let sums = block_distances::<W>(repeated, block);
        let hits = _mm512_cmple_epu64_mask(sums, radius);
        if hits != 0 {
            report(u32::from(hits), &[store(sums)], place, &mut found);
        }
        place += BLOCK;
    }
    let tail = codes.len() / BLOCK * BLOCK;
    portable::within(query, &codes[tail..], radius_bits, first + tail, found);
}

/// Reports the codes whose bit is set, the first one being at `place`.
#[inline(always)]
fn report(mut hits: u32, sums: &[[u64; BLOCK]], place: usize, found: &mut impl FnMut(usize, u32)) {
    while hits != 0 {
        let at = hits.trailing_zeros() as usize;
        #[expect(clippy::cast_possible_truncation, reason = "a distance is at most 512")]
        found(place + at, sums.as_flattened()[at] as u32);
        hits &= hits - 1;
    }
}
