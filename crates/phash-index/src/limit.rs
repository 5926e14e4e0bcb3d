//! Owns [`Limit`]: how much a search may do, and who may stop it; and the account that one search keeps of it.

use std::cell::Cell;
use std::sync::atomic::{AtomicBool, Ordering};

/// How much a search may do before it gives back what it has, marked incomplete. By default: all it needs.
#[derive(Clone, Copy, Debug, Default)]
#[non_exhaustive]
pub struct Limit<'a> {
    /// At most so many codes and candidates are compared with the query. The same limit gives the same answer every time.
    pub comparisons: Option<u64>,
    /// The search ends soon after this becomes true.
    pub cancel: Option<&'a AtomicBool>,
}

impl<'a> Limit<'a> {
    /// Compare at most so many codes and candidates.
    #[must_use]
    pub fn comparisons(mut self, comparisons: u64) -> Self {
        self.comparisons = Some(comparisons);
        self
    }

    /// End soon after `cancel` becomes true.
    #[must_use]
    pub fn cancel(mut self, cancel: &'a AtomicBool) -> Self {
        self.cancel = Some(cancel);
        self
    }
}

/// What one search has left. Shared by its parts, on one thread.
#[derive(Debug)]
pub(crate) struct Account<'a> {
    left: Cell<u64>,
    cancel: Option<&'a AtomicBool>,
    complete: Cell<bool>,
    stopped: Cell<bool>,
}

impl<'a> Account<'a> {
    pub(crate) fn new(limit: Limit<'a>) -> Self {
        Self {
            left: Cell::new(limit.comparisons.unwrap_or(u64::MAX)),
            cancel: limit.cancel,
            complete: Cell::new(true),
            stopped: Cell::new(false),
        }
    }

    /// How many of `comparisons` may be made.
    pub(crate) fn grant(&self, comparisons: u64) -> u64 {
        let granted = comparisons.min(self.left.get());
        self.left.set(self.left.get() - granted);
        if granted < comparisons {
            self.complete.set(false);
        }
        granted
    }

    /// The caller has seen enough.
    pub(crate) fn stop(&self) {
        self.stopped.set(true);
    }

    pub(crate) fn stopped(&self) -> bool {
        self.stopped.get()
    }

    /// Whether to go on; to be asked now and then.
    pub(crate) fn goes_on(&self) -> bool {
        let ended = self.stopped() || self.cancel.is_some_and(|cancel| cancel.load(Ordering::Relaxed));
        if ended {
            self.complete.set(false);
        }
        !ended
    }

    /// Whether all was compared that had to be.
    pub(crate) fn complete(&self) -> bool {
        self.complete.get()
    }
}
