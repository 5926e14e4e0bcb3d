//! Owns the portable kernel: the twin that defines what the others must answer. Inlined into functions of a CPU
//! feature it becomes their scalar path (tails, and widths they are not tuned for).

use zerocopy::little_endian::U32;

use crate::Code;

#[inline(always)]
pub(super) fn distances<const W: usize>(query: &Code<W>, codes: &[Code<W>], out: &mut [u32]) {
    for (code, distance) in codes.iter().zip(out) {
        *distance = query.distance(code);
    }
}

/// `first` is the index of the first code.
#[inline(always)]
pub(super) fn within<const W: usize>(
    query: &Code<W>,
    codes: &[Code<W>],
    radius_bits: u32,
    first: usize,
    mut found: impl FnMut(usize, u32),
) {
    for (i, code) in codes.iter().enumerate() {
        let distance_bits = query.distance(code);
        if distance_bits <= radius_bits {
            found(first + i, distance_bits);
        }
    }
}

#[inline(always)]
pub(super) fn within_each<'c, const W: usize>(
    query: &Code<W>,
    codes: impl Iterator<Item = (u32, &'c Code<W>)>,
    radius_bits: u32,
    mut found: impl FnMut(u32, u32),
) {
    for (id, code) in codes {
        let distance_bits = query.distance(code);
        if distance_bits <= radius_bits {
            found(id, distance_bits);
        }
    }
}

/// Callers have checked the lengths.
#[inline(always)]
pub(super) fn within_planes(
    query: &[u32],
    planes: &[U32],
    len: usize,
    radius_bits: u32,
    mut found: impl FnMut(usize, u32),
) {
    for i in 0..len {
        let entry = planes.iter().skip(i).step_by(len);
        let distance_bits = query.iter().zip(entry).map(|(q, word)| (q ^ word.get()).count_ones()).sum();
        if distance_bits <= radius_bits {
            found(i, distance_bits);
        }
    }
}
