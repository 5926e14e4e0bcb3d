//! Owns the file digest: which bytes it is computed over, in which order. docs/digests.md says the same in prose; the
//! two must never differ.

use crate::FileStamp;
use crate::parts::Part;

/// Separates this use of BLAKE3 from every other.
const CONTEXT: &str = "phashdb file digest v1";

/// The shard index, as far as digest and stamp need it.
#[derive(Debug)]
pub(crate) struct IndexRecord {
    pub(crate) stamp: FileStamp,
    pub(crate) digest: [u8; 32],
}

/// See docs/digests.md. `leaves` are consumed part by part.
pub(crate) fn file_digest<'a>(
    index: Option<&IndexRecord>,
    parts: impl Iterator<Item = &'a Part>,
    leaves: &[[u8; 32]],
) -> [u8; 32] {
    let mut hasher = blake3::Hasher::new_derive_key(CONTEXT);
    match index {
        None => hasher.update(&[0]),
        Some(index) => hasher.update(&[1]).update(&index.stamp.len_bytes.to_le_bytes()).update(&index.digest),
    };
    let parts: Vec<&Part> = parts.collect();
    hasher.update(&u64_of(parts.len()).to_le_bytes());
    let mut leaves = leaves.iter();
    for part in parts {
        hasher.update(&part.header_bytes.to_le_bytes()).update(&part.header_digest);
        hasher.update(&part.tensors.to_le_bytes());
        for _ in 0..part.tensors {
            hasher.update(leaves.next().expect("the parts' tensor counts add up to the number of leaves"));
        }
    }
    *hasher.finalize().as_bytes()
}

fn u64_of(count: usize) -> u64 {
    u64::try_from(count).expect("usize fits u64 on every target Rust has")
}
