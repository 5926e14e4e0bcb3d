//! Owns our index as a contender: in both layouts, on the pages that the allocator gives and on those of 2 MiB.

use std::time::Instant;

use phash_code::Code;
use phash_index::{BuildParams, Index, Match, Matches, Scratch, SearchStats, Segment};

use super::contender::{Built, Contender, Evict, Fit, Side, Skip, time_again, time_all, time_each};
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
    #[must_use]
    pub fn params(self, threads: usize) -> BuildParams {
        let layout = match self {
            Layout::Compact => phash_index::Layout::Compact,
            Layout::Fast => phash_index::Layout::Fast,
        };
        BuildParams::default().with_layout(layout).with_threads(threads)
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
        // Measured for 10 million codes: ids and sketches in every table of about 20 bits (fast) or 23, a quarter more
        // while they are sorted.
        let (planes, len_bits) = match self.layout {
            Layout::Compact => (0.0, 23.0),
            Layout::Fast => (default_planes(W), 20.0),
        };
        let segment = 4.0 * (1.0 + planes) * (f64::from(Code::<W>::BITS) / len_bits).ceil() + 10.0;
        let copies = if self.huge { 2.0 * segment + Code::<W>::BYTES as f64 } else { 0.0 };
        copies.max(1.25 * segment + 10.0)
    }

    fn build<'d>(&'d self, filed: &'d Filed<W>, threads: usize) -> Result<Fit<'d, W>, Skip> {
        let (codes, params) = (&filed.data.codes[..], self.layout.params(threads));
        let n = u32::try_from(codes.len())?;
        let start = Instant::now();
        let (segment, _, peak_bytes) = memory::of(|| Segment::<W, _>::build(codes, 0..n, &params));
        let (segment, build_s) = (segment?, start.elapsed().as_secs_f64());
        let memory_bytes = (size_of_val(codes) + segment.bytes().len()) as u64;
        let (queries, evict) = (&filed.data.queries[..], Evict::new(codes.len()));
        let built: Box<dyn Built<W> + 'd> = if self.huge {
            let own_codes = Some(Buffer::huge(Code::as_bytes_slice(codes))?);
            let bytes = Cut { buffer: Buffer::huge(segment.bytes())?, len: segment.bytes().len() };
            drop(segment);
            let segment = Segment::open(bytes)?;
            // Built in memory, a segment is trusted; so is a copy that was verified.
            segment.verify()?;
            Box::new(Indexed { shared: codes, own_codes, segments: [segment], queries, evict })
        } else {
            Box::new(Indexed { shared: codes, own_codes: None, segments: [segment], queries, evict })
        };
        Ok(Fit { built, build_s, memory_bytes, peak_bytes })
    }
}

/// Planes of 32 bits that a sketch has unless another number is asked for.
pub(super) fn default_planes(words: usize) -> f64 {
    match words {
        1 => 2.0,
        2 => 4.0,
        4 => 5.0,
        _ => 8.0,
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

struct Indexed<'d, const W: usize, B> {
    shared: &'d [Code<W>],
    own_codes: Option<Buffer>,
    segments: [Segment<W, B>; 1],
    queries: &'d [Code<W>],
    evict: Evict,
}

impl<const W: usize, B: AsRef<[u8]>> Indexed<'_, W, B> {
    fn index(&self) -> Result<Index<'_, W, [Code<W>], B>, Skip> {
        let codes = match &self.own_codes {
            Some(buffer) => &Code::slice_from_bytes(buffer.as_ref())?[..self.shared.len()],
            None => self.shared,
        };
        Ok(Index::new(codes, &self.segments)?)
    }
}

impl<const W: usize, B: AsRef<[u8]> + Sync> Built<W> for Indexed<'_, W, B> {
    fn answers(&mut self, task: Task, how: How, count: usize) -> Result<Vec<Vec<Match>>, Skip> {
        let (index, queries) = (self.index()?, &self.queries[..count]);
        let found = match how {
            How::One | How::Again => queries.iter().map(|query| ask(&index, task, query)).collect(),
            How::Batch { threads } => batch(&index, task, queries, threads),
        };
        Ok(found.into_iter().map(|found| found.matches).collect())
    }

    fn time(&mut self, task: Task, how: How, count: usize) -> Result<Vec<f64>, Skip> {
        let (index, queries) = (self.index()?, &self.queries[..count]);
        // The buffers of one query serve the next, as those of mih-rs do.
        let (mut scratch, mut found) = (Scratch::new(), Vec::new());
        let search = |query: &Code<W>| match task {
            Task::Within(radius_bits) => index.within_into(&mut scratch, query, radius_bits, &mut found),
            Task::Nearest(k) => index.nearest_into(&mut scratch, query, k, Code::<W>::BITS, &mut found),
        };
        Ok(match how {
            How::One => time_each(&self.evict, queries, search),
            How::Again => time_again(queries, search),
            How::Batch { threads } => time_all(&self.evict, || batch(&index, task, queries, threads)),
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
    match task {
        Task::Within(radius_bits) => index.batch_within(queries, radius_bits, threads),
        Task::Nearest(k) => index.batch_nearest(queries, k, threads),
    }
}
