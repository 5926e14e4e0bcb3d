//! Owns [`Live`]: an index that grows and shrinks while it is searched.
//!
//! Codes are appended to a tail. While the tail is short it is scanned; a full one is sealed into an immutable index segment
//! by a background thread, and segments are merged by size. If more comes in than is sealed, another thread lists the codes
//! that wait in tables of roaring bitmaps ([`tail`]). A search takes a [`Snapshot`]: a pointer to a [`state`] that nothing changes any more. Writers publish a new
//! state that shares all but what they changed. Neither waits for the other, but for the copy of a pointer ([`cell`]).

mod cell;
mod params;
mod sealer;
mod shared;
mod snapshot;
mod state;
mod store;
mod tabler;
mod tail;
mod tombstones;

use std::ops::Range;
use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError, RwLock};
use std::thread::JoinHandle;

use crossbeam_channel::{Receiver, Sender, bounded};
use phash_code::{Code, Codes};

pub use self::params::{LiveParams, LiveStats};
use self::shared::Shared;
pub use self::snapshot::Snapshot;
use crate::Error;

/// Asks that may wait for a background thread; more are as good as these.
const ASKS: usize = 64;

/// An index of codes of `W` words that can be added to, removed from and searched at the same time, from any thread.
///
/// Ids are given out in order from 0 and never again; a removed one is never reported by a later snapshot.
///
/// ```
/// use phash_code::Code64;
/// use phash_index::Live;
///
/// let live = Live::<1>::new()?;
/// let first = live.insert("00000000000000ff".parse()?)?;
/// let before = live.snapshot();
/// let second = live.insert("00000000000000fe".parse()?)?;
/// live.remove(first);
///
/// let query = "00000000000000ff".parse()?;
/// assert_eq!(before.within(&query, 4).matches[0].id, first);
/// assert_eq!(live.snapshot().within(&query, 4).matches[0].id, second);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Live<const W: usize> {
    shared: Arc<Shared<W>>,
    tabler: Background<tabler::Ask>,
    sealer: Background<sealer::Ask>,
}

/// A thread, and the way to ask it for something. Closing the channel ends it.
#[derive(Debug)]
struct Background<A> {
    asks: Option<Sender<A>>,
    thread: Option<JoinHandle<()>>,
}

impl<const W: usize> Live<W> {
    /// An empty index, with its two background threads.
    ///
    /// # Errors
    /// [`Error::Io`] if the system refuses a thread.
    pub fn new() -> Result<Self, Error> {
        Self::with_params(LiveParams::default())
    }

    /// As [`Self::new`], with parameters.
    ///
    /// # Errors
    /// As [`Self::new`].
    pub fn with_params(params: LiveParams) -> Result<Self, Error> {
        Self::with_build(params, sealer::build)
    }

    fn with_build(params: LiveParams, build: sealer::Build<W>) -> Result<Self, Error> {
        let shared = Arc::new(Shared::new(params));
        let (tables, seals) = (Arc::clone(&shared), Arc::clone(&shared));
        Ok(Self {
            tabler: Background::start("index tables", move |asked| tabler::run(&tables, asked))?,
            sealer: Background::start("index segments", move |asked| sealer::run(&seals, asked, build))?,
            shared,
        })
    }

    /// Adds a code and gives its id. Every snapshot taken after it returned has the code.
    ///
    /// Amortised constant time (a code is copied up to 16 times while its chunk fills); waits for no search and no build.
    ///
    /// # Errors
    /// [`Error::Full`] after `u32::MAX` codes.
    pub fn insert(&self, code: Code<W>) -> Result<u32, Error> {
        self.insert_many(&[code]).map(|ids| ids.start)
    }

    /// Adds codes, all at once: a snapshot has all of them or none. Gives their ids, in their order. Cheaper than one by
    /// one.
    ///
    /// # Errors
    /// [`Error::Full`] if there would be more than `u32::MAX` codes; then none is added.
    pub fn insert_many(&self, codes: &[Code<W>]) -> Result<Range<u32>, Error> {
        if codes.is_empty() {
            let len = self.shared.load().store.len();
            return Ok(len..len);
        }
        let ids = self.shared.append(codes)?;
        self.look(&ids);
        Ok(ids)
    }

