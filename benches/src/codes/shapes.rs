//! Owns the codes that are hard on an index: all equal, one bit apart, two giant clusters.

use phash_code::Code;

use super::Kind;
use crate::random::SplitMix;

/// Random draws that each word of a code takes, used or not.
pub(super) const DRAWS_A_WORD: u64 = 3;

/// The `number`-th code of a kind.
pub(super) fn draw<const W: usize>(kind: Kind, seed: u64, number: usize, random: &mut SplitMix) -> Code<W> {
    let rare: [u64; W] =
        std::array::from_fn(|_| (0..DRAWS_A_WORD).fold(u64::MAX, |word, _| word & random.bits()));
    // The first cluster's centre, or the second's.
    let second = kind == Kind::Clusters && number % 2 == 1;
    let mut centres = SplitMix::new(seed + u64::from(second));
    let centre: [u64; W] = std::array::from_fn(|_| centres.bits());
    match kind {
        Kind::Clusters => Code::from_le_words(std::array::from_fn(|word| centre[word] ^ rare[word])),
        Kind::Neighbours => {
            let mut code = Code::from_le_words(centre);
            let bit = u32::try_from(number % Code::<W>::BITS as usize).expect("a bit of a code");
            code.set_bit(bit, !code.bit(bit));
            code
        }
        Kind::Equal | Kind::Uniform | Kind::Skewed => Code::from_le_words(centre),
    }
}
