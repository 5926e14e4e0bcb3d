//! phash-core and the reference implementation of docs/hashing.md agree bit for bit: codes, features, skip reasons,
//! digests, on bundled and on generated models, whatever the SIMD width and the order of tensors.
#![allow(clippy::unwrap_used, reason = "in a test a panic is a failure with a place")]

mod common;
mod reference;

use common::generate::{FLOATING, element, golden, word};
use common::{Model, Tensor, bundled};
use phash_core::{Dtype, ModelHash, ModelHasher, PerView, Plan, Scratch, View};
use proptest::prelude::*;
use reference::bridge::{difference, expected, got};

/// Hashes on this thread, tensors added from the last to the first.
fn hash_reversed(model: &Model, mut scratch: Scratch) -> ModelHash {
    let infos: Vec<_> = model.tensors.iter().map(|tensor| tensor.info.clone()).collect();
    let plan = Plan::new(&infos);
    let mut hasher = ModelHasher::new(infos.len());
    for (number, info) in infos.iter().enumerate().rev() {
        let Ok(sketch) = plan.sketch(model, number, &mut scratch);
        hasher.add(number, info, &sketch);
    }
    assert!(hasher.is_complete());
    hasher.finish()
}

/// Compares every way of hashing with the reference.
#[track_caller]
fn check(what: &str, model: &Model) {
    let expected = expected(model);
    let same = |how: &str, hash: &ModelHash| {
        if let Some(difference) = difference(&expected, &got(hash)) {
            panic!("{what}, {how}: {difference}");
        }
    };
    same("in order", &model.hash());
    same("reversed", &hash_reversed(model, Scratch::default()));
    same("reversed, without SIMD", &hash_reversed(model, Scratch::portable()));
}

#[test]
fn agree_on_every_bundled_model() {
    for (path, model) in bundled::models() {
        check(&path, &model);
    }
}

/// What a generated tensor holds.
#[derive(Clone, Copy, Debug)]
enum Content {
    /// Values of magnitudes 1/16 to 1.
    Plain,
    /// Any bit pattern: NaN, infinities, subnormals, all magnitudes.
    AnyBits,
    /// Any bit pattern with one bit of the exponent cleared: finite, subnormals and wild magnitudes.
    Wild,
    /// One value everywhere, of a power of two.
    Constant,
    /// All zero bits.
    Zero,
    /// The smallest magnitudes: zero, subnormals and the first normal numbers, which show the subnormals' scale.
    Lowest,
    /// The index tuple's sum, modulo the number, decides the value: channels and blocks have the same energy but for the
    /// order of additions, so that the features are made of rounding errors alone.
    Latin(usize),
    /// Plain, with every third index of the numbered axis zero.
    ZeroChannels(usize),
    /// Plain, with one NaN.
    OneNan,
    /// Plain, with one infinity (NaN where there is none).
    OneInfinity,
}

fn bits_of(dtype: Dtype, bits: u64) -> Vec<u8> {
    bits.to_le_bytes()[..usize::try_from(dtype.size_bytes().unwrap()).unwrap()].to_vec()
}

/// Width, mantissa bits.
fn widths(dtype: Dtype) -> (u32, u32) {
    let mantissa = match dtype {
        Dtype::F64 => 52,
        Dtype::F32 => 23,
        Dtype::F16 => 10,
        Dtype::BF16 => 7,
        Dtype::F8E4M3 | Dtype::F8E4M3Fnuz => 3,
        _ => 2,
    };
    (u32::try_from(dtype.size_bytes().unwrap()).unwrap() * 8, mantissa)
}

