//! Owns [`Intake`]: putting models and raw codes of elsewhere into a database. What must hold: commits come in batches of
//! bounded size; what is told of a model or code is told after the commit that made it durable; doing it again adds nothing.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use phash_store::{ModelRecord, Schema, Writer};

use crate::error::{Error, Result};
use crate::segments;

/// A commit is made when something has waited for it so long, if not earlier.
const COMMIT_INTERVAL: Duration = Duration::from_secs(1);
/// Rows of the catalog in one commit: what a transaction of SQLite keeps in memory and in its log.
const ROWS_A_COMMIT: u64 = 50_000;
/// Raw codes in one commit.
const CODES_A_COMMIT: u64 = 1 << 20;
/// Raw codes between two looks at the clock and the cancel flag.
const CODES_A_LOOK: u64 = 4096;

/// What happens while models or raw codes are put into a database.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum TransferEvent<'a> {
    /// What is to be done in all, as far as it is known; told first, by [`merge`](fn@crate::merge) alone.
    Planned {
        /// Models or raw codes.
        items: u64,
    },
    /// It was there already: the contents of a model, or a raw code with its label. Durable.
    Duplicate {
        /// Which input, from 0.
        input: usize,
        /// Its id in the database it comes from, or its place in the file, from 0.
        from_id: u32,
        /// The id of the stored model; of raw codes it is not looked up.
        id: Option<u32>,
        /// A label that it has in the input.
        label: Option<&'a str>,
        /// Labels that the stored model did not have and has now.
        labels_added: u32,
    },
    /// So many models or raw codes of the inputs are done, durably.
    Committed {
        /// Models or raw codes.
        items: u64,
    },
    /// An index segment is being built.
    Indexing {
        /// The view; `raw` for raw codes.
        view: &'a str,
        /// How many codes it covers.
        codes: u32,
    },
}

/// What became of the models or raw codes of one input.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TransferCounts {
    /// New ones.
    pub added: u64,
    /// Known ones: nothing was added but labels.
    pub duplicates: u64,
    /// Labels (versions of them) that were added, those of new models among them; of raw codes, new ones with a label.
    pub labels_added: u64,
}

/// What is told when it is durable.
#[derive(Debug)]
struct Waiting {
    from_id: u32,
    id: Option<u32>,
    label: Option<String>,
    labels_added: u32,
}

/// A database that is being filled.
pub(crate) struct Intake<'a> {
    dir: PathBuf,
    pub(crate) writer: Writer,
    cancel: &'a AtomicBool,
    events: &'a mut dyn FnMut(TransferEvent<'_>),
    input: usize,
    waiting: Vec<Waiting>,
    counts: TransferCounts,
    items: u64,
    since: Instant,
    rows: u64,
}

impl<'a> Intake<'a> {
    /// Opens or creates the database.
    pub(crate) fn open(
        dir: &Path,
        schema: &Schema,
        cancel: &'a AtomicBool,
        events: &'a mut dyn FnMut(TransferEvent<'_>),
    ) -> Result<Self> {
        Ok(Self {
            dir: dir.to_owned(),
            writer: Writer::open_or_create(dir, schema)?,
            cancel,
            events,
            input: 0,
            waiting: Vec::new(),
            counts: TransferCounts::default(),
            items: 0,
            since: Instant::now(),
            rows: 0,
        })
    }

    /// Puts a model.
    pub(crate) fn model(&mut self, from_id: u32, model: &ModelRecord) -> Result<()> {
        self.check()?;
        let restored = self.writer.take_over(model)?;
        self.counts.labels_added += u64::from(restored.sources);
        self.rows += 1 + u64::from(restored.sources);
        self.items += 1;
        if restored.new {
            self.counts.added += 1;
            self.rows += model.tensors.len() as u64;
        } else {
            self.counts.duplicates += 1;
            let label = model.sources.first().map(|source| source.label.clone());
            let labels_added = restored.sources;
            self.waiting.push(Waiting { from_id, id: Some(restored.id), label, labels_added });
        }
        if self.rows >= ROWS_A_COMMIT || self.since.elapsed() >= COMMIT_INTERVAL {
            self.commit()?;
        }
        Ok(())
    }

    /// Puts a raw code, or counts it as known.
    pub(crate) fn code(&mut self, from_id: u32, code: &[u8], label: Option<&str>, known: bool) -> Result<()> {
        if self.items.is_multiple_of(CODES_A_LOOK) {
            self.check()?;
            if self.rows >= CODES_A_COMMIT || self.since.elapsed() >= COMMIT_INTERVAL {
                self.commit()?;
            }
        }
        self.items += 1;
        self.rows += 1;
        if known {
            self.counts.duplicates += 1;
            let label = label.map(str::to_owned);
            self.waiting.push(Waiting { from_id, id: None, label, labels_added: 0 });
            return Ok(());
        }
        self.writer.put_code(code, label)?;
        self.counts.added += 1;
        self.counts.labels_added += u64::from(label.is_some());
        Ok(())
    }

    /// [`Error::Cancelled`] if the flag was raised.
    pub(crate) fn check(&self) -> Result<()> {
        if self.cancel.load(Ordering::Relaxed) { Err(Error::Cancelled) } else { Ok(()) }
    }

    /// Publishes, and tells what was published.
    pub(crate) fn commit(&mut self) -> Result<()> {
        self.writer.commit()?;
        (self.since, self.rows) = (Instant::now(), 0);
        for done in self.waiting.drain(..) {
            (self.events)(TransferEvent::Duplicate {
                input: self.input,
                from_id: done.from_id,
                id: done.id,
                label: done.label.as_deref(),
                labels_added: done.labels_added,
            });
        }
        (self.events)(TransferEvent::Committed { items: self.items });
        Ok(())
    }

    /// Ends an input: what it gave is durable.
    pub(crate) fn next_input(&mut self) -> Result<TransferCounts> {
        self.commit()?;
        self.input += 1;
        Ok(std::mem::take(&mut self.counts))
    }

    /// Builds the index segments that are missing, if this build can search such a database. [`Error::Cancelled`] leaves
    /// those there were.
    pub(crate) fn index(mut self) -> Result<()> {
        let events = &mut self.events;
        let mut tell = |view: &str, codes| events(TransferEvent::Indexing { view, codes });
        segments::build_missing(&self.dir, &mut self.writer, self.cancel, &mut tell)
    }
}
