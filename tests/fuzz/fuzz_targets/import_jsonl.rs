//! Any bytes as an export in JSON lines: no panic, and what is read is read the same when written anew.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let _ = phash_library::fuzzing::import_jsonl(bytes);
});
