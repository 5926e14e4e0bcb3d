//! Owns what names say about sharded models: which file is an index, and which files beside it are its shards, current
//! or stale.

use std::collections::HashSet;
use std::path::Path;

use super::read_index;
use crate::format::safetensors_stem;
use crate::positioned::PositionedFile;

/// Whether a file of this name is taken for a shard index: `*.safetensors.index.json`, or with a variant before the
/// ending, as `*.safetensors.index.fp16.json`. Letters of the endings may be of either case, as everywhere here.
pub(crate) fn is_index_name(name: &str) -> bool {
    index_stem(name).is_some()
}

/// The shards of one index, by name.
#[derive(Debug)]
pub(crate) struct ShardNames {
    /// Named by the index.
    named: HashSet<String>,
    /// What the names of its shards are without their numbers.
    stem: String,
}

impl ShardNames {
    /// Whether the file of that name beside the index is a shard of it, named or stale.
    pub(crate) fn contains(&self, name: &str) -> bool {
        self.named.contains(name) || numbered_stem(name).is_some_and(|stem| stem == self.stem)
    }

    /// Named shards that lie in folders below the index's own.
    pub(crate) fn below(&self) -> impl Iterator<Item = &str> {
        self.named.iter().map(String::as_str).filter(|name| name.contains('/'))
    }
}

/// The shards of the index at `path`. Of an index that cannot be read, those numbered like its shards.
pub(crate) fn shard_names(path: &Path, name: &str) -> ShardNames {
    let stem = match index_stem(name) {
        Some((stem, None)) => stem.to_owned(),
        Some((stem, Some(variant))) => format!("{stem}.{variant}"),
        None => String::new(),
    };
    let index = PositionedFile::open(path, path).and_then(|file| read_index(&file));
    let named = index.map_or_else(
        |_| HashSet::new(),
        |(index, _)| index.shards().map(|(shard, _)| shard.to_owned()).collect(),
    );
    ShardNames { named, stem }
}

/// The stem of an index's name and its variant, if it has one.
fn index_stem(name: &str) -> Option<(&str, Option<&str>)> {
    const MIDDLE: &str = ".safetensors.index.";
    let at = name.to_ascii_lowercase().rfind(MIDDLE)?;
    let (stem, rest) = (&name[..at], &name[at + MIDDLE.len()..]);
    let (variant, ending) =
        rest.rsplit_once('.').map_or((None, rest), |(variant, ending)| (Some(variant), ending));
    ending.eq_ignore_ascii_case("json").then_some((stem, variant))
}

/// `model` of `model-00001-of-00002.safetensors`; `model.fp16` of `model.fp16-00001-of-00002.safetensors` and of
/// `model-00001-of-00002.fp16.safetensors`.
fn numbered_stem(name: &str) -> Option<String> {
    let name = safetensors_stem(name)?;
    let (before, total) = name.rsplit_once("-of-")?;
    let (stem, number) = before.rsplit_once('-')?;
    let (total, variant) = match total.split_once('.') {
        Some((total, variant)) => (total, Some(variant)),
        None => (total, None),
    };
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if !digits(number) || !digits(total) {
        return None;
    }
    Some(variant.map_or_else(|| stem.to_owned(), |variant| format!("{stem}.{variant}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn index_names_with_and_without_a_variant() {
        assert!(is_index_name("model.safetensors.index.json"));
        assert!(is_index_name("diffusion_pytorch_model.safetensors.index.fp16.json"));
        assert!(is_index_name("MODEL.SAFETENSORS.INDEX.JSON"));
        assert_eq!(index_stem("Ü.SafeTensors.Index.FP16.Json"), Some(("Ü", Some("FP16"))));
        for name in [
            "index.json",
            "model.safetensors",
            "pytorch_model.bin.index.json",
            "a.safetensors.index.json.bak",
        ] {
            assert!(!is_index_name(name), "{name}");
        }
    }

    #[test]
    fn numbers_are_cut_out_of_shard_names() {
        let stem = |name| numbered_stem(name);
        assert_eq!(stem("model-00001-of-00002.safetensors").as_deref(), Some("model"));
        assert_eq!(stem("m-1-of-3-00001-of-00002.safetensors").as_deref(), Some("m-1-of-3"));
        assert_eq!(
            stem("M-00001-OF-00002.SAFETENSORS").as_deref(),
            None,
            "only endings may be of either case"
        );
        assert_eq!(stem("M-00001-of-00002.SAFETENSORS").as_deref(), Some("M"));
        assert_eq!(stem("m.fp16-00001-of-00002.safetensors").as_deref(), Some("m.fp16"));
        assert_eq!(stem("m-00001-of-00002.fp16.safetensors").as_deref(), Some("m.fp16"));
        for name in ["model.safetensors", "best-of-2.safetensors", "a-b-of-2.safetensors", "a-1-of-2.bin"] {
            assert_eq!(stem(name), None, "{name}");
        }
    }
}
