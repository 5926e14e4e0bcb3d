//! Owns the comparison of one query with codes that lie anywhere: each is asked for a while before it is compared, so that
//! many reads of memory are under way at once. Inlined into the functions of a CPU feature, as the portable kernel.

use super::prefetch;
use crate::Code;

/// How many codes are asked for before the first of them is compared.
const AHEAD: usize = 32;

#[inline(always)]
pub(super) fn within_each<'c, const W: usize>(
    query: &Code<W>,
    codes: impl Iterator<Item = (u32, &'c Code<W>)>,
    radius_bits: u32,
    mut found: impl FnMut(u32, u32),
) {
    let mut compare = |(id, code): (u32, &Code<W>)| {
        let distance_bits = query.distance(code);
        if distance_bits <= radius_bits {
            found(id, distance_bits);
        }
    };
    let mut codes = codes.fuse().inspect(|(_, code)| {
        // The first and the last word, as a code may lie across two cache lines.
        prefetch(code.raw_words(), 0);
        if W > 1 {
            prefetch(code.raw_words(), W - 1);
        }
    });
    let mut asked = [(0, &Code::ZERO); AHEAD];
    let mut count = 0;
    for (place, code) in asked.iter_mut().zip(&mut codes) {
        *place = code;
        count += 1;
    }
    // A ring: whoever comes takes the place of the one that has waited longest.
    let mut oldest = 0;
    for code in codes {
        compare(std::mem::replace(&mut asked[oldest], code));
        oldest = (oldest + 1) % AHEAD;
    }
    let (newer, older) = asked[..count].split_at(oldest);
    for &code in older.iter().chain(newer) {
        compare(code);
    }
}
