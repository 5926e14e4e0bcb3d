//! Owns our index as a contender: in both layouts, on the pages that the allocator gives and on those of 2 MiB.

use std::time::Instant;

use phash_code::Code;
use phash_index::{BuildParams, Index, Match, Matches, SearchStats, Segment, build_segment};

use super::contender::{Built, Contender, Evict, Fit, Side, Skip, time_all, time_each};
use super::memory::{self, Buffer};
use super::task::{How, Task};
use crate::codes::files::Filed;

/// A layout of index segments, as the tables call it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Layout {
    /// Ids only.
    Compact,
    /// Ids with sketches of the codes beside them.
    Fast,
}

impl Layout {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Fast, Self::Compact];

    /// `fast` or `compact`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Layout::Compact => "compact",
            Layout::Fast => "fast",
        }
    }

    /// The layout of the contender of this name, if it is ours.
    #[must_use]
    pub fn of(contender: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|layout| contender.starts_with(layout.name()))
    }

    /// What a segment of this layout is built with.
    ///
    /// # Errors
    /// If this version has no such layout.
    pub fn params(self, _threads: usize) -> Result<BuildParams, Skip> {
        match self {
            Layout::Compact => Ok(BuildParams::default()),
            Layout::Fast => Err(Skip("this version has one layout".to_owned())),
        }
    }
}

pub(super) struct Ours {
    pub(super) layout: Layout,
    /// Codes and segment on pages of 2 MiB.
    pub(super) huge: bool,
}

impl<const W: usize> Contender<W> for Ours {
    fn name(&self) -> String {
        format!("{}{}", self.layout.name(), if self.huge { ", 2 MiB" } else { "" })
    }

    fn side(&self) -> Side {
        Side::Index
    }

    fn can(&self, _task: Task, _how: How) -> bool {
        true
    }

    fn builds_on_threads(&self) -> bool {
        !self.huge
    }

    fn building_bytes_a_code(&self) -> f64 {
        let (bits, copies) = (f64::from(Code::<W>::BITS), if self.huge { 2.0 } else { 1.0 });
        let segment = match self.layout {
            Layout::Compact => bits / 3.0,
            Layout::Fast => 1.2 * bits,
        };
        copies * segment + 40.0
    }

    fn build<'d>(&'d self, filed: &'d Filed<W>, threads: usize) -> Result<Fit<'d, W>, Skip> {
        let (codes, params) = (&filed.data.codes[..], self.layout.params(threads)?);
        let n = u32::try_from(codes.len())?;
        let start = Instant::now();
        let (bytes, _, peak_bytes) = memory::of(|| build_segment(codes, 0..n, &params));
        let (bytes, build_s) = (bytes?, start.elapsed().as_secs_f64());
        let memory_bytes = (size_of_val(codes) + bytes.len()) as u64;
        let (own_codes, bytes) = if self.huge {
            let len = bytes.len();
            let huge = Buffer::huge(&bytes)?;
            (Some(Buffer::huge(Code::as_bytes_slice(codes))?), (huge, len))
        } else {
            let len = bytes.len();
            (None, (Buffer::Usual(bytes), len))
        };
        let segments = [Segment::open(Cut { buffer: bytes.0, len: bytes.1 })?];
        let evict = Evict::new(codes.len());
        let built =
            Box::new(Indexed { shared: codes, own_codes, segments, queries: &filed.data.queries, evict });
        Ok(Fit { built, build_s, memory_bytes, peak_bytes })
    }
}

/// The first bytes of a buffer.
struct Cut {
    buffer: Buffer,
    len: usize,
}

impl AsRef<[u8]> for Cut {
    fn as_ref(&self) -> &[u8] {
        &self.buffer.as_ref()[..self.len]
    }
}

struct Indexed<'d, const W: usize> {
    shared: &'d [Code<W>],
    own_codes: Option<Buffer>,
    segments: [Segment<W, Cut>; 1],
    queries: &'d [Code<W>],
    evict: Evict,
}

impl<const W: usize> Indexed<'_, W> {
    fn index(&self) -> Result<Index<'_, W, [Code<W>], Cut>, Skip> {
        let codes = match &self.own_codes {
            Some(buffer) => &Code::slice_from_bytes(buffer.as_ref())?[..self.shared.len()],
            None => self.shared,
        };
        Ok(Index::new(codes, &self.segments)?)
    }
}

impl<const W: usize> Built<W> for Indexed<'_, W> {
    fn answers(&mut self, task: Task, how: How, count: usize) -> Result<Vec<Vec<Match>>, Skip> {
        let (index, queries) = (self.index()?, &self.queries[..count]);
        let found = match how {
            How::One => queries.iter().map(|query| ask(&index, task, query)).collect(),
            How::Batch { threads } => batch(&index, task, queries, threads),
        };
        Ok(found.into_iter().map(|found| found.matches).collect())
    }

    fn time(&mut self, task: Task, how: How, count: usize) -> Result<Vec<f64>, Skip> {
        let (index, queries) = (self.index()?, &self.queries[..count]);
        Ok(match (how, task) {
            (How::One, Task::Within(radius_bits)) => {
                time_each(&self.evict, queries, |query| index.within(query, radius_bits))
            }
            (How::One, Task::Nearest(k)) => time_each(&self.evict, queries, |query| index.nearest(query, k)),
            (How::Batch { threads }, _) => time_all(&self.evict, || batch(&index, task, queries, threads)),
        })
    }

    fn work(&mut self, task: Task, count: usize) -> Option<Vec<SearchStats>> {
        let index = self.index().ok()?;
        Some(self.queries[..count].iter().map(|query| ask(&index, task, query).stats).collect())
    }
}

fn ask<const W: usize, B: AsRef<[u8]>>(
    index: &Index<'_, W, [Code<W>], B>,
    task: Task,
    query: &Code<W>,
) -> Matches {
    match task {
        Task::Within(radius_bits) => index.within(query, radius_bits),
        Task::Nearest(k) => index.nearest(query, k),
    }
}

fn batch<const W: usize, B: AsRef<[u8]> + Sync>(
    index: &Index<'_, W, [Code<W>], B>,
    task: Task,
    queries: &[Code<W>],
    threads: usize,
) -> Vec<Matches> {
    let part = queries.len().div_ceil(threads).max(1);
    std::thread::scope(|scope| {
        let parts: Vec<_> = queries
            .chunks(part)
            .map(|queries| {
                scope.spawn(move || queries.iter().map(|query| ask(index, task, query)).collect::<Vec<_>>())
            })
            .collect();
        parts.into_iter().flat_map(|part| part.join().expect("a search does not panic")).collect()
    })
}
