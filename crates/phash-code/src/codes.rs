//! Owns [`Codes`], the hinge between the crates that keep codes and the crates that search them.

use crate::Code;

/// A collection of codes with dense ids from 0, in memory or in a mapped file.
///
/// What must hold: `len()` and every answer stay the same for the life of `&self` (a snapshot), and
/// the runs cover `0..len()` without gaps, in order.
pub trait Codes<const W: usize> {
    /// How many codes there are; ids are `0..len()`.
    fn len(&self) -> u32;

    /// The longest run of codes that starts at `id` and lies contiguous in memory: at least one code
    /// if `id < len()`, empty otherwise. Never copies.
    fn run(&self, id: u32) -> &[Code<W>];

    /// Whether there are no codes.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The code of `id`, or `None` if `id >= len()`.
    #[inline]
    fn get(&self, id: u32) -> Option<&Code<W>> {
        self.run(id).first()
    }
}

/// A slice holds the first `u32::MAX` of its codes: ids are 32 bits wide.
impl<const W: usize> Codes<W> for [Code<W>] {
    #[inline]
    fn len(&self) -> u32 {
        u32::try_from(<[Code<W>]>::len(self)).unwrap_or(u32::MAX)
    }

    #[inline]
    fn run(&self, id: u32) -> &[Code<W>] {
        <[Code<W>]>::get(self, id as usize..Codes::len(self) as usize).unwrap_or(&[])
    }
}

impl<const W: usize> Codes<W> for Vec<Code<W>> {
    #[inline]
    fn len(&self) -> u32 {
        Codes::len(self.as_slice())
    }

    #[inline]
    fn run(&self, id: u32) -> &[Code<W>] {
        self.as_slice().run(id)
    }
}

impl<const W: usize, C: Codes<W> + ?Sized> Codes<W> for &C {
    #[inline]
    fn len(&self) -> u32 {
        (**self).len()
    }

    #[inline]
    fn run(&self, id: u32) -> &[Code<W>] {
        (**self).run(id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Code64;

    fn total<C: Codes<1>>(codes: C) -> (u32, usize, bool) {
        (codes.len(), codes.run(1).len(), codes.get(codes.len()).is_none())
    }

    #[test]
    fn slices_vectors_and_references_are_collections() {
        let codes = vec![Code64::ZERO; 3];
        assert_eq!(total(codes.as_slice()), (3, 2, true));
        assert_eq!(total(&codes), (3, 2, true));
        assert_eq!(total(codes), (3, 2, true));
        assert!(Codes::is_empty(&Vec::<Code64>::new()));
        assert!(Vec::<Code64>::new().run(0).is_empty());
    }
}
