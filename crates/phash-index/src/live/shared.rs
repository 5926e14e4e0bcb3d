//! Owns what the threads of a live index share, and every step from one state to the next. What must hold: states are made
//! under the writers' lock only, each from the one before; readers take no part in that.

use std::ops::Range;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use phash_code::{Code, Codes};

use super::cell::Cell;
use super::params::LiveParams;
use super::state::{Shared as Bytes, State};
use super::tail::Tail;
use crate::{Error, Segment};

#[derive(Debug)]
pub(super) struct Shared<const W: usize> {
    pub(super) params: LiveParams,
    current: Cell<State<W>>,
    /// Held from reading the current state to publishing its successor.
    writing: Mutex<()>,
    lease: Arc<()>,
    /// The background threads are to end.
    pub(super) stop: AtomicBool,
    pub(super) counts: Counts,
    pub(super) last_failure: Mutex<Option<String>>,
}

/// What the background did.
#[derive(Debug, Default)]
pub(super) struct Counts {
    pub(super) built_segments: AtomicU64,
    pub(super) built_codes: AtomicU64,
    pub(super) failed_builds: AtomicU64,
}

impl<const W: usize> Shared<W> {
    pub(super) fn new(params: LiveParams) -> Self {
        let lease = Arc::new(());
        Self {
            params,
            current: Cell::new(State::new(&lease)),
            writing: Mutex::new(()),
            lease,
            stop: AtomicBool::new(false),
            counts: Counts::default(),
            last_failure: Mutex::new(None),
        }
    }

    pub(super) fn load(&self) -> Arc<State<W>> {
        self.current.load()
    }

    fn writing(&self) -> MutexGuard<'_, ()> {
        // A writer that panicked published nothing, or all: the state is sound.
        self.writing.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Publishes the current state as changed, if `change` gives something.
    fn publish<R>(&self, change: impl FnOnce(&mut State<W>) -> Option<R>) -> Option<R> {
        let _writing = self.writing();
        let mut state = State::clone(&self.current.load());
        let result = change(&mut state)?;
        self.current.store(state);
        Some(result)
    }

    /// Appends the codes; gives their ids, or how many there are if they do not fit.
    pub(super) fn append(&self, codes: &[Code<W>]) -> Result<Range<u32>, Error> {
        let _writing = self.writing();
        let mut state = State::clone(&self.current.load());
        let start = state.store.len();
        let end = u32::try_from(codes.len()).ok().and_then(|len| start.checked_add(len));
        let end = end.ok_or(Error::Full { codes: start, more: codes.len() })?;
        state.store.append(codes);
        self.current.store(state);
        Ok(start..end)
    }

    /// Removes those of the ids that are there; gives how many.
    pub(super) fn remove(&self, ids: &[u32]) -> u64 {
        self.publish(|state| {
            let len = state.store.len();
            let known: Vec<u32> = ids.iter().copied().filter(|&id| id < len).collect();
            let removed = state.removed.with(&known)?;
            let more = removed.len() - state.removed.len();
            state.removed = Arc::new(removed);
            Some(more)
        })
        .unwrap_or(0)
    }

    /// Says that the codes `ids` are in the tables of the tail, which may be a new one.
    pub(super) fn publish_tabled(&self, tail: &Arc<Tail>, end: u32) {
        self.publish(|state| {
            if state.tails.last().is_none_or(|last| last.first_id() < tail.first_id()) {
                let mut tails = Vec::clone(&state.tails);
                tails.push(Arc::clone(tail));
                state.tails = Arc::new(tails);
            }
            state.tabled_end = state.tabled_end.max(end);
            Some(())
        });
    }

    /// Puts the segment in the place of those that cover its ids, and lets go the tails that it covers.
    pub(super) fn publish_segment(&self, segment: Segment<W, Bytes>) {
        let ids = segment.ids();
        self.counts.built_segments.fetch_add(1, Ordering::Relaxed);
        self.counts.built_codes.fetch_add(u64::from(ids.end - ids.start), Ordering::Relaxed);
        self.publish(|state| {
            let mut segments: Vec<_> =
                state.segments.iter().filter(|old| old.ids().start < ids.start).cloned().collect();
            segments.push(segment);
            segments.extend(state.segments.iter().filter(|old| old.ids().start >= ids.end).cloned());
            state.segments = Arc::new(segments);
            let sealed_end = state.sealed_end();
            let keep = state.tailed().map(|(tail, _)| tail.first_id()).next().unwrap_or(sealed_end);
            let tails = state.tails.iter().filter(|tail| tail.first_id() >= keep).cloned();
            state.tails = Arc::new(tails.collect());
            Some(())
        });
    }

    /// Whether nobody holds a state older than the current one. Then every reader, now and later, knows of every removal
    /// that was published before this was asked.
    pub(super) fn all_readers_are_current(&self) -> bool {
        let _writing = self.writing();
        // One owner is this struct, one the current state.
        Arc::strong_count(&self.lease) == 2
    }

    /// Notes that a segment could not be built; its codes stay where they are.
    pub(super) fn failed(&self, why: String) {
        self.counts.failed_builds.fetch_add(1, Ordering::Relaxed);
        *self.last_failure.lock().unwrap_or_else(PoisonError::into_inner) = Some(why);
    }
}
