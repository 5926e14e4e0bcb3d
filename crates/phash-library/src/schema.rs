//! Owns the schema of the databases that this build makes and can search: the views, their widths, and the fingerprint of
//! the hash's parameters.

use phash_core::{CODE_BITS, View, parameters_fingerprint};
use phash_store::{Contents, Schema, ViewSpec};

/// The schema of databases that this build makes and can search.
pub fn schema() -> Schema {
    Schema {
        contents: Contents::Models,
        parameters: parameters_fingerprint().0,
        views: View::ALL
            .iter()
            .map(|view| ViewSpec { name: view.name().to_owned(), words: CODE_BITS / 64 })
            .collect(),
    }
}