fn tensor(seed: u64, dtype: Dtype, shape: &[usize], content: Content) -> Tensor {
    let mut tensor = golden(seed, dtype, shape);
    let (width_bits, mantissa_bits) = widths(dtype);
    let count: usize = shape.iter().product();
    let index = |mut position: usize| {
        let mut index = vec![0; shape.len()];
        for axis in (0..shape.len()).rev() {
            index[axis] = position % shape[axis];
            position /= shape[axis];
        }
        index
    };
    let size = width_bits as usize / 8;
    let old = tensor.bytes.clone();
    let make = |i: usize| -> Vec<u8> {
        let word = word(seed, i as u64);
        let same = old[i * size..(i + 1) * size].to_vec();
        let victim = i == count / 3;
        match content {
            Content::Plain => same,
            Content::AnyBits => bits_of(dtype, word),
            Content::Wild => bits_of(dtype, word & !(1 << (width_bits - 3))),
            Content::Constant => element(dtype, seed % 2 == 1, -3, 0),
            Content::Zero => bits_of(dtype, 0),
            Content::Lowest => bits_of(dtype, word & ((2 << mantissa_bits) - 1)),
            Content::Latin(modulus) => {
                let key = index(i).iter().sum::<usize>() % modulus;
                element(dtype, word >> 63 == 1, -3, common::generate::word(seed, key as u64))
            }
            Content::ZeroChannels(axis) if index(i)[axis % shape.len()] % 3 == 0 => bits_of(dtype, 0),
            Content::ZeroChannels(_) => same,
            Content::OneNan if victim => match dtype {
                Dtype::F8E4M3Fnuz | Dtype::F8E5M2Fnuz => vec![0x80],
                _ => bits_of(dtype, u64::MAX),
            },
            Content::OneInfinity if victim => match dtype {
                Dtype::F8E4M3 => vec![0x7f],
                Dtype::F8E4M3Fnuz | Dtype::F8E5M2Fnuz => vec![0x80],
                _ => bits_of(dtype, (1 << (width_bits - 1)) - (1 << mantissa_bits)),
            },
            Content::OneNan | Content::OneInfinity => same,
        }
    };
    tensor.bytes = (0..count).flat_map(make).collect();
    tensor
}

const PLACES: &[&[usize]] = &[
    &[64, 48],          // dense, rows first
    &[48, 64],          // dense, rows last
    &[64, 64],          // square
    &[17, 67],          // odd sizes
    &[16, 16, 4],       // smallest dense
    &[16, 15, 5],       // just thin
    &[15, 15, 5],       // rows too short for energy
    &[1100, 2],         // thin matrix
    &[2, 1100],         // thin matrix, rows last
    &[40, 24, 3, 3],    // kernel last
    &[3, 3, 40, 24],    // kernel first
    &[3, 40, 24, 3],    // kernel on both sides
    &[40, 3, 3, 24],    // kernel in the middle
    &[24, 3, 40, 3],    // kernel in the middle and last, rows inner
    &[3, 24, 40, 3],    // rows in the middle, behind the columns
    &[24, 24, 3],       // square with a kernel
    &[24, 24, 24],      // cube
    &[3, 24, 24, 2],    // square between kernels
    &[96, 3, 5],        // thin
    &[3, 96, 5],        // thin, rows in the middle
    &[3, 5, 96],        // thin, rows last
    &[64, 8, 8],        // thin and square
    &[8, 64, 8],        // thin and square, rows in the middle
    &[8, 8, 64],        // thin and square, rows last
    &[16, 4, 4, 4],     // thin, more columns than rows
    &[1, 96, 1, 32, 1], // axes of length one
    &[1, 1, 96, 3, 1, 5],
    &[1030, 1],
    &[1, 1030],
    &[1024],
    &[],
    &[0],
    &[0, 40],
    &[40, 0, 40],
    &[31, 33],
    &[32, 32],
    &[600, 17], // more row blocks than 64
    &[17, 600],
    &[130, 520],
    &[48, 40, 5, 5],    // odd square kernel: orbits of 8, 4 and 1
    &[24, 16, 4, 4],    // even square kernel
    &[20, 16, 35],      // 1D kernel
    &[24, 16, 3, 2],    // kernel that is not square
    &[3, 4, 24, 16],    // the same, first, the shorter axis before the longer
    &[24, 16, 3, 3, 3], // 3D kernel: three other axes, turned round but not transposed
    &[20, 16, 1, 7, 1, 7],
    &[64, 64, 3, 3], // square with a square kernel
];

/// Shapes of which a sample is looked at, in one view or in all.
const SAMPLED: &[&[usize]] = &[
    &[257, 256],                     // the shortest axis that is sampled
    &[300, 264],                     // both axes
    &[264, 2, 300],                  // both axes, a kernel between them
    &[300, 300],                     // square
    &[5000, 17],                     // more channels than a wave needs
    &[20, 16, 9, 9],                 // kernel of 81 positions: 8 x 8 of them
    &[11, 20, 7, 16],                // 77 positions: 8 x 7
    &[65, 70, 66],                   // 1D kernel: 64 of 65
    &[16, 15, 15, 15],               // thin: 216 of 3375 columns
    &[16, 16, 15],                   // 15 positions, all of them
    &[17, 16, 5, 5, 5],              // three axes: 4 x 4 x 4
    &[16, 16, 3, 3, 3, 3],           // four axes: 2 each
    &[16, 16, 2, 2, 2, 2, 2, 2, 2],  // seven axes: 1 each
    &[3, 2, 2, 2, 2, 2, 2, 2, 2, 2], // thin, nine axes: 1 each
    &[3, 3, 3, 3, 3, 3, 3],          // thin, six axes: 2 each
    &[600, 15, 18],                  // dense
    &[600, 15, 15, 2],               // thin: 72 of 450 columns
    &[300, 12, 3],                   // thin, rows alone
    &[2, 700, 1],
    &[2, 7, 700],
];

