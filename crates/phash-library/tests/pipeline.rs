//! Hashing many files: results come in order for any number of threads and more files than may be open at a time, the
//! caller can stop, and the cancellation flag does.

#![expect(clippy::unwrap_used, reason = "all of this is test code: a panic is a failure with a place")]

use std::io::Cursor;
use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use phash_library::{Error, HashedFile, Hashing, Input, hash_file, hash_files};

/// A safetensors file of one F32 tensor whose values depend on `seed`.
fn file(seed: u64, rows: u64) -> Vec<u8> {
    let len = rows * 64 * 4;
    let header = format!(r#"{{"w":{{"dtype":"F32","shape":[{rows},64],"data_offsets":[0,{len}]}}}}"#);
    let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
    bytes.extend_from_slice(header.as_bytes());
    let mut state = seed;
    for _ in 0..rows * 64 {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let value = (state >> 40) as f32 / 16_777_216.0 - 0.5;
        bytes.extend_from_slice(&value.to_le_bytes());
    }
    bytes
}

fn stream(name: String, bytes: Vec<u8>) -> Input {
    Input::Stream { name, reader: Box::new(Cursor::new(bytes)) }
}

fn hash_all(threads: usize, count: u64) -> Vec<Result<HashedFile, Error>> {
    let cancel = AtomicBool::new(false);
    let threads = NonZeroUsize::new(threads).unwrap();
    let hashing = Hashing { threads, sample_over_bytes: u64::MAX, cancel: &cancel, progress: &|_| {} };
    // Sizes differ, so that later files finish before earlier ones; every tenth is broken.
    let input = |n: u64| {
        let bytes = if n % 10 == 9 { Vec::new() } else { file(n, 16 + (n * 37) % 200) };
        stream(format!("file {n}"), bytes)
    };
    let mut results = Vec::new();
    hash_files((0..count).map(input).collect(), &hashing, |result| results.push(result)).unwrap();
    results
}

#[test]
fn results_come_in_order_and_do_not_depend_on_the_number_of_threads() {
    let expected = hash_all(1, 150);
    assert_eq!(expected.len(), 150);
    for threads in [2, 5] {
        for (number, (ours, theirs)) in hash_all(threads, 150).into_iter().zip(&expected).enumerate() {
            match (ours, theirs) {
                (Ok(ours), Ok(theirs)) => {
                    assert_eq!(ours.name, format!("file {number}"));
                    assert_eq!(ours.hash, theirs.hash);
                    assert_eq!(ours.file_digest, theirs.file_digest);
                }
                (Err(ours), Err(theirs)) => {
                    assert_eq!(number % 10, 9);
                    assert_eq!(ours.to_string(), theirs.to_string());
                    assert!(ours.to_string().starts_with(&format!("file {number}: ")), "{ours}");
                }
                (ours, theirs) => panic!("file {number}: {ours:?} but {theirs:?}"),
            }
        }
    }
}

#[test]
fn progress_adds_up_to_the_bytes_of_the_tensors() {
    let (cancel, bytes) = (AtomicBool::new(false), AtomicU64::new(0));
    let progress = |len: u64| _ = bytes.fetch_add(len, Ordering::Relaxed);
    let hashing = Hashing {
        threads: NonZeroUsize::new(2).unwrap(),
        sample_over_bytes: u64::MAX,
        cancel: &cancel,
        progress: &progress,
    };
    hash_file(stream("a".to_owned(), file(1, 100)), &hashing).unwrap();
    assert_eq!(bytes.load(Ordering::Relaxed), 100 * 64 * 4);
}

#[test]
fn a_file_that_changes_while_it_is_hashed_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.safetensors");
    std::fs::write(&path, file(1, 100)).unwrap();
    let an_hour_ago = std::time::SystemTime::now() - std::time::Duration::from_secs(3600);
    std::fs::File::options().write(true).open(&path).unwrap().set_modified(an_hour_ago).unwrap();
    let cancel = AtomicBool::new(false);
    // Its bytes have been read when progress is told.
    let rewrite = |_| std::fs::write(&path, file(2, 100)).unwrap();
    let hashing = Hashing {
        threads: NonZeroUsize::MIN,
        sample_over_bytes: u64::MAX,
        cancel: &cancel,
        progress: &rewrite,
    };
    let error = hash_file(Input::Path(path.clone()), &hashing).unwrap_err().to_string();
    assert!(error.contains("a.safetensors: changed while it was read"), "{error}");
    let hashing = Hashing {
        threads: NonZeroUsize::MIN,
        sample_over_bytes: u64::MAX,
        cancel: &cancel,
        progress: &|_| {},
    };
    hash_file(Input::Path(path), &hashing).unwrap();
}

#[test]
fn cancelling_ends_the_run_early_and_says_so() {
    let cancel = AtomicBool::new(false);
    let hashing = Hashing {
        threads: NonZeroUsize::new(2).unwrap(),
        sample_over_bytes: u64::MAX,
        cancel: &cancel,
        progress: &|_| {},
    };
    let inputs = (0..500).map(|n| stream(n.to_string(), file(n, 64))).collect();
    let mut results = 0;
    let ended = hash_files(inputs, &hashing, |_| {
        results += 1;
        if results == 3 {
            cancel.store(true, Ordering::Relaxed);
        }
    });
    assert!(matches!(ended, Err(Error::Cancelled)));
    // What was finished by then may still be handed out, but no more than may wait.
    assert!((3..100).contains(&results), "{results}");
}

#[test]
fn a_caller_that_panics_does_not_leave_threads_behind() {
    let caught = std::panic::catch_unwind(|| {
        let cancel = AtomicBool::new(false);
        let hashing = Hashing {
            threads: NonZeroUsize::new(2).unwrap(),
            sample_over_bytes: u64::MAX,
            cancel: &cancel,
            progress: &|_| {},
        };
        let inputs = (0..200).map(|n| stream(n.to_string(), file(n, 64))).collect();
        let _ = hash_files(inputs, &hashing, |_| panic!("on purpose"));
    });
    // The scope joins its threads before it lets the panic out: to come here is the claim.
    assert!(caught.is_err());
}
