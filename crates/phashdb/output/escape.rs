//! Owns [`visible`]: text from files (names of files, tensors and labels) made harmless for a terminal. Whoever wrote a
//! file chose its names: raw, they could move the cursor, forge lines or reorder what is read. JSON and CSV keep the text.

use std::borrow::Cow;
use std::fmt::Write as _;
use std::path::Path;

/// The text with control characters and invisible marks of direction and joining written as escapes: `\n`, `\x1b`,
/// `\u{202e}`. What it gives is one line. Text without such characters stays as it is, backslashes included.
pub(crate) fn visible(text: &str) -> Cow<'_, str> {
    if !text.chars().any(is_unseen) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len() + 16);
    for character in text.chars() {
        match character {
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            // Writing to a String cannot fail.
            unseen if unseen.is_ascii_control() => _ = write!(out, "\\x{:02x}", u32::from(unseen)),
            unseen if is_unseen(unseen) => _ = write!(out, "\\u{{{:x}}}", u32::from(unseen)),
            seen => out.push(seen),
        }
    }
    Cow::Owned(out)
}

/// The same of a path.
pub(crate) fn visible_path(path: &Path) -> String {
    visible(&path.display().to_string()).into_owned()
}

/// Whether a character acts on a terminal or on its neighbours instead of being seen: C0, DEL and C1 controls, line and
/// paragraph separators, zero-width characters, marks of direction.
fn is_unseen(character: char) -> bool {
    character.is_control()
        || matches!(
            character,
            '\u{61c}'
                | '\u{200b}'..='\u{200f}'
                | '\u{2028}'..='\u{202e}'
                | '\u{2060}'..='\u{2069}'
                | '\u{feff}'
        )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_acts_on_a_terminal_is_written_out() {
        assert_eq!(visible("a\u{1b}[2Jb\nc\rd\te\0\u{7f}"), "a\\x1b[2Jb\\nc\\rd\\te\\x00\\x7f");
        assert_eq!(visible("\u{85}\u{9b}31m"), "\\u{85}\\u{9b}31m");
        assert_eq!(
            visible("x\u{202e}tar\u{2066}\u{feff}\u{200b}"),
            "x\\u{202e}tar\\u{2066}\\u{feff}\\u{200b}"
        );
        for character in ('\0'..='\u{ffff}').filter(|character| is_unseen(*character)) {
            assert!(!visible(&character.to_string()).contains(character), "{character:?}");
        }
    }

    #[test]
    fn other_text_stays_as_it_is() {
        for text in ["", "models/ü–模型 (2).safetensors", "C:\\models\\a.safetensors", "\\n"] {
            assert!(matches!(visible(text), Cow::Borrowed(same) if same == text));
        }
    }
}
