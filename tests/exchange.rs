//! `merge`, `export` and `import`: what one database holds comes to another, each thing once, and answers are those of all.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::support::{Random, Sandbox, safetensors, tensors};

/// A model a little changed: near its original, but other contents.
fn variant(sandbox: &Sandbox, name: &str, seed: u64, step: u64) {
    let mut tensors = tensors(seed);
    let mut random = Random(seed * 1000 + step);
    for bytes in &mut tensors {
        for value in bytes.bytes.chunks_exact_mut(4) {
            let old = f32::from_le_bytes(value.try_into().unwrap());
            #[expect(clippy::cast_possible_truncation, reason = "rounded to F32 on purpose")]
            let new = old * (1.0 + 0.02 * random.normal() as f32);
            value.copy_from_slice(&new.to_le_bytes());
        }
    }
    sandbox.file(name, &safetensors(&tensors));
}

/// Every match of some models: what is told of a match but its id and what depends on the size of the library.
fn answers(sandbox: &Sandbox, db: &str, queries: &[&str]) -> Vec<Vec<String>> {
    let answer = |query: &&str| {
        let done = sandbox.phashdb(["query", "--json", "--radius", "512", "--db", db, query]).run();
        let rows = done.exits(0).of_type("match");
        rows.iter()
            .map(|row| {
                let kept =
                    ["distance_bits", "label", "view", "views", "features", "identical", "weak", "also"];
                kept.map(|key| row[key].to_string()).join(" ")
            })
            .collect()
    };
    queries.iter().map(answer).collect()
}

#[test]
fn a_merged_database_gives_the_answers_of_all_by_distance_and_label() {
    let sandbox = Sandbox::new();
    for seed in 1..=4 {
        sandbox.model(&format!("m{seed}"), seed);
        std::fs::rename(
            sandbox.path().join(format!("m{seed}")),
            sandbox.path().join(format!("m{seed}.safetensors")),
        )
        .unwrap();
        variant(&sandbox, &format!("v{seed}.safetensors"), seed, 1);
    }
    sandbox.run("ingest --db a m1.safetensors m2.safetensors v1.safetensors m4.safetensors").exits(0);
    sandbox.run("ingest --db b m2.safetensors m3.safetensors v3.safetensors v2.safetensors").exits(0);
    sandbox.run("rm --db a m4.safetensors").exits(0);
    let queries = ["m1.safetensors", "v2.safetensors", "m3.safetensors", "v4.safetensors"];

    let done = sandbox.run("merge --json out a b");
    let duplicates = done.exits(0).of_type("duplicate");
    assert_eq!(duplicates.len(), 1, "{}", done.explain());
    assert_eq!((&duplicates[0]["label"], &duplicates[0]["input"]), (&"m2.safetensors".into(), &"b".into()));
    let summary = &done.of_type("summary")[0];
    assert_eq!([&summary["added"], &summary["duplicates"], &summary["labels_added"]], [6, 1, 6]);

    // The oracle: the answers of each, those of the same label once, in the order of distance, then label.
    let merged = answers(&sandbox, "out", &queries);
    for ((a, b), merged) in
        answers(&sandbox, "a", &queries).into_iter().zip(answers(&sandbox, "b", &queries)).zip(merged)
    {
        let expected: BTreeSet<String> = a.into_iter().chain(b).collect();
        assert_eq!(expected.len(), 6);
        let found: BTreeSet<String> = merged.into_iter().collect();
        assert_eq!(found, expected);
    }
    let distances = |db| -> Vec<u64> {
        let done =
            sandbox.phashdb(["query", "--json", "--radius", "512", "--db", db, "m1.safetensors"]).run();
        done.of_type("match").iter().map(|row| row["distance_bits"].as_u64().unwrap()).collect()
    };
    assert!(distances("out").is_sorted());
    sandbox.run("verify --db out").exits(0);
    // Again: nothing is new.
    let before = sandbox.run("list --json --db out").stdout();
    let again = sandbox.run("merge --json out b a").exits(0).of_type("summary").remove(0);
    assert_eq!([&again["added"], &again["duplicates"], &again["labels_added"]], [0, 7, 0]);
    assert_eq!(sandbox.run("list --json --db out").stdout(), before);
    // What a model is, is kept as it was.
    let models = |db: &str| -> BTreeMap<String, Value> {
        let rows = sandbox.phashdb(["list", "--json", "--db", db]).run().of_type("model");
        let model = |mut row: Value| {
            row.as_object_mut().unwrap().remove("id");
            (row["label"].as_str().unwrap().to_owned(), row)
        };
        rows.into_iter().map(model).collect()
    };
    let mut expected = models("b");
    expected.extend(models("a"));
    assert_eq!(models("out"), expected);
}

