//! The labelled pairs of the bundled models: copies are found at E <= 1e-3, independent models are not. Models that are
//! weak say so instead: with so few features nothing can be told.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use serde_json::Value;

use crate::support::{MODELS, Sandbox};

fn relations() -> Vec<Value> {
    let text = fs::read_to_string(format!("{MODELS}/relations.jsonl")).expect("relations.jsonl");
    text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
}

fn name(relation: &Value, side: &str) -> String {
    format!("{MODELS}/{}", relation[side].as_str().expect("a path"))
}

#[test]
fn scan_groups_labelled_copies_and_no_independent_models() {
    let sandbox = Sandbox::new();
    let done = sandbox.phashdb(["scan", "--json", MODELS]).run();
    done.exits(0).is_silent();
    let mut groups: BTreeMap<String, usize> = BTreeMap::new();
    for (number, group) in done.of_type("group").iter().enumerate() {
        for member in group["members"].as_array().unwrap() {
            groups.insert(member["path"].as_str().unwrap().to_owned(), number);
        }
    }
    let mut weak = BTreeSet::new();
    for alone in done.of_type("alone") {
        if alone["weak"] == true {
            weak.insert(alone["path"].as_str().unwrap().to_owned());
        }
    }
    let mut checked = 0;
    for relation in relations() {
        let (a, b) = (name(&relation, "a"), name(&relation, "b"));
        let together = groups.contains_key(&a) && groups.get(&a) == groups.get(&b);
        match relation["relation"].as_str().unwrap() {
            "independent" => assert!(!together, "grouped, but {relation}"),
            "same" | "near" | "fine-tune" => {
                assert!(together || weak.contains(&a) || weak.contains(&b), "not grouped, but {relation}");
            }
            other => panic!("unknown relation {other}"),
        }
        checked += 1;
    }
    assert!(checked > 50, "only {checked} pairs");
    assert!(weak.len() <= 4, "too many excuses: {weak:?}");
}

#[test]
fn query_finds_each_labelled_copy_and_no_independent_model() {
    let sandbox = Sandbox::new();
    sandbox.phashdb(["ingest", "-q", MODELS]).run().exits(0);
    let mut files: Vec<String> = relations().iter().flat_map(|r| [name(r, "a"), name(r, "b")]).collect();
    files.sort_unstable();
    files.dedup();
    let mut args = vec!["query".to_owned(), "--json".to_owned()];
    args.extend(files.iter().cloned());
    let mut found: BTreeSet<(String, String)> = BTreeSet::new();
    for record in sandbox.phashdb(&args).run().exits(0).of_type("match") {
        let query = record["query"].as_str().unwrap();
        let mut labels = vec![record["label"].as_str().unwrap()];
        labels.extend(record["also"].as_array().unwrap().iter().map(|label| label.as_str().unwrap()));
        for label in labels {
            found.insert((query.to_owned(), label.to_owned()));
        }
    }
    let weak: BTreeSet<String> = sandbox
        .run("list --json")
        .of_type("model")
        .iter()
        .filter(|model| model["weak"] == true)
        .map(|model| model["label"].as_str().unwrap().to_owned())
        .collect();
    for relation in relations() {
        let (a, b) = (name(&relation, "a"), name(&relation, "b"));
        let pairs = [(a.clone(), b.clone()), (b.clone(), a.clone())];
        if relation["relation"] == "independent" {
            assert!(pairs.iter().all(|pair| !found.contains(pair)), "found, but {relation}");
        } else if !weak.contains(&a) && !weak.contains(&b) {
            assert!(pairs.iter().all(|pair| found.contains(pair)), "not found, but {relation}");
        }
    }
}

#[test]
fn contents_labelled_identical_have_the_same_digest_and_others_do_not() {
    let sandbox = Sandbox::new();
    let digest = |path: &str| {
        let done = sandbox.phashdb(["hash", "--json", path]).run();
        done.exits(0).of_type("hash")[0]["content_digest"].clone()
    };
    let parent = format!("{MODELS}/fashion-cnn/twin-1.safetensors");
    let own = digest(&parent);
    let mut identical = 0;
    for relation in relations().iter().filter(|relation| name(relation, "a") == parent) {
        let same = digest(&name(relation, "b")) == own;
        assert_eq!(same, relation["identical"] == true, "{relation}");
        identical += usize::from(same);
    }
    assert!(identical >= 2);
}
