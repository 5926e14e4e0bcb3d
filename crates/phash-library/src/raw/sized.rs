//! Owns [`AnyWidth`], what can be asked of raw codes whatever their width, and [`SizedCodes`], the codes of one width that
//! answer. Everything above knows widths at run time, everything below at compile time; [`open`] and [`build_segments`]
//! are where one becomes the other.

use std::fmt;
use std::num::NonZeroUsize;
use std::ops::Range;
use std::path::Path;
use std::sync::atomic::AtomicBool;
use std::time::Instant;

use phash_code::{Code, Codes as _};
use phash_index::{BuildParams, Groups, Layout, Matches, Strategy};
use phash_store::{CodeView, Reader, Writer};

use super::library::CodeMode;
use super::{RawCode, Width};
use crate::error::{Error, Result};
use crate::explain::ExplainedSearch;
use crate::search::Search;
use crate::segments::build_view;

/// The name of the only view of a database of raw codes.
pub(crate) const VIEW: &str = "raw";

/// Raw codes of some width, with their index segments.
pub(super) trait AnyWidth: fmt::Debug + Send + Sync {
    fn len(&self) -> u32;
    fn code(&self, id: u32) -> Option<RawCode>;
    fn indexed(&self) -> Vec<Range<u32>>;
    fn layouts(&self) -> Vec<Layout>;
    fn unusable(&self) -> &[Error];
    /// The answers to the queries, in their order.
    fn search(&self, queries: &[RawCode], mode: CodeMode, threads: NonZeroUsize) -> Vec<Matches>;
    /// The answer to one query by the index, or by comparing every code, on one thread, and the seconds it took.
    fn timed(&self, query: &RawCode, mode: CodeMode, scan: bool) -> (Matches, f64);
    fn explain(&self, query: &RawCode, mode: CodeMode) -> Option<ExplainedSearch>;
    fn groups(
        &self,
        radius_bits: u32,
        threads: NonZeroUsize,
        cancel: &AtomicBool,
        done: &(dyn Fn(u64) + Sync),
    ) -> Result<Groups>;
}

/// The raw codes of a database, ready to be searched.
pub(super) fn open(reader: &Reader, width: Width) -> Result<Box<dyn AnyWidth>> {
    Ok(match width {
        Width::Bits64 => Box::new(SizedCodes::<1>::open(reader)?),
        Width::Bits128 => Box::new(SizedCodes::<2>::open(reader)?),
        Width::Bits256 => Box::new(SizedCodes::<4>::open(reader)?),
        Width::Bits512 => Box::new(SizedCodes::<8>::open(reader)?),
    })
}

/// Builds the index segments that the writer's codes lack, as [`build_view`] does; all codes must be committed.
pub(crate) fn build_segments(
    dir: &Path,
    writer: &mut Writer,
    width: Width,
    layout: Option<Layout>,
    params: &BuildParams,
    cancel: &AtomicBool,
    starts: &mut dyn FnMut(u32, Layout),
) -> Result<()> {
    match width {
        Width::Bits64 => build_view(dir, writer, VIEW, layout, params, search::<1>, cancel, starts),
        Width::Bits128 => build_view(dir, writer, VIEW, layout, params, search::<2>, cancel, starts),
        Width::Bits256 => build_view(dir, writer, VIEW, layout, params, search::<4>, cancel, starts),
        Width::Bits512 => build_view(dir, writer, VIEW, layout, params, search::<8>, cancel, starts),
    }
}

fn search<const W: usize>(reader: &Reader) -> Result<Search<W, CodeView<W>>> {
    Ok(Search::stored(VIEW, reader.raw_codes()?, reader.removed()?.clone(), reader.segments(VIEW)?))
}

/// Raw codes of `W` words.
#[derive(Debug)]
struct SizedCodes<const W: usize> {
    search: Search<W, CodeView<W>>,
}

impl<const W: usize> SizedCodes<W> {
    fn open(reader: &Reader) -> Result<Self> {
        Ok(Self { search: search(reader)? })
    }

    fn ask(&self, query: &RawCode, mode: CodeMode, strategy: Strategy) -> Matches {
        let query: Code<W> = query.sized();
        let Some(index) = self.search.index() else { return Matches::default() };
        let index = index.strategy(strategy);
        match mode {
            CodeMode::Radius(radius_bits) => index.within(&query, radius_bits),
            CodeMode::Nearest(k) => index.nearest(&query, k),
        }
    }
}

impl<const W: usize> AnyWidth for SizedCodes<W> {
    fn len(&self) -> u32 {
        self.search.codes().len()
    }

    fn code(&self, id: u32) -> Option<RawCode> {
        self.search.code(id).map(RawCode::from)
    }

    fn indexed(&self) -> Vec<Range<u32>> {
        self.search.indexed()
    }

    fn layouts(&self) -> Vec<Layout> {
        self.search.layouts()
    }

    fn unusable(&self) -> &[Error] {
        self.search.unusable()
    }

    fn search(&self, queries: &[RawCode], mode: CodeMode, threads: NonZeroUsize) -> Vec<Matches> {
        if let [query] = queries {
            return vec![self.ask(query, mode, Strategy::Auto)];
        }
        let queries: Vec<Code<W>> = queries.iter().map(RawCode::sized).collect();
        let Some(index) = self.search.index() else { return vec![Matches::default(); queries.len()] };
        match mode {
            CodeMode::Radius(radius_bits) => index.batch_within(&queries, radius_bits, threads.get()),
            CodeMode::Nearest(k) => index.batch_nearest(&queries, k, threads.get()),
        }
    }

    fn timed(&self, query: &RawCode, mode: CodeMode, scan: bool) -> (Matches, f64) {
        let strategy = if scan { Strategy::Scan } else { Strategy::Auto };
        let started = Instant::now();
        let matches = self.ask(query, mode, strategy);
        (matches, started.elapsed().as_secs_f64())
    }

    fn explain(&self, query: &RawCode, mode: CodeMode) -> Option<ExplainedSearch> {
        self.search.explain(&query.sized(), mode)
    }

    fn groups(
        &self,
        radius_bits: u32,
        threads: NonZeroUsize,
        cancel: &AtomicBool,
        done: &(dyn Fn(u64) + Sync),
    ) -> Result<Groups> {
        let Some(index) = self.search.index() else { return Ok(Groups::default()) };
        phash_index::groups_with_progress(&index, radius_bits, threads, cancel, done)
            .map_err(|source| Error::Index { view: VIEW.to_owned(), source })
    }
}
