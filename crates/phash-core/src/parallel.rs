//! Owns [`hash_model`]: one model on several threads, tensor by tensor. What must hold: the result is that of one thread;
//! the tensors in memory at any moment sum to at most the size of the largest one.

use std::num::NonZeroUsize;
use std::sync::{Condvar, Mutex, PoisonError};

use crate::model::{ModelHash, ModelHasher, Plan, Scratch, Sketch};
use crate::source::TensorSource;

/// Tensors in memory may always sum to this much, however small the largest one is.
const FREE_BYTES: u64 = 8 << 20;

/// Hashes a model on up to `threads` threads. The result does not depend on their number.
///
/// At any moment the tensors held in memory sum to at most the size of the largest one (or 8 MiB); with their working
/// memory that is at most 1.5 times the largest tensor plus 8 MiB a thread.
///
/// # Errors
/// The source's error; if several tensors fail, that of the first one in order that was tried. No further tensors are then read.
pub fn hash_model<S>(source: &S, threads: NonZeroUsize) -> Result<ModelHash, S::Error>
where
    S: TensorSource + ?Sized,
    S::Error: Send,
{
    let tensors = source.tensors();
    let plan = Plan::new(tensors);
    let budget_bytes = tensors.iter().map(|tensor| tensor.len_bytes).max().unwrap_or(0).max(FREE_BYTES);
    let work = Mutex::new(Work {
        next: 0,
        in_memory_bytes: 0,
        hasher: ModelHasher::new(tensors.len()),
        error: None,
    });
    let freed = Condvar::new();
    std::thread::scope(|scope| {
        let worker = || work_off(source, &plan, budget_bytes, &work, &freed);
        for _ in 1..threads.get().min(tensors.len()) {
            scope.spawn(worker);
        }
        worker();
    });
    let work = work.into_inner().unwrap_or_else(PoisonError::into_inner);
    match work.error {
        Some((_, error)) => Err(error),
        None => Ok(work.hasher.finish()),
    }
}

/// What the threads share.
struct Work<E> {
    /// The next tensor to take.
    next: usize,
    in_memory_bytes: u64,
    hasher: ModelHasher,
    /// The failed tensor and its error.
    error: Option<(usize, E)>,
}

/// Takes tensors in order until none is left or one has failed.
fn work_off<S>(source: &S, plan: &Plan, budget_bytes: u64, work: &Mutex<Work<S::Error>>, freed: &Condvar)
where
    S: TensorSource + ?Sized,
{
    let tensors = source.tensors();
    let mut scratch = Scratch::default();
    let mut shared = work.lock().unwrap_or_else(PoisonError::into_inner);
    loop {
        let tensor = shared.next;
        if tensor >= tensors.len() || shared.error.is_some() {
            return;
        }
        let bytes = tensors[tensor].len_bytes;
        if shared.in_memory_bytes > 0 && shared.in_memory_bytes + bytes > budget_bytes {
            scratch.shrink_for(0);
            shared = freed.wait(shared).unwrap_or_else(PoisonError::into_inner);
            continue;
        }
        shared.next += 1;
        shared.in_memory_bytes += bytes;
        drop(shared);
        scratch.shrink_for(bytes);
        let sketch: Result<Sketch, _> = plan.sketch(source, tensor, &mut scratch);
        shared = work.lock().unwrap_or_else(PoisonError::into_inner);
        shared.in_memory_bytes -= bytes;
        freed.notify_all();
        match sketch {
            Ok(sketch) => shared.hasher.add(tensor, &tensors[tensor], &sketch),
            Err(error) if shared.error.as_ref().is_none_or(|&(first, _)| tensor < first) => {
                shared.error = Some((tensor, error));
            }
            Err(_) => {}
        }
    }
}
