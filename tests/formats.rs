//! Results in each format: the fields of the JSON contract with their types, one document for json, one header for csv,
//! colours only where asked for.

use phash_core::View;
use serde_json::Value;

use crate::support::{Done, Sandbox, Tensor, safetensors};

/// A library of three models, one of them a copy.
fn sandbox() -> Sandbox {
    let sandbox = Sandbox::new();
    let a = sandbox.model("a.safetensors", 1);
    std::fs::copy(a, sandbox.path().join("b.safetensors")).unwrap();
    sandbox.model("c.safetensors", 2);
    sandbox.run("ingest a.safetensors b.safetensors c.safetensors").exits(0).is_silent();
    sandbox
}

fn is_hex(value: &Value, digits: usize) -> bool {
    value.as_str().is_some_and(|text| text.len() == digits && text.bytes().all(|b| b.is_ascii_hexdigit()))
}

/// Checks the fields of a record: names with the JSON type each must have, dots for what is nested.
#[track_caller]
fn has(record: &Value, fields: &[(&str, &str)]) {
    for (name, kind) in fields {
        let value = name.split('.').fold(record, |value, part| &value[part]);
        let is = match *kind {
            "string" => value.is_string(),
            "count" => value.is_u64(),
            "number" => value.is_number(),
            "bool" => value.is_boolean(),
            "code" => is_hex(value, 128),
            "digest" => is_hex(value, 64),
            other => panic!("no kind {other}"),
        };
        assert!(is, "{name} is not a {kind} in {record}");
    }
}

#[track_caller]
fn summary(done: &Done) -> Value {
    let last = done.records().pop().expect("records");
    assert_eq!(last["type"], "summary", "the summary comes last\n{}", done.explain());
    last
}

#[test]
fn hash_records_keep_the_contract() {
    let sandbox = sandbox();
    let done = sandbox.run("hash --format jsonl a.safetensors --tensors");
    let record = done.exits(0).of_type("hash").remove(0);
    has(
        &record,
        &[
            ("path", "string"),
            ("bits", "count"),
            ("weak", "bool"),
            ("tensors_used", "count"),
            ("tensors_skipped", "count"),
            ("file_digest", "digest"),
            ("content_digest", "digest"),
        ],
    );
    for view in View::ALL {
        let code = format!("views.{view}.code");
        let features = format!("views.{view}.features");
        has(&record, &[(code.as_str(), "code"), (features.as_str(), "count")]);
    }
    assert_eq!((&record["path"], &record["bits"]), (&"a.safetensors".into(), &512.into()));
    assert_eq!((record["tensors_used"].as_u64(), record["tensors_skipped"].as_u64()), (Some(6), Some(6)));
    assert_eq!(done.of_type("tensor").len(), 12);
}

#[test]
fn ingest_records_keep_the_contract() {
    let sandbox = Sandbox::new();
    let a = sandbox.model("m/a.safetensors", 1);
    std::fs::copy(a, sandbox.path().join("m/b.safetensors")).unwrap();
    sandbox.file("m/c.safetensors", b"");
    let done = sandbox.run("ingest --format jsonl m");
    let kinds: Vec<(Value, Value)> =
        done.exits(2).records().iter().map(|r| (r["type"].clone(), r["path"].clone())).collect();
    let expected =
        [("ingested", "m/a.safetensors"), ("duplicate", "m/b.safetensors"), ("skipped", "m/c.safetensors")];
    assert_eq!(kinds[..3], expected.map(|(kind, path)| (kind.into(), path.into())));
    has(&done.of_type("ingested")[0], &[("id", "count")]);
    has(&done.of_type("duplicate")[0], &[("id", "count")]);
    has(&done.of_type("skipped")[0], &[("reason", "string")]);
    let summary = summary(&done);
    has(
        &summary,
        &[
            ("ingested", "count"),
            ("duplicate", "count"),
            ("unchanged", "count"),
            ("skipped", "count"),
            ("seconds", "number"),
        ],
    );
    assert_eq!(
        [1, 1, 0, 1],
        ["ingested", "duplicate", "unchanged", "skipped"].map(|name| summary[name].as_i64().unwrap())
    );
    let again = sandbox.run("ingest --json m/a.safetensors");
    assert_eq!(again.exits(0).of_type("unchanged")[0]["id"], 0);
}

