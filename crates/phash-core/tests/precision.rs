//! The definition computes matrices in f32. The reference computed in f64 throughout, and sums written out from their
//! formulas, give the same features but for a thousandth of a standard deviation: f32 loses nothing.
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "in a test a panic is a failure with a place")]

mod common;
mod reference;

use std::f64::consts::PI;

use common::realistic::{model, weights};
use common::{Model, bundled};
use phash_core::View;
use reference::List;
use reference::bridge::lists_in_both_widths;

/// The largest difference of two features of one list, after clamping.
fn largest_difference(a: &List, b: &List) -> f64 {
    if a.key != b.key {
        return 6.0;
    }
    let clamp = |x: f64| x.clamp(-3.0, 3.0);
    let differences = a.features.iter().zip(&b.features).map(|(&a, &b)| (clamp(a) - clamp(b)).abs());
    differences.fold(0.0, f64::max)
}

/// The largest difference in each view, over all tensors that are used.
fn largest_differences(what: &str, model: &Model) -> [f64; View::COUNT] {
    let mut largest = [0.0; View::COUNT];
    for tensor in &model.tensors {
        let Some([narrow, wide]) = lists_in_both_widths(tensor) else { continue };
        for (view, (narrow, wide)) in narrow.iter().zip(&wide).enumerate() {
            // A list that only one width gives is as different as can be.
            let differences = narrow.iter().zip(wide).map(|(a, b)| largest_difference(a, b));
            let all_or_none = if narrow.len() == wide.len() { 0.0 } else { 6.0 };
            largest[view] = differences.fold(f64::max(largest[view], all_or_none), f64::max);
        }
    }
    println!("{what}: {largest:.6?}");
    largest
}

#[test]
fn f32_moves_no_feature_of_trained_weights_by_a_thousandth() {
    for (path, model) in bundled::models() {
        let [energy, blocks, weights, order, orbit] = largest_differences(&path, &model);
        assert!(blocks < 1e-3 && weights < 1e-3 && order < 1e-3, "{path}");
        // These two also store filters of norm 1 and Fourier bases: energies, or sums, that differ in their rounding alone.
        let has_ties = path.starts_with("basic-pitch") || path.starts_with("silero-vad");
        assert!(has_ties || (energy < 1e-3 && orbit < 1e-3), "{path}");
    }
}

#[test]
fn f32_moves_no_feature_by_a_thousandth_but_where_two_channels_change_ranks() {
    for (seed, spread) in [(1, 0.0), (2, 0.3), (3, 0.6)] {
        let [energy, blocks, weights, order, orbit] = largest_differences("generated", &model(seed, spread));
        assert!(energy < 1e-3 && blocks < 1e-3 && weights < 1e-3 && order < 1e-3);
        assert!(
            orbit < 1e-2,
            "of a thousand channels, two neighbours in rank may be as near as f32 is coarse"
        );
    }
}

#[test]
fn sums_under_waves_are_the_plain_double_sums() {
    let (rows, columns, kernel) = (48, 40, 3);
    let tensor = weights("w", 1, &[rows, columns, kernel], 0.3);
    let values: Vec<f64> = tensor.f32s().iter().map(|&value| f64::from(value)).collect();
    let weight = |r: usize, c: usize, k: usize| values[(r * columns + c) * kernel + k];
    let root_mean_square = |k: usize| {
        let squares = (0..rows * columns).map(|i| weight(i / columns, i % columns, k).powi(2));
        (squares.sum::<f64>() / (rows * columns) as f64).sqrt()
    };
    let wave = |i: usize, n: usize, q: usize| (PI * q as f64 * (i as f64 + 0.5) / n as f64).cos();
    let [narrow, _] = lists_in_both_widths(&tensor).unwrap();
    let got = &narrow[View::Weights as usize][0].features;
    assert_eq!(got.len(), 2 * 16 * 16, "two orbits: positions 0 and 2, and 1");
    for (orbit, positions) in [vec![0, 2], vec![1]].into_iter().enumerate() {
        for (i, j) in (0..16).flat_map(|i| (0..16).map(move |j| (i, j))) {
            let mut sum = 0.0;
            for &k in &positions {
                for (r, c) in (0..rows).flat_map(|r| (0..columns).map(move |c| (r, c))) {
                    sum += wave(r, rows, i + 1) * weight(r, c, k) * wave(c, columns, j + 1)
                        / root_mean_square(k);
                }
            }
            let expected = sum / (positions.len() as f64).sqrt() / ((rows * columns) as f64 / 4.0).sqrt();
            let got = got[(orbit * 16 + i) * 16 + j];
            assert!((got - expected).abs() < 1e-4, "orbit {orbit}, waves {i} {j}: {got} is not {expected}");
        }
    }
}
