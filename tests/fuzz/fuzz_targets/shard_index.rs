//! Any bytes as a shard index: no panic, and no shard outside the index's folder.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let _ = phash_weights::fuzzing::shard_index(bytes);
});