#[test]
fn query_records_keep_the_contract() {
    let sandbox = sandbox();
    let done = sandbox.run("query --format jsonl a.safetensors");
    let record = done.exits(0).of_type("match").remove(0);
    has(
        &record,
        &[
            ("query", "string"),
            ("id", "count"),
            ("label", "string"),
            ("distance_bits", "count"),
            ("view", "string"),
            ("e_value", "number"),
            ("identical", "bool"),
        ],
    );
    for view in View::ALL {
        for field in [format!("views.{view}"), format!("features.{view}")] {
            has(&record, &[(field.as_str(), "count")]);
        }
    }
    assert_eq!(record["label"], "a.safetensors");
    assert_eq!(record["also"], serde_json::json!(["b.safetensors"]));
    let summary = summary(&done);
    has(&summary, &[("matches", "count"), ("searched", "count"), ("seconds", "number")]);
    assert_eq!((&summary["matches"], &summary["searched"]), (&1.into(), &2.into()));
}

#[test]
fn compare_records_keep_the_contract() {
    let sandbox = sandbox();
    let done = sandbox.run("compare --format jsonl a.safetensors c.safetensors");
    let records = done.exits(1).records();
    assert_eq!(records[0]["type"], "compare", "the comparison comes first");
    has(
        &records[0],
        &[
            ("a", "string"),
            ("b", "string"),
            ("distance_bits", "count"),
            ("e_value", "number"),
            ("verdict", "string"),
        ],
    );
    assert_eq!(records[0]["verdict"], "unrelated");
    assert_eq!(records.len(), 13);
    for tensor in &records[1..] {
        assert_eq!(tensor["type"], "tensor");
        assert!(
            tensor["shape"].is_array() && (tensor["a"].is_string() || tensor["b"].is_string()),
            "{tensor}"
        );
    }
}

#[test]
fn scan_records_keep_the_contract() {
    let sandbox = sandbox();
    let done = sandbox.run("scan --format jsonl .");
    let group = done.exits(0).of_type("group").remove(0);
    let members = group["members"].as_array().expect("members");
    assert_eq!(members.len(), 2);
    for member in members {
        has(member, &[("path", "string"), ("distance_bits", "count")]);
    }
    assert_eq!(done.of_type("alone")[0]["path"], "./c.safetensors");
    assert_eq!(summary(&done)["models"], 3);
}

#[test]
fn list_and_info_records_name_models_and_parameters() {
    let sandbox = sandbox();
    let models = sandbox.run("list --json").exits(0).of_type("model");
    let ids: Vec<u64> = models.iter().map(|model| model["id"].as_u64().unwrap()).collect();
    assert_eq!(ids, [0, 1]);
    has(
        &models[0],
        &[("label", "string"), ("version", "count"), ("weak", "bool"), ("content_digest", "digest")],
    );
    assert_eq!(
        models[0]["sources"].as_array().unwrap().len(),
        2,
        "the duplicate is a source of the same model"
    );
    let info = sandbox.run("info --json").exits(0).of_type("info").remove(0);
    has(
        &info,
        &[("models", "count"), ("parameters", "digest"), ("version", "string"), ("code_bytes", "count")],
    );
    assert_eq!((&info["models"], &info["labels"]), (&2.into(), &3.into()));
}

#[test]
fn json_is_one_array_of_the_same_records_as_jsonl() {
    let sandbox = sandbox();
    for command in ["hash a.safetensors", "list", "info", "compare a.safetensors c.safetensors"] {
        let lines = sandbox.run(&format!("{command} --format jsonl")).records();
        let array: Value =
            serde_json::from_str(&sandbox.run(&format!("{command} --format json")).stdout()).unwrap();
        assert_eq!(array, Value::Array(lines), "{command}");
    }
}

#[test]
fn a_command_that_fails_in_the_middle_leaves_a_whole_array() {
    let sandbox = Sandbox::new();
    let codes: String = (0..14_000).map(|n| format!("{n:016x} label of the code {n}\n")).collect();
    sandbox.file("codes.hex", codes.as_bytes());
    sandbox.run("--db raw.phash import-codes --bits 64 codes.hex").exits(0);
    // The text of a label in the second block of three.
    let path = sandbox.path().join("raw.phash/raw.text");
    let mut bytes = std::fs::read(&path).unwrap();
    let middle = bytes.windows(4).position(|text| text == b"7500").expect("the label");
    bytes[middle] ^= 1;
    std::fs::write(&path, bytes).unwrap();
    let done = sandbox.run("list raw.phash --format json");
    let array: Vec<Value> = serde_json::from_str(&done.exits(2).says("raw.text").stdout()).unwrap();
    assert!((1..14_000).contains(&array.len()), "{}", array.len());
    // Nothing printed is nothing, not an empty array.
    assert_eq!(sandbox.run("list nowhere --format json").exits(2).stdout(), "");
}

