//! Owns the text of `--version`: the program's version and the version of the hash, since codes of different hash
//! parameters are never compared.

use std::sync::LazyLock;

/// The version of the program.
pub(crate) const SHORT: &str = env!("CARGO_PKG_VERSION");

/// The version of the program and the hash.
pub(crate) fn long() -> &'static str {
    static LONG: LazyLock<String> = LazyLock::new(|| {
        let fingerprint = phash_library::parameters_fingerprint().to_string();
        format!("{SHORT}\nhash parameters {}", fingerprint.get(..16).unwrap_or(&fingerprint))
    });
    &LONG
}