    /// Removes a code. Every snapshot taken after it returned is without it; earlier ones keep it. False if there was no
    /// such id, or if it was removed before.
    pub fn remove(&self, id: u32) -> bool {
        self.remove_many(&[id]) > 0
    }

    /// Removes codes, all at once. Gives how many were there. Time about linear in them, and in all removed ids once in
    /// some hundred removals.
    pub fn remove_many(&self, ids: &[u32]) -> u64 {
        let removed = self.shared.remove(ids);
        if removed > 0 {
            let state = self.shared.load();
            // A segment may hold more removed codes than others now.
            let (step, total) = (u64::from(self.shared.params.seal() / 4), state.removed.len());
            if total / step != (total - removed) / step {
                self.sealer.ask(sealer::Ask::Look);
            }
            let tailed = state.sealed_end()..state.covered_end();
            let ids: Vec<u32> = ids.iter().copied().filter(|id| tailed.contains(id)).collect();
            if !ids.is_empty() {
                drop(state);
                self.tabler.ask(tabler::Ask::Delete(ids));
            }
        }
        removed
    }

    /// The index as it is now. Costs the copy of a pointer.
    #[must_use]
    pub fn snapshot(&self) -> Snapshot<W> {
        Snapshot::new(self.shared.load())
    }

    /// Where the codes are, and what the background did so far.
    #[must_use]
    pub fn stats(&self) -> LiveStats {
        let state = self.shared.load();
        let counts = &self.shared.counts;
        let failure = self.shared.last_failure.lock().unwrap_or_else(PoisonError::into_inner);
        LiveStats {
            codes: state.store.len(),
            removed: state.removed.len(),
            segments: state.segments.len(),
            sealed: state.sealed_end(),
            tabled: state.covered_end() - state.sealed_end(),
            scanned: state.store.len() - state.covered_end(),
            built_segments: counts.built_segments.load(Ordering::Relaxed),
            built_codes: counts.built_codes.load(Ordering::Relaxed),
            failed_builds: counts.failed_builds.load(Ordering::Relaxed),
            last_failure: failure.clone(),
        }
    }

    /// Waits until the background has done what is due. Answers do not depend on it.
    pub fn settle(&self) {
        self.sealer.wait(sealer::Ask::Answer);
        self.tabler.wait(tabler::Ask::Answer);
    }

    /// Seals all codes that there are into index segments and waits for it: before a time of many searches and few inserts. If a segment
    /// cannot be built, [`LiveStats::failed_builds`] says so.
    pub fn seal(&self) {
        let until = self.shared.load().store.len();
        self.sealer.wait(|done| sealer::Ask::SealAll { until, done });
    }

    /// Asks the background to look, if the new ids gave it something to do.
    fn look(&self, new: &Range<u32>) {
        let (state, params) = (self.shared.load(), &self.shared.params);
        // Once in so many codes: a look finds everything that came before.
        let crosses = |start: u32, step: u32| {
            let (before, after) = (new.start.saturating_sub(start), new.end.saturating_sub(start));
            before / step != after / step
        };
        if crosses(state.sealed_end(), params.seal()) {
            self.sealer.ask(sealer::Ask::Look);
        }
        if crosses(state.covered_end(), params.scan_codes::<W>()) {
            self.tabler.ask(tabler::Ask::Look);
        }
    }
}

impl<const W: usize> Drop for Live<W> {
    /// Ends the background threads; waits for a build that is under way.
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::Relaxed);
        self.tabler.end();
        self.sealer.end();
    }
}

