//! Owns the recognition of files that are not ours, by their first bytes, so that the user reads what a file is and not
//! where a parser tripped. Asked only about files that were refused already: it can never refuse a sound one.

use std::path::Path;

use crate::Error;

/// Offset of the magic, the magic, what it stands for.
const MAGICS: [(usize, &[u8], &str); 15] = [
    (0, b"PK\x03\x04", "a ZIP archive (PyTorch .pt, .pth or .bin, Keras, or NumPy .npz)"),
    (0, b"PK\x05\x06", "an empty ZIP archive"),
    (0, b"GGUF", "a GGUF file (llama.cpp)"),
    (0, b"FUGG", "a big-endian GGUF file (llama.cpp)"),
    (0, b"tjgg", "a GGJT file (old llama.cpp)"),
    (0, b"lmgg", "a GGML file (old llama.cpp)"),
    (0, b"\x89HDF\r\n\x1a\n", "an HDF5 file (Keras .h5)"),
    (0, b"\x93NUMPY", "a NumPy .npy array"),
    (4, b"TFL3", "a TensorFlow Lite model"),
    (0, b"\x1f\x8b", "a gzip archive"),
    (0, b"7z\xbc\xaf\x27\x1c", "a 7z archive"),
    (0, b"\x28\xb5\x2f\xfd", "a Zstandard archive"),
    (0, b"BZh", "a bzip2 archive"),
    (0, b"\xfd7zXZ\0", "an xz archive"),
    (257, b"ustar", "a tar archive"),
];

const CONVERT: &str = "convert it to safetensors";
const UNPACK: &str = "unpack it first";
const FETCH: &str = "the download went wrong: fetch it again";

/// The error that says what a file with these first bytes is, if we know it.
pub(crate) fn recognise(path: &Path, head: &[u8]) -> Option<Error> {
    if head.starts_with(b"version https://git-lfs.github.com/spec/") {
        return Some(Error::GitLfsPointer { path: path.to_path_buf() });
    }
    let (looks_like, remedy) = kind(path, head)?;
    Some(Error::ForeignFormat { path: path.to_path_buf(), looks_like, remedy })
}

fn kind(path: &Path, head: &[u8]) -> Option<(&'static str, &'static str)> {
    let is =
        |(at, magic, _): &&(usize, &[u8], &str)| head.get(*at..).is_some_and(|rest| rest.starts_with(magic));
    if let Some((_, _, looks_like)) = MAGICS.iter().find(is) {
        let packed = looks_like.ends_with("archive") && !looks_like.contains("ZIP");
        return Some((looks_like, if packed { UNPACK } else { CONVERT }));
    }
    let text = head.trim_ascii_start();
    let begins = |tag: &[u8]| text.get(..tag.len()).is_some_and(|start| start.eq_ignore_ascii_case(tag));
    if begins(b"<!doctype html") || begins(b"<html") {
        return Some(("an HTML page", FETCH));
    }
    if is_onnx(path, head) {
        return Some(("an ONNX model", CONVERT));
    }
    match *head {
        [0x80, 2..=5, ..] => Some(("a Python pickle (an old PyTorch checkpoint)", CONVERT)),
        // Under an index's name it is an index, and what is wrong in it says more.
        [b'{', b'"' | b'\n' | b'\r' | b' ', ..]
            if !path.as_os_str().as_encoded_bytes().ends_with(b".json") =>
        {
            Some(("JSON text", "give the shard index under a name that ends in .safetensors.index.json"))
        }
        _ => None,
    }
}

/// ONNX has no magic: a protobuf message whose first field is the small integer `ir_version`, followed by one of the
/// fields that writers put next (producer, domain, graph, opset).
fn is_onnx(path: &Path, head: &[u8]) -> bool {
    let named = path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("onnx"));
    let tagged = matches!(*head, [0x08, 1..=32, 0x12 | 0x1a | 0x22 | 0x3a | 0x42, ..]);
    named || tagged
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(name: &str, head: &[u8]) -> String {
        recognise(Path::new(name), head).map_or_else(|| "unknown".to_owned(), |error| error.to_string())
    }

    #[test]
    fn known_formats_are_named() {
        for (name, head, word) in [
            ("a.pt", &b"PK\x03\x04\x00\x00"[..], "ZIP"),
            ("a.bin", b"\x80\x02}q\x00", "pickle"),
            ("a.gguf", b"GGUF\x03\x00\x00\x00", "GGUF"),
            ("a", b"\x08\x07\x12\x07pytorch", "ONNX"),
            ("a.onnx", b"anything", "ONNX"),
            ("a.h5", b"\x89HDF\r\n\x1a\n\0", "HDF5"),
            ("a.safetensors", b"<!DOCTYPE HTML><html>", "fetch it again"),
            ("a.tflite", b"\x1c\0\0\0TFL3", "TensorFlow Lite"),
            ("a", b"{\"weight_map\":{}}", "JSON"),
            ("a.safetensors.index.json", b"{\"weight_map\":", "unknown"),
            ("a", b"\x1f\x8b\x08", "unpack"),
            ("a", b"version https://git-lfs.github.com/spec/v1\noid sha256:00\n", "git lfs pull"),
        ] {
            assert!(said(name, head).contains(word), "{name}: {}", said(name, head));
        }
    }

    #[test]
    fn a_safetensors_head_is_not_taken_for_anything() {
        assert_eq!(said("a.safetensors", b"\x40\0\0\0\0\0\0\0{\"w\":"), "unknown");
        assert_eq!(said("a", b""), "unknown");
    }
}
