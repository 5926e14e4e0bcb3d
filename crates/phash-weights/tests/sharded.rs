//! Claim: a sharded model is what its index says, wherever a Hugging Face cache puts the bytes, and nothing that the
//! index says makes us read outside the model.

mod common;

use std::fs;
use std::path::{Path, PathBuf};

use common::{vectors, write};
use phash_core::TensorSource as _;
use phash_weights::{Error, WeightsFile, stamp};

const INDEX: &str = "model.safetensors.index.json";

fn index(map: &[(&str, &str)]) -> Vec<u8> {
    let entries: Vec<String> = map.iter().map(|(tensor, shard)| format!("{tensor:?}:{shard:?}")).collect();
    format!(r#"{{"metadata":{{"total_size":1}},"weight_map":{{{}}}}}"#, entries.join(",")).into_bytes()
}

/// Two shards and an index; the second shard holds a tensor that the index places in the first one only.
fn model(folder: &Path) -> PathBuf {
    write(folder, "m-1.safetensors", &vectors(&[("a", 1), ("b", 2)]));
    write(folder, "m-2.safetensors", &vectors(&[("stale", 5), ("a", 7), ("c", 3)]));
    write(folder, "m-3.safetensors", b"a stale shard, never opened");
    write(
        folder,
        INDEX,
        &index(&[("c", "m-2.safetensors"), ("a", "m-1.safetensors"), ("b", "m-1.safetensors")]),
    )
}

#[test]
fn the_index_decides_which_tensors_there_are() {
    let folder = tempfile::tempdir().unwrap();
    let path = model(folder.path());
    let model = WeightsFile::open(&path).unwrap();
    assert_eq!(model.format_name(), "safetensors sharded");
    let seen: Vec<_> = model.tensors().iter().map(|t| (t.name.as_str(), t.shape[0])).collect();
    assert_eq!(seen, [("a", 1), ("b", 2), ("c", 3)]);
    let shards = ["m-1.safetensors", "m-2.safetensors"].map(|name| folder.path().join(name));
    assert_eq!(model.paths(), [path.clone(), shards[0].clone(), shards[1].clone()]);
    let mut bytes = [0; 2];
    model.read_at(2, 1, &mut bytes).unwrap();
    // 5 + 7 floats lie before it.
    assert_eq!(bytes, [49, 50]);
    model.read_at(1, 0, &mut bytes).unwrap();
    assert_eq!(bytes, [4, 5]);
    model.check_unchanged().unwrap();
}

#[test]
fn the_stamp_is_the_same_with_and_without_opening_and_covers_the_shards() {
    let folder = tempfile::tempdir().unwrap();
    let path = model(folder.path());
    let before = stamp(&path).unwrap();
    let opened = WeightsFile::open(&path).unwrap();
    assert_eq!(opened.stamp(), before);
    let len: u64 = opened.paths().iter().map(|path| fs::metadata(path).unwrap().len()).sum();
    assert_eq!(opened.len_bytes(), len);
    let future = std::time::SystemTime::now() + std::time::Duration::from_secs(10);
    let shard = fs::OpenOptions::new().append(true).open(folder.path().join("m-2.safetensors")).unwrap();
    shard.set_modified(future).unwrap();
    assert!(stamp(&path).unwrap().mtime_ns > before.mtime_ns);
    assert!(matches!(opened.check_unchanged(), Err(Error::Changed { .. })));
    let error = opened.read_at(2, 0, &mut [0; 4]).unwrap_err();
    assert_eq!(error.path(), folder.path().join("m-2.safetensors"));
    assert!(matches!(error, Error::Changed { .. }), "{error}");
    assert_eq!(stamp(&opened.paths()[1]).unwrap().len_bytes, fs::metadata(&opened.paths()[1]).unwrap().len());
}

#[test]
fn hundreds_of_shards_need_a_handful_of_descriptors_and_read_from_threads() {
    let folder = tempfile::tempdir().unwrap();
    let names: Vec<(String, String)> =
        (0..300).map(|i| (format!("t{i:03}"), format!("m-{i:03}.safetensors"))).collect();
    for (number, (tensor, shard)) in names.iter().enumerate() {
        write(folder.path(), shard, &vectors(&[(tensor, number as u64 + 1)]));
    }
    let map: Vec<_> = names.iter().map(|(tensor, shard)| (tensor.as_str(), shard.as_str())).collect();
    let path = write(folder.path(), INDEX, &index(&map));
    let model = WeightsFile::open(&path).unwrap();
    let open_files = || fs::read_dir("/proc/self/fd").map_or(0, Iterator::count);
    std::thread::scope(|scope| {
        for thread in 0..4usize {
            let model = &model;
            scope.spawn(move || {
                for tensor in (0..300).rev().skip(thread) {
                    let mut bytes = vec![0; (tensor + 1) * 4];
                    model.read_at(tensor, 0, &mut bytes).unwrap();
                    assert!(bytes.iter().enumerate().all(|(i, byte)| usize::from(*byte) == i % 251));
                }
            });
        }
    });
    assert!(open_files() < 60, "{} descriptors are open", open_files());
}

#[test]
fn missing_shards_and_tensors_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let path = model(folder.path());
    fs::remove_file(folder.path().join("m-2.safetensors")).unwrap();
    for error in [WeightsFile::open(&path).unwrap_err(), stamp(&path).unwrap_err()] {
        assert!(matches!(&error, Error::ShardMissing { shard, .. } if shard == "m-2.safetensors"), "{error}");
        assert_eq!(error.path(), path);
    }
    write(folder.path(), "m-2.safetensors", &vectors(&[("d", 3)]));
    let error = WeightsFile::open(&path).unwrap_err();
    assert!(
        matches!(&error, Error::TensorMissing { tensor, shard, .. } if tensor == "c" && shard == "m-2.safetensors"),
        "{error}"
    );
    write(folder.path(), "m-2.safetensors", b"PK\x03\x04 not safetensors");
    let error = WeightsFile::open(&path).unwrap_err();
    assert!(matches!(error, Error::ForeignFormat { .. }), "{error}");
    assert_eq!(error.path(), folder.path().join("m-2.safetensors"));
}