#[test]
fn labels_of_other_contents_become_further_versions_and_both_models_are_found() {
    let sandbox = Sandbox::new();
    sandbox.model("one/x.safetensors", 1);
    sandbox.model("two/x.safetensors", 2);
    let ingest = |folder: &str, db: &str| {
        let mut cli = sandbox.phashdb(["ingest", "--db", db, "x.safetensors"]);
        cli.command.current_dir(sandbox.path().join(folder));
        cli.run().exits(0);
    };
    ingest("one", "../a");
    ingest("two", "../b");
    // In b the label has had other contents before.
    sandbox.model("two/x.safetensors", 3);
    ingest("two", "../b");
    sandbox.run("merge out a b").exits(0).prints("1 label added");
    let versions = || -> Vec<(u64, u64, bool)> {
        let rows = sandbox.run("list --json --db out").exits(0).of_type("model");
        let source = |row: &Value| {
            let source = &row["sources"][0];
            (
                row["id"].as_u64().unwrap(),
                source["version"].as_u64().unwrap(),
                source["current"].as_bool().unwrap(),
            )
        };
        rows.iter().map(source).collect()
    };
    assert_eq!(versions(), [(0, 1, false), (1, 2, false), (2, 3, true)]);
    sandbox.run("merge out a b").exits(0);
    assert_eq!(versions(), [(0, 1, false), (1, 2, false), (2, 3, true)]);
    sandbox.run("verify --db out").exits(0);
}

#[test]
fn raw_codes_are_merged_as_often_as_they_are_in_the_database_that_has_most_of_them() {
    let sandbox = Sandbox::new();
    sandbox.file("a.hex", b"00000000000000ff a\n0000000000000001\n0000000000000001\n00000000000000ee gone\n");
    sandbox.file("b.hex", b"00000000000000ff a\n00000000000000fe a2\n0000000000000001\n00000000000000fc c\n");
    sandbox.run("import-codes --db a --bits 64 a.hex").exits(0);
    sandbox.run("import-codes --db b --bits 64 b.hex").exits(0);
    sandbox.run("rm --db a gone").exits(0);
    let done = sandbox.run("merge --json out a b");
    let labels: Vec<Value> =
        done.exits(0).of_type("duplicate").iter().map(|row| row["label"].clone()).collect();
    assert_eq!(labels, ["a".into(), Value::Null]);
    let listed = || -> Vec<String> {
        let rows = sandbox.run("list --json --db out").exits(0).of_type("code");
        rows.iter().map(|row| format!("{} {}", row["code"], row["label"])).collect()
    };
    let expected = [
        "\"00000000000000ff\" \"a\"",
        "\"0000000000000001\" null",
        "\"0000000000000001\" null",
        "\"00000000000000fe\" \"a2\"",
        "\"00000000000000fc\" \"c\"",
    ];
    assert_eq!(listed(), expected);
    sandbox.run("merge out b a b").exits(0).prints("0 raw codes added");
    assert_eq!(listed(), expected);
    sandbox.run("verify --db out").exits(0);
    let csv = sandbox.run("merge --format csv out2 a b").exits(0).stdout();
    assert!(csv.starts_with("type,input,from_id,id,label,added,duplicates,labels_added\n"), "{csv}");
}

