//! `Shared` of the live index, reduced to what publishes: the cell, the writers' lock and the lease. A state is two counts
//! that must be equal; they are read and written without any order of their own, so that the cell alone must give one.

use loom::sync::atomic::AtomicUsize;
use loom::sync::atomic::Ordering::Relaxed;
use loom::sync::{Arc, Mutex, RwLock};

use crate::cell::Cell;

/// A state: one count for the codes, one for the tables over them.
pub(crate) struct State {
    codes: AtomicUsize,
    tables: AtomicUsize,
    _lease: std::sync::Arc<()>,
}

impl State {
    pub(crate) fn new(count: usize, lease: &std::sync::Arc<()>) -> Self {
        Self { codes: AtomicUsize::new(count), tables: AtomicUsize::new(count), _lease: lease.clone() }
    }

    /// The number of the state; fails if it is not whole.
    pub(crate) fn number(&self) -> usize {
        let (codes, tables) = (self.codes.load(Relaxed), self.tables.load(Relaxed));
        assert_eq!(codes, tables, "half a state");
        codes
    }

    /// Changes a state, as only a broken writer does once it is published.
    pub(crate) fn fill(&self, count: usize) {
        self.codes.store(count, Relaxed);
        self.tables.store(count, Relaxed);
    }
}

/// The shared part of a live index.
pub(crate) struct Shared {
    pub(crate) current: Cell<State>,
    pub(crate) writing: Mutex<()>,
    /// Counted as in the index. The counter is std's: it is read under the writers' lock, and moved by whoever lets a state go.
    pub(crate) lease: std::sync::Arc<()>,
    /// Whether the tables still list a removed code, which only state 0 has.
    pub(crate) listed: RwLock<bool>,
}

impl Shared {
    pub(crate) fn new() -> Arc<Self> {
        let lease = std::sync::Arc::new(());
        Arc::new(Self {
            current: Cell::new(State::new(0, &lease)),
            writing: Mutex::new(()),
            lease,
            listed: RwLock::new(true),
        })
    }

    /// The next state is made from the current one and takes its place, under the writers' lock.
    pub(crate) fn publish(&self) -> usize {
        let _writing = self.writing.lock().unwrap();
        self.publish_unlocked()
    }

    pub(crate) fn publish_unlocked(&self) -> usize {
        let next = self.current.load().number() + 1;
        self.current.store(State::new(next, &self.lease));
        next
    }

    /// Whether no reader holds a state before the current one.
    pub(crate) fn all_readers_are_current(&self) -> bool {
        let _writing = self.writing.lock().unwrap();
        std::sync::Arc::strong_count(&self.lease) == 2
    }
}
