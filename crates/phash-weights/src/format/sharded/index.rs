//! Owns [`ShardIndex`]: the `weight_map` of an index, parsed within limits. What must hold: every shard's name is a plain
//! relative path, every tensor is placed once.

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;

use serde::de::{self, DeserializeSeed, Deserializer, MapAccess, Visitor};

use super::confine;
use crate::json::{Context, Discard};
use crate::{Error, limits};

/// Which tensors an index places in which shard.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct ShardIndex {
    placed: BTreeMap<String, Vec<String>>,
}

impl ShardIndex {
    /// Parses the bytes of the index at `path`.
    pub(crate) fn parse(path: &Path, bytes: &[u8]) -> Result<ShardIndex, Error> {
        let text = std::str::from_utf8(bytes).map_err(|error| Error::NotUtf8 {
            path: path.to_path_buf(),
            offset_bytes: u64::try_from(error.valid_up_to()).unwrap_or(u64::MAX),
        })?;
        let context = Context::new();
        let placed = context.parse(path, 0, text, IndexSeed(&context))?;
        Ok(ShardIndex { placed })
    }

    /// The shards by name, each with the tensors placed in it, in the order of the index.
    pub(crate) fn shards(&self) -> impl Iterator<Item = (&str, &[String])> {
        self.placed.iter().map(|(shard, tensors)| (shard.as_str(), tensors.as_slice()))
    }
}

type Placed = BTreeMap<String, Vec<String>>;

struct IndexSeed<'c>(&'c Context);

impl<'de> DeserializeSeed<'de> for IndexSeed<'_> {
    type Value = Placed;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Placed, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for IndexSeed<'_> {
    type Value = Placed;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a shard index (an object with a weight_map)")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Placed, A::Error> {
        let mut keys = self.0.keys("the index");
        let mut placed = None;
        while let Some(key) = map.next_key::<String>()? {
            keys.add(&key)?;
            if key == "weight_map" {
                placed = Some(map.next_value_seed(WeightMapSeed(self.0))?);
            } else {
                map.next_value_seed(Discard(self.0))?;
            }
        }
        placed.ok_or_else(|| de::Error::missing_field("weight_map"))
    }
}

/// An object from tensor names to shard names.
struct WeightMapSeed<'c>(&'c Context);

impl<'de> DeserializeSeed<'de> for WeightMapSeed<'_> {
    type Value = Placed;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Placed, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for WeightMapSeed<'_> {
    type Value = Placed;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a weight_map (an object from tensor names to shard names)")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Placed, A::Error> {
        let context = self.0;
        let mut keys = context.keys("the weight_map");
        let mut placed = Placed::new();
        let mut tensors = 0usize;
        while let Some((tensor, shard)) = map.next_entry::<String, String>()? {
            keys.add(&tensor)?;
            tensors += 1;
            if tensors > limits::TENSORS {
                return Err(context.too_many("tensors", limits::TENSORS));
            }
            if tensor.len() > limits::NAME_BYTES {
                return Err(context.too_many("bytes in a tensor's name", limits::NAME_BYTES));
            }
            if let Some(tensors) = placed.get_mut(&shard) {
                tensors.push(tensor);
                continue;
            }
            if shard.len() > limits::SHARD_NAME_BYTES {
                return Err(context.too_many("bytes in a shard's name", limits::SHARD_NAME_BYTES));
            }
            if placed.len() >= limits::SHARDS {
                return Err(context.too_many("shards", limits::SHARDS));
            }
            if let Err(reason) = confine::check_name(&shard) {
                return Err(context.stop(move |path, _| Error::ShardName { path, shard, reason }));
            }
            placed.insert(shard, vec![tensor]);
        }
        Ok(placed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<ShardIndex, Error> {
        ShardIndex::parse(Path::new("m.safetensors.index.json"), text.as_bytes())
    }

    #[test]
    fn shards_come_sorted_and_foreign_keys_are_ignored() {
        let index =
            parse(r#"{"metadata":{"total_size":1e3,"x":[{}]},"weight_map":{"b":"2","a":"1","c":"2"}}"#);
        let index = index.unwrap();
        let shards: Vec<_> = index.shards().map(|(shard, tensors)| (shard, tensors.to_vec())).collect();
        assert_eq!(shards, [("1", vec!["a".to_owned()]), ("2", vec!["b".to_owned(), "c".to_owned()])]);
    }

    #[test]
    fn a_tensor_placed_twice_is_refused() {
        let error = parse(r#"{"weight_map":{"a":"1","a":"2"}}"#).unwrap_err();
        assert!(
            matches!(&error, Error::DuplicateKey { key, within: "the weight_map", .. } if key == "a"),
            "{error}"
        );
        let error = parse(r#"{"weight_map":{},"weight_map":{}}"#).unwrap_err();
        assert!(matches!(&error, Error::DuplicateKey { within: "the index", .. }), "{error}");
    }

    #[test]
    fn what_is_no_index_is_refused_with_its_place() {
        assert!(matches!(parse("{}"), Err(Error::Malformed { .. })));
        assert!(matches!(parse("[]"), Err(Error::Malformed { .. })));
        assert!(matches!(parse(r#"{"weight_map":{"a":1}}"#), Err(Error::Malformed { .. })));
        assert!(matches!(parse("{\n \"weight_map\": x}"), Err(Error::NotJson { offset_bytes: 17, .. })));
        assert!(matches!(parse(r#"{"weight_map":{}} x"#), Err(Error::NotJson { .. })));
    }

    #[test]
    fn a_shard_name_that_leads_away_is_refused() {
        for name in ["../x", "/x", "a/../../x", "a\\\\b", "C:x", "a\\u0000b", "", "a//b", "./a"] {
            let error = parse(&format!(r#"{{"weight_map":{{"a":"{name}"}}}}"#)).unwrap_err();
            assert!(matches!(error, Error::ShardName { .. }), "{name}: {error}");
        }
    }
}
