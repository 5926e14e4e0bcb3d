//! Owns how a code is cut in substrings: consecutive, as even as possible, the longer ones first, together the code.

use crate::Error;

/// The longest substring: its table of bucket offsets takes 256 MiB.
pub(crate) const MAX_LEN_BITS: u32 = 26;
/// The longest and shortest substrings chosen by default; offsets of 24 bits take 64 MiB a table.
const DEFAULT_LEN_BITS: std::ops::RangeInclusive<u32> = 8..=24;

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

/// Cuts a code of `bits` bits in `substrings` parts, or in parts of about log2(`codes`) bits: then a bucket of
/// uniform codes holds about one id, which balances probes against candidates (Norouzi et al., TPAMI 2014).
pub(crate) fn cut(bits: u32, substrings: Option<u32>, codes: u32) -> Result<Vec<Substring>, Error> {
    let (min, max) = (bits.div_ceil(MAX_LEN_BITS), bits);
    let m = substrings.unwrap_or_else(|| {
        let len_bits = f64::from(codes.max(1)).log2();
        let (shortest, longest) = DEFAULT_LEN_BITS.into_inner();
        let len_bits = len_bits.clamp(f64::from(shortest), f64::from(longest));
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "between 1 and bits")]
        let m = (f64::from(bits) / len_bits).round() as u32;
        m.max(bits.div_ceil(longest))
    });
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
                let parts = cut(bits, Some(m), 1).unwrap();
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
        assert!(matches!(cut(64, Some(2), 9), Err(Error::Substrings { bits: 64, got: 2, min: 3, max: 64 })));
        assert!(matches!(cut(64, Some(65), 9), Err(Error::Substrings { got: 65, .. })));
        assert!(matches!(cut(64, Some(0), 9), Err(Error::Substrings { got: 0, .. })));
    }

    #[test]
    fn the_default_length_follows_the_number_of_codes() {
        let m = |bits, codes| cut(bits, None, codes).unwrap().len();
        assert_eq!(m(256, 1_000_000), 13);
        assert_eq!(m(256, 10_000_000), 11);
        assert_eq!(m(64, 1_000_000), 3);
        assert_eq!((m(64, 0), m(256, 1), m(512, 2)), (8, 32, 64));
        assert_eq!((m(64, u32::MAX), m(256, u32::MAX), m(512, u32::MAX)), (3, 11, 22));
    }
}
