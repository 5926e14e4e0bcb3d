//! Any bytes as an index segment, as they are and under checksums that fit: no panic, no read out of the segment, and a
//! segment that is verified against its codes finds what a scan finds.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let _ = phash_index::fuzzing::index_segment(bytes);
});
