//! Owns the codes of a live index: append-only and persistent. A copy of a [`Store`] is a handful of pointers and keeps
//! its codes whatever is appended to another: nothing that a reader may hold is ever written to.
//!
//! Full chunks are shared for ever. Behind them lie runs of halving lengths, merged as the digits of a binary counter are
//! carried, so that a code is copied log2([`CHUNK`]) times at most and an append needs no lock and no unsafe code.

use std::sync::Arc;

use phash_code::{Code, Codes};

/// Codes of a full chunk.
pub(super) const CHUNK: usize = 1 << CHUNK_BITS;
const CHUNK_BITS: u32 = 16;

#[derive(Clone, Debug)]
pub(super) struct Store<const W: usize> {
    /// All of [`CHUNK`] codes.
    chunks: Arc<Vec<Arc<Vec<Code<W>>>>>,
    /// What follows, each run with its first place behind the chunks; less than a chunk in all.
    runs: Vec<(usize, Arc<Vec<Code<W>>>)>,
    len: u32,
}

impl<const W: usize> Store<W> {
    pub(super) fn new() -> Self {
        Self { chunks: Arc::default(), runs: Vec::new(), len: 0 }
    }

    /// Appends the codes. They must not make more than `u32::MAX`.
    pub(super) fn append(&mut self, mut codes: &[Code<W>]) {
        while !codes.is_empty() {
            let open = self.open();
            let (now, later) = codes.split_at(codes.len().min(CHUNK - open));
            let fills = open + now.len() == CHUNK;
            // The runs that the new one swallows: all, or while they are no longer than what is merged already.
            let (mut first, mut start) = (self.runs.len(), open);
            while first > 0 && (fills || self.runs[first - 1].1.len() <= open - start + now.len()) {
                first -= 1;
                start = self.runs[first].0;
            }
            let mut run = Vec::with_capacity(open - start + now.len());
            self.runs.drain(first..).for_each(|(_, codes)| run.extend_from_slice(&codes));
            run.extend_from_slice(now);
            if fills {
                Arc::make_mut(&mut self.chunks).push(Arc::new(run));
            } else {
                self.runs.push((start, Arc::new(run)));
            }
            #[expect(
                clippy::cast_possible_truncation,
                reason = "at most CHUNK, and the sum at most u32::MAX"
            )]
            let added = now.len() as u32;
            self.len += added;
            codes = later;
        }
    }

    /// How many codes lie behind the chunks.
    fn open(&self) -> usize {
        self.runs.last().map_or(0, |(start, run)| start + run.len())
    }
}

impl<const W: usize> Codes<W> for Store<W> {
    fn len(&self) -> u32 {
        self.len
    }

    #[inline]
    fn run(&self, id: u32) -> &[Code<W>] {
        let (chunk, place) = ((id >> CHUNK_BITS) as usize, id as usize % CHUNK);
        match self.chunks.get(chunk) {
            Some(codes) => &codes[place..],
            None if chunk == self.chunks.len() => {
                let run = self.runs.iter().find(|(start, run)| (*start..start + run.len()).contains(&place));
                run.map_or(&[], |(start, run)| &run[place - start..])
            }
            None => &[],
        }
    }
}

/// The first codes of a store, as a collection of their own.
#[derive(Clone, Copy, Debug)]
pub(super) struct Prefix<'s, const W: usize> {
    pub(super) store: &'s Store<W>,
    /// At most as many as the store has.
    pub(super) len: u32,
}

impl<const W: usize> Codes<W> for Prefix<'_, W> {
    fn len(&self) -> u32 {
        self.len
    }

    #[inline]
    fn run(&self, id: u32) -> &[Code<W>] {
        let run = self.store.run(id);
        let left = self.len.saturating_sub(id) as usize;
        run.get(..left).unwrap_or(run)
    }
}

#[cfg(test)]
mod tests {
    use phash_code::Code64;
    use proptest::prelude::*;

    use super::*;

    fn all(codes: &impl Codes<1>) -> Vec<Code64> {
        let mut all: Vec<Code64> = Vec::new();
        while all.len() < codes.len() as usize {
            let run = codes.run(u32::try_from(all.len()).unwrap());
            assert!(!run.is_empty());
            all.extend(run);
        }
        all
    }

    fn code(i: usize) -> Code64 {
        Code64::from_le_words([i as u64])
    }

    proptest! {
        #[test]
        fn every_copy_keeps_its_codes_whatever_is_appended_later(
            lens in prop::collection::vec(prop_oneof![1usize..9, 1usize..3000, 40_000usize..140_000], 1..12),
        ) {
            let mut store = Store::<1>::new();
            let mut copies = Vec::new();
            let mut codes = Vec::new();
            for len in lens {
                let new: Vec<Code64> = (codes.len()..codes.len() + len).map(code).collect();
                store.append(&new);
                codes.extend(new);
                copies.push(store.clone());
            }
            for copy in copies {
                let len = copy.len() as usize;
                prop_assert_eq!(&all(&copy), &codes[..len]);
                prop_assert!(copy.run(copy.len()).is_empty() && copy.run(u32::MAX).is_empty());
                let half = copy.len() / 2;
                prop_assert_eq!(&all(&Prefix { store: &copy, len: half }), &codes[..half as usize]);
                let prefix = Prefix { store: &copy, len: half };
                prop_assert!(prefix.run(half).is_empty());
            }
        }
    }

    #[test]
    fn single_codes_make_few_runs() {
        let mut store = Store::<1>::new();
        for i in 0..CHUNK + 1000 {
            store.append(&[code(i)]);
            assert!(store.runs.len() <= 17);
        }
        assert_eq!(all(&store), (0..CHUNK + 1000).map(code).collect::<Vec<_>>());
    }
}
