//! Owns [`Candidate`] and the walk from the paths a user gives to the models below them, in an order that is the same
//! on every machine. A path that cannot be walked is a candidate with an error, not the end of the walk.

use std::path::Path;

use phash_weights::discover::discover;

use crate::error::{Error, Result};
use crate::pipeline::Input;

/// Weights that somebody asks to be hashed.
#[derive(Debug)]
pub struct Candidate {
    /// The label: the path as it was given, or the directory as it was given and the way down from it.
    pub label: String,
    /// Where the weights are, or why there are none.
    pub input: Result<Input>,
}

impl Candidate {
    /// A file, not looked at yet.
    pub fn file(path: &Path) -> Self {
        Self { label: path_text(path), input: Ok(Input::Path(path.to_owned())) }
    }
}

/// The models at and below `paths`, in the order given, each directory in the order of its names. Memory: the names of one
/// directory, and the paths of the directories still to be visited.
pub fn walk<P: AsRef<Path>>(paths: impl IntoIterator<Item = P>) -> impl Iterator<Item = Candidate> {
    paths.into_iter().flat_map(|path| discover(path.as_ref())).map(|found| match found {
        Ok(model) => Candidate::file(&model.path),
        Err(error) => Candidate { label: path_text(error.path()), input: Err(Error::from(error)) },
    })
}

/// A path as text, so that different paths have different texts: bytes that are not UTF-8 as `\xff`, and then backslashes
/// as `\\`.
pub(crate) fn path_text(path: &Path) -> String {
    if let Some(text) = path.to_str() {
        return text.to_owned();
    }
    let mut text = String::new();
    for chunk in path.as_os_str().as_encoded_bytes().utf8_chunks() {
        text += &chunk.valid().replace('\\', "\\\\");
        for byte in chunk.invalid() {
            text += &format!("\\x{byte:02x}");
        }
    }
    text
}

#[cfg(all(test, unix))]
mod tests {
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt;

    use super::*;

    #[test]
    fn paths_that_are_not_utf8_have_texts_of_their_own() {
        let text = |bytes: &[u8]| path_text(Path::new(OsStr::from_bytes(bytes)));
        assert_eq!(text(b"a/\xff\\b"), "a/\\xff\\\\b");
        assert_ne!(text(b"\xff"), text(b"\xfe"));
        assert_eq!(text("ü\\x".as_bytes()), "ü\\x");
    }
}
