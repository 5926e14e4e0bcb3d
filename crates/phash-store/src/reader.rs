//! Owns [`Reader`].
use std::ops::Range;
use std::path::Path;
use crate::*;
/// A snapshot of a database. `Send + Sync`.
#[derive(Debug)]
pub struct Reader(());
/// The committed codes of one file; keeps its bytes alive by itself (cheap to clone, `Send + Sync`, no lifetime).
#[derive(Clone, Debug)]
pub struct CodeView<const W: usize>(());
impl<const W: usize> phash_code::Codes<W> for CodeView<W> {
    fn len(&self) -> u32 { unreachable!() }
    fn run(&self, _id: u32) -> &[phash_code::Code<W>] { unreachable!() }
}
/// The bytes of an index segment; cheap to clone, 8-byte aligned start, keeps itself alive.
#[derive(Clone, Debug)]
pub struct SegmentBytes(());
impl AsRef<[u8]> for SegmentBytes { fn as_ref(&self) -> &[u8] { unreachable!() } }
#[expect(unused_variables, reason = "signatures first")]
impl Reader {
    /// Opens a snapshot.
    pub fn open(dir: &Path, options: OpenOptions) -> Result<Self> { unreachable!() }
    /// Moves to the latest commit; whether anything changed. Views handed out before stay valid and as they were.
    pub fn refresh(&mut self) -> Result<bool> { unreachable!() }
    /// Schema (compare `parameters` before searching).
    pub fn schema(&self) -> &Schema { unreachable!() }
    /// Number of commits.
    pub fn generation(&self) -> u64 { unreachable!() }
    /// Models.
    pub fn model_count(&self) -> u32 { unreachable!() }
    /// Tensors.
    pub fn tensor_count(&self) -> u32 { unreachable!() }
    /// Codes of the models.
    pub fn codes<const W: usize>(&self, view: &str) -> Result<CodeView<W>> { unreachable!() }
    /// Codes of the tensors.
    pub fn tensor_codes<const W: usize>(&self, view: &str) -> Result<CodeView<W>> { unreachable!() }
    /// Models without a code in this view.
    pub fn voids(&self, view: &str) -> Result<&roaring::RoaringBitmap> { unreachable!() }
    /// Tensors without a code in this view.
    pub fn tensor_voids(&self, view: &str) -> Result<&roaring::RoaringBitmap> { unreachable!() }
    /// A model with all its sources.
    pub fn model(&self, id: u32) -> Result<Option<ModelRow>> { unreachable!() }
    /// One label of the model: the first current one, else the latest.
    pub fn label(&self, id: u32) -> Result<Option<String>> { unreachable!() }
    /// All models by id, bounded memory.
    pub fn models(&self) -> Models<'_> { unreachable!() }
    /// The model with these contents.
    pub fn model_by_content_digest(&self, digest: &[u8; 32]) -> Result<Option<u32>> { unreachable!() }
    /// Any source with this file digest.
    pub fn source_by_file_digest(&self, digest: &[u8; 32]) -> Result<Option<Source>> { unreachable!() }
    /// The current version of a label.
    pub fn source_by_label(&self, label: &str) -> Result<Option<Source>> { unreachable!() }
    /// All versions of a label, oldest first.
    pub fn versions(&self, label: &str) -> Result<Vec<Source>> { unreachable!() }
    /// Tensors of a model.
    pub fn tensors(&self, model_id: u32) -> Result<Vec<TensorRow>> { unreachable!() }
    /// A tensor by its code id.
    pub fn tensor(&self, tensor_id: u32) -> Result<Option<TensorRow>> { unreachable!() }
    /// The view's index segments by first id.
    pub fn segments(&self, view: &str) -> Result<Vec<(Range<u32>, SegmentBytes)>> { unreachable!() }
    /// Sizes and counts.
    pub fn info(&self) -> Result<Info> { unreachable!() }
    /// Checks everything; goes on after damage. Progress is called with (bytes done, bytes in all).
    pub fn verify(&self, progress: &mut dyn FnMut(u64, u64)) -> Result<VerifyReport> { unreachable!() }
}
/// Iterator over all models.
#[derive(Debug)]
pub struct Models<'a>(&'a ());
impl Iterator for Models<'_> { type Item = Result<ModelRow>; fn next(&mut self) -> Option<Self::Item> { unreachable!() } }
/// What verify found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VerifyReport {
    /// Bytes that were checked.
    pub checked_bytes: u64,
    /// Codes whose checksum was checked.
    pub checked_codes: u64,
    /// Bytes behind the committed ones, left by an interrupted writer or being written now: not damage.
    pub uncommitted_bytes: u64,
    /// Everything that is wrong; empty means sound.
    pub damages: Vec<Damage>,
}
/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Damage {
    /// File, relative to the database directory.
    pub file: std::path::PathBuf,
    /// Where, in bytes.
    pub offset_bytes: u64,
    /// Which item.
    pub what: String,
    /// What it should be.
    pub expected: String,
    /// What it is.
    pub got: String,
}
