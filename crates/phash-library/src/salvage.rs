//! Owns [`salvage`]: a new database, with its index, of all that is provably intact in a damaged one.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use phash_store::{Contents, Loss, SalvageEvent as StoreEvent, Writer};

use crate::error::{Error, Result};
use crate::schema::schema;
use crate::segments::build_missing;

/// What happens during a salvage.
#[derive(Debug)]
#[non_exhaustive]
pub enum SalvageEvent<'a> {
    /// So many bytes, or their like, of so many in all are done.
    Progress {
        /// Done.
        done: u64,
        /// In all.
        all: u64,
    },
    /// Something is lost.
    Lost(Loss),
    /// An index segment of the new database is being built.
    Indexing {
        /// The view; `raw` for raw codes.
        view: &'a str,
        /// How many codes it covers.
        codes: u32,
    },
}

/// What a salvage did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Salvage {
    /// What the databases hold.
    pub contents: Contents,
    /// Models, or raw codes, in the new database.
    pub items: u32,
    /// How many losses were told: nothing is lost if 0.
    pub losses: u64,
}

/// Copies all that is provably intact in the database at `dir`, to which nothing is written, to a new one at `out`, where
/// nothing may be; builds its index; and tells what is lost. The new database appears whole, or not at all.
///
/// See [`phash_store::salvage`] for what is proven by what.
///
/// # Errors
/// [`Error::Cancelled`]; [`Error::Store`], among others if nothing can be proven or a writer is at work; [`Error::Index`].
/// Nothing is left at `out`.
pub fn salvage(
    dir: &Path,
    out: &Path,
    cancel: &AtomicBool,
    events: &mut dyn FnMut(SalvageEvent<'_>),
) -> Result<Salvage> {
    let expected = schema();
    let done = phash_store::salvage(dir, out, Some(&expected), &mut |event| {
        match event {
            StoreEvent::Progress { done, all } => events(SalvageEvent::Progress { done, all }),
            StoreEvent::Lost(loss) => events(SalvageEvent::Lost(loss)),
            _ => {}
        }
        !cancel.load(Ordering::Relaxed)
    })?;
    let done = done.ok_or(Error::Cancelled)?;
    let mut writer = Writer::open(done.staging.dir(), &done.schema)?;
    build_missing(done.staging.dir(), &mut writer, cancel, &mut |view, codes| {
        events(SalvageEvent::Indexing { view, codes });
    })?;
    drop(writer);
    if cancel.load(Ordering::Relaxed) {
        return Err(Error::Cancelled);
    }
    done.staging.publish()?;
    Ok(Salvage { contents: done.schema.contents, items: done.items, losses: done.losses })
}
