//! Partial copies: backbones, heads, merges and tampering, made here with known tensors, are named by `query --tensors` and by
//! `compare`.

use serde_json::Value;

use crate::support::{Random, Sandbox, Tensor, safetensors, tensors, weights};

/// A model with a head of so many classes.
fn with_head(seed: u64, classes: u64) -> Vec<Tensor> {
    let mut model = tensors(seed);
    let mut random = Random(seed ^ 0xbead);
    let bytes = weights(&mut random, classes, 64);
    model.push(Tensor { name: "head.weight".to_owned(), dtype: "F32", shape: vec![classes, 64], bytes });
    model
}

/// A library of three models that have nothing in common.
fn library() -> Sandbox {
    let sandbox = Sandbox::new();
    for (name, seed) in [("a.safetensors", 1), ("b.safetensors", 2), ("c.safetensors", 3)] {
        sandbox.file(name, &safetensors(&with_head(seed, 50)));
    }
    sandbox.run("ingest a.safetensors b.safetensors c.safetensors").exits(0);
    sandbox
}

/// What `query --tensors` says of these tensors: the record of the whole, those of models, those of tensors.
#[track_caller]
fn ask(sandbox: &Sandbox, tensors: &[Tensor]) -> (Value, Vec<Value>, Vec<Value>) {
    sandbox.file("suspect.safetensors", &safetensors(tensors));
    let done = sandbox.run("query --json --tensors suspect.safetensors");
    let whole = done.exits(0).of_type("parts").remove(0);
    (whole, done.of_type("part"), done.of_type("tensor"))
}

fn verdict(whole: &Value) -> &str {
    whole["verdict"].as_str().unwrap()
}

fn replace(tensor: &mut Tensor, seed: u64) {
    tensor.bytes = weights(&mut Random(seed), tensor.shape[0], tensor.shape[1]);
}

fn values(tensor: &Tensor) -> Vec<f32> {
    tensor.bytes.as_chunks::<4>().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect()
}

fn bf16(tensors: &mut [Tensor]) {
    for tensor in tensors {
        tensor.bytes =
            tensor.bytes.as_chunks::<4>().0.iter().flat_map(|bytes| [bytes[2], bytes[3]]).collect();
        tensor.dtype = "BF16";
    }
}

#[test]
fn a_backbone_under_a_new_head_is_named_whatever_the_precision_and_the_names() {
    let sandbox = library();
    let mut suspect = with_head(2, 50);
    suspect.pop();
    suspect.extend(with_head(77, 40).pop());
    bf16(&mut suspect);
    let (whole, models, found) = ask(&sandbox, &suspect);
    assert_eq!(verdict(&whole), "backbone of b.safetensors (6 of 7 tensors), new head");
    assert_eq!(models.len(), 1, "{models:?}");
    assert_eq!((&models[0]["kept"], &models[0]["replaced"]), (&6.into(), &1.into()), "{}", models[0]);
    for tensor in &found {
        let is_head = tensor["name"] == "head.weight";
        assert_eq!(tensor["models"], if is_head { 0 } else { 1 }, "{tensor}");
        assert_eq!(tensor["standing"], if is_head { Value::Null } else { "kept".into() }, "{tensor}");
        assert_eq!(tensor["stored_name"], if is_head { Value::Null } else { tensor["name"].clone() });
    }
    for (number, tensor) in suspect.iter_mut().enumerate() {
        tensor.name = format!("t{number}");
    }
    // The last matrix is taken for the head where names say nothing.
    let (whole, ..) = ask(&sandbox, &suspect);
    assert_eq!(verdict(&whole), "backbone of b.safetensors (6 of 7 tensors), new head");
}

