//! Files of raw codes: what is written in any format is read as it was, and any bytes are read or refused without a panic.
//! `PROPTEST_CASES` makes it a longer search.
#![allow(missing_docs, clippy::unwrap_used, reason = "a test")]

use std::cell::Cell;
use std::io::Cursor;

use phash_library::{CodeFormat, CodeInput, Columns, Result, Width};
use proptest::prelude::*;

const FORMATS: [CodeFormat; 4] = [CodeFormat::Hex, CodeFormat::Jsonl, CodeFormat::Csv, CodeFormat::Binary];
const LABEL_BYTES: usize = 65_535;

/// A code with its label.
type Entry = (Vec<u8>, Option<String>);

fn read(bytes: &[u8], format: CodeFormat, width: Width) -> Result<Vec<Entry>> {
    let (mut entries, read_bytes) = (Vec::new(), Cell::new(0));
    let input = CodeInput::stream("f", Box::new(Cursor::new(bytes.to_vec())), format);
    let read = |more: u64| read_bytes.set(read_bytes.get() + more);
    let count = input.for_each(width, &Columns::default(), &read, &mut |entry| {
        entries.push((entry.code.to_vec(), entry.label.map(str::to_owned)));
        Ok(())
    })?;
    assert_eq!((count, read_bytes.get()), (entries.len() as u64, bytes.len() as u64));
    Ok(entries)
}

fn hex(code: &[u8], upper: bool) -> String {
    code.iter().map(|byte| if upper { format!("{byte:02X}") } else { format!("{byte:02x}") }).collect()
}

/// How a file is written, where there is a choice.
#[derive(Clone, Copy, Debug)]
struct Style {
    upper: bool,
    returns: bool,
    mark: bool,
    header: bool,
    blank_lines: bool,
}

impl Style {
    fn lines(self, lines: impl Iterator<Item = String>) -> Vec<u8> {
        let mut text = String::from(if self.mark { "\u{feff}" } else { "" });
        for line in lines {
            text += &line;
            text += if self.returns { "\r\n" } else { "\n" };
            text += if self.blank_lines { " \n\r\n" } else { "" };
        }
        text.into_bytes()
    }

    fn write(self, entries: &[Entry], format: CodeFormat) -> Vec<u8> {
        let cell = |label: &Option<String>| {
            label.as_ref().map_or(String::new(), |label| format!("\"{}\"", label.replace('"', "\"\"")))
        };
        match format {
            CodeFormat::Hex => self.lines(entries.iter().map(|(code, label)| {
                label.iter().fold(hex(code, self.upper), |line, label| line + " \t" + label)
            })),
            CodeFormat::Jsonl => self.lines(entries.iter().map(|(code, label)| {
                serde_json::json!({"size": [1], "label": label, "code": hex(code, self.upper)}).to_string()
            })),
            CodeFormat::Csv if self.header => {
                let rows = entries
                    .iter()
                    .map(|(code, label)| format!("{},7,{}", cell(label), hex(code, self.upper)));
                self.lines(std::iter::once("label,size,code".to_owned()).chain(rows))
            }
            CodeFormat::Csv => self.lines(
                entries.iter().map(|(code, label)| format!("{},{}", hex(code, self.upper), cell(label))),
            ),
            CodeFormat::Binary => entries.iter().flat_map(|(code, _)| code.clone()).collect(),
        }
    }
}

fn styles() -> impl Strategy<Value = Style> {
    any::<[bool; 5]>().prop_map(|[upper, returns, mark, header, blank_lines]| Style {
        upper,
        returns,
        mark,
        header,
        blank_lines,
    })
}

/// Labels of what trips readers.
fn labels() -> impl Strategy<Value = Option<String>> {
    let part =
        prop_oneof!["[a-z ü]{1,4}", "[,\"\r\n\t{}:\\\\]{1,4}", any::<String>(), Just("code".to_owned())];
    prop::option::of(prop::collection::vec(part, 1..4).prop_map(|parts| parts.concat()))
        .prop_map(|label| label.filter(|label| !label.is_empty()))
}

/// Whether a format can hold the labels: lines cannot hold line ends, nor blanks around a label; a bare CSV file cannot begin
/// with what looks like a header.
fn holds(entries: &[Entry], format: CodeFormat, style: Style) -> bool {
    let mut labels = entries.iter().filter_map(|(_, label)| label.as_deref());
    match format {
        CodeFormat::Hex => labels.all(|label| !label.contains('\n') && label.trim_ascii() == label),
        CodeFormat::Csv if !style.header => {
            let first = entries.first().and_then(|(_, label)| label.as_deref());
            first.is_none_or(|label| label.trim_ascii() != "code")
        }
        _ => true,
    }
}

proptest! {
    #[test]
    fn what_is_written_in_any_format_is_read_as_it_was(
        codes in prop::collection::vec((any::<[u8; 32]>(), labels()), 1..8), width in 0usize..4, style in styles(),
    ) {
        let width = Width::ALL[width];
        let code = |code: [u8; 32]| code.iter().cycle().take(width.bytes()).copied().collect::<Vec<u8>>();
        let entries: Vec<Entry> = codes.into_iter().map(|(bytes, label)| (code(bytes), label)).collect();
        for format in FORMATS {
            if !holds(&entries, format, style) {
                continue;
            }
            let found = read(&style.write(&entries, format), format, width).unwrap();
            if format == CodeFormat::Binary {
                let bare: Vec<Entry> = entries.iter().map(|(code, _)| (code.clone(), None)).collect();
                prop_assert_eq!(found, bare);
            } else {
                prop_assert_eq!(&found, &entries, "{:?}", format);
            }
        }
    }

    #[test]
    fn any_bytes_are_read_or_refused(
        parts in prop::collection::vec(
            prop_oneof![
                3 => "[0-9a-fA-F]{16}|[0-9a-f]{32}",
                3 => prop::sample::select(vec![
                    "\"", ",", "\n", "\r\n", "\r", " ", "{", "}", "{\"code\":\"", "\",\"label\":\"", "\"}", "null", "\\u0061",
                    "\\ud800", "code", "label", "\u{feff}", "\"\"", "[", ":", "x",
                ]).prop_map(str::to_owned),
                1 => any::<String>(),
            ].prop_map(String::into_bytes).boxed().prop_union(prop::collection::vec(any::<u8>(), 0..5).boxed()),
            0..20,
        ),
        width in 0usize..2,
    ) {
        let (bytes, width) = (parts.concat(), Width::ALL[width]);
        for format in FORMATS {
            let Ok(entries) = read(&bytes, format, width) else { continue };
            prop_assert!(!entries.is_empty());
            for (code, label) in &entries {
                let sound = label.as_ref().is_none_or(|label| (1..=LABEL_BYTES).contains(&label.len()));
                prop_assert!(code.len() == width.bytes() && sound);
            }
            // Written anew it reads the same.
            let style = Style { upper: false, returns: false, mark: false, header: true, blank_lines: false };
            for format in [CodeFormat::Jsonl, CodeFormat::Csv] {
                prop_assert_eq!(&read(&style.write(&entries, format), format, width).unwrap(), &entries);
            }
        }
    }
}
