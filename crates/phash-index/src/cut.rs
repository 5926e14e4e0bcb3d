//! Owns how a code is cut in substrings: consecutive, as even as possible, the longer ones first, together the code.

use crate::{Error, Layout};

/// The longest substring: its table of bucket offsets takes 256 MiB.
pub(crate) const MAX_LEN_BITS: u32 = 26;
/// One of the `m` parts of a code: bits `first_bit..first_bit + len_bits`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Substring {
    pub(crate) first_bit: u32,
    pub(crate) len_bits: u32,
}

impl Substring {
    /// How many values the substring can take, each with a bucket.
    pub(crate) fn values(self) -> u32 {
        1 << self.len_bits
    }
}

/// The shortest substring chosen by default.
const SHORTEST_BITS: f64 = 8.0;

/// How many substrings suit the layout and the number of codes.
fn default_count(bits: u32, layout: Layout, codes: u32) -> u32 {
    let (bits, log2) = (f64::from(bits), f64::from(codes.max(1)).log2());
    let m = match layout {
        // Buckets of one id balance probes against fetched codes (Norouzi et al., TPAMI 2014). Offsets of 24 bits take
        // 64 MiB a table.
        Layout::Compact => (bits / log2.clamp(SHORTEST_BITS, 24.0)).round().max((bits / 24.0).ceil()),
        // A sketch is compared some twenty times as fast as a bucket is looked up: buckets of 40 to 150 (docs/search.md). A
        // little more than 5, so that ten million codes are cut in substrings of 16 (of 128 bits) and 17 (of 256).
        Layout::Fast => (bits / (log2 - 5.2).clamp(SHORTEST_BITS, 22.0)).ceil(),
    };
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "between 1 and bits")]
    let m = m as u32;
    m
}

/// Cuts a code of `bits` bits in `substrings` parts, or in as many as suit the layout and the number of codes.
pub(crate) fn cut(
    bits: u32,
    layout: Layout,
    substrings: Option<u32>,
    codes: u32,
) -> Result<Vec<Substring>, Error> {
    let (min, max) = (bits.div_ceil(MAX_LEN_BITS), bits);
    let m = substrings.unwrap_or_else(|| default_count(bits, layout, codes));
    if !(min..=max).contains(&m) {
        return Err(Error::Substrings { bits, got: m, min, max });
    }
    let (len_bits, longer) = (bits / m, bits % m);
    Ok((0..m)
        .map(|j| Substring {
            first_bit: j * len_bits + j.min(longer),
            len_bits: len_bits + u32::from(j < longer),
        })
        .collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn substrings_cover_the_code_once_and_differ_by_a_bit_at_most() {
        for bits in [64u32, 128, 256, 512] {
            for m in bits.div_ceil(MAX_LEN_BITS)..=bits {
                let parts = cut(bits, Layout::Fast, Some(m), 1).unwrap();
                let mut next = 0;
                for part in &parts {
                    assert_eq!(part.first_bit, next);
                    assert!(part.len_bits == bits / m || part.len_bits == bits / m + 1);
                    assert!((1..=MAX_LEN_BITS).contains(&part.len_bits));
                    next += part.len_bits;
                }
                assert_eq!((next, parts.len()), (bits, m as usize));
            }
        }
    }

    #[test]
    fn too_few_and_too_many_substrings_are_refused() {
        assert!(matches!(
            cut(64, Layout::Compact, Some(2), 9),
            Err(Error::Substrings { bits: 64, got: 2, min: 3, max: 64 })
        ));
        assert!(matches!(cut(64, Layout::Compact, Some(65), 9), Err(Error::Substrings { got: 65, .. })));
        assert!(matches!(cut(64, Layout::Compact, Some(0), 9), Err(Error::Substrings { got: 0, .. })));
    }

    #[test]
    fn the_default_length_follows_the_number_of_codes_and_the_layout() {
        let m = |bits, codes| cut(bits, Layout::Compact, None, codes).unwrap().len();
        assert_eq!(m(256, 1_000_000), 13);
        assert_eq!(m(256, 10_000_000), 11);
        assert_eq!(m(64, 1_000_000), 3);
        assert_eq!((m(64, 0), m(256, 1), m(512, 2)), (8, 32, 64));
        assert_eq!((m(64, u32::MAX), m(256, u32::MAX), m(512, u32::MAX)), (3, 11, 22));
        let m = |bits, codes| cut(bits, Layout::Fast, None, codes).unwrap().len();
        assert_eq!([64, 128, 256, 512].map(|bits| m(bits, 10_000_000)), [4, 8, 15, 29]);
        assert_eq!([64, 128, 256, 512].map(|bits| m(bits, 1_000_000)), [5, 9, 18, 35]);
        assert_eq!([64, 128, 256, 512].map(|bits| m(bits, 50_000_000)), [4, 7, 13, 26]);
        assert_eq!((m(64, u32::MAX), m(256, u32::MAX)), (3, 12));
        assert_eq!((m(64, 0), m(256, 1), m(512, 2)), (8, 32, 64));
    }
}
