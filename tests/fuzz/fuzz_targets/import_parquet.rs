//! Any bytes as an export in Parquet: no panic, no more memory than the limits say, and what is read is read the same when
//! written anew as JSON lines.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let _ = phash_library::fuzzing::import_parquet(bytes);
});
