//! Owns what commands do that ask something of each file: hashing with progress, and errors that concern one file only.

use std::path::PathBuf;

use phash_library::{Error, HashedFile, hash_files};

use super::describe::note_sample;
use crate::failure::Failure;
use crate::hiargs::HiArgs;
use crate::inputs::{inputs, total_bytes};
use crate::message;
use crate::progress::Progress;

/// Hashes the files and hands them to `ask` in their order, while no progress (called `task`) is shown. Whether a file could
/// not be hashed: the others are asked about all the same, until `ask` itself fails.
pub(super) fn for_each_file(
    task: &'static str,
    files: &[PathBuf],
    high: &HiArgs,
    mut ask: impl FnMut(HashedFile) -> Result<(), Failure>,
) -> Result<bool, Failure> {
    let inputs = inputs(files)?;
    let progress = Progress::new(task);
    progress.set_total(total_bytes(&inputs));
    let advance = |bytes| progress.advance(bytes);
    let (mut failed, mut asking) = (false, Ok(()));
    hash_files(inputs, &high.hashing(&advance), |result| {
        if asking.is_err() {
            return;
        }
        asking = progress.suspend(|| match result {
            Ok(file) => {
                note_sample(&file);
                ask(file)
            }
            Err(error) => {
                failed = true;
                message::error(&error.to_string());
                Ok(())
            }
        });
    })?;
    asking.map(|()| failed)
}

/// What was found. A query without a code is told, `failed`, and nothing was found.
pub(super) fn unless_no_code<T>(
    found: phash_library::Result<T>,
    failed: &mut bool,
) -> Result<Option<T>, Failure> {
    match found {
        Ok(found) => Ok(Some(found)),
        Err(error @ Error::NoCode { .. }) => {
            *failed = true;
            message::error(&error.to_string());
            Ok(None)
        }
        Err(error) => Err(error.into()),
    }
}
