//! Owns the exit status: what a run amounts to, for scripts.

use std::process::ExitCode;

/// How a run ended, the graver the later.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum ExitStatus {
    /// Found something, or did what was asked.
    Success,
    /// Found nothing.
    NothingFound,
    /// An error, or an input was skipped.
    Error,
    /// Ctrl-C.
    Interrupted,
}

impl ExitStatus {
    pub(crate) fn found(any: bool) -> Self {
        if any { ExitStatus::Success } else { ExitStatus::NothingFound }
    }

    /// Raises the status to an error if anything was skipped.
    pub(crate) fn or_error_if(self, skipped: bool) -> Self {
        if skipped { self.max(ExitStatus::Error) } else { self }
    }
}

impl From<ExitStatus> for ExitCode {
    fn from(status: ExitStatus) -> Self {
        ExitCode::from(match status {
            ExitStatus::Success => 0,
            ExitStatus::NothingFound => 1,
            ExitStatus::Error => 2,
            // What shells give a process ended by SIGINT: 128 + 2.
            ExitStatus::Interrupted => 130,
        })
    }
}