#[test]
fn a_tensor_placed_in_two_shards_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    model(folder.path());
    let twice = index(&[("a", "m-1.safetensors"), ("a", "m-2.safetensors")]);
    let path = write(folder.path(), INDEX, &twice);
    let error = WeightsFile::open(&path).unwrap_err();
    assert!(matches!(&error, Error::DuplicateKey { key, .. } if key == "a"), "{error}");
}

#[test]
fn names_that_lead_out_of_the_folder_are_refused_though_the_file_is_there() {
    let folder = tempfile::tempdir().unwrap();
    let inner = folder.path().join("inner");
    let outside = write(folder.path(), "secret.safetensors", &vectors(&[("a", 1)]));
    for name in
        ["../secret.safetensors", outside.to_str().unwrap(), "x/../../secret.safetensors", "..\\secret"]
    {
        let path = write(&inner, INDEX, &index(&[("a", name)]));
        let error = WeightsFile::open(&path).unwrap_err();
        assert!(matches!(&error, Error::ShardName { shard, .. } if shard == name), "{error}");
    }
}

#[test]
fn a_shard_that_is_a_directory_says_so() {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("d")).unwrap();
    let path = write(folder.path(), INDEX, &index(&[("a", "d")]));
    assert!(matches!(WeightsFile::open(&path), Err(Error::IsDirectory { .. })));
}

#[test]
fn an_index_is_recognised_for_what_it_is_when_damaged() {
    let folder = tempfile::tempdir().unwrap();
    let path = write(folder.path(), INDEX, b"version https://git-lfs.github.com/spec/v1\noid sha256:00\n");
    assert!(matches!(WeightsFile::open(&path), Err(Error::GitLfsPointer { .. })));
    let path = write(folder.path(), INDEX, b"");
    assert!(matches!(WeightsFile::open(&path), Err(Error::Empty { .. })));
    let path = write(folder.path(), INDEX, b"{}");
    assert!(matches!(WeightsFile::open(&path), Err(Error::Malformed { .. })));
}

#[cfg(unix)]
mod links {
    use super::*;
    use common::{entry, file, header};
    use phash_weights::limits;
    use std::os::unix::fs::symlink;

    /// A cache as the hub client lays it out: snapshots of links into blobs.
    #[expect(clippy::unwrap_used, reason = "a panic in a test is a failure with a place")]
    fn cache(root: &Path) -> PathBuf {
        let model = root.join("models--org--name");
        write(&model, "blobs/aaa", &vectors(&[("a", 1), ("b", 2)]));
        write(&model, "blobs/bbb", &vectors(&[("c", 3)]));
        write(&model, "blobs/iii", &index(&[("c", "m-2.safetensors"), ("a", "m-1.safetensors")]));
        let snapshot = model.join("snapshots/0123abcd/part");
        fs::create_dir_all(&snapshot).unwrap();
        for (name, blob) in [("m-1.safetensors", "aaa"), ("m-2.safetensors", "bbb"), (INDEX, "iii")] {
            symlink(format!("../../../blobs/{blob}"), snapshot.join(name)).unwrap();
        }
        snapshot.join(INDEX)
    }

