//! Removal and compaction as the library does them: what is removed is never found, by index or scan, grouped or measured;
//! and a compacted database answers as one that never held it.

#![expect(clippy::unwrap_used, reason = "all of this is test code: a panic is a failure with a place")]

use std::collections::BTreeSet;
use std::num::NonZeroUsize;
use std::path::Path;
use std::sync::atomic::AtomicBool;

use phash_library::{
    CodeLibrary, CodeMode, Compacting, Error, ImportOptions, Layout, OpenOptions, RawCode, Reader, Removal,
    RemovalKind, RemovalTargets, Width, compact, import_codes, measure, remove, verify,
};
use phash_store::{Schema, Writer};

/// Enough for index segments, before and after the removals.
const CODES: u32 = 70_000;
const THREADS: NonZeroUsize = NonZeroUsize::new(2).unwrap();

/// Codes that come in groups of seven, up to three bits apart.
fn code(id: u32) -> u64 {
    let mixed = u64::from(id / 7).wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let group = (mixed ^ (mixed >> 29)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    group ^ (1 << (id % 7)) ^ (u64::from(id % 7 > 3) << 40)
}

fn is_gone(id: u32) -> bool {
    id % 23 == 5 || id % 7 == 6 && id < 7000
}

fn raw(code: u64) -> RawCode {
    RawCode::from_bytes(Width::Bits64, &code.to_le_bytes()).unwrap()
}

/// Each tenth code has no label, and two have the same.
fn label(id: u32) -> Option<String> {
    (!id.is_multiple_of(10)).then(|| if id == 12 { "l/11".to_owned() } else { format!("l/{id}") })
}

fn fill(dir: &Path) {
    let mut writer = Writer::open_or_create(dir, &Schema::codes(1)).unwrap();
    for id in 0..CODES {
        writer.put_code(&code(id).to_le_bytes(), label(id).as_deref()).unwrap();
    }
    writer.commit().unwrap();
    drop(writer);
    // An import of nothing indexes what is there.
    index(dir);
}

fn index(dir: &Path) {
    let empty = dir.join("../empty.hex");
    std::fs::write(&empty, "ffffffffffffffff last\n").unwrap();
    let input = phash_library::CodeInput::open(&empty, None).unwrap();
    let cancel = AtomicBool::new(false);
    let options = ImportOptions::new(Width::Bits64);
    import_codes(dir, vec![input], &options, &cancel, &|_| {}, &mut |_| {}).unwrap();
}

/// Compares searches with all codes that are expected, given as (id, code).
fn check(library: &CodeLibrary, expected: &[(u32, u64)]) {
    assert_eq!(library.code_count() as usize, expected.len());
    let queries: Vec<u64> = (0..CODES).step_by(4999).map(|id| code(id) ^ 4).chain([u64::MAX]).collect();
    let raws: Vec<RawCode> = queries.iter().map(|&query| raw(query)).collect();
    for radius_bits in [0, 3, 20] {
        let answers = library.search(&raws, CodeMode::Radius(radius_bits), THREADS).unwrap();
        let nearest = library.search(&raws, CodeMode::Nearest(9), THREADS).unwrap();
        for (number, &query) in queries.iter().enumerate() {
            let mut all: Vec<(u32, u32)> =
                expected.iter().map(|&(id, code)| ((code ^ query).count_ones(), id)).collect();
            all.sort_unstable();
            let found = |answer: &phash_library::Matches| {
                answer.matches.iter().map(|found| (found.distance_bits, found.id)).collect::<Vec<_>>()
            };
            let within: Vec<(u32, u32)> =
                all.iter().copied().take_while(|&(bits, _)| bits <= radius_bits).collect();
            assert_eq!(found(&answers[number]), within, "query {number}, radius {radius_bits}");
            assert_eq!(found(&nearest[number]), all[..9], "query {number}");
        }
    }
}

#[test]
fn removed_raw_codes_are_never_found_and_a_compacted_database_never_had_them() {
    let temporary = tempfile::tempdir().unwrap();
    let dir = temporary.path().join("db");
    fill(&dir);
    let gone: Vec<u32> = (0..CODES).filter(|&id| is_gone(id)).collect();
    let dry = remove(&dir, RemovalTargets::Ids(&gone), true).unwrap();
    let all: Vec<(u32, u64)> = (0..CODES).map(|id| (id, code(id))).chain([(CODES, u64::MAX)]).collect();
    check(&CodeLibrary::open(&dir).unwrap(), &all);
    let done = remove(&dir, RemovalTargets::Ids(&gone), false).unwrap();
    assert_eq!(done, dry);
    assert_eq!((done.removed as usize, done.missing), (gone.len(), 0));
    let missing = remove(&dir, RemovalTargets::Ids(&[5, 5, CODES + 7]), false).unwrap();
    assert_eq!((missing.removed, missing.missing), (0, 2));

    let live: Vec<(u32, u64)> = all.iter().copied().filter(|&(id, _)| !is_gone(id)).collect();
    let library = CodeLibrary::open(&dir).unwrap();
    assert!(!library.segments().is_empty());
    check(&library, &live);
    assert!(library.code(5).is_none());
    assert!(matches!(library.code_of(5), Err(Error::NoSuchCode { id: 5, .. })));
    let groups = library.duplicates(2, THREADS, &AtomicBool::new(false), &|_| {}).unwrap();
    let grouped: BTreeSet<u32> =
        groups.iter().flat_map(|group| group.members.iter().map(|&(id, _)| id)).collect();
    assert!(!grouped.is_empty() && grouped.iter().all(|&id| !is_gone(id)));
    measure(&library, &[CodeMode::Radius(3)], 7, &AtomicBool::new(false), &mut |measured| {
        assert_eq!(measured.recall, 1.0);
    })
    .unwrap();

    let options = Compacting { layout: Some(Layout::Fast), threads: THREADS };
    let cancelled = compact(&dir, &options, &AtomicBool::new(true), &mut |_| {});
    assert!(matches!(cancelled, Err(Error::Cancelled)));
    check(&CodeLibrary::open(&dir).unwrap(), &live);
    let done = compact(&dir, &options, &AtomicBool::new(false), &mut |_| {}).unwrap();
    assert_eq!((done.before.removed as usize, done.after.removed), (gone.len(), 0));
    assert!(done.after.code_bytes < done.before.code_bytes);
    let dense: Vec<(u32, u64)> = (0u32..).zip(live.iter().map(|&(_, code)| code)).collect();
    let compacted = CodeLibrary::open(&dir).unwrap();
    assert_eq!(compacted.segments(), std::slice::from_ref(&(0..u32::try_from(dense.len()).unwrap())));
    check(&compacted, &dense);
    for (id, &(old, _)) in (0u32..).zip(&live).take(5000) {
        assert_eq!(compacted.label(id).unwrap(), label(old), "label of {id}");
    }
    // The library of before still answers by what it had.
    check(&library, &live);
    let report = verify(&dir, OpenOptions::default(), &AtomicBool::new(false), &mut |_, _| {}).unwrap();
    assert!(report.is_sound(), "{report:?}");

    // The layout of the segments is kept where none is asked for.
    remove(&dir, RemovalTargets::Ids(&[0]), false).unwrap();
    let size = |info: &phash_library::Info| info.segment_bytes;
    let again = Compacting { layout: None, threads: THREADS };
    let done = compact(&dir, &again, &AtomicBool::new(false), &mut |_| {}).unwrap();
    assert!(size(&done.after).abs_diff(size(&done.before)) < size(&done.before) / 10);
}

#[test]
fn raw_codes_are_removed_by_label_and_the_label_can_be_imported_again() {
    let temporary = tempfile::tempdir().unwrap();
    let dir = temporary.path().join("db");
    let mut writer = Writer::open_or_create(&dir, &Schema::codes(1)).unwrap();
    for id in 0..20 {
        writer.put_code(&code(id).to_le_bytes(), label(id).as_deref()).unwrap();
    }
    writer.commit().unwrap();
    drop(writer);
    let labels = ["l/11", "nobody", "l/3", "l/11"].map(str::to_owned);
    let done = remove(&dir, RemovalTargets::Labels(&labels), false).unwrap();
    let removal = |kind, id, label: &str| Removal { kind, id, label: Some(label.to_owned()) };
    let expected = [
        removal(RemovalKind::Removed, Some(11), "l/11"),
        removal(RemovalKind::Removed, Some(12), "l/11"),
        removal(RemovalKind::Missing, None, "nobody"),
        removal(RemovalKind::Removed, Some(3), "l/3"),
    ];
    assert_eq!(done.removals, expected);
    let reader = Reader::open(&dir, OpenOptions::default()).unwrap();
    assert_eq!((reader.live_count(), reader.info().unwrap().labels), (17, 15));

    let file = temporary.path().join("again.hex");
    let import = |line: &str| {
        std::fs::write(&file, line).unwrap();
        let input = phash_library::CodeInput::open(&file, None).unwrap();
        let options = ImportOptions::new(Width::Bits64);
        import_codes(&dir, vec![input], &options, &AtomicBool::new(false), &|_| {}, &mut |_| {})
    };
    assert_eq!(import("00000000000000aa l/11\n").unwrap().first_id, 20);
    assert!(matches!(import("00000000000000ab l/11\n"), Err(Error::LabelTwice { .. })));
}
