//! Turns a hashed file into the store's record and puts it.

use std::collections::BTreeMap;

use phash_core::{ModelCode, PerView, View, ViewHash};
use phash_store::{NewModel, NewSource, NewTensor, Outcome, ViewCode, Writer};

use super::Ending;
use super::plan::store_stamp;
use crate::error::Result;
use crate::pipeline::HashedFile;

pub(super) fn put(writer: &mut Writer, label: String, path: &str, hashed: &HashedFile) -> Result<Ending> {
    let hash = &hashed.hash;
    let views = view_codes(&hash.views);
    let tensor_views: Vec<_> = hash.tensors.iter().map(|tensor| view_codes(&tensor.views)).collect();
    let tensors: Vec<NewTensor<'_>> = hashed
        .tensors
        .iter()
        .zip(&tensor_views)
        .map(|(info, views)| NewTensor {
            name: &info.name,
            dtype: info.dtype.name(),
            shape: &info.shape,
            views,
        })
        .collect();
    let skipped: BTreeMap<&str, u32> =
        hash.tensors_skipped().into_iter().map(|(reason, count)| (reason.name(), saturate(count))).collect();
    let skipped: Vec<(&str, u32)> = skipped.into_iter().collect();
    let weak = hash.is_weak();
    let outcome = writer.put(&NewModel {
        source: NewSource {
            label: &label,
            path,
            stamp: store_stamp(hashed.stamp),
            file_digest: hashed.file_digest.0,
        },
        format: hashed.format,
        content_digest: hash.content_digest.0,
        views: &views,
        weak,
        tensors_used: saturate(hash.tensors_used()),
        tensors_skipped: &skipped,
        tensors: &tensors,
    })?;
    Ok(match outcome {
        Outcome::Ingested { id, version } => {
            Ending::Ingested { label, id, version, weak, sampled: hash.sampled }
        }
        Outcome::Duplicate { of, version } => Ending::Duplicate { label, id: of, version },
        Outcome::Unchanged { id } => Ending::Unchanged { label, id },
    })
}

fn view_codes(views: &PerView<ViewHash>) -> [ViewCode<'_>; View::COUNT] {
    View::ALL.map(|view| ViewCode {
        bytes: views[view].code.as_ref().map(ModelCode::as_bytes),
        features: views[view].features,
    })
}

fn saturate(count: usize) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}
