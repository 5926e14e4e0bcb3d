//! What `merge` and `import` share: telling of duplicates and progress, and of what became of the inputs in the end.

use std::io;
use std::path::Path;
use std::time::Instant;

use phash_library::{TransferCounts, TransferEvent};

use super::items::Items;
use crate::exit::ExitStatus;
use crate::failure::Failure;
use crate::hiargs::HiArgs;
use crate::output::table::{Style, Tone};
use crate::output::{Output, Record, number, visible, visible_path};
use crate::progress::Progress;

/// A run of either: duplicates go to standard output, the rest to the progress bar.
pub(super) struct Transfer<'a> {
    progress: &'a Progress,
    /// What the inputs are called.
    inputs: Vec<String>,
    output: Output,
    started: Instant,
    /// Models or raw codes of the inputs that are done, durably.
    committed: u64,
    printing: io::Result<()>,
}

impl<'a> Transfer<'a> {
    pub(super) fn new(progress: &'a Progress, inputs: Vec<String>, high: &HiArgs) -> Self {
        let mut output = high.output();
        output.columns(&["type", "input", "from_id", "id", "label", "added", "duplicates", "labels_added"]);
        Self { progress, inputs, output, started: Instant::now(), committed: 0, printing: Ok(()) }
    }

    pub(super) fn committed(&self) -> u64 {
        self.committed
    }

    pub(super) fn event(&mut self, event: &TransferEvent<'_>) {
        match event {
            TransferEvent::Committed { items } => {
                self.committed = *items;
                self.progress.message(format!("{} stored or known", number::count(*items)));
            }
            TransferEvent::Indexing { view, codes } => self.progress.indexing(view, *codes),
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

    /// Says what became of all inputs that went into `db`, and of each if there is more to say than that.
    pub(super) fn finish(
        mut self,
        db: &Path,
        counts: &[TransferCounts],
        each: bool,
        cancelled: bool,
    ) -> Result<ExitStatus, Failure> {
        self.progress.clear();
        self.printing?;
        let (seconds, items) = (self.started.elapsed().as_secs_f64(), Items::of(db));
        if each {
            for (name, counts) in self.inputs.iter().zip(counts) {
                self.output
                    .record(|| with_counts(Record::new("input").with("input", name.as_str()), counts))?;
                self.output
                    .text(|style| format!("{}: {}\n", visible(name), describe(style, items, counts)))?;
            }
        }
        let all = sum(counts);
        self.output.record(|| with_counts(Record::new("summary"), &all).with("seconds", seconds))?;
        self.output.text(|style| {
            let done = describe(style, items, &all);
            format!("{}: {done}; {}\n", visible_path(db), number::seconds(seconds))
        })?;
        self.output.finish()?;
        Ok(if cancelled { super::interrupted() } else { ExitStatus::Success })
    }
}

fn with_counts(record: Record, counts: &TransferCounts) -> Record {
    record
        .with("added", counts.added)
        .with("duplicates", counts.duplicates)
        .with("labels_added", counts.labels_added)
}

/// The counts in words.
fn describe(style: &Style, items: Items, counts: &TransferCounts) -> String {
    let mut parts = vec![style.paint(Tone::Head, &format!("{} added", items.count(counts.added)))];
    if counts.duplicates > 0 {
        parts.push(number::counted(counts.duplicates, "duplicate", "duplicates"));
    }
    if counts.labels_added > 0 {
        parts.push(number::counted(counts.labels_added, "label added", "labels added"));
    }
    parts.join(", ")
}

/// All counts together.
fn sum(counts: &[TransferCounts]) -> TransferCounts {
    counts.iter().fold(TransferCounts::default(), |sum, one| TransferCounts {
        added: sum.added + one.added,
        duplicates: sum.duplicates + one.duplicates,
        labels_added: sum.labels_added + one.labels_added,
    })
}