impl<A: Send + 'static> Background<A> {
    fn start(name: &str, work: impl FnOnce(&Receiver<A>) + Send + 'static) -> Result<Self, Error> {
        let (asks, asked) = bounded(ASKS);
        let thread = std::thread::Builder::new().name(name.to_owned()).spawn(move || work(&asked))?;
        Ok(Self { asks: Some(asks), thread: Some(thread) })
    }

    /// Asks without waiting.
    fn ask(&self, ask: A) {
        if let Some(asks) = &self.asks {
            // If the channel is full, one of the asks before will find the same work; if it is closed, nobody is left to do it.
            let _ = asks.try_send(ask);
        }
    }

    /// Asks for something and waits until it is done (or the thread is gone).
    fn wait(&self, ask: impl FnOnce(Sender<()>) -> A) {
        let (done, is_done) = bounded(1);
        if self.asks.as_ref().is_some_and(|asks| asks.send(ask(done)).is_ok()) {
            let _ = is_done.recv();
        }
    }

    fn end(&mut self) {
        self.asks = None;
        if let Some(thread) = self.thread.take() {
            // A panic there was its own; the codes are safe, and a drop must not panic.
            let _ = thread.join();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicU32;

    use phash_code::Code64;
    use roaring::RoaringBitmap;

    use super::*;
    use crate::{BuildParams, Plan, scan};

    fn codes(n: u64) -> Vec<Code64> {
        (0..n).map(|i| Code64::from_le_words([i.wrapping_mul(0x9e37_79b9_7f4a_7c15)])).collect()
    }

    fn params() -> LiveParams {
        LiveParams::default().with_seal_codes(1024).with_scan_bytes(256 * 8)
    }

    fn assert_exact(live: &Live<1>, codes: &[Code64]) {
        let snapshot = live.snapshot();
        for query in &codes[..20] {
            for radius_bits in [0, 8, 30] {
                let expected = scan::within(codes, query, radius_bits).matches;
                assert_eq!(snapshot.within(query, radius_bits).matches, expected);
            }
            assert_eq!(snapshot.nearest(query, 9).matches, scan::nearest(codes, query, 9).matches);
        }
    }

    #[test]
    fn a_build_that_fails_or_panics_loses_nothing_and_is_tried_again() {
        static BUILDS: AtomicU32 = AtomicU32::new(0);
        fn build(
            store: &store::Store<1>,
            ids: Range<u32>,
            removed: &RoaringBitmap,
            params: &BuildParams,
        ) -> Result<Vec<u8>, Error> {
            match BUILDS.fetch_add(1, Ordering::Relaxed) {
                0 => Err(Error::MissingCode { id: 7 }),
                1 => panic!("the builder's own fault"),
                2 => Ok(b"no segment".to_vec()),
                _ => sealer::build(store, ids, removed, params),
            }
        }
        let live = Live::with_build(params(), build).unwrap();
        let codes = codes(5000);
        for (number, why) in [(1, "7"), (2, "panic: the builder's own fault"), (3, "segment")] {
            let from = 1100 * (number - 1);
            live.insert_many(&codes[from..from + 1100]).unwrap();
            live.settle();
            let stats = live.stats();
            assert_eq!((stats.sealed, stats.failed_builds), (0, number as u64));
            assert!(stats.last_failure.as_ref().unwrap().contains(why), "{stats:?}");
            assert!(stats.scanned < 256 && stats.tabled > 0);
            assert_exact(&live, &codes[..from + 1100]);
        }
        live.insert_many(&codes[3300..]).unwrap();
        live.settle();
        assert_eq!((live.stats().sealed, live.stats().failed_builds), (4096, 3));
        assert_exact(&live, &codes);
        assert_eq!(live.shared.load().tails.len(), 1);
    }

    #[test]
    fn removed_codes_leave_the_segments_when_they_are_merged_or_mostly_removed() {
        let live = Live::<1>::with_params(params()).unwrap();
        let codes = codes(4096);
        let held = |live: &Live<1>| -> Vec<u32> {
            live.shared.load().segments.iter().map(crate::Segment::held_ids).collect()
        };
        live.insert_many(&codes[..2048]).unwrap();
        live.settle();
        live.insert_many(&codes[2048..3072]).unwrap();
        live.settle();
        assert_eq!(held(&live), [2048, 1024]);
        // A tenth stays where it is, until there is a merge.
        let some: Vec<u32> = (0..3072).step_by(10).collect();
        assert_eq!(live.remove_many(&some), 308);
        live.settle();
        assert_eq!(held(&live), [2048, 1024]);
        live.insert_many(&codes[3072..]).unwrap();
        live.settle();
        assert_eq!(held(&live), [4096 - 308]);
        let most: Vec<u32> = (0..3000).collect();
        live.remove_many(&most);
        live.settle();
        assert_eq!(held(&live), [4096 - 3000 - 8]);
        let snapshot = live.snapshot();
        assert_eq!(snapshot.live(), 4096 - 3000 - 8);
        assert!((0u32..).zip(&codes).all(|(id, code)| {
            let found = snapshot.within(code, 0).matches;
            found.iter().map(|found| found.id).eq((id >= 3000 && !some.contains(&id)).then_some(id))
        }));
        live.remove_many(&(3000..4096).collect::<Vec<_>>());
        live.settle();
        assert_eq!((held(&live), live.stats().failed_builds), (vec![0], 0));
        assert_eq!(live.snapshot().nearest(&codes[0], 5).matches, []);
    }

    #[test]
    fn of_equal_distances_the_smaller_id_wins_over_segments_tails_and_the_scan() {
        const TAIL: u32 = 1 << 14;
        let params = LiveParams { tail_codes: TAIL, ..params().with_seal_codes(u32::MAX).with_scan_bytes(1) };
        let live = Live::<8>::with_params(params).unwrap();
        let ones = |from: u32, count: u32| Code::<8>::from_bits(|bit| (from..from + count).contains(&bit));
        let mut state = 1u64;
        let mut random = || {
            Code::<8>::from_le_words(std::array::from_fn(|_| {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                state ^ (state >> 29)
            }))
        };
        // A segment with a code at 5 bits; a tail whose first buckets are too full to be looked at; one that is searched.
        live.insert(ones(0, 5)).unwrap();
        live.seal();
        let mut codes: Vec<Code<8>> = (0..2 * TAIL).map(|_| random()).collect();
        for code in &mut codes[..TAIL as usize] {
            (0..40).for_each(|bit| code.set_bit(bit, false));
        }
        let (first, second) = (TAIL / 2, TAIL + TAIL / 2);
        codes[first as usize] = ones(100, 3);
        codes[second as usize] = ones(200, 3);
        live.insert_many(&codes).unwrap();
        live.settle();
        live.insert(ones(300, 3)).unwrap();
        assert_eq!(live.shared.load().tails.len(), 2);
        codes.insert(0, ones(0, 5));
        codes.push(ones(300, 3));
        for strategy in [crate::Strategy::Auto, crate::Strategy::Scan] {
            let snapshot = live.snapshot().strategy(strategy);
            for k in 1..6 {
                let found = snapshot.nearest(&Code::ZERO, k);
                assert_eq!(found.matches, scan::nearest(&codes, &Code::ZERO, k).matches, "{strategy:?}, {k}");
                let probed = found.stats.candidates > 0 && found.stats.scanned > u64::from(TAIL);
                assert!(probed || k > 1 || strategy == crate::Strategy::Scan, "{:?}", found.stats);
            }
            let found = snapshot.within(&Code::ZERO, 4).matches;
            assert_eq!(
                found.iter().map(|found| found.id).collect::<Vec<_>>(),
                [first + 1, second + 1, 2 * TAIL + 1]
            );
        }
    }

    #[test]
    fn removed_ids_leave_the_tables_only_when_no_snapshot_still_has_them() {
        let live = Live::<1>::with_params(params().with_seal_codes(100_000)).unwrap();
        let codes = codes(2000);
        live.insert_many(&codes).unwrap();
        live.settle();
        let candidates = |snapshot: &Snapshot<1>| snapshot.within(&codes[5], 0).stats.candidates;
        let all = candidates(&live.snapshot());
        let old = live.snapshot();
        assert!(live.remove(5) && !live.remove(5) && !live.remove(2000));
        live.settle();
        assert_eq!(old.within(&codes[5], 0).matches.len(), 1);
        assert_eq!(live.snapshot().within(&codes[5], 0).matches, []);
        assert_eq!(candidates(&live.snapshot()), all, "an old snapshot needs it");
        drop(old);
        assert!(live.remove(6));
        live.settle();
        let of_6 = live.snapshot().within(&codes[6], 0);
        assert_eq!((of_6.matches.len(), of_6.stats.plan), (0, Plan::Index));
        let fresh = Live::<1>::with_params(params().with_seal_codes(100_000)).unwrap();
        fresh.insert_many(&codes).unwrap();
        fresh.settle();
        assert_eq!(of_6.stats.candidates + 1, fresh.snapshot().within(&codes[6], 0).stats.candidates);
    }
}
