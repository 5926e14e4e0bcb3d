//! Owns [`BitOrder`]: the order in which a segment takes the bits of a code. Bit `p` of an ordered code is bit
//! `order[p]` of the code; distances stay the same, because the order is a permutation.

use phash_code::Code;

const NIBBLE_VALUES: usize = 16;

/// A permutation of the bits of a code, in a form that is fast to apply.
#[derive(Clone, Debug)]
pub(crate) struct BitOrder<const W: usize> {
    /// What each value of each group of four bits becomes; an ordered code is the XOR of one row entry a group.
    /// Empty for the identity.
    nibbles: Vec<[Code<W>; NIBBLE_VALUES]>,
}

impl<const W: usize> BitOrder<W> {
    /// Every bit where it is.
    pub(crate) fn identity() -> Self {
        Self { nibbles: Vec::new() }
    }

    /// The order that puts bit `order[p]` at `p`; an empty one is the identity. `None` unless `order` is a permutation of
    /// all bits.
    pub(crate) fn new(order: &[u16]) -> Option<Self> {
        if order.is_empty() {
            return Some(Self::identity());
        }
        let bits = Code::<W>::BITS as usize;
        if order.len() != bits {
            return None;
        }
        let mut goes_to = vec![None; bits];
        for (place, &bit) in (0u32..).zip(order) {
            *goes_to.get_mut(usize::from(bit))? = Some(place);
        }
        // A bit that comes twice leaves another without a place.
        let goes_to: Vec<u32> = goes_to.into_iter().collect::<Option<_>>()?;
        if (0u32..).zip(&goes_to).all(|(bit, &place)| bit == place) {
            return Some(Self::identity());
        }
        let row = |group: &[u32]| {
            std::array::from_fn(|value| {
                let mut ordered = Code::ZERO;
                group.iter().enumerate().for_each(|(j, &place)| ordered.set_bit(place, value >> j & 1 == 1));
                ordered
            })
        };
        Some(Self { nibbles: goes_to.chunks_exact(4).map(row).collect() })
    }

    /// Whether ordered codes are the codes themselves.
    pub(crate) fn is_identity(&self) -> bool {
        self.nibbles.is_empty()
    }

    /// The code with its bits in this order. Time linear in the bits.
    pub(crate) fn apply(&self, code: &Code<W>) -> Code<W> {
        if self.is_identity() {
            return *code;
        }
        let bytes = code.as_bytes().iter().zip(self.nibbles.chunks_exact(2));
        bytes.fold(Code::ZERO, |ordered, (&byte, rows)| {
            ordered ^ rows[0][usize::from(byte & 15)] ^ rows[1][usize::from(byte >> 4)]
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::{Just, Strategy as _, any, prop_assert_eq, proptest};

    fn check<const W: usize>(order: &[u16], words: [u64; 8]) {
        let code = Code::<W>::from_le_words(std::array::from_fn(|i| words[i]));
        let bit_order = BitOrder::<W>::new(order).unwrap();
        let by_bits = Code::from_bits(|place| code.bit(u32::from(order[place as usize])));
        assert_eq!(bit_order.apply(&code), by_bits);
    }

    fn orders(bits: u16) -> impl proptest::strategy::Strategy<Value = Vec<u16>> {
        Just((0..bits).collect::<Vec<_>>()).prop_shuffle()
    }

    proptest! {
        #[test]
        fn an_ordered_code_has_each_bit_where_the_order_says(
            o64 in orders(64), o128 in orders(128), o256 in orders(256), o512 in orders(512), words in any::<[u64; 8]>(),
        ) {
            check::<1>(&o64, words);
            check::<2>(&o128, words);
            check::<4>(&o256, words);
            check::<8>(&o512, words);
            prop_assert_eq!(BitOrder::<1>::new(&o64).unwrap().is_identity(), o64.is_sorted());
        }
    }

    #[test]
    fn only_permutations_of_all_bits_are_orders() {
        let identity: Vec<u16> = (0..64).collect();
        assert!(BitOrder::<1>::new(&identity).unwrap().is_identity());
        assert!(BitOrder::<1>::new(&[]).unwrap().is_identity());
        assert!(BitOrder::<1>::new(&identity[1..]).is_none());
        assert!(BitOrder::<2>::new(&identity).is_none());
        let changed = |at: usize, to| {
            let mut order = identity.clone();
            order[at] = to;
            BitOrder::<1>::new(&order)
        };
        assert!(changed(3, 4).is_none() && changed(3, 64).is_none() && changed(3, u16::MAX).is_none());
        assert!(changed(3, 3).is_some());
    }
}
