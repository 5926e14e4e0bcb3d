//! Owns the grammar of the header: JSON text to entries, as written, streamed and within limits. What must hold: it
//! accepts what the derived deserializer of the safetensors crate accepts, its odd corners included (an entry may be an
//! array `[dtype, shape, data_offsets]`, a dtype may be `{"F32": null}`, unknown fields are allowed), except duplicates.

use std::fmt;
use std::path::Path;

use serde::de::{self, DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};

use super::dtype::{self, ElementType};
use crate::error::clipped;
use crate::json::{Context, Discard};
use crate::{Error, limits};

/// One tensor as the header states it, nothing checked but the types and the limits.
#[derive(Debug)]
pub(super) struct Stated {
    pub(super) name: String,
    pub(super) fields: Fields,
}

/// The three fields of an entry. Offsets count from the start of the data section.
#[derive(Debug)]
pub(super) struct Fields {
    pub(super) element: ElementType,
    pub(super) shape: Vec<u64>,
    pub(super) data_offsets: (u64, u64),
}

/// Parses the header `text`, which begins at `offset_bytes` of the file at `path`.
pub(super) fn parse(path: &Path, offset_bytes: u64, text: &str) -> Result<Vec<Stated>, Error> {
    let context = Context::new();
    context.parse(path, offset_bytes, text, HeaderSeed(&context))
}

struct HeaderSeed<'c>(&'c Context);

impl<'de> DeserializeSeed<'de> for HeaderSeed<'_> {
    type Value = Vec<Stated>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Vec<Stated>, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for HeaderSeed<'_> {
    type Value = Vec<Stated>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a safetensors header (an object of tensors)")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Vec<Stated>, A::Error> {
        let context = self.0;
        let mut keys = context.keys("the header");
        let mut stated = Vec::new();
        while let Some(name) = map.next_key::<String>()? {
            keys.add(&name)?;
            if name == "__metadata__" {
                map.next_value_seed(MetadataSeed(context))?;
                continue;
            }
            if name.len() > limits::NAME_BYTES {
                return Err(context.too_many("bytes in a tensor's name", limits::NAME_BYTES));
            }
            if stated.len() >= limits::TENSORS {
                return Err(context.too_many("tensors", limits::TENSORS));
            }
            stated.push(Stated { name, fields: map.next_value_seed(FieldsSeed(context))? });
        }
        Ok(stated)
    }
}

/// `__metadata__`: null, or an object of strings. Nothing in it is kept.
struct MetadataSeed<'c>(&'c Context);

impl<'de> DeserializeSeed<'de> for MetadataSeed<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for MetadataSeed<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("__metadata__ as an object of strings")
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let mut keys = self.0.keys("__metadata__");
        while let Some((key, _value)) = map.next_entry::<String, String>()? {
            keys.add(&key)?;
        }
        Ok(())
    }
}

struct FieldsSeed<'c>(&'c Context);

impl<'de> DeserializeSeed<'de> for FieldsSeed<'_> {
    type Value = Fields;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Fields, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for FieldsSeed<'_> {
    type Value = Fields;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a tensor with dtype, shape and data_offsets")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Fields, A::Error> {
        let mut keys = self.0.keys("a tensor's entry");
        let (mut element, mut shape, mut data_offsets) = (None, None, None);
        while let Some(field) = map.next_key::<String>()? {
            keys.add(&field)?;
            match field.as_str() {
                "dtype" => element = Some(map.next_value_seed(DtypeSeed(self.0))?),
                "shape" => shape = Some(map.next_value_seed(ShapeSeed(self.0))?),
                "data_offsets" => data_offsets = Some(map.next_value::<(u64, u64)>()?),
                _ => map.next_value_seed(Discard(self.0))?,
            }
        }
        Ok(Fields {
            element: element.ok_or_else(|| de::Error::missing_field("dtype"))?,
            shape: shape.ok_or_else(|| de::Error::missing_field("shape"))?,
            data_offsets: data_offsets.ok_or_else(|| de::Error::missing_field("data_offsets"))?,
        })
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Fields, A::Error> {
        let element =
            seq.next_element_seed(DtypeSeed(self.0))?.ok_or_else(|| de::Error::invalid_length(0, &self))?;
        let shape =
            seq.next_element_seed(ShapeSeed(self.0))?.ok_or_else(|| de::Error::invalid_length(1, &self))?;
        let data_offsets = seq.next_element()?.ok_or_else(|| de::Error::invalid_length(2, &self))?;
        // A fourth element is refused by serde_json, which wants the array to end here.
        Ok(Fields { element, shape, data_offsets })
    }
}

/// A name, or an object of one name with the value null.
struct DtypeSeed<'c>(&'c Context);

impl<'de> DeserializeSeed<'de> for DtypeSeed<'_> {
    type Value = ElementType;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<ElementType, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for DtypeSeed<'_> {
    type Value = ElementType;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the name of an element type")
    }

    fn visit_str<E: de::Error>(self, name: &str) -> Result<ElementType, E> {
        dtype::by_name(name).ok_or_else(|| {
            let got = clipped(name);
            self.0.stop(|path, offset_bytes| Error::UnknownDtype { path, offset_bytes, got })
        })
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<ElementType, A::Error> {
        let Some((name, ())) = map.next_entry::<String, ()>()? else {
            return Err(de::Error::invalid_length(0, &self));
        };
        // A second name is refused by serde_json, which wants the object to end here.
        self.visit_str(&name)
    }
}

/// An array of sizes, not longer than the limit on axes.
struct ShapeSeed<'c>(&'c Context);

impl<'de> DeserializeSeed<'de> for ShapeSeed<'_> {
    type Value = Vec<u64>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Vec<u64>, D::Error> {
        deserializer.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for ShapeSeed<'_> {
    type Value = Vec<u64>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a shape (an array of sizes)")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Vec<u64>, A::Error> {
        let mut shape = Vec::new();
        while let Some(axis) = seq.next_element()? {
            if shape.len() >= limits::RANK {
                return Err(self.0.too_many("axes of one tensor", limits::RANK));
            }
            shape.push(axis);
        }
        Ok(shape)
    }
}
