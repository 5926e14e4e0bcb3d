//! Claim: everything that can be wrong with a single file has an error of its own, which names the file and the place.

mod common;

use std::fs;
use std::path::Path;

use common::{entry, file, header, refusal, vectors, write};
use phash_core::{Dtype, TensorSource};
use phash_weights::{Error, WeightsFile, limits};

#[test]
fn a_sound_file_is_read_in_data_order_with_all_its_bytes() {
    let folder = tempfile::tempdir().unwrap();
    let text = header(&[
        entry("b", "F32", &[2], 6, 14),
        entry("a", "F16", &[3], 0, 6),
        entry("d", "I8", &[0], 6, 6),
        entry("c", "I8", &[0, 7], 6, 6),
    ]);
    let path = write(folder.path(), "m.safetensors", &file(&text, 14));
    let model = WeightsFile::open(&path).unwrap();
    assert_eq!(model.format_name(), "safetensors");
    assert_eq!(model.paths(), std::slice::from_ref(&path));
    assert_eq!(model.len_bytes(), fs::metadata(&path).unwrap().len());
    let seen: Vec<_> =
        model.tensors().iter().map(|t| (t.name.as_str(), t.dtype, t.shape.clone(), t.len_bytes)).collect();
    let expected = [
        ("a", Dtype::F16, vec![3], 6),
        ("c", Dtype::Other("I8"), vec![0, 7], 0),
        ("d", Dtype::Other("I8"), vec![0], 0),
        ("b", Dtype::F32, vec![2], 8),
    ];
    assert_eq!(seen, expected);
    let mut bytes = [0; 5];
    model.read_at(3, 3, &mut bytes).unwrap();
    assert_eq!(bytes, [9, 10, 11, 12, 13]);
    model.read_at(1, 0, &mut []).unwrap();
}

#[test]
fn an_empty_model_is_valid() {
    let folder = tempfile::tempdir().unwrap();
    let path = write(folder.path(), "m.safetensors", &file("{}", 0));
    let model = WeightsFile::open(&path).unwrap();
    assert!(model.tensors().is_empty());
    assert_eq!(model.len_bytes(), 10);
}

#[test]
#[should_panic(expected = "inside the tensor")]
fn reading_beyond_a_tensor_is_a_programmers_error() {
    let folder = tempfile::tempdir().unwrap();
    let path = write(folder.path(), "m.safetensors", &vectors(&[("a", 1), ("b", 1)]));
    let _ = WeightsFile::open(&path).unwrap().read_at(0, 1, &mut [0; 4]);
}

#[test]
fn too_short_files() {
    assert!(matches!(refusal(b""), Error::Empty { .. }));
    assert!(matches!(refusal(b"\x02\0\0"), Error::Truncated { expected_bytes: 8, got_bytes: 3, .. }));
    let whole = vectors(&[("a", 2), ("b", 3)]);
    let error = refusal(&whole[..40]);
    assert!(matches!(error, Error::HeaderBeyondFile { got_bytes: 40, .. }), "{error}");
    let error = refusal(&whole[..whole.len() - 1]);
    let len = whole.len() as u64;
    assert!(
        matches!(&error, Error::OffsetsBeyondFile { tensor, expected_bytes, got_bytes, .. }
            if tensor == "b" && *expected_bytes == len && *got_bytes == len - 1),
        "{error}"
    );
    let mut longer = whole;
    longer.push(0);
    let error = refusal(&longer);
    assert!(matches!(error, Error::TrailingBytes { expected_bytes, .. } if expected_bytes == len), "{error}");
}

#[test]
fn header_lengths_that_lie() {
    for claim in [u64::MAX, limits::HEADER_BYTES + 1, 1 << 63] {
        let mut bytes = vectors(&[("a", 2)]);
        bytes[..8].copy_from_slice(&claim.to_le_bytes());
        let error = refusal(&bytes);
        assert!(matches!(error, Error::HeaderOverLimit { got_bytes, .. } if got_bytes == claim), "{error}");
    }
}