#[test]
fn the_tampered_tensor_is_named_alone_and_comes_first_in_compare() {
    let sandbox = library();
    let mut suspect = with_head(3, 50);
    let place = suspect.iter().position(|tensor| tensor.name == "layers.3.weight").unwrap();
    replace(&mut suspect[place], 99);
    let (whole, models, found) = ask(&sandbox, &suspect);
    assert_eq!(verdict(&whole), "c.safetensors, tampered: layers.3.weight only");
    assert_eq!(models[0]["finding"], "tampered");
    let lost: Vec<&Value> =
        found.iter().filter(|tensor| tensor["models"] == 0).map(|tensor| &tensor["name"]).collect();
    assert_eq!(lost, ["layers.3.weight"]);

    let done = sandbox.run("compare --json suspect.safetensors c.safetensors");
    let (record, pairs) = (done.exits(0).of_type("compare").remove(0), done.of_type("tensor"));
    assert_eq!(record["finding"], "tampered");
    assert_eq!((&record["tensors"]["kept"], &record["tensors"]["replaced"]), (&6.into(), &1.into()));
    assert_eq!((&pairs[0]["a"], &pairs[0]["standing"]), (&"layers.3.weight".into(), &"replaced".into()));
    assert!(pairs[1..].iter().all(|pair| pair["standing"] == "kept"), "{pairs:?}");
    sandbox
        .run("compare suspect.safetensors c.safetensors")
        .prints("tampered: layers.3.weight only: 6 of 7 tensors kept, 1 replaced");
}

#[test]
fn where_bytes_are_the_same_a_single_changed_weight_is_seen() {
    let sandbox = library();
    let mut suspect = with_head(3, 50);
    let tensor = suspect.iter_mut().find(|tensor| tensor.name == "layers.2.weight").unwrap();
    tensor.bytes[400..404].copy_from_slice(&0.3f32.to_le_bytes());
    sandbox.file("suspect.safetensors", &safetensors(&suspect));
    let done = sandbox.run("compare --json suspect.safetensors c.safetensors");
    let pairs = done.exits(0).of_type("tensor");
    assert_eq!((&pairs[0]["a"], &pairs[0]["standing"]), (&"layers.2.weight".into(), &"changed".into()));
    assert_eq!(done.of_type("compare")[0]["finding"], "tampered");
    // In another precision bytes say nothing, and one weight is no more than rounding.
    bf16(&mut suspect);
    sandbox.file("suspect.safetensors", &safetensors(&suspect));
    let done = sandbox.run("compare --json suspect.safetensors c.safetensors");
    assert_eq!(done.exits(0).of_type("compare")[0]["finding"], "same tensors");
}

#[test]
fn a_model_put_together_of_two_is_a_merge_of_both() {
    let sandbox = library();
    let mut suspect = with_head(1, 50);
    for (ours, theirs) in suspect.iter_mut().zip(with_head(2, 50)) {
        if ["layers.1.weight", "layers.4.weight", "head.weight"].contains(&ours.name.as_str()) {
            *ours = theirs;
        }
    }
    let (whole, models, _) = ask(&sandbox, &suspect);
    assert_eq!(verdict(&whole), "merge of a.safetensors (4 of 7 tensors) and b.safetensors (3)");
    assert_eq!(whole["parents"], serde_json::json!([0, 1]));
    assert_eq!(models.len(), 2);
}

#[test]
fn an_average_of_two_models_is_a_merge_of_both_and_their_parent_is_not() {
    let sandbox = Sandbox::new();
    let parent = tensors(5);
    // Two fine-tunes, each with changes of its own.
    let tuned = |seed: u64, share: f32| {
        let mut random = Random(seed);
        let mut model = tensors(5);
        for tensor in model.iter_mut().filter(|tensor| tensor.shape.len() == 2) {
            let noise = weights(&mut random, tensor.shape[0], tensor.shape[1]);
            let noise = Tensor { bytes: noise, name: String::new(), dtype: "F32", shape: vec![] };
            let mixed = values(tensor).into_iter().zip(values(&noise)).map(|(w, n)| w + share * n);
            tensor.bytes = mixed.flat_map(f32::to_le_bytes).collect();
        }
        model
    };
    let (a, b) = (tuned(6, 0.7), tuned(7, 0.7));
    sandbox.file("a.safetensors", &safetensors(&a));
    sandbox.file("b.safetensors", &safetensors(&b));
    sandbox.run("ingest a.safetensors b.safetensors").exits(0);
    let mut average = tensors(5);
    for ((tensor, a), b) in average.iter_mut().zip(&a).zip(&b) {
        let mean = values(a).into_iter().zip(values(b)).map(|(a, b)| (a + b) / 2.0);
        tensor.bytes = mean.flat_map(f32::to_le_bytes).collect();
    }
    let (whole, models, _) = ask(&sandbox, &average);
    assert_eq!(models.len(), 2, "{whole} {models:?}");
    assert!(verdict(&whole).contains("tensors lie between them"), "{whole}");
    assert_eq!(whole["parents"].as_array().unwrap().len(), 2);
    // Both have come from the parent, which is no average of them.
    let (whole, ..) = ask(&sandbox, &parent);
    assert!(!verdict(&whole).contains("merge"), "{whole}");
}

