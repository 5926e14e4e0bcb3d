//! Owns [`Writer`], the one writer of a database: opening with recovery, the batch and its commit, and the state in
//! which it refuses further work. What must hold: the catalog's commit comes after everything it names is durable.

mod codes;
mod compact;
mod migrate;
mod orphans;
mod put;
mod remove;
mod segments;
mod take_over;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use roaring::RoaringBitmap;

use crate::catalog::Catalog;
use crate::catalog::head::Head;
use crate::catalog::id_sets::IdSet;
use crate::catalog::rows::SegmentRow;
use crate::dir::{Store, catalog_path, check_exists, sync_name};
use crate::error::{Error, Result};
use crate::files::append::Appender;
use crate::files::labels::TextAppender;
use crate::files::recover;
use crate::lock::WriterLock;
use crate::published::{Published, Publisher};
use crate::records::{Pending, Source, Stamp};
use crate::schema::{Contents, Schema};
use crate::version::Version;
use crate::vfs::{OsVfs, Vfs};

pub use compact::{Compaction, CopyProgress};
pub use migrate::MigrateProgress;
use remove::Removals;
pub use take_over::TakenOver;

/// A file changed within this time before it was recorded may change again without a new time of modification.
const RACY_NS: i64 = 2_000_000_000;

/// The one writer of a database.
///
/// What is put is gathered and published by [`Writer::commit`]; dropping the writer without it leaves nothing behind.
/// After any failed write, sync or commit the writer is poisoned: it refuses everything until the database is opened
/// again, which finds out what is on the medium.
#[derive(Debug)]
pub struct Writer {
    // Declared before the lock, so that the catalog is closed before the lock is freed.
    catalog: Catalog,
    files: Vec<Appender>,
    /// The head as the next commit will write it; its tails are those of the last commit.
    head: Head,
    segments: Vec<SegmentRow>,
    /// New void ids by code file.
    voids: BTreeMap<usize, RoaringBitmap>,
    /// Removed ids that are not published yet.
    removals: Removals,
    /// Text of labels that does not fill a piece yet.
    text: TextAppender,
    /// Files that the next commit makes unnecessary.
    obsolete: Vec<PathBuf>,
    publisher: Publisher,
    pending: Pending,
    in_transaction: bool,
    poisoned: Option<String>,
    clock: fn() -> i64,
    vfs: Arc<dyn Vfs>,
    dir: PathBuf,
    _lock: WriterLock,
}

impl Writer {
    /// Opens a database for writing and cuts back what an interrupted writer left. O(1) in the number of codes, but
    /// for the uncommitted ones.
    ///
    /// # Errors
    /// [`Error::NotADatabase`]; [`Error::Locked`] at once if there is another writer; [`Error::ParametersDiffer`],
    /// [`Error::OtherContents`] or [`Error::OtherWidth`] if it was made with another schema; [`Error::TooShort`] and [`Error::Corrupted`] if committed bytes are not there;
    /// [`Error::UnknownVersion`]; [`Error::OlderVersion`] if it has to be migrated first.
    pub fn open(dir: &Path, schema: &Schema) -> Result<Self> {
        Self::open_on(Arc::new(OsVfs), dir, schema)
    }

    /// Opens a database for writing, after creating it if there is none.
    ///
    /// # Errors
    /// As [`Writer::open`] and [`Store::create`].
    pub fn open_or_create(dir: &Path, schema: &Schema) -> Result<Self> {
        if !Store::exists(dir) {
            match Store::create(dir, schema) {
                // Another process was faster: fine if the schema fits.
                Err(Error::AlreadyExists { .. }) if Store::exists(dir) => {}
                other => other?,
            }
        }
        Self::open(dir, schema)
    }

    /// Opens through another file system than the operating system's; the catalog and the lock stay real files.
    ///
    /// # Errors
    /// As [`Writer::open`].
    pub fn open_on(vfs: Arc<dyn Vfs>, dir: &Path, schema: &Schema) -> Result<Self> {
        Self::open_any(vfs, dir, schema, false)
    }

    /// Opens; a database of an older version only if that is wanted.
    fn open_any(vfs: Arc<dyn Vfs>, dir: &Path, schema: &Schema, older: bool) -> Result<Self> {
        schema.validate()?;
        check_exists(dir)?;
        let lock = WriterLock::take(dir)?;
        let catalog = Catalog::open_write(&catalog_path(dir))?;
        let head = catalog.head()?;
        Published::read(&*vfs, dir).check(dir, &head)?;
        let (found, expected) = (head.schema.contents, schema.contents);
        if found != expected {
            return Err(Error::OtherContents { path: dir.to_owned(), expected, found });
        }
        if found == Contents::Codes && head.schema != *schema {
            let bits = |schema: &Schema| schema.views[0].words * 64;
            let (expected_bits, found_bits) = (bits(schema), bits(&head.schema));
            return Err(Error::OtherWidth { path: dir.to_owned(), expected_bits, found_bits });
        }
        if head.schema != *schema {
            return Err(Error::ParametersDiffer {
                path: dir.to_owned(),
                expected: schema.describe(),
                found: head.schema.describe(),
            });
        }
        let version = catalog.version();
        if !older && !version.is_newest() {
            let newest = Version::newest(version.contents).number;
            return Err(Error::OlderVersion { path: dir.to_owned(), found: version.number, newest });
        }
        // Whoever copied it here may have died, or failed, between the rename and the sync of its name.
        sync_name(&*vfs, dir)?;
        if head.generation == 0 {
            // Whoever created it may have died, or failed, between the catalog's rename and the sync of its name.
            vfs.sync_dir(dir).map_err(|e| Error::io("sync", dir, e))?;
        }
        let mut files = Vec::with_capacity(head.tails.len());
        for (number, &tail) in head.tails.iter().enumerate() {
            let path = dir.join(head.file(number).name());
            files.push(recover::open(&*vfs, &path, &head.file_header(number), tail, head.generation)?);
        }
        let segments = catalog.segments(&head)?;
        let this = Self {
            catalog,
            files,
            head,
            segments,
            voids: BTreeMap::new(),
            removals: Removals::default(),
            text: TextAppender::default(),
            obsolete: Vec::new(),
            publisher: Publisher::new(dir),
            pending: Pending::default(),
            in_transaction: false,
            poisoned: None,
            clock: crate::clock::now_ms,
            vfs,
            dir: dir.to_owned(),
            _lock: lock,
        };
        this.remove_orphans()?;
        Ok(this)
    }

