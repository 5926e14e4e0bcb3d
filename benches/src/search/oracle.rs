//! Owns the right answers: those of our scan, itself checked here against distances computed code by code.

use phash_code::Code;
use phash_index::{Match, scan};

use super::contender::{Skip, sorted};
use super::task::Task;
use crate::parallel;

/// The answers to the first `count` queries.
///
/// # Panics
/// If the scan is wrong about the first two.
#[must_use]
pub fn answers<const W: usize>(codes: &[Code<W>], queries: &[Code<W>], task: Task) -> Vec<Vec<Match>> {
    let answers = parallel::map(queries, |query| match task {
        Task::Within(radius_bits) => scan::within(codes, query, radius_bits).matches,
        Task::Nearest(k) => scan::nearest(codes, query, k).matches,
    });
    for (query, answer) in queries.iter().zip(&answers).take(2) {
        assert_eq!(*answer, one_by_one(codes, query, task), "the scan is wrong: {task}");
    }
    answers
}

fn one_by_one<const W: usize>(codes: &[Code<W>], query: &Code<W>, task: Task) -> Vec<Match> {
    let all = (0..).zip(codes).map(|(id, code)| Match { distance_bits: query.distance(code), id });
    match task {
        Task::Within(radius_bits) => sorted(all.filter(|found| found.distance_bits <= radius_bits).collect()),
        Task::Nearest(k) => {
            let mut all = all.collect::<Vec<_>>();
            if k < all.len() && k > 0 {
                all.select_nth_unstable(k - 1);
            }
            all.truncate(k);
            sorted(all)
        }
    }
}

/// Whether the answers are right. Of the nearest codes, others at the distance of the last will do where `ties` may be
/// broken otherwise than we do.
///
/// # Errors
/// What is wrong.
pub fn check(task: Task, given: &[Vec<Match>], right: &[Vec<Match>], ties: bool) -> Result<(), Skip> {
    for (number, (given, right)) in given.iter().zip(right).enumerate() {
        let same = match task {
            Task::Nearest(_) if ties => {
                let distances = |matches: &[Match]| -> Vec<u32> {
                    matches.iter().map(|found| found.distance_bits).collect()
                };
                distances(given) == distances(right)
            }
            _ => given == right,
        };
        if !same {
            return Err(Skip(format!(
                "WRONG ANSWER to query {number}, {task}: {} matches given, {} right",
                given.len(),
                right.len()
            )));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_match_is_told_and_ties_are_let_pass_on_request() {
        let found = |id, distance_bits| Match { distance_bits, id };
        let right = [vec![found(1, 0), found(2, 3)]];
        let other_tie = [vec![found(1, 0), found(9, 3)]];
        assert_eq!(check(Task::Nearest(2), &other_tie, &right, true), Ok(()));
        assert!(check(Task::Nearest(2), &other_tie, &right, false).is_err());
        assert!(check(Task::Within(3), &other_tie, &right, true).is_err());
        assert!(check(Task::Within(3), &[vec![found(1, 0)]], &right, true).is_err());
    }
}
