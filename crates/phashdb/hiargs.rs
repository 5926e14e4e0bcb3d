//! Owns [`HiArgs`]: what the command line means once environment, terminal and machine are looked at. Made once.

use std::io::IsTerminal as _;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use anstream::{AutoStream, ColorChoice};
use phash_library::{Hashing, OpenOptions, SAMPLE_OVER_BYTES};

use crate::args::{ColorArg, GlobalArgs, ReadArg};
use crate::output::table::Style;
use crate::output::{Format, Output};
use crate::signal;

/// The library where none is named.
const DEFAULT_DB: &str = "library.phash";

/// What every command may want to know.
pub(crate) struct HiArgs {
    pub(crate) db: PathBuf,
    /// How commands that only read open the library.
    pub(crate) reading: OpenOptions,
    pub(crate) threads: NonZeroUsize,
    pub(crate) format: Format,
    /// Raised by Ctrl-C.
    pub(crate) cancel: Arc<AtomicBool>,
    stdout_style: Style,
    sample_over_bytes: u64,
}

impl HiArgs {
    pub(crate) fn new(low: &GlobalArgs) -> Self {
        match low.color {
            // Left to the streams: terminal, NO_COLOR, CLICOLOR.
            ColorArg::Auto => {}
            ColorArg::Always => ColorChoice::Always.write_global(),
            ColorArg::Never => ColorChoice::Never.write_global(),
        }
        let format = match (low.quiet, low.json) {
            (true, _) => Format::Quiet,
            (false, true) => Format::Jsonl,
            (false, false) => low.format.into(),
        };
        let stdout = std::io::stdout();
        let color = AutoStream::choice(&stdout) != ColorChoice::Never;
        let width = if stdout.is_terminal() { terminal_width() } else { None };
        Self {
            db: low.db.clone().or_else(db_of_environment).unwrap_or_else(|| PathBuf::from(DEFAULT_DB)),
            reading: OpenOptions { mmap: !(low.no_mmap || no_mmap_of_environment()) },
            threads: low.jobs.and_then(|jobs| NonZeroUsize::new(jobs.into())).unwrap_or_else(processors),
            format,
            cancel: signal::cancel_flag(),
            stdout_style: Style { color, width },
            sample_over_bytes: match low.read {
                ReadArg::Auto => SAMPLE_OVER_BYTES,
                ReadArg::Whole => u64::MAX,
                ReadArg::Sample => 0,
            },
        }
    }

    /// Whether Ctrl-C was pressed.
    pub(crate) fn cancelled(&self) -> bool {
        self.cancel.load(Ordering::Relaxed)
    }

    /// Hashing as it was asked for; `progress` is told of bytes.
    pub(crate) fn hashing<'a>(&'a self, progress: &'a (dyn Fn(u64) + Sync)) -> Hashing<'a> {
        Hashing {
            threads: self.threads,
            sample_over_bytes: self.sample_over_bytes,
            cancel: &self.cancel,
            progress,
        }
    }

    /// Standard output in the format asked for.
    pub(crate) fn output(&self) -> Output {
        // Whole lines at a time to a terminal or a JSON Lines reader, which want each result at once; else in blocks.
        let stdout = std::io::stdout();
        let out: Box<dyn std::io::Write> = if self.format == Format::Jsonl || stdout.is_terminal() {
            Box::new(stdout.lock())
        } else {
            Box::new(std::io::BufWriter::with_capacity(1 << 16, stdout.lock()))
        };
        Output::new(self.format, self.stdout_style, out)
    }
}

/// The library that the environment names; a variable that is set but empty names none.
fn db_of_environment() -> Option<PathBuf> {
    std::env::var_os("PHASHDB_DB").filter(|dir| !dir.is_empty()).map(PathBuf::from)
}

/// Whether the environment asks for no maps.
fn no_mmap_of_environment() -> bool {
    std::env::var_os("PHASHDB_NO_MMAP").is_some_and(|value| !value.is_empty() && value != "0")
}

fn processors() -> NonZeroUsize {
    std::thread::available_parallelism().unwrap_or(NonZeroUsize::MIN)
}

/// The width that the tables may take: COLUMNS if set, or what the terminal says.
fn terminal_width() -> Option<u16> {
    let columns = std::env::var("COLUMNS").ok().and_then(|columns| columns.parse().ok());
    columns.or_else(|| comfy_table::Table::new().width())
}
