//! Owns the salvage of models. A model is wholly there (its row, its codes in every view, the rows and codes of all its
//! tensors, and a source) or it is lost: half a model would stand in the way of the file being ingested again.

use std::ops::Range;

use super::blocks::ProvenFile;
use super::evidence::Evidence;
use super::{Halt, Loss, LossKind, Outlet, Step};
use crate::catalog::Catalog;
use crate::catalog::damaged::KnownIds;
use crate::catalog::head::file_number;
use crate::catalog::id_sets::IdSet;
use crate::catalog::pieces::gaps;
use crate::catalog::rows::Coded;
use crate::codes_crc::codes_crc;
use crate::error::{Error, Result};
use crate::model_record::{ModelRecord, TensorRecord, ViewRecord};
use crate::records::{ModelRow, Source};
use crate::schema::Kind;

/// Models between two commits.
const COMMIT_EVERY: u32 = 4096;

/// Which source is of which model; 8 bytes a source.
type SourcesOfModels = Vec<(u32, u32)>;

struct Models<'a, 'o> {
    catalog: &'a Catalog,
    files: &'a mut [ProvenFile],
    views: usize,
    /// For each code file.
    voids: Vec<KnownIds>,
    sources: SourcesOfModels,
    out: &'a mut Outlet<'o>,
}

/// Copies what is proven.
pub(super) fn models(evidence: &mut Evidence, out: &mut Outlet<'_>) -> Step {
    let Evidence { catalog: Some(catalog), files, head, has_meta, applies, .. } = evidence else {
        return Ok(());
    };
    let catalog: &Catalog = catalog;
    let end = |table: &str, count: u32| if *has_meta { count } else { catalog.last_id(table) };
    let (models, sources) = (end("models", head.models), end("sources", head.sources));
    let known_removals = applies.then_some(head.upkeep);
    let removed = catalog.known_ids(
        IdSet::Removed(Kind::Model),
        models,
        known_removals.filter(|_| *has_meta).map(|upkeep| upkeep.removed),
    );
    let removed_sources = known_removals.filter(|_| *has_meta).map(|upkeep| upkeep.removed_sources);
    let voids = (0..files.len()).map(|number| {
        let kind = head.file(number).kind;
        let end = if kind == Kind::Tensor { end("tensors", head.tensors) } else { models };
        catalog.known_ids(IdSet::Voids(number), end, None)
    });
    let voids = voids.collect();
    if !*applies {
        let reason = "the catalog is of before a compaction, the code files of after it";
        out.lose(Loss::of(LossKind::Commits, reason))?;
        files.iter_mut().for_each(ProvenFile::disprove);
    }
    let views = head.schema.views.len();
    let behind = files.iter().enumerate().filter(|(number, _)| head.file(*number).kind == Kind::Model);
    let claimed = behind.map(|(_, file)| file.end).max().unwrap_or(0);
    let mut this = Models { catalog, files, views, voids, sources: Vec::new(), out };
    this.find_sources(sources, removed_sources)?;
    let mut next = 0;
    catalog.by_pieces("models", models, &|ids| catalog.model_rows(&ids), &mut |(ids, rows)| {
        match rows {
            Err(error) => this.lose_models(ids.clone(), &error.to_string())?,
            Ok(rows) => {
                next = ids.start;
                for model in rows {
                    this.lose_missing(next..model.row.id, &removed)?;
                    next = model.row.id + 1;
                    this.model(model)?;
                }
                this.lose_missing(next..ids.end, &removed)?;
            }
        }
        this.out.at(u64::from(ids.end), u64::from(models))
    })?;
    if claimed > models && *applies {
        let mut loss = Loss::of(LossKind::Model, "its row is in the part of the catalog that is lost");
        loss.ids = Some(models..claimed);
        this.out.lose(loss)?;
    }
    Ok(())
}

