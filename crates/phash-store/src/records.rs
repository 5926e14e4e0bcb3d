//! Owns the plain records that go into the catalog and come out of it. No behaviour beyond small conversions.

use roaring::RoaringBitmap;

/// Size and time of a file as the file system tells them: cheap evidence that it did not change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stamp {
    /// Length in bytes (of all files of the model together, if there are several).
    pub len_bytes: u64,
    /// Time of last modification, nanoseconds since 1970 (the latest, if there are several files).
    pub mtime_ns: i64,
}

/// A weights file to record: where it was found and what it was then.
#[derive(Clone, Copy, Debug)]
pub struct NewSource<'a> {
    /// The label: the path as the user gave it. A label may get several versions.
    pub label: &'a str,
    /// The path with which the file can be found again, if that is another one than the label.
    pub path: &'a str,
    /// Size and time.
    pub stamp: Stamp,
    /// Digest of the file (set) as it is.
    pub file_digest: [u8; 32],
}

/// A code in one view.
#[derive(Clone, Copy, Debug)]
pub struct ViewCode<'a> {
    /// The code's bytes, `8 * words` of them; `None` for a void code (no features in this view).
    pub bytes: Option<&'a [u8]>,
    /// How many features are behind the code.
    pub features: u32,
}

/// A tensor of a model to be stored.
#[derive(Clone, Copy, Debug)]
pub struct NewTensor<'a> {
    /// Name in the file.
    pub name: &'a str,
    /// Element type, as the format spells it.
    pub dtype: &'a str,
    /// Sizes of the axes.
    pub shape: &'a [u64],
    /// One for each view of the schema, in its order.
    pub views: &'a [ViewCode<'a>],
}

/// A hashed model to be stored.
#[derive(Clone, Copy, Debug)]
pub struct NewModel<'a> {
    /// The file it came from.
    pub source: NewSource<'a>,
    /// Name of the file format.
    pub format: &'a str,
    /// Digest of the tensors' contents, independent of header, names and order: equal means the same model.
    pub content_digest: [u8; 32],
    /// One for each view of the schema, in its order.
    pub views: &'a [ViewCode<'a>],
    /// Whether there are too few features to be sure of anything.
    pub weak: bool,
    /// Tensors that were hashed.
    pub tensors_used: u32,
    /// Tensors that were not, by reason.
    pub tensors_skipped: &'a [(&'a str, u32)],
    /// The tensors with their own codes (may be empty).
    pub tensors: &'a [NewTensor<'a>],
}

/// What became of a model or source handed to the writer. Valid once the next commit returns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Stored under a new code id; `version` counts the versions of the label from 1.
    Ingested {
        /// The new code id.
        id: u32,
        /// The label's version.
        version: u32,
    },
    /// The same contents are stored already; the label was recorded as another source of that model.
    Duplicate {
        /// The code id of the stored model.
        of: u32,
        /// The label's version.
        version: u32,
    },
    /// The label is recorded with this very file already.
    Unchanged {
        /// The code id of the stored model.
        id: u32,
    },
}

impl Outcome {
    /// The code id of the model that the source now stands for.
    pub fn id(self) -> u32 {
        match self {
            Self::Ingested { id, .. } | Self::Unchanged { id } | Self::Duplicate { of: id, .. } => id,
        }
    }
}

/// One version of a label: a weights file as it was when it was ingested.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Source {
    /// Number of the source, dense from 0 in order of recording.
    pub id: u32,
    /// The path as the user gave it.
    pub label: String,
    /// Version of the label, from 1.
    pub version: u32,
    /// The path with which the file can be found again.
    pub path: String,
    /// Size and time when last seen.
    pub stamp: Stamp,
    /// Digest of the file (set).
    pub file_digest: [u8; 32],
    /// Code id of the model it holds.
    pub model_id: u32,
    /// Whether this is the label's latest version.
    pub current: bool,
    /// When it was recorded or last seen unchanged, milliseconds since 1970.
    pub recorded_at_ms: i64,
}

