//! The test vectors in `data/golden/hash.jsonl`: phash-core gives them, and so does the reference implementation,
//! which made them. To make them again after a deliberate change of the hash's version:
//! `PHASH_BLESS=1 cargo test -p phash-core --test golden`.
#![allow(clippy::unwrap_used, reason = "in a test a panic is a failure with a place")]

mod common;
mod reference;

use std::fmt::Write as _;
use std::fs;

use common::bundled;
use common::generate::{FLOATING, golden};
use common::{Model, Tensor};
use phash_core::{Dtype, View};
use reference::bridge::{expected, got};
use reference::{ModelHash, ViewHash, Views};
use serde_json::{Value, json};

/// Seed, type and shape of each tensor of the generated models.
fn generated() -> Vec<Vec<(u64, Dtype, &'static [usize])>> {
    vec![
        vec![(1, Dtype::F32, &[64, 48])],
        vec![(2, Dtype::F64, &[48, 64])],
        vec![(3, Dtype::F16, &[64, 64])],
        vec![(4, Dtype::BF16, &[40, 24, 3, 3])],
        vec![(5, Dtype::F8E4M3, &[3, 3, 40, 24])],
        vec![(6, Dtype::F8E5M2, &[3, 24, 40, 3])],
        vec![(7, Dtype::F8E4M3Fnuz, &[96, 3, 5])],
        vec![(8, Dtype::F8E5M2Fnuz, &[3, 96, 5])],
        // Axes of length 1; both others are sampled.
        vec![(9, Dtype::F32, &[1, 311, 1, 523])],
        // The largest whole matrix, and one that is too large.
        vec![(10, Dtype::F8E5M2, &[1024, 1024])],
        vec![(11, Dtype::F8E5M2, &[1030, 1024])],
        // Kernels: 1D, not square, 3D, of more than 64 positions.
        vec![(12, Dtype::BF16, &[40, 24, 35])],
        vec![(13, Dtype::F32, &[40, 24, 3, 5])],
        vec![(14, Dtype::F16, &[3, 3, 3, 24, 20])],
        vec![(15, Dtype::BF16, &[20, 16, 9, 9])],
        // Squares: of one position, of nine; a cube; thin.
        vec![(16, Dtype::F32, &[300, 300])],
        vec![(17, Dtype::BF16, &[3, 3, 48, 48])],
        vec![(18, Dtype::F16, &[24, 24, 24])],
        vec![(19, Dtype::F32, &[64, 8, 8])],
        // Thin, of more than 256 columns, and of more than 256 rows.
        vec![(20, Dtype::BF16, &[15, 15, 15, 4])],
        vec![(21, Dtype::BF16, &[2, 700])],
        // Lengths that occur twice, and a tensor that is stored twice.
        vec![
            (22, Dtype::F32, &[64, 48]),
            (23, Dtype::F32, &[80, 48]),
            (22, Dtype::F32, &[64, 48]),
            (24, Dtype::F32, &[80]),
        ],
        // A square matrix and one that is not, with keys in common.
        vec![(25, Dtype::F32, &[64, 64]), (26, Dtype::F32, &[72, 56])],
        // Nothing to hash.
        vec![(27, Dtype::F32, &[31, 33]), (28, Dtype::F32, &[2048, 1]), (29, Dtype::F32, &[0, 40])],
        // Enough features not to be weak.
        vec![
            (30, Dtype::BF16, &[600, 520]),
            (31, Dtype::BF16, &[520, 600]),
            (32, Dtype::BF16, &[256, 128, 3, 3]),
        ],
    ]
}

/// What a line of the file tells of a model beside its hash, and the model.
fn models() -> Vec<(Value, Model)> {
    let mut models: Vec<(Value, Model)> =
        bundled::models().into_iter().map(|(path, model)| (json!({ "file": path }), model)).collect();
    for tensors in generated() {
        let rule: Vec<Value> = tensors
            .iter()
            .map(|(seed, dtype, shape)| json!({ "seed": seed, "dtype": dtype.name(), "shape": shape }))
            .collect();
        let tensors = tensors.iter().map(|&(seed, dtype, shape)| golden(seed, dtype, shape)).collect();
        models.push((json!({ "generated": rule }), Model::new(tensors)));
    }
    models
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").unwrap();
        text
    })
}

/// One line: the model, its hash, and for a generated one that of each tensor.
fn line(model: &Value, hash: &ModelHash) -> Value {
    let view =
        |view: &ViewHash| json!({ "code": view.code.map(|code| hex(&code)), "features": view.features });
    let views = |views: &Views| -> Value {
        View::ALL.iter().zip(views).map(|(name, hash)| (name.name().to_owned(), view(hash))).collect()
    };
    let mut line = json!({
        "model": model,
        "hash": views(&hash.views),
        "content_digest": hex(&hash.content_digest),
        "weak": hash.weak,
    });
    if model.get("generated").is_some() {
        let tensors = hash.tensors.iter().map(|tensor| {
            json!({
                "hash": views(&tensor.views),
                "bytes_digest": hex(&tensor.bytes_digest),
                "skipped": tensor.skipped,
            })
        });
        line["tensors"] = tensors.collect();
    }
    line
}

#[test]
fn the_crate_and_the_reference_give_the_golden_hashes() {
    let path = bundled::data().join("golden/hash.jsonl");
    let models = models();
    let references: Vec<Value> = models.iter().map(|(name, model)| line(name, &expected(model))).collect();
    if std::env::var_os("PHASH_BLESS").is_some() {
        let text: String = references.iter().map(|line| format!("{line}\n")).collect();
        fs::write(&path, text).unwrap();
    }
    let text = fs::read_to_string(&path).unwrap();
    let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let advice = "if the definition of the hash was meant to change: a new version in docs/hashing.md and in \
        phash_core::PARAMETERS, then PHASH_BLESS=1 cargo test -p phash-core --test golden";
    assert_eq!(lines.len(), models.len(), "vectors and models; {advice}");
    for ((golden, reference), (name, model)) in lines.iter().zip(&references).zip(&models) {
        assert_eq!(&line(name, &got(&model.hash())), golden, "left: the crate, right: the vector; {advice}");
        assert_eq!(reference, golden, "left: the reference, right: the vector; {advice}");
    }
}

#[test]
fn every_floating_type_has_a_vector() {
    let used: Vec<Dtype> = generated().iter().flatten().map(|&(_, dtype, _)| dtype).collect();
    assert!(FLOATING.iter().all(|dtype| used.contains(dtype)));
}

#[test]
fn the_rule_in_words_gives_the_bytes() {
    // The worked example of data/golden/README.md, computed by hand from the published SplitMix64: seed 0 starts with
    // e220a8397b1dcdaf, 6e789e6aa1b965f4.
    let tensor: Tensor = golden(0, Dtype::F32, &[2]);
    // 1: sign 1, bits 56 and 57 of the word 2 (e2), so 2^-2, field 125; mantissa 1dcdaf of 23 bits.
    // 2: sign 0, bits 2 (6e), so 2^-2; mantissa 3965f4.
    assert_eq!(tensor.bytes, [0xaf, 0xcd, 0x9d, 0xbe, 0xf4, 0x65, 0xb9, 0x3e]);
}
