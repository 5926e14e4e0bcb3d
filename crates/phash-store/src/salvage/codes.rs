//! Owns the salvage of raw codes: each that is proven, with its label if that is. A code whose label is lost is kept
//! without one, and told.

use std::ops::Range;

use super::blocks::ProvenFile;
use super::evidence::Evidence;
use super::{Loss, LossKind, Outlet, Step};
use crate::catalog::damaged::KnownIds;
use crate::catalog::head::file_number;
use crate::catalog::id_sets::IdSet;
use crate::files::labels::{PIECE_BYTES, Place};
use crate::schema::Kind;

/// Codes between two commits.
const COMMIT_EVERY: u32 = 1 << 20;
/// Codes between two reports of progress.
const REPORT_EVERY: u32 = 1 << 14;

/// What is known of a label.
enum Label {
    None,
    Text(String),
    Lost(String),
}

/// Copies what is proven.
pub(super) fn codes(evidence: &mut Evidence, out: &mut Outlet<'_>) -> Step {
    let sure = evidence.has_meta && evidence.applies && !evidence.is_old;
    let Evidence { catalog, files, head, has_meta, applies, .. } = evidence;
    let numbers = [Kind::Raw, Kind::LabelPlace, Kind::LabelText].map(|kind| file_number(0, kind));
    let Ok([raw, places, text]) = files.get_disjoint_mut(numbers) else { return Ok(()) };
    let end = raw.end.max(places.end);
    let count = (*has_meta && *applies).then_some(head.upkeep.removed);
    let removed = match catalog {
        Some(catalog) if *applies => catalog.known_ids(IdSet::Removed(Kind::Raw), end, count),
        _ => KnownIds::default(),
    };
    if !sure && end > 0 {
        let reason = "the catalog of the last commit cannot be read: codes that were removed, or not yet committed, may be among these";
        out.lose(Loss { ids: Some(0..end), ..Loss::of(LossKind::Uncertain, reason) })?;
    }
    for ids in runs(&removed.unknown) {
        let reason = "it is not known which of these were removed";
        out.lose(Loss { ids: Some(ids), ..Loss::of(LossKind::Uncertain, reason) })?;
    }
    let labels_known = sure;
    let mut labels = Labels { places, text, all_known: labels_known, text_end: 0 };
    let mut losses = Losses { out, pending: None };
    // However many ids the catalog claims: only those that a file has room for are looked at one by one.
    let there = end.min(raw.room().max(labels.places.room()));
    for id in 0..there {
        if id.is_multiple_of(REPORT_EVERY) {
            losses.out.at(u64::from(id), u64::from(end))?;
        }
        if removed.ids.contains(id) {
            continue;
        }
        let label = labels.get(id);
        let Some(code) = raw.code(id) else {
            let reason = format!("its code in {}: {}", raw.name(), raw.flaw());
            let label = if let Label::Text(label) = label { Some(label) } else { None };
            losses.add(LossKind::Code, id, label, reason)?;
            continue;
        };
        let writer = &mut *losses.out.writer;
        match label {
            Label::None => drop(writer.put_code(code, None)?),
            Label::Text(label) => drop(writer.put_code(code, Some(&label))?),
            Label::Lost(reason) => {
                writer.put_code(code, None)?;
                losses.add(LossKind::Label, id, None, reason)?;
            }
        }
        let writer = &mut *losses.out.writer;
        if writer.pending().codes >= COMMIT_EVERY {
            writer.commit()?;
        }
    }
    losses.flush()?;
    let mut start = there;
    for removed in removed.ids.range(there..end).map(Some).chain([None]) {
        let ids = start..removed.unwrap_or(end);
        start = removed.map_or(end, |id| id.saturating_add(1));
        if !ids.is_empty() {
            let reason = format!("its code in {}: {}", raw.name(), raw.flaw());
            losses.out.lose(Loss { ids: Some(ids), ..Loss::of(LossKind::Code, reason) })?;
        }
    }
    // Text behind the last place is that of labels whose places are gone.
    let text_end = labels.text_end.div_ceil(PIECE_BYTES as u64);
    if !labels_known && u64::from(labels.text.end) > text_end {
        let reason = "there is text of labels whose codes are not known";
        out.lose(Loss { ids: Some(labels.places.end..end), ..Loss::of(LossKind::Uncertain, reason) })?;
    }
    Ok(())
}

/// Losses of one kind and reason without a label are told as ranges.
struct Losses<'o, 'a> {
    out: &'o mut Outlet<'a>,
    pending: Option<Loss>,
}

impl Losses<'_, '_> {
    fn add(&mut self, kind: LossKind, id: u32, label: Option<String>, reason: String) -> Step {
        if let Some(Loss { kind: of, ids: Some(ids), label: None, reason: why, .. }) = &mut self.pending
            && (*of, ids.end) == (kind, id)
            && label.is_none()
            && *why == reason
        {
            ids.end = id + 1;
            return Ok(());
        }
        self.flush()?;
        self.pending = Some(Loss { ids: Some(id..id + 1), label, ..Loss::of(kind, reason) });
        Ok(())
    }

    fn flush(&mut self) -> Step {
        self.pending.take().map_or(Ok(()), |loss| self.out.lose(loss))
    }
}

/// The labels, as far as they are proven.
struct Labels<'a> {
    places: &'a mut ProvenFile,
    text: &'a mut ProvenFile,
    /// Whether codes behind the last place certainly have no label.
    all_known: bool,
    /// The end of the text that places were found for, in bytes.
    text_end: u64,
}

impl Labels<'_> {
    fn get(&mut self, id: u32) -> Label {
        if id >= self.places.end && (self.all_known || !self.places.is_missing()) {
            return Label::None;
        }
        let lost = |file: &ProvenFile| Label::Lost(format!("its label in {}: {}", file.name(), file.flaw()));
        let Some(bytes) = self.places.code(id).and_then(|bytes| bytes.first_chunk::<8>()) else {
            return lost(self.places);
        };
        let place = Place::decode(*bytes);
        if place == Place::default() {
            return Label::None;
        }
        let (piece_bytes, end) = (PIECE_BYTES as u64, place.start + u64::from(place.len));
        self.text_end = self.text_end.max(end);
        let mut label = Vec::with_capacity(place.len.into());
        let mut at = place.start;
        while at < end {
            let piece = u32::try_from(at / piece_bytes).ok().and_then(|piece| self.text.code(piece));
            let Some(piece) = piece else { return lost(self.text) };
            let skip = usize::try_from(at % piece_bytes).unwrap_or(0);
            let take = (piece.len() - skip).min(usize::try_from(end - at).unwrap_or(usize::MAX));
            label.extend_from_slice(&piece[skip..skip + take]);
            at += take as u64;
        }
        match String::from_utf8(label) {
            Ok(label) if !label.is_empty() => Label::Text(label),
            _ => Label::Lost("its label is no text".to_owned()),
        }
    }
}

/// The runs of consecutive ids in a set.
fn runs(ids: &roaring::RoaringBitmap) -> Vec<Range<u32>> {
    let mut runs: Vec<Range<u32>> = Vec::new();
    for id in ids {
        match runs.last_mut() {
            Some(run) if run.end == id => run.end = id + 1,
            _ => runs.push(id..id.saturating_add(1)),
        }
    }
    runs
}
