//! JSON lines: `{"code": "hexadecimal", "label": "text or null"}`, other fields ignored. Empty lines are skipped.

use std::borrow::Cow;
use std::io::Read;

use serde::Deserialize;

use super::lines::Lines;
use super::{CodeEntry, CodePlace, Each, Source};
use crate::error::Result;

/// A line.
#[derive(Deserialize)]
struct Line<'a> {
    #[serde(borrow)]
    code: Cow<'a, str>,
    #[serde(borrow, default)]
    label: Option<Cow<'a, str>>,
}

pub(super) fn read(reader: impl Read, source: &Source<'_>, each: &mut Each<'_>) -> Result<()> {
    let mut lines = Lines::new(reader);
    let mut bytes = [0; 64];
    while let Some((number, line)) = lines.next(source)? {
        let place = CodePlace::Line(number);
        if line.trim_ascii().is_empty() {
            continue;
        }
        let parsed: Line<'_> = serde_json::from_slice(line).map_err(|error| {
            let expected =
                format!("an object with \"code\" ({}) and, if it has one, \"label\"", source.digits());
            source.wrong(place, expected, without_place(&error))
        })?;
        let code = source.code(parsed.code.as_bytes(), place, &mut bytes)?;
        let label = source.label(parsed.label.as_deref().unwrap_or_default().as_bytes(), place)?;
        each(&CodeEntry { code, label, place })?;
    }
    Ok(())
}

/// The error with the column only: its line is always the first.
fn without_place(error: &serde_json::Error) -> String {
    let text = error.to_string();
    let what = text.rsplit_once(" at line ").map_or(text.as_str(), |(what, _)| what);
    format!("{what} (column {})", error.column())
}