#[test]
fn a_stranger_stands_nowhere_and_an_id_stands_in_its_copies() {
    let sandbox = library();
    sandbox.file("stranger.safetensors", &safetensors(&with_head(44, 50)));
    let done = sandbox.run("query --json --tensors stranger.safetensors");
    let whole = done.exits(1).of_type("parts").remove(0);
    assert_eq!(verdict(&whole), "no stored model has any of its tensors");
    assert!(done.of_type("part").is_empty());
    assert!(done.of_type("tensor").iter().all(|tensor| tensor["models"] == 0 && tensor["id"].is_null()));
    sandbox.run("query --tensors stranger.safetensors").exits(1).prints("no stored model has any");

    let mut copy = with_head(1, 50);
    bf16(&mut copy);
    sandbox.file("copy.safetensors", &safetensors(&copy));
    sandbox.run("ingest copy.safetensors").exits(0);
    let done = sandbox.run("query --json --tensors --id 3");
    assert_eq!(done.exits(0).of_type("parts")[0]["verdict"], "same tensors as a.safetensors");
    assert_eq!(done.of_type("part").len(), 1, "not itself");
    sandbox.run("query --tensors --id 9").exits(2).says("no model has id 9");
    sandbox.run("query --tensors --radius 3 a.safetensors").exits(2);
}

#[test]
fn a_limit_cuts_the_list_of_models_and_says_so() {
    let sandbox = Sandbox::new();
    for copy in 0..5u64 {
        let mut model = tensors(1);
        replace(&mut model[0], 100 + copy);
        sandbox.file(&format!("{copy}.safetensors"), &safetensors(&model));
    }
    sandbox.run("ingest .").exits(0);
    let done = sandbox.run("query --json --tensors -k 2 0.safetensors");
    assert_eq!(done.exits(0).of_type("part").len(), 2);
    assert_eq!(
        (&done.of_type("parts")[0]["models"], &done.of_type("summary")[0]["models"]),
        (&5.into(), &5.into())
    );
    sandbox.run("query --tensors -k 2 0.safetensors").prints("and 3 more models");
}

#[test]
fn records_and_columns_of_the_search_by_parts_keep_the_contract() {
    let sandbox = library();
    let done = sandbox.run("query --format csv --tensors a.safetensors");
    let text = done.exits(0).stdout();
    let mut lines = text.lines();
    let columns = lines.next().unwrap().split(',').count();
    assert!(text.starts_with("type,query,verdict,id,label,finding,"), "{text}");
    assert_eq!(lines.clone().count(), 1 + 1 + 7);
    assert!(lines.all(|line| line.split(',').count() == columns), "{text}");
    let done = sandbox.run("query --json --tensors a.safetensors");
    let part = done.exits(0).of_type("part").remove(0);
    for field in ["id", "kept", "changed", "replaced", "too_small", "added"] {
        assert!(part[field].is_u64(), "{field}: {part}");
    }
    assert!(part["e_value"].as_f64().unwrap() < 1e-20 && part["weights_share"] == 1.0, "{part}");
    sandbox.run("query -q --tensors a.safetensors").exits(0).is_silent();
}
