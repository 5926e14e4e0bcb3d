//! Searching: each mode against distances computed here, from the codes that `hash` prints.

use phash_core::View;
use serde_json::Value;

use crate::support::{MODELS, Sandbox};

/// A model's codes by view.
type Codes = [Option<Vec<u8>>; View::COUNT];

/// The views' places in [`Codes`].
const ALL: &[View] = &View::ALL;

/// A library of the bundled models, and the stored models' codes by id and view, read by `hash`.
fn library() -> (Sandbox, Vec<Codes>) {
    let sandbox = Sandbox::new();
    sandbox.phashdb(["ingest", "-q", MODELS]).run().exits(0);
    let models = sandbox.run("list --json").of_type("model");
    let mut args = vec!["hash".to_owned(), "--json".to_owned()];
    args.extend(models.iter().map(|model| model["label"].as_str().unwrap().to_owned()));
    let hashes = sandbox.phashdb(&args).run().exits(0).of_type("hash");
    (
        sandbox,
        hashes.iter().map(|hash| View::ALL.map(|view| bytes(&hash["views"][view.name()]["code"]))).collect(),
    )
}

fn bytes(code: &Value) -> Option<Vec<u8>> {
    let hex = code.as_str()?;
    Some((0..hex.len() / 2).map(|i| u8::from_str_radix(&hex[2 * i..2 * i + 2], 16).unwrap()).collect())
}

fn distance(a: &[u8], b: &[u8]) -> u64 {
    a.iter().zip(b).map(|(a, b)| u64::from((a ^ b).count_ones())).sum()
}

/// (distance, id) of every model with a code in one of the views, in the order in which they must be reported.
fn oracle(codes: &[Codes], query: &Codes, views: &[View]) -> Vec<(u64, u64)> {
    let mut all: Vec<(u64, u64)> = (0u64..)
        .zip(codes)
        .filter_map(|(id, code)| {
            let of = |&view: &View| {
                Some(distance(query[view as usize].as_deref()?, code[view as usize].as_deref()?))
            };
            Some((views.iter().filter_map(of).min()?, id))
        })
        .collect();
    all.sort_unstable();
    all
}

#[track_caller]
fn found(sandbox: &Sandbox, args: &[&str]) -> Vec<(u64, u64)> {
    let done = sandbox.phashdb([&["query", "--json"], args].concat()).run();
    let pair = |record: &Value| (record["distance_bits"].as_u64().unwrap(), record["id"].as_u64().unwrap());
    let found: Vec<_> = done.of_type("match").iter().map(pair).collect();
    done.exits(i32::from(found.is_empty()));
    found
}

#[test]
fn radius_is_inclusive_and_finds_exactly_what_a_scan_finds() {
    let (sandbox, codes) = library();
    let suspect = format!("{MODELS}/fashion-cnn/twin-1-finetuned.safetensors");
    let hash = sandbox.phashdb(["hash", "--json", &suspect]).run().of_type("hash").remove(0);
    let query = View::ALL.map(|view| bytes(&hash["views"][view.name()]["code"]));
    let all = oracle(&codes, &query, ALL);
    let some_distance = all[all.len() / 3].0;
    for radius in [0, some_distance - 1, some_distance, 200, 512] {
        let expected: Vec<_> = all.iter().copied().filter(|(bits, _)| *bits <= radius).collect();
        assert_eq!(
            found(&sandbox, &["--radius", &radius.to_string(), &suspect]),
            expected,
            "radius {radius}"
        );
    }
    for view in View::ALL {
        let mut expected = oracle(&codes, &query, &[view]);
        expected.retain(|(bits, _)| *bits <= 120);
        assert_eq!(
            found(&sandbox, &["--radius", "120", "--view", view.name(), &suspect]),
            expected,
            "view {view}"
        );
    }
}

#[test]
fn top_k_gives_the_nearest_whatever_the_distance_and_no_more_than_there_are() {
    let (sandbox, codes) = library();
    let query = codes[3].clone();
    let all = oracle(&codes, &query, ALL);
    let label = sandbox.run("list --json").of_type("model")[3]["label"].as_str().unwrap().to_owned();
    for k in [1, 2, 9, all.len(), 1000] {
        let expected = &all[..k.min(all.len())];
        assert_eq!(found(&sandbox, &["--top-k", &k.to_string(), &label]), expected, "k = {k}");
    }
    assert_eq!(found(&sandbox, &["--top-k", "0", &label]), []);
}

#[test]
fn a_code_finds_what_it_was_printed_for() {
    let (sandbox, codes) = library();
    let code = codes[5][View::Energy as usize].clone().unwrap();
    let hex: String = code.iter().map(|byte| format!("{byte:02x}")).collect();
    let expected: Vec<_> =
        oracle(&codes, &codes[5], &[View::Energy]).into_iter().filter(|(bits, _)| *bits <= 24).collect();
    assert!(!expected.is_empty());
    let args = ["--radius", "24", "--view", "energy", "--code"];
    assert_eq!(found(&sandbox, &[&args[..], &[&hex]].concat()), expected);
    assert_eq!(found(&sandbox, &[&args[..], &[&hex.to_uppercase()]].concat()), expected);
}

