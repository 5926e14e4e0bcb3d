//! Hashes the models of a folder, as an ingest would.

use std::collections::BTreeMap;
use std::error::Error;
use std::num::NonZeroUsize;
use std::path::Path;
use std::sync::atomic::AtomicBool;

use phash_library::{Hashing, Input, ModelHash, hash_files, walk};

/// What came of hashing a folder.
#[derive(Default)]
pub struct Folder {
    /// The codes of every model, by path relative to the folder.
    pub models: BTreeMap<String, ModelHash>,
    /// Why files could not be hashed.
    pub skipped: Vec<String>,
}

/// Hashes every model below `dir`.
///
/// # Errors
/// If hashing stops altogether.
pub fn hash_folder(dir: &Path) -> Result<Folder, Box<dyn Error>> {
    let mut folder = Folder::default();
    let mut inputs: Vec<Input> = Vec::new();
    for candidate in walk(&[dir.to_owned()]) {
        match candidate.input {
            Ok(input) => inputs.push(input),
            Err(error) => folder.skipped.push(error.to_string()),
        }
    }
    let threads = std::thread::available_parallelism().unwrap_or(NonZeroUsize::MIN);
    let (cancel, progress) = (AtomicBool::new(false), |_: u64| {});
    let hashing = Hashing {
        threads,
        sample_over_bytes: phash_library::SAMPLE_OVER_BYTES,
        cancel: &cancel,
        progress: &progress,
    };
    hash_files(inputs, &hashing, |hashed| match hashed {
        Ok(hashed) => {
            let name = Path::new(&hashed.name).strip_prefix(dir).unwrap_or(Path::new(&hashed.name));
            folder.models.insert(name.display().to_string(), hashed.hash);
        }
        Err(error) => folder.skipped.push(error.to_string()),
    })?;
    Ok(folder)
}
