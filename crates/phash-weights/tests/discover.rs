//! Claim: the walk finds each model once, in one order, whatever the directory looks like.
#![expect(clippy::unwrap_used, reason = "a panic in a test is a failure with a place")]

mod common;

use std::fs;
use std::path::Path;

use common::{vectors, write};
use phash_weights::discover::{Kind, discover};
use phash_weights::{Error, WeightsFile};

fn found(root: &Path) -> Vec<String> {
    discover(root)
        .map(|item| {
            let item = item.unwrap();
            let path = item.path.strip_prefix(root).unwrap().to_str().unwrap().replace('\\', "/");
            if item.kind == Kind::Index { format!("{path} (index)") } else { path }
        })
        .collect()
}

#[test]
fn models_are_found_by_name_in_the_same_order_every_time() {
    let folder = tempfile::tempdir().unwrap();
    for name in ["b.safetensors", "a/z.safetensors", "a/b/c.safetensors", "c/x.safetensors", "B.safetensors"]
    {
        write(folder.path(), name, b"");
    }
    for name in [
        "a.bin",
        "notes.txt",
        "a/x.safetensors.incomplete",
        ".locks/m.safetensors",
        ".no_exist/m.safetensors",
        "x.incomplete/m.safetensors",
        "safetensors",
        "m.safetensors.bak",
    ] {
        write(folder.path(), name, b"");
    }
    fs::create_dir(folder.path().join("d.safetensors")).unwrap();
    write(folder.path(), "d.safetensors/inner.safetensors", b"");
    let expected = [
        "B.safetensors",
        "b.safetensors",
        "a/z.safetensors",
        "a/b/c.safetensors",
        "c/x.safetensors",
        "d.safetensors/inner.safetensors",
    ];
    assert_eq!(found(folder.path()), expected);
}

#[test]
fn shards_are_not_models_of_their_own_and_stale_ones_are_left_out() {
    let folder = tempfile::tempdir().unwrap();
    let index = br#"{"weight_map":{"a":"model-00001-of-00002.safetensors","b":"odd.safetensors","c":"below/s.safetensors"}}"#;
    write(folder.path(), "model.safetensors.index.json", index);
    for name in [
        "model-00001-of-00002.safetensors",
        "model-00007-of-00009.safetensors",
        "odd.safetensors",
        "below/s.safetensors",
        "below/own.safetensors",
        "other-00001-of-00002.safetensors",
        "model.safetensors",
    ] {
        write(folder.path(), name, &vectors(&[("a", 1)]));
    }
    // Of a damaged index the numbered shards are left out: opening the index tells what is wrong.
    write(folder.path(), "bad/m.safetensors.index.fp16.json", b"{");
    write(folder.path(), "bad/m-00001-of-00002.fp16.safetensors", b"");
    write(folder.path(), "bad/m-00001-of-00002.safetensors", b"");
    let expected = [
        "model.safetensors",
        "model.safetensors.index.json (index)",
        "other-00001-of-00002.safetensors",
        "bad/m-00001-of-00002.safetensors",
        "bad/m.safetensors.index.fp16.json (index)",
        "below/own.safetensors",
    ];
    assert_eq!(found(folder.path()), expected);
}

#[test]
fn endings_are_known_in_letters_of_either_case() {
    let folder = tempfile::tempdir().unwrap();
    let index = br#"{"weight_map":{"a":"M-00001-of-00001.SAFETENSORS"}}"#;
    write(folder.path(), "M.SAFETENSORS.INDEX.JSON", index);
    write(folder.path(), "M-00001-of-00001.SAFETENSORS", &vectors(&[("a", 1)]));
    write(folder.path(), "m-00001-of-00001.safetensors", b"");
    write(folder.path(), "Own.SafeTensors", b"");
    write(folder.path(), "\u{e9}SAFETENSORS", b"");
    let expected = ["M.SAFETENSORS.INDEX.JSON (index)", "Own.SafeTensors", "m-00001-of-00001.safetensors"];
    assert_eq!(found(folder.path()), expected);
    // The index is opened as one.
    assert!(WeightsFile::open(&folder.path().join("M.SAFETENSORS.INDEX.JSON")).is_ok());
}

#[test]
fn a_file_given_as_root_is_found_whatever_its_name() {
    let folder = tempfile::tempdir().unwrap();
    for (name, kind) in [("weights", Kind::File), ("m.safetensors.index.json", Kind::Index)] {
        let path = write(folder.path(), name, b"");
        let items: Vec<_> = discover(&path).map(Result::unwrap).collect();
        assert_eq!(items.len(), 1);
        assert_eq!((&items[0].path, items[0].kind), (&path, kind));
    }
    let mut walk = discover(&folder.path().join("none"));
    assert!(matches!(walk.next(), Some(Err(Error::NotFound { .. }))));
    assert!(walk.next().is_none());
}

#[cfg(unix)]
#[test]
fn links_to_files_are_followed_and_links_to_folders_are_not() {
    use std::os::unix::fs::symlink;
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), "blobs/aaa", &vectors(&[("a", 1)]));
    fs::create_dir_all(folder.path().join("snapshots/1")).unwrap();
    symlink("../../blobs/aaa", folder.path().join("snapshots/1/model.safetensors")).unwrap();
    symlink("..", folder.path().join("snapshots/loop")).unwrap();
    symlink("../snapshots", folder.path().join("snapshots/loop.safetensors")).unwrap();
    assert_eq!(found(folder.path()), ["snapshots/1/model.safetensors"]);
    // A root that is a link to a folder is entered: the user named it.
    let root = folder.path().join("root");
    symlink("snapshots", &root).unwrap();
    assert_eq!(found(&root), ["1/model.safetensors"]);
    // A dangling link named like a model is an error, and the walk goes on.
    symlink("nowhere", folder.path().join("blobs/a.safetensors")).unwrap();
    let items: Vec<_> = discover(folder.path()).collect();
    assert!(matches!(items[0], Err(Error::BrokenLink { .. })));
    assert!(items.last().unwrap().is_ok());
}

#[cfg(unix)]
#[test]
fn an_unreadable_folder_is_an_error_and_the_walk_goes_on() {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), "a/m.safetensors", b"");
    write(folder.path(), "b/m.safetensors", b"");
    let locked = folder.path().join("a");
    fs::set_permissions(&locked, fs::Permissions::from_mode(0o000)).unwrap();
    let items: Vec<_> = discover(folder.path()).collect();
    let superuser = fs::read_dir(&locked).is_ok();
    fs::set_permissions(&locked, fs::Permissions::from_mode(0o755)).unwrap();
    assert_eq!(items.len(), 2);
    assert!(items[1].is_ok());
    match &items[0] {
        Err(Error::PermissionDenied { path, .. }) => assert_eq!(*path, locked),
        // The superuser may read everything.
        other => assert!(superuser, "{other:?}"),
    }
}
