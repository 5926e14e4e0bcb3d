//! Owns [`Error`]: everything that can be wrong with a weights file, one variant a fault. Each message names the path,
//! what was expected and found, and what to do. Names that come out of a file are quoted and clipped before they are
//! shown, so that a hostile file can neither write to the terminal nor flood it.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

/// Why a weights file cannot be used. Every variant names the file.
///
/// Offsets are bytes from the start of the file, lengths are bytes.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// There is no such file or directory.
    #[error("{}: no such file or directory; check the path", .path.display())]
    NotFound {
        /// The path as it was given.
        path: PathBuf,
    },
    /// A symbolic link that leads to nothing.
    #[error("{}: is a link to a file that is not there; fetch that file, or remove the link", .path.display())]
    BrokenLink {
        /// The path as it was given.
        path: PathBuf,
    },
    /// A directory was given where a file is wanted.
    #[error("{}: is a directory, not a weights file; give a .safetensors file or a .safetensors.index.json inside it", .path.display())]
    IsDirectory {
        /// The path as it was given.
        path: PathBuf,
    },
    /// Neither a file nor a directory: a pipe, socket or device.
    #[error("{}: is not a regular file; copy the weights to a regular file first", .path.display())]
    NotRegular {
        /// The path as it was given.
        path: PathBuf,
    },
    /// The operating system refuses to let this user read it.
    #[error("{}: permission denied; make it readable for this user", .path.display())]
    PermissionDenied {
        /// The path as it was given.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
    /// Any other failure of the operating system.
    #[error("{}: cannot be read at byte {offset_bytes}: {source}; {}", .path.display(), io_remedy(.source))]
    Io {
        /// The path as it was given.
        path: PathBuf,
        /// Where the read began.
        offset_bytes: u64,
        /// What the operating system said.
        source: io::Error,
    },
    /// The file became shorter after it was opened.
    #[error("{}: became shorter while it was read: {expected_bytes} bytes wanted at byte {offset_bytes}, but the file now ends before; read it again when nobody writes to it", .path.display())]
    Shrunk {
        /// The path as it was given.
        path: PathBuf,
        /// Where the read began.
        offset_bytes: u64,
        /// Bytes wanted from there.
        expected_bytes: u64,
    },
    /// Length or modification time differ from what they were when the file was opened.
    #[error("{}: changed while it was read (length {expected_len_bytes} -> {got_len_bytes} bytes, modification time {expected_mtime_ns} -> {got_mtime_ns} ns); read it again when nobody writes to it", .path.display())]
    Changed {
        /// The path as it was given.
        path: PathBuf,
        /// Length when it was opened.
        expected_len_bytes: u64,
        /// Length now.
        got_len_bytes: u64,
        /// Modification time when it was opened, ns since 1970-01-01 UTC.
        expected_mtime_ns: i64,
        /// Modification time now, ns since 1970-01-01 UTC.
        got_mtime_ns: i64,
    },
    /// The file has no bytes.
    #[error("{}: is empty (0 bytes); fetch it again", .path.display())]
    Empty {
        /// The path as it was given.
        path: PathBuf,
    },
    /// The file ends before the 8 bytes that hold the header's length.
    #[error("{}: truncated: {expected_bytes} bytes of header length expected, the file has {got_bytes}; fetch it again", .path.display())]
    Truncated {
        /// The path as it was given.
        path: PathBuf,
        /// The least that a file must have.
        expected_bytes: u64,
        /// What it has.
        got_bytes: u64,
    },
    /// The stated header length exceeds the limit.
    #[error("{}: the header claims {got_bytes} bytes, more than the limit of {limit_bytes}; this is not a sound safetensors file", .path.display())]
    HeaderOverLimit {
        /// The path as it was given.
        path: PathBuf,
        /// What the first 8 bytes claim.
        got_bytes: u64,
        /// The limit, [`crate::limits::HEADER_BYTES`].
        limit_bytes: u64,
    },
    /// The stated header length exceeds the file.
    #[error("{}: truncated inside the header: it claims to end at byte {expected_bytes}, the file has {got_bytes} bytes; fetch it again", .path.display())]
    HeaderBeyondFile {
        /// The path as it was given.
        path: PathBuf,
        /// Where the header would end.
        expected_bytes: u64,
        /// Length of the file.
        got_bytes: u64,
    },
    /// The header or index is not UTF-8.
    #[error("{}: invalid UTF-8 at byte {offset_bytes}; the file is damaged or not what its name says", .path.display())]
    NotUtf8 {
        /// The path as it was given.
        path: PathBuf,
        /// The first byte that is not UTF-8.
        offset_bytes: u64,
    },
    /// The header or index is not JSON.
    #[error("{}: not JSON at byte {offset_bytes}: {message}; the file is damaged or not what its name says", .path.display())]
    NotJson {
        /// The path as it was given.
        path: PathBuf,
        /// Where the parser stopped.
        offset_bytes: u64,
        /// What the parser said.
        message: String,
    },
    /// JSON, but not of the form that the format prescribes: a field is missing, or of the wrong type.
    #[error("{}: malformed at byte {offset_bytes}: {message}; write the file again with a current safetensors library", .path.display())]
    Malformed {
        /// The path as it was given.
        path: PathBuf,
        /// Where the parser stopped.
        offset_bytes: u64,
        /// What is wrong.
        message: String,
    },
    /// One key twice in one JSON object: two readers could see two different models.
    #[error("{}: the key {} occurs twice in {within} (second time before byte {offset_bytes}); readers would disagree about the model, so it is refused: write the file again", .path.display(), Quoted(.key))]
    DuplicateKey {
        /// The path as it was given.
        path: PathBuf,
        /// Just after the second occurrence.
        offset_bytes: u64,
        /// The key.
        key: String,
        /// The object it occurs in.
        within: &'static str,
    },
    /// More of something than the limits allow.
    #[error("{}: more than {limit} {what} (at byte {offset_bytes}); over the limit for one model", .path.display())]
    TooMany {
        /// The path as it was given.
        path: PathBuf,
        /// Where the limit was passed.
        offset_bytes: u64,
        /// What there is too much of, in the plural.
        what: &'static str,
        /// The limit, see [`crate::limits`].
        limit: u64,
    },
    /// An element type that no version of the format we know defines.
    #[error("{}: unknown element type {} before byte {offset_bytes}; a newer phashdb may know it", .path.display(), Quoted(.got))]
    UnknownDtype {
        /// The path as it was given.
        path: PathBuf,
        /// Just after the name.
        offset_bytes: u64,
        /// The name in the file, clipped.
        got: String,
    },
    /// A tensor's end lies before its start.
    #[error("{}: tensor {} ends at byte {end_bytes}, before its start {offset_bytes}; the header is damaged: fetch the file again", .path.display(), Quoted(.tensor))]
    ReversedOffsets {
        /// The path as it was given.
        path: PathBuf,
        /// The tensor's name.
        tensor: String,
        /// Start of the tensor, relative to the data section.
        offset_bytes: u64,
        /// End of the tensor, relative to the data section.
        end_bytes: u64,
    },
    /// Two tensors share bytes.
    #[error("{}: tensor {} starts at data byte {got_bytes}, inside another tensor that ends at {expected_bytes}; overlapping tensors are refused: write the file again", .path.display(), Quoted(.tensor))]
    Overlap {
        /// The path as it was given.
        path: PathBuf,
        /// The later tensor's name.
        tensor: String,
        /// Where the tensor before it ends, relative to the data section.
        expected_bytes: u64,
        /// Where it starts, relative to the data section.
        got_bytes: u64,
    },
    /// Bytes between two tensors that belong to none.
    #[error("{}: data bytes {expected_bytes}..{got_bytes} before tensor {} belong to no tensor; write the file again", .path.display(), Quoted(.tensor))]
    Hole {
        /// The path as it was given.
        path: PathBuf,
        /// The tensor after the hole.
        tensor: String,
        /// Where the tensor before it ends, relative to the data section.
        expected_bytes: u64,
        /// Where it starts, relative to the data section.
        got_bytes: u64,
    },
    /// A tensor reaches beyond the end of the file.
    #[error("{}: tensor {} reaches to byte {expected_bytes} but the file ends at {got_bytes}: truncated or not completely downloaded; fetch it again", .path.display(), Quoted(.tensor))]
    OffsetsBeyondFile {
        /// The path as it was given.
        path: PathBuf,
        /// The first tensor that is not wholly there.
        tensor: String,
        /// Where it ends, from the start of the file (saturating).
        expected_bytes: u64,
        /// Length of the file.
        got_bytes: u64,
    },
    /// Bytes after the last tensor.
    #[error("{}: {} bytes after the last tensor (from byte {expected_bytes} on) belong to no tensor; write the file again", .path.display(), .got_bytes - .expected_bytes)]
    TrailingBytes {
        /// The path as it was given.
        path: PathBuf,
        /// Where the file should end.
        expected_bytes: u64,
        /// Length of the file.
        got_bytes: u64,
    },
    /// The product of a shape, or its size in bytes, does not fit 64 bits.
    #[error("{}: the shape of tensor {} overflows 64 bits; the header is damaged: fetch the file again", .path.display(), Quoted(.tensor))]
    ShapeOverflow {
        /// The path as it was given.
        path: PathBuf,
        /// The tensor's name.
        tensor: String,
    },
    /// The tensor would end inside a byte.
    #[error("{}: tensor {} has {bits} bits, not a whole number of bytes; write the file again", .path.display(), Quoted(.tensor))]
    PartialByte {
        /// The path as it was given.
        path: PathBuf,
        /// The tensor's name.
        tensor: String,
        /// Its size in bits.
        bits: u64,
    },
    /// Shape and element type ask for another length than the offsets give.
    #[error("{}: tensor {} needs {expected_bytes} bytes by shape and element type, its offsets give {got_bytes}; the header is damaged: fetch the file again", .path.display(), Quoted(.tensor))]
    LengthMismatch {
        /// The path as it was given.
        path: PathBuf,
        /// The tensor's name.
        tensor: String,
        /// What shape and element type ask for.
        expected_bytes: u64,
        /// What the offsets give.
        got_bytes: u64,
    },
    /// The file is of another format, which is not read yet.
    #[error("{}: looks like {looks_like}, which is not supported (nothing in it was executed); {remedy}", .path.display())]
    ForeignFormat {
        /// The path as it was given.
        path: PathBuf,
        /// What it looks like, with an article.
        looks_like: &'static str,
        /// What to do.
        remedy: &'static str,
    },
    /// A Git LFS pointer in place of the file.
    #[error("{}: is a Git LFS pointer, not the weights themselves; run `git lfs pull` in its repository", .path.display())]
    GitLfsPointer {
        /// The path as it was given.
        path: PathBuf,
    },
    /// The index is longer than the limit.
    #[error("{}: the index has {got_bytes} bytes, more than the limit of {limit_bytes}; this is not a sound shard index", .path.display())]
    IndexOverLimit {
        /// The index.
        path: PathBuf,
        /// Its length.
        got_bytes: u64,
        /// The limit, [`crate::limits::INDEX_BYTES`].
        limit_bytes: u64,
    },
    /// The index names a shard in a way that is not a plain path below its own folder.
    #[error("{}: the index names the shard {}, which {reason}; shards must lie beside the index, so this is refused", .path.display(), Quoted(.shard))]
    ShardName {
        /// The index.
        path: PathBuf,
        /// The shard's name in the index.
        shard: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// A shard is a symbolic link to a place outside the model's folder.
    #[error("{}: the shard {} is a symbolic link to {}, outside the model's folder and its cache; copy the shard beside the index if you trust it", .path.display(), Quoted(.shard), .target.display())]
    ShardEscapes {
        /// The index.
        path: PathBuf,
        /// The shard's name in the index.
        shard: String,
        /// Where it leads.
        target: PathBuf,
    },
    /// A shard that the index names is not there.
    #[error("{}: the shard {} that the index names is missing; fetch the model completely", .path.display(), Quoted(.shard))]
    ShardMissing {
        /// The index.
        path: PathBuf,
        /// The shard's name in the index.
        shard: String,
    },
    /// A shard lacks a tensor that the index places in it.
    #[error("{}: the index places tensor {} in the shard {}, which does not hold it; index and shards are of different models or versions: fetch both again", .path.display(), Quoted(.tensor), Quoted(.shard))]
    TensorMissing {
        /// The index.
        path: PathBuf,
        /// The tensor's name.
        tensor: String,
        /// The shard's name in the index.
        shard: String,
    },
}

impl Error {
    /// The file or directory the error is about.
    pub fn path(&self) -> &Path {
        match self {
            Error::NotFound { path }
            | Error::BrokenLink { path }
            | Error::IsDirectory { path }
            | Error::NotRegular { path }
            | Error::PermissionDenied { path, .. }
            | Error::Io { path, .. }
            | Error::Shrunk { path, .. }
            | Error::Changed { path, .. }
            | Error::Empty { path }
            | Error::Truncated { path, .. }
            | Error::HeaderOverLimit { path, .. }
            | Error::HeaderBeyondFile { path, .. }
            | Error::NotUtf8 { path, .. }
            | Error::NotJson { path, .. }
            | Error::Malformed { path, .. }
            | Error::DuplicateKey { path, .. }
            | Error::TooMany { path, .. }
            | Error::UnknownDtype { path, .. }
            | Error::ReversedOffsets { path, .. }
            | Error::Overlap { path, .. }
            | Error::Hole { path, .. }
            | Error::OffsetsBeyondFile { path, .. }
            | Error::TrailingBytes { path, .. }
            | Error::ShapeOverflow { path, .. }
            | Error::PartialByte { path, .. }
            | Error::LengthMismatch { path, .. }
            | Error::ForeignFormat { path, .. }
            | Error::GitLfsPointer { path }
            | Error::IndexOverLimit { path, .. }
            | Error::ShardName { path, .. }
            | Error::ShardEscapes { path, .. }
            | Error::ShardMissing { path, .. }
            | Error::TensorMissing { path, .. } => path,
        }
    }

    /// Sorts an error of the operating system into the variant that says most.
    pub(crate) fn from_io(path: &Path, offset_bytes: u64, source: io::Error) -> Error {
        let path = path.to_path_buf();
        match source.kind() {
            io::ErrorKind::NotFound if path.is_symlink() => Error::BrokenLink { path },
            io::ErrorKind::NotFound => Error::NotFound { path },
            io::ErrorKind::PermissionDenied => Error::PermissionDenied { path, source },
            io::ErrorKind::IsADirectory => Error::IsDirectory { path },
            _ => Error::Io { path, offset_bytes, source },
        }
    }
}

/// What to do about an error of the operating system.
fn io_remedy(source: &io::Error) -> &'static str {
    match source.kind() {
        io::ErrorKind::InvalidFilename => "give a shorter path, from a directory further down",
        _ => "check the medium it lies on, and read it again",
    }
}

/// Longest text out of a file that a message shows, in characters.
const SHOWN_CHARS: usize = 120;

/// Text out of a file, quoted, escaped and clipped.
struct Quoted<'a>(&'a str);

impl fmt::Display for Quoted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.char_indices().nth(SHOWN_CHARS) {
            None => write!(f, "{:?}", self.0),
            Some((end, _)) => write!(f, "{:?}...", &self.0[..end]),
        }
    }
}

/// `text`, cut to what a message shows.
pub(crate) fn clipped(text: &str) -> String {
    match text.char_indices().nth(SHOWN_CHARS) {
        None => text.to_owned(),
        Some((end, _)) => format!("{}...", &text[..end]),
    }
}
