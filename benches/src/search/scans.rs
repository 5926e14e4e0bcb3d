//! Owns our scans as contenders: the one for a single query, and the one for a batch, which goes through the codes once for
//! all queries.

use phash_code::{Code, Kernel};
use phash_index::{Match, scan};

use super::contender::{Built, Contender, Evict, Fit, Side, Skip, sorted, time_all, time_each};
use super::task::{How, Task};
use crate::codes::files::Filed;

pub(super) struct Scan;

impl<const W: usize> Contender<W> for Scan {
    fn name(&self) -> String {
        "scan".to_owned()
    }

    fn side(&self) -> Side {
        Side::Scan
    }

    fn can(&self, _task: Task, how: How) -> bool {
        how != How::Again
    }

    fn building_bytes_a_code(&self) -> f64 {
        0.0
    }

    fn build<'d>(&'d self, filed: &'d Filed<W>, _threads: usize) -> Result<Fit<'d, W>, Skip> {
        let codes = &filed.data.codes[..];
        let built = Box::new(Scanned { codes, queries: &filed.data.queries, evict: Evict::new(codes.len()) });
        Ok(Fit { built, build_s: 0.0, memory_bytes: size_of_val(codes) as u64, peak_bytes: None })
    }
}

struct Scanned<'d, const W: usize> {
    codes: &'d [Code<W>],
    queries: &'d [Code<W>],
    evict: Evict,
}

impl<const W: usize> Scanned<'_, W> {
    fn one(&self, task: Task, query: &Code<W>) -> Vec<Match> {
        match task {
            Task::Within(radius_bits) => scan::within(self.codes, query, radius_bits).matches,
            Task::Nearest(k) => scan::nearest(self.codes, query, k).matches,
        }
    }
}

impl<const W: usize> Built<W> for Scanned<'_, W> {
    fn answers(&mut self, task: Task, how: How, count: usize) -> Result<Vec<Vec<Match>>, Skip> {
        let queries = &self.queries[..count];
        Ok(match how {
            How::One | How::Again => queries.iter().map(|query| self.one(task, query)).collect(),
            How::Batch { threads } => batch(self.codes, task, queries, threads),
        })
    }

    fn time(&mut self, task: Task, how: How, count: usize) -> Result<Vec<f64>, Skip> {
        let queries = &self.queries[..count];
        Ok(match how {
            How::One | How::Again => time_each(&self.evict, queries, |query| self.one(task, query)),
            How::Batch { threads } => time_all(&self.evict, || batch(self.codes, task, queries, threads)),
        })
    }
}

/// Each thread answers a part of the queries.
fn batch<const W: usize>(
    codes: &[Code<W>],
    task: Task,
    queries: &[Code<W>],
    threads: usize,
) -> Vec<Vec<Match>> {
    let part = queries.len().div_ceil(threads).max(1);
    std::thread::scope(|scope| {
        let parts: Vec<_> =
            queries.chunks(part).map(|queries| scope.spawn(move || blocks(codes, task, queries))).collect();
        parts.into_iter().flat_map(|part| part.join().expect("a scan does not panic")).collect()
    })
}

fn blocks<const W: usize>(codes: &[Code<W>], task: Task, queries: &[Code<W>]) -> Vec<Vec<Match>> {
    let (radius_bits, k) = match task {
        Task::Within(radius_bits) => (radius_bits, usize::MAX),
        Task::Nearest(k) => (Code::<W>::BITS, k),
    };
    let mut below_bits = vec![if k == 0 { 0 } else { radius_bits + 1 }; queries.len()];
    let mut found: Vec<Vec<Match>> = vec![Vec::new(); queries.len()];
    Kernel::detect().within_many(
        queries,
        codes,
        &mut below_bits,
        |query, index, distance_bits, below_bits| {
            let found = &mut found[query];
            found.push(Match { distance_bits, id: u32::try_from(index).expect("ids have 32 bits") });
            // Twice as many as wanted: the nearer half is kept. Codes come in order, so that later ones must be nearer.
            if found.len() / 2 >= k {
                found.select_nth_unstable(k - 1);
                found.truncate(k);
                *below_bits = found.iter().map(|found| found.distance_bits).max().unwrap_or(0);
            }
        },
    );
    let nearest = |found: Vec<Match>| {
        let mut found = sorted(found);
        found.truncate(k);
        found
    };
    found.into_iter().map(nearest).collect()
}
