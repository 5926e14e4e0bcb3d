//! Owns [`Reader::info`]: counts and sizes, file by file, and how much of each a compaction would give back.

use std::path::Path;

use super::Reader;
use crate::catalog::head::file_number;
use crate::dir::{CATALOG_FILE, SEGMENTS_DIR, catalog_path};
use crate::error::{Error, Result};
use crate::files::labels::PIECE_BYTES;
use crate::files::view::CodeFile;
use crate::records::{FileSize, Info};
use crate::schema::{Contents, Kind};
use crate::segment;

impl Reader {
    /// Counts and sizes. O(files + removed ids).
    ///
    /// # Errors
    /// [`Error::Corrupted`], [`Error::Catalog`], [`Error::Io`].
    pub fn info(&self) -> Result<Info> {
        let head = &self.snapshot.head;
        let removed = self.removed()?;
        let mut void_models = Vec::with_capacity(head.schema.views.len());
        if self.contents() == Contents::Models {
            for view in 0..head.schema.views.len() {
                let voids = self.snapshot.voids(file_number(view, Kind::Model))?;
                void_models.push(u32::try_from((voids - removed).len()).unwrap_or(u32::MAX));
            }
        }
        let mut files = self.catalog_sizes()?;
        let catalog_bytes = files.iter().map(|file| file.len_bytes).sum();
        let (mut code_bytes, mut label_bytes, mut uncommitted_bytes) = (0, 0, 0);
        for file in &self.snapshot.files {
            let label = matches!(file.header.kind, Kind::LabelPlace | Kind::LabelText);
            *(if label { &mut label_bytes } else { &mut code_bytes }) += file.len_bytes();
            let name = file.path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            let dead_bytes = self.dead_bytes(file)?;
            files.push(FileSize { name, len_bytes: file.len_bytes(), dead_bytes });
            let found = file.file.len_bytes().map_err(|e| Error::io("read the length of", &file.path, e))?;
            uncommitted_bytes += found.saturating_sub(file.len_bytes());
        }
        for (row, _) in &self.snapshot.segments {
            let view = &head.schema.views[row.view as usize];
            let name = format!("{SEGMENTS_DIR}/{}", segment::file_name(&view.name, row));
            let ids = row.first_id..row.end_id;
            // The share of the ids; what a segment has for each is not equally long, but nearly.
            let dead = u128::from(removed.range_cardinality(ids.clone())) * u128::from(row.len_bytes);
            let dead_bytes = u64::try_from(dead / (ids.len() as u128).max(1)).unwrap_or(u64::MAX);
            files.push(FileSize { name, len_bytes: row.len_bytes, dead_bytes });
        }
        let models = self.contents() == Contents::Models;
        let upkeep = head.upkeep;
        Ok(Info {
            format_version: self.catalog().version().number,
            generation: head.generation,
            created_at_ms: head.created_at_ms,
            compactions: upkeep.edition,
            codes: if models { 0 } else { self.live_count() },
            models: if models { self.live_count() } else { 0 },
            weak_models: head.weak_models,
            tensors: head.tensors.saturating_sub(upkeep.removed_tensors),
            sources: head.sources.saturating_sub(upkeep.removed_sources),
            labels: head.labels,
            removed: upkeep.removed,
            void_models,
            catalog_bytes,
            code_bytes,
            label_bytes,
            segments: u32::try_from(self.snapshot.segments.len()).unwrap_or(u32::MAX),
            segment_bytes: self.snapshot.segments.iter().map(|(row, _)| row.len_bytes).sum(),
            uncommitted_bytes,
            files,
        })
    }

    /// The catalog and, if it is there, its log.
    fn catalog_sizes(&self) -> Result<Vec<FileSize>> {
        let path = catalog_path(&self.dir);
        let len = |path: &Path| std::fs::metadata(path).map(|meta| meta.len());
        let len_bytes = len(&path).map_err(|e| Error::io("read the length of", &path, e))?;
        let dead_bytes = self.catalog().free_bytes()?.min(len_bytes);
        let mut files = vec![FileSize { name: CATALOG_FILE.to_owned(), len_bytes, dead_bytes }];
        let log = format!("{CATALOG_FILE}-wal");
        if let Ok(len_bytes) = len(&self.dir.join(&log)) {
            files.push(FileSize { name: log, len_bytes, dead_bytes: 0 });
        }
        Ok(files)
    }

    /// Bytes of removed records in a code file.
    fn dead_bytes(&self, file: &CodeFile) -> Result<u64> {
        let record_bytes = file.geometry().code_bytes as u64;
        let removed = self.removed()?;
        Ok(match file.header.kind {
            Kind::Model | Kind::Raw => removed.len() * record_bytes,
            Kind::Tensor => u64::from(self.snapshot.head.upkeep.removed_tensors) * record_bytes,
            Kind::LabelPlace => removed.range_cardinality(..file.tail.count) * record_bytes,
            Kind::LabelText => {
                let labels = self.snapshot.labels();
                let mut bytes = 0;
                for id in removed {
                    bytes += u64::from(labels.len_bytes(id)?);
                }
                // Whole pieces are what the file can be shorter by.
                bytes / PIECE_BYTES as u64 * PIECE_BYTES as u64
            }
        })
    }
}
