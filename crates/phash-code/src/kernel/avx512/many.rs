//! Owns the AVX-512 comparison of many queries with many codes. A block of codes is held in registers word by word: a
//! register has the same word of eight codes, so that sums need no shuffles. Each query in turn is broadcast against it.

use std::arch::x86_64::{
    __m512i, _mm512_add_epi64, _mm512_mask_cmplt_epu32_mask, _mm512_min_epu32, _mm512_permutex2var_epi64,
    _mm512_popcnt_epi64, _mm512_set_epi64, _mm512_set1_epi32, _mm512_set1_epi64, _mm512_setzero_si512,
    _mm512_shuffle_i64x2, _mm512_unpackhi_epi64, _mm512_unpacklo_epi64, _mm512_xor_si512,
};

use super::{load, store};
use crate::Code;

/// Codes in a register.
const LANES: usize = 8;

/// The 32-bit lanes that hold sums: the others are their upper halves, always 0.
const LOWER_HALVES: u16 = 0x5555;

/// Calls `found` for each of `queries` and each of `codes` whose distance is below the query's bound, by ascending code
/// for one query. Returns how many codes were compared, the first ones; those left are less than a block.
#[target_feature(enable = "avx512f,avx512vpopcntdq,popcnt")]
#[inline]
pub(in crate::kernel) fn cross<const W: usize>(
    queries: &[Code<W>],
    codes: &[Code<W>],
    below_bits: &mut [u32],
    found: &mut impl FnMut(usize, usize, u32, &mut u32),
) -> usize {
    // Of the 32 registers, up to 16 for the block of codes.
    match W {
        0 => 0,
        1 | 2 => blocks::<W, 8>(queries, codes, below_bits, found),
        3 | 4 => blocks::<W, 4>(queries, codes, below_bits, found),
        5..=8 => blocks::<W, 2>(queries, codes, below_bits, found),
        _ => blocks::<W, 1>(queries, codes, below_bits, found),
    }
}

/// Eight codes word by word: lane `i` of register `w` is word `w` of code `i`.
#[target_feature(enable = "avx512f,avx512vpopcntdq,popcnt")]
#[inline]
fn columns<const W: usize>(codes: &[Code<W>; LANES]) -> [__m512i; W] {
    let mut columns = [_mm512_setzero_si512(); W];
    let (rows, _) = Code::raw_words_slice(codes).as_chunks::<LANES>();
    match (&mut columns[..], rows) {
        ([to], [a]) => *to = load(a),
        ([even, odd], [a, b]) => {
            let (a, b) = (load(a), load(b));
            *even = _mm512_permutex2var_epi64(a, _mm512_set_epi64(14, 12, 10, 8, 6, 4, 2, 0), b);
            *odd = _mm512_permutex2var_epi64(a, _mm512_set_epi64(15, 13, 11, 9, 7, 5, 3, 1), b);
        }
        ([to0, to1, to2, to3], [a, b, c, d]) => {
            // Half a register for each of two words of four codes, then halves of the same word together.
            let (a, b, c, d) = (load(a), load(b), load(c), load(d));
            let first = _mm512_set_epi64(13, 9, 5, 1, 12, 8, 4, 0);
            let last = _mm512_set_epi64(15, 11, 7, 3, 14, 10, 6, 2);
            let (low, high) =
                (_mm512_permutex2var_epi64(a, first, b), _mm512_permutex2var_epi64(c, first, d));
            *to0 = _mm512_shuffle_i64x2::<0b01_00_01_00>(low, high);
            *to1 = _mm512_shuffle_i64x2::<0b11_10_11_10>(low, high);
            let (low, high) = (_mm512_permutex2var_epi64(a, last, b), _mm512_permutex2var_epi64(c, last, d));
            *to2 = _mm512_shuffle_i64x2::<0b01_00_01_00>(low, high);
            *to3 = _mm512_shuffle_i64x2::<0b11_10_11_10>(low, high);
        }
        ([to0, to1, to2, to3, to4, to5, to6, to7], [a, b, c, d, e, f, g, h]) => {
            // Lanes of 128 bits: the same word of two codes. Four such lanes of four registers change places.
            let lanes = |ab: __m512i, cd: __m512i, ef: __m512i, gh: __m512i| {
                let low = _mm512_shuffle_i64x2::<0b01_00_01_00>(ab, cd);
                let high = _mm512_shuffle_i64x2::<0b01_00_01_00>(ef, gh);
                let (low_too, high_too) = (
                    _mm512_shuffle_i64x2::<0b11_10_11_10>(ab, cd),
                    _mm512_shuffle_i64x2::<0b11_10_11_10>(ef, gh),
                );
                [
                    _mm512_shuffle_i64x2::<0b10_00_10_00>(low, high),
                    _mm512_shuffle_i64x2::<0b11_01_11_01>(low, high),
                    _mm512_shuffle_i64x2::<0b10_00_10_00>(low_too, high_too),
                    _mm512_shuffle_i64x2::<0b11_01_11_01>(low_too, high_too),
                ]
            };
            let (a, b, c, d) = (load(a), load(b), load(c), load(d));
            let (e, f, g, h) = (load(e), load(f), load(g), load(h));
            [*to0, *to2, *to4, *to6] = lanes(
                _mm512_unpacklo_epi64(a, b),
                _mm512_unpacklo_epi64(c, d),
                _mm512_unpacklo_epi64(e, f),
                _mm512_unpacklo_epi64(g, h),
            );
            [*to1, *to3, *to5, *to7] = lanes(
                _mm512_unpackhi_epi64(a, b),
                _mm512_unpackhi_epi64(c, d),
                _mm512_unpackhi_epi64(e, f),
                _mm512_unpackhi_epi64(g, h),
            );
        }
        (columns, _) => {
            for (word, column) in columns.iter_mut().enumerate() {
                *column = load(&std::array::from_fn(|code| codes[code].raw_words()[word]));
            }
        }
    }
    columns
}