#[test]
fn agree_in_every_layout_and_type() {
    for (number, shape) in PLACES.iter().enumerate() {
        for dtype in FLOATING {
            let model = Model::new(vec![golden(number as u64, dtype, shape)]);
            check(&format!("{dtype:?} {shape:?}"), &model);
        }
    }
}

#[test]
fn agree_on_the_order_of_every_sum() {
    // Rounding errors are all there is to see here, so that another order of additions gives other features.
    for (number, shape) in PLACES.iter().enumerate() {
        for modulus in [3, 5, 8, 24] {
            let tensor = tensor(number as u64, Dtype::F32, shape, Content::Latin(modulus));
            check(&format!("{shape:?} modulo {modulus}"), &Model::new(vec![tensor]));
        }
    }
}

#[test]
fn agree_on_awkward_contents() {
    let contents = [
        Content::AnyBits,
        Content::Wild,
        Content::Constant,
        Content::Zero,
        Content::Lowest,
        Content::ZeroChannels(0),
        Content::ZeroChannels(1),
        Content::OneNan,
        Content::OneInfinity,
    ];
    for content in contents {
        for dtype in FLOATING {
            for shape in [&[48, 40][..], &[40, 48], &[3, 48, 5], &[3, 24, 24]] {
                let model = Model::new(vec![tensor(7, dtype, shape, content)]);
                check(&format!("{content:?} {dtype:?} {shape:?}"), &model);
            }
        }
    }
}

#[test]
fn agree_at_the_ends_of_f64() {
    // Squares, fourth powers, their sums, their reciprocals and the floor of the logarithms overflow or vanish one
    // after the other.
    for power in [
        -1022, -540, -537, -530, -527, -520, -511, -400, -300, -270, -255, 200, 255, 300, 507, 509, 511, 512,
        1023,
    ] {
        for shape in [&[48, 40][..], &[40, 48], &[3, 48, 5]] {
            for zero_channels in [usize::MAX, 11, 5] {
                let count: usize = shape.iter().product();
                let bytes = (0..count).flat_map(|i| {
                    let word = word(3, i as u64);
                    let dead = i / shape[shape.len() - 1] % zero_channels == 2;
                    if dead { vec![0; 8] } else { element(Dtype::F64, word >> 63 == 1, power, word) }
                });
                let tensor = Tensor::new("w", Dtype::F64, shape, bytes.collect());
                check(&format!("2^{power} {shape:?} {zero_channels}"), &Model::new(vec![tensor]));
            }
        }
    }
}

