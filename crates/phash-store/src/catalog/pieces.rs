//! Owns the going through a table of which anything may be wrong, piece by piece: each row that can be read comes, in order; what
//! cannot be read comes with its error, as narrowly as can be told; what is only claimed costs nothing.

use std::ops::Range;

use roaring::RoaringBitmap;

use crate::error::{Error, Result};

/// Rows fetched at once while all goes well.
const PAGE: u32 = 256;

/// Rows of one table, or why there are none.
pub(crate) type Piece<T> = (Range<u32>, Result<Vec<T>>);

/// A table of which anything may be wrong, also how many rows it is said to have.
pub(crate) struct Table<'a, T> {
    /// All rows with ids in a range, in order.
    pub(crate) fetch: &'a dyn Fn(Range<u32>) -> Result<Vec<T>>,
    /// The first id from here on that has a row.
    pub(crate) next: &'a dyn Fn(u32) -> Result<Option<u32>>,
    /// For so many ids the file has room. Below, each id is asked for, whatever neighbours say; from there on, rows are looked
    /// for: ids without a row can be claimed by the billion.
    pub(crate) room: u32,
}

impl<T> Table<'_, T> {
    /// Fetches the rows with ids in `ids`, and hands them over in order. What cannot be fetched at once is fetched by halves,
    /// down to single rows; neighbours that fail in the same way are one piece. Questions: linear in the rows that there are and
    /// in `room`.
    pub(crate) fn by_pieces<E>(
        &self,
        ids: Range<u32>,
        each: &mut dyn FnMut(Piece<T>) -> Result<(), E>,
    ) -> Result<(), E> {
        let mut failed: Option<(Range<u32>, Error)> = None;
        let mut todo: Vec<Range<u32>> = Vec::new();
        let mut next = ids.start;
        while next < ids.end || !todo.is_empty() {
            let (piece, rows) = match todo.pop() {
                Some(piece) => (piece.clone(), (self.fetch)(piece)),
                None => self.piece(next, ids.end),
            };
            next = next.max(piece.end);
            match rows {
                Ok(rows) => {
                    if let Some((ids, error)) = failed.take() {
                        each((ids, Err(error)))?;
                    }
                    each((piece, Ok(rows)))?;
                }
                Err(_) if piece.len() > 1 && piece.start < self.room => {
                    let middle = piece.start + (piece.end - piece.start) / 2;
                    todo.push(middle..piece.end);
                    todo.push(piece.start..middle);
                }
                Err(error) => match &mut failed {
                    Some((ids, before))
                        if ids.end == piece.start && before.to_string() == error.to_string() =>
                    {
                        ids.end = piece.end;
                    }
                    _ => {
                        if let Some((ids, before)) = failed.replace((piece, error)) {
                            each((ids, Err(before)))?;
                        }
                    }
                },
            }
        }
        match failed {
            Some((ids, error)) => each((ids, Err(error))),
            None => Ok(()),
        }
    }

    /// The next piece from `start` on, of ids below `end`: a page of rows, or all ids up to the next row.
    fn piece(&self, start: u32, end: u32) -> Piece<T> {
        let page = start..start.saturating_add(PAGE).min(end);
        if start < self.room {
            let rows = (self.fetch)(page.clone());
            return (page, rows);
        }
        match (self.next)(start) {
            Ok(Some(first)) if first == start => {
                let rows = (self.fetch)(page.clone());
                (page, rows)
            }
            Ok(first) => (start..first.map_or(end, |first| first.clamp(start + 1, end)), Ok(Vec::new())),
            Err(error) => (start..end, Err(error)),
        }
    }
}

/// The ids in `ids` that are not among `others`, in runs.
pub(crate) fn gaps(ids: Range<u32>, others: &RoaringBitmap) -> impl Iterator<Item = Range<u32>> {
    let mut next = ids.start;
    let ends = others.range(ids.clone()).map(Some).chain([None]);
    let runs = ends.map(move |other| {
        let run = next..other.unwrap_or(ids.end);
        next = run.end.saturating_add(1);
        run
    });
    runs.filter(|run| !run.is_empty())
}

