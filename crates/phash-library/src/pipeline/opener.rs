//! The opening thread: opens one input after the other, plans it, and hands out its tensors as tasks. It waits for a
//! slot before it opens a model; it ends when nobody listens any more.

use std::ops::Range;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use crossbeam::channel::Sender;
use phash_core::{ModelHasher, Plan, Reading, TensorInfo, TensorSource as _};

use super::task::{Model, Task};
use super::{Finished, Hashing, Input};
use crate::error::Result;

/// Small tensors are handed out together up to this many bytes: one task is then some hundred microseconds of work.
const TASK_BYTES: u64 = 1 << 20;

pub(super) fn open_all(
    inputs: Vec<Input>,
    closed: &AtomicBool,
    slots: &Sender<()>,
    tasks: &Sender<Task>,
    finished: &Sender<Finished>,
    hashing: &Hashing<'_>,
) {
    for (number, input) in inputs.into_iter().enumerate() {
        if hashing.cancel.load(Ordering::Relaxed) || slots.send(()).is_err() {
            return;
        }
        let model = match open(number, input, hashing.sample_over_bytes) {
            Ok(model) => Arc::new(model),
            Err(error) => match finished.send((number, Err(error))) {
                Ok(()) => continue,
                Err(_) => return,
            },
        };
        for tensors in tasks_of(model.file.tensors()) {
            let task = Task { model: Arc::clone(&model), tensors };
            let stopped = hashing.cancel.load(Ordering::Relaxed) || closed.load(Ordering::Relaxed);
            if stopped || tasks.send(task).is_err() {
                return;
            }
        }
    }
}

fn open(number: usize, input: Input, sample_over_bytes: u64) -> Result<Model> {
    let name = input.name();
    let file = input.open()?;
    let reading =
        if tensors_bytes(file.tensors()) > sample_over_bytes { Reading::Sample } else { Reading::Whole };
    let plan = Plan::new(file.tensors()).reading(reading);
    let progress = Mutex::new(Some(ModelHasher::new(file.tensors().len())));
    Ok(Model { number, name, file, plan, progress })
}

fn tensors_bytes(tensors: &[TensorInfo]) -> u64 {
    tensors.iter().fold(0, |sum, tensor| sum.saturating_add(tensor.len_bytes))
}

/// Cuts the tensors into runs of at most [`TASK_BYTES`], or of one larger tensor.
fn tasks_of(tensors: &[TensorInfo]) -> Vec<Range<usize>> {
    let mut tasks: Vec<Range<usize>> = Vec::new();
    let mut open_bytes = 0u64;
    for (number, tensor) in tensors.iter().enumerate() {
        match tasks.last_mut() {
            Some(task) if open_bytes.saturating_add(tensor.len_bytes) <= TASK_BYTES => {
                task.end = number + 1;
                open_bytes += tensor.len_bytes;
            }
            _ => {
                tasks.push(number..number + 1);
                open_bytes = tensor.len_bytes;
            }
        }
    }
    tasks
}

#[cfg(test)]
mod tests {
    use phash_core::Dtype;

    use super::*;

    #[test]
    fn tasks_cover_every_tensor_once_and_stay_small() {
        let tensors: Vec<TensorInfo> = [10, TASK_BYTES - 10, 1, 5 * TASK_BYTES, 0, 7, TASK_BYTES]
            .iter()
            .map(|&len_bytes| TensorInfo {
                name: String::new(),
                dtype: Dtype::F32,
                shape: vec![len_bytes / 4],
                len_bytes,
            })
            .collect();
        let tasks = tasks_of(&tensors);
        assert_eq!(tasks, [0..2, 2..3, 3..4, 4..6, 6..7]);
        assert!(tasks_of(&[]).is_empty());
    }
}
