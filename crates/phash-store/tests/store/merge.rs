//! The union of two databases as a workload: what one has is read batch by batch and put into the other, which has part of it
//! already; a commit for each batch, index segments over what is new, and none of it is lost or half there.

use std::path::Path;

use phash_code::Codes;
use phash_store::{NewModel, NewSource, NewTensor, Outcome, Reader, Result, Schema, Store, ViewCode, Writer};

use crate::codes;
use crate::common::*;
use crate::fault_vfs::FaultVfs;
use crate::medium::Image;
use crate::workloads::{Commit, Workload, larger};

/// Puts the second database of a root, `other`, into the first. The state is the number of models, or raw codes.
pub(crate) struct Merge {
    pub(crate) raw: bool,
}

/// A label of the other database for a model that both have.
const TWIN: &str = "twin of m/4";

impl Merge {
    fn schema(&self) -> Schema {
        if self.raw { codes::raw() } else { schema() }
    }

    fn view(&self) -> &'static str {
        if self.raw { "raw" } else { "energy" }
    }

    /// What the first has, then the ends of the batches; the other has what comes from `overlap` on.
    fn steps(&self) -> [u64; 3] {
        if self.raw { [1100, 1125, 1150] } else { [5, 7, 9] }.map(larger)
    }

    fn other(vfs: &FaultVfs, db: &Path) -> Result<Reader> {
        Reader::open_on(vfs.shared(), &db.with_file_name("other"), NO_MMAP)
    }

    fn reader(vfs: &FaultVfs, db: &Path) -> Reader {
        Reader::open_on(vfs.shared(), db, NO_MMAP).unwrap_or_else(|error| panic!("a reader: {error}"))
    }

    /// Makes a database of `0..count`, or the other one.
    fn make(&self, vfs: &FaultVfs, dir: &Path, other: bool) {
        Store::create_on(&vfs.shared(), dir, &self.schema(), clock()).unwrap();
        let mut writer = self.writer(vfs, dir).unwrap();
        let [count, .., end] = self.steps();
        match (self.raw, other) {
            (false, false) => put_range(&mut writer, 0..count).unwrap(),
            (false, true) => {
                put_range(&mut writer, 3..end).unwrap();
                put(&mut writer, TWIN, 4, 1).unwrap();
            }
            (true, false) => codes::put_codes(&mut writer, 0..count).unwrap(),
            (true, true) => {
                for number in count..end {
                    writer.put_code(&codes::code(number), codes::label(number).as_deref()).unwrap();
                }
            }
        }
        if !other {
            writer.add_segment(self.view(), 0..u32::try_from(count).unwrap(), b"old").unwrap();
        }
        writer.commit().unwrap();
    }

    /// Puts the models of the other database below `end` that are not here, and all sources of those that are.
    fn put_models(other: &Reader, writer: &mut Writer, end: u64) -> Result<()> {
        let (codes, blocks) = (other.codes::<4>("energy")?, other.codes::<1>("blocks")?);
        let (voids, tensor_codes) = (other.voids("blocks")?, other.tensor_codes::<4>("energy")?);
        for model in other.models() {
            let model = model?;
            if u64::from(model.id) + 3 >= end {
                break;
            }
            let sources: Vec<NewSource<'_>> = model
                .sources
                .iter()
                .map(|source| NewSource {
                    label: &source.label,
                    path: &source.path,
                    stamp: source.stamp,
                    file_digest: source.file_digest,
                })
                .collect();
            let known = writer.model_by_content_digest(&model.content_digest)?;
            let mut of = known;
            for source in sources {
                if let Some(id) = of {
                    writer.put_source(&source, id)?;
                    continue;
                }
                let (code, second) = (codes.get(model.id).unwrap(), blocks.get(model.id).unwrap());
                let second = (!voids.contains(model.id)).then(|| second.as_bytes());
                let rows = other.tensors(model.id)?;
                let tensor_views: Vec<[ViewCode<'_>; 2]> = rows
                    .iter()
                    .map(|row| {
                        let code = tensor_codes.get(row.id).unwrap().as_bytes();
                        let of = |n: usize, bytes| ViewCode { bytes, features: row.features[n] };
                        [of(0, Some(code)), of(1, None)]
                    })
                    .collect();
                let tensors: Vec<NewTensor<'_>> = rows
                    .iter()
                    .zip(&tensor_views)
                    .map(|(row, views)| NewTensor {
                        name: &row.name,
                        dtype: &row.dtype,
                        shape: &row.shape,
                        views,
                    })
                    .collect();
                let skipped: Vec<(&str, u32)> =
                    model.tensors_skipped.iter().map(|(why, count)| (why.as_str(), *count)).collect();
                let of_view = |n: usize, bytes| ViewCode { bytes, features: model.features[n] };
                let outcome = writer.put(&NewModel {
                    source,
                    format: &model.format,
                    content_digest: model.content_digest,
                    views: &[of_view(0, Some(code.as_bytes())), of_view(1, second)],
                    weak: model.weak,
                    tensors_used: model.tensors_used,
                    tensors_skipped: &skipped,
                    tensors: &tensors,
                })?;
                assert!(matches!(outcome, Outcome::Ingested { .. }), "{outcome:?}");
                of = Some(outcome.id());
            }
        }
        Ok(())
    }

    fn put_codes(&self, other: &Reader, writer: &mut Writer, end: u64) -> Result<()> {
        let (codes, labels) = (other.raw_codes::<2>()?, other.code_labels()?);
        while u64::from(writer.code_count()) < end {
            let id = writer.code_count() - u32::try_from(self.start()).unwrap();
            writer.put_code(codes.get(id).unwrap().as_bytes(), labels.get(id)?.as_deref())?;
        }
        Ok(())
    }

    fn count(&self, writer: &Writer) -> u32 {
        if self.raw { writer.code_count() } else { writer.model_count() }
    }

    fn check(&self, reader: &Reader, count: u64) {
        let [start, ..] = self.steps();
        if self.raw {
            codes::check(reader, count);
        } else {
            check_range(reader, count);
            let twins = reader.versions(TWIN).unwrap();
            let of: Vec<(u32, u32)> = twins.iter().map(|twin| (twin.model_id, twin.version)).collect();
            assert_eq!(of, if count > start { vec![(4, 1)] } else { Vec::new() });
        }
        let segments = reader.segments(self.view()).unwrap();
        let covered = segments.last().map_or(0, |(ids, _)| u64::from(ids.end));
        assert!(covered >= start && covered <= count, "segments cover {covered} of {count}");
        for (ids, bytes) in segments {
            let bytes = bytes.unwrap_or_else(|error| panic!("a segment: {error}"));
            assert_eq!(bytes.as_ref(), if ids.start == 0 { b"old" } else { b"new" });
        }
    }
}