/// Compares the codes in blocks of `V` registers for each word.
#[target_feature(enable = "avx512f,avx512vpopcntdq,popcnt")]
#[inline]
fn blocks<const W: usize, const V: usize>(
    queries: &[Code<W>],
    codes: &[Code<W>],
    below_bits: &mut [u32],
    found: &mut impl FnMut(usize, usize, u32, &mut u32),
) -> usize {
    let (eights, _) = codes.as_chunks::<LANES>();
    for (number, block) in eights.chunks_exact(V).enumerate() {
        let mut block_columns = [[_mm512_setzero_si512(); W]; V];
        for (columns_of, codes) in block_columns.iter_mut().zip(block) {
            *columns_of = columns(codes);
        }
        for (number_of_query, (query, below_bits)) in queries.iter().zip(&mut *below_bits).enumerate() {
            let mut sums = [_mm512_setzero_si512(); V];
            for (w, &word) in query.raw_words().iter().enumerate() {
                let word = _mm512_set1_epi64(word.cast_signed());
                for (sum, columns) in sums.iter_mut().zip(&block_columns) {
                    *sum = _mm512_add_epi64(*sum, _mm512_popcnt_epi64(_mm512_xor_si512(word, columns[w])));
                }
            }
            let mut least = sums[0];
            for &sum in &sums[1..] {
                least = _mm512_min_epu32(least, sum);
            }
            let below = _mm512_set1_epi32(below_bits.cast_signed());
            if _mm512_mask_cmplt_epu32_mask(LOWER_HALVES, least, below) != 0 {
                for (eight, &sums) in sums.iter().enumerate() {
                    for (lane, distance_bits) in store(sums).into_iter().enumerate() {
                        if distance_bits < u64::from(*below_bits) {
                            let code = (number * V + eight) * LANES + lane;
                            #[expect(clippy::cast_possible_truncation, reason = "below a u32")]
                            found(number_of_query, code, distance_bits as u32, below_bits);
                        }
                    }
                }
            }
        }
    }
    eights.len() / V * V * LANES
}
