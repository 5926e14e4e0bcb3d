//! The safetensors files under `data/models`, read with the `safetensors` crate and not with phash-weights.

use std::fs;
use std::path::{Path, PathBuf};

use phash_core::Dtype;
use safetensors::SafeTensors;

use super::{Model, Tensor};

/// The folder `data` of the repository.
pub(crate) fn data() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../data")
}

/// Every safetensors file (shards and the stale shard count as models), by path under `data/models`, sorted.
pub(crate) fn models() -> Vec<(String, Model)> {
    let root = data().join("models");
    let mut paths = Vec::new();
    collect(&root, &mut paths);
    let mut models: Vec<(String, Model)> = paths
        .iter()
        .map(|path| {
            let names = path.strip_prefix(&root).unwrap().iter().map(|name| name.to_str().unwrap());
            (names.collect::<Vec<_>>().join("/"), read(path))
        })
        .collect();
    models.sort_by(|a, b| a.0.cmp(&b.0));
    assert!(models.len() >= 28, "{} models under {}", models.len(), root.display());
    models
}

fn collect(folder: &Path, paths: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect(&path, paths);
        } else if path.extension().is_some_and(|extension| extension == "safetensors") {
            paths.push(path);
        }
    }
}

fn read(path: &Path) -> Model {
    let bytes = fs::read(path).unwrap();
    let file = SafeTensors::deserialize(&bytes).unwrap();
    let tensor = |(name, view): (String, safetensors::tensor::TensorView)| {
        Tensor::new(&name, dtype(view.dtype()), view.shape(), view.data().to_vec())
    };
    Model::new(file.tensors().into_iter().map(tensor).collect())
}

fn dtype(dtype: safetensors::Dtype) -> Dtype {
    match dtype {
        safetensors::Dtype::F32 => Dtype::F32,
        safetensors::Dtype::F16 => Dtype::F16,
        safetensors::Dtype::BF16 => Dtype::BF16,
        safetensors::Dtype::I64 => Dtype::Other("I64"),
        safetensors::Dtype::I32 => Dtype::Other("I32"),
        other => panic!("no bundled model had {other:?}: add it here"),
    }
}
