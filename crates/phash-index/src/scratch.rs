//! Owns [`Scratch`]: the buffers of a search, kept from query to query so that after the first few none is allocated.

use std::cell::RefCell;
use std::ops::Range;

use crate::allocation::{Allocation, Shell};
use crate::limit::Account;
use crate::probe::Buffers;
use crate::{Match, SearchStats};

/// Buffers of a search, of any width, index and thread, one search at a time. Searches that are not given any keep some
/// for each thread.
#[derive(Clone, Debug, Default)]
pub struct Scratch {
    pub(crate) allocation: Allocation,
    /// What is to come, looked at before it is done.
    pub(crate) ahead: Allocation,
    /// The shells of a radius.
    pub(crate) shells: Vec<Shell>,
    pub(crate) buffers: Buffers,
    pub(crate) matches: Vec<Match>,
    /// For putting matches in order.
    pub(crate) sorting: Vec<Match>,
    /// Ids that are left to be scanned.
    pub(crate) left: Vec<Range<u32>>,
}

impl Scratch {
    /// Empty buffers; they grow with what searches need.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }
}

/// What the parts of one search share: its buffers, what it may do, and what it has done.
pub(crate) struct Work<'w> {
    pub(crate) scratch: &'w mut Scratch,
    pub(crate) account: &'w Account<'w>,
    pub(crate) stats: &'w mut SearchStats,
}

/// Calls `search` with this thread's buffers, or with new ones if they are in use (a search within a search).
pub(crate) fn with_scratch<R>(search: impl FnOnce(&mut Scratch) -> R) -> R {
    thread_local! {
        static SCRATCH: RefCell<Scratch> = RefCell::default();
    }
    SCRATCH.with(|scratch| match scratch.try_borrow_mut() {
        Ok(mut scratch) => search(&mut scratch),
        Err(_) => search(&mut Scratch::new()),
    })
}
