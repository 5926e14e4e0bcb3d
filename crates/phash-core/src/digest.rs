//! Owns [`Digest`] and the content digest: an exact identity of a model's tensors that does not depend on header,
//! metadata, names or order (docs/digests.md). Not a perceptual code: one changed bit changes all of it.

use std::fmt;

use crate::TensorInfo;

/// A 256-bit BLAKE3 digest, printed as 64 hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Digest(pub [u8; 32]);

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Digest({self})")
    }
}

/// The record of one tensor in the content digest: BLAKE3 over the dtype's name (length in one byte, ASCII), the rank
/// (one byte, saturating), each axis (u64 little-endian), and the BLAKE3 digest of the tensor's bytes.
pub(crate) fn tensor_record(info: &TensorInfo, leaf: &Digest) -> Digest {
    let name = info.dtype.name().as_bytes();
    let mut hasher = blake3::Hasher::new();
    hasher.update(&[u8::try_from(name.len()).unwrap_or(u8::MAX)]);
    hasher.update(name);
    hasher.update(&[u8::try_from(info.shape.len()).unwrap_or(u8::MAX)]);
    for axis in &info.shape {
        hasher.update(&axis.to_le_bytes());
    }
    hasher.update(&leaf.0);
    Digest(hasher.finalize().into())
}

/// Stands for a tensor's bytes where only a sample of them was read: BLAKE3 in key-derivation mode, so that it never is
/// the digest of all bytes.
pub(crate) struct SampleDigest {
    hasher: blake3::Hasher,
    /// Bytes come a few at a time, and are hashed many times faster together.
    waiting: Vec<u8>,
}

/// So many bytes are hashed together.
const TOGETHER: usize = 1 << 16;

impl Default for SampleDigest {
    fn default() -> Self {
        Self {
            hasher: blake3::Hasher::new_derive_key("phashdb tensor sample v1"),
            waiting: Vec::with_capacity(TOGETHER),
        }
    }
}

impl SampleDigest {
    /// Adds bytes that were looked at.
    pub(crate) fn add(&mut self, bytes: &[u8]) {
        if self.waiting.len() + bytes.len() > TOGETHER {
            self.hasher.update(&self.waiting);
            self.waiting.clear();
        }
        if bytes.len() > TOGETHER {
            self.hasher.update(bytes);
        } else {
            self.waiting.extend_from_slice(bytes);
        }
    }

    /// The digest of all that was added.
    pub(crate) fn finish(mut self) -> Digest {
        self.hasher.update(&self.waiting);
        Digest(self.hasher.finalize().into())
    }
}

/// The content digest: BLAKE3 in key-derivation mode (another key if a tensor was only sampled) over the number of records (u64 little-endian) and the records in
/// ascending byte order. Sorts `records` in place; O(n log n).
pub(crate) fn content_digest(records: &mut [Digest], sampled: bool) -> Digest {
    records.sort_unstable();
    let context = if sampled { "phashdb content sample v1" } else { "phashdb content digest v1" };
    let mut hasher = blake3::Hasher::new_derive_key(context);
    hasher.update(&(records.len() as u64).to_le_bytes());
    for record in records.iter() {
        hasher.update(&record.0);
    }
    Digest(hasher.finalize().into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sample_has_the_digest_of_its_bytes_however_they_come() {
        let bytes: Vec<u8> = (0..300_000u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
        let expected = blake3::derive_key("phashdb tensor sample v1", &bytes);
        for len in [1, 72, 4_096, TOGETHER - 1, TOGETHER, TOGETHER + 1, bytes.len()] {
            let mut digest = SampleDigest::default();
            bytes.chunks(len).for_each(|piece| digest.add(piece));
            assert_eq!(digest.finish().0, expected, "{len}");
        }
    }
}
