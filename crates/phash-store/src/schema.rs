//! Owns [`Schema`]: what a database was created for. It is fixed for the life of the database and stored in the
//! catalog and in each code file's header; databases of different schemas are never mixed.

use std::fmt::Write as _;

use crate::error::{Error, Result};

/// The greatest number of views a database can have.
pub const MAX_VIEWS: usize = 16;
/// The greatest length of a view's name in bytes.
pub const MAX_VIEW_NAME_BYTES: usize = 32;

/// The view of a database of raw codes; it names their files.
const RAW_VIEW: &str = "raw";

/// What a database holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Contents {
    /// Models and their tensors: a code of each in every view, and rows that tell of them.
    Models,
    /// Raw codes of one width, each with a label or none; nothing else is known of them.
    Codes,
}

impl Contents {
    /// The version of the format of code files, which have not changed since the first databases.
    pub(crate) fn code_file_version(self) -> u32 {
        match self {
            Self::Models => 1,
            Self::Codes => 2,
        }
    }

    /// The kinds of code files that each view has, in order.
    pub(crate) fn kinds(self) -> &'static [Kind] {
        match self {
            Self::Models => &[Kind::Model, Kind::Tensor],
            Self::Codes => &[Kind::Raw, Kind::LabelPlace, Kind::LabelText],
        }
    }
}

impl std::fmt::Display for Contents {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Models => "models",
            Self::Codes => "raw codes",
        })
    }
}

/// What a database was made for: what it holds, and the hash that made its codes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Schema {
    /// What it holds.
    pub contents: Contents,
    /// Fingerprint of the hasher's parameters: equal fingerprints mean comparable codes. Zeros for raw codes, whose
    /// hash nobody knows.
    pub parameters: [u8; 32],
    /// The views, in the order in which every model and tensor gives its codes.
    pub views: Vec<ViewSpec>,
}

/// One view: a way of hashing a model, with codes of one width.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ViewSpec {
    /// Name: 1 to 32 of `a-z 0-9 _ -`; names the code file.
    pub name: String,
    /// Width of a code in 64-bit words: 1, 2, 4 or 8.
    pub words: u32,
}

impl ViewSpec {
    /// The width of a code in bytes.
    pub fn code_bytes(&self) -> usize {
        self.words as usize * 8
    }
}

impl Schema {
    /// A database of raw codes of `words` 64-bit words.
    pub fn codes(words: u32) -> Self {
        let views = vec![ViewSpec { name: RAW_VIEW.to_owned(), words }];
        Self { contents: Contents::Codes, parameters: [0; 32], views }
    }

    /// Checks names, widths and number of the views.
    ///
    /// # Errors
    /// [`Error::InvalidInput`] says which rule is broken.
    pub fn validate(&self) -> Result<()> {
        let invalid = |what: String| Err(Error::InvalidInput { what });
        let raw = self.contents == Contents::Codes;
        if raw && (self.views.len() != 1 || self.views[0].name != RAW_VIEW || self.parameters != [0; 32]) {
            return invalid("a database of raw codes has one view, and no parameters".to_owned());
        }
        if self.views.is_empty() || self.views.len() > MAX_VIEWS {
            return invalid(format!("a schema has 1 to {MAX_VIEWS} views, not {}", self.views.len()));
        }
        for (number, view) in self.views.iter().enumerate() {
            if !is_view_name(&view.name) {
                return invalid(format!(
                    "view name {:?}: it must be 1 to {MAX_VIEW_NAME_BYTES} of a-z 0-9 _ -",
                    view.name
                ));
            }
            if !matches!(view.words, 1 | 2 | 4 | 8) {
                return invalid(format!(
                    "view {}: codes have 1, 2, 4 or 8 words, not {}",
                    view.name, view.words
                ));
            }
            if self.views[..number].iter().any(|other| other.name == view.name) {
                return invalid(format!("view {} is there twice", view.name));
            }
        }
        Ok(())
    }

    /// The number of the view with this name.
    ///
    /// # Errors
    /// [`Error::UnknownView`] if there is none.
    pub fn view_number(&self, name: &str) -> Result<usize> {
        self.views.iter().position(|view| view.name == name).ok_or_else(|| Error::UnknownView {
            view: name.to_owned(),
            known: self.views.iter().map(|view| view.name.as_str()).collect::<Vec<_>>().join(", "),
        })
    }

    /// The schema in a few words, for error messages: views with widths, fingerprint.
    pub(crate) fn describe(&self) -> String {
        let mut text = String::new();
        for view in &self.views {
            let _ = write!(text, "{}:{} ", view.name, view.words * 64);
        }
        text + &hex(&self.parameters)
    }
}

pub(crate) fn is_view_name(name: &str) -> bool {
    (1..=MAX_VIEW_NAME_BYTES).contains(&name.len())
        && name.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'_' | b'-'))
}

/// Bytes in order, two digits each.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// What a code file has one code (or other record of a fixed width) for. A code id is the same item in every file of
/// one kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// One code a model.
    Model,
    /// One code a tensor.
    Tensor,
    /// One raw code.
    Raw,
    /// Where the label of a raw code lies in the labels' text: 8 bytes each.
    LabelPlace,
    /// The labels' text, in pieces of 64 bytes.
    LabelText,
}