/// Adds an id, larger than all that are there, to runs of ids.
pub(crate) fn add_to_runs(runs: &mut Vec<Range<u32>>, id: u32) {
    match runs.last_mut() {
        Some(run) if run.end == id => run.end = id.saturating_add(1),
        _ => runs.push(id..id.saturating_add(1)),
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    /// Rows that came, pieces that failed and why, and how many questions it took.
    type Told = (Vec<u32>, Vec<(Range<u32>, String)>, u32);

    /// Rows are their ids: all below `room`, and those in `far`; those in `bad` fail, each with the message of its hundred.
    fn pieces(ids: Range<u32>, bad: &[u32], room: u32, far: &[u32]) -> Told {
        let (mut good, mut failed, asked) = (Vec::new(), Vec::new(), Cell::new(0));
        let has = |id: &u32| *id < room || far.contains(id);
        let fetch = |ids: Range<u32>| {
            asked.set(asked.get() + 1);
            match bad.iter().find(|id| ids.contains(id)) {
                Some(id) => Err(Error::InvalidInput { what: format!("hundred {}", id / 100) }),
                None => Ok(ids.filter(has).collect()),
            }
        };
        let next = |start: u32| {
            asked.set(asked.get() + 1);
            assert!(start >= room);
            Ok(far.iter().copied().find(|&id| id >= start))
        };
        let mut seen = ids.start;
        Table { fetch: &fetch, next: &next, room }
            .by_pieces(ids.clone(), &mut |(ids, rows)| {
                assert_eq!(std::mem::replace(&mut seen, ids.end), ids.start);
                match rows {
                    Ok(rows) => good.extend(rows),
                    Err(error) => failed.push((ids, error.to_string())),
                }
                Ok::<_, Error>(())
            })
            .unwrap();
        assert_eq!(seen, ids.end);
        (good, failed, asked.get())
    }

    #[test]
    fn exactly_the_rows_that_fail_are_left_out_and_told_in_as_few_pieces_as_there_are_reasons() {
        let bad: Vec<u32> = [7, 300, 301, 302, 999, 1000].into();
        let (good, failed, asked) = pieces(3..1003, &bad, 2000, &[]);
        assert!(good.iter().copied().eq((3..1003).filter(|id| !bad.contains(id))));
        let told: Vec<(Range<u32>, &str)> =
            failed.iter().map(|(ids, why)| (ids.clone(), why.as_str())).collect();
        let why = |hundred: u32| format!("cannot store this: hundred {hundred}");
        let whys = [why(0), why(3), why(9), why(10)];
        assert_eq!(
            told,
            [(7..8, &*whys[0]), (300..303, &*whys[1]), (999..1000, &*whys[2]), (1000..1001, &*whys[3])]
        );
        assert!(asked < 80, "{asked} questions");
        assert_eq!(pieces(5..5, &[], 2000, &[]).0, []);
        assert_eq!(pieces(0..600, &(0..600).collect::<Vec<_>>(), 2000, &[]).0, []);
    }

    #[test]
    fn ids_that_are_only_claimed_are_not_asked_for_one_by_one() {
        let far = [1000, 1001, 3_000_000_000, u32::MAX - 1];
        let (good, failed, asked) = pieces(0..u32::MAX, &[], 600, &far);
        assert!(good.iter().copied().eq((0..600).chain(far)));
        assert!(failed.is_empty() && asked < 20, "{failed:?}, {asked} questions");
        // Nor where they cannot be read: what is there is told with its page.
        let (good, failed, asked) = pieces(0..u32::MAX, &[1001, 3_000_000_000], 600, &far);
        assert!(good.iter().copied().eq((0..600).chain([u32::MAX - 1])));
        let told: Vec<Range<u32>> = failed.into_iter().map(|(ids, _)| ids).collect();
        assert_eq!(told, [1000..1256, 3_000_000_000..3_000_000_256]);
        assert!(asked < 20, "{asked} questions");
    }

    #[test]
    fn gaps_and_others_are_all_ids() {
        let others: RoaringBitmap = [0, 3, 4, 9, 20, u32::MAX].into_iter().collect();
        let runs = |ids: Range<u32>| gaps(ids, &others).collect::<Vec<_>>();
        assert_eq!(runs(0..12), [1..3, 5..9, 10..12]);
        assert_eq!(runs(3..5), []);
        assert_eq!(runs(5..5), []);
        assert_eq!(runs(5..9), vec![5..9]);
        assert_eq!(runs(21..u32::MAX), vec![21..u32::MAX]);
    }
}
