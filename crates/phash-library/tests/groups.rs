//! Groups of fingerprints made to order: who is joined to whom, who stands in the middle, who stands alone.

use phash_library::{Digest, Fingerprint, ModelCode, PerView, Verdict, View, ViewHash, WEAK_FEATURES, group};

const AMPLE: u32 = 1 << 20;

/// A code with these bits set.
fn code(bits: impl IntoIterator<Item = u32>) -> ModelCode {
    let mut code = ModelCode::ZERO;
    bits.into_iter().for_each(|bit| code.set_bit(bit, true));
    code
}

fn model(name: &str, energy: Option<ModelCode>, blocks: Option<ModelCode>, features: u32) -> Fingerprint {
    let view =
        |code: Option<ModelCode>| ViewHash { code, features: if code.is_some() { features } else { 0 } };
    let mut views = PerView::<ViewHash>::default();
    (views[View::Energy], views[View::Blocks]) = (view(energy), view(blocks));
    let mut digest = [0; 32];
    digest[..name.len()].copy_from_slice(name.as_bytes());
    Fingerprint {
        name: name.to_owned(),
        views,
        content_digest: Digest(digest),
        weak: features < WEAK_FEATURES,
    }
}

/// Half of the bits, another half for each seed.
fn stranger(seed: u32) -> ModelCode {
    let mixed = |bit: u32| bit.wrapping_mul(0x9e37_79b1).wrapping_add(seed.wrapping_mul(0x85eb_ca6b));
    code((0..512).filter(|&bit| mixed(bit).count_ones() % 2 == 1))
}

/// `code` with so many bits flipped, from `first` on.
fn flipped(mut code: ModelCode, first: u32, count: u32) -> ModelCode {
    for bit in first..first + count {
        code.set_bit(bit, !code.bit(bit));
    }
    code
}

#[test]
fn one_view_is_enough_to_join_and_the_distance_is_the_closest_views() {
    let (a, b) = (stranger(1), stranger(2));
    let models = [
        model("a", Some(a), Some(b), AMPLE),
        model("b", Some(flipped(a, 0, 256)), Some(flipped(b, 0, 18)), AMPLE),
        model("c", Some(flipped(a, 256, 256)), Some(flipped(b, 0, 256)), AMPLE),
    ];
    let grouping = group(&models, 1e-3).unwrap();
    let [found] = &grouping.groups[..] else { panic!("{grouping:?}") };
    assert_eq!(found.representative, 0, "of two equally central ones the first by name");
    let closeness = found.members[0].model.closeness.unwrap();
    assert_eq!((closeness.distance_bits, closeness.view), (18, View::Blocks));
    assert_eq!(found.members[0].model.verdict, Verdict::Related, "blocks alone prove no more");
    let (alone, nearest) = grouping.alone[0];
    assert_eq!(alone, 2);
    assert_eq!(nearest.unwrap().closeness.unwrap().distance_bits, 238, "blocks of c and b");
}

#[test]
fn a_chain_is_one_group_and_its_far_end_says_through_whom() {
    let root = stranger(1);
    // Steps of 120 bits match; two steps do not.
    let at = |step: u32| model(&format!("{step}"), Some(flipped(root, 0, 120 * step)), None, AMPLE);
    let models = [at(0), at(1), at(2), at(3)];
    let grouping = group(&models, 1e-3).unwrap();
    let [found] = &grouping.groups[..] else { panic!("{grouping:?}") };
    assert_eq!(found.representative, 1, "the middle");
    let order: Vec<(usize, u32)> =
        found.members.iter().map(|m| (m.model.model, m.model.closeness.unwrap().distance_bits)).collect();
    assert_eq!(order, [(0, 120), (2, 120), (3, 240)]);
    assert_eq!(found.members[0].through, None);
    let through = found.members[2].through.unwrap();
    assert_eq!((through.model, through.closeness.unwrap().distance_bits), (2, 120));
}

#[test]
fn identical_contents_join_even_without_codes() {
    let mut models = [model("a", None, None, 0), model("b", None, None, 0), model("c", None, None, 0)];
    models[2].content_digest = models[0].content_digest;
    let grouping = group(&models, 1e-3).unwrap();
    assert_eq!(grouping.groups.len(), 1);
    assert_eq!(grouping.groups[0].members[0].model.verdict, Verdict::IdenticalContents);
    assert_eq!(grouping.groups[0].members[0].model.closeness, None);
    assert_eq!(grouping.alone, [(1, None)], "void codes are not near each other");
}

#[test]
fn few_features_prove_nothing_however_near() {
    let code = stranger(1);
    let models = [model("a", Some(code), None, AMPLE), model("b", Some(code), None, 8)];
    let grouping = group(&models, 1e-3).unwrap();
    assert!(grouping.groups.is_empty());
    let nearest = grouping.alone[0].1.unwrap().closeness.unwrap();
    assert!(nearest.distance_bits == 0 && nearest.e_value > 1e-3, "{nearest:?}");
}

#[test]
fn nothing_and_one_model_are_no_groups() {
    assert!(group(&[], 1e-3).unwrap().groups.is_empty());
    let grouping = group(&[model("a", Some(stranger(1)), None, AMPLE)], 1e-3).unwrap();
    assert_eq!((grouping.groups.len(), grouping.alone), (0, vec![(0, None)]));
}

#[test]
fn the_limit_on_the_e_value_decides() {
    let code = stranger(1);
    let models = [model("a", Some(code), None, AMPLE), model("b", Some(flipped(code, 0, 120)), None, AMPLE)];
    let joined = |max| !group(&models, max).unwrap().groups.is_empty();
    let e_value = group(&models, 1e-300).unwrap().alone[0].1.unwrap().closeness.unwrap().e_value;
    assert!(joined(e_value) && !joined(e_value * 0.999), "inclusive at {e_value}");
    assert_eq!(e_value, phash_core::p_value(View::Energy, AMPLE, 120), "each is compared with one other");
}

#[test]
fn what_no_view_proves_two_views_can_prove_together() {
    let (a, b) = (stranger(1), stranger(2));
    let copy = |energy: u32, blocks: u32| {
        [
            model("a", Some(a), Some(b), AMPLE),
            model("b", Some(flipped(a, 0, energy)), Some(flipped(b, 0, blocks)), AMPLE),
        ]
    };
    let joined = |models: &[Fingerprint]| !group(models, 1e-6).unwrap().groups.is_empty();
    // Where a view's probability is a few in a million.
    let hint = |view| (0..512).find(|&bits| phash_core::p_value(view, AMPLE, bits) >= 3e-6).unwrap();
    let (energy, blocks) = (hint(View::Energy), hint(View::Blocks));
    assert!(!joined(&copy(energy, 256)) && !joined(&copy(256, blocks)), "neither view alone");
    assert!(joined(&copy(energy, blocks)), "both together");
    // Void in one view: the other one counts in full, and twice as much as beside a view that says nothing.
    let e_value = |models: &[Fingerprint]| {
        group(models, 1.0).unwrap().groups[0].members[0].model.closeness.unwrap().e_value
    };
    let mut void = copy(150, 256);
    let spoilt = e_value(&void);
    void[1].views[View::Blocks] = ViewHash::default();
    assert!((spoilt / e_value(&void) - 4.0).abs() < 1e-9);
}
