//! Messages to standard error: errors, warnings, remarks. Never mixed with results, and one line each, whatever the names
//! that they quote hold.

use std::io::Write as _;

use anstyle::{AnsiColor, Style};

use crate::output::visible;

/// What a message is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Level {
    Error,
    Warning,
    Note,
}

/// Prints a message. A standard error that is closed is nobody's concern.
pub(crate) fn message(level: Level, text: &str) {
    let (style, word) = match level {
        Level::Error => (Style::new().bold().fg_color(Some(AnsiColor::Red.into())), "error"),
        Level::Warning => (Style::new().bold().fg_color(Some(AnsiColor::Yellow.into())), "warning"),
        Level::Note => (Style::new().bold(), "note"),
    };
    let _ = writeln!(anstream::stderr(), "phashdb: {style}{word}:{style:#} {}", visible(text));
}

pub(crate) fn error(text: &str) {
    message(Level::Error, text);
}

pub(crate) fn warning(text: &str) {
    message(Level::Warning, text);
}

pub(crate) fn note(text: &str) {
    message(Level::Note, text);
}
