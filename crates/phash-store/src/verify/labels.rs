//! Owns the check of the labels of raw codes, and the labels that are told of what is affected by damage.

use std::sync::Arc;

use super::report::{Affected, Damage, MAX_LABELS, VerifyReport};
use super::{Verify, affected};
use crate::catalog::head::file_number;
use crate::dir::catalog_path;
use crate::error::Error;
use crate::files::labels::Labels;
use crate::files::view::CodeFile;
use crate::schema::{Contents, Kind};

impl Verify<'_> {
    /// The labels of raw codes, if their files can be opened.
    fn open_labels(&self) -> Option<Labels> {
        if self.head.schema.contents != Contents::Codes {
            return None;
        }
        let open = |kind| {
            let number = file_number(0, kind);
            let (header, tail) = (self.head.file_header(number), self.head.tails[number]);
            let path = &self.files.0.get(number)?.0;
            CodeFile::open(self.vfs, path, header, tail, self.mmap).ok().map(Arc::new)
        };
        Some(Labels::new(&open(Kind::LabelPlace)?, &open(Kind::LabelText)?))
    }

    /// `false` if it was stopped.
    pub(super) fn labels(&self, report: &mut VerifyReport, advance: &mut dyn FnMut(u64) -> bool) -> bool {
        let Some(labels) = self.open_labels() else { return advance(0) };
        let place = catalog_path(self.dir);
        let (end, count) = (self.head.indexable(), self.head.upkeep.removed);
        // What is wrong with it is told with the catalog.
        let removed = self.catalog().removed(Kind::Raw, end, count).unwrap_or_default();
        let mut sound = true;
        let labelled = labels.verify(&removed, &mut |error, id| {
            sound = false;
            let damage = Damage::from_error(error, &place);
            // A damaged block is told once, with all the codes whose labels are in it.
            let same =
                |told: &&mut Damage| told.file == damage.file && told.offset_bytes == damage.offset_bytes;
            match report.damages.iter_mut().rev().find(same) {
                Some(told) => match &mut told.affected {
                    Some(affected) if affected.kind == Kind::LabelPlace => {
                        affected.ids.start = affected.ids.start.min(id);
                        affected.ids.end = affected.ids.end.max(id + 1);
                    }
                    other => *other = affected(Kind::LabelPlace, id..id + 1),
                },
                None => {
                    report.damages.push(Damage { affected: affected(Kind::LabelPlace, id..id + 1), ..damage })
                }
            }
        });
        let expected = self.head.labels;
        if sound && labelled != expected {
            let error = Error::corrupted(&place, 0, "number of labels", expected, labelled);
            report.damages.push(Damage::from_error(error, &place));
        }
        advance(0)
    }

    /// Adds the labels of what is affected, as far as they can be read.
    pub(super) fn tell_labels(&self, report: &mut VerifyReport) {
        let mut labels = None;
        for damage in &mut report.damages {
            let Some(Affected { kind, ids }) = &damage.affected else { continue };
            let ids = ids.clone().take(16 * MAX_LABELS);
            let mut found: Vec<String> = match kind {
                Kind::Model => ids.filter_map(|id| self.catalog().label(id).ok()?).take(MAX_LABELS).collect(),
                Kind::Tensor => {
                    let model = |id: u32| {
                        let tensor = self.catalog().tensors(id..id.saturating_add(1)).ok()?.pop();
                        self.catalog().label(tensor?.model_id).ok()?
                    };
                    ids.filter_map(model).collect()
                }
                Kind::Raw | Kind::LabelPlace | Kind::LabelText => {
                    let labels = labels.get_or_insert_with(|| self.open_labels());
                    let label = |id: u32| labels.as_ref()?.get(id).ok()?;
                    ids.filter_map(label).take(MAX_LABELS).collect()
                }
            };
            found.dedup();
            found.truncate(MAX_LABELS);
            damage.labels = found;
        }
    }
}
