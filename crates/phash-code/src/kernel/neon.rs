//! Owns the NEON kernel: ones of bytes by CNT, added up to those of a code by the byte, and four codes summed by pairwise
//! additions, so that one comparison decides on all of them.
#![expect(unsafe_code, reason = "vector loads and stores take pointers")]

use std::arch::aarch64::{
    uint8x16_t, uint32x4_t, vaddq_u8, vaddq_u32, vcleq_u32, vcntq_u8, vdupq_n_u8, vdupq_n_u32, veorq_u8,
    vld1q_u8, vld1q_u32, vmaxvq_u32, vpaddlq_u8, vpaddlq_u16, vpaddq_u16, vreinterpretq_u8_u32, vst1q_u32,
};

use zerocopy::little_endian::U32;

use super::{Bucket, check_len, portable};
use crate::Code;

/// Codes or entries in a block: as many as a register has sums.
const BLOCK: usize = 4;

/// Planes whose counts a byte can hold: 31 times 8 ones is below 256.
const PLANES_IN_BYTES: usize = 31;

#[target_feature(enable = "neon")]
#[inline]
fn load(words: &[u64; 2]) -> uint8x16_t {
    // SAFETY: the reference is to 16 readable bytes, and the load asks for no alignment.
    unsafe { vld1q_u8(words.as_ptr().cast()) }
}

#[target_feature(enable = "neon")]
#[inline]
fn store(value: uint32x4_t) -> [u32; BLOCK] {
    let mut words = [0; BLOCK];
    // SAFETY: the array is 16 writable bytes, and the store asks for no alignment.
    unsafe { vst1q_u32(words.as_mut_ptr(), value) };
    words
}

/// The distances of the four codes whose words are `block` (`2 W` rows of 2) to the query, in order. `query` is the
/// code's words, repeated if there is one.
#[target_feature(enable = "neon")]
#[inline]
fn block_distances<const W: usize>(query: &[uint8x16_t; 4], block: &[[u64; 2]]) -> uint32x4_t {
    let count = |row: &[u64; 2], part: usize| vcntq_u8(veorq_u8(query[part], load(row)));
    if W == 1 {
        let [a, b] = [0, 1].map(|row| vpaddlq_u8(count(&block[row], 0)));
        return vpaddlq_u16(vpaddq_u16(a, b));
    }
    let rows = W / 2;
    let [a, b, c, d] = [0, 1, 2, 3].map(|code| {
        // At most 4 rows of 8 ones a byte.
        let mut bytes = vdupq_n_u8(0);
        for part in 0..rows {
            bytes = vaddq_u8(bytes, count(&block[code * rows + part], part));
        }
        vpaddlq_u8(bytes)
    });
    vpaddlq_u16(vpaddq_u16(vpaddq_u16(a, b), vpaddq_u16(c, d)))
}

/// The query's words two by two, if the width is one that is tuned for; a width of one word fills both halves.
#[target_feature(enable = "neon")]
#[inline]
fn spread<const W: usize>(query: &Code<W>) -> Option<[uint8x16_t; 4]> {
    matches!(W, 1 | 2 | 4 | 8)
        .then(|| [0, 2, 4, 6].map(|from| load(&[from, from + 1].map(|word| query.raw_words()[word % W]))))
}

#[target_feature(enable = "neon")]
pub(super) fn distances<const W: usize>(query: &Code<W>, codes: &[Code<W>], out: &mut [u32]) {
    let Some(spread) = spread(query) else { return portable::distances(query, codes, out) };
    let (rows, _) = Code::raw_words_slice(codes).as_chunks::<2>();
    let (blocks, _) = out.as_chunks_mut::<BLOCK>();
    for (block, out) in rows.chunks_exact(2 * W).zip(blocks) {
        *out = store(block_distances::<W>(&spread, block));
    }
    let tail = codes.len() / BLOCK * BLOCK;
    portable::distances(query, &codes[tail..], &mut out[tail..]);
}

#[target_feature(enable = "neon")]
pub(super) fn within<const W: usize>(
    query: &Code<W>,
    codes: &[Code<W>],
    radius_bits: u32,
    first: usize,
    mut found: impl FnMut(usize, u32),
) {
    let Some(spread) = spread(query) else {
        return portable::within(query, codes, radius_bits, first, found);
    };
    let (rows, _) = Code::raw_words_slice(codes).as_chunks::<2>();
    for (number, block) in rows.chunks_exact(2 * W).enumerate() {
        report(block_distances::<W>(&spread, block), radius_bits, BLOCK, |lane, distance_bits| {
            found(first + number * BLOCK + lane, distance_bits);
        });
    }
    let tail = codes.len() / BLOCK * BLOCK;
    portable::within(query, &codes[tail..], radius_bits, first + tail, found);
}

/// Calls `found(lane, distance_bits)` for those of the first `lanes` sums that are within the radius.
#[target_feature(enable = "neon")]
#[inline]
fn report(sums: uint32x4_t, radius_bits: u32, lanes: usize, mut found: impl FnMut(usize, u32)) {
    if vmaxvq_u32(vcleq_u32(sums, vdupq_n_u32(radius_bits))) != 0 {
        for (lane, &distance_bits) in store(sums)[..lanes].iter().enumerate() {
            if distance_bits <= radius_bits {
                found(lane, distance_bits);
            }
        }
    }
}

bucket_entries!("neon");

#[target_feature(enable = "neon")]
#[inline]
fn splat(word: u32) -> uint32x4_t {
    vdupq_n_u32(word)
}

#[target_feature(enable = "neon")]
#[inline]
fn compare(
    count: usize,
    query: impl Fn(usize) -> uint32x4_t,
    planes: &[U32],
    len: usize,
    radius_bits: u32,
    found: &mut impl FnMut(usize, u32),
) {
    check_len(count, planes, len);
    for first in (0..len).step_by(BLOCK) {
        let lanes = BLOCK.min(len - first);
        let word = |p: usize| {
            // Beyond the entries lies the next plane, or nothing: their sums are not reported.
            let words = &planes[p * len + first..];
            let words: [U32; BLOCK] = match words.first_chunk() {
                Some(words) => *words,
                None => std::array::from_fn(|lane| words.get(lane).copied().unwrap_or_default()),
            };
            // SAFETY: the array is 16 readable bytes, and the load asks for no alignment.
            unsafe { vld1q_u32(words.as_ptr().cast()) }
        };
        let mut sums = vdupq_n_u32(0);
        for from in (0..count).step_by(PLANES_IN_BYTES) {
            let mut bytes = vdupq_n_u8(0);
            for p in from..count.min(from + PLANES_IN_BYTES) {
                let differing = veorq_u8(vreinterpretq_u8_u32(query(p)), vreinterpretq_u8_u32(word(p)));
                bytes = vaddq_u8(bytes, vcntq_u8(differing));
            }
            sums = vaddq_u32(sums, vpaddlq_u16(vpaddlq_u8(bytes)));
        }
        report(sums, radius_bits, lanes, |lane, distance_bits| found(first + lane, distance_bits));
    }
}