impl Workload for Merge {
    fn name(&self) -> &'static str {
        if self.raw { "merge of codes" } else { "merge of models" }
    }

    fn writer(&self, vfs: &FaultVfs, db: &Path) -> Result<Writer> {
        Ok(Writer::open_on(vfs.shared(), db, &self.schema())?.with_clock(clock))
    }

    fn image(&self, root: &Path) -> Image {
        let vfs = FaultVfs::boot(&Image::default(), root);
        vfs.record();
        self.make(&vfs, &root.join("db"), false);
        self.make(&vfs, &root.join("other"), true);
        vfs.live()
    }

    fn start(&self) -> u64 {
        self.steps()[0]
    }

    fn run(&self, vfs: &FaultVfs, db: &Path, commit: &mut Commit<'_>) -> Result<()> {
        let other = Self::other(vfs, db)?;
        let mut writer = self.writer(vfs, db)?;
        for step in &self.steps()[1..] {
            let from = self.count(&writer);
            if self.raw {
                self.put_codes(&other, &mut writer, *step)?;
            } else {
                Self::put_models(&other, &mut writer, *step)?;
            }
            writer.add_segment(self.view(), from..self.count(&writer), b"new")?;
            commit(*step, &mut || writer.commit())?;
        }
        Ok(())
    }

    fn state(&self, vfs: &FaultVfs, db: &Path) -> u64 {
        let reader = Self::reader(vfs, db);
        let count = u64::from(if self.raw { reader.code_count() } else { reader.model_count() });
        assert!(self.steps().contains(&count), "{count} items");
        self.check(&reader, count);
        count
    }

    fn go_on(&self, vfs: &FaultVfs, db: &Path, mut writer: Writer, state: u64) {
        let report = Self::reader(vfs, db).verify(&mut |_, _| {}).unwrap();
        assert!(report.is_sound() && report.uncommitted_bytes == 0, "{report:?}");
        if self.raw {
            codes::put_codes(&mut writer, state..state + 2)
        } else {
            put_range(&mut writer, state..state + 2)
        }
        .and_then(|()| writer.commit())
        .unwrap_or_else(|error| panic!("going on: {error}"));
        self.check_further(vfs, db, state);
    }

    fn check_further(&self, vfs: &FaultVfs, db: &Path, state: u64) {
        let reader = Self::reader(vfs, db);
        if self.raw {
            codes::check(&reader, state + 2);
        } else {
            check_range(&reader, state + 2);
        }
        // The other one is only read.
        let other = Self::other(vfs, db).unwrap();
        assert!(other.verify(&mut |_, _| {}).unwrap().is_sound());
    }
}
