//! What the commands share that put models and raw codes of elsewhere into a database: telling of duplicates and progress.

use phash_library::{TransferCounts, TransferEvent};

use crate::output::table::{Style, Tone};
use crate::output::{Output, Record, number};
use crate::progress::Progress;

/// The columns of duplicates and summaries.
pub(super) const COLUMNS: [&str; 8] =
    ["type", "input", "from_id", "id", "label", "added", "duplicates", "labels_added"];

/// Tells the events: duplicates to standard output, the rest to the progress bar.
pub(super) struct Tell<'a> {
    pub(super) output: &'a mut Output,
    pub(super) progress: &'a Progress,
    /// What the inputs are called.
    pub(super) inputs: &'a [String],
    /// Whether the bar counts models or raw codes; else it counts bytes, and somebody else does.
    pub(super) counts_items: bool,
    pub(super) printing: std::io::Result<()>,
}

impl Tell<'_> {
    pub(super) fn event(&mut self, event: &TransferEvent<'_>) {
        match event {
            TransferEvent::Committed { items } if self.counts_items => self.progress.set_position(*items),
            TransferEvent::Committed { items } => {
                self.progress.message(format!("{} stored or known", number::count(*items)));
            }
            TransferEvent::Indexing { view, codes } => self.progress.message(format!(
                "indexing {} of view {view}",
                number::counted((*codes).into(), "code", "codes")
            )),
            TransferEvent::Duplicate { input, from_id, id, label, labels_added }
                if self.output.wants_records() && self.printing.is_ok() =>
            {
                let name = self.inputs.get(*input).map(String::as_str);
                let record = Record::new("duplicate")
                    .with("input", name)
                    .with("from_id", *from_id)
                    .with("id", *id)
                    .with("label", *label)
                    .with("labels_added", *labels_added);
                // A reader that went away does not stop the work.
                self.printing = self.progress.suspend(|| self.output.record(|| record));
            }
            _ => {}
        }
    }
}

/// What became of one input, as a record.
pub(super) fn input_record(name: &str, counts: &TransferCounts) -> Record {
    Record::new("input")
        .with("input", name)
        .with("added", counts.added)
        .with("duplicates", counts.duplicates)
        .with("labels_added", counts.labels_added)
}

/// What became of all inputs, as a record.
pub(super) fn summary(counts: &TransferCounts, seconds: f64) -> Record {
    Record::new("summary")
        .with("added", counts.added)
        .with("duplicates", counts.duplicates)
        .with("labels_added", counts.labels_added)
        .with("seconds", seconds)
}

/// The same in words.
pub(super) fn describe(style: &Style, counts: &TransferCounts) -> String {
    let added = number::counted(counts.added, "model or raw code added", "models or raw codes added");
    let mut parts = vec![style.paint(Tone::Head, &added)];
    if counts.duplicates > 0 {
        parts.push(number::counted(counts.duplicates, "duplicate", "duplicates"));
    }
    if counts.labels_added > 0 {
        parts.push(number::counted(counts.labels_added, "label added", "labels added"));
    }
    parts.join(", ")
}

/// All counts together.
pub(super) fn sum(counts: &[TransferCounts]) -> TransferCounts {
    counts.iter().fold(TransferCounts::default(), |sum, one| TransferCounts {
        added: sum.added + one.added,
        duplicates: sum.duplicates + one.duplicates,
        labels_added: sum.labels_added + one.labels_added,
    })
}
