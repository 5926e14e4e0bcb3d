//! Any bytes as a safetensors file: no panic, and the same verdict and table as the safetensors crate.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let _ = phash_weights::fuzzing::safetensors_header(bytes);
});
