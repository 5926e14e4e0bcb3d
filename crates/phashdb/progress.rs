//! Owns the progress bar: bytes or codes, on standard error, only if that is a terminal and once the total is known.
//! Messages printed while a bar is shown go through it, so that neither spoils the other.

use std::io::IsTerminal as _;
use std::sync::Once;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::output::number;

/// A bar that counts bytes or codes and names what is done; gone when dropped.
#[derive(Debug)]
pub(crate) struct Progress {
    bar: ProgressBar,
    shown: Once,
}

impl Progress {
    /// A bar that counts bytes, for work of unknown size: hidden until [`Progress::set_total`] tells it.
    pub(crate) fn new(what: &'static str) -> Self {
        Self::with_counter(what, "{decimal_bytes}/{decimal_total_bytes}  {decimal_bytes_per_sec}")
    }

    /// The same that counts codes.
    pub(crate) fn of_codes(what: &'static str) -> Self {
        Self::with_counter(what, "{human_pos}/{human_len} codes  {per_sec}")
    }

    /// The same that counts models or raw codes.
    pub(crate) fn of_items(what: &'static str) -> Self {
        Self::with_counter(what, "{human_pos}/{human_len}  {per_sec}")
    }

    fn with_counter(what: &'static str, counter: &str) -> Self {
        let bar = ProgressBar::with_draw_target(Some(0), ProgressDrawTarget::hidden());
        let template = format!("{{prefix}} [{{bar:24}}] {counter}  eta {{eta}}  {{msg}}");
        if let Ok(style) = ProgressStyle::with_template(&template) {
            bar.set_style(style.progress_chars("=> "));
        }
        bar.set_prefix(what);
        Self { bar, shown: Once::new() }
    }

    pub(crate) fn set_total(&self, total: u64) {
        self.bar.set_length(total);
        if total > 0 && std::io::stderr().is_terminal() {
            self.shown.call_once(|| {
                self.bar.set_draw_target(ProgressDrawTarget::stderr_with_hz(10));
                self.bar.enable_steady_tick(Duration::from_millis(200));
            });
        }
    }

    pub(crate) fn advance(&self, more: u64) {
        self.bar.inc(more);
    }

    pub(crate) fn position(&self) -> u64 {
        self.bar.position()
    }

    pub(crate) fn set_position(&self, done: u64) {
        self.bar.set_position(done);
    }

    /// Shows how far the work is, of what there is in all.
    pub(crate) fn show(&self, done: u64, total: u64) {
        self.set_total(total);
        self.set_position(done);
    }

    /// Says that an index segment is being built.
    pub(crate) fn indexing(&self, view: impl std::fmt::Display, codes: u32) {
        let codes = number::counted(codes.into(), "code", "codes");
        self.message(format!("indexing {codes} of view {view}"));
    }

    pub(crate) fn message(&self, text: String) {
        self.bar.set_message(text);
    }

    /// Takes the bar away.
    pub(crate) fn clear(&self) {
        self.bar.finish_and_clear();
    }

    /// Does something that prints while the bar is out of the way.
    pub(crate) fn suspend<T>(&self, print: impl FnOnce() -> T) -> T {
        self.bar.suspend(print)
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.clear();
    }
}