impl Kind {
    /// The number on disk.
    pub(crate) fn number(self) -> u32 {
        match self {
            Self::Model => 0,
            Self::Tensor => 1,
            Self::Raw => 2,
            Self::LabelPlace => 3,
            Self::LabelText => 4,
        }
    }

    /// The kind of a number on disk.
    pub(crate) fn of_number(number: u32) -> Option<Self> {
        let all = [Self::Model, Self::Tensor, Self::Raw, Self::LabelPlace, Self::LabelText];
        all.into_iter().find(|kind| kind.number() == number)
    }

    /// What the databases hold that have files of this kind.
    pub(crate) fn contents(self) -> Contents {
        match self {
            Self::Model | Self::Tensor => Contents::Models,
            Self::Raw | Self::LabelPlace | Self::LabelText => Contents::Codes,
        }
    }

    /// How many 64-bit words a record has, in a view whose codes have `words`.
    pub(crate) fn words(self, words: u32) -> u32 {
        match self {
            Self::Model | Self::Tensor | Self::Raw => words,
            Self::LabelPlace => 1,
            Self::LabelText => 8,
        }
    }

    /// The name of the code file of a view in an edition. No view has a `+` in its name.
    pub(crate) fn file_name(self, view: &str, edition: u32) -> String {
        let (stem, ending) = self.name_parts(view);
        match edition {
            0 => format!("{stem}{ending}"),
            edition => format!("{stem}+{edition}{ending}"),
        }
    }

    /// The edition that a file of this kind and view is of, if it is one.
    pub(crate) fn edition_of(self, view: &str, name: &str) -> Option<u32> {
        let (stem, ending) = self.name_parts(view);
        let number = name.strip_suffix(ending)?.strip_prefix(stem.as_str())?;
        let edition = if number.is_empty() { 0 } else { number.strip_prefix('+')?.parse().ok()? };
        (self.file_name(view, edition) == name).then_some(edition)
    }

    fn name_parts(self, view: &str) -> (String, &'static str) {
        match self {
            Self::Model | Self::Raw => (view.to_owned(), ".codes"),
            Self::Tensor => (format!("tensors.{view}"), ".codes"),
            Self::LabelPlace => (view.to_owned(), ".labels"),
            Self::LabelText => (view.to_owned(), ".text"),
        }
    }
}

/// Whether a file of this name can be a code file.
pub(crate) fn is_code_file_name(name: &str) -> bool {
    [".codes", ".labels", ".text"].iter().any(|ending| name.ends_with(ending))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn schema(views: &[(&str, u32)]) -> Schema {
        Schema {
            contents: Contents::Models,
            parameters: [7; 32],
            views: views.iter().map(|&(name, words)| ViewSpec { name: name.to_owned(), words }).collect(),
        }
    }

    #[test]
    fn names_of_code_files_tell_kind_view_and_edition_apart() {
        for (kind, edition, name) in [
            (Kind::Model, 0, "tensors.codes"),
            (Kind::Model, 3, "tensors+3.codes"),
            (Kind::Tensor, 0, "tensors.tensors.codes"),
            (Kind::Tensor, u32::MAX, "tensors.tensors+4294967295.codes"),
            (Kind::LabelText, 12, "tensors+12.text"),
        ] {
            assert_eq!(kind.file_name("tensors", edition), name);
            let kinds = [Kind::Model, Kind::Tensor, Kind::LabelPlace, Kind::LabelText];
            for other in kinds {
                let expected = (other == kind).then_some(edition);
                assert_eq!(other.edition_of("tensors", name), expected, "{other:?}, {name}");
                assert_eq!(other.edition_of("energy", name), None);
            }
        }
        for name in
            ["a+.codes", "a+0.codes", "a+03.codes", "a+-1.codes", "a+4294967296.codes", "ab.codes", "a"]
        {
            assert_eq!(Kind::Model.edition_of("a", name), None, "{name}");
        }
    }

    #[test]
    fn each_rule_of_a_schema_is_checked() {
        assert!(schema(&[("energy", 4), ("b_2-x", 1)]).validate().is_ok());
        let bad: &[&[(&str, u32)]] = &[
            &[],
            &[("", 4)],
            &[("Energy", 4)],
            &[("../x", 4)],
            &[("tensors.a", 4)],
            &[("a", 3)],
            &[("a", 0)],
            &[("a", 4), ("a", 2)],
        ];
        for views in bad {
            assert!(matches!(schema(views).validate(), Err(Error::InvalidInput { .. })), "{views:?}");
        }
        assert!(schema(&[(&"x".repeat(33), 4)]).validate().is_err());
        let many: Vec<String> = (0..17).map(|n| format!("v{n}")).collect();
        assert!(Schema::codes(8).validate().is_ok() && Schema::codes(3).validate().is_err());
        let raw = Schema::codes(1);
        assert!(Schema { parameters: [1; 32], ..raw.clone() }.validate().is_err());
        assert!(Schema { views: schema(&[("energy", 1)]).views, ..raw }.validate().is_err());
        assert!(schema(&many.iter().map(|n| (n.as_str(), 1)).collect::<Vec<_>>()).validate().is_err());
    }
}