#[test]
fn databases_that_do_not_fit_are_refused_before_anything_is_written() {
    let sandbox = Sandbox::new();
    sandbox.model("m.safetensors", 1);
    sandbox.file("a.hex", b"00000000000000ff a\n");
    sandbox.file("b.hex", b"00000000000000ff00000000000000ff b\n");
    sandbox.run("ingest --db models m.safetensors").exits(0);
    sandbox.run("import-codes --db narrow --bits 64 a.hex").exits(0);
    sandbox.run("import-codes --db wide --bits 128 b.hex").exits(0);
    sandbox
        .run("merge out narrow models")
        .exits(2)
        .says("models: cannot be merged with narrow: it holds models");
    sandbox.run("merge out narrow wide").exits(2).says("its codes have 128 bits, those of the other 64");
    sandbox.run("merge out narrow nowhere").exits(2).says("nowhere: not a phashdb database");
    sandbox.run("merge narrow narrow").exits(2).says("it is the database that is written");
    sandbox.run("merge wide narrow").exits(2).says("narrow: cannot be merged with wide");
    sandbox.run("merge out").exits(2);
    assert!(!sandbox.path().join("out").exists());
    // A changed byte does not get a new checksum.
    let file = sandbox.path().join("narrow/raw.codes");
    let mut bytes = std::fs::read(&file).unwrap();
    let last = bytes.len() - 1;
    bytes[last] ^= 1;
    std::fs::write(&file, bytes).unwrap();
    sandbox.run("merge out narrow").exits(2).says("corrupted");
}

/// A database of models with all that is out of the ordinary: duplicates, versions, weak and void models, a removed one.
fn models(sandbox: &Sandbox, db: &str) {
    for seed in 1..=3 {
        sandbox.model(&format!("in/{seed}.safetensors"), seed);
    }
    sandbox.model("in/ü \"quoted\"\n.safetensors", 2);
    sandbox.file("in/small.safetensors", &safetensors(&tensors(9)[1..2]));
    let ingest = || sandbox.phashdb(["ingest", "--db", db, "in"]).run();
    ingest().exits(0);
    // A further version, then the contents of another label.
    sandbox.model("in/1.safetensors", 4);
    ingest().exits(0);
    sandbox.model("in/1.safetensors", 2);
    ingest().exits(0);
    sandbox.phashdb(["rm", "--db", db, "in/3.safetensors"]).run().exits(0);
}

fn codes(sandbox: &Sandbox, db: &str) {
    let mut text = String::from("{\"code\":\"00000000000000ff\",\"label\":\"a\\n\\\"ü\"}\n");
    for number in 0..3000u64 {
        let label = if number.is_multiple_of(3) { "null".to_owned() } else { format!("\"{number}\"") };
        text +=
            &format!("{{\"code\":\"{:016x}\",\"label\":{label}}}\n", (number / 2).wrapping_mul(0x9e37_79b9));
    }
    sandbox.file("in.jsonl", text.as_bytes());
    sandbox.phashdb(["import-codes", "--db", db, "--bits", "64", "in.jsonl"]).run().exits(0);
    sandbox.phashdb(["rm", "--db", db, "--id", "7"]).run().exits(0);
}

/// Everything that `list` tells of a database, but for ids.
fn listed(sandbox: &Sandbox, db: &str) -> Vec<Value> {
    let mut rows = sandbox.phashdb(["list", "--json", "--db", db]).run().records();
    for row in &mut rows {
        row.as_object_mut().unwrap().remove("id");
    }
    rows
}

fn bytes(sandbox: &Sandbox, name: &str) -> Vec<u8> {
    std::fs::read(sandbox.path().join(name)).unwrap()
}