#[test]
fn an_id_finds_the_others_and_not_itself() {
    let (sandbox, codes) = library();
    for id in [3usize, 11] {
        let mut expected = oracle(&codes, &codes[id], ALL);
        expected.retain(|(bits, other)| *bits <= 128 && *other != id as u64);
        assert_eq!(found(&sandbox, &["--radius", "128", "--id", &id.to_string()]), expected, "id {id}");
        let mut nearest = oracle(&codes, &codes[id], ALL);
        nearest.retain(|(_, other)| *other != id as u64);
        assert_eq!(found(&sandbox, &["--top-k", "2", "--id", &id.to_string()]), nearest[..2], "id {id}");
    }
    sandbox.run("query --id 4096").exits(2).says("no model has id 4096");
}

#[test]
fn the_default_reports_an_e_value_of_at_most_1e_3_and_e_value_changes_that() {
    let (sandbox, _) = library();
    let suspect = format!("{MODELS}/fashion-cnn/twin-1.safetensors");
    let e_values = |args: &[&str]| -> Vec<f64> {
        let done = sandbox.phashdb([&["query", "--json", &suspect], args].concat()).run();
        done.of_type("match").iter().map(|record| record["e_value"].as_f64().unwrap()).collect()
    };
    let all = e_values(&["--radius", "512"]);
    let default = e_values(&[]);
    assert!(default.iter().all(|e| *e <= 1e-3) && default.len() > 5);
    assert_eq!(default.len(), all.iter().filter(|e| **e <= 1e-3).count());
    let mut sorted = default.clone();
    sorted.sort_unstable_by(f64::total_cmp);
    let limit = sorted[sorted.len() * 3 / 4] * 1.000_001;
    let strict = e_values(&["--e-value", &format!("{limit:e}")]);
    assert_eq!(strict, default.iter().copied().filter(|e| *e <= limit).collect::<Vec<_>>());
    assert!(!strict.is_empty() && strict.len() < default.len());
}

/// The joint probability by its definition in docs/hashing.md, section 8.
fn joint_p(p: &[f64]) -> f64 {
    if let [p] = p {
        return *p;
    }
    let least = p.iter().copied().fold(1.0, f64::min);
    let s: f64 = p.iter().map(|p| -p.ln()).sum();
    let (mut power, mut fisher) = ((-s).exp(), 0.0);
    for i in 1..=p.len() {
        fisher += power;
        power *= s / i as f64;
    }
    (2.0 * fisher.min(p.len() as f64 * least)).min(1.0)
}

#[test]
fn the_e_value_is_the_librarys_size_times_the_joint_probability_of_the_searched_views() {
    let (sandbox, codes) = library();
    let suspect = format!("{MODELS}/fashion-cnn/twin-2.safetensors");
    for (options, views) in [(&[][..], ALL), (&["--view", "blocks"], &[View::Blocks])] {
        let done =
            sandbox.phashdb([&["query", "--json", "--radius", "512", &suspect], options].concat()).run();
        let matches = done.exits(0).of_type("match");
        assert!(matches.len() > 15);
        for record in matches {
            let of = |view: View, field: &str| u32::try_from(record[field][view.name()].as_u64()?).ok();
            let p_value =
                |&view: &View| Some(phash_core::p_value(view, of(view, "features")?, of(view, "views")?));
            let p: Vec<f64> = views.iter().filter_map(p_value).collect();
            let expected = codes.len() as f64 * joint_p(&p);
            let got = record["e_value"].as_f64().unwrap();
            assert!((got / expected - 1.0).abs() < 1e-9, "{got} is not {expected}: {record}");
            let nearest = views.iter().filter_map(|&view| of(view, "views")).min();
            let closest = View::from_name(record["view"].as_str().unwrap()).unwrap();
            assert_eq!(
                (of(closest, "views"), record["distance_bits"].as_u64()),
                (nearest, nearest.map(u64::from))
            );
        }
    }
}

#[test]
fn several_files_are_answered_in_their_order() {
    let (sandbox, _) = library();
    let path = |name: &str| format!("{MODELS}/{name}.safetensors");
    let (a, b) = (path("mediapipe/selfie"), path("mtcnn/rnet-torch"));
    let done = sandbox.phashdb(["query", "--json", "--top-k", "1", &a, &b, &a]).run();
    let queries: Vec<Value> =
        done.exits(0).of_type("match").iter().map(|record| record["query"].clone()).collect();
    assert_eq!(queries, [a.as_str(), &b, &a]);
}

#[test]
fn a_weak_query_and_a_weak_match_are_marked() {
    let (sandbox, _) = library();
    let weak = format!("{MODELS}/mediapipe/face-short-range.safetensors");
    let done = sandbox.phashdb(["query", "--top-k", "1", &weak]).run();
    done.exits(0)
        .says("warning")
        .says("face-short-range.safetensors: weak: fewer than 2,000 independent features")
        .prints("face-short-range.safetensors  (weak)")
        .prints("\nweak: fewer");
    let models = sandbox.run("list --json").of_type("model");
    for (weak, id) in models.iter().map(|model| (model["weak"] == true, &model["id"])) {
        let done = sandbox.run(&format!("query --top-k 1 --id {id}"));
        assert_eq!(done.stderr().contains(&format!("warning: id {id}: weak")), weak, "{}", done.explain());
    }
    assert!(models.iter().any(|model| model["weak"] == true), "a weak one is among them");
}