#[test]
fn agree_on_which_axes_and_tensors_count() {
    let plain = |seed, shape: &[usize]| tensor(seed, Dtype::F32, shape, Content::Plain);
    let integers = Tensor::new("i", Dtype::Other("I64"), &[64, 64], vec![7; 64 * 64 * 8]);
    let empty_integers = Tensor::new("i", Dtype::Other("I4"), &[0, 64], vec![]);
    let flat = tensor(1, Dtype::F32, &[80, 64], Content::Constant);
    let zero = tensor(1, Dtype::F32, &[80, 64], Content::Zero);
    let models = [
        ("no tensor", vec![]),
        ("integers alone", vec![integers.clone(), empty_integers.clone()]),
        ("lengths that occur once", vec![plain(1, &[40, 48]), plain(2, &[56, 64])]),
        ("a length that occurs twice", vec![plain(1, &[40, 48]), plain(2, &[64, 48])]),
        ("a length as row and column", vec![plain(1, &[40, 48]), plain(2, &[40, 24])]),
        ("a square", vec![plain(1, &[40, 48]), plain(2, &[64, 64])]),
        ("a partner that is constant", vec![plain(1, &[80, 48]), flat.clone()]),
        ("a partner that is zero", vec![plain(1, &[80, 48]), zero.clone()]),
        ("a thin partner", vec![plain(1, &[80, 48]), plain(2, &[80, 3, 5])]),
        ("a kernel of that length", vec![plain(1, &[40, 24]), plain(2, &[64, 48, 24])]),
        ("the same tensor twice", vec![plain(1, &[40, 48]), plain(1, &[40, 48])]),
        ("twice, and a third", vec![plain(1, &[40, 48]), plain(1, &[40, 48]), plain(2, &[40, 48])]),
        ("the same bytes, another shape", vec![plain(1, &[40, 48]), plain(1, &[48, 40])]),
        ("the same bytes, an axis more", vec![plain(1, &[40, 48]), plain(1, &[40, 1, 48])]),
        (
            "the same bytes, another type",
            vec![tensor(1, Dtype::F16, &[40, 48], Content::Plain), {
                let mut other = tensor(1, Dtype::F16, &[40, 48], Content::Plain);
                other.info.dtype = Dtype::BF16;
                other
            }],
        ),
        ("a square and another of its octave", vec![plain(1, &[64, 64]), plain(2, &[72, 56])]),
        ("another and a square of its octave", vec![plain(2, &[72, 56]), plain(1, &[64, 64])]),
        ("a square among squares", vec![plain(1, &[64, 64]), plain(2, &[65, 65]), plain(3, &[64, 64])]),
        ("no spread before spread", vec![flat.clone(), plain(1, &[80, 64])]),
        ("kernels of as many orbits", vec![plain(1, &[40, 24, 2]), plain(2, &[40, 24])]),
        ("all sorts", vec![integers, plain(5, &[64, 64]), empty_integers, zero, flat, plain(6, &[96])]),
    ];
    for (what, tensors) in models {
        check(what, &Model::new(tensors));
    }
}

#[test]
fn agree_on_samples() {
    for (number, shape) in SAMPLED.iter().enumerate() {
        let seed = number as u64;
        for (dtype, content) in [
            (Dtype::BF16, Content::Plain),
            (Dtype::F32, Content::Latin(5)),
            (Dtype::F64, Content::ZeroChannels(0)),
        ] {
            let model = Model::new(vec![tensor(seed, dtype, shape, content)]);
            check(&format!("{dtype:?} {shape:?} {content:?}"), &model);
        }
    }
}

#[test]
fn agree_on_both_sides_of_the_elements_up_to_which_a_matrix_is_whole() {
    for shape in [
        &[1024, 1024][..],
        &[1023, 1025],
        &[1025, 1024],
        &[1, 900, 1300],
        &[2, 1030, 512],
        &[2, 1030, 500],
        &[60_000, 3, 6],
        &[61_000, 17],
        &[4_194_304, 2],
    ] {
        check(&format!("{shape:?}"), &Model::new(vec![golden(9, Dtype::F8E5M2, shape)]));
    }
}

#[test]
fn agree_on_tensors_too_large_to_be_kept_in_memory() {
    for shape in [&[1100, 1000][..], &[3, 1100, 400], &[16, 9, 9, 850], &[15, 5, 15_000]] {
        check(&format!("{shape:?}"), &Model::new(vec![golden(9, Dtype::F64, shape)]));
    }
}

#[test]
fn agree_on_what_a_sample_does_not_look_at() {
    // Row 8 is the first between two runs; in a thin tensor, and in one of more than 2^20 elements, nothing looks at it, in
    // the first shape only the whole does.
    for shape in [&[300, 264][..], &[300, 12, 3], &[1100, 1000]] {
        let behind: usize = shape[1..].iter().product();
        let filled = |rest: i32, row: &[u8]| {
            let bytes = (0..shape[0] * behind).flat_map(|i| {
                let word = word(3, i as u64);
                match i / behind {
                    8 if (i % behind).is_multiple_of(2) => row.to_vec(),
                    _ if rest == 0 => vec![0; 8],
                    _ => element(Dtype::F64, word >> 63 == 1, rest, word),
                }
            });
            Model::new(vec![Tensor::new("w", Dtype::F64, shape, bytes.collect())])
        };
        let large = behind == 1000;
        for &rest in if large { &[-3][..] } else { &[0, -3, -600] } {
            for row in [f64::NAN, f64::INFINITY, f64::MAX, 1.0, 0.0, 5e-324] {
                if large && row.is_finite() && row < 2.0 {
                    continue;
                }
                check(&format!("{shape:?}: {row} among 2^{rest}"), &filled(rest, &row.to_le_bytes()));
            }
        }
    }
}

