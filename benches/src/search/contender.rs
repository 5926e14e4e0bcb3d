//! Owns [`Contender`] and [`Built`]: what every search in the contest can be asked. Each takes its own times, because some
//! live in another process; all count from the query's bits to the finished answer.

use std::hint::black_box;
use std::time::Instant;

use phash_code::Code;
use phash_index::{Match, SearchStats};

use super::task::{How, Task};
use crate::codes::files::Filed;

/// Why a contender does not take part, for the reader.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Skip(pub String);

impl<E: std::error::Error> From<E> for Skip {
    fn from(error: E) -> Self {
        Self(error.to_string())
    }
}

/// Which side a contender is on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// Our index.
    Index,
    /// Our scan: what the index must not lose to.
    Scan,
    /// Somebody else's.
    Rival,
}

/// A way to search codes of `W` words.
pub trait Contender<const W: usize> {
    /// Its name in the tables.
    fn name(&self) -> String;

    /// Whose it is.
    fn side(&self) -> Side {
        Side::Rival
    }

    /// Whether it answers a task, put so, with all that there is to find.
    fn can(&self, task: Task, how: How) -> bool;

    /// Whether its build takes a number of threads.
    fn builds_on_threads(&self) -> bool {
        false
    }

    /// Bytes a code that building it may take at most, the codes not counted: where memory is short it is not begun.
    fn building_bytes_a_code(&self) -> f64;

    /// Builds it over the codes.
    ///
    /// # Errors
    /// Why it cannot be had here.
    fn build<'d>(&'d self, filed: &'d Filed<W>, threads: usize) -> Result<Fit<'d, W>, Skip>;
}

/// A contender that is ready, and what that took.
pub struct Fit<'d, const W: usize> {
    /// What answers.
    pub built: Box<dyn Built<W> + 'd>,
    /// Seconds it took.
    pub build_s: f64,
    /// Bytes it holds, codes included.
    pub memory_bytes: u64,
    /// Bytes that building took at the most, codes not counted, if known.
    pub peak_bytes: Option<u64>,
}

/// A contender over its codes. Queries are the first `count` of those in the files it was built from.
pub trait Built<const W: usize> {
    /// The answers, each in order of distance, then id.
    ///
    /// # Errors
    /// What went wrong.
    fn answers(&mut self, task: Task, how: How, count: usize) -> Result<Vec<Vec<Match>>, Skip>;

    /// Nanoseconds of each query, or of the whole batch.
    ///
    /// # Errors
    /// What went wrong.
    fn time(&mut self, task: Task, how: How, count: usize) -> Result<Vec<f64>, Skip>;

    /// The work of each query, where it is counted.
    fn work(&mut self, _task: Task, _count: usize) -> Option<Vec<SearchStats>> {
        None
    }
}

/// Memory gone through before a pass, so that a query finds what others left in the caches, but not its own lines.
pub struct Evict(Vec<u64>);

impl Evict {
    /// For `n` codes: nothing for so few that they stay in the caches anyway.
    #[must_use]
    pub fn new(n: usize) -> Self {
        Self(vec![1; if n > 100_000 { 8 << 20 } else { 0 }])
    }

    /// Goes through it.
    pub fn run(&self) {
        black_box(self.0.iter().fold(0, |sum, word| sum ^ word));
    }
}

/// Times each query of a search in this process; includes the clock, about 30 ns.
pub fn time_each<const W: usize, R>(
    evict: &Evict,
    queries: &[Code<W>],
    mut search: impl FnMut(&Code<W>) -> R,
) -> Vec<f64> {
    evict.run();
    let time = |query| {
        let start = Instant::now();
        drop(black_box(search(query)));
        start.elapsed().as_nanos() as f64
    };
    queries.iter().map(time).collect()
}

/// Times a loop over the queries, once all of them have been asked untimed: for each query the mean.
pub fn time_again<const W: usize, R>(queries: &[Code<W>], mut search: impl FnMut(&Code<W>) -> R) -> Vec<f64> {
    let mut run = || queries.iter().for_each(|query| drop(black_box(search(query))));
    run();
    let start = Instant::now();
    run();
    vec![start.elapsed().as_nanos() as f64 / queries.len().max(1) as f64; queries.len()]
}

/// Times a batch in this process.
pub fn time_all<R>(evict: &Evict, batch: impl FnOnce() -> R) -> Vec<f64> {
    evict.run();
    let start = Instant::now();
    drop(black_box(batch()));
    vec![start.elapsed().as_nanos() as f64]
}

/// The answers with ids and distances in the order that is compared.
pub fn sorted(mut matches: Vec<Match>) -> Vec<Match> {
    matches.sort_unstable();
    matches
}
