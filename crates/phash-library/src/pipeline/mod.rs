//! Hashing many weights files on several threads: one thread opens and plans, workers sketch tensors, the caller takes
//! the results in the order of the inputs.
//!
//! What must hold: the result does not depend on the number of threads; memory does not grow with the tensors (each thread
//! has a [`Scratch`](phash_core::Scratch)); no more than [`window`] models are open or finished but not taken; whoever stops
//! taking ends all threads.

mod hashed;
mod input;
mod opener;
mod task;
mod worker;

use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crossbeam::channel::{self, Receiver, RecvTimeoutError};

pub use hashed::HashedFile;
pub use input::Input;

use crate::error::{Error, Result};

/// Models whose tensors have more bytes are hashed from a sample, unless something else is asked for.
pub const SAMPLE_OVER_BYTES: u64 = 4 << 30;

/// How hashing is done; nothing here changes a code.
#[derive(Clone, Copy)]
pub struct Hashing<'a> {
    /// Hashing threads.
    pub threads: NonZeroUsize,
    /// Models whose tensors have more bytes than this are hashed from a sample ([`phash_core::Reading::Sample`]), which gives the same
    /// codes but digests of their own; [`SAMPLE_OVER_BYTES`] by default, 0 for all models, [`u64::MAX`] for none.
    pub sample_over_bytes: u64,
    /// Raised by somebody to have the work stopped.
    pub cancel: &'a AtomicBool,
    /// Called with the number of tensor bytes hashed since the last call, from any thread.
    pub progress: &'a (dyn Fn(u64) + Sync),
}

impl std::fmt::Debug for Hashing<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Hashing").field("threads", &self.threads).finish_non_exhaustive()
    }
}

/// A finished input: its number and what became of it.
type Finished = (usize, Result<HashedFile>);

/// What [`Results::next`] has to say.
#[derive(Debug)]
pub(crate) enum Next {
    /// The next input in order. The error is the file's own; the others go on.
    Finished(Box<Result<HashedFile>>),
    /// Nothing finished in time.
    Idle,
    /// All inputs were handed out, or the cancellation flag was raised.
    End,
}

/// The results of a run, in the order of the inputs.
pub(crate) struct Results<'a> {
    finished: Receiver<Finished>,
    slots: Receiver<()>,
    /// Finished before their turn; at most [`window`] of them.
    early: BTreeMap<usize, Result<HashedFile>>,
    next: usize,
    cancel: &'a AtomicBool,
}

impl Results<'_> {
    /// Waits for the next input's result, at most until `deadline`.
    pub(crate) fn next(&mut self, deadline: Instant) -> Next {
        loop {
            if let Some(result) = self.early.remove(&self.next) {
                self.next += 1;
                // Makes room for one more model; the opener may have left already.
                let _ = self.slots.try_recv();
                return Next::Finished(Box::new(result));
            }
            if self.cancel.load(Ordering::Relaxed) {
                return Next::End;
            }
            // In steps, so that cancellation is noticed while a large tensor is being hashed.
            let step = (Instant::now() + Duration::from_millis(100)).min(deadline);
            match self.finished.recv_deadline(step) {
                Ok((number, result)) => {
                    self.early.insert(number, result);
                }
                Err(RecvTimeoutError::Disconnected) => return Next::End,
                Err(RecvTimeoutError::Timeout) if Instant::now() >= deadline => return Next::Idle,
                Err(RecvTimeoutError::Timeout) => {}
            }
        }
    }
}

/// Models open or waiting to be taken at one time.
fn window(threads: usize) -> usize {
    32 + 2 * threads
}

/// Hashes `inputs` while `take` takes the results. Ends all threads when `take` returns.
pub(crate) fn run<T>(
    inputs: Vec<Input>,
    hashing: &Hashing<'_>,
    take: impl FnOnce(&mut Results<'_>) -> T,
) -> T {
    let threads = hashing.threads.get();
    let closed = AtomicBool::new(false);
    let (slot_sender, slots) = channel::bounded(window(threads));
    let (task_sender, tasks) = channel::bounded(2 * threads);
    let (finished_sender, finished) = channel::bounded(window(threads));
    std::thread::scope(|scope| {
        let closed = &closed;
        for _ in 0..threads {
            let (tasks, finished) = (tasks.clone(), finished_sender.clone());
            scope.spawn(move || worker::work(&tasks, &finished, hashing));
        }
        drop(tasks);
        scope.spawn(move || {
            opener::open_all(inputs, closed, &slot_sender, &task_sender, &finished_sender, hashing)
        });
        let mut results =
            Results { finished, slots, early: BTreeMap::new(), next: 0, cancel: hashing.cancel };
        // Dropped even if `take` panics, so that the threads end and the scope can.
        let _closer = Closer(closed);
        let taken = take(&mut results);
        drop(results);
        taken
    })
}

struct Closer<'a>(&'a AtomicBool);

impl Drop for Closer<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Hashes several files; `each` gets the results in the order of `inputs`, as they become ready.
///
/// # Errors
/// [`Error::Cancelled`] if the flag was raised before all were done. A file's own error goes to `each`.
pub fn hash_files(
    inputs: Vec<Input>,
    hashing: &Hashing<'_>,
    mut each: impl FnMut(Result<HashedFile>),
) -> Result<()> {
    let wanted = inputs.len();
    let done = run(inputs, hashing, |results| {
        let mut done = 0;
        loop {
            match results.next(Instant::now() + Duration::from_secs(3600)) {
                Next::Finished(result) => {
                    done += 1;
                    each(*result);
                }
                Next::Idle => {}
                Next::End => return done,
            }
        }
    });
    if done == wanted { Ok(()) } else { Err(Error::Cancelled) }
}

/// Hashes one file.
///
/// # Errors
/// The file's own error, or [`Error::Cancelled`].
pub fn hash_file(input: Input, hashing: &Hashing<'_>) -> Result<HashedFile> {
    let mut hashed = None;
    hash_files(vec![input], hashing, |result| hashed = Some(result))?;
    hashed.unwrap_or(Err(Error::Cancelled))
}
