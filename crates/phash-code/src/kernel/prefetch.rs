//! Owns the hint that memory will be read soon: never needed for an answer, and nothing where a CPU has no such hint.

/// Bytes that one hint brings.
const LINE_BYTES: usize = 64;

/// Hints that `slice[index]` will be read soon. Any index will do: one beyond the end is harmless.
#[inline(always)]
#[cfg_attr(
    any(target_arch = "x86_64", target_arch = "aarch64"),
    expect(unsafe_code, reason = "the hint is an instruction that takes a pointer")
)]
pub fn prefetch<T>(slice: &[T], index: usize) {
    let address = slice.as_ptr().wrapping_add(index);
    // SAFETY: the instruction reads nothing and cannot fault, whatever the address; every x86-64 has it.
    #[cfg(target_arch = "x86_64")]
    unsafe {
        std::arch::x86_64::_mm_prefetch::<{ std::arch::x86_64::_MM_HINT_T0 }>(address.cast());
    }
    // SAFETY: the instruction reads nothing and cannot fault, whatever the address; every aarch64 has it.
    #[cfg(target_arch = "aarch64")]
    unsafe {
        std::arch::asm!("prfm pldl1keep, [{0}]", in(reg) address, options(nostack, preserves_flags, readonly));
    }
    #[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
    let _ = address;
}

/// Hints that all of `slice` will be read soon; of a slice longer than `LINES` cache lines only so many, as the CPU
/// follows a sequence by itself.
#[inline(always)]
pub fn prefetch_all<const LINES: usize, T>(slice: &[T]) {
    let bytes = size_of_val(slice).min(LINES * LINE_BYTES);
    for line in (0..bytes).step_by(LINE_BYTES) {
        prefetch(slice, line / size_of::<T>());
    }
}
