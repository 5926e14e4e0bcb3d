//! Owns the one place where readers and writers of a live index meet: the current state, replaced as a whole. The lock is
//! held for the copy of a pointer and never during a search, so neither side waits for the other's work. Checked in every order
//! of its steps by `tests/loom`.

// The parent's: std's here, loom's there.
use super::{Arc, PoisonError, RwLock};

#[derive(Debug)]
pub(super) struct Cell<T>(RwLock<Arc<T>>);

impl<T> Cell<T> {
    pub(super) fn new(value: T) -> Self {
        Self(RwLock::new(Arc::new(value)))
    }

    /// The current value; it stays as it is while the caller holds it.
    pub(super) fn load(&self) -> Arc<T> {
        // Nothing can panic under the lock, so a poisoned one is as good.
        Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Makes the value the current one: every load from now on gives it or a later one.
    pub(super) fn store(&self, value: T) {
        let value = Arc::new(value);
        let before = {
            let mut current = self.0.write().unwrap_or_else(PoisonError::into_inner);
            std::mem::replace(&mut *current, value)
        };
        // The last owner frees it: not under the lock.
        drop(before);
    }
}
