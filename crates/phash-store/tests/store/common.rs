//! Databases for tests: made-up models whose codes follow from their number, so that any of them can be checked alone.

use std::path::Path;

use phash_code::Codes;
use phash_store::{
    Contents, NewModel, NewSource, NewTensor, OpenOptions, Outcome, Reader, Result, Schema, Stamp, ViewCode,
    ViewSpec, Writer,
};
use tempfile::TempDir;

pub(crate) const MMAP: OpenOptions = OpenOptions { mmap: true };
pub(crate) const NO_MMAP: OpenOptions = OpenOptions { mmap: false };

/// A directory of its own, in memory where the system offers that: these tests sync a lot.
pub(crate) fn temp_dir() -> TempDir {
    let memory = Path::new("/dev/shm");
    if memory.is_dir() { tempfile::tempdir_in(memory).unwrap() } else { tempfile::tempdir().unwrap() }
}

/// Two views of different widths.
pub(crate) fn schema() -> Schema {
    let view = |name: &str, words| ViewSpec { name: name.to_owned(), words };
    Schema {
        contents: Contents::Models,
        parameters: [7; 32],
        views: vec![view("energy", 4), view("blocks", 1)],
    }
}

/// Time stands still at 2023-11-14.
pub(crate) fn clock() -> i64 {
    1_700_000_000_000
}

/// 32 bytes that follow from two numbers.
pub(crate) fn bytes32(kind: u64, number: u64) -> [u8; 32] {
    let mut out = [0; 32];
    for (word, chunk) in (0u64..).zip(out.chunks_exact_mut(8)) {
        let mut z = (number << 8 | kind << 2 | word).wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        chunk.copy_from_slice(&(z ^ (z >> 31)).to_le_bytes());
    }
    out
}

/// The code of contents `content` in view `energy`.
pub(crate) fn energy(content: u64) -> [u8; 32] {
    bytes32(1, content)
}

/// The code of contents `content` in view `blocks`; each fifth has none.
pub(crate) fn blocks(content: u64) -> Option<[u8; 8]> {
    let mut code = [0; 8];
    code.copy_from_slice(&bytes32(2, content)[..8]);
    (!content.is_multiple_of(5)).then_some(code)
}

pub(crate) fn content_digest(content: u64) -> [u8; 32] {
    bytes32(3, content)
}

/// The file digest of contents `content` saved for the `save`-th time.
pub(crate) fn file_digest(content: u64, save: u64) -> [u8; 32] {
    bytes32(4, content * 1000 + save)
}

pub(crate) fn stamp(content: u64) -> Stamp {
    Stamp { len_bytes: 1000 + content, mtime_ns: 1_600_000_000_000_000_000 }
}

pub(crate) fn source(label: &str, content: u64, save: u64) -> NewSource<'_> {
    NewSource { label, path: label, stamp: stamp(content), file_digest: file_digest(content, save) }
}

