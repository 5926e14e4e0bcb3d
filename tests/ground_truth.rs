//! The labelled pairs of the bundled models, all pairs that are related by design: copies are found at E <= 1e-3 and called
//! what they are, independent models are not found, and nor is any pair without a label.

use std::collections::BTreeSet;
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

/// The pairs that are labelled as copies, each in both directions.
fn copies() -> BTreeSet<(String, String)> {
    let mut copies = BTreeSet::new();
    for relation in relations() {
        let (a, b) = (name(&relation, "a"), name(&relation, "b"));
        match relation["relation"].as_str().unwrap() {
            "independent" => {}
            "same" | "near" | "fine-tune" => copies.extend([(a.clone(), b.clone()), (b, a)]),
            other => panic!("unknown relation {other}"),
        }
    }
    assert!(copies.len() > 100, "only {} pairs", copies.len());
    copies
}

#[test]
fn scan_groups_the_labelled_copies_and_nothing_else() {
    let sandbox = Sandbox::new();
    let done = sandbox.phashdb(["scan", "--json", MODELS]).run();
    done.exits(0).is_silent();
    let mut grouped = BTreeSet::new();
    for group in done.of_type("group") {
        let members: Vec<String> = group["members"]
            .as_array()
            .unwrap()
            .iter()
            .map(|member| member["path"].as_str().unwrap().to_owned())
            .collect();
        let pairs = members.iter().flat_map(|a| members.iter().map(move |b| (a.clone(), b.clone())));
        grouped.extend(pairs.filter(|(a, b)| a != b));
    }
    assert_eq!(grouped, copies());
    // Those alone have no neighbour worth naming.
    for alone in done.of_type("alone") {
        assert!(alone["nearest"]["e_value"].as_f64().unwrap() > 1e-2, "{alone}");
    }
}

#[test]
fn query_finds_the_labelled_copies_and_nothing_else() {
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
        found.extend(labels.into_iter().map(|label| (query.to_owned(), label.to_owned())));
    }
    let mut expected = copies();
    expected.extend(files.iter().map(|file| (file.clone(), file.clone())));
    assert_eq!(found, expected);
}

#[test]
fn compare_calls_each_labelled_pair_what_it_is() {
    let sandbox = Sandbox::new();
    for relation in relations() {
        let (a, b) = (name(&relation, "a"), name(&relation, "b"));
        let done = sandbox.phashdb(["compare", "--json", &a, &b]).run();
        let record = done.of_type("compare").remove(0);
        // Folded batch norms rescale channels, and do not change what a view sees that is blind to that.
        let words: &[&str] = match relation["relation"].as_str().unwrap() {
            "same" if relation["identical"] == true => &["identical contents"],
            "same" => &["same weights"],
            "near" => &["same weights", "near copy"],
            "fine-tune" => &["near copy", "related"],
            _ => &["unrelated"],
        };
        let verdict = record["verdict"].as_str().unwrap();
        assert!(words.contains(&verdict), "{verdict}, but {relation}\n{record}");
        done.exits(i32::from(verdict == "unrelated"));
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