impl Models<'_, '_> {
    /// Finds which sources are there, without keeping them. `removed` is how many have no row because they were removed, if that
    /// is known.
    fn find_sources(&mut self, end: u32, removed: Option<u32>) -> Step {
        let (catalog, sources, out) = (self.catalog, &mut self.sources, &mut self.out);
        let mut lose = |ids: Range<u32>, reason: &str| {
            let mut loss = Loss::of(LossKind::Source, reason);
            loss.ids = Some(ids);
            out.lose(loss)
        };
        // Ids without a row, and how many ids those have that cannot be read.
        let (mut missing, mut unread) = (Vec::new(), 0);
        catalog.by_pieces(
            "sources",
            end,
            &|ids| catalog.source_rows(&ids),
            &mut |(ids, rows)| match rows {
                Err(error) => {
                    unread += ids.end - ids.start;
                    lose(ids, &error.to_string())
                }
                Ok(rows) => {
                    let mut next = ids.start;
                    for source in rows {
                        missing.extend((next < source.id).then_some(next..source.id));
                        next = source.id + 1;
                        sources.push((source.model_id, source.id));
                    }
                    missing.extend((next < ids.end).then_some(next..ids.end));
                    Ok(())
                }
            },
        )?;
        self.sources.sort_unstable();
        let count: u32 = missing.iter().map(|ids| ids.end - ids.start).sum();
        // Which of them were removed nothing tells: all of them if there are as many.
        if removed.is_none_or(|removed| count.saturating_add(unread) > removed) {
            let sure = removed == Some(0);
            let reason = if sure { "it has no row" } else { "it has no row: lost, or it was removed" };
            missing.into_iter().try_for_each(|ids| lose(ids, reason))?;
        }
        Ok(())
    }

    /// The sources of a model. A damaged table may show a row in passing that is not found when it is looked for: that is
    /// told.
    fn sources_of(&mut self, model: u32) -> Step<Vec<Source>> {
        let first = self.sources.partition_point(|&(of, _)| of < model);
        let ids: Vec<u32> =
            self.sources[first..].iter().take_while(|&&(of, _)| of == model).map(|&(_, id)| id).collect();
        let mut found = Vec::with_capacity(ids.len());
        for id in ids {
            match self.source(id) {
                Some(source) => found.push(source),
                None => {
                    let loss = Loss::of(LossKind::Source, "its row is not found again");
                    self.out.lose(Loss { ids: Some(id..id.saturating_add(1)), ..loss })?;
                }
            }
        }
        Ok(found)
    }

    /// A source that was there before.
    fn source(&self, id: u32) -> Option<Source> {
        self.catalog.source_rows(&(id..id.saturating_add(1))).ok()?.pop()
    }

    /// Puts a model in, or tells why not.
    fn model(&mut self, mut model: Coded<ModelRow>) -> Step {
        let id = model.row.id;
        model.row.sources = self.sources_of(id)?;
        let whole = match self.gather(model) {
            Ok(whole) => whole,
            Err(Unproven::Lost(reason)) => return self.lose_models(id..id + 1, &reason),
            Err(Unproven::Failed(halt)) => return Err(halt),
        };
        let writer = &mut *self.out.writer;
        if writer.model_by_content_digest(&whole.content_digest)?.is_some() {
            return self.lose_models(id..id + 1, "another model has the same contents");
        }
        // No version of a label of it is there, so that each keeps its number.
        match writer.take_over(&whole) {
            Ok(_) => {}
            // What its rows say no writer has written, though their checksums fit.
            Err(Error::InvalidInput { what }) => return self.lose_models(id..id + 1, &what),
            Err(error) => return Err(error.into()),
        }
        if writer.pending().models >= COMMIT_EVERY {
            writer.commit()?;
        }
        Ok(())
    }

    /// All that belongs to a model, if all of it is proven.
    fn gather(&mut self, model: Coded<ModelRow>) -> Result<ModelRecord, Unproven> {
        let Coded { row: model, codes_crc } = model;
        if model.sources.is_empty() {
            return Err(Unproven::lost("no source of it can be read"));
        }
        if model.features.len() != self.views {
            return Err(Unproven::lost("its row has not as many features as there are views"));
        }
        let views = self.codes(Kind::Model, model.id, &model.features, codes_crc)?;
        let mut tensors = Vec::with_capacity(model.tensors.len().min(1 << 16));
        let rows = self.catalog.tensor_rows(&model.tensors).map_err(|error| match error {
            error if error.is_damage() => Unproven::Lost(error.to_string()),
            error => Unproven::Failed(error.into()),
        })?;
        if rows.len() != model.tensors.len() {
            return Err(Unproven::lost("rows of its tensors are missing"));
        }
        for Coded { row: tensor, codes_crc } in rows {
            if tensor.model_id != model.id || tensor.features.len() != self.views {
                return Err(Unproven::lost("a row of its tensors is another one's"));
            }
            let views = self.codes(Kind::Tensor, tensor.id, &tensor.features, codes_crc)?;
            tensors.push(TensorRecord::new(tensor, views));
        }
        Ok(ModelRecord::new(model, views, tensors))
    }

