//! Reading a sample: models over a size are hashed from a part of their bytes, to the same codes and digests of their own.

#![expect(clippy::unwrap_used, reason = "all of this is test code: a panic is a failure with a place")]

use std::fs::File;
use std::io::{Seek as _, SeekFrom, Write as _};
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;

use phash_library::{HashedFile, Hashing, Input, SAMPLE_OVER_BYTES, Verdict, compare, hash_file};

/// A sparse safetensors file: of each F32 matrix, the first bytes of each row are written, the rest is a hole.
fn sparse(path: &Path, shapes: &[[u64; 2]], change_last_byte: bool) -> u64 {
    let (mut entries, mut end) = (Vec::new(), 0u64);
    for (number, [rows, columns]) in shapes.iter().enumerate() {
        let start = end;
        end += 4 * rows * columns;
        entries.push(format!(
            r#""w{number}":{{"dtype":"F32","shape":[{rows},{columns}],"data_offsets":[{start},{end}]}}"#
        ));
    }
    let header = format!("{{{}}}", entries.join(","));
    let mut file = File::create(path).unwrap();
    file.write_all(&(header.len() as u64).to_le_bytes()).unwrap();
    file.write_all(header.as_bytes()).unwrap();
    let data = 8 + header.len() as u64;
    file.set_len(data + end).unwrap();
    let (mut start, mut state) = (data, 1u64);
    for [rows, columns] in shapes {
        for row in 0..*rows {
            let mut values = Vec::new();
            for _ in 0..64 {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                let value = (state >> 40) as f32 / 16_777_216.0 - 0.5;
                values.extend_from_slice(&value.to_le_bytes());
            }
            file.seek(SeekFrom::Start(start + 4 * row * columns)).unwrap();
            file.write_all(&values).unwrap();
        }
        start += 4 * rows * columns;
    }
    if change_last_byte {
        // Of the second row but last: no sample has its 100th element.
        let [rows, columns] = shapes[0];
        file.seek(SeekFrom::Start(data + 4 * (rows / 2 * columns + 100))).unwrap();
        file.write_all(&[1]).unwrap();
    }
    end
}

fn hash(path: PathBuf, sample_over_bytes: u64) -> HashedFile {
    let cancel = AtomicBool::new(false);
    let threads = NonZeroUsize::new(2).unwrap();
    hash_file(Input::Path(path), &Hashing { threads, sample_over_bytes, cancel: &cancel, progress: &|_| {} })
        .unwrap()
}

#[test]
fn models_over_the_threshold_are_sampled_to_the_same_codes_and_are_never_taken_for_whole_ones() {
    let dir = tempfile::tempdir().unwrap();
    let (path, other) = (dir.path().join("a.safetensors"), dir.path().join("b.safetensors"));
    // 268 MB in three tensors: one of them is small and always read whole.
    let shapes = [[4_096, 12_288], [2_048, 8_192], [512, 512]];
    let bytes = sparse(&path, &shapes, false);
    sparse(&other, &shapes, true);
    let whole = hash(path.clone(), bytes);
    let sampled = hash(path.clone(), bytes - 1);
    assert!(!whole.hash.sampled && sampled.hash.sampled);
    assert!(hash(path, SAMPLE_OVER_BYTES).hash == whole.hash, "the default threshold is far above");
    assert_eq!(whole.hash.views, sampled.hash.views);
    for (a, b) in whole.hash.tensors.iter().zip(&sampled.hash.tensors) {
        assert_eq!((a.views, a.skipped), (b.views, b.skipped));
        assert!(a.views.0.iter().any(|view| view.code.is_some()));
    }
    assert_ne!(whole.hash.content_digest, sampled.hash.content_digest);
    assert_ne!(whole.file_digest, sampled.file_digest);
    assert_eq!(compare(&whole, &sampled).verdict, Verdict::SameWeights);
    assert_eq!(compare(&sampled, &sampled).verdict, Verdict::IdenticalContents);
    // A byte that no sample has: the sample does not see it, the whole does.
    let (other_whole, other_sampled) = (hash(other.clone(), u64::MAX), hash(other, 0));
    assert_eq!(other_sampled.hash, sampled.hash);
    assert_eq!(other_whole.hash.views, whole.hash.views);
    assert_ne!(other_whole.hash.content_digest, whole.hash.content_digest);
}
