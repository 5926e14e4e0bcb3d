//! The tests' tensors and the crate's results in the reference's terms, so that both can be compared with `==`.

use std::fmt::Write as _;

use phash_core::{PerView, View};

use super::{List, ModelHash, Tensor, TensorHash, VIEWS, ViewHash, Views, hash_model};
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

/// A tensor's lists with f32 and with f64 matrices.
pub(crate) fn lists_in_both_widths(tensor: &crate::common::Tensor) -> Option<[[Vec<List>; VIEWS]; 2]> {
    let shape = tensor.axes();
    super::lists_in_both_widths(&Tensor {
        dtype: tensor.info.dtype.name(),
        shape: &shape,
        bytes: &tensor.bytes,
    })
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
    View::ALL.map(|view| ViewHash {
        code: views[view].code.map(|code| code.as_bytes().try_into().unwrap()),
        features: views[view].features,
    })
}

/// The first thing in which two hashes differ, with both values.
pub(crate) fn difference(expected: &ModelHash, got: &ModelHash) -> Option<String> {
    for (number, (a, b)) in expected.tensors.iter().zip(&got.tensors).enumerate() {
        let what = format!("tensor {number}");
        if let Some(difference) = views_difference(&what, &a.views, &b.views) {
            return Some(difference);
        }
        if a != b {
            return Some(format!("{what}: expected {a:?}, got {b:?}"));
        }
    }
    if let Some(difference) = views_difference("model", &expected.views, &got.views) {
        return Some(difference);
    }
    (expected != got).then(|| format!("content digest, weakness or number of tensors: {expected:?}, {got:?}"))
}

/// Every view in which two hashes differ: features, and how many bits of the codes.
fn views_difference(what: &str, expected: &Views, got: &Views) -> Option<String> {
    let mut text = String::new();
    for (view, (a, b)) in View::ALL.into_iter().zip(expected.iter().zip(got)) {
        if a != b {
            let bits = a
                .code
                .zip(b.code)
                .map(|(a, b)| a.iter().zip(b).map(|(a, b)| (a ^ b).count_ones()).sum::<u32>());
            write!(text, "{view}: features {} and {}, bits apart {bits:?}; ", a.features, b.features)
                .unwrap();
        }
    }
    (!text.is_empty()).then(|| format!("{what}, expected and got: {text}"))
}