#[test]
fn an_export_comes_back_as_the_same_database_and_is_exported_as_the_same_bytes() {
    for fill in [models, codes] {
        let sandbox = Sandbox::new();
        fill(&sandbox, "a");
        let export = |db: &str, file: &str| {
            sandbox.phashdb(["export", db, "-o", file]).run().exits(0).says("exported").stdout()
        };
        assert_eq!(export("a", "a.jsonl"), "");
        export("a", "a.parquet");
        assert_eq!(&bytes(&sandbox, "a.parquet")[..4], b"PAR1");
        sandbox.run("import b a.jsonl").exits(0).is_silent();
        sandbox.run("--db c import a.parquet").exits(0).is_silent();
        assert_eq!(listed(&sandbox, "b"), listed(&sandbox, "a"));
        assert_eq!(listed(&sandbox, "c"), listed(&sandbox, "a"));
        for db in ["b", "c"] {
            sandbox.phashdb(["verify", "--db", db]).run().exits(0);
            export(db, "again.jsonl");
            assert!(bytes(&sandbox, "again.jsonl") == bytes(&sandbox, "a.jsonl"), "{db}");
            export(db, "again.parquet");
            assert!(bytes(&sandbox, "again.parquet") == bytes(&sandbox, "a.parquet"), "{db}");
        }
        // Again: all of it is known.
        for file in ["a.jsonl", "a.parquet"] {
            let again =
                sandbox.phashdb(["import", "--json", "b", file]).run().exits(0).of_type("summary").remove(0);
            assert_eq!([&again["added"], &again["labels_added"]], [0, 0], "{file}");
            assert_eq!(again["duplicates"].as_u64().unwrap(), listed(&sandbox, "a").len() as u64);
        }
        export("b", "again.jsonl");
        assert!(bytes(&sandbox, "again.jsonl") == bytes(&sandbox, "a.jsonl"));
        // By way of pipes.
        let out = sandbox.run("export --format jsonl a").exits(0).stdout();
        assert!(out.as_bytes() == bytes(&sandbox, "a.jsonl"));
        sandbox.phashdb(["import", "d", "-"]).stdin(bytes(&sandbox, "a.parquet")).run().exits(0);
        assert_eq!(listed(&sandbox, "d"), listed(&sandbox, "a"));
    }
}

#[test]
fn answers_of_an_imported_database_are_those_of_the_exported_one() {
    let sandbox = Sandbox::new();
    models(&sandbox, "a");
    sandbox.run("export a -o a.jsonl").exits(0);
    sandbox.run("import b a.jsonl").exits(0);
    let queries = ["in/1.safetensors", "in/2.safetensors", "in/3.safetensors"];
    let found = answers(&sandbox, "b", &queries);
    assert_eq!(found, answers(&sandbox, "a", &queries));
    assert!(found.iter().all(|rows| rows.len() > 1));
    let parts = |db| sandbox.phashdb(["query", "--json", "--tensors", "in/1.safetensors", "--db", db]).run();
    let tensors = |db| -> Vec<Value> { parts(db).exits(0).of_type("tensor") };
    assert_eq!(tensors("b").len(), tensors("a").len());
    for (a, b) in tensors("a").iter().zip(&tensors("b")) {
        assert_eq!(
            ["name", "label", "stored_name", "views"].map(|key| &a[key]),
            ["name", "label", "stored_name", "views"].map(|key| &b[key])
        );
    }
}

