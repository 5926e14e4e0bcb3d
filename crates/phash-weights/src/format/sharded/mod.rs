//! Owns the sharded safetensors model: `*.safetensors.index.json` and the files it names, read as one model. The index
//! decides: a tensor that it does not place in a shard is not part of the model, whatever else lies in the folder.

mod confine;
mod index;
mod names;

use std::collections::HashSet;
use std::path::Path;

use crate::digest::IndexRecord;
use crate::format::Format;
use crate::format::safetensors::read_table;
use crate::parts::{Part, Parts};
use crate::positioned::{PositionedFile, checked_stamp};
use crate::weights_file::Place;
use crate::{Error, FileStamp, WeightsFile, foreign, limits};

pub(crate) use index::ShardIndex;
pub(crate) use names::{ShardNames, is_index_name, shard_names};

/// The format.
pub(super) struct Sharded;

impl Format for Sharded {
    fn claims(&self, path: &Path, _head: &[u8]) -> bool {
        path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("json"))
    }

    fn open(&self, file: PositionedFile) -> Result<WeightsFile, Error> {
        let (index, digest) = read_index(&file)?;
        let confined = confine::Folder::of(&file.path)?;
        let mut paths = vec![file.path.clone()];
        let (mut parts, mut tensors, mut places) = (Vec::new(), Vec::new(), Vec::new());
        let mut headers_bytes = 0;
        for (number, (shard, placed)) in index.shards().enumerate() {
            let found = confined.resolve(shard)?;
            let data = PositionedFile::open(&found.location, &found.shown)?;
            let table = read_table(&data)?;
            headers_bytes += table.header_bytes;
            if headers_bytes > limits::SHARD_HEADERS_BYTES {
                return Err(Error::TooMany {
                    path: file.path.clone(),
                    offset_bytes: 0,
                    what: "bytes of shard headers",
                    limit: limits::SHARD_HEADERS_BYTES,
                });
            }
            let mut wanted: HashSet<&str> = placed.iter().map(String::as_str).collect();
            for entry in table.entries {
                if wanted.remove(entry.info.name.as_str()) {
                    tensors.push(entry.info);
                    places.push(Place { part: number, offset_bytes: entry.offset_bytes });
                }
            }
            if let Some(tensor) = wanted.into_iter().min() {
                return Err(Error::TensorMissing {
                    path: file.path.clone(),
                    tensor: tensor.to_owned(),
                    shard: shard.to_owned(),
                });
            }
            paths.push(found.shown.clone());
            parts.push(Part {
                path: found.shown,
                location: Some(found.location),
                stamp: data.stamp,
                header_bytes: table.header_bytes,
                header_digest: table.header_digest,
                tensors: u64::try_from(placed.len()).unwrap_or(u64::MAX),
            });
        }
        Ok(WeightsFile {
            format_name: "safetensors sharded",
            paths,
            index: Some(IndexRecord { stamp: file.stamp, digest }),
            parts: Parts::several(parts),
            tensors,
            places,
        })
    }

    fn stamp(&self, file: &PositionedFile) -> Result<FileStamp, Error> {
        let (index, _) = read_index(file)?;
        let confined = confine::Folder::of(&file.path)?;
        index.shards().try_fold(file.stamp, |sum, (shard, _)| {
            let found = confined.resolve(shard)?;
            Ok(sum.and(checked_stamp(&found.location, &found.shown)?))
        })
    }
}

/// The index and the BLAKE3 digest of its bytes.
fn read_index(file: &PositionedFile) -> Result<(ShardIndex, [u8; 32]), Error> {
    let (got_bytes, limit_bytes) = (file.stamp.len_bytes, limits::INDEX_BYTES);
    if got_bytes > limit_bytes {
        return Err(Error::IndexOverLimit { path: file.path.clone(), got_bytes, limit_bytes });
    }
    let bytes = file.read_vec(0, usize::try_from(got_bytes).expect("the limit fits usize"))?;
    let index = ShardIndex::parse(&file.path, &bytes).map_err(|error| match error {
        Error::NotUtf8 { .. } | Error::NotJson { .. } => {
            foreign::recognise(&file.path, &bytes).unwrap_or(error)
        }
        _ => error,
    })?;
    Ok((index, *blake3::hash(&bytes).as_bytes()))
}
