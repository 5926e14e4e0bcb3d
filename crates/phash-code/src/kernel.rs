//! Owns [`Kernel`]: which instructions compute the distances of one code to many, picked once at run time.
//! Every kernel gives the answers of the portable twin, in the same order; only the speed differs.
//!
//! A `Kernel` value of a level exists only if this CPU has the instructions: that is what makes calling it safe.

#[macro_use]
mod entries;

#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
mod each;
mod many;
#[cfg(all(target_arch = "aarch64", target_endian = "little"))]
mod neon;
mod portable;
mod prefetch;

use std::fmt;
use std::sync::OnceLock;

use zerocopy::little_endian::U32;

pub use prefetch::{prefetch, prefetch_all};

use crate::Code;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Level {
    Portable,
    #[cfg(all(target_arch = "aarch64", target_endian = "little"))]
    Neon,
    #[cfg(target_arch = "x86_64")]
    Avx2,
    #[cfg(target_arch = "x86_64")]
    Avx512,
}

/// Calls the function of this name in the module of the kernel's level.
macro_rules! dispatch {
    ($kernel:expr, $function:ident($($argument:expr),*)) => {
        match $kernel.0 {
            Level::Portable => portable::$function($($argument),*),
            // SAFETY: the level exists only if `available` found neon on this CPU.
            #[cfg(all(target_arch = "aarch64", target_endian = "little"))]
            #[expect(unsafe_code, reason = "calls a function of a CPU feature")]
            Level::Neon => unsafe { neon::$function($($argument),*) },
            // SAFETY: the level exists only if `available` found avx2 and popcnt on this CPU.
            #[cfg(target_arch = "x86_64")]
            #[expect(unsafe_code, reason = "calls a function of a CPU feature")]
            Level::Avx2 => unsafe { avx2::$function($($argument),*) },
            // SAFETY: the level exists only if `available` found avx512f, avx512vpopcntdq and popcnt on this CPU.
            #[cfg(target_arch = "x86_64")]
            #[expect(unsafe_code, reason = "calls a function of a CPU feature")]
            Level::Avx512 => unsafe { avx512::$function($($argument),*) },
        }
    };
}

/// A way to compute the distances of one code to many. [`Kernel::detect`] gives the fastest one; the others are for
/// tests and benches. Tuned for codes of 64, 128, 256 and 512 bits; other widths use scalar population counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Kernel(Level);

/// Entries to compare with a query: `P` words of 32 bits each, plane by plane, that is word `p` of entry `i` is
/// `planes[p * len + i]`.
#[derive(Clone, Copy, Debug)]
pub struct Bucket<'b, K> {
    /// What the caller wants to be told of a match, such as the place of the first entry.
    pub key: K,
    /// The words; exactly `P * len` of them.
    pub planes: &'b [U32],
    /// The number of entries.
    pub len: usize,
    /// The radius in bits, inclusive.
    pub radius_bits: u32,
}

