//! Entry points that the fuzz targets and the tests share. Not part of the public interface: no promise of stability.
//! Each panics when a property is broken.

use std::path::Path;

use phash_core::{Dtype, TensorInfo};
use safetensors::SafeTensors;
use safetensors::tensor::Metadata;

use crate::format::{ShardIndex, table_of_bytes};
use crate::{Error, limits};

/// What became of an input.
#[derive(Debug)]
pub enum Verdict {
    /// Both readers accept it and see the same tensors.
    Accepted(usize),
    /// Both refuse it.
    Refused(Error),
    /// Only we refuse it: a duplicate key, or beyond a limit.
    RefusedByUsAlone(Error),
}

/// Reads `bytes` as a whole safetensors file and compares with the safetensors crate.
///
/// # Panics
/// If the two disagree other than over duplicate keys and limits, or if a tensor does not lie inside the file.
pub fn safetensors_header(bytes: &[u8]) -> Verdict {
    let ours = table_of_bytes(Path::new("fuzz.safetensors"), bytes);
    if let Err(error @ Error::OffsetsBeyondFile { .. }) = ours {
        // The crate adds the lengths of header and data unchecked, a panic where overflow is checked: ask it for the
        // header alone and add them here.
        let (prefix, rest) = bytes.split_first_chunk::<8>().expect("a header was read");
        let header_len = usize::try_from(u64::from_le_bytes(*prefix)).expect("a header was read");
        let metadata: Metadata = serde_json::from_slice(&rest[..header_len]).expect("the crate reads it too");
        let file_len = 8 + header_len as u128 + metadata.data_len() as u128;
        assert!(file_len > bytes.len() as u128, "the crate does not find the data too short");
        return Verdict::Refused(error);
    }
    let theirs = SafeTensors::read_metadata(bytes);
    let entries = match (ours, &theirs) {
        (Err(error), Err(_)) => return Verdict::Refused(error),
        (
            Err(error @ (Error::DuplicateKey { .. } | Error::TooMany { .. } | Error::HeaderOverLimit { .. })),
            Ok(_),
        ) => return Verdict::RefusedByUsAlone(error),
        (Err(error), Ok(_)) => panic!("the crate accepts what we refuse: {error}"),
        (Ok(_), Err(error)) => panic!("we accept what the crate refuses: {error:?}"),
        (Ok(entries), Ok(_)) => entries,
    };
    let (header_len, metadata) = theirs.expect("just matched");
    let expected = metadata.tensors();
    assert_eq!(entries.len(), expected.len(), "number of tensors");
    let mut end = 8 + header_len as u64;
    for entry in &entries {
        let info = expected.get(&entry.info.name).expect("the same names");
        let theirs = TensorInfo {
            name: entry.info.name.clone(),
            dtype: entry.info.dtype,
            shape: info.shape.iter().map(|axis| *axis as u64).collect(),
            len_bytes: (info.data_offsets.1 - info.data_offsets.0) as u64,
        };
        assert_eq!(entry.info, theirs);
        assert_eq!(entry.info.dtype.name(), info.dtype.to_string());
        if !matches!(entry.info.dtype, Dtype::Other(_)) {
            let bits = entry.info.dtype.size_bytes().map(|bytes| bytes * 8);
            assert_eq!(bits, Some(info.dtype.bitsize() as u64));
        }
        assert_eq!(entry.offset_bytes, 8 + header_len as u64 + info.data_offsets.0 as u64);
        assert_eq!(entry.offset_bytes, end, "tensors lie end to end");
        end += entry.info.len_bytes;
    }
    assert_eq!(end, bytes.len() as u64, "tensors cover the file");
    Verdict::Accepted(entries.len())
}

/// Reads `bytes` as a shard index.
///
/// # Panics
/// If an accepted index names a shard outside its folder, places a tensor twice or exceeds a limit, or if serde_json
/// finds another weight map in it.
pub fn shard_index(bytes: &[u8]) -> Result<usize, Error> {
    let index = ShardIndex::parse(Path::new("fuzz.safetensors.index.json"), bytes)?;
    let oracle: serde_json::Value = serde_json::from_slice(bytes).expect("accepted, so it is JSON");
    let weight_map = oracle["weight_map"].as_object().expect("accepted, so there is a weight_map");
    let mut tensors = 0;
    for (shard, placed) in index.shards() {
        assert!(!shard.is_empty() && shard.len() <= limits::SHARD_NAME_BYTES);
        let plain = |component| matches!(component, std::path::Component::Normal(_));
        assert!(Path::new(shard).components().all(plain), "{shard:?} leads away");
        assert!(!shard.contains(['\\', '\0', ':']), "{shard:?} leads away elsewhere");
        for tensor in placed {
            assert_eq!(weight_map[tensor].as_str(), Some(shard));
        }
        tensors += placed.len();
    }
    assert_eq!(tensors, weight_map.len(), "every tensor is placed once");
    Ok(tensors)
}
