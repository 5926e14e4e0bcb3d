//! Owns [`HashedFile`]: everything that is known of a weights file once it was hashed.

use phash_core::{Digest, ModelHash, TensorInfo};
use phash_weights::FileStamp;

/// A weights file with its codes and digests.
#[derive(Clone, Debug)]
pub struct HashedFile {
    /// What messages call it: the path as it was given.
    pub name: String,
    /// The name of the file format.
    pub format: &'static str,
    /// Size and time when it was read.
    pub stamp: FileStamp,
    /// Digest of the file (set) as it is.
    pub file_digest: Digest,
    /// The tensors, in the order of `hash.tensors`.
    pub tensors: Vec<TensorInfo>,
    /// Codes of the model and of each tensor, and the digest of the contents. If it was hashed from a sample
    /// (`hash.sampled`), its digests equal those of samples alone.
    pub hash: ModelHash,
}
