//! Ingest: walk, skip what is unchanged, hash the rest, store it, index it.
//!
//! What must hold: ids are given in the order of the candidates, so the same files give the same database for any number
//! of threads; an event about a model is told only after the commit that made it durable; a file's own fault
//! never stops the others.

mod plan;
mod store;

use std::num::NonZeroUsize;
use std::path::Path;
use std::time::{Duration, Instant};

use phash_store::Writer;

use crate::error::{Error, Result};
use crate::event::Event;
use crate::pipeline::{self, HashedFile, Hashing, Next};
use crate::schema::schema;
use crate::segments::build_segments;
use crate::walk::Candidate;
use plan::{Planned, Task};

/// A commit is made when models have waited for it so long, if not earlier: an interruption loses no more work.
const COMMIT_INTERVAL: Duration = Duration::from_secs(1);

/// How many candidates ended in which way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct IngestSummary {
    /// New models.
    pub ingested: u64,
    /// Known contents under another label.
    pub duplicate: u64,
    /// Labels that are stored with these contents already.
    pub unchanged: u64,
    /// Files that cannot be used.
    pub skipped: u64,
    /// Whether the cancellation flag ended it early; what was told until then is stored.
    pub cancelled: bool,
}

/// Puts the candidates into the database at `dir`, which is created if there is none. Commits whenever
/// `commit_every` candidates are done, and every second.
///
/// Candidates are taken as they are needed, 16,384 ahead of what is hashed, and memory does not grow with them. A label
/// that comes again among those is taken once; one that comes again later is looked at again, and found unchanged.
///
/// # Errors
/// [`Error::Store`] if the database cannot be opened or written, among others because another process is writing.
/// What was told as an event before is stored. A file's own error is an event, not an error.
pub fn ingest(
    dir: &Path,
    candidates: impl IntoIterator<Item = Candidate>,
    commit_every: NonZeroUsize,
    hashing: &Hashing<'_>,
    events: &mut dyn FnMut(Event<'_>),
) -> Result<IngestSummary> {
    let writer = Writer::open_or_create(dir, &schema())?;
    let mut candidates = candidates.into_iter();
    let (mut files, mut bytes) = (0, 0u64);
    let mut run = Run {
        writer,
        waiting: Vec::new(),
        commit_every,
        since: Instant::now(),
        summary: IngestSummary::default(),
        events,
    };
    loop {
        let planned = plan::plan(&run.writer, &mut candidates, hashing.cancel)?;
        files += planned.tasks.len() as u64;
        bytes = bytes.saturating_add(planned.bytes);
        (run.events)(Event::Planned { files, bytes });
        let more = planned.more;
        run.all(planned, hashing)?;
        // What is planned next must see all of this as it is stored.
        run.commit()?;
        if !more {
            break;
        }
    }
    run.summary.cancelled = hashing.cancel.load(std::sync::atomic::Ordering::Relaxed);
    if !run.summary.cancelled {
        match build_segments(dir, &mut run.writer, hashing.cancel, run.events) {
            Err(Error::Cancelled) => run.summary.cancelled = true,
            built => built?,
        }
    }
    Ok(run.summary)
}

/// How a candidate ended; told after the next commit.
#[derive(Debug)]
enum Ending {
    Ingested { label: String, id: u32, version: u32, weak: bool, sampled: bool },
    Duplicate { label: String, id: u32, version: u32 },
    Unchanged { label: String, id: u32 },
    Skipped { label: String, error: Error },
}

struct Run<'e, 'f> {
    writer: Writer,
    waiting: Vec<Ending>,
    commit_every: NonZeroUsize,
    /// When the last commit was made.
    since: Instant,
    summary: IngestSummary,
    events: &'e mut (dyn FnMut(Event<'_>) + 'f),
}

impl Run<'_, '_> {
    /// Does what is planned; what is left if it is cancelled is not.
    fn all(&mut self, planned: Planned, hashing: &Hashing<'_>) -> Result<()> {
        pipeline::run(planned.inputs, hashing, |results| {
            for task in planned.tasks {
                match task {
                    Task::Unchanged { label, id } => self.wait(Ending::Unchanged { label, id })?,
                    Task::Unusable { label, error } => self.wait(Ending::Skipped { label, error })?,
                    Task::Hash { label, path } => loop {
                        match results.next(self.since + COMMIT_INTERVAL) {
                            Next::Finished(result) => {
                                self.store(label, &path, *result)?;
                                break;
                            }
                            Next::Idle => self.commit()?,
                            Next::End => return Ok(()),
                        }
                    },
                }
            }
            Ok(())
        })
    }

    fn store(&mut self, label: String, path: &str, result: Result<HashedFile>) -> Result<()> {
        let ending = match result {
            Ok(hashed) => store::put(&mut self.writer, label, path, &hashed)?,
            Err(error) => Ending::Skipped { label, error },
        };
        self.wait(ending)
    }

    fn wait(&mut self, ending: Ending) -> Result<()> {
        self.waiting.push(ending);
        if self.waiting.len() >= self.commit_every.get() || self.since.elapsed() >= COMMIT_INTERVAL {
            self.commit()?;
        }
        Ok(())
    }

    fn commit(&mut self) -> Result<()> {
        if !self.writer.pending().is_empty() {
            self.writer.commit()?;
        }
        self.since = Instant::now();
        for ending in std::mem::take(&mut self.waiting) {
            let (count, event) = match &ending {
                Ending::Ingested { label, id, version, weak, sampled } => (
                    &mut self.summary.ingested,
                    Event::Ingested { label, id: *id, version: *version, weak: *weak, sampled: *sampled },
                ),
                Ending::Duplicate { label, id, version } => {
                    (&mut self.summary.duplicate, Event::Duplicate { label, id: *id, version: *version })
                }
                Ending::Unchanged { label, id } => {
                    (&mut self.summary.unchanged, Event::Unchanged { label, id: *id })
                }
                Ending::Skipped { label, error } => {
                    (&mut self.summary.skipped, Event::Skipped { label, error })
                }
            };
            *count += 1;
            (self.events)(event);
        }
        Ok(())
    }
}
