//! Any text as codes of each width: no panic, and the same as phash-code's parser finds.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let _ = phash_library::fuzzing::code_text(bytes);
});
