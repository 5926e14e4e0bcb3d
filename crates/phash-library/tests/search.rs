//! Searching a library that is large enough for index segments: the answers are those of comparing with every code, with
//! the segments, without them, and with damaged ones.

#![expect(clippy::unwrap_used, reason = "all of this is test code: a panic is a failure with a place")]

use std::path::Path;
use std::sync::atomic::AtomicBool;

use phash_library::{
    Event, Library, Mode, ModelCode, OpenOptions, PerView, Query, View, ViewHash, index, schema, verify,
};
use phash_store::{NewModel, NewSource, Stamp, ViewCode, Writer};

/// Enough for a segment.
const MODELS: u32 = 66_000;

/// How many features are behind a model's codes: of some so few that no distance proves anything.
fn features(id: u32) -> u32 {
    if id % 14 == 6 { 60 } else { 10_000 }
}

/// SplitMix64.
fn random(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut z = *state;
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// The codes of a model: every third one is near model 0, at as many bits as its id says, others in each view; every fifth
/// has a void view.
fn codes(id: u32) -> PerView<ViewHash> {
    let mut state = u64::from(if id.is_multiple_of(3) { 0 } else { id });
    let code = |state: &mut u64, step: u32| {
        let mut code = ModelCode::from_le_words([0; 8].map(|_: u64| random(state)));
        if id.is_multiple_of(3) {
            for bit in 0..(id / 3 * step) % 256 {
                code.set_bit((bit * 7 + id) % 512, !code.bit((bit * 7 + id) % 512));
            }
        }
        code
    };
    let mut views = PerView::<ViewHash>::default();
    for (view, step) in View::ALL.into_iter().zip([1, 5, 11, 17, 29]) {
        let code = code(&mut state, step);
        if view == View::Energy || !id.is_multiple_of(5) {
            views[view] = ViewHash { code: Some(code), features: features(id) };
        }
    }
    views
}

fn fill(dir: &Path) {
    let mut writer = Writer::open_or_create(dir, &schema()).unwrap();
    for id in 0..MODELS {
        let views = codes(id);
        let codes = View::ALL.map(|view| ViewCode {
            bytes: views[view].code.as_ref().map(ModelCode::as_bytes),
            features: views[view].features,
        });
        let mut digest = [0; 32];
        digest[..4].copy_from_slice(&id.to_le_bytes());
        let label = format!("model {id}");
        writer
            .put(&NewModel {
                source: NewSource {
                    label: &label,
                    path: &label,
                    stamp: Stamp { len_bytes: 1, mtime_ns: 1 },
                    file_digest: digest,
                },
                format: "generated",
                content_digest: digest,
                views: &codes,
                weak: false,
                tensors_used: 0,
                tensors_skipped: &[],
                tensors: &[],
            })
            .unwrap();
    }
    writer.commit().unwrap();
}

/// (distance, id) of all models with a code in a searched view, in order.
fn oracle(query: &Query, views: &[View]) -> Vec<(u32, u32)> {
    let mut all: Vec<(u32, u32)> = (0..MODELS)
        .filter_map(|id| {
            let stored = codes(id);
            let distance = |&view: &View| Some(query.views[view].code?.distance(&stored[view].code?));
            Some((views.iter().filter_map(distance).min()?, id))
        })
        .collect();
    all.sort_unstable();
    all
}

fn check(library: &Library) {
    for (id, views) in [(0, &View::ALL[..]), (1, &View::ALL), (30, &[View::Blocks]), (7, &[View::Energy])] {
        let query = Query { name: String::new(), views: codes(id), content_digest: None, except: None };
        let found = |mode: Mode| -> Vec<(u32, u32)> {
            let hits = library.query(&query, mode, views);
            match hits {
                Ok(hits) => hits.iter().map(|hit| (hit.closeness.distance_bits, hit.id)).collect(),
                // Model 30 is void in one view.
                Err(error) => {
                    assert!(query.views[views[0]].code.is_none(), "{error}");
                    Vec::new()
                }
            }
        };
        let all = oracle(&query, views);
        for radius in [0, 7, 20, 64, 150] {
            let expected: Vec<_> = all.iter().copied().filter(|(bits, _)| *bits <= radius).collect();
            assert_eq!(found(Mode::Radius(radius)), expected, "model {id}, radius {radius}");
        }
        for k in [1, 10, 300] {
            assert_eq!(found(Mode::TopK(k)), all[..k.min(all.len())], "model {id}, k {k}");
        }
        assert_eq!(found(Mode::EValue(1e-3)), significant(&query, id, views), "model {id}, E-value");
    }
}

/// (distance, id) of all models whose joint E-value is at most 1e-3, in order.
fn significant(query: &Query, query_id: u32, views: &[View]) -> Vec<(u32, u32)> {
    let mut all: Vec<(u32, u32)> = (0..MODELS)
        .filter_map(|id| {
            let (stored, common) = (codes(id), features(id).min(features(query_id)));
            let (mut nearest, mut least, mut surprise, mut count) = (u32::MAX, 1.0f64, 0.0, 0u32);
            for &view in views {
                if let Some((ours, theirs)) = query.views[view].code.zip(stored[view].code) {
                    let bits = ours.distance(&theirs);
                    let p = phash_core::p_value(view, common, bits);
                    (nearest, least, surprise) = (nearest.min(bits), least.min(p), surprise - p.ln());
                    count += 1;
                }
            }
            // docs/hashing.md, section 8; the factorial of the terms by way of their ratio.
            let terms = (1..count).scan(1.0, |term, i| {
                *term *= surprise / f64::from(i);
                Some(*term)
            });
            let fisher = (-surprise).exp() * (1.0 + terms.sum::<f64>());
            let joint = match count {
                0 => return None,
                1 => least,
                _ => 2.0 * fisher.min(f64::from(count) * least),
            };
            (f64::from(MODELS) * joint <= 1e-3).then_some((nearest, id))
        })
        .collect();
    all.sort_unstable();
    all
}

#[test]
fn index_segments_change_no_answer_and_a_damaged_or_missing_one_is_done_without_and_built_again() {
    let dir = tempfile::tempdir().unwrap();
    let db = dir.path().join("library.phash");
    fill(&db);
    let mut library = Library::open(&db).unwrap();
    assert!(library.segments(View::Energy).is_empty());
    check(&library);

    let mut built = Vec::new();
    index(&db, &AtomicBool::new(false), &mut |event| {
        if let Event::Indexing { view, codes } = event {
            built.push((view, codes));
        }
    })
    .unwrap();
    assert_eq!(built, View::ALL.map(|view| (view, MODELS)));
    assert!(library.refresh().unwrap());
    for view in View::ALL {
        let covered = library.segments(view);
        assert_eq!((covered.len(), covered[0].start, covered[0].end), (1, 0, MODELS));
    }
    check(&library);
    assert_eq!(
        verify(&db, OpenOptions::default(), &AtomicBool::new(false), &mut |_, _| {}).unwrap().damages,
        []
    );
    // Nothing new, nothing to build.
    index(&db, &AtomicBool::new(false), &mut |event| panic!("{event:?}")).unwrap();
    drop(library);

    for entry in std::fs::read_dir(db.join("segments")).unwrap() {
        let path = entry.unwrap().path();
        let mut bytes = std::fs::read(&path).unwrap();
        bytes[0] ^= 1;
        std::fs::write(&path, bytes).unwrap();
    }
    assert!(
        !verify(&db, OpenOptions::default(), &AtomicBool::new(false), &mut |_, _| {})
            .unwrap()
            .damages
            .is_empty()
    );
    let library = Library::open(&db).unwrap();
    assert_eq!(library.unusable_segments().count(), View::COUNT);
    check(&library);
    drop(library);

    // Built again when asked to, whether a file is damaged, missing or too short.
    let rebuild = || {
        index(&db, &AtomicBool::new(false), &mut |_| ()).unwrap();
        let library = Library::open(&db).unwrap();
        assert_eq!(library.unusable_segments().count(), 0);
        assert_eq!(library.segments(View::Blocks).len(), 1);
        assert_eq!(
            verify(&db, OpenOptions::default(), &AtomicBool::new(false), &mut |_, _| {}).unwrap().damages,
            []
        );
        std::fs::read_dir(db.join("segments")).unwrap().map(|entry| entry.unwrap().path()).collect::<Vec<_>>()
    };
    let files = rebuild();
    std::fs::remove_file(&files[0]).unwrap();
    std::fs::OpenOptions::new().write(true).open(&files[1]).unwrap().set_len(100).unwrap();
    let library = Library::open(&db).unwrap();
    assert_eq!(library.unusable_segments().count(), 2);
    check(&library);
    drop(library);
    assert_eq!(rebuild().len(), View::COUNT);
}