#[test]
fn agree_on_the_number_of_rounds() {
    // A triangular matrix: equilibration is far from settled after three or eight rounds.
    for (shape, dtype) in [
        (&[1024, 1024][..], Dtype::F32),
        (&[1100, 1000], Dtype::BF16),
        (&[96, 320], Dtype::F32),
        (&[320, 96], Dtype::F64),
    ] {
        let bytes = (0..shape[0]).flat_map(|row| {
            (0..shape[1]).flat_map(move |column| {
                let word = word(4, (row * shape[1] + column) as u64);
                let power =
                    |at: usize, seed| i32::try_from(common::generate::word(seed, at as u64) % 9).unwrap();
                let triangle = if row * shape[1] < column * shape[0] { -20 } else { 0 };
                element(dtype, false, power(row, 5) + power(column, 6) + triangle, word >> 8)
            })
        });
        check(&format!("{shape:?}"), &Model::new(vec![Tensor::new("w", dtype, shape, bytes.collect())]));
    }
}

fn any_content() -> impl Strategy<Value = Content> {
    prop_oneof![
        6 => Just(Content::Plain),
        1 => Just(Content::AnyBits),
        2 => Just(Content::Wild),
        1 => Just(Content::Constant),
        1 => Just(Content::Zero),
        1 => Just(Content::Lowest),
        3 => prop::sample::select(vec![3, 4, 5, 8, 16, 64]).prop_map(Content::Latin),
        2 => (0..4_usize).prop_map(Content::ZeroChannels),
        1 => Just(Content::OneNan),
        1 => Just(Content::OneInfinity),
    ]
}

fn any_tensor() -> impl Strategy<Value = Tensor> {
    // Few lengths, so that they meet again in other tensors.
    let length = prop_oneof![1 => 0..2_usize, 4 => 1..10_usize, 8 => prop::sample::select(vec![16, 17, 24, 33, 64, 96, 260])];
    let shape = prop::collection::vec(length, 1..5)
        .prop_filter("small", |shape| shape.iter().product::<usize>() <= 20_000);
    (0..3_u64, prop::sample::select(FLOATING.to_vec()), shape, any_content())
        .prop_map(|(seed, dtype, shape, content)| tensor(seed, dtype, &shape, content))
}

/// A tensor, and whether it is stored again as it is or with its axes reversed.
fn any_model() -> impl Strategy<Value = Model> {
    let stored = any_tensor().prop_flat_map(|tensor| (Just(tensor), 0..4_u8));
    prop::collection::vec(stored, 0..5).prop_map(|stored| {
        let mut tensors = Vec::new();
        for (tensor, again) in stored {
            let reversed: Vec<usize> = (0..tensor.info.shape.len()).rev().collect();
            match again {
                0 => tensors.push(tensor.clone()),
                1 => tensors.push(tensor.transposed(&reversed)),
                _ => {}
            }
            tensors.push(tensor);
        }
        Model::new(tensors)
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn agree_on_generated_models(model in any_model()) {
        check("generated", &model);
    }
}

#[test]
fn agree_on_p_values() {
    for features in [0, 1, 2, 7, 15, 100, 1000, 1999, 100_000, u32::MAX] {
        for view in View::ALL {
            assert_eq!(
                phash_core::effective_bits(view, features),
                reference::effective_bits(view.name(), features)
            );
            for distance_bits in 0..=512 {
                let expected = reference::p_value(view.name(), features, distance_bits);
                let got = phash_core::p_value(view, features, distance_bits);
                assert!((got / expected - 1.0).abs() < 1e-11, "{features} {distance_bits}: {got} {expected}");
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn agree_on_e_values(
        pairs in prop::collection::vec(prop::option::weighted(0.8, (0..=512u32, 0..3_000u32)), View::COUNT),
    ) {
        let mut views = pairs.iter();
        let mut next = || views.next().copied().flatten();
        let pairs = PerView::from_fn(|_| next());
        let distances = PerView::from_fn(|view| pairs[view].map(|(distance, _)| distance));
        let features = PerView::from_fn(|view| pairs[view].map_or(5, |(_, features)| features));
        let reference_p = |(view, pair): (View, &Option<(u32, u32)>)| {
            pair.map(|(bits, features)| reference::p_value(view.name(), features, bits))
        };
        let p: Vec<f64> = pairs.iter().filter_map(reference_p).collect();
        let expected = reference::e_value(reference::joint_p_value(&p), 1_000_000);
        let joint = phash_core::joint_p_value(&phash_core::p_values(&distances, &features));
        let got = phash_core::e_value(joint, 1_000_000);
        prop_assert!((got / expected - 1.0).abs() < 1e-9, "{pairs:?}: {got} is not {expected}");
    }
}
