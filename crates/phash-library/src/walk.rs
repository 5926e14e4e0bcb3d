//! Owns [`Candidate`] and the walk from the paths a user gives to the models below them, in an order that is the same
//! on every machine. A path that cannot be walked is a candidate with an error, not the end of the walk.

use std::path::{Path, PathBuf};

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
        Self { label: path.display().to_string(), input: Ok(Input::Path(path.to_owned())) }
    }
}

/// The models at and below `paths`, in the order given, each directory in the order of its names.
pub fn walk(paths: &[PathBuf]) -> impl Iterator<Item = Candidate> {
    paths.iter().flat_map(|path| discover(path)).map(|found| match found {
        Ok(model) => Candidate::file(&model.path),
        Err(error) => Candidate { label: error.path().display().to_string(), input: Err(Error::from(error)) },
    })
}