    /// Takes the times to record from `clock` (milliseconds since 1970) instead of the system: for databases that
    /// come out the same each time, and for tests.
    #[must_use]
    pub fn with_clock(mut self, clock: fn() -> i64) -> Self {
        self.clock = clock;
        self
    }

    /// The schema.
    pub fn schema(&self) -> &Schema {
        &self.head.schema
    }

    /// Ids given to models, with those pending.
    pub fn model_count(&self) -> u32 {
        self.head.models
    }

    /// Ids given to tensors, with those pending.
    pub fn tensor_count(&self) -> u32 {
        self.head.tensors
    }

    /// What the next commit would publish.
    pub fn pending(&self) -> Pending {
        self.pending
    }

    /// The label's current source if its stamp is still this one, so that the file need not be read at all. `None`
    /// also if the file was changed so shortly before it was recorded (2 s) that it may have changed again
    /// unnoticed: then the file digest has to tell ([`Writer::put_source`]).
    ///
    /// # Errors
    /// [`Error::Catalog`], [`Error::Corrupted`], [`Error::Poisoned`].
    pub fn unchanged(&self, label: &str, stamp: Stamp) -> Result<Option<Source>> {
        let source = self.source_by_label(label)?;
        Ok(source.filter(|source| {
            let recorded_ns = source.recorded_at_ms.saturating_mul(1_000_000);
            source.stamp == stamp && stamp.mtime_ns < recorded_ns.saturating_sub(RACY_NS)
        }))
    }

    /// The current version of a label, with what is pending.
    ///
    /// # Errors
    /// [`Error::Catalog`], [`Error::Corrupted`], [`Error::Poisoned`].
    pub fn source_by_label(&self, label: &str) -> Result<Option<Source>> {
        self.check_sound()?;
        self.catalog.source_by_label(label)
    }

    /// The first source with this file digest, with what is pending: such a file need not be hashed, see
    /// [`Writer::put_source`].
    ///
    /// # Errors
    /// [`Error::Catalog`], [`Error::Corrupted`], [`Error::Poisoned`].
    pub fn source_by_file_digest(&self, file_digest: &[u8; 32]) -> Result<Option<Source>> {
        self.check_sound()?;
        self.catalog.source_by_file_digest(file_digest)
    }

    /// The code id of the model with these contents, with what is pending.
    ///
    /// # Errors
    /// [`Error::Catalog`], [`Error::Corrupted`], [`Error::Poisoned`].
    pub fn model_by_content_digest(&self, content_digest: &[u8; 32]) -> Result<Option<u32>> {
        self.check_sound()?;
        self.catalog.model_by_content_digest(content_digest)
    }

    /// Publishes everything put since the last commit. When it returns, that is on the medium and readers can see it.
    /// Two syncs for the code files (one for each that grew) and one for the catalog, whatever the size of the batch.
    ///
    /// # Errors
    /// Any error poisons the writer. Whether the batch was published is known when the database is opened again: all
    /// of it or nothing. [`Error::DiskFull`] and other failures before the catalog's commit publish nothing.
    pub fn commit(&mut self) -> Result<()> {
        self.check_sound()?;
        if self.pending.is_empty() {
            return Ok(());
        }
        let result = self.try_commit();
        self.poison_on_error(result)
    }

    fn try_commit(&mut self) -> Result<()> {
        let generation = self.next_generation();
        self.finish_text()?;
        let mut tails = Vec::with_capacity(self.files.len());
        for file in &mut self.files {
            tails.push(file.prepare(generation)?);
        }
        self.head.generation = generation;
        self.head.tails = tails;
        for (&file, ids) in &self.voids {
            self.catalog.add_ids(IdSet::Voids(file), ids)?;
        }
        self.finish_removals()?;
        self.catalog.update_head(&self.head)?;
        self.catalog.commit()?;
        self.publisher.write(&*self.vfs, &self.head);
        self.in_transaction = false;
        for (file, &tail) in self.files.iter_mut().zip(&self.head.tails) {
            file.published(tail);
        }
        self.voids.clear();
        self.removals.clear();
        self.pending = Pending::default();
        for path in self.obsolete.drain(..) {
            // Nothing names the file any more. If it cannot be removed now, the next opening removes it.
            let _ = self.vfs.remove(&path);
        }
        Ok(())
    }

    /// The number of the commit that is being prepared.
    fn next_generation(&self) -> u64 {
        self.head.generation + 1
    }

    fn begin(&mut self) -> Result<()> {
        if !self.in_transaction {
            self.catalog.begin_write()?;
            self.in_transaction = true;
        }
        Ok(())
    }

    fn check_sound(&self) -> Result<()> {
        match &self.poisoned {
            None => Ok(()),
            Some(cause) => Err(Error::Poisoned { path: self.dir.clone(), cause: cause.clone() }),
        }
    }

    fn poison_on_error<T>(&mut self, result: Result<T>) -> Result<T> {
        if let Err(error) = &result {
            self.poisoned = Some(error.to_string());
        }
        result
    }
}
