//! Owns the order of matches: by distance, then id, each once. Few are sorted by comparing; many by their digits, which takes a
//! few steps a match however many there are.

use crate::{Match, SearchStats};

/// From so many matches on digits are faster than comparing.
const MANY: usize = 512;
/// The bits of the last digit, which is a byte: with more, the counts leave a core's first cache, which costs more than it saves.
const LAST_DIGIT: u64 = u8::MAX as u64;

/// Puts the matches of a search in order, each once: a sound segment reports no code twice, a damaged one may have reported
/// some before it was found out and scanned. `buffer` is for sorting; what it holds is lost. Time `O(n)` for many matches.
pub(crate) fn in_order(matches: &mut Vec<Match>, buffer: &mut Vec<Match>, stats: &SearchStats) {
    sort(matches, buffer);
    if stats.damaged_segments > 0 {
        matches.dedup();
    }
}

/// Sorts matches; `buffer` as for [`in_order`].
// One machine code, whoever asks, as for the scan: where its loops lie is worth a fifth of a search with many matches.
#[inline(never)]
pub(crate) fn sort(matches: &mut [Match], buffer: &mut Vec<Match>) {
    if matches.len() < MANY {
        by_comparing(matches);
    } else if !matches.is_sorted_by_key(Match::key) {
        by_digits(matches, buffer);
    }
}

/// Sorts in place.
#[inline(never)]
pub(crate) fn by_comparing(matches: &mut [Match]) {
    matches.sort_unstable_by_key(Match::key);
}

/// Sorts by one digit after the other, the least first. Left out are digits in which no two differ and, if the ids ascend
/// already as a scan finds them, those of the ids.
fn by_digits(matches: &mut [Match], buffer: &mut Vec<Match>) {
    let first = matches.first().map_or(0, Match::key);
    let differing = matches.iter().fold(0, |bits, found| bits | (found.key() ^ first));
    let ids = if matches.is_sorted_by_key(|found| found.id) { u64::from(u32::MAX) } else { 0 };
    buffer.clear();
    buffer.resize(matches.len(), Match { distance_bits: 0, id: 0 });
    let (mut from, mut to) = (&mut *matches, &mut buffer[..]);
    let (mut rest, mut in_buffer) = (differing & !ids, false);
    while rest != 0 {
        let shift = rest.trailing_zeros();
        rest &= !(LAST_DIGIT << shift);
        by_digit(from, to, |found| usize::from((found.key() >> shift & LAST_DIGIT) as u8));
        std::mem::swap(&mut from, &mut to);
        in_buffer = !in_buffer;
    }
    // Not the buffers are exchanged: the caller's would be another one, of another size, each time.
    if in_buffer {
        to.copy_from_slice(from);
    }
}

/// Puts `from` in the order of a digit into `to`, which is as long; equal digits stay as they are.
fn by_digit(from: &[Match], to: &mut [Match], digit: impl Fn(&Match) -> usize) {
    let mut places = [0u32; 1 << u8::BITS];
    from.iter().for_each(|found| places[digit(found)] += 1);
    let mut next = 0;
    for place in &mut places {
        next += std::mem::replace(place, next);
    }
    for &found in from {
        let place = &mut places[digit(&found)];
        to[*place as usize] = found;
        *place += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::{any, proptest};

    proptest! {
        #[test]
        fn digits_sort_as_comparing_does(
            keys in proptest::collection::vec((any::<u32>(), any::<u32>()), 0..3 * MANY),
            (distances, ids) in (1u32..600, 1u32..),
            ordered in any::<bool>(),
        ) {
            let of = |&(distance, id): &(u32, u32)| Match { distance_bits: distance % distances, id: id % ids };
            let mut matches: Vec<Match> = keys.iter().map(of).collect();
            let mut expected = matches.clone();
            expected.sort_by_key(|found| (found.distance_bits, found.id));
            if ordered {
                matches.sort_by_key(|found| found.id);
            }
            // What is left from before is of no account.
            let mut buffer = vec![Match { distance_bits: 7, id: 7 }; 9];
            for _ in 0..2 {
                sort(&mut matches, &mut buffer);
                assert_eq!(matches, expected);
            }
            let mut all: Vec<Match> = keys.iter().map(of).collect();
            by_digits(&mut all, &mut buffer);
            assert_eq!(all, expected);
        }
    }
}