    /// The codes of a model or tensor in every view, proven by the checksum in its row, or else by those of their blocks.
    fn codes(
        &mut self,
        kind: Kind,
        id: u32,
        features: &[u32],
        proof: Option<u32>,
    ) -> Result<Vec<ViewRecord>, Unproven> {
        let mut codes: Vec<ViewRecord> = Vec::with_capacity(self.views);
        for (view, &features) in features.iter().enumerate() {
            let number = file_number(view, kind);
            let (file, voids) = (&mut self.files[number], &self.voids[number]);
            if proof.is_some() && voids.ids.contains(id) {
                // There is nothing to be read that could be damaged.
                codes.push(ViewRecord { code: None, features });
                continue;
            }
            let code = if proof.is_some() { file.unproven_code(id) } else { file.code(id) };
            let Some(code) = code.map(<[u8]>::to_vec) else {
                return Err(Unproven::Lost(unreadable(kind, file)));
            };
            // A void code is stored as zeros; there is none exactly where there are no features.
            let is_zero = code.iter().all(|&byte| byte == 0);
            let is_void = match (voids.ids.contains(id), is_zero) {
                (true, false) => return Err(Unproven::lost("a code where there should be none")),
                (true, true) => true,
                (false, false) => false,
                (false, true) if features == 0 => true,
                (false, true) if voids.unknown.contains(id) && proof.is_none() => {
                    return Err(Unproven::lost("it is not known whether it has a code in each view"));
                }
                (false, true) => false,
            };
            codes.push(ViewRecord { code: (!is_void).then_some(code), features });
        }
        match proof {
            Some(crc) if codes_crc(codes.iter().map(|view| view.code.as_deref())) != crc => {
                let files = (0..self.views).map(|view| file_number(view, kind));
                // Which of them it is, its block tells; else row and codes are of different items.
                let mut damaged = files.filter(|&number| self.files[number].code(id).is_none());
                Err(Unproven::Lost(match damaged.next() {
                    Some(number) => unreadable(kind, &self.files[number]),
                    None => format!("{} are not those that its row is about", its(kind, "codes")),
                }))
            }
            _ => Ok(codes),
        }
    }

    /// Models that have no row and were not removed.
    fn lose_missing(&mut self, ids: Range<u32>, removed: &KnownIds) -> Step {
        for missing in gaps(ids, &removed.ids) {
            let sure = removed.unknown.range_cardinality(missing.clone()) == 0;
            let reason = if sure { "it has no row" } else { "it has no row: lost, or it was removed" };
            self.lose_models(missing, reason)?;
        }
        Ok(())
    }

    /// Tells of lost models: each under the labels that are known of it, the others by their ids.
    fn lose_models(&mut self, ids: Range<u32>, reason: &str) -> Step {
        let first = self.sources.partition_point(|&(of, _)| of < ids.start);
        let end = self.sources.partition_point(|&(of, _)| of < ids.end);
        let known: Vec<(u32, u32)> = self.sources[first..end].to_vec();
        let told = |out: &mut Outlet<'_>, ids: Range<u32>| {
            if ids.is_empty() {
                return Ok(());
            }
            out.lose(Loss { ids: Some(ids), ..Loss::of(LossKind::Model, reason) })
        };
        let mut next = ids.start;
        for (model, source) in known {
            let Some(source) = self.source(source) else { continue };
            if next <= model {
                told(self.out, next..model)?;
                next = model + 1;
            }
            let mut loss = Loss::of(LossKind::Model, reason);
            loss.ids = Some(model..model + 1);
            (loss.label, loss.path, loss.version) =
                (Some(source.label), Some(source.path), Some(source.version));
            self.out.lose(loss)?;
        }
        told(self.out, next..ids.end)
    }
}

/// What is said of a code that is not proven.
fn unreadable(kind: Kind, file: &ProvenFile) -> String {
    format!("{} in {}: {}", its(kind, "code"), file.name(), file.flaw())
}

/// `what` of a model, or of a tensor of it.
fn its(kind: Kind, what: &str) -> String {
    if kind == Kind::Tensor { format!("a tensor's {what}") } else { format!("its {what}") }
}

/// Why a model is not put in.
enum Unproven {
    /// It is damaged.
    Lost(String),
    /// It could not be found out.
    Failed(Halt),
}

impl Unproven {
    fn lost(reason: &str) -> Self {
        Self::Lost(reason.to_owned())
    }
}