/// Puts contents `content` under a label, with `content % 3` tensors.
pub(crate) fn put(writer: &mut Writer, label: &str, content: u64, save: u64) -> Result<Outcome> {
    let (code, second) = (energy(content), blocks(content));
    let views = [
        ViewCode { bytes: Some(&code), features: 100 },
        ViewCode { bytes: second.as_ref().map(|code| &code[..]), features: u32::from(second.is_some()) },
    ];
    let tensor_codes: Vec<[u8; 32]> = (0..content % 3).map(|t| bytes32(5, content * 3 + t)).collect();
    let tensor_views: Vec<[ViewCode<'_>; 2]> = tensor_codes
        .iter()
        .map(|code| [ViewCode { bytes: Some(code), features: 5 }, ViewCode { bytes: None, features: 0 }])
        .collect();
    let names: Vec<String> = (0..tensor_views.len()).map(|t| format!("layer.{t}.weight")).collect();
    let shape = [3, 4, content];
    let tensors: Vec<NewTensor<'_>> = tensor_views
        .iter()
        .zip(&names)
        .map(|(views, name)| NewTensor { name, dtype: "F32", shape: &shape, views })
        .collect();
    writer.put(&NewModel {
        source: source(label, content, save),
        format: "safetensors",
        content_digest: content_digest(content),
        views: &views,
        weak: content.is_multiple_of(7),
        tensors_used: 2,
        tensors_skipped: &[("too-small", 3), ("integer", 1)],
        tensors: &tensors,
    })
}

/// Puts contents `range`, each under a label of its own.
pub(crate) fn put_range(writer: &mut Writer, range: std::ops::Range<u64>) -> Result<()> {
    for content in range {
        put(writer, &format!("m/{content}"), content, 0)?;
    }
    Ok(())
}

/// Checks a database that holds the contents `0..count` as `put_range` leaves it: every code, void, model and source.
pub(crate) fn check_range(reader: &Reader, count: u64) {
    check_codes(reader, count);
    let mut models = 0;
    for (model, content) in reader.models().zip(0..) {
        let model = model.unwrap();
        assert_eq!(model.content_digest, content_digest(content));
        assert_eq!(model.sources[0].label, format!("m/{content}"));
        assert_eq!(model.tensors.len() as u64, content % 3);
        models += 1;
    }
    assert_eq!(models, count);
}

/// The same without the catalog's rows.
pub(crate) fn check_codes(reader: &Reader, count: u64) {
    assert_eq!(u64::from(reader.model_count()), count);
    let first = reader.codes::<4>("energy").unwrap();
    let second = reader.codes::<1>("blocks").unwrap();
    let tensors = reader.tensor_codes::<4>("energy").unwrap();
    assert_eq!((u64::from(first.len()), u64::from(second.len())), (count, count));
    let voids = reader.voids("blocks").unwrap();
    assert!(reader.voids("energy").unwrap().is_empty());
    let mut next_tensor = 0;
    for (id, content) in (0u32..).zip(0..count) {
        assert_eq!(first.get(id).unwrap().as_bytes(), energy(content), "energy {id}");
        let expected = blocks(content);
        assert_eq!(second.get(id).unwrap().as_bytes(), expected.unwrap_or_default(), "blocks {id}");
        assert_eq!(voids.contains(id), expected.is_none(), "void {id}");
        for t in 0..content % 3 {
            assert_eq!(
                tensors.get(next_tensor).unwrap().as_bytes(),
                bytes32(5, content * 3 + t),
                "tensor of {id}"
            );
            next_tensor += 1;
        }
    }
    assert_eq!(reader.tensor_count(), next_tensor);
    assert_eq!(tensors.len(), next_tensor);
    assert_eq!(reader.tensor_voids("blocks").unwrap().len(), u64::from(next_tensor));
    assert!(first.get(first.len()).is_none() && first.run(u32::MAX).is_empty());
}

/// Everything a reader can say, as text: equal texts are equal answers.
pub(crate) fn answers(reader: &Reader) -> Result<String> {
    let Schema { parameters, views, .. } = reader.schema();
    // In the form that the fixture's digest was taken of.
    let mut text = format!("Schema {{ parameters: {parameters:?}, views: {views:?} }}");
    text += &format!(" {} {}\n", reader.generation(), reader.tensor_count());
    for model in reader.models() {
        let model = model?;
        text += &format!("{model:?}\n{:?}\n", reader.tensors(model.id)?);
        text += &format!("{:?}\n", reader.label(model.id)?);
        for source in &model.sources {
            text += &format!("{:?}\n", reader.source_by_label(&source.label)?);
            text += &format!("{:?}\n", reader.source_by_file_digest(&source.file_digest)?);
        }
        text += &format!("{:?}\n", reader.model_by_content_digest(&model.content_digest)?);
    }
    for view in &reader.schema().views {
        text += &format!("{:?} {:?}\n", reader.voids(&view.name)?, reader.tensor_voids(&view.name)?);
        for (ids, bytes) in reader.segments(&view.name)? {
            match bytes {
                Ok(bytes) => text += &format!("{ids:?} {:?}\n", bytes.as_ref()),
                Err(error) => text += &format!("{ids:?} {error}\n"),
            }
        }
        match view.words {
            1 => text += &all_codes(&reader.codes::<1>(&view.name)?, &reader.tensor_codes::<1>(&view.name)?),
            _ => text += &all_codes(&reader.codes::<4>(&view.name)?, &reader.tensor_codes::<4>(&view.name)?),
        }
    }
    Ok(text)
}

fn all_codes<const W: usize>(models: &impl Codes<W>, tensors: &impl Codes<W>) -> String {
    let list = |codes: &dyn Fn(u32) -> Option<Vec<u8>>, len| (0..len).map(codes).collect::<Vec<_>>();
    let models = list(&|id| models.get(id).map(|code| code.as_bytes().to_vec()), models.len());
    let tensors = list(&|id| tensors.get(id).map(|code| code.as_bytes().to_vec()), tensors.len());
    format!("{models:?} {tensors:?}\n")
}

/// Copies a directory with the folders in it.
pub(crate) fn copy_dir(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy_dir(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).unwrap();
        }
    }
}
