//! Owns [`compact`]: freeing the space of what was removed. Codes and index segments are written anew and published by one
//! commit; whatever interrupts it before leaves the database as it was.

use std::num::NonZeroUsize;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use phash_code::Codes as _;
use phash_index::{BuildParams, Layout, Segment};
use phash_store::{Compaction, Contents, Info, OpenOptions, Reader, SegmentBytes, ViewSpec, Writer};

use crate::error::{Error, Result};
use crate::segments::{MIN_CODES, write_segment};

/// How a database is to be compacted.
#[derive(Clone, Copy, Debug)]
pub struct Compacting {
    /// How index segments are built; by default as they were.
    pub layout: Option<Layout>,
    /// Threads that build them. The result does not depend on it.
    pub threads: NonZeroUsize,
}

/// What happens during a compaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum CompactEvent<'a> {
    /// So many codes of so many are copied.
    Copied {
        /// Codes so far.
        codes: u64,
        /// Codes in all.
        of: u64,
    },
    /// An index segment over all codes is being built.
    Indexing {
        /// The view; `raw` for raw codes.
        view: &'a str,
        /// How many codes it covers.
        codes: u32,
    },
    /// The rows of the catalog are being renumbered; then all is published. This is not interrupted.
    Publishing,
}

/// What a compaction did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Compacted {
    /// Sizes and counts before.
    pub before: Info,
    /// Sizes and counts after.
    pub after: Info,
}

/// Frees the space of removed models or raw codes in the database at `dir`. Ids become dense again, in the same order.
/// Codes and segments stay as they are if nothing was removed; unused pages of the catalog are freed in any case.
///
/// Time linear in the database; memory some bytes a code while an index segment is built; space for a second copy of the
/// live codes, of the index segments, and of the catalog. Readers go on with what they have until they refresh.
///
/// # Errors
/// [`Error::Cancelled`], [`Error::Index`] and [`Error::Store`], among others because another process is writing: the database
/// is as it was, unless the error came when all was published and the catalog's pages were to be freed.
pub fn compact(
    dir: &Path,
    options: &Compacting,
    cancel: &AtomicBool,
    events: &mut dyn FnMut(CompactEvent<'_>),
) -> Result<Compacted> {
    let reader = Reader::open(dir, OpenOptions::default())?;
    let schema = reader.schema().clone();
    let mut writer = Writer::open(dir, &schema)?;
    let layouts: Vec<Option<Layout>> = schema.views.iter().map(|view| layout(&reader, view)).collect();
    // A snapshot would keep the catalog from being shrunk.
    drop(reader);
    let info = || -> Result<Info> { Ok(Reader::open(dir, OpenOptions::default())?.info()?) };
    let before = info()?;
    let check = || if cancel.load(Ordering::Relaxed) { Err(Error::Cancelled) } else { Ok(()) };
    if writer.removed_count() > 0 {
        let mut progress = |codes, of| {
            events(CompactEvent::Copied { codes, of });
            !cancel.load(Ordering::Relaxed)
        };
        let mut compaction = writer.compact(&mut progress)?.ok_or(Error::Cancelled)?;
        for (view, layout) in schema.views.iter().zip(layouts) {
            let layout = options.layout.or(layout).unwrap_or_default();
            let params = BuildParams::default().with_layout(layout).with_threads(options.threads.get());
            let mut index =
                Indexing { compaction: &mut compaction, view: &view.name, params, cancel, events };
            match view.words {
                1 => index.build::<1>(schema.contents)?,
                2 => index.build::<2>(schema.contents)?,
                4 => index.build::<4>(schema.contents)?,
                _ => index.build::<8>(schema.contents)?,
            }
        }
        check()?;
        events(CompactEvent::Publishing);
        compaction.publish()?;
    }
    writer.shrink_catalog()?;
    drop(writer);
    Ok(Compacted { before, after: info()? })
}

/// The layout of a view's first index segment that can be used.
fn layout(reader: &Reader, view: &ViewSpec) -> Option<Layout> {
    let stored = reader.segments(&view.name).ok()?;
    let of = |bytes: &SegmentBytes| match view.words {
        1 => Segment::<1, _>::open(bytes.clone()).map(|segment| segment.layout()),
        2 => Segment::<2, _>::open(bytes.clone()).map(|segment| segment.layout()),
        4 => Segment::<4, _>::open(bytes.clone()).map(|segment| segment.layout()),
        _ => Segment::<8, _>::open(bytes.clone()).map(|segment| segment.layout()),
    };
    stored.iter().find_map(|(_, bytes)| of(bytes.as_ref().ok()?).ok())
}

/// The building of one view's segment.
struct Indexing<'c, 'w, 'e, 'f> {
    compaction: &'c mut Compaction<'w>,
    view: &'c str,
    params: BuildParams,
    cancel: &'c AtomicBool,
    events: &'e mut (dyn FnMut(CompactEvent<'_>) + 'f),
}

impl Indexing<'_, '_, '_, '_> {
    /// Builds one segment over all codes, if they are many enough.
    fn build<const W: usize>(&mut self, contents: Contents) -> Result<()> {
        let (view, params, cancel) = (self.view, &self.params, self.cancel);
        let codes = match contents {
            Contents::Models => self.compaction.codes::<W>(view)?,
            Contents::Codes => self.compaction.raw_codes::<W>()?,
        };
        let ids = 0..codes.len();
        if ids.end < MIN_CODES {
            return Ok(());
        }
        (self.events)(CompactEvent::Indexing { view, codes: ids.end });
        write_segment(view, &codes, ids.clone(), params, cancel, &mut |write| {
            self.compaction.add_segment_with(view, ids.clone(), write)
        })
    }
}