#[test]
fn a_file_that_is_wrong_is_refused_with_its_line_and_what_was_stored_is_said() {
    let sandbox = Sandbox::new();
    codes(&sandbox, "a");
    sandbox.run("export a -o a.jsonl").exits(0);
    let text = String::from_utf8(bytes(&sandbox, "a.jsonl")).unwrap();
    let refuse = |name: &str, text: &str, said: &str| {
        sandbox.file("bad.jsonl", text.as_bytes());
        let db = format!("{name}.phash");
        sandbox
            .phashdb(["import", db.as_str(), "bad.jsonl"])
            .run()
            .exits(2)
            .says(said)
            .says("nothing of this import was stored");
    };
    let lines: Vec<&str> = text.lines().collect();
    refuse("empty", "", "bad.jsonl: expected an export");
    refuse(
        "cut",
        &(lines[..10].join("\n") + "\n"),
        "expected 3000 models or raw codes, as the header says, got 9",
    );
    refuse("version", &text.replacen("\"version\":1", "\"version\":2", 1), "bad.jsonl:1: expected version 1");
    refuse("width", &text.replacen("\"bits\":64", "\"bits\":96", 1), "bad.jsonl:1: expected views");
    refuse("digits", &text.replacen("00ff", "0xff", 1), "bad.jsonl:2: expected 16 hexadecimal digits");
    refuse(
        "twice",
        &text.replacen("{\"code\"", "{\"label\":\"x\",\"code\"", 1),
        "bad.jsonl:2: expected a JSON object",
    );
    refuse(
        "missing",
        &text.replacen("\"code\":", "\"kode\":", 1),
        "bad.jsonl:2: expected a value of column code",
    );
    refuse(
        "long",
        &(lines[0].to_owned() + "\n" + &" ".repeat(5 << 20)),
        "bad.jsonl:2: expected lines of at most",
    );
    sandbox.run("import a nothing.jsonl").exits(2).says("nothing.jsonl: cannot be read");
    sandbox.run("import b .").exits(2).says("cannot be read");
    sandbox.model("m.safetensors", 1);
    sandbox.run("ingest --db models m.safetensors").exits(0);
    sandbox.run("import models a.jsonl").exits(2).says("holds models, not raw codes");
    sandbox.run("export models -o m.jsonl").exits(0);
    sandbox.run("import a m.jsonl").exits(2).says("holds raw codes, not models");
    // Rows of a model that are missing, or of another one.
    let text = String::from_utf8(bytes(&sandbox, "m.jsonl")).unwrap();
    let lines: Vec<&str> = text.lines().collect();
    refuse(
        "source",
        &[lines[0], lines[1], lines[3]].join("\n"),
        "bad.jsonl:3: expected a row of type \"source\" of model 0",
    );
    refuse(
        "end",
        &lines[..5].join("\n"),
        "bad.jsonl: expected a row of type \"tensor\" of model 0, got the end of the file",
    );
    refuse(
        "other",
        &text.replacen("\"tensor\",\"model\":0", "\"tensor\",\"model\":1", 1),
        "bad.jsonl:4: expected",
    );
    sandbox.run("export models --format csv").exits(2).says("jsonl or parquet");
    sandbox.run("list --format parquet").exits(2).says("--format parquet is for export");
    sandbox.run("export nowhere").exits(2).says("nowhere");
    sandbox.run("export models -o no/such/file").exits(2).says("no/such/file: cannot be written");
}

/// The files were written by pyarrow, with its defaults and with others (`ok-pyarrow-*` of the fuzz corpus).
#[test]
fn parquet_files_of_other_programs_are_imported() {
    let sandbox = Sandbox::new();
    let seed = |name: &str| format!("{}/tests/fuzz/corpus/import_parquet/{name}", env!("CARGO_MANIFEST_DIR"));
    let labels = ["\"a\"", "null", "\"ü \\\"x\\\"\""];
    let codes = ["00000000000000ff", "0123456789abcdef", "0123456789abcdef"];
    for (name, labelled) in [
        ("ok-pyarrow-codes", true),
        ("ok-pyarrow-header-zstd", true),
        ("ok-pyarrow-binary-no-dictionary", false),
        ("ok-pyarrow-hex-groups", true),
    ] {
        sandbox.phashdb(["import", name, &seed(name)]).run().exits(0);
        let rows = sandbox.phashdb(["list", "--json", "--db", name]).run().exits(0).of_type("code");
        let rows: Vec<_> = rows
            .iter()
            .map(|row| (row["code"].as_str().unwrap().to_owned(), row["label"].to_string()))
            .collect();
        let expected: Vec<_> = codes
            .iter()
            .zip(labels)
            .map(|(code, label)| ((*code).to_owned(), if labelled { label } else { "null" }.to_owned()))
            .collect();
        assert_eq!(rows, expected, "{name}");
    }
    sandbox.phashdb(["import", "models", &seed("ok-pyarrow-model")]).run().exits(0);
    sandbox.run("verify --db models").exits(0);
    sandbox
        .phashdb(["import", "bad", &seed("bad-null-code")])
        .run()
        .exits(2)
        .says("bad-null-code, row 2: expected a value of column code");
    sandbox
        .phashdb(["import", "bad", &seed("bad-dictionary-bomb")])
        .run()
        .exits(2)
        .says("a dictionary of values that fit 16 bytes");
}
