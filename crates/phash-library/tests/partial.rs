//! Searching by parts: the models found, their order and their E-values are those of a plain loop over all stored tensors,
//! with the statistics written down a second time.

#![expect(clippy::unwrap_used, reason = "all of this is test code: a panic is a failure with a place")]

use std::path::Path;

use phash_core::{Digest, Dtype, TensorHash, TensorInfo, joint_p_value};
use phash_library::{
    CODE_BITS, CODE_WORDS, Error, HashedFile, Library, ModelCode, ModelHash, PartsLimits, PerView, Standing,
    View, ViewHash, schema,
};
use phash_store::{NewModel, NewSource, NewTensor, Stamp, ViewCode, Writer};

const MODELS: u32 = 3_000;
const TENSORS: u32 = 5;

/// SplitMix64.
fn random(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut z = *state;
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// Tensor `tensor` of a model: each has axes of its own. A share of them are near the query's, at many distances in each view; some
/// lack a view, some have few features.
fn tensor(model: u32, tensor: u32) -> PerView<ViewHash> {
    let mut state = u64::from(tensor);
    let mut chance = u64::from(model) << 32 | u64::from(tensor);
    let (kin, lacks, few) = (
        random(&mut chance).is_multiple_of(14),
        random(&mut chance) % 11,
        random(&mut chance).is_multiple_of(5),
    );
    let mut views = PerView::<ViewHash>::default();
    for view in View::ALL {
        let mut code = ModelCode::from_le_words([0; CODE_WORDS].map(|_: u64| random(&mut state)));
        if model > 0 && kin {
            for _ in 0..random(&mut chance) % 200 {
                let bit = u32::try_from(random(&mut chance) % u64::from(CODE_BITS)).unwrap();
                code.set_bit(bit, !code.bit(bit));
            }
        } else if model > 0 {
            code = ModelCode::from_le_words([0; CODE_WORDS].map(|_: u64| random(&mut chance)));
        }
        let features = if few && model > 0 { 24 } else { 100 * (tensor + 1) };
        if model == 0 || lacks != view as u64 {
            views[view] = ViewHash { code: Some(code), features };
        }
    }
    views
}

fn name(model: u32, tensor: u32) -> String {
    format!("model {model} tensor {tensor}")
}

fn fill(dir: &Path) {
    let mut writer = Writer::open_or_create(dir, &schema()).unwrap();
    let void = View::ALL.map(|_| ViewCode { bytes: None, features: 0 });
    for model in 1..=MODELS {
        let views: Vec<_> = (0..TENSORS).map(|number| tensor(model, number)).collect();
        let codes: Vec<_> = views
            .iter()
            .map(|views| {
                let view = |view: View| ViewCode {
                    bytes: views[view].code.as_ref().map(ModelCode::as_bytes),
                    features: views[view].features,
                };
                View::ALL.map(view)
            })
            .collect();
        let shapes: Vec<_> = (0..TENSORS).map(|number| [100 + u64::from(number), 64]).collect();
        let names: Vec<_> = (0..TENSORS).map(|number| name(model, number)).collect();
        let tensors: Vec<_> = (0..TENSORS as usize)
            .map(|at| NewTensor { name: &names[at], dtype: "F32", shape: &shapes[at], views: &codes[at] })
            .collect();
        let mut digest = [0; 32];
        digest[..4].copy_from_slice(&model.to_le_bytes());
        let (label, stamp) = (format!("model {model}"), Stamp { len_bytes: 1, mtime_ns: 1 });
        writer
            .put(&NewModel {
                source: NewSource { label: &label, path: &label, stamp, file_digest: digest },
                format: "generated",
                content_digest: digest,
                views: &void,
                weak: true,
                tensors_used: TENSORS,
                tensors_skipped: &[],
                tensors: &tensors,
            })
            .unwrap();
    }
    writer.commit().unwrap();
}

fn query() -> HashedFile {
    let info = |number: u32| TensorInfo {
        name: name(0, number),
        dtype: Dtype::F32,
        shape: vec![64, 100 + u64::from(number)],
        len_bytes: 0,
    };
    let hash =
        |number: u32| TensorHash { views: tensor(0, number), bytes_digest: Digest([1; 32]), skipped: None };
    HashedFile {
        name: "query".to_owned(),
        format: "generated",
        stamp: phash_weights::FileStamp { len_bytes: 0, mtime_ns: 0 },
        file_digest: Digest([0; 32]),
        tensors: (0..TENSORS).map(info).collect(),
        hash: ModelHash {
            views: PerView::default(),
            tensors: (0..TENSORS).map(hash).collect(),
            content_digest: Digest([0; 32]),
            sampled: false,
        },
    }
}

/// Chernoff's bound, with the effective bits of tensors.
fn p_value(view: View, features: u32, bits: u32) -> f64 {
    let x = f64::from(bits) / f64::from(CODE_BITS);
    if x >= 0.5 || features == 0 {
        return 1.0;
    }
    let features_per_bit = if view == View::Energy { 1.25 } else { 3.0 };
    let n = 1.0 / (features_per_bit / f64::from(features) + 1.0 / 150.0);
    let heads = if x > 0.0 { (2.0 * x).ln() * x } else { 0.0 };
    (-n * (heads + (1.0 - x) * (2.0 * (1.0 - x)).ln())).exp()
}

/// What must be reported: id and E-value, the larger share of weights first.
fn oracle(max_e_value: f64) -> Vec<(u32, f64)> {
    let mut found = Vec::new();
    for model in 1..=MODELS {
        let (mut clue, mut chances, mut weights) = (false, Vec::new(), 0);
        let (mut bits_sum, mut kept) = (0, 0);
        for number in 0..TENSORS {
            let (ours, theirs) = (tensor(0, number), tensor(model, number));
            let bits = PerView::from_fn(|view| Some(ours[view].code?.distance(&theirs[view].code?)));
            let p = PerView::from_fn(|view| {
                Some(p_value(view, ours[view].features.min(theirs[view].features), bits[view]?))
            });
            clue |= View::ALL.into_iter().any(|view| {
                // The radius is that of the query's features.
                bits[view].is_some_and(|bits| {
                    p_value(view, ours[view].features, bits) <= 32.0 / f64::from(MODELS * TENSORS)
                })
            });
            let chance = joint_p_value(&p);
            let shared: Vec<u32> = bits.0.iter().flatten().copied().collect();
            let near = 2 * shared.iter().filter(|bits| **bits <= CODE_BITS / 8).count() > shared.len();
            if near || chance <= 1e-2 {
                chances.push(chance);
            }
            if chance <= 1e-2 {
                weights += 64 * (100 + u64::from(number));
                bits_sum += u64::from(*bits.0.iter().flatten().min().unwrap());
                kept += u32::from(near);
            }
        }
        chances.sort_by(f64::total_cmp);
        let mut p = 1.0f64;
        for (place, chance) in chances.iter().enumerate() {
            let (n, k) = (f64::from(TENSORS), (place + 1) as f64);
            let ways: f64 = (0..=place).map(|i| (n - i as f64) / (i as f64 + 1.0)).product();
            p = p.min(ways * (2.0 * chance).powf(k));
        }
        let e_value = 2.0 * f64::from(MODELS) * p;
        if clue && weights > 0 && e_value <= max_e_value {
            found.push((model - 1, e_value, weights, kept, bits_sum));
        }
    }
    found.sort_by(|a, b| b.2.cmp(&a.2).then(b.3.cmp(&a.3)).then(a.4.cmp(&b.4)).then(a.0.cmp(&b.0)));
    found.into_iter().map(|(id, e_value, ..)| (id, e_value)).collect()
}

#[test]
fn models_found_by_parts_are_those_that_a_loop_over_all_stored_tensors_finds() {
    let dir = tempfile::tempdir().unwrap();
    let db = dir.path().join("library.phash");
    fill(&db);
    let library = Library::open(&db).unwrap();
    for max_e_value in [1e-3, 1e-9, 5.0] {
        let parts = library.parts(&query(), PartsLimits { models: usize::MAX, max_e_value }).unwrap();
        let expected = oracle(max_e_value);
        assert!(expected.len() > 20 && expected.len() < 900, "{} models", expected.len());
        assert_eq!(parts.found, expected.len() as u64);
        for (hit, (id, e_value)) in parts.models.iter().zip(&expected) {
            assert_eq!(hit.id, *id, "at E <= {max_e_value}");
            assert!(
                (hit.e_value / e_value - 1.0).abs() < 1e-6,
                "{}: {} is not {e_value}",
                hit.id,
                hit.e_value
            );
        }
        let few = library.parts(&query(), PartsLimits { models: 7, max_e_value }).unwrap();
        assert_eq!(few.models[..7], parts.models[..7], "a limit cuts the list and nothing else");
        assert_eq!(few.found, parts.found);
    }
}

#[test]
fn each_tensor_is_told_with_the_nearest_place_and_the_number_of_models() {
    let dir = tempfile::tempdir().unwrap();
    let db = dir.path().join("library.phash");
    fill(&db);
    let library = Library::open(&db).unwrap();
    let parts = library.parts(&query(), PartsLimits { models: usize::MAX, max_e_value: 1e-3 }).unwrap();
    for (number, place) in (0u32..).zip(&parts.tensors) {
        let distance = |id: u32| {
            let (ours, theirs) = (tensor(0, number), tensor(id + 1, number));
            let bits = |view: View| Some(ours[view].code?.distance(&theirs[view].code?));
            View::ALL.into_iter().filter_map(bits).min().unwrap()
        };
        let stands = |id: u32| {
            let hit = parts.models.iter().find(|hit| hit.id == id).unwrap();
            let place = hit.places[number as usize].as_ref();
            place.is_some_and(|place| matches!(place.standing, Standing::Kept | Standing::Changed))
        };
        let models: Vec<u32> = parts.models.iter().map(|hit| hit.id).filter(|&id| stands(id)).collect();
        assert_eq!(place.models, models.len());
        let (model, nearest) = place.nearest.as_ref().unwrap();
        let id = parts.models[*model].id;
        assert_eq!(nearest.name, name(id + 1, number));
        assert_eq!(nearest.distance_bits, models.iter().map(|&id| distance(id)).min().unwrap());
        assert_eq!(distance(id), nearest.distance_bits);
    }
}

#[test]
fn a_stored_model_is_not_found_in_itself_and_a_query_without_codes_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let db = dir.path().join("library.phash");
    fill(&db);
    let library = Library::open(&db).unwrap();
    let limits = PartsLimits { models: usize::MAX, max_e_value: 1e-3 };
    let id = library.parts(&query(), limits).unwrap().models[0].id;
    let others = library.parts_of_id(id, limits).unwrap();
    assert!(!others.models.is_empty() && others.models.iter().all(|hit| hit.id != id));
    assert!(matches!(library.parts_of_id(MODELS, limits), Err(Error::NoSuchModel { .. })));
    let mut empty = query();
    empty.hash.tensors.iter_mut().for_each(|tensor| tensor.views = PerView::default());
    assert!(matches!(library.parts(&empty, limits), Err(Error::NoCode { .. })));
}
