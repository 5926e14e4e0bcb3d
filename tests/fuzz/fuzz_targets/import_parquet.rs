//! Any bytes as an export in Parquet: no panic, no more memory than the limits say, and what is read is read the same when
//! written anew as JSON lines. A panic of the parquet crate's decoders that phash-library contains does not end a run; one
//! that is not contained does, and so does one of our own code, contained or not.
#![no_main]

use std::panic;
use std::process::abort;

libfuzzer_sys::fuzz_target!(init: take_the_hook(), |bytes: &[u8]| {
    let read = panic::catch_unwind(|| drop(phash_library::fuzzing::import_parquet(bytes)));
    if let Err(panic) = read {
        let text = panic.downcast_ref::<String>().map(String::as_str);
        eprintln!("not contained: {:?}", text.or_else(|| panic.downcast_ref::<&str>().copied()));
        abort();
    }
});

/// In place of libFuzzer's own hook, which ends the run at every panic.
fn take_the_hook() {
    panic::set_hook(Box::new(|info| {
        if info.location().is_none_or(|place| place.file().contains("crates/phash-")) {
            eprintln!("{info}");
            abort();
        }
    }));
}
