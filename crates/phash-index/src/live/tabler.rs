//! Owns the background thread that keeps the tables of the tail: inserts codes that are too many to scan, block by block,
//! and deletes removed ones once no reader is left that may still see them.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use crossbeam_channel::{Receiver, Sender};
use phash_code::{Code, Codes};

use super::shared::Shared;
use super::state::State;
use super::tail::Tail;

/// Codes inserted between two publications: readers wait no longer for a table than such a block takes.
const BLOCK: u32 = 1024;

/// What the thread is asked to do.
#[derive(Debug)]
pub(super) enum Ask {
    /// See whether there is work.
    Look,
    /// Take removed ids out of the tables.
    Delete(Vec<u32>),
    /// Say when everything asked before is done.
    Answer(Sender<()>),
}

/// Works until the channel closes.
pub(super) fn run<const W: usize>(shared: &Shared<W>, asked: &Receiver<Ask>) {
    while let Ok(ask) = asked.recv() {
        match ask {
            Ask::Look => {}
            Ask::Delete(ids) => delete(shared, &ids),
            Ask::Answer(done) => {
                insert(shared);
                // Nobody may be waiting any more.
                let _ = done.send(());
                continue;
            }
        }
        insert(shared);
    }
}

/// Brings the tables up to date, if so many codes lie behind them that it pays.
fn insert<const W: usize>(shared: &Shared<W>) {
    let mut state = shared.load();
    let scan_codes = shared.params.scan_codes::<W>() as usize;
    if state.scanned().len() < scan_codes {
        return;
    }
    // What comes in meanwhile is taken in too, but not code by code.
    let least = scan_codes.min(BLOCK as usize);
    while state.scanned().len() >= least && !shared.stop.load(Ordering::Relaxed) {
        let start = state.covered_end();
        let tail = tail_for(&state, start, shared.params.tail_codes);
        let tail_end = tail.first_id().saturating_add(shared.params.tail_codes);
        let end = state.store.len().min(start.saturating_add(BLOCK)).min(tail_end);
        // Readers of states to come know what is removed now; those of earlier ones do not look here for these ids.
        tail.insert(&state.store, start..end, |id| state.removed.contains(id));
        shared.publish_tabled(&tail, end);
        state = shared.load();
    }
}

/// The tail that the code `start` belongs in: the last one, or a new one.
fn tail_for<const W: usize>(state: &State<W>, start: u32, codes: u32) -> Arc<Tail> {
    match state.tails.last() {
        Some(last) if start - last.first_id() < codes => Arc::clone(last),
        _ => Arc::new(Tail::new(Code::<W>::BITS, start, codes)),
    }
}

fn delete<const W: usize>(shared: &Shared<W>, ids: &[u32]) {
    // An older snapshot still finds them in the tables. Then they stay, unreported, until the tail is sealed.
    if !shared.all_readers_are_current() {
        return;
    }
    let state = shared.load();
    for (tail, range) in state.tailed() {
        for &id in ids.iter().filter(|id| range.contains(id)) {
            if let Some(code) = state.store.get(id) {
                tail.remove(id, code);
            }
        }
    }
}
