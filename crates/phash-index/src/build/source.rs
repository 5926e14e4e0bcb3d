//! Owns [`Source`]: the codes that a segment is built from, in the order of its bits, without those that were removed.

use std::ops::Range;
use std::sync::atomic::AtomicBool;

use phash_code::{Code, Codes};
use roaring::RoaringBitmap;

use crate::Error;
use crate::bit_order::BitOrder;
use crate::build::check;

/// Codes visited or copied between two looks at the cancel flag: some hundred microseconds.
const BLOCK_CODES: usize = 1 << 16;

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
        cancel: &AtomicBool,
    ) -> Result<Self, Error> {
        let runs = runs(codes, ids)?;
        let removed = removed.filter(|removed| removed.range_cardinality(ids.clone()) > 0);
        if let Some(removed) = removed {
            let mut removed = removed.range(ids.clone()).peekable();
            let mut held = Vec::new();
            let mut copies = Vec::new();
            for (place, (id, code)) in ids.clone().zip(runs.into_iter().flatten()).enumerate() {
                if place.is_multiple_of(BLOCK_CODES) {
                    check(cancel)?;
                }
                if removed.next_if_eq(&id).is_none() {
                    held.push(id - ids.start);
                    copies.push(*code);
                }
            }
            let copies = ordered(&[&copies], order, threads, cancel)?;
            return Ok(Source::Left(held, copies));
        }
        if order.is_identity() {
            Ok(Source::Runs(runs))
        } else {
            Ok(Source::Ordered(ordered(&runs, order, threads, cancel)?))
        }
    }

    /// How many ids are held.
    pub(super) fn held(&self) -> usize {
        match self {
            Source::Runs(runs) => len(runs),
            Source::Left(_, codes) | Source::Ordered(codes) => codes.len(),
        }
    }

    /// Calls `visit` with each held id and its ordered code, ids ascending; [`Error::Cancelled`] soon after the flag is
    /// raised.
    #[inline(always)]
    pub(super) fn for_each(
        &self,
        cancel: &AtomicBool,
        mut visit: impl FnMut(u32, &Code<W>),
    ) -> Result<(), Error> {
        match self {
            Source::Left(ids, codes) => {
                for (ids, codes) in ids.chunks(BLOCK_CODES).zip(codes.chunks(BLOCK_CODES)) {
                    check(cancel)?;
                    ids.iter().zip(codes).for_each(|(&id, code)| visit(id, code));
                }
                Ok(())
            }
            Source::Ordered(codes) => for_each_of(0, codes, cancel, &mut visit),
            Source::Runs(runs) => {
                let mut first = 0u32;
                for run in runs {
                    for_each_of(first, run, cancel, &mut visit)?;
                    first += Codes::len(run);
                }
                Ok(())
            }
        }
    }
}

#[inline(always)]
fn for_each_of<const W: usize>(
    first: u32,
    codes: &[Code<W>],
    cancel: &AtomicBool,
    visit: &mut impl FnMut(u32, &Code<W>),
) -> Result<(), Error> {
    let mut ids = first..;
    for block in codes.chunks(BLOCK_CODES) {
        check(cancel)?;
        block.iter().zip(&mut ids).for_each(|(code, id)| visit(id, code));
    }
    Ok(())
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
fn ordered<const W: usize>(
    runs: &[&[Code<W>]],
    order: &BitOrder<W>,
    threads: usize,
    cancel: &AtomicBool,
) -> Result<Vec<Code<W>>, Error> {
    if order.is_identity() {
        return Ok(runs.concat());
    }
    let mut copies = vec![Code::ZERO; len(runs)];
    let part_len = copies.len().div_ceil(threads).max(1);
    std::thread::scope(|scope| {
        for (part, copies) in copies.chunks_mut(part_len).enumerate() {
            // Skipping takes time linear in the runs only.
            let mut codes = runs.iter().flat_map(|run| run.iter()).skip(part * part_len);
            let _running = scope.spawn(move || {
                for block in copies.chunks_mut(BLOCK_CODES) {
                    if check(cancel).is_err() {
                        break;
                    }
                    block.iter_mut().zip(&mut codes).for_each(|(copy, code)| *copy = order.apply(code));
                }
            });
        }
    });
    check(cancel)?;
    Ok(copies)
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::Ordering;

    use super::*;

    #[test]
    fn every_code_is_visited_once_and_a_raised_flag_is_seen_within_a_block() {
        let n = 2 * u32::try_from(BLOCK_CODES).unwrap() + 5;
        let codes: Vec<Code<1>> = (0..n).map(|id| Code::from_le_words([u64::from(id)])).collect();
        let (early, late) = codes.split_at(BLOCK_CODES + 7);
        let sources = [
            Source::Runs(vec![early, late]),
            Source::Left((0..n).collect(), codes.clone()),
            Source::Ordered(codes.clone()),
        ];
        for source in sources {
            let (cancel, mut next) = (AtomicBool::new(false), 0);
            let mut visit = |id, code: &Code<1>| {
                assert_eq!((id, code.to_le_words()), (next, [u64::from(next)]));
                next += 1;
            };
            source.for_each(&cancel, &mut visit).unwrap();
            assert_eq!(next, n);
            let mut visited = 0;
            let ended = source.for_each(&cancel, |_, _| {
                visited += 1;
                cancel.store(true, Ordering::Relaxed);
            });
            assert!(matches!(ended, Err(Error::Cancelled)));
            assert_eq!(visited, BLOCK_CODES);
        }
    }

    #[test]
    fn codes_are_not_put_in_order_once_the_flag_is_up() {
        let codes = [Code::<1>::ZERO; 9];
        let order: Vec<u16> = (0..64).rev().collect();
        let (order, up) = (BitOrder::new(&order).unwrap(), AtomicBool::new(true));
        assert!(matches!(ordered(&[&codes], &order, 2, &up), Err(Error::Cancelled)));
    }
}
