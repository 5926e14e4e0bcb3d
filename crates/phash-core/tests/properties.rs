//! What the hash promises, on generated models of realistic size: what changes nothing, what changes a few bits, what
//! changes everything. Each test prints the largest distances that it saw (`--nocapture`).
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "in a test a panic is a failure with a place")]

mod common;

use common::generate::{uniform, word};
use common::realistic::{model, weights};
use common::{Model, Tensor};
use half::{bf16, f16};
use phash_core::{Dtype, ModelHash, View};
use proptest::prelude::*;

fn hash(model: &Model) -> ModelHash {
    model.hash()
}

/// The distance in each view; both models must have codes. Prints them.
#[track_caller]
fn distances(what: &str, a: &ModelHash, b: &ModelHash) -> [u32; 2] {
    let distances = View::ALL.map(|view| a.views[view].code.unwrap().distance(&b.views[view].code.unwrap()));
    println!("{what}: energy {} bits, blocks {} bits", distances[0], distances[1]);
    distances
}

fn rescaled(tensor: &Tensor, factor: impl Fn(usize) -> f32) -> Tensor {
    let values: Vec<f32> = tensor.f32s().iter().enumerate().map(|(i, value)| value * factor(i)).collect();
    tensor.with_f32s(&values)
}

/// A permutation of 0..n.
fn shuffled(seed: u64, n: usize) -> Vec<usize> {
    let mut order: Vec<usize> = (0..n).collect();
    order.sort_by_key(|&i| word(seed, i as u64));
    order
}

fn any_spread() -> impl Strategy<Value = f64> {
    prop::sample::select(vec![0.0, 0.1, 0.3, 0.6])
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 12, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn names_and_order_of_tensors_change_nothing(seed: u64, spread in any_spread()) {
        let model = model(seed, spread);
        let order = shuffled(seed, model.tensors.len());
        let moved = order.iter().map(|&i| {
            let mut tensor = model.tensors[i].clone();
            tensor.info.name = format!("other.{i}");
            tensor
        });
        let (a, b) = (hash(&model), hash(&Model::new(moved.collect())));
        prop_assert_eq!(a.views, b.views);
        prop_assert_eq!(a.content_digest, b.content_digest);
        let tensors: Vec<_> = order.iter().map(|&i| a.tensors[i]).collect();
        prop_assert_eq!(tensors, b.tensors);
    }

    #[test]
    fn a_model_whose_axes_are_stored_in_another_order_is_within_1_bit(seed: u64, spread in any_spread()) {
        let model = model(seed, spread);
        let moved = model.map(|tensor| tensor.transposed(&shuffled(word(seed, tensor.info.len_bytes), tensor.axes().len())));
        let [energy, blocks] = distances("transposed", &hash(&model), &hash(&moved));
        prop_assert!(energy <= 1 && blocks <= 1);
    }

    #[test]
    fn rounding_to_16_bits_changes_at_most_6_bits(seed: u64, spread in any_spread()) {
        let model = model(seed, spread);
        let original = hash(&model);
        let rounded = |dtype, round: fn(f32) -> u16| {
            model.map(|tensor| {
                let bytes = tensor.f32s().iter().flat_map(|&value| round(value).to_le_bytes()).collect();
                Tensor::new(&tensor.info.name, dtype, &tensor.axes(), bytes)
            })
        };
        for (dtype, round) in [
            (Dtype::BF16, (|x| bf16::from_f32(x).to_bits()) as fn(f32) -> u16),
            (Dtype::F16, |x| f16::from_f32(x).to_bits()),
        ] {
            let [energy, blocks] = distances(dtype.name(), &original, &hash(&rounded(dtype, round)));
            prop_assert!(energy <= 6 && blocks <= 6);
        }
    }

    #[test]
    fn scaling_whole_tensors_by_powers_of_two_changes_no_code(seed: u64, spread in any_spread()) {
        let model = model(seed, spread);
        let scaled = model.map(|tensor| {
            let power = i32::try_from(word(seed, tensor.info.len_bytes) % 61).unwrap() - 30;
            rescaled(tensor, |_| 2_f32.powi(power))
        });
        prop_assert_eq!(hash(&model).views, hash(&scaled).views);
    }

    #[test]
    fn rescaling_rows_and_columns_leaves_blocks_within_4_bits(seed: u64, spread in any_spread()) {
        let model = model(seed, spread);
        let scaled = model.map(|tensor| {
            let axes = tensor.axes();
            let kernel: usize = axes.iter().skip(2).product();
            let columns = axes.get(1).map_or(1, |&columns| columns);
            let seed = word(seed, tensor.info.len_bytes);
            rescaled(tensor, |i| factor(seed, i / kernel / columns) * factor(!seed, i / kernel % columns))
        });
        let [_, blocks] = distances("channels rescaled", &hash(&model), &hash(&scaled));
        prop_assert!(blocks <= 4);
    }

    #[test]
    fn models_of_different_seeds_are_over_90_bits_apart(seed: u64, other: u64, spread in any_spread()) {
        prop_assume!(seed != other);
        let [energy, blocks] = distances("strangers", &hash(&model(seed, spread)), &hash(&model(other, spread)));
        prop_assert!(energy > 90 && blocks > 90);
    }

    #[test]
    fn a_tensor_stored_twice_changes_the_digest_alone(seed: u64, which in 0..15_usize) {
        let model = model(seed, 0.3);
        let mut tensors = model.tensors.clone();
        let mut again = tensors[which % tensors.len()].clone();
        again.info.name = "tied".to_owned();
        tensors.push(again);
        let (a, b) = (hash(&model), hash(&Model::new(tensors)));
        prop_assert_eq!(a.views, b.views);
        prop_assert_ne!(a.content_digest, b.content_digest);
    }

    #[test]
    fn signs_of_weights_change_no_code(seed: u64) {
        let model = model(seed, 0.3);
        let flipped = model.map(|tensor| {
            rescaled(tensor, |i| if word(seed, i as u64) & 1 == 1 { -1.0 } else { 1.0 })
        });
        prop_assert_eq!(hash(&model).views, hash(&flipped).views);
    }
}

/// A factor in 1/4 ..= 4, its logarithm uniform.
#[expect(clippy::cast_possible_truncation, reason = "rounding to F32 is meant")]
fn factor(seed: u64, channel: usize) -> f32 {
    libm::exp2(4.0 * uniform(seed, channel as u64) - 2.0) as f32
}

#[test]
fn three_rounds_suffice_for_rescaled_channels_of_a_large_tensor() {
    for (seed, spread) in [(1, 0.0), (2, 0.3), (3, 0.6)] {
        let tensor = weights("w", seed, &[1024, 1024], spread);
        let scaled = rescaled(&tensor, |i| factor(seed, i / 1024) * factor(!seed, i % 1024));
        let [energy, blocks] = distances(
            "1024 x 1024, channels rescaled",
            &hash(&Model::new(vec![tensor])),
            &hash(&Model::new(vec![scaled])),
        );
        assert!(blocks <= 4);
        assert!(energy > 40, "the factors must be felt where nothing takes them out");
    }
}

#[test]
fn one_changed_weight_changes_the_content_digest() {
    let model = model(1, 0.3);
    let changed = Model::new({
        let mut tensors = model.tensors.clone();
        tensors[3].bytes[0] ^= 1;
        tensors
    });
    let (a, b) = (hash(&model), hash(&changed));
    assert_ne!(a.content_digest, b.content_digest);
    assert_ne!(a.tensors[3].bytes_digest, b.tensors[3].bytes_digest);
}
