//! Owns [`Schema`]: what a database was created for. It is fixed for the life of the database and stored in the
//! catalog and in each code file's header; databases of different schemas are never mixed.

use std::fmt::Write as _;

use crate::error::{Error, Result};

/// The greatest number of views a database can have.
pub const MAX_VIEWS: usize = 16;
/// The greatest length of a view's name in bytes.
pub const MAX_VIEW_NAME_BYTES: usize = 32;

/// The hash that a database holds codes of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Schema {
    /// Fingerprint of the hasher's parameters: equal fingerprints mean comparable codes.
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
    /// Checks names, widths and number of the views.
    ///
    /// # Errors
    /// [`Error::InvalidInput`] says which rule is broken.
    pub fn validate(&self) -> Result<()> {
        let invalid = |what: String| Err(Error::InvalidInput { what });
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

/// What a code file has one code for: `models` or `tensors`. A code id is the same item in every file of one kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// One code a model.
    Model,
    /// One code a tensor.
    Tensor,
}

impl Kind {
    /// The number on disk.
    pub(crate) fn number(self) -> u32 {
        match self {
            Self::Model => 0,
            Self::Tensor => 1,
        }
    }

    /// The name of the code file of a view.
    pub(crate) fn file_name(self, view: &str) -> String {
        match self {
            Self::Model => format!("{view}.codes"),
            Self::Tensor => format!("tensors.{view}.codes"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn schema(views: &[(&str, u32)]) -> Schema {
        Schema {
            parameters: [7; 32],
            views: views.iter().map(|&(name, words)| ViewSpec { name: name.to_owned(), words }).collect(),
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
        assert!(schema(&many.iter().map(|n| (n.as_str(), 1)).collect::<Vec<_>>()).validate().is_err());
    }
}
