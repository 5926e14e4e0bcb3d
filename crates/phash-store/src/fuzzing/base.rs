//! Owns [`Base`]: a small database, all its files, and what is in it.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use crate::catalog::Catalog;
use crate::catalog::head::Head;
use crate::dir::catalog_path;
use crate::error::Result;
use crate::files::Tail;
use crate::files::layout::{self, CODES_PER_BLOCK, Geometry};
use crate::reader::{OpenOptions, Reader};
use crate::records::{NewModel, NewSource, NewTensor, Stamp, ViewCode};
use crate::schema::{Contents, Kind, Schema, ViewSpec};
use crate::writer::Writer;

/// What a database holds, without ids: of each item what it is, and its label.
pub(super) type Items = BTreeMap<String, Option<String>>;

/// A database at rest.
#[derive(Debug)]
pub(super) struct Base {
    pub(super) head: Head,
    /// The code files by number.
    pub(super) files: Vec<Vec<u8>>,
    pub(super) published: Vec<u8>,
    pub(super) catalog: Vec<u8>,
    pub(super) items: Items,
    /// Of raw codes, the labels by id, the removed ones among them.
    pub(super) labels: Vec<Option<String>>,
}

/// The databases, made in `dir`.
pub(super) fn all(dir: &Path) -> Vec<Base> {
    let make = |(name, contents, counts, compacted): (&str, Contents, &[u64], bool)| {
        let path = dir.join(name);
        fill(&path, contents, counts, compacted).expect("a database can be made");
        Base::of(&path).expect("it can be read")
    };
    let all: [(&str, Contents, &[u64], bool); 4] = [
        ("models", Contents::Models, &[2, 5, 7], false),
        ("codes", Contents::Codes, &[1500, 2048, 2100], false),
        ("codes-compacted", Contents::Codes, &[20, 30], true),
        ("models-compacted", Contents::Models, &[4, 6], true),
    ];
    all.map(make).into()
}

/// Puts items in with a commit at each count, removes two, and compacts before the last count.
fn fill(dir: &Path, contents: Contents, counts: &[u64], compacted: bool) -> Result<()> {
    let view = |name: &str, words| ViewSpec { name: name.to_owned(), words };
    let schema = match contents {
        Contents::Models => {
            Schema { contents, parameters: [7; 32], views: vec![view("wide", 4), view("narrow", 1)] }
        }
        Contents::Codes => Schema::codes(1),
    };
    let mut writer = Writer::open_or_create(dir, &schema)?.with_clock(|| 1_700_000_000_000);
    let mut next = 0;
    for (at, &count) in counts.iter().enumerate() {
        if compacted && at + 1 == counts.len() {
            writer.remove(&[1, 2].into_iter().collect())?;
            writer.commit()?;
            if let Some(compaction) = writer.compact(&mut |_, _| true)? {
                compaction.publish()?;
            }
        }
        for number in next..count {
            match contents {
                Contents::Models => put_model(&mut writer, number)?,
                Contents::Codes => {
                    writer.put_code(&bytes(number)[..8], label(number).as_deref()).map(drop)?
                }
            }
        }
        next = count;
        writer.commit()?;
    }
    writer.remove(&[0, 3].into_iter().collect())?;
    writer.commit()
}