    #[test]
    fn links_into_the_blobs_of_the_same_cache_are_followed() {
        let folder = tempfile::tempdir().unwrap();
        let path = cache(folder.path());
        let model = WeightsFile::open(&path).unwrap();
        assert_eq!(model.tensors().len(), 2);
        model.read_at(1, 0, &mut [0; 12]).unwrap();
        assert_eq!(model.paths()[1], path.parent().unwrap().join("m-1.safetensors"));
        assert_eq!(stamp(&path).unwrap(), model.stamp());
    }

    #[test]
    fn links_to_anywhere_else_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = cache(folder.path());
        let shard = path.with_file_name("m-2.safetensors");
        let elsewhere = write(folder.path(), "models--org--other/blobs/ccc", &vectors(&[("c", 3)]));
        fs::remove_file(&shard).unwrap();
        symlink(&elsewhere, &shard).unwrap();
        let error = WeightsFile::open(&path).unwrap_err();
        let real = fs::canonicalize(&elsewhere).unwrap();
        assert!(matches!(&error, Error::ShardEscapes { target, .. } if *target == real), "{error}");
        assert!(matches!(stamp(&path), Err(Error::ShardEscapes { .. })));
        fs::remove_file(&shard).unwrap();
        symlink("nowhere", &shard).unwrap();
        assert!(matches!(WeightsFile::open(&path), Err(Error::ShardMissing { .. })));
    }

    #[test]
    fn outside_a_cache_links_stay_in_the_folder() {
        let folder = tempfile::tempdir().unwrap();
        let inner = folder.path().join("inner");
        let path = write(&inner, INDEX, &index(&[("a", "s.safetensors")]));
        write(&inner, "real/t.safetensors", &vectors(&[("a", 1)]));
        symlink("real/t.safetensors", inner.join("s.safetensors")).unwrap();
        assert_eq!(WeightsFile::open(&path).unwrap().tensors().len(), 1);
        write(folder.path(), "t.safetensors", &vectors(&[("a", 1)]));
        fs::remove_file(inner.join("s.safetensors")).unwrap();
        symlink("../t.safetensors", inner.join("s.safetensors")).unwrap();
        assert!(matches!(WeightsFile::open(&path), Err(Error::ShardEscapes { .. })));
        fs::remove_file(inner.join("s.safetensors")).unwrap();
        symlink(folder.path(), inner.join("up")).unwrap();
        let path = write(&inner, INDEX, &index(&[("a", "up/t.safetensors")]));
        assert!(matches!(WeightsFile::open(&path), Err(Error::ShardEscapes { .. })));
    }

    #[test]
    fn one_long_header_behind_many_names_is_not_parsed_many_times() {
        let folder = tempfile::tempdir().unwrap();
        let tensors: Vec<String> = (0..6).map(|i| format!("t{i}")).collect();
        let entries: Vec<String> = tensors.iter().map(|name| entry(name, "U8", &[0], 0, 0)).collect();
        let padding = " ".repeat(usize::try_from(limits::HEADER_BYTES).unwrap() - 1000);
        write(folder.path(), "real", &file(&(header(&entries) + &padding), 0));
        let open = |shards: usize| {
            let map: Vec<_> =
                tensors.iter().take(shards).map(|name| (name.as_str(), name.as_str())).collect();
            WeightsFile::open(&write(folder.path(), INDEX, &index(&map)))
        };
        for name in &tensors {
            symlink("real", folder.path().join(name)).unwrap();
        }
        assert_eq!(open(4).unwrap().tensors().len(), 4);
        let error = open(5).unwrap_err();
        assert!(matches!(error, Error::TooMany { what: "bytes of shard headers", .. }), "{error}");
    }

    #[test]
    fn a_shard_that_is_a_device_is_not_opened() {
        let folder = tempfile::tempdir().unwrap();
        let path = write(folder.path(), INDEX, &index(&[("a", "s.safetensors")]));
        symlink("/dev/zero", folder.path().join("s.safetensors")).unwrap();
        assert!(matches!(WeightsFile::open(&path), Err(Error::ShardEscapes { .. })));
    }
}
