//! Edits to the files of small databases, under checksums that fit and that do not: no panic; `open`, `verify`, salvage and a
//! writer's recovery agree, and nothing but what was written comes out unless checksums were made to fit.
#![no_main]

use std::sync::LazyLock;

use phash_store::fuzzing::StoreFiles;

/// The databases, in memory where the system offers that. The folder stays when the run ends.
static STORE: LazyLock<StoreFiles> = LazyLock::new(|| {
    let memory = std::path::Path::new("/dev/shm");
    let parent = if memory.is_dir() { memory.to_owned() } else { std::env::temp_dir() };
    let dir = parent.join(format!("phash-store-files-{}", std::process::id()));
    std::fs::create_dir_all(&dir).expect("a folder to work in");
    StoreFiles::new(&dir)
});

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let _ = STORE.run(bytes);
});
