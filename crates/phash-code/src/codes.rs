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
    fn get(&self, id: u32) -> Option<&Code<W>> {
        self.run(id).first()
    }
}

impl<const W: usize> Codes<W> for [Code<W>] {
    fn len(&self) -> u32 {
        u32::try_from(<[Code<W>]>::len(self)).unwrap_or(u32::MAX)
    }

    fn run(&self, id: u32) -> &[Code<W>] {
        <[Code<W>]>::get(self, id as usize..).unwrap_or(&[])
    }
}
