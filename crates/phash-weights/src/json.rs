//! Owns what header and index have in common: JSON parsed as a stream, never as a tree, with duplicate keys refused at
//! every level and the number of keys bounded. Accepts and refuses exactly what serde_json does otherwise.

use std::cell::{Cell, RefCell};
use std::collections::HashSet;
use std::fmt;
use std::path::{Path, PathBuf};

use serde::de::{self, DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::error::Category;

use crate::error::clipped;
use crate::{Error, limits};

/// Makes the typed error once the place in the file is known.
type Fault = Box<dyn FnOnce(PathBuf, u64) -> Error>;

/// What all visitors of one parse share: the typed error that stopped it, and the budget of keys.
pub(crate) struct Context {
    fault: RefCell<Option<Fault>>,
    keys_left: Cell<usize>,
}

impl Context {
    pub(crate) fn new() -> Context {
        Context { fault: RefCell::new(None), keys_left: Cell::new(limits::KEYS) }
    }

    /// Parses all of `text` with `seed`. `offset_bytes` is where the text begins in the file at `path`.
    pub(crate) fn parse<'de, S: DeserializeSeed<'de>>(
        &self,
        path: &Path,
        offset_bytes: u64,
        text: &'de str,
        seed: S,
    ) -> Result<S::Value, Error> {
        let mut json = serde_json::Deserializer::from_str(text);
        let parsed = seed.deserialize(&mut json).and_then(|value| json.end().map(|()| value));
        parsed.map_err(|error| {
            let path = path.to_path_buf();
            let offset_bytes = offset_bytes + position(text, error.line(), error.column());
            match (self.fault.take(), error.classify()) {
                (Some(fault), _) => fault(path, offset_bytes),
                (None, Category::Data) => Error::Malformed { path, offset_bytes, message: message(&error) },
                (None, _) => Error::NotJson { path, offset_bytes, message: message(&error) },
            }
        })
    }

    /// Stops the parse with a typed error; the text of the value returned is never seen.
    pub(crate) fn stop<E: de::Error>(&self, fault: impl FnOnce(PathBuf, u64) -> Error + 'static) -> E {
        self.fault.replace(Some(Box::new(fault)));
        E::custom("stopped")
    }

    /// Stops the parse because there are more than `limit` of `what`.
    pub(crate) fn too_many<E: de::Error>(&self, what: &'static str, limit: usize) -> E {
        let limit = limit as u64;
        self.stop(move |path, offset_bytes| Error::TooMany { path, offset_bytes, what, limit })
    }

    /// The keys of one object, to find duplicates.
    pub(crate) fn keys(&self, within: &'static str) -> Keys<'_> {
        Keys { context: self, within, seen: HashSet::new() }
    }
}

/// The keys seen so far in one object.
pub(crate) struct Keys<'c> {
    context: &'c Context,
    within: &'static str,
    seen: HashSet<String>,
}

impl Keys<'_> {
    /// Refuses a key that was there before, and one beyond the budget of the whole text.
    pub(crate) fn add<E: de::Error>(&mut self, key: &str) -> Result<(), E> {
        let Some(left) = self.context.keys_left.get().checked_sub(1) else {
            return Err(self.context.too_many("JSON keys", limits::KEYS));
        };
        self.context.keys_left.set(left);
        if self.seen.insert(key.to_owned()) {
            return Ok(());
        }
        let (key, within) = (key.to_owned(), self.within);
        Err(self.context.stop(move |path, offset_bytes| Error::DuplicateKey {
            path,
            offset_bytes,
            key,
            within,
        }))
    }
}

/// Parses any value in full and drops it. Unlike serde's `IgnoredAny` it has serde_json check numbers, escapes and
/// depth, so that a value nobody defined is refused whenever a parser that builds it would refuse it.
#[derive(Clone, Copy)]
pub(crate) struct Discard<'c>(pub(crate) &'c Context);

impl<'de> DeserializeSeed<'de> for Discard<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Discard<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any value")
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_bool<E>(self, _: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_i64<E>(self, _: i64) -> Result<(), E> {
        Ok(())
    }

    fn visit_u64<E>(self, _: u64) -> Result<(), E> {
        Ok(())
    }

    fn visit_f64<E>(self, _: f64) -> Result<(), E> {
        Ok(())
    }

    fn visit_str<E>(self, _: &str) -> Result<(), E> {
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        while seq.next_element_seed(self)?.is_some() {}
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let mut keys = self.0.keys("an object");
        while let Some(key) = map.next_key::<String>()? {
            keys.add(&key)?;
            map.next_value_seed(self)?;
        }
        Ok(())
    }
}

/// What serde_json says, without line and column, which say nothing about a file with binary parts.
fn message(error: &serde_json::Error) -> String {
    let text = error.to_string();
    clipped(text.rsplit_once(" at line ").map_or(text.as_str(), |(message, _)| message))
}

/// Byte offset of serde_json's line and column (both from 1; 0 where it knows none).
fn position(text: &str, line: usize, column: usize) -> u64 {
    let lines_before = line.saturating_sub(1);
    let line_start = if lines_before == 0 {
        0
    } else {
        text.bytes()
            .enumerate()
            .filter(|(_, byte)| *byte == b'\n')
            .nth(lines_before - 1)
            .map_or(0, |(at, _)| at + 1)
    };
    let offset = (line_start + column.saturating_sub(1)).min(text.len());
    u64::try_from(offset).unwrap_or(u64::MAX)
}
