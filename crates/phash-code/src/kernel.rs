//! Owns [`Kernel`]: which instructions compute the distances of one code to many, picked once at run time.
//! Every kernel gives the answers of the portable twin, in the same order; only the speed differs.
//!
//! A `Kernel` value of a level exists only if this CPU has the instructions: that is what makes calling it safe.

#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
mod portable;

use std::fmt;
use std::sync::OnceLock;

use crate::Code;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Level {
    Portable,
    #[cfg(target_arch = "x86_64")]
    Avx2,
    #[cfg(target_arch = "x86_64")]
    Avx512,
}

/// A way to compute the distances of one code to many. [`Kernel::detect`] gives the fastest one; the others are for
/// tests and benches. Tuned for codes of 64, 128, 256 and 512 bits; other widths use scalar population counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Kernel(Level);

impl Kernel {
    /// Plain Rust, on every machine: the twin that the others are tested against.
    pub const PORTABLE: Self = Self(Level::Portable);

    /// The fastest kernel this CPU has. Looks once, then remembers.
    #[must_use]
    pub fn detect() -> Self {
        static FASTEST: OnceLock<Kernel> = OnceLock::new();
        *FASTEST.get_or_init(|| Self::available().last().copied().unwrap_or(Self::PORTABLE))
    }

    /// Every kernel this CPU has, slowest first.
    #[must_use]
    pub fn available() -> Vec<Self> {
        #[cfg_attr(not(target_arch = "x86_64"), expect(unused_mut, reason = "only x86 has more than one"))]
        let mut kernels = vec![Self::PORTABLE];
        #[cfg(target_arch = "x86_64")]
        if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("popcnt") {
            kernels.push(Self(Level::Avx2));
            if is_x86_feature_detected!("avx512f") && is_x86_feature_detected!("avx512vpopcntdq") {
                kernels.push(Self(Level::Avx512));
            }
        }
        kernels
    }

    /// The kernel's name: `portable`, `avx2` or `avx512`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self.0 {
            Level::Portable => "portable",
            #[cfg(target_arch = "x86_64")]
            Level::Avx2 => "avx2",
            #[cfg(target_arch = "x86_64")]
            Level::Avx512 => "avx512",
        }
    }

    /// Writes the distance of `query` to each of `codes` to the same place of `out`.
    ///
    /// # Panics
    /// If `codes` and `out` differ in length.
    #[cfg_attr(target_arch = "x86_64", expect(unsafe_code, reason = "calls functions of a CPU feature"))]
    pub fn distances<const W: usize>(self, query: &Code<W>, codes: &[Code<W>], out: &mut [u32]) {
        assert_eq!(codes.len(), out.len(), "one distance a code");
        match self.0 {
            Level::Portable => portable::distances(query, codes, out),
            // SAFETY: the level exists only if `available` found avx2 and popcnt on this CPU.
            #[cfg(target_arch = "x86_64")]
            Level::Avx2 => unsafe { avx2::distances(query, codes, out) },
            // SAFETY: the level exists only if `available` found avx512f, avx512vpopcntdq and popcnt on this CPU.
            #[cfg(target_arch = "x86_64")]
            Level::Avx512 => unsafe { avx512::distances(query, codes, out) },
        }
    }

    /// Calls `found(index, distance_bits)` for each of `codes` within `radius_bits` (inclusive) of `query`, in order.
    /// Does nothing for the others, so that a scan runs at the speed of memory.
    #[cfg_attr(target_arch = "x86_64", expect(unsafe_code, reason = "calls functions of a CPU feature"))]
    pub fn within<const W: usize>(
        self,
        query: &Code<W>,
        codes: &[Code<W>],
        radius_bits: u32,
        found: impl FnMut(usize, u32),
    ) {
        match self.0 {
            Level::Portable => portable::within(query, codes, radius_bits, 0, found),
            // SAFETY: the level exists only if `available` found avx2 and popcnt on this CPU.
            #[cfg(target_arch = "x86_64")]
            Level::Avx2 => unsafe { avx2::within(query, codes, radius_bits, found) },
            // SAFETY: the level exists only if `available` found avx512f, avx512vpopcntdq and popcnt on this CPU.
            #[cfg(target_arch = "x86_64")]
            Level::Avx512 => unsafe { avx512::within(query, codes, radius_bits, found) },
        }
    }

    /// As [`Kernel::within`], for codes that do not lie side by side: calls `found(id, distance_bits)` for each
    /// `(id, code)` within `radius_bits` (inclusive). The iterator is walked in order, once.
    #[cfg_attr(target_arch = "x86_64", expect(unsafe_code, reason = "calls functions of a CPU feature"))]
    pub fn within_each<'c, const W: usize>(
        self,
        query: &Code<W>,
        codes: impl Iterator<Item = (u32, &'c Code<W>)>,
        radius_bits: u32,
        found: impl FnMut(u32, u32),
    ) {
        match self.0 {
            Level::Portable => portable::within_each(query, codes, radius_bits, found),
            // SAFETY: either level exists only if `available` found popcnt on this CPU.
            #[cfg(target_arch = "x86_64")]
            Level::Avx2 | Level::Avx512 => unsafe { avx2::within_each(query, codes, radius_bits, found) },
        }
    }
}

impl fmt::Display for Kernel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