/// The check that kernels rely on.
#[inline(always)]
fn check_len(count: usize, planes: &[U32], len: usize) {
    assert_eq!(count.checked_mul(len), Some(planes.len()), "a word for each plane of each entry");
}

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
        #[allow(unused_mut, reason = "some machines have one only")]
        let mut kernels = vec![Self::PORTABLE];
        #[cfg(target_arch = "x86_64")]
        if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("popcnt") {
            kernels.push(Self(Level::Avx2));
            if is_x86_feature_detected!("avx512f") && is_x86_feature_detected!("avx512vpopcntdq") {
                kernels.push(Self(Level::Avx512));
            }
        }
        #[cfg(all(target_arch = "aarch64", target_endian = "little"))]
        if std::arch::is_aarch64_feature_detected!("neon") {
            kernels.push(Self(Level::Neon));
        }
        kernels
    }

    /// The kernel's name: `portable`, `avx2`, `avx512` or `neon`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self.0 {
            Level::Portable => "portable",
            #[cfg(all(target_arch = "aarch64", target_endian = "little"))]
            Level::Neon => "neon",
            #[cfg(target_arch = "x86_64")]
            Level::Avx2 => "avx2",
            #[cfg(target_arch = "x86_64")]
            Level::Avx512 => "avx512",
        }
    }

    /// How many planes of a bucket of unrelated entries are read before nearly all of these are found to be beyond the
    /// radius: what is worth asking for ahead ([`prefetch`]). More than there are if all are always read.
    #[must_use]
    pub fn planes_ahead(self, radius_bits: u32) -> usize {
        match self.0 {
            #[cfg(target_arch = "x86_64")]
            Level::Avx512 => avx512::look_after(radius_bits),
            _ => {
                let _ = radius_bits;
                usize::MAX
            }
        }
    }

    /// Writes the distance of `query` to each of `codes` to the same place of `out`.
    ///
    /// # Panics
    /// If `codes` and `out` differ in length.
    pub fn distances<const W: usize>(self, query: &Code<W>, codes: &[Code<W>], out: &mut [u32]) {
        assert_eq!(codes.len(), out.len(), "one distance a code");
        dispatch!(self, distances(query, codes, out));
    }

    /// Calls `found(index, distance_bits)` for each of `codes` within `radius_bits` (inclusive) of `query`, in order.
    /// Does nothing for the others, so that a scan runs at the speed of memory.
    pub fn within<const W: usize>(
        self,
        query: &Code<W>,
        codes: &[Code<W>],
        radius_bits: u32,
        found: impl FnMut(usize, u32),
    ) {
        dispatch!(self, within(query, codes, radius_bits, 0, found));
    }

    /// As [`Kernel::within`] for many queries at once: calls `found(query, code, distance_bits, below_bits)`, places in
    /// `queries` and `codes`, for each pair whose distance is *below* `below_bits[query]` (that is one more than a radius,
    /// so that 0 takes nothing). `found` is lent that bound and may lower it: what is no longer below it is not reported.
    ///
    /// For one query codes come in order; the queries take turns, block by block. Each block of codes is read from memory
    /// once for all queries, so that a batch runs at the speed of the arithmetic.
    ///
    /// # Panics
    /// If `queries` and `below_bits` differ in length.
    pub fn within_many<const W: usize>(
        self,
        queries: &[Code<W>],
        codes: &[Code<W>],
        below_bits: &mut [u32],
        found: impl FnMut(usize, usize, u32, &mut u32),
    ) {
        assert_eq!(queries.len(), below_bits.len(), "one bound a query");
        many::within_many(self, queries, codes, below_bits, found);
    }

    /// Compares as many of the codes as it pays with all of the queries at once: calls `found` as
    /// [`Kernel::within_many`] does. Returns how many codes that were, the first ones.
    ///
    /// Only with VPOPCNTDQ does it pay: AVX2 takes most of its time to count nibbles, wherever the codes are.
    fn cross<const W: usize>(
        self,
        queries: &[Code<W>],
        codes: &[Code<W>],
        below_bits: &mut [u32],
        found: &mut impl FnMut(usize, usize, u32, &mut u32),
    ) -> usize {
        match (self.0, queries) {
            // SAFETY: the level exists only if `available` found avx512f, avx512vpopcntdq and popcnt on this CPU.
            #[cfg(target_arch = "x86_64")]
            #[expect(unsafe_code, reason = "calls a function of a CPU feature")]
            (Level::Avx512, [_, _, ..]) => unsafe { avx512::cross(queries, codes, below_bits, found) },
            _ => {
                let _ = (codes, below_bits, found);
                0
            }
        }
    }

    /// As [`Kernel::within`], for codes that do not lie side by side: calls `found(id, distance_bits)` for each
    /// `(id, code)` within `radius_bits` (inclusive), in order. The iterator is walked once, some 32 codes ahead of the
    /// comparison, and their memory is asked for meanwhile.
    pub fn within_each<'c, const W: usize>(
        self,
        query: &Code<W>,
        codes: impl Iterator<Item = (u32, &'c Code<W>)>,
        radius_bits: u32,
        found: impl FnMut(u32, u32),
    ) {
        match self.0 {
            Level::Portable => each::within_each(query, codes, radius_bits, found),
            // Plain code counts with NEON, which every aarch64 has.
            #[cfg(all(target_arch = "aarch64", target_endian = "little"))]
            Level::Neon => each::within_each(query, codes, radius_bits, found),
            // SAFETY: the level exists only if `available` found popcnt on this CPU.
            #[cfg(target_arch = "x86_64")]
            #[expect(unsafe_code, reason = "calls a function of a CPU feature")]
            Level::Avx2 | Level::Avx512 => unsafe {
                avx2::within_each(query, codes, radius_bits, found);
            },
        }
    }

    /// Calls `found(key, entry, distance_bits)` for each entry of each bucket whose distance to `query` is at most the
    /// bucket's radius, by ascending entry, bucket by bucket. The iterator is walked in order, once; it is best placed to
    /// [`prefetch`] the planes of buckets to come.
    ///
    /// Made for a thousand small buckets a query: 16 entries are a handful of instructions on AVX-512. 1, 2, 3, 4, 6 and 8
    /// words an entry run without a loop over the words.
    ///
    /// # Panics
    /// If a bucket has not `len` words for each word of the query.
    #[inline]
    pub fn within_buckets<'b, K>(
        self,
        query: &[u32],
        buckets: impl Iterator<Item = Bucket<'b, K>>,
        found: impl FnMut(&K, usize, u32),
    ) {
        dispatch!(self, within_buckets(query, buckets, found));
    }

    /// As [`Kernel::within_buckets`] for one bucket: calls `found(entry, distance_bits)`. A call for each of many buckets in
    /// memory takes a third longer, as the CPU overlaps fewer of the reads.
    ///
    /// # Panics
    /// Unless `planes.len() == query.len() * len`.
    #[inline]
    pub fn within_planes(
        self,
        query: &[u32],
        planes: &[U32],
        len: usize,
        radius_bits: u32,
        found: impl FnMut(usize, u32),
    ) {
        dispatch!(self, within_planes(query, planes, len, radius_bits, found));
    }
}

impl fmt::Display for Kernel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
