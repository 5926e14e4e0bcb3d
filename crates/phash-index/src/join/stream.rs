//! Owns the way of the pairs from the searching threads to the visitor. The ids are cut in chunks, dealt out in turn; each
//! thread sends its pairs through a bounded channel of its own, and the visitor reads chunk after chunk from the channel
//! that has it: one order, bounded memory, and threads that wait when the visitor is slow.

use std::ops::{ControlFlow, Range};
use std::sync::atomic::AtomicBool;

use crossbeam_channel::{Receiver, Sender, bounded};
use phash_code::Codes;

use crate::join::{Ended, JoinStats, Neighbours, Pair, add_work};
use crate::{Error, Index, Match, SearchStats};

/// Ids searched for between two turns of a thread.
const CHUNK_IDS: u32 = 512;
/// Pairs sent at once, and messages a thread may be ahead: at most 3 MiB on their way from each.
const MESSAGE_PAIRS: usize = 4096;
const MESSAGES_AHEAD: usize = 64;

enum Message {
    Pairs(Vec<Pair>),
    /// The chunk is done; the work it took.
    End(SearchStats),
    Failed(Error),
}

/// The join without threads.
pub(super) fn on_this_thread<const W: usize, C: Codes<W> + ?Sized, B: AsRef<[u8]>>(
    index: &Index<'_, W, C, B>,
    radius_bits: u32,
    cancel: &AtomicBool,
    mut visit: impl FnMut(Pair) -> ControlFlow<()>,
) -> Result<JoinStats, Error> {
    let mut stats = JoinStats::default();
    let mut neighbours = Neighbours::new(index, radius_bits, cancel);
    let ended = neighbours.of(&mut (0..index.codes().len()), &mut |a, matches| {
        matches.iter().try_for_each(|found| {
            stats.pairs += 1;
            let flow = visit(pair(a, found));
            if flow.is_break() {
                stats.ended = Ended::Stopped;
            }
            flow
        })
    })?;
    if ended.is_break() && stats.ended == Ended::Complete {
        stats.ended = Ended::Cancelled;
    }
    add_work(&mut stats.search, &neighbours.work);
    Ok(stats)
}

/// The join on so many threads beside the calling one, which runs the visitor.
pub(super) fn on_threads<const W: usize, C: Codes<W> + Sync + ?Sized, B: AsRef<[u8]> + Sync>(
    index: &Index<'_, W, C, B>,
    radius_bits: u32,
    threads: usize,
    cancel: &AtomicBool,
    visit: impl FnMut(Pair) -> ControlFlow<()>,
) -> Result<JoinStats, Error> {
    let chunks = index.codes().len().div_ceil(CHUNK_IDS);
    let threads = threads.min(chunks as usize).max(1);
    std::thread::scope(|scope| {
        let receivers: Vec<Receiver<Message>> = (0u32..)
            .take(threads)
            .map(|first| {
                let (sender, receiver) = bounded(MESSAGES_AHEAD);
                scope.spawn(move || {
                    let own = (first..chunks).step_by(threads);
                    send_chunks(index, radius_bits, own, cancel, &sender);
                });
                receiver
            })
            .collect();
        // Dropping the receivers, here at the latest, ends the threads.
        receive(receivers, chunks, visit)
    })
}

/// Searches for the pairs of the chunks and sends them; ends early if nobody listens or at the cancel flag.
fn send_chunks<const W: usize, C: Codes<W> + ?Sized, B: AsRef<[u8]>>(
    index: &Index<'_, W, C, B>,
    radius_bits: u32,
    chunks: impl Iterator<Item = u32>,
    cancel: &AtomicBool,
    sender: &Sender<Message>,
) {
    let mut neighbours = Neighbours::new(index, radius_bits, cancel);
    for chunk in chunks {
        let mut pairs = Vec::new();
        let ended = neighbours.of(&mut ids_of(chunk, index.codes().len()), &mut |a, matches| {
            for found in matches {
                pairs.push(pair(a, found));
                if pairs.len() == MESSAGE_PAIRS
                    && sender.send(Message::Pairs(std::mem::take(&mut pairs))).is_err()
                {
                    return ControlFlow::Break(());
                }
            }
            ControlFlow::Continue(())
        });
        let last = match ended {
            Err(error) => Message::Failed(error),
            Ok(ControlFlow::Break(())) => return,
            Ok(ControlFlow::Continue(())) => Message::End(std::mem::take(&mut neighbours.work)),
        };
        if (!pairs.is_empty() && sender.send(Message::Pairs(pairs)).is_err()) || sender.send(last).is_err() {
            return;
        }
    }
}

/// Gives the pairs of all chunks to the visitor, in order.
fn receive(
    receivers: Vec<Receiver<Message>>,
    chunks: u32,
    mut visit: impl FnMut(Pair) -> ControlFlow<()>,
) -> Result<JoinStats, Error> {
    let mut stats = JoinStats::default();
    for receiver in receivers.iter().cycle().take(chunks as usize) {
        loop {
            match receiver.recv() {
                Ok(Message::Pairs(pairs)) => {
                    for pair in pairs {
                        stats.pairs += 1;
                        if visit(pair).is_break() {
                            stats.ended = Ended::Stopped;
                            return Ok(stats);
                        }
                    }
                }
                Ok(Message::End(work)) => {
                    add_work(&mut stats.search, &work);
                    break;
                }
                Ok(Message::Failed(error)) => return Err(error),
                // The thread ended before its chunk did: cancelled (a panic in it is passed on by the scope).
                Err(_) => {
                    stats.ended = Ended::Cancelled;
                    return Ok(stats);
                }
            }
        }
    }
    Ok(stats)
}

fn ids_of(chunk: u32, len: u32) -> Range<u32> {
    let first = chunk * CHUNK_IDS;
    first..len.min(first.saturating_add(CHUNK_IDS))
}

fn pair(a: u32, found: &Match) -> Pair {
    Pair { a, distance_bits: found.distance_bits, b: found.id }
}
