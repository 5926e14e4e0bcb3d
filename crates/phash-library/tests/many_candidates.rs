//! More candidates than are looked at together: they are taken as they are needed, told in their order, and a label that comes
//! again is not stored again.

#![expect(clippy::unwrap_used, reason = "all of this is test code: a panic is a failure with a place")]

use std::cell::Cell;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;
use std::time::{Duration, SystemTime};

use phash_library::{Candidate, Event, Hashing, IngestSummary, ingest, walk};

/// As documented.
const AHEAD: usize = 16_384;
const CANDIDATES: usize = 2 * AHEAD + 5000;
/// Every so many of them there is a file; elsewhere there is none.
const FILE_EVERY: usize = 1000;

fn model(path: &Path, seed: usize) {
    let header = r#"{"w":{"dtype":"F32","shape":[64,64],"data_offsets":[0,16384]}}"#;
    let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
    bytes.extend_from_slice(header.as_bytes());
    let mut state = seed as u64;
    for _ in 0..64 * 64 {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        bytes.extend_from_slice(&((state >> 40) as f32 / 16_777_216.0 - 0.5).to_le_bytes());
    }
    std::fs::write(path, bytes).unwrap();
    // Old enough to be trusted unchanged.
    let file = std::fs::File::options().write(true).open(path).unwrap();
    file.set_modified(SystemTime::now() - Duration::from_secs(3600)).unwrap();
}

#[test]
fn candidates_are_taken_as_they_are_needed_and_told_in_their_order() {
    let dir = tempfile::tempdir().unwrap();
    let path = |number: usize| dir.path().join(format!("{number}.safetensors"));
    (0..CANDIDATES).step_by(FILE_EVERY).for_each(|number| model(&path(number), number));
    let label = |number: usize| path(number).display().to_string();
    let (taken, told) = (Cell::new(0), Cell::new(0));
    // The last one is the first again.
    let numbers = (0..CANDIDATES).chain([0]);
    let candidates = numbers.clone().map(|number| {
        taken.set(taken.get() + 1);
        Candidate::file(&path(number))
    });
    let (mut totals, mut endings) = (Vec::new(), Vec::new());
    let cancel = AtomicBool::new(false);
    let hashing = Hashing {
        threads: NonZeroUsize::new(2).unwrap(),
        sample_over_bytes: u64::MAX,
        cancel: &cancel,
        progress: &|_| {},
    };
    let mut events = |event: Event<'_>| {
        assert!(taken.get() - told.get() <= AHEAD, "{} taken, {} told", taken.get(), told.get());
        let (what, label) = match event {
            Event::Planned { files, bytes } => return totals.push((files, bytes)),
            Event::Ingested { label, .. } => ("ingested", label),
            Event::Unchanged { label, .. } => ("unchanged", label),
            Event::Skipped { label, .. } => ("skipped", label),
            other => panic!("{other:?}"),
        };
        told.set(told.get() + 1);
        endings.push((what, label.to_owned()));
    };
    let every = NonZeroUsize::new(1000).unwrap();
    let summary = ingest(&dir.path().join("db.phash"), candidates, every, &hashing, &mut events).unwrap();
    let files = CANDIDATES.div_ceil(FILE_EVERY) as u64;
    let skipped = CANDIDATES as u64 - files;
    assert_eq!(
        summary,
        IngestSummary { ingested: files, unchanged: 1, skipped, duplicate: 0, cancelled: false }
    );
    let expected = numbers.enumerate().map(|(place, number)| {
        let there = if place == CANDIDATES { "unchanged" } else { "ingested" };
        (if number.is_multiple_of(FILE_EVERY) { there } else { "skipped" }, label(number))
    });
    assert!(endings.into_iter().eq(expected));
    let file_bytes = std::fs::metadata(path(0)).unwrap().len();
    let counts: Vec<u64> = totals.iter().map(|(files, _)| *files).collect();
    assert_eq!(counts, [AHEAD as u64, 2 * AHEAD as u64, CANDIDATES as u64 + 1]);
    assert_eq!(totals.last().unwrap().1, files * file_bytes);
}

#[test]
fn a_walk_of_paths_that_are_made_on_the_way_is_that_of_a_list() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::create_dir_all(dir.path().join("d/e")).unwrap();
    ["a", "d/b", "d/e/c"]
        .iter()
        .for_each(|name| model(&dir.path().join(format!("{name}.safetensors")), name.len()));
    let paths: Vec<PathBuf> = ["d", "a.safetensors", "nowhere"].map(|name| dir.path().join(name)).to_vec();
    let labels = |found: Vec<Candidate>| -> Vec<(String, bool)> {
        found.into_iter().map(|found| (found.label, found.input.is_ok())).collect()
    };
    let listed = labels(walk(&paths).collect());
    assert_eq!(listed.len(), 4);
    assert_eq!(labels(walk(paths).collect()), listed);
}
