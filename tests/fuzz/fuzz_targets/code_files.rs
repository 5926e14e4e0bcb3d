//! Any bytes as a file of raw codes in each format: no panic, and what is read is sound.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    phash_library::fuzzing::code_files(bytes);
});
