//! Claim: the file digest is computed over exactly the bytes that docs/digests.md names. The oracle here builds that
//! text of bytes from the files themselves, without the reader.
#![expect(clippy::unwrap_used, reason = "a panic in a test is a failure with a place")]

mod common;

use common::{file, vectors, write};
use phash_core::TensorSource as _;
use phash_weights::WeightsFile;

fn leaves(model: &WeightsFile) -> Vec<[u8; 32]> {
    let leaf = |(number, tensor): (usize, &phash_core::TensorInfo)| {
        let mut bytes = vec![0; usize::try_from(tensor.len_bytes).unwrap()];
        model.read_at(number, 0, &mut bytes).unwrap();
        *blake3::hash(&bytes).as_bytes()
    };
    model.tensors().iter().enumerate().map(leaf).collect()
}

fn digest_of(path: &std::path::Path) -> [u8; 32] {
    let model = WeightsFile::open(path).unwrap();
    model.file_digest(&leaves(&model))
}

/// Header length, header digest, tensor count and leaves of a file whose tensors have these lengths in bytes; of them,
/// those marked enter.
fn file_record(bytes: &[u8], tensors: &[(usize, bool)]) -> Vec<u8> {
    let header_len = usize::try_from(u64::from_le_bytes(bytes[..8].try_into().unwrap())).unwrap();
    let mut record = bytes[..8].to_vec();
    record.extend_from_slice(blake3::hash(&bytes[8..8 + header_len]).as_bytes());
    let count = tensors.iter().filter(|(_, enters)| *enters).count() as u64;
    record.extend_from_slice(&count.to_le_bytes());
    let mut at = 8 + header_len;
    for (len, enters) in tensors {
        if *enters {
            record.extend_from_slice(blake3::hash(&bytes[at..at + len]).as_bytes());
        }
        at += len;
    }
    assert_eq!(at, bytes.len());
    record
}

#[test]
fn a_single_file() {
    let folder = tempfile::tempdir().unwrap();
    let bytes = vectors(&[("a", 3), ("b", 0), ("c", 5)]);
    let path = write(folder.path(), "m.safetensors", &bytes);
    let mut text = vec![0];
    text.extend_from_slice(&1u64.to_le_bytes());
    text.extend(file_record(&bytes, &[(12, true), (0, true), (20, true)]));
    assert_eq!(digest_of(&path), blake3::derive_key("phashdb file digest v1", &text));
}

#[test]
fn a_sharded_model_index_first_and_only_what_the_index_uses() {
    let folder = tempfile::tempdir().unwrap();
    let first = vectors(&[("a", 1), ("b", 2)]);
    let second = vectors(&[("unused", 5), ("c", 3)]);
    write(folder.path(), "1.safetensors", &first);
    write(folder.path(), "2.safetensors", &second);
    let index = br#"{"weight_map":{"c":"2.safetensors","b":"1.safetensors","a":"1.safetensors"}}"#;
    let path = write(folder.path(), "m.safetensors.index.json", index);
    let mut text = vec![1];
    text.extend_from_slice(&(index.len() as u64).to_le_bytes());
    text.extend_from_slice(blake3::hash(index).as_bytes());
    text.extend_from_slice(&2u64.to_le_bytes());
    text.extend(file_record(&first, &[(4, true), (8, true)]));
    text.extend(file_record(&second, &[(20, false), (12, true)]));
    assert_eq!(digest_of(&path), blake3::derive_key("phashdb file digest v1", &text));
}

#[test]
fn an_empty_model_has_the_digest_written_in_the_docs() {
    let folder = tempfile::tempdir().unwrap();
    let path = write(folder.path(), "m.safetensors", &file("{}", 0));
    assert_eq!(blake3::Hash::from(digest_of(&path)).to_hex().as_str(), EMPTY);
}

/// Test vector of docs/digests.md.
const EMPTY: &str = "f532130122ef8f142b9bc2d667230bf0bdc6555c17eb62c211068caa7c149589";

#[test]
fn every_byte_of_a_single_file_enters() {
    let folder = tempfile::tempdir().unwrap();
    let text = r#"{"__metadata__":{"k":"v"},"a":{"dtype":"U8","shape":[3],"data_offsets":[0,3]}}"#;
    let bytes = file(text, 3);
    let before = digest_of(&write(folder.path(), "m.safetensors", &bytes));
    for at in 8..bytes.len() {
        let mut other = bytes.clone();
        other[at] ^= 1;
        let path = write(folder.path(), "m.safetensors", &other);
        // Most flips in the header make it unsound; those that do not must change the digest.
        if WeightsFile::open(&path).is_ok() {
            assert_ne!(digest_of(&path), before, "byte {at}");
        }
    }
}

#[test]
#[should_panic(expected = "one leaf digest for each tensor")]
fn leaves_must_be_complete() {
    let folder = tempfile::tempdir().unwrap();
    let path = write(folder.path(), "m.safetensors", &vectors(&[("a", 3)]));
    WeightsFile::open(&path).unwrap().file_digest(&[]);
}
