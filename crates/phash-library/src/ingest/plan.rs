//! Looks at candidates before anything is opened: which are unchanged, which are not there, which are to be hashed
//! and how much that is. Looks at no more than [`AHEAD`] of them at a time, so that memory does not grow with them.

use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, Ordering};

use phash_store::{Stamp, Writer};
use phash_weights::FileStamp;

use crate::error::{Error, Result};
use crate::pipeline::Input;
use crate::walk::{Candidate, path_text};

/// Candidates looked at together: some MiB, and many enough for progress to be told of what is to come.
pub(super) const AHEAD: usize = 16_384;

/// What is to be done with a candidate.
#[derive(Debug)]
pub(super) enum Task {
    Unchanged {
        label: String,
        id: u32,
    },
    Unusable {
        label: String,
        error: Error,
    },
    /// The next of the inputs.
    Hash {
        label: String,
        path: String,
    },
}

#[derive(Debug)]
pub(super) struct Planned {
    /// Whether there may be more candidates.
    pub(super) more: bool,
    /// One for each candidate, in order; labels that occur twice among them once.
    pub(super) tasks: Vec<Task>,
    /// One for each [`Task::Hash`], in order.
    pub(super) inputs: Vec<Input>,
    /// Bytes in the inputs.
    pub(super) bytes: u64,
}

/// Takes the next candidates, at most [`AHEAD`]. All that came before must be committed.
pub(super) fn plan(
    writer: &Writer,
    candidates: &mut dyn Iterator<Item = Candidate>,
    cancel: &AtomicBool,
) -> Result<Planned> {
    let mut planned = Planned { more: false, tasks: Vec::new(), inputs: Vec::new(), bytes: 0 };
    let mut seen = HashSet::new();
    let mut taken = 0;
    for Candidate { label, input } in candidates.take(AHEAD) {
        if cancel.load(Ordering::Relaxed) {
            return Ok(planned);
        }
        taken += 1;
        if !seen.insert(label.clone()) {
            continue;
        }
        let input = match input {
            Ok(input) => input,
            Err(error) => {
                planned.tasks.push(Task::Unusable { label, error });
                continue;
            }
        };
        let Input::Path(path) = &input else {
            planned.tasks.push(Task::Hash { path: label.clone(), label });
            planned.inputs.push(input);
            continue;
        };
        let stamp = match phash_weights::stamp(path) {
            Ok(stamp) => stamp,
            Err(error) => {
                planned.tasks.push(Task::Unusable { label, error: error.into() });
                continue;
            }
        };
        let absolute = path_text(&std::path::absolute(path).unwrap_or_else(|_| path.clone()));
        // The label may be relative, and the same one may have meant another file elsewhere.
        let unchanged =
            writer.unchanged(&label, store_stamp(stamp))?.filter(|source| source.path == absolute);
        if let Some(source) = unchanged {
            planned.tasks.push(Task::Unchanged { label, id: source.model_id });
            continue;
        }
        planned.bytes = planned.bytes.saturating_add(stamp.len_bytes);
        planned.tasks.push(Task::Hash { path: absolute, label });
        planned.inputs.push(input);
    }
    planned.more = taken == AHEAD;
    Ok(planned)
}

/// The stamp in the store's words.
pub(super) fn store_stamp(stamp: FileStamp) -> Stamp {
    Stamp { len_bytes: stamp.len_bytes, mtime_ns: stamp.mtime_ns }
}
