//! What must hold when models and raw codes go from one database to another, rule by rule: labels, versions, how often a code
//! is there, what is told when, the index, and that damage does not come along.

use std::fs;
use std::sync::atomic::AtomicBool;

use phash_library::{OpenOptions, Reader, TransferEvent, merge};

use crate::codes::{codes, lines};
use crate::support::Sandbox;

/// Ingests a file under the label `x.safetensors` of a database.
fn ingest(sandbox: &Sandbox, db: &str, seed: u64) {
    sandbox.model("x.safetensors", seed);
    sandbox.phashdb(["ingest", "--db", db, "x.safetensors"]).run().exits(0);
}

/// What a merge or import adds: models or raw codes, duplicates, labels.
fn adds(sandbox: &Sandbox, line: &str) -> [u64; 3] {
    let summary = sandbox.run(line).exits(0).of_type("summary").remove(0);
    ["added", "duplicates", "labels_added"].map(|field| summary[field].as_u64().unwrap())
}

/// The versions of the label, and the first bytes of the contents that each stands for.
fn versions(sandbox: &Sandbox, db: &str) -> Vec<(u32, String)> {
    let reader = Reader::open(&sandbox.path().join(db), OpenOptions::default()).unwrap();
    let of = |source: phash_library::Source| {
        let model = reader.model(source.model_id).unwrap().unwrap();
        (source.version, model.content_digest[..4].iter().map(|byte| format!("{byte:02x}")).collect())
    };
    reader.versions("x.safetensors").unwrap().into_iter().map(of).collect()
}

#[test]
fn a_known_model_gets_the_labels_that_it_has_elsewhere() {
    let sandbox = Sandbox::new();
    sandbox.model("here.safetensors", 1);
    sandbox.model("there.safetensors", 1);
    sandbox.run("ingest --db a here.safetensors").exits(0);
    sandbox.run("ingest --db b there.safetensors").exits(0);
    assert_eq!(adds(&sandbox, "merge --json out a b"), [1, 1, 2]);
    sandbox
        .run("list --db out --json")
        .exits(0)
        .prints("\"here.safetensors\"")
        .prints("\"there.safetensors\"");
    sandbox.run("export b -o b.jsonl").exits(0);
    assert_eq!(adds(&sandbox, "import --json a b.jsonl"), [0, 1, 1]);
    sandbox.run("list --db a --json").exits(0).prints("\"here.safetensors\"").prints("\"there.safetensors\"");
}

#[test]
fn an_imported_version_that_is_taken_becomes_the_next_one() {
    let sandbox = Sandbox::new();
    ingest(&sandbox, "a", 1);
    ingest(&sandbox, "b", 2);
    let (a, b) = (versions(&sandbox, "a")[0].1.clone(), versions(&sandbox, "b")[0].1.clone());
    sandbox.run("export b -o b.jsonl").exits(0);
    sandbox.run("import a b.jsonl").exits(0);
    assert_eq!(versions(&sandbox, "a"), [(1, a), (2, b)]);
    sandbox.run("verify --db a").exits(0);
}

#[test]
fn versions_keep_their_order_if_a_model_came_back_under_its_label() {
    let sandbox = Sandbox::new();
    ingest(&sandbox, "a", 9);
    for seed in [1, 2, 1] {
        ingest(&sandbox, "b", seed);
    }
    let contents = |db| -> Vec<String> { versions(&sandbox, db).into_iter().map(|(_, of)| of).collect() };
    let (a, b) = (contents("a"), contents("b"));
    assert!(b.len() == 3 && b[0] == b[2] && b[0] != b[1], "{b:?}");
    sandbox.run("merge out a b").exits(0);
    assert_eq!(contents("out"), [a, b.clone()].concat());
    // To do it again adds nothing; an export comes back as it was.
    assert_eq!(adds(&sandbox, "merge --json out a b"), [0, 3, 0]);
    sandbox.run("export b -o b.jsonl").exits(0);
    sandbox.run("import new b.jsonl").exits(0);
    assert_eq!(contents("new"), b);
}

#[test]
fn a_code_that_a_later_database_has_more_often_is_there_as_often() {
    let sandbox = Sandbox::new();
    sandbox.file("a.hex", b"0000000000000001\n");
    sandbox.file("b.hex", b"0000000000000001\n0000000000000001\n0000000000000001\n");
    for db in ["a", "b"] {
        sandbox.phashdb(["import-codes", "--bits", "64", "--db", db, &format!("{db}.hex")]).run().exits(0);
    }
    assert_eq!(adds(&sandbox, "merge --json out a b"), [3, 1, 0]);
    sandbox.run("export b -o b.jsonl").exits(0);
    assert_eq!(adds(&sandbox, "import --json a b.jsonl"), [2, 1, 0]);
}

#[test]
fn what_is_told_of_a_duplicate_is_stored_by_then() {
    let sandbox = Sandbox::new();
    sandbox.model("here.safetensors", 1);
    sandbox.model("there.safetensors", 1);
    sandbox.run("ingest --db a here.safetensors").exits(0);
    sandbox.run("ingest --db b there.safetensors").exits(0);
    let (a, out) = (sandbox.path().join("a"), sandbox.path().join("b"));
    let mut told = 0;
    merge(&out, &[a], OpenOptions::default(), &AtomicBool::new(false), &mut |event| {
        if let TransferEvent::Duplicate { label, .. } = event {
            let reader = Reader::open(&out, OpenOptions::default()).unwrap();
            assert_eq!(reader.versions(label.unwrap()).unwrap().len(), 1, "{label:?} is not there yet");
            told += 1;
        }
    })
    .unwrap();
    assert_eq!(told, 1);
}

#[test]
fn a_merged_database_has_an_index_over_all_codes() {
    let sandbox = Sandbox::new();
    let codes = codes(70_000, 8);
    for (db, range) in [("a", 0..35_000), ("b", 35_000..70_000)] {
        sandbox.file("codes.hex", &lines(&codes[range], |_, hex| hex));
        sandbox.phashdb(["import-codes", "--bits", "64", "--db", db, "codes.hex"]).run().exits(0);
    }
    sandbox.run("merge out a b").exits(0);
    let reader = Reader::open(&sandbox.path().join("out"), OpenOptions::default()).unwrap();
    let covered: u32 = reader.segments("raw").unwrap().iter().map(|(ids, _)| ids.end - ids.start).sum();
    // All but those that both have.
    assert_eq!(covered, reader.code_count());
    assert!(covered > 60_000);
}

#[test]
fn damage_is_neither_merged_nor_exported() {
    let sandbox = Sandbox::new();
    sandbox.file("codes.hex", &lines(&codes(3000, 8), |number, hex| format!("{hex} {number}")));
    sandbox.run("import-codes --bits 64 --db a codes.hex").exits(0);
    let path = sandbox.path().join("a/raw.codes");
    let mut bytes = fs::read(&path).unwrap();
    bytes[4096 + 64 + 100] ^= 4;
    fs::write(&path, bytes).unwrap();
    sandbox.run("merge out a").exits(2).says("corrupted").says("raw.codes");
    sandbox.run("export a -o a.jsonl").exits(2).says("corrupted").says("raw.codes");
    assert!(!sandbox.path().join("a.jsonl").exists());
    sandbox.run("verify --db out").exits(0);
}