#[test]
fn headers_that_are_not_json_or_not_utf8() {
    let error = refusal(&file("{\"a\":", 0));
    assert!(matches!(error, Error::NotJson { offset_bytes: 12 | 13, .. }), "{error}");
    let mut bytes = file("{\"a\":1}", 0);
    bytes[10] = 0xff;
    assert!(matches!(refusal(&bytes), Error::NotUtf8 { offset_bytes: 10, .. }));
    let deep = format!("{{\"a\":{{\"x\":{}", "[".repeat(100_000));
    assert!(matches!(refusal(&file(&deep, 0)), Error::NotJson { .. }));
    assert!(matches!(refusal(&file("[]", 0)), Error::Malformed { .. }));
    let error = refusal(&file(r#"{"a":{"dtype":"F32","shape":[1]}}"#, 4));
    assert!(
        matches!(&error, Error::Malformed { message, .. } if message.contains("data_offsets")),
        "{error}"
    );
}

#[test]
fn a_key_twice_at_any_level() {
    let one = entry("a", "F32", &[1], 0, 4);
    let other = entry("a", "U8", &[4], 0, 4);
    let cases = [
        (format!("{{{one},{other}}}"), "the header"),
        (
            r#"{"a":{"dtype":"U8","shape":[0],"shape":[0],"data_offsets":[0,0]}}"#.to_owned(),
            "a tensor's entry",
        ),
        (
            r#"{"a":{"dtype":"U8","shape":[0],"x":1,"x":1,"data_offsets":[0,0]}}"#.to_owned(),
            "a tensor's entry",
        ),
        (r#"{"__metadata__":{"a":"1","\u0061":"2"}}"#.to_owned(), "__metadata__"),
        (r#"{"__metadata__":{},"__metadata__":{}}"#.to_owned(), "the header"),
    ];
    for (text, place) in cases {
        let data = if place == "the header" && text.contains("F32") { 4 } else { 0 };
        let error = refusal(&file(&text, data));
        assert!(matches!(&error, Error::DuplicateKey { within, .. } if *within == place), "{text}: {error}");
    }
}

#[test]
fn offsets_that_overlap_leave_holes_or_run_backwards() {
    let pair = |a: (u64, u64), b: (u64, u64)| {
        header(&[
            entry("a", "U8", &[a.1 - a.0], a.0, a.1),
            entry("b", "U8", &[b.1.wrapping_sub(b.0)], b.0, b.1),
        ])
    };
    let error = refusal(&file(&pair((0, 4), (3, 7)), 7));
    assert!(
        matches!(&error, Error::Overlap { tensor, expected_bytes: 4, got_bytes: 3, .. } if tensor == "b"),
        "{error}"
    );
    let error = refusal(&file(&pair((0, 4), (5, 7)), 7));
    assert!(
        matches!(&error, Error::Hole { tensor, expected_bytes: 4, got_bytes: 5, .. } if tensor == "b"),
        "{error}"
    );
    let error = refusal(&file(&header(&[entry("a", "U8", &[0], 4, 2)]), 4));
    assert!(matches!(error, Error::ReversedOffsets { offset_bytes: 4, end_bytes: 2, .. }), "{error}");
    let error = refusal(&file(&header(&[entry("a", "U8", &[4], 4, 8)]), 8));
    assert!(matches!(error, Error::Hole { .. }), "{error}");
}

#[test]
fn shapes_that_overflow_or_disagree() {
    let one =
        |dtype: &str, shape: &[u64], end| refusal(&file(&header(&[entry("a", dtype, shape, 0, end)]), 8));
    assert!(matches!(one("F32", &[u64::MAX, 2], 8), Error::ShapeOverflow { .. }));
    assert!(matches!(one("F64", &[1 << 58, 1], 8), Error::ShapeOverflow { .. }));
    assert!(matches!(one("F32", &[3], 8), Error::LengthMismatch { expected_bytes: 12, got_bytes: 8, .. }));
    assert!(matches!(one("F4", &[3], 2), Error::PartialByte { bits: 12, .. }));
    let error = one("F31", &[2], 8);
    assert!(matches!(&error, Error::UnknownDtype { got, .. } if got == "F31"), "{error}");
}

#[test]
fn messages_show_hostile_names_escaped_and_clipped() {
    let name = format!("\\u001b[31m{}", "x".repeat(1000));
    let text = refusal(&file(&header(&[entry(&name, "U8", &[1], 0, 2)]), 2)).to_string();
    assert!(!text.contains('\u{1b}') && text.contains("\\u{1b}[31m"), "{text}");
    assert!(text.len() < 600, "{text}");
    let text = refusal(&file(&header(&[entry("\\u001b[31m", "U8", &[1], 0, 2)]), 2)).to_string();
    assert!(!text.contains('\u{1b}') && text.contains("\\u{1b}[31m"), "{text}");
    let text = refusal(&file(&format!(r#"{{"a":"{}"}}"#, "y".repeat(100_000)), 0)).to_string();
    assert!(text.len() < 600, "{text}");
}

#[test]
fn other_formats_are_named_and_not_executed() {
    for (bytes, word) in [
        (&b"PK\x03\x04\x14\0\0\0\0\0 archive"[..], "ZIP"),
        (b"\x80\x02}q\0X\x05\0\0\0modelq\x01.", "pickle"),
        (b"GGUF\x03\0\0\0\x01\0\0\0\0\0\0\0", "GGUF"),
        (b"\x08\x07\x12\x07pytorch\x1a\x011", "ONNX"),
        (b"\x89HDF\r\n\x1a\n\0\0\0\0\0\0\0\0", "HDF5"),
        (b"{\"weight_map\":{\"a\":\"b\"}}", ".index.json"),
    ] {
        let error = refusal(bytes);
        assert!(matches!(error, Error::ForeignFormat { .. }), "{error}");
        assert!(error.to_string().contains(word), "{error}");
    }
    // The first eight bytes may pass for the length of a header: then it is the header that is no JSON.
    let mut pickle = b"\x80\x02\0\0\0\0\0\0".to_vec();
    pickle.resize(700, b'!');
    assert!(matches!(refusal(&pickle), Error::ForeignFormat { .. }));
    let error = refusal(b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a2\nsize 12345\n");
    assert!(
        matches!(error, Error::GitLfsPointer { .. }) && error.to_string().contains("git lfs pull"),
        "{error}"
    );
}

#[test]
fn what_is_no_file_says_so() {
    let folder = tempfile::tempdir().unwrap();
    assert!(matches!(WeightsFile::open(folder.path()), Err(Error::IsDirectory { .. })));
    assert!(matches!(WeightsFile::open(&folder.path().join("none")), Err(Error::NotFound { .. })));
    #[cfg(unix)]
    assert!(matches!(WeightsFile::open(Path::new("/dev/null")), Err(Error::NotRegular { .. })));
}

#[cfg(unix)]
#[test]
fn a_pipe_is_refused_without_waiting_for_a_writer() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("m.safetensors");
    let made = std::process::Command::new("mkfifo").arg(&path).status();
    if !made.is_ok_and(|status| status.success()) {
        return; // No mkfifo here.
    }
    let (sender, receiver) = std::sync::mpsc::channel();
    std::thread::spawn(move || sender.send(WeightsFile::open(&path).map(drop)).is_ok());
    let opened = receiver.recv_timeout(std::time::Duration::from_secs(60)).expect("opening does not wait");
    assert!(matches!(opened, Err(Error::NotRegular { .. })));
}

#[cfg(unix)]
#[test]
fn an_unreadable_file_says_so() {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = tempfile::tempdir().unwrap();
    let path = write(folder.path(), "m.safetensors", &vectors(&[("a", 2)]));
    fs::set_permissions(&path, fs::Permissions::from_mode(0o000)).unwrap();
    match WeightsFile::open(&path) {
        Err(Error::PermissionDenied { .. }) => {}
        // The superuser may read everything.
        Ok(_) => assert!(fs::File::open(&path).is_ok()),
        Err(error) => panic!("{error}"),
    }
}

#[test]
fn a_file_that_shrinks_or_changes_is_an_error_with_its_place() {
    let folder = tempfile::tempdir().unwrap();
    let path = write(folder.path(), "m.safetensors", &vectors(&[("a", 100), ("b", 100)]));
    let model = WeightsFile::open(&path).unwrap();
    model.check_unchanged().unwrap();
    let len = model.len_bytes();
    fs::OpenOptions::new().write(true).open(&path).unwrap().set_len(len - 10).unwrap();
    model.read_at(0, 0, &mut [0; 400]).unwrap();
    let error = model.read_at(1, 380, &mut [0; 20]).unwrap_err();
    assert!(
        matches!(error, Error::Shrunk { offset_bytes, expected_bytes: 20, .. } if offset_bytes == len - 20),
        "{error}"
    );
    let error = model.check_unchanged().unwrap_err();
    assert!(
        matches!(error, Error::Changed { expected_len_bytes, .. } if expected_len_bytes == len),
        "{error}"
    );
}

#[test]
fn an_open_file_is_read_under_the_name_it_is_given() {
    use std::io::Write as _;
    let mut spooled = tempfile::tempfile().unwrap();
    spooled.write_all(&vectors(&[("a", 3)])).unwrap();
    let model = WeightsFile::from_file(spooled, Path::new("<stdin>")).unwrap();
    let mut first = [0; 2];
    model.read_at(0, 1, &mut first).unwrap();
    assert_eq!(first, [1, 2]);
    model.check_unchanged().unwrap();
    assert_eq!(model.paths(), [Path::new("<stdin>")]);
}
