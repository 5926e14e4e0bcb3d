//! Owns [`compact`]: freeing the space of what was removed. Codes and index segments are written anew and published by one
//! commit; whatever interrupts it before leaves the database as it was.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use phash_code::Codes as _;
use phash_index::BuildParams;
use phash_store::{CodeView, Compaction, Contents, Info, OpenOptions, Reader, Writer};

use crate::error::{Error, Result};
use crate::segments::MIN_CODES;

/// How a database is to be compacted.
#[derive(Clone, Debug, Default)]
pub struct Compacting {
    /// How the index segments are built.
    pub build: BuildParams,
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
    let schema = Reader::open(dir, OpenOptions::default())?.schema().clone();
    let mut writer = Writer::open(dir, &schema)?;
    let info = || -> Result<Info> { Ok(Reader::open(dir, OpenOptions::default())?.info()?) };
    let before = info()?;
    let check = || if cancel.load(Ordering::Relaxed) { Err(Error::Cancelled) } else { Ok(()) };
    if writer.removed_count() > 0 {
        let mut progress = |codes, of| {
            events(CompactEvent::Copied { codes, of });
            !cancel.load(Ordering::Relaxed)
        };
        let mut compaction = writer.compact(&mut progress)?.ok_or(Error::Cancelled)?;
        for view in &schema.views {
            check()?;
            let view = (view.name.as_str(), view.words);
            match schema.contents {
                Contents::Models => index_models(&mut compaction, view, &options.build, events)?,
                Contents::Codes => index_codes(&mut compaction, view, &options.build, events)?,
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

type Events<'e> = &'e mut dyn FnMut(CompactEvent<'_>);

/// Builds the segment of a view of models.
fn index_models(
    compaction: &mut Compaction<'_>,
    (view, words): (&str, u32),
    params: &BuildParams,
    events: Events<'_>,
) -> Result<()> {
    match words {
        1 => build(compaction, view, &compaction.codes::<1>(view)?, params, events),
        2 => build(compaction, view, &compaction.codes::<2>(view)?, params, events),
        4 => build(compaction, view, &compaction.codes::<4>(view)?, params, events),
        _ => build(compaction, view, &compaction.codes::<8>(view)?, params, events),
    }
}

/// Builds the segment of raw codes.
fn index_codes(
    compaction: &mut Compaction<'_>,
    (view, words): (&str, u32),
    params: &BuildParams,
    events: Events<'_>,
) -> Result<()> {
    match words {
        1 => build(compaction, view, &compaction.raw_codes::<1>()?, params, events),
        2 => build(compaction, view, &compaction.raw_codes::<2>()?, params, events),
        4 => build(compaction, view, &compaction.raw_codes::<4>()?, params, events),
        _ => build(compaction, view, &compaction.raw_codes::<8>()?, params, events),
    }
}

/// Builds one segment over all codes of a view, if they are many enough.
fn build<const W: usize>(
    compaction: &mut Compaction<'_>,
    view: &str,
    codes: &CodeView<W>,
    params: &BuildParams,
    events: Events<'_>,
) -> Result<()> {
    let ids = 0..codes.len();
    if ids.end < MIN_CODES {
        return Ok(());
    }
    events(CompactEvent::Indexing { view, codes: ids.end });
    let mut failure = None;
    let written = compaction.add_segment_with(view, ids.clone(), &mut |out| {
        phash_index::write_segment(codes, ids.clone(), params, out).map_err(|error| match error {
            phash_index::Error::Io(error) => error,
            other => {
                failure = Some(other);
                std::io::Error::other("the segment could not be built")
            }
        })?;
        Ok(())
    });
    if let Some(source) = failure {
        return Err(Error::Index { view: view.to_owned(), source });
    }
    Ok(written?)
}