#[test]
fn csv_has_one_header_and_a_row_for_each_result() {
    let sandbox = sandbox();
    let text = sandbox.run("query --format csv --top-k 2 a.safetensors").exits(0).stdout();
    let lines: Vec<&str> = text.lines().collect();
    assert!(
        lines[0].starts_with(
            "type,query,id,label,distance_bits,view,e_value,views.energy,views.blocks,\
             views.weights,views.order,views.orbit,features.energy"
        ),
        "{text}"
    );
    assert_eq!(lines.len(), 3, "{text}");
    assert!(lines[1].starts_with("match,a.safetensors,0,a.safetensors,0,"), "{text}");
    // Results of several kinds share the columns.
    sandbox.model("d.safetensors", 3);
    let text = sandbox.run("ingest --format csv a.safetensors d.safetensors nowhere").exits(2).stdout();
    let lines: Vec<&str> = text.lines().collect();
    let [first, last] = ["type,path,id,version,weak,", ",reason"];
    assert!(lines[0].starts_with(first) && lines[0].ends_with(last), "{text}");
    assert!(lines[1].starts_with("unchanged,a.safetensors,0,,,"), "{text}");
    assert!(lines[2].starts_with("ingested,d.safetensors,2,1,false,"), "{text}");
    assert!(lines[1..3].iter().all(|row| row.ends_with(',')), "no reason: {text}");
    assert!(lines[3].starts_with("skipped,nowhere,,,,"), "{text}");
    let text = sandbox.run("scan --format csv a.safetensors b.safetensors c.safetensors").exits(0).stdout();
    let copy = View::ALL.map(|view| format!("\nmember,1,b.safetensors,0,{view},"));
    assert!(copy.iter().any(|row| text.contains(row)), "{text}");
    assert!(text.contains("\nalone,,c.safetensors,"), "{text}");
}

#[test]
fn csv_columns_do_not_depend_on_the_first_record() {
    let sandbox = sandbox();
    let integers = Tensor { name: "w".to_owned(), dtype: "I8", shape: vec![64, 64], bytes: vec![1; 64 * 64] };
    sandbox.file("i.safetensors", &safetensors(&[integers]));
    sandbox.run("ingest i.safetensors --db i.phash").exits(0);
    let head = |line: &str| {
        let text = sandbox.run(line).exits(0).stdout();
        let lines: Vec<String> = text.lines().map(str::to_owned).collect();
        assert!(lines.len() > 1, "{text}");
        lines
    };
    let one = head("hash --format csv i.safetensors a.safetensors");
    assert_eq!(one[0], head("hash --format csv a.safetensors")[0]);
    assert!(one[0].contains(",tensors_skipped,skipped_reasons,file_digest,"), "{}", one[0]);
    for row in &one[1..] {
        assert!(row.contains(",\"{\"\""), "the reasons are one cell: {row}");
    }
    let stored = head("list --format csv --db i.phash");
    assert_eq!(stored[0], head("list --format csv")[0]);
    assert_eq!(
        stored[0],
        "type,id,label,version,format,weak,features.energy,features.blocks,features.weights,features.order,\
         features.orbit,tensors_used,tensors_skipped,content_digest,ingested_at_ms,sources"
    );
    assert!(stored[1].contains("[{\"\"label\"\":\"\"i.safetensors\"\""), "{}", stored[1]);
}

#[test]
fn colours_come_only_when_asked_for() {
    let sandbox = sandbox();
    let coloured = |line: &str, no_color: bool| {
        let mut cli = sandbox.phashdb(line.split(' '));
        if no_color {
            cli.command.env("NO_COLOR", "1");
        }
        cli.run().stdout().contains('\u{1b}')
    };
    assert!(!coloured("query a.safetensors", false), "standard output is no terminal");
    assert!(coloured("query a.safetensors --color always", false));
    assert!(!coloured("query a.safetensors --color auto", true));
    assert!(!coloured("query a.safetensors --color never", false));
}

#[test]
fn quiet_prints_nothing_and_keeps_the_status() {
    let sandbox = sandbox();
    let found = sandbox.run("query --quiet a.safetensors");
    assert_eq!(found.exits(0).is_silent().stdout(), "");
    sandbox.model("new.safetensors", 9);
    assert_eq!(sandbox.run("query -q new.safetensors").exits(1).is_silent().stdout(), "");
}
