//! Keeps index segments in step with the codes. A library below [`MIN_CODES`] has none: a scan is as fast. What is new
//! is indexed in segments that grow geometrically, so that there are few of them and each code is indexed again only
//! O(log n) times.

use std::io::{self, Write};
use std::ops::Range;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use phash_code::Codes;
use phash_core::View;
use phash_index::{BuildParams, Layout};
use phash_store::{CodeView, Contents, OpenOptions, Reader, Writer};

use crate::error::{Error, Result};
use crate::event::Event;
use crate::raw::{RAW_VIEW, Width, build_raw_segments};
use crate::schema::schema;
use crate::search::{Search, ViewSearch};

/// Codes that are not worth a segment: scanning them takes some hundred microseconds.
pub(crate) const MIN_CODES: u32 = 65_536;

/// Builds index segments for the codes of the database at `dir` that have none, if they are many (65,536), and publishes
/// them. [`crate::ingest`] does so itself; this is for libraries that were filled through phash-store.
///
/// Time linear in the codes that are indexed; memory some bytes for each of them.
///
/// # Errors
/// [`Error::Store`], [`Error::Index`] or [`Error::Cancelled`]; the library is complete without the segments.
pub fn index(dir: &Path, cancel: &AtomicBool, events: &mut dyn FnMut(Event<'_>)) -> Result<()> {
    build_segments(dir, &mut Writer::open(dir, &schema())?, cancel, events)
}

/// The same for a writer that is open; all of its codes must be committed. After an error the writer takes no more.
pub(crate) fn build_segments(
    dir: &Path,
    writer: &mut Writer,
    cancel: &AtomicBool,
    events: &mut dyn FnMut(Event<'_>),
) -> Result<()> {
    for view in View::ALL {
        let search = |reader: &Reader| ViewSearch::of_view(view, reader);
        let starts = |codes, _| events(Event::Indexing { view, codes });
        build_view(dir, writer, view.name(), None, &BuildParams::default(), search, cancel, starts)?;
    }
    Ok(())
}

/// The same for a database of either kind, and of any hash: whatever this build cannot index stays without segments, and is
/// scanned. `starts` is told view and codes of each segment.
pub(crate) fn build_missing(
    dir: &Path,
    writer: &mut Writer,
    cancel: &AtomicBool,
    starts: &mut dyn FnMut(&str, u32),
) -> Result<()> {
    let stored = writer.schema().clone();
    if stored.contents == Contents::Codes {
        let Some(width) = stored.views.first().and_then(|view| Width::from_words(view.words)) else {
            return Ok(());
        };
        let params = BuildParams::default();
        return build_raw_segments(dir, writer, width, None, &params, cancel, &mut |codes, _| {
            starts(RAW_VIEW, codes);
        });
    }
    if stored != schema() {
        return Ok(());
    }
    build_segments(dir, writer, cancel, &mut |event| {
        if let Event::Indexing { view, codes } = event {
            starts(view.name(), codes);
        }
    })
}

/// Builds the segments that a view of the writer's database (or its raw codes) lacks, in the layout given, or else in that of
/// the newest segment: whoever chose it once need not say so again. `starts` is told how many codes the new segment covers,
/// and its layout.
///
/// [`Error::Cancelled`] soon after the flag is raised: the segments there were stay, and what is half written is
/// removed.
#[expect(clippy::too_many_arguments, reason = "whose segments, how, and who is told")]
pub(crate) fn build_view<const W: usize>(
    dir: &Path,
    writer: &mut Writer,
    view: &str,
    layout: Option<Layout>,
    params: &BuildParams,
    search: impl Fn(&Reader) -> Result<Search<W, CodeView<W>>>,
    cancel: &AtomicBool,
    starts: impl FnOnce(u32, Layout),
) -> Result<()> {
    let search = || search(&Reader::open(dir, OpenOptions::default())?);
    drop_unusable(writer, view, search)?;
    let codes = writer.model_count().max(writer.code_count());
    let Some(ids) = to_build(&writer.segments(view)?, codes) else { return Ok(()) };
    if cancel.load(Ordering::Relaxed) {
        return Err(Error::Cancelled);
    }
    let search = search()?;
    let layout = layout.or_else(|| search.newest_layout()).unwrap_or_default();
    let params = params.with_layout(layout);
    starts(ids.end - ids.start, layout);
    debug_assert!(ids.end <= search.codes().len(), "only committed codes are indexed");
    writer.drop_segments(view, ids.clone())?;
    write_segment(view, search.codes(), ids.clone(), &params, cancel, &mut |write| {
        writer.add_segment_with(view, ids.clone(), write)
    })?;
    writer.commit()?;
    Ok(())
}

/// What writes a segment into a file that the store has made.
type WriteTo<'w> = dyn FnMut(&mut dyn Write) -> io::Result<()> + 'w;

/// Writes an index segment over `ids` into the file that `add` makes for it.
pub(crate) fn write_segment<const W: usize>(
    view: &str,
    codes: &(impl Codes<W> + Sync),
    ids: Range<u32>,
    params: &BuildParams,
    cancel: &AtomicBool,
    add: &mut dyn FnMut(&mut WriteTo<'_>) -> phash_store::Result<()>,
) -> Result<()> {
    let mut failure = None;
    let written = add(&mut |out| {
        let written = phash_index::write_segment_until(codes, ids.clone(), None, params, cancel, out);
        written.map(drop).map_err(|error| match error {
            phash_index::Error::Io(error) => error,
            other => {
                failure = Some(other);
                io::Error::other("the segment could not be built")
            }
        })
    });
    match failure {
        Some(phash_index::Error::Cancelled) => Err(Error::Cancelled),
        Some(source) => Err(Error::Index { view: view.to_owned(), source }),
        None => Ok(written?),
    }
}

/// Drops the view's first segment that cannot be used and those behind it, so that they are built again.
fn drop_unusable<const W: usize>(
    writer: &mut Writer,
    view: &str,
    search: impl Fn() -> Result<Search<W, CodeView<W>>>,
) -> Result<()> {
    let stored = writer.segments(view)?;
    if stored.is_empty() {
        return Ok(());
    }
    let usable = search()?.indexed();
    if let Some(unusable) = stored.iter().find(|ids| !usable.contains(ids)) {
        writer.drop_segments(view, unusable.start..u32::MAX)?;
        writer.commit()?;
    }
    Ok(())
}

/// The ids of the segment to build: the unindexed ones, and those of the last segments as long as they are not more than
/// what is joined to them.
fn to_build(segments: &[Range<u32>], codes: u32) -> Option<Range<u32>> {
    let mut start = segments.last().map_or(0, |last| last.end);
    if codes.saturating_sub(start) < MIN_CODES {
        return None;
    }
    for segment in segments.iter().rev() {
        if segment.end != start || segment.end - segment.start > codes - start {
            break;
        }
        start = segment.start;
    }
    Some(start..codes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn few_new_codes_are_left_to_the_scan() {
        assert_eq!(to_build(&[], 0), None);
        assert_eq!(to_build(&[], MIN_CODES - 1), None);
        assert_eq!(to_build(&[], MIN_CODES), Some(0..MIN_CODES));
        assert_eq!(to_build(std::slice::from_ref(&(0..1_000_000)), 1_000_000 + MIN_CODES - 1), None);
    }

    #[test]
    fn however_a_library_grows_there_are_few_segments_and_they_cover_it() {
        let mut segments: Vec<Range<u32>> = Vec::new();
        let mut rebuilt = 0u64;
        for round in 1..=200 {
            let codes = round * MIN_CODES;
            let ids = to_build(&segments, codes).unwrap();
            segments.retain(|segment| segment.end <= ids.start);
            rebuilt += u64::from(ids.end - ids.start);
            segments.push(ids);
            assert!(segments.windows(2).all(|pair| pair[0].end == pair[1].start));
            assert_eq!((segments[0].start, segments.last().unwrap().end), (0, codes));
            assert!(segments.len() <= 9, "{} segments after {round} rounds", segments.len());
        }
        assert!(rebuilt < 9 * 200 * u64::from(MIN_CODES), "{rebuilt} codes indexed");
    }
}
