//! Owns work shared among threads: how many there are, and results in the order of the work whoever did it.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

/// Pieces that a thread takes at once.
const TURN: usize = 16;

/// How many threads are meant: as many as the machine runs at once if `threads` is 0.
pub(crate) fn thread_count(threads: usize) -> usize {
    match threads {
        0 => std::thread::available_parallelism().map_or(1, usize::from),
        threads => threads,
    }
}

/// Runs `work` on so many threads, this one among them, but on no more than there are `pieces`.
pub(crate) fn on_threads(threads: usize, pieces: usize, work: impl Fn() + Sync) {
    let others = thread_count(threads).min(pieces).saturating_sub(1);
    std::thread::scope(|scope| {
        for _ in 0..others {
            scope.spawn(&work);
        }
        work();
    });
}

/// `work` for each of `0..count`, in that order; each thread has a state of its own.
pub(crate) fn map<S, R: Send>(
    count: usize,
    threads: usize,
    state: impl Fn() -> S + Sync,
    work: impl Fn(usize, &mut S) -> R + Sync,
) -> Vec<R> {
    let turns = count.div_ceil(TURN);
    let (next, done) = (AtomicUsize::new(0), Mutex::new(Vec::with_capacity(turns)));
    on_threads(threads, turns, || {
        let mut state = state();
        loop {
            let turn = next.fetch_add(1, Ordering::Relaxed);
            if turn >= turns {
                break;
            }
            let pieces = turn * TURN..count.min((turn + 1) * TURN);
            let results: Vec<R> = pieces.map(|piece| work(piece, &mut state)).collect();
            done.lock().unwrap_or_else(PoisonError::into_inner).push((turn, results));
        }
    });
    let mut done = done.into_inner().unwrap_or_else(PoisonError::into_inner);
    done.sort_unstable_by_key(|&(turn, _)| turn);
    done.into_iter().flat_map(|(_, results)| results).collect()
}
