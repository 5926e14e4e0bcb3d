//! The hashing threads: sketch tensors, add the sketches up; whoever adds a model's last one finishes the model. A fault
//! in one model ends that model only.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::PoisonError;
use std::sync::atomic::Ordering;

use crossbeam::channel::{Receiver, Sender};
use phash_core::{Digest, ModelHash, ModelHasher, Scratch, SkipReason, TensorSource as _};

use super::task::{Model, Task};
use super::{Finished, HashedFile, Hashing};
use crate::error::{Error, Result};

pub(super) fn work(tasks: &Receiver<Task>, finished: &Sender<Finished>, hashing: &Hashing<'_>) {
    let mut scratch = Scratch::default();
    for task in tasks {
        if hashing.cancel.load(Ordering::Relaxed) {
            return;
        }
        let result = match sketch_all(&task, &mut scratch, hashing) {
            Ok(None) => continue,
            Ok(Some(hash)) => finish(&task.model, hash),
            Err(error) => Err(error),
        };
        let number = task.model.number;
        drop(task);
        if finished.send((number, result)).is_err() {
            return;
        }
    }
}

/// Sketches the task's tensors; the hash if they were the model's last ones. An error is given once a model: the tasks
/// that follow find it failed and do nothing.
fn sketch_all(task: &Task, scratch: &mut Scratch, hashing: &Hashing<'_>) -> Result<Option<ModelHash>> {
    let model = &*task.model;
    for tensor in task.tensors.clone() {
        if lock(model).is_none() {
            return Ok(None);
        }
        let info = &model.file.tensors()[tensor];
        let sketched = catch_unwind(AssertUnwindSafe(|| model.plan.sketch(&model.file, tensor, scratch)))
            .map_err(|_| {
                *scratch = Scratch::default();
                Error::Internal { path: PathBuf::from(&model.name), tensor: info.name.clone() }
            });
        (hashing.progress)(info.len_bytes);
        let mut progress = lock(model);
        let Some(hasher) = progress.as_mut() else { return Ok(None) };
        match sketched {
            Ok(Ok(sketch)) => hasher.add(tensor, info, &sketch),
            Ok(Err(error)) => {
                *progress = None;
                return Err(error.into());
            }
            Err(error) => {
                *progress = None;
                return Err(error);
            }
        }
        if hasher.is_complete()
            && let Some(hasher) = progress.take()
        {
            drop(progress);
            return Ok(Some(hasher.finish()));
        }
    }
    Ok(None)
}

fn lock(model: &Model) -> std::sync::MutexGuard<'_, Option<ModelHasher>> {
    model.progress.lock().unwrap_or_else(PoisonError::into_inner)
}

fn finish(model: &Model, hash: ModelHash) -> Result<HashedFile> {
    model.file.check_unchanged()?;
    let tensors = hash.tensors_skipped().get(&SkipReason::NotFinite).copied().unwrap_or(0);
    if tensors > 0 && hash.views.iter().all(|(_, view)| view.code.is_none()) {
        return Err(Error::NotFinite { path: PathBuf::from(&model.name), tensors });
    }
    let leaves: Vec<[u8; 32]> = hash.tensors.iter().map(|tensor| tensor.bytes_digest.0).collect();
    Ok(HashedFile {
        name: model.name.clone(),
        format: model.file.format_name(),
        stamp: model.file.stamp(),
        file_digest: Digest(model.file.file_digest(&leaves)),
        tensors: model.file.tensors().to_vec(),
        hash,
    })
}
