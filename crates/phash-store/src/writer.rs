//! Owns [`Writer`].
use std::ops::Range;
use std::path::Path;
use crate::*;
/// The one writer of a database.
#[derive(Debug)]
pub struct Writer(());
#[expect(unused_variables, reason = "signatures first")]
impl Writer {
    /// Opens; recovers after a crash. # Errors: NotADatabase, Locked, ParametersDiffer, Corrupted, TooShort...
    pub fn open(dir: &Path, schema: &Schema) -> Result<Self> { unreachable!() }
    /// Opens, or creates if there is nothing.
    pub fn open_or_create(dir: &Path, schema: &Schema) -> Result<Self> { unreachable!() }
    /// For reproducible databases: milliseconds since 1970.
    #[must_use]
    pub fn with_clock(self, clock: fn() -> i64) -> Self { unreachable!() }
    /// Schema.
    pub fn schema(&self) -> &Schema { unreachable!() }
    /// The label's current source, if its stamp is this one and can be trusted (not racily new): the file need not be read.
    pub fn unchanged(&self, label: &str, stamp: Stamp) -> Result<Option<Source>> { unreachable!() }
    /// The label's current source.
    pub fn source_by_label(&self, label: &str) -> Result<Option<Source>> { unreachable!() }
    /// Any source with this file digest: the file need not be hashed, `put_source` does.
    pub fn source_by_file_digest(&self, file_digest: &[u8; 32]) -> Result<Option<Source>> { unreachable!() }
    /// The code id of the model with these contents.
    pub fn model_by_content_digest(&self, content_digest: &[u8; 32]) -> Result<Option<u32>> { unreachable!() }
    /// Stores a hashed model, or records it as duplicate / unchanged.
    pub fn put(&mut self, model: &NewModel<'_>) -> Result<Outcome> { unreachable!() }
    /// Records a file of a model that is stored already (found by file digest): `Duplicate` or `Unchanged` (stamp updated).
    pub fn put_source(&mut self, source: &NewSource<'_>, model_id: u32) -> Result<Outcome> { unreachable!() }
    /// Writes an index segment over code ids `ids` of a view; it is published by the next commit.
    pub fn add_segment(&mut self, view: &str, ids: Range<u32>, bytes: &[u8]) -> Result<()> { unreachable!() }
    /// The same, written by a closure into a buffered file (no copy in memory).
    pub fn add_segment_with(&mut self, view: &str, ids: Range<u32>, write: &mut dyn FnMut(&mut dyn std::io::Write) -> std::io::Result<()>) -> Result<()> { unreachable!() }
    /// Drops the view's segments that lie within `ids` (0..u32::MAX: all). Takes effect with the next commit.
    pub fn drop_segments(&mut self, view: &str, ids: Range<u32>) -> Result<u32> { unreachable!() }
    /// Ranges of the view's segments, as they will be after the next commit.
    pub fn segments(&self, view: &str) -> Result<Vec<Range<u32>>> { unreachable!() }
    /// Models stored, with those pending.
    pub fn model_count(&self) -> u32 { unreachable!() }
    /// What the next commit would publish.
    pub fn pending(&self) -> Pending { unreachable!() }
    /// Publishes everything put since the last commit, durably. # Errors: after any, the writer is poisoned.
    pub fn commit(&mut self) -> Result<()> { unreachable!() }
}
/// Creation of a database.
#[derive(Debug)]
pub struct Store(());
#[expect(unused_variables, reason = "signatures first")]
impl Store {
    /// Creates an empty database in `dir` (made if missing; must be empty otherwise).
    pub fn create(dir: &Path, schema: &Schema) -> Result<()> { unreachable!() }
    /// Whether `dir` holds a database.
    pub fn exists(dir: &Path) -> bool { unreachable!() }
}
