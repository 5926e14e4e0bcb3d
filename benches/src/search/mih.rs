//! Owns mih-rs as a contender: 64-bit codes only, ids without distances.

use std::time::Instant;

use phash_code::Code;
use phash_index::Match;

use super::contender::{Built, Contender, Evict, Fit, Skip, sorted, time_again, time_all, time_each};
use super::memory;
use super::task::{How, Task};
use crate::codes::files::Filed;

pub(super) struct MihRs;

impl<const W: usize> Contender<W> for MihRs {
    fn name(&self) -> String {
        "mih-rs".to_owned()
    }

    fn can(&self, _task: Task, _how: How) -> bool {
        W == 1
    }

    fn building_bytes_a_code(&self) -> f64 {
        60.0
    }

    fn build<'d>(&'d self, filed: &'d Filed<W>, _threads: usize) -> Result<Fit<'d, W>, Skip> {
        let words: Vec<u64> = filed.data.codes.iter().map(|code| code.to_le_words()[0]).collect();
        let start = Instant::now();
        // The words are counted before, and belong to the index then.
        let words_bytes = size_of_val(&words[..]) as u64;
        let (index, grown, peak_bytes) = memory::of(|| mih_rs::Index::new(words));
        let build_s = start.elapsed().as_secs_f64();
        let index = index.map_err(|error| Skip(format!("{error:?}")))?;
        let evict = Evict::new(filed.data.codes.len());
        let built =
            Box::new(MihBuilt { index, codes: &filed.data.codes, queries: &filed.data.queries, evict });
        Ok(Fit { built, build_s, memory_bytes: grown + words_bytes, peak_bytes })
    }
}

struct MihBuilt<'d, const W: usize> {
    index: mih_rs::Index<u64>,
    codes: &'d [Code<W>],
    queries: &'d [Code<W>],
    evict: Evict,
}

impl<const W: usize> Built<W> for MihBuilt<'_, W> {
    fn answers(&mut self, task: Task, _how: How, count: usize) -> Result<Vec<Vec<Match>>, Skip> {
        let answer = |query: &Code<W>| {
            let matched = |&id: &u32| Match { distance_bits: query.distance(&self.codes[id as usize]), id };
            let word = query.to_le_words()[0];
            sorted(match task {
                Task::Within(radius_bits) => {
                    self.index.range_searcher().run(word, radius_bits as usize).iter().map(matched).collect()
                }
                Task::Nearest(k) => self
                    .index
                    .topk_searcher()
                    .run(word, k.min(self.codes.len()))
                    .iter()
                    .map(matched)
                    .collect(),
            })
        };
        Ok(self.queries[..count].iter().map(answer).collect())
    }

    fn time(&mut self, task: Task, how: How, count: usize) -> Result<Vec<f64>, Skip> {
        let (index, queries, n) = (&self.index, &self.queries[..count], self.codes.len());
        let threads = match how {
            How::One => return Ok(time_each(&self.evict, queries, search(index, task, n))),
            How::Again => return Ok(time_again(queries, search(index, task, n))),
            How::Batch { threads } => threads,
        };
        let part = queries.len().div_ceil(threads).max(1);
        let work = |queries: &[Code<W>]| queries.iter().map(search(index, task, n)).sum::<usize>();
        Ok(time_all(&self.evict, || {
            std::thread::scope(|scope| {
                let work = &work;
                let parts: Vec<_> =
                    queries.chunks(part).map(|queries| scope.spawn(move || work(queries))).collect();
                parts.into_iter().map(|part| part.join().expect("a search does not panic")).sum::<usize>()
            })
        }))
    }
}

/// A search with buffers of its own; gives the number of matches. More nearest codes than there are make it panic.
fn search<const W: usize>(index: &mih_rs::Index<u64>, task: Task, n: usize) -> impl FnMut(&Code<W>) -> usize {
    let (mut range, mut topk) = (index.range_searcher(), index.topk_searcher());
    move |query| {
        let word = query.to_le_words()[0];
        match task {
            Task::Within(radius_bits) => range.run(word, radius_bits as usize).len(),
            Task::Nearest(k) => topk.run(word, k.min(n)).len(),
        }
    }
}