/// A stored model with everything recorded about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ModelRow {
    /// Code id.
    pub id: u32,
    /// Digest of the tensors' contents.
    pub content_digest: [u8; 32],
    /// Name of the file format it was read from first.
    pub format: String,
    /// Whether there are too few features to be sure of anything.
    pub weak: bool,
    /// Tensors that were hashed.
    pub tensors_used: u32,
    /// Tensors that were not, by reason, in the order of the reasons' names.
    pub tensors_skipped: Vec<(String, u32)>,
    /// Features behind the code of each view, in the schema's order.
    pub features: Vec<u32>,
    /// When it was stored, milliseconds since 1970.
    pub ingested_at_ms: i64,
    /// Ids of its tensors' codes.
    pub tensors: std::ops::Range<u32>,
    /// Its sources in order of recording: several for duplicates; never empty.
    pub sources: Vec<Source>,
}

/// A stored tensor.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TensorRow {
    /// Tensor code id.
    pub id: u32,
    /// Code id of its model.
    pub model_id: u32,
    /// Name in the file.
    pub name: String,
    /// Element type, as the format spells it.
    pub dtype: String,
    /// Sizes of the axes.
    pub shape: Vec<u64>,
    /// Features behind the code of each view, in the schema's order.
    pub features: Vec<u32>,
}

/// What a writer holds that is not committed yet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Pending {
    /// New raw codes.
    pub codes: u32,
    /// New models.
    pub models: u32,
    /// New tensors.
    pub tensors: u32,
    /// New sources, duplicates among them.
    pub sources: u32,
    /// New index segments.
    pub segments: u32,
    /// Removed models or raw codes.
    pub removed: u32,
    /// Other changes: stamps brought up to date, segments dropped.
    pub changes: u32,
}

impl Pending {
    /// Whether a commit would change nothing.
    pub fn is_empty(self) -> bool {
        self == Self::default()
    }
}

/// What a removal took away. Valid once the next commit returns.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Removed {
    /// Ids of the models or raw codes that are no more, ascending.
    pub ids: RoaringBitmap,
    /// Tensors of these models.
    pub tensors: u32,
    /// Sources: versions of labels.
    pub sources: u32,
    /// Models that lost a label and stand under another one still, ascending.
    pub kept: RoaringBitmap,
}

/// One file of a database.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileSize {
    /// Path within the directory.
    pub name: String,
    /// Its length, in bytes; of a code file as of the snapshot.
    pub len_bytes: u64,
    /// Of these, bytes that hold what was removed, or nothing, in bytes: what a compaction gives back.
    pub dead_bytes: u64,
}

/// Sizes and counts of a database, as of a reader's snapshot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Info {
    /// Version of the format on disk.
    pub format_version: u32,
    /// Number of commits so far.
    pub generation: u64,
    /// When the database was created, milliseconds since 1970.
    pub created_at_ms: i64,
    /// Compactions so far.
    pub compactions: u32,
    /// Stored raw codes without the removed ones, as all counts here; those of models, tensors and sources are then 0.
    pub codes: u32,
    /// Stored models.
    pub models: u32,
    /// Those among them that are weak.
    pub weak_models: u32,
    /// Stored tensors.
    pub tensors: u32,
    /// Sources: all versions of all labels.
    pub sources: u32,
    /// Labels; in a database of raw codes, codes with a label.
    pub labels: u32,
    /// Models or raw codes that were removed since the last compaction: their codes still take space.
    pub removed: u32,
    /// Models in each view without a code there, in the schema's order.
    pub void_models: Vec<u32>,
    /// Length of the catalog and its log in bytes.
    pub catalog_bytes: u64,
    /// Committed length of all code files in bytes, but for those of labels.
    pub code_bytes: u64,
    /// Committed length of the labels of raw codes in bytes.
    pub label_bytes: u64,
    /// Index segments and their length in bytes.
    pub segments: u32,
    /// Length of all index segments in bytes.
    pub segment_bytes: u64,
    /// Bytes behind the committed ones in code files: being written, or left by an interrupted writer.
    pub uncommitted_bytes: u64,
    /// All files, but for the writer's lock and SQLite's shared memory.
    pub files: Vec<FileSize>,
}

impl Info {
    /// Length of all files, in bytes.
    pub fn total_bytes(&self) -> u64 {
        self.files.iter().map(|file| file.len_bytes).sum()
    }

    /// Bytes of all files that a compaction gives back.
    pub fn dead_bytes(&self) -> u64 {
        self.files.iter().map(|file| file.dead_bytes).sum()
    }
}
