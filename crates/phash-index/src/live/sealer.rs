//! Owns the background thread that makes index segments: of a tail that is full, and of segments that are to be one. What
//! must hold: an error or a panic while building changes nothing; the codes stay where they are.

use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use crossbeam_channel::{Receiver, Sender};
use phash_code::Codes;
use roaring::RoaringBitmap;

use super::shared::Shared;
use super::state::{Shared as Bytes, State};
use super::store::Store;
use crate::{BuildParams, Error, Segment, build_segment_without};

/// What the thread is asked to do.
#[derive(Debug)]
pub(super) enum Ask {
    /// See whether there is work.
    Look,
    /// Say when all work that is due is done.
    Answer(Sender<()>),
    /// Seal all codes below this id, and say when it is done.
    SealAll { until: u32, done: Sender<()> },
}

/// Makes the bytes of a segment; replaced in tests.
pub(super) type Build<const W: usize> =
    fn(&Store<W>, Range<u32>, &RoaringBitmap, &BuildParams) -> Result<Vec<u8>, Error>;

pub(super) fn build<const W: usize>(
    codes: &Store<W>,
    ids: Range<u32>,
    removed: &RoaringBitmap,
    params: &BuildParams,
) -> Result<Vec<u8>, Error> {
    build_segment_without(codes, ids, removed, params)
}

/// Works until the channel closes.
pub(super) fn run<const W: usize>(shared: &Shared<W>, asked: &Receiver<Ask>, build: Build<W>) {
    let mut sealer = Sealer { shared, build, not_before: 0 };
    while let Ok(ask) = asked.recv() {
        match ask {
            Ask::Look => sealer.work(0),
            Ask::Answer(done) => {
                sealer.work(0);
                // Nobody may be waiting any more.
                let _ = done.send(());
            }
            Ask::SealAll { until, done } => {
                sealer.not_before = 0;
                sealer.work(until);
                let _ = done.send(());
            }
        }
    }
}

struct Sealer<'s, const W: usize> {
    shared: &'s Shared<W>,
    build: Build<W>,
    /// After a failure, how many codes there must be before building is tried again.
    not_before: u32,
}

impl<const W: usize> Sealer<'_, W> {
    /// Seals full tails, and all codes below `until`; merges.
    fn work(&mut self, until: u32) {
        while !self.shared.stop.load(Ordering::Relaxed) {
            let state = self.shared.load();
            let (len, seal) = (state.store.len(), self.shared.params.seal());
            if len < self.not_before {
                return;
            }
            let Some(ids) = due(&state, until, seal) else { return };
            // Only what is needed: who holds a state keeps removed ids in the tables.
            let (store, removed) = (state.store.clone(), Arc::clone(&state.removed));
            drop(state);
            if let Err(why) = self.make(&store, ids, removed.bitmap()) {
                self.shared.failed(why);
                self.not_before = len.saturating_add(seal);
                return;
            }
        }
    }

    fn make(&self, store: &Store<W>, ids: Range<u32>, removed: &RoaringBitmap) -> Result<(), String> {
        let build = || {
            let bytes = (self.build)(store, ids, removed, &self.shared.params.build)?;
            let segment = Segment::open(Bytes::new(bytes))?;
            // Made here, just now: its pages need no check.
            segment.pages().trust();
            Ok::<_, Error>(segment)
        };
        // The build has shared references only, and what it made is dropped: nothing can be left half done.
        match catch_unwind(AssertUnwindSafe(build)) {
            Ok(Ok(segment)) => {
                self.shared.publish_segment(segment);
                Ok(())
            }
            Ok(Err(error)) => Err(error.to_string()),
            Err(panic) => {
                let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
                let text = text.or_else(|| panic.downcast_ref::<String>().cloned());
                Err(format!("panic: {}", text.unwrap_or_default()))
            }
        }
    }
}

/// The ids of the next segment to make: of the codes behind the segments if they fill a tail (or several) or lie below
/// `until`; else of the segments to be merged; else of one that holds more removed codes than others.
fn due<const W: usize>(state: &State<W>, until: u32, seal: u32) -> Option<Range<u32>> {
    let (start, len) = (state.sealed_end(), state.store.len());
    let end = if start < until { len } else { start + (len - start) / seal * seal };
    if start < end {
        return Some(start..end);
    }
    let lens: Vec<u32> =
        state.segments.iter().map(|segment| segment.ids()).map(|ids| ids.end - ids.start).collect();
    if let Some(first) = first_to_merge(&lens).and_then(|place| state.segments.get(place)) {
        return Some(first.ids().start..start);
    }
    let removed = state.removed.bitmap();
    let mostly_removed = |ids: &Range<u32>, held: u32| {
        let dropped = u64::from(ids.end - ids.start - held);
        2 * (removed.range_cardinality(ids.clone()) - dropped) > u64::from(held)
    };
    let mut segments = state.segments.iter().map(|segment| (segment.ids(), segment.held_ids()));
    segments.find(|(ids, held)| mostly_removed(ids, *held)).map(|(ids, _)| ids)
}

/// The first of the segments that are to be merged with all behind it. Each segment left is at least twice as long as the
/// next: there are at most log2(n) of them, and a code is indexed again at most that often.
fn first_to_merge(lens: &[u32]) -> Option<usize> {
    let mut first = None;
    let mut behind = u64::from(*lens.last()?);
    for (place, &len) in lens.iter().enumerate().rev().skip(1) {
        if u64::from(len) >= 2 * behind {
            break;
        }
        behind += u64::from(len);
        first = Some(place);
    }
    first
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn segments_stay_few_and_codes_are_indexed_again_few_times() {
        let (mut lens, mut indexed) = (Vec::new(), 0u64);
        for sealed in 1u32..=4096 {
            lens.push(1);
            indexed += 1;
            if let Some(first) = first_to_merge(&lens) {
                let merged: u32 = lens.drain(first..).sum();
                indexed += u64::from(merged);
                lens.push(merged);
            }
            assert_eq!(lens.iter().sum::<u32>(), sealed);
            assert!(lens.windows(2).all(|pair| pair[0] >= 2 * pair[1]), "{lens:?}");
        }
        assert!(indexed <= 4096 * 13, "{indexed}");
        assert_eq!(
            (first_to_merge(&[]), first_to_merge(&[5]), first_to_merge(&[8, 4, 2])),
            (None, None, None)
        );
        assert_eq!((first_to_merge(&[8, 4, 3]), first_to_merge(&[100, 4, 3])), (Some(0), Some(1)));
    }
}
