//! Claim: a merge that was interrupted keeps what it committed, and doing it again gives what an undisturbed one gives.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use phash_library::{
    CodeFormat, CodeInput, CodeLibrary, ImportOptions, OpenOptions, TransferEvent, Width, import_codes, merge,
};

/// A database of raw codes: labelled ones, unlabelled ones, and some of these several times.
fn database(dir: &Path, seed: u64) {
    let mut text = String::new();
    for number in 0..500 {
        let code = (number / 3 + seed * 100).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let label = if number % 2 == 0 { format!(" {seed}/{number}") } else { String::new() };
        let _ = writeln!(text, "{code:016x}{label}");
    }
    let input = CodeInput::stream("codes", Box::new(std::io::Cursor::new(text)), CodeFormat::Hex);
    let cancel = AtomicBool::new(false);
    import_codes(dir, vec![input], &ImportOptions::new(Width::Bits64), &cancel, &|_| {}, &mut |_| {})
        .unwrap();
}

fn contents(dir: &Path) -> Vec<(String, Option<String>)> {
    let library = CodeLibrary::open(dir).unwrap();
    (0..library.id_end())
        .map(|id| (library.code_of(id).unwrap().to_string(), library.label(id).unwrap()))
        .collect()
}

#[test]
fn an_interrupted_merge_keeps_what_was_committed_and_is_completed_by_another_one() {
    let temporary = tempfile::tempdir().unwrap();
    let dir = |name: &str| temporary.path().join(name);
    let databases: Vec<PathBuf> = ["a", "b", "c"].into_iter().map(dir).collect();
    for (seed, dir) in (0..).zip(&databases) {
        database(dir, seed);
    }
    let (cancel, reading) = (AtomicBool::new(false), OpenOptions::default());
    let whole = merge(&dir("whole"), &databases, reading, &cancel, &mut |_| {}).unwrap();
    assert!(!whole.cancelled && whole.databases[0].added == 500);
    // The three have codes in common.
    assert!(whole.databases[1].duplicates > 0 && whole.databases[2].duplicates > 0);

    for interrupted_after in 1..=2 {
        let out = dir(&format!("interrupted-{interrupted_after}"));
        let (cancel, mut commits) = (AtomicBool::new(false), 0);
        let first = merge(&out, &databases, reading, &cancel, &mut |event| {
            if let TransferEvent::Committed { .. } = event {
                commits += 1;
                cancel.store(commits >= interrupted_after, Ordering::Relaxed);
            }
        })
        .unwrap();
        assert!(first.cancelled);
        let kept = contents(&out);
        assert!(kept.len() >= 500 && kept.len() < contents(&dir("whole")).len());
        assert_eq!(kept, contents(&dir("whole"))[..kept.len()]);
        cancel.store(false, Ordering::Relaxed);
        merge(&out, &databases, reading, &cancel, &mut |_| {}).unwrap();
        assert_eq!(contents(&out), contents(&dir("whole")));
    }
}
