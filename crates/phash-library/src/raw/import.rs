//! Import of raw codes. What must hold: an import is stored as a whole or not at all, unless commits in between are asked
//! for; what was told as committed is durable; memory does not grow with the codes (but for the labels' hashes).

use std::num::{NonZeroU64, NonZeroUsize};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use phash_index::{BuildParams, Layout};
use phash_store::{Contents, OpenOptions, Reader, Schema, Store, Writer};

use super::input::{CodeEntry, CodeInput, Columns};
use super::labels::LabelSet;
use super::{Width, sized};
use crate::error::{Error, Result};

/// Codes between two looks at the cancel flag.
const CANCEL_CODES: u64 = 4096;

/// How codes are to be imported.
#[derive(Clone, Debug)]
pub struct ImportOptions {
    /// The width of the codes: that of the database, if there is one.
    pub width: Width,
    /// Commit after so many codes, and not only at the end: an import that fails then keeps what was committed.
    pub commit_every: Option<NonZeroU64>,
    /// Whether a label may be that of several codes.
    pub repeated_labels: bool,
    /// The columns of CSV files with a header.
    pub columns: Columns,
    /// The layout of the index segments that are built; without it that of the newest segment there is, or compact.
    pub layout: Option<Layout>,
    /// How many threads build them; without it as many as the machine runs at once.
    pub threads: Option<NonZeroUsize>,
}

impl ImportOptions {
    /// The defaults: one commit, no label twice.
    pub fn new(width: Width) -> Self {
        let columns = Columns::default();
        Self { width, commit_every: None, repeated_labels: false, columns, layout: None, threads: None }
    }
}

/// What happens during an import.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ImportEvent {
    /// So many codes of this import are stored, durably.
    Committed {
        /// Codes so far.
        codes: u64,
    },
    /// An index segment over so many codes is being built.
    Indexing {
        /// The codes it covers, older ones among them.
        codes: u32,
        /// How it is laid out.
        layout: Layout,
    },
}

/// What an import did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ImportSummary {
    /// Codes stored.
    pub codes: u64,
    /// Those of them with a label.
    pub labelled: u64,
    /// The id of the first; the others follow.
    pub first_id: u32,
    /// Whether the cancel flag ended it while the index was built: all codes are stored, and those without an index are
    /// searched by comparing. Segments there were before are kept.
    pub cancelled: bool,
}

/// Appends the codes of the files to the database of raw codes at `dir`, which is created if there is none, and indexes
/// them. `read` is told of bytes as they are read.
///
/// Time linear in the codes; memory some MiB, 20 to 60 bytes for each label (unless `repeated_labels`), and what building an
/// index segment takes (`phash_index::write_segment`).
///
/// # Errors
/// [`Error::CodeInput`], [`Error::CodeFile`], [`Error::LabelTwice`], [`Error::Cancelled`] and [`Error::Store`]: nothing is stored but what
/// was told as committed. [`Error::Store`] and [`Error::Index`] after the last commit: all is stored, not all indexed.
pub fn import_codes(
    dir: &Path,
    inputs: Vec<CodeInput>,
    options: &ImportOptions,
    cancel: &AtomicBool,
    read: &dyn Fn(u64),
    events: &mut dyn FnMut(ImportEvent),
) -> Result<ImportSummary> {
    let mut import = Import { dir, options, cancel, events, open: None, codes: 0, labelled: 0, committed: 0 };
    if Store::exists(dir) {
        import.open()?;
    }
    let run = inputs.into_iter().try_for_each(|input| {
        let name = input.name().to_owned();
        input.for_each(options.width, &options.columns, read, &mut |entry| import.put(&name, entry)).map(drop)
    });
    let done = run.and_then(|()| import.commit());
    if done.is_err() && import.open.take().is_some() {
        import.clean_up();
    }
    done?;
    import.index()
}

struct Import<'a> {
    dir: &'a Path,
    options: &'a ImportOptions,
    cancel: &'a AtomicBool,
    events: &'a mut dyn FnMut(ImportEvent),
    /// The database, once there is something to put into it.
    open: Option<Open>,
    codes: u64,
    labelled: u64,
    committed: u64,
}

struct Open {
    writer: Writer,
    /// Codes that were there before.
    first_id: u32,
    /// The labels that there are; made at the first new one.
    labels: Option<LabelSet>,
}

impl Import<'_> {
    /// The database, opened or created.
    fn open(&mut self) -> Result<&mut Open> {
        if self.open.is_none() {
            let writer = Writer::open_or_create(self.dir, &Schema::codes(self.options.width.words()))?;
            let first_id = writer.code_count();
            self.open = Some(Open { writer, first_id, labels: None });
        }
        self.open.as_mut().ok_or(Error::Cancelled)
    }

    fn put(&mut self, file: &str, entry: &CodeEntry<'_>) -> Result<()> {
        if self.codes.is_multiple_of(CANCEL_CODES) && self.cancel.load(Ordering::Relaxed) {
            return Err(Error::Cancelled);
        }
        let (dir, unique) = (self.dir, !self.options.repeated_labels);
        let open = self.open()?;
        if let Some(label) = entry.label.filter(|_| unique) {
            let labels = match &mut open.labels {
                Some(labels) => labels,
                unmade => unmade.insert(labels_of(dir)?),
            };
            if !labels.insert(label) {
                let (file, label) = (file.to_owned(), label.to_owned());
                return Err(Error::LabelTwice { name: file, place: entry.place, label });
            }
        }
        open.writer.put_code(entry.code, entry.label)?;
        self.codes += 1;
        self.labelled += u64::from(entry.label.is_some());
        match self.options.commit_every {
            Some(every) if self.codes.is_multiple_of(every.get()) => self.commit(),
            _ => Ok(()),
        }
    }

    fn commit(&mut self) -> Result<()> {
        let Some(open) = &mut self.open else { return Ok(()) };
        if self.codes > self.committed {
            open.writer.commit()?;
            self.committed = self.codes;
            (self.events)(ImportEvent::Committed { codes: self.codes });
        }
        Ok(())
    }

    /// Opening again cuts off what was not committed, and removes half a segment: what failed takes no space. If that fails
    /// too, the next writer does it.
    fn clean_up(&self) {
        drop(Writer::open(self.dir, &Schema::codes(self.options.width.words())));
    }

    fn index(mut self) -> Result<ImportSummary> {
        let (dir, width, layout) = (self.dir, self.options.width, self.options.layout);
        let mut build = BuildParams::default();
        build.threads = self.options.threads.map(NonZeroUsize::get);
        let mut summary =
            ImportSummary { codes: self.codes, labelled: self.labelled, first_id: 0, cancelled: false };
        let Some(open) = &mut self.open else { return Ok(summary) };
        summary.first_id = open.first_id;
        let events = &mut *self.events;
        let mut starts = |codes, layout| events(ImportEvent::Indexing { codes, layout });
        match sized::build_segments(dir, &mut open.writer, width, layout, &build, self.cancel, &mut starts) {
            Err(Error::Cancelled) => {
                summary.cancelled = true;
                self.open = None;
                self.clean_up();
            }
            built => built?,
        }
        Ok(summary)
    }
}

/// The labels that the database has.
fn labels_of(dir: &Path) -> Result<LabelSet> {
    let reader = Reader::open(dir, OpenOptions::default())?;
    reader.check_contents(Contents::Codes)?;
    LabelSet::of(&reader)
}
