//! The tests' tensors and the crate's results in the reference's terms, so that both can be compared with `==`.

use std::fmt::Debug;

use phash_core::{PerView, View};

use super::{ModelHash, Tensor, TensorHash, ViewHash, Views, hash_model};
use crate::common::Model;

/// What the reference says about a model.
pub(crate) fn expected(model: &Model) -> ModelHash {
    let shapes: Vec<Vec<usize>> = model.tensors.iter().map(|tensor| tensor.axes()).collect();
    let tensors: Vec<Tensor> = model
        .tensors
        .iter()
        .zip(&shapes)
        .map(|(tensor, shape)| Tensor { dtype: tensor.info.dtype.name(), shape, bytes: &tensor.bytes })
        .collect();
    hash_model(&tensors)
}

/// What the crate said.
pub(crate) fn got(hash: &phash_core::ModelHash) -> ModelHash {
    let tensors = hash.tensors.iter().map(|tensor| TensorHash {
        views: views(&tensor.views),
        bytes_digest: tensor.bytes_digest.0,
        skipped: tensor.skipped.map(|reason| reason.name()),
    });
    ModelHash {
        views: views(&hash.views),
        tensors: tensors.collect(),
        content_digest: hash.content_digest.0,
        weak: hash.is_weak(),
    }
}

fn views(views: &PerView<phash_core::ViewHash>) -> Views {
    let view = |view: View| ViewHash {
        code: views[view].code.map(|code| code.as_bytes().try_into().unwrap()),
        features: views[view].features,
    };
    Views { energy: view(View::Energy), blocks: view(View::Blocks) }
}

/// The first thing in which two hashes differ, with both values.
pub(crate) fn difference(expected: &ModelHash, got: &ModelHash) -> Option<String> {
    let differ =
        |what: String, a: &dyn Debug, b: &dyn Debug| Some(format!("{what}: expected {a:?}, got {b:?}"));
    for (number, (a, b)) in expected.tensors.iter().zip(&got.tensors).enumerate() {
        if a != b {
            return differ(format!("tensor {number}"), a, b);
        }
    }
    if expected.views != got.views {
        return differ("model".to_owned(), &expected.views, &got.views);
    }
    (expected != got).then(|| format!("content digest, weakness or number of tensors: {expected:?}, {got:?}"))
}