/// 32 bytes that follow from a number; no 8 of them are all zero.
fn bytes(number: u64) -> [u8; 32] {
    let mut out = [0; 32];
    for (word, chunk) in (1u64..).zip(out.chunks_exact_mut(8)) {
        let mut z = (number << 3 | word).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        z = (z ^ (z >> 29)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        chunk.copy_from_slice(&((z ^ (z >> 32)) | 1).to_le_bytes());
    }
    out
}

/// The label of a raw code: some have none, some reach into the next piece of text.
fn label(number: u64) -> Option<String> {
    let length = usize::try_from(number % 70).unwrap_or(0);
    (number.is_multiple_of(7) || number > 2090).then(|| format!("{number}{}", "ö".repeat(length)))
}

/// Puts a model in with two tensors; each third has no code in the second view.
pub(super) fn put_model(writer: &mut Writer, number: u64) -> Result<()> {
    let code = bytes(number);
    let narrow = (!number.is_multiple_of(3)).then_some(&code[..8]);
    let views = [
        ViewCode { bytes: Some(&code), features: 9 },
        ViewCode { bytes: narrow, features: u32::from(narrow.is_some()) },
    ];
    let tensor_codes = [bytes(1000 + number), bytes(2000 + number)];
    let tensor_views = tensor_codes.each_ref().map(|code| {
        [ViewCode { bytes: Some(code), features: 5 }, ViewCode { bytes: Some(&code[8..16]), features: 1 }]
    });
    let tensors = tensor_views.each_ref().map(|views| NewTensor {
        name: "w",
        dtype: "F32",
        shape: &[2, 3],
        views: &views[..],
    });
    let label = format!("m/{number}");
    writer
        .put(&NewModel {
            source: NewSource {
                label: &label,
                path: &label,
                stamp: Stamp { len_bytes: number, mtime_ns: 1 },
                file_digest: bytes(3000 + number),
            },
            format: "safetensors",
            content_digest: bytes(4000 + number),
            views: &views,
            weak: false,
            tensors_used: 2,
            tensors_skipped: &[("integer", 1)],
            tensors: &tensors,
        })
        .map(drop)
}

impl Base {
    fn of(dir: &Path) -> Result<Self> {
        let head = Catalog::open_read(&catalog_path(dir))?.head()?;
        let read = |path: PathBuf| fs::read(path).expect("a file of the database");
        let files = (0..head.tails.len()).map(|number| read(dir.join(head.file(number).name()))).collect();
        let reader = Reader::open(dir, OpenOptions::default())?;
        let labels = match head.schema.contents {
            Contents::Models => Vec::new(),
            Contents::Codes => {
                let labels = reader.code_labels()?;
                (0..reader.code_count()).map(|id| labels.get(id)).collect::<Result<_>>()?
            }
        };
        let items = items(&reader)?;
        drop(reader);
        let (published, catalog) = (read(dir.join("published")), read(catalog_path(dir)));
        Ok(Self { head, files, published, catalog, items, labels })
    }

    pub(super) fn geometry(&self, number: usize) -> Geometry {
        Geometry::new(self.head.file(number).words)
    }

    /// The committed codes of a file without what is between them.
    pub(super) fn codes(&self, number: usize) -> Vec<u8> {
        let Tail { count, .. } = self.head.tails[number];
        let geometry = self.geometry(number);
        let mut codes = Vec::with_capacity(count as usize * geometry.code_bytes);
        for block in 0..layout::blocks(count) {
            let at = usize::try_from(geometry.code_at(block * CODES_PER_BLOCK)).unwrap_or(usize::MAX);
            let len = layout::codes_in_block(count, block) as usize * geometry.code_bytes;
            codes.extend_from_slice(&self.files[number][at..at + len]);
        }
        codes
    }
}

/// All that a reader can say of what is not removed.
pub(super) fn items(reader: &Reader) -> Result<Items> {
    let mut items = Items::new();
    if reader.contents() == Contents::Codes {
        let (codes, labels) = (reader.checked_codes("raw", Kind::Raw)?, reader.code_labels()?);
        let removed = reader.removed()?;
        for id in (0..reader.code_count()).filter(|id| !removed.contains(*id)) {
            items.insert(format!("{:?}", codes.get(id)?), labels.get(id)?);
        }
        return Ok(items);
    }
    let views: Vec<String> = reader.schema().views.iter().map(|view| view.name.clone()).collect();
    let of_kind =
        |kind| views.iter().map(|view| reader.checked_codes(view, kind)).collect::<Result<Vec<_>>>();
    let (models, tensors) = (of_kind(Kind::Model)?, of_kind(Kind::Tensor)?);
    for model in reader.models() {
        let model = model?;
        let mut what = format!("{:?} {:?} {:?}", model.content_digest, model.features, model.tensors_skipped);
        for codes in &models {
            what += &format!(" {:?}", codes.get(model.id)?);
        }
        for tensor in reader.tensors(model.id)? {
            what += &format!(" {} {:?} {:?}", tensor.name, tensor.shape, tensor.features);
            for codes in &tensors {
                what += &format!(" {:?}", codes.get(tensor.id)?);
            }
        }
        let labels: Vec<&str> = model.sources.iter().map(|source| source.label.as_str()).collect();
        items.insert(what, Some(labels.join(" ")));
    }
    Ok(items)
}
