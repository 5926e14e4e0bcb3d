//! Owns [`Source`]: the codes that a segment is built from, in the order of its bits, without those that were removed.

use std::ops::Range;

use phash_code::{Code, Codes};
use roaring::RoaringBitmap;

use crate::Error;
use crate::bit_order::BitOrder;

/// The codes of a segment: held ids, relative to the segment's first, and their ordered codes.
pub(super) enum Source<'c, const W: usize> {
    /// All ids; the codes as they lie in the collection.
    Runs(Vec<&'c [Code<W>]>),
    /// The ids that are left, ascending, and a copy of their codes.
    Left(Vec<u32>, Vec<Code<W>>),
    /// All ids; a copy of their codes.
    Ordered(Vec<Code<W>>),
}

impl<'c, const W: usize> Source<'c, W> {
    /// The codes `ids` without `removed`, their bits in `order`. Nothing is copied if nothing changes.
    pub(super) fn new<C: Codes<W> + ?Sized>(
        codes: &'c C,
        ids: &Range<u32>,
        removed: Option<&RoaringBitmap>,
        order: &BitOrder<W>,
        threads: usize,
    ) -> Result<Self, Error> {
        let runs = runs(codes, ids)?;
        let removed = removed.filter(|removed| removed.range_cardinality(ids.clone()) > 0);
        if let Some(removed) = removed {
            let mut removed = removed.range(ids.clone()).peekable();
            let mut held = Vec::new();
            let mut copies = Vec::new();
            for (id, code) in ids.clone().zip(runs.into_iter().flatten()) {
                if removed.next_if_eq(&id).is_none() {
                    held.push(id - ids.start);
                    copies.push(*code);
                }
            }
            let copies = ordered(&[&copies], order, threads);
            return Ok(Source::Left(held, copies));
        }
        if order.is_identity() {
            Ok(Source::Runs(runs))
        } else {
            Ok(Source::Ordered(ordered(&runs, order, threads)))
        }
    }

    /// How many ids are held.
    pub(super) fn held(&self) -> usize {
        match self {
            Source::Runs(runs) => len(runs),
            Source::Left(_, codes) | Source::Ordered(codes) => codes.len(),
        }
    }

    /// Calls `visit` with each held id and its ordered code, ids ascending.
    #[inline(always)]
    pub(super) fn for_each(&self, mut visit: impl FnMut(u32, &Code<W>)) {
        match self {
            Source::Left(ids, codes) => ids.iter().zip(codes).for_each(|(&id, code)| visit(id, code)),
            Source::Ordered(codes) => (0u32..).zip(codes).for_each(|(id, code)| visit(id, code)),
            Source::Runs(runs) => {
                let mut first = 0u32;
                for run in runs {
                    (first..).zip(*run).for_each(|(id, code)| visit(id, code));
                    first += Codes::len(run);
                }
            }
        }
    }
}

/// The runs that hold the codes `ids`, which lie within the collection.
pub(super) fn runs<'c, const W: usize, C: Codes<W> + ?Sized>(
    codes: &'c C,
    ids: &Range<u32>,
) -> Result<Vec<&'c [Code<W>]>, Error> {
    let mut runs = Vec::new();
    let mut id = ids.start;
    while id < ids.end {
        let run = codes.run(id);
        let run = &run[..run.len().min((ids.end - id) as usize)];
        id += u32::try_from(run.len()).ok().filter(|&len| len > 0).ok_or(Error::MissingCode { id })?;
        runs.push(run);
    }
    Ok(runs)
}

fn len<const W: usize>(runs: &[&[Code<W>]]) -> usize {
    runs.iter().map(|run| <[Code<W>]>::len(run)).sum()
}

/// The codes of all runs with their bits in order.
fn ordered<const W: usize>(runs: &[&[Code<W>]], order: &BitOrder<W>, threads: usize) -> Vec<Code<W>> {
    if order.is_identity() {
        return runs.concat();
    }
    let mut copies = vec![Code::ZERO; len(runs)];
    let part_len = copies.len().div_ceil(threads).max(1);
    std::thread::scope(|scope| {
        for (part, copies) in copies.chunks_mut(part_len).enumerate() {
            let codes = runs.iter().flat_map(|run| run.iter());
            let _running = scope.spawn(move || {
                // Skipping takes time linear in the runs only.
                copies
                    .iter_mut()
                    .zip(codes.skip(part * part_len))
                    .for_each(|(copy, code)| *copy = order.apply(code));
            });
        }
    });
    copies
}
