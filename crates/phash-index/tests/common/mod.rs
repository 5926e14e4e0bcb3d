//! Owns what the tests share: a search by single bits that has nothing in common with the crate, and code generators.
#![allow(
    missing_docs,
    dead_code,
    clippy::unwrap_used,
    reason = "a test helper; not every test binary uses all of it"
)]

use phash_code::Code;
use phash_index::{BuildParams, Match, Segment, build_segment};

/// Distance counted bit by bit.
pub(crate) fn distance_by_bits<const W: usize>(a: &Code<W>, b: &Code<W>) -> u32 {
    (0..Code::<W>::BITS).map(|i| u32::from(a.bit(i) != b.bit(i))).sum()
}

/// All codes but those in `except`, nearest first.
pub(crate) fn ranked<const W: usize>(codes: &[Code<W>], except: &[u32], query: &Code<W>) -> Vec<Match> {
    let mut all: Vec<Match> = (0u32..)
        .zip(codes)
        .filter(|(id, _)| !except.contains(id))
        .map(|(id, code)| Match { distance_bits: distance_by_bits(query, code), id })
        .collect();
    all.sort_unstable();
    all
}

/// splitmix64: a fixed sequence for every seed.
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub(crate) fn below(&mut self, end: u32) -> u32 {
        u32::try_from(self.next() % u64::from(end)).unwrap()
    }

    pub(crate) fn code<const W: usize>(&mut self) -> Code<W> {
        Code::from_le_words(std::array::from_fn(|_| self.next()))
    }

    /// The code with up to `flips` bits changed.
    pub(crate) fn near<const W: usize>(&mut self, code: &Code<W>, flips: u32) -> Code<W> {
        let mut near = *code;
        for _ in 0..flips {
            let bit = self.below(Code::<W>::BITS);
            near.set_bit(bit, !near.bit(bit));
        }
        near
    }
}

/// Segments over the given borders, e.g. `[0, 5, 9]` gives 0..5 and 5..9.
pub(crate) fn segments_with<const W: usize>(
    codes: &[Code<W>],
    borders: &[u32],
    m: Option<u32>,
    mut params: BuildParams,
) -> Vec<Segment<W, Vec<u8>>> {
    if let Some(m) = m {
        params = params.with_substrings(m);
    }
    borders
        .windows(2)
        .map(|ids| Segment::open(build_segment(codes, ids[0]..ids[1], &params).unwrap()).unwrap())
        .collect()
}

/// The same, the rest as by default.
pub(crate) fn segments<const W: usize>(
    codes: &[Code<W>],
    borders: &[u32],
    m: Option<u32>,
) -> Vec<Segment<W, Vec<u8>>> {
    segments_with(codes, borders, m, BuildParams::default())
}
