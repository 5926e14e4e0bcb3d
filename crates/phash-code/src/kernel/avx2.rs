//! Owns the AVX2 kernel: population counts of bytes by a table of nibbles in a register (Muła, Kurz, Lemire, "Faster
//! population counts using AVX2 instructions", 2018), summed for four codes at a time so that one comparison decides
//! on all of them. Codes are too short for the carry-save adders of that paper to pay.
#![expect(unsafe_code, reason = "vector loads and stores take pointers")]

use std::arch::x86_64::{
    __m256i, _mm256_add_epi8, _mm256_add_epi64, _mm256_and_si256, _mm256_castsi256_pd, _mm256_cmpgt_epi64,
    _mm256_loadu_si256, _mm256_movemask_pd, _mm256_permute2x128_si256, _mm256_permute4x64_epi64,
    _mm256_sad_epu8, _mm256_set1_epi8, _mm256_set1_epi64x, _mm256_setr_epi8, _mm256_setzero_si256,
    _mm256_shuffle_epi8, _mm256_srli_epi16, _mm256_storeu_si256, _mm256_unpackhi_epi64,
    _mm256_unpacklo_epi64, _mm256_xor_si256,
};

mod planes;

pub(super) use planes::{within_buckets, within_planes};

use super::{each, portable};
use crate::Code;

/// Codes in a block, whatever their width: as many as a register has sums.
const BLOCK: usize = 4;

#[target_feature(enable = "avx2,popcnt")]
#[inline]
fn load(words: &[u64; 4]) -> __m256i {
    // SAFETY: the reference is to 32 readable bytes, and `loadu` asks for no alignment.
    unsafe { _mm256_loadu_si256(words.as_ptr().cast()) }
}

#[target_feature(enable = "avx2,popcnt")]
#[inline]
fn store(value: __m256i) -> [u64; 4] {
    let mut words = [0; 4];
    // SAFETY: the array is 32 writable bytes, and `storeu` asks for no alignment.
    unsafe { _mm256_storeu_si256(words.as_mut_ptr().cast(), value) };
    words
}

/// The number of ones in each byte.
#[target_feature(enable = "avx2,popcnt")]
#[inline]
fn count_bytes(v: __m256i) -> __m256i {
    let table = _mm256_setr_epi8(
        0, 1, 1, 2, 1, 2, 2, 3, 1, 2, 2, 3, 2, 3, 3, 4, 0, 1, 1, 2, 1, 2, 2, 3, 1, 2, 2, 3, 2, 3, 3, 4,
    );
    let nibble = _mm256_set1_epi8(15);
    let low = _mm256_and_si256(v, nibble);
    let high = _mm256_and_si256(_mm256_srli_epi16::<4>(v), nibble);
    _mm256_add_epi8(_mm256_shuffle_epi8(table, low), _mm256_shuffle_epi8(table, high))
}

#[target_feature(enable = "avx2,popcnt")]
#[inline]
fn sum_words(bytes: __m256i) -> __m256i {
    _mm256_sad_epu8(bytes, _mm256_setzero_si256())
}

/// Neighbouring lanes of `a` and of `b` added: lanes 2i and 2i+1 of `a` give lane 2i, those of `b` lane 2i+1.
#[target_feature(enable = "avx2,popcnt")]
#[inline]
fn add_pairs(a: __m256i, b: __m256i) -> __m256i {
    _mm256_add_epi64(_mm256_unpacklo_epi64(a, b), _mm256_unpackhi_epi64(a, b))
}

/// Four registers, one for each code, to four sums in order.
#[target_feature(enable = "avx2,popcnt")]
#[inline]
fn add_four(a: __m256i, b: __m256i, c: __m256i, d: __m256i) -> __m256i {
    let (low, high) = (add_pairs(a, b), add_pairs(c, d));
    _mm256_add_epi64(
        _mm256_permute2x128_si256::<0x20>(low, high),
        _mm256_permute2x128_si256::<0x31>(low, high),
    )
}

/// The distances of the four codes whose words are `block` (`W` rows of 4) to the query, in order. `query` is the
/// code's words repeated over the two registers.
#[target_feature(enable = "avx2,popcnt")]
#[inline]
fn block_distances<const W: usize>(query: [__m256i; 2], block: &[[u64; 4]]) -> __m256i {
    // Counts of bytes are added up to those of a code before they are summed: at most 8 words of 8 ones, below 256.
    let count = |row: &[u64; 4], half: usize| count_bytes(_mm256_xor_si256(query[half], load(row)));
    let count_two = |low: &[u64; 4], high: &[u64; 4]| _mm256_add_epi8(count(low, 0), count(high, 1));
    sum_words(match (W, block) {
        (1, [a]) => count(a, 0),
        // Lanes a0 b0 a1 b1, where a holds codes 0..2 and b codes 2..4.
        (2, [a, b]) => _mm256_permute4x64_epi64::<0b11_01_10_00>(add_pairs(count(a, 0), count(b, 0))),
        (4, [a, b, c, d]) => add_four(count(a, 0), count(b, 0), count(c, 0), count(d, 0)),
        (8, [a, b, c, d, e, f, g, h]) => {
            add_four(count_two(a, b), count_two(c, d), count_two(e, f), count_two(g, h))
        }
        _ => unreachable!("callers pass W rows, W one of 1, 2, 4, 8"),
    })
}

/// The query's words repeated over two registers, if the width divides them.
#[target_feature(enable = "avx2,popcnt")]
#[inline]
fn repeat<const W: usize>(query: &Code<W>) -> Option<[__m256i; 2]> {
    matches!(W, 1 | 2 | 4 | 8)
        .then(|| [0, 4].map(|from| load(&std::array::from_fn(|i| query.raw_words()[(from + i) % W]))))
}

#[target_feature(enable = "avx2,popcnt")]
pub(super) fn distances<const W: usize>(query: &Code<W>, codes: &[Code<W>], out: &mut [u32]) {
    let Some(repeated) = repeat(query) else { return portable::distances(query, codes, out) };
    let (rows, _) = Code::raw_words_slice(codes).as_chunks::<4>();
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

#[target_feature(enable = "avx2,popcnt")]
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
    // Strictly less than radius + 1; the addition is done in 64 bits and cannot overflow.
    let beyond = _mm256_set1_epi64x(i64::from(radius_bits) + 1);
    let (rows, _) = Code::raw_words_slice(codes).as_chunks::<4>();
    for (number, block) in rows.chunks_exact(W).enumerate() {
        let sums = block_distances::<W>(repeated, block);
        let mut hits = _mm256_movemask_pd(_mm256_castsi256_pd(_mm256_cmpgt_epi64(beyond, sums)));
        if hits != 0 {
            let sums = store(sums);
            while hits != 0 {
                let lane = hits.trailing_zeros() as usize;
                #[expect(clippy::cast_possible_truncation, reason = "a distance is at most 512")]
                found(first + number * BLOCK + lane, sums[lane] as u32);
                hits &= hits - 1;
            }
        }
    }
    let tail = codes.len() / BLOCK * BLOCK;
    portable::within(query, &codes[tail..], radius_bits, first + tail, found);
}

/// Scalar, with the popcnt instruction: one code alone does not fill a register.
#[target_feature(enable = "popcnt")]
pub(super) fn within_each<'c, const W: usize>(
    query: &Code<W>,
    codes: impl Iterator<Item = (u32, &'c Code<W>)>,
    radius_bits: u32,
    found: impl FnMut(u32, u32),
) {
    each::within_each(query, codes, radius_bits, found);
}
