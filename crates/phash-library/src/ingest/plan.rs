//! Looks at the candidates before anything is opened: which are unchanged, which are not there, which are to be hashed
//! and how much that is.

use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, Ordering};

use phash_store::{Stamp, Writer};
use phash_weights::FileStamp;

use crate::error::{Error, Result};
use crate::pipeline::Input;
use crate::walk::{Candidate, path_text};

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
    /// One for each candidate, in order; labels that occur twice once.
    pub(super) tasks: Vec<Task>,
    /// One for each [`Task::Hash`], in order.
    pub(super) inputs: Vec<Input>,
    /// Bytes in the inputs.
    pub(super) bytes: u64,
}

pub(super) fn plan(writer: &Writer, candidates: Vec<Candidate>, cancel: &AtomicBool) -> Result<Planned> {
    let mut planned = Planned { tasks: Vec::new(), inputs: Vec::new(), bytes: 0 };
    let mut seen = HashSet::new();
    for Candidate { label, input } in candidates {
        if cancel.load(Ordering::Relaxed) {
            break;
        }
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
    Ok(planned)
}

/// The stamp in the store's words.
pub(super) fn store_stamp(stamp: FileStamp) -> Stamp {
    Stamp { len_bytes: stamp.len_bytes, mtime_ns: stamp.mtime_ns }
}
