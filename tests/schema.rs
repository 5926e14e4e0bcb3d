//! The fields of every record of every command: exactly those listed here, and docs/cli.md names each of them. Whoever adds a
//! field adds it in both places; whoever removes or renames one breaks what others have built.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use serde_json::Value;

use crate::support::{Done, Sandbox, safetensors, tensors};

/// The commands (as docs/cli.md calls them there), types of records and their fields.
const RECORDS: &[(&str, &str, &str)] = &[
    (
        "hash",
        "hash",
        "path bits views weak tensors_used tensors_skipped skipped_reasons file_digest content_digest read format len_bytes",
    ),
    ("hash", "tensor", "path name dtype shape views skipped bytes_digest"),
    ("ingest", "ingested", "path id version weak read"),
    ("ingest", "duplicate", "path id version"),
    ("ingest", "unchanged", "path id"),
    ("ingest", "skipped", "path reason"),
    ("ingest", "summary", "ingested duplicate unchanged skipped seconds"),
    (
        "query",
        "match",
        "query id label distance_bits view e_value views features identical weak superseded also relation path",
    ),
    ("query", "summary", "matches searched seconds"),
    ("query, raw codes", "match", "query_number query id label distance_bits code"),
    ("query, raw codes", "summary", "queries answered matches searched seconds"),
    (
        "query --explain",
        "explain",
        "query_number query view radius_bits nearest plan plan_radius_bits segments unindexed tables probes candidates \
         compared verified scanned damaged_segments matches first_us us",
    ),
    ("query --tensors", "parts", "query verdict parents tensors models"),
    (
        "query --tensors",
        "part",
        "query id label finding verdict kept changed replaced too_small added weights_share e_value",
    ),
    (
        "query --tensors",
        "tensor",
        "query name shape models id label stored_name standing distance_bits views",
    ),
    ("query --tensors", "summary", "models searched searched_tensors seconds"),
    (
        "compare",
        "compare",
        "a b distance_bits e_value verdict view views features weak finding finding_text tensors",
    ),
    ("compare", "tensor", "a b shape distance_bits views matched_by standing"),
    ("scan", "group", "members"),
    ("scan", "alone", "path weak nearest"),
    ("scan", "summary", "models groups grouped alone skipped seconds"),
    (
        "list",
        "model",
        "id label version format weak features tensors_used tensors_skipped content_digest ingested_at_ms sources",
    ),
    ("list, raw codes", "code", "id code label"),
    ("import-codes", "imported", "codes labelled bits first_id index_seconds layout seconds"),
    ("dups", "group", "members"),
    ("dups", "summary", "codes groups grouped seconds"),
    ("bench", "machine", "cpu processors load bits codes indexed"),
    (
        "bench",
        "measurement",
        "radius_bits nearest queries scans matches_a_query index_us index_p99_us scan_us speedup recall by_scan",
    ),
    (
        "info",
        "info",
        "path version format_version contents parameters bits views generation created_at_ms models weak_models void_models \
         tensors labels sources catalog_bytes code_bytes segment_bytes segments removed compactions total_bytes dead_bytes \
         uncommitted_bytes files",
    ),
    (
        "info of raw codes",
        "info",
        "path version format_version contents bits generation created_at_ms codes labels catalog_bytes code_bytes label_bytes \
         segment_bytes segments layouts removed compactions total_bytes dead_bytes uncommitted_bytes files",
    ),
    ("rm", "removed", "id label dry_run"),
    ("rm", "unlabelled", "id label dry_run"),
    ("rm", "missing", "id label dry_run"),
    ("rm", "summary", "removed unlabelled missing dry_run"),
    ("compact", "compacted", "before_bytes after_bytes freed compactions seconds"),
    ("merge", "duplicate", "input from_id id label labels_added"),
    ("merge", "input", "input added duplicates labels_added"),
    ("merge", "summary", "added duplicates labels_added seconds"),
    ("import", "duplicate", "input from_id id label labels_added"),
    ("import", "summary", "added duplicates labels_added seconds"),
    ("verify", "damage", "file offset_bytes what expected got affected first_id end_id labels"),
    ("verify", "summary", "damages checked_bytes checked_codes uncommitted_bytes seconds"),
    ("repair", "lost", "what first_id end_id label path version reason"),
    ("repair", "summary", "salvaged losses out seconds"),
    ("backup", "backup", "out generation items copied_bytes segments_left_out seconds"),
    ("migrate", "migrated", "from_version to_version segments_built seconds"),
];

/// Fields by command and type.
type Fields = BTreeMap<(String, String), BTreeSet<String>>;

/// Adds the records that a command printed. Records of one type have the same fields.
fn add(fields: &mut Fields, command: &str, done: &Done) {
    for record in done.records() {
        let Value::Object(record) = record else { panic!("no object: {record}") };
        let kind = record["type"].as_str().unwrap().to_owned();
        let names: BTreeSet<String> = record.keys().filter(|name| *name != "type").cloned().collect();
        let known = fields.entry((command.to_owned(), kind)).or_insert_with(|| names.clone());
        assert_eq!(*known, names, "records of one type differ\n{}", done.explain());
    }
}

/// Every record that the commands print.
fn printed() -> Fields {
    let sandbox = Sandbox::new();
    let mut fields = Fields::new();
    let mut told = |command: &str, line: &str| {
        add(&mut fields, command, &sandbox.run(&format!("{line} --format jsonl")));
    };
    let a = sandbox.model("a.safetensors", 1);
    fs::copy(a, sandbox.path().join("b.safetensors")).unwrap();
    sandbox.model("c.safetensors", 2);
    let mut part = tensors(1);
    part.truncate(6);
    sandbox.file("part.safetensors", &safetensors(&part));
    sandbox.file("empty.safetensors", b"");
    told("ingest", "ingest a.safetensors");
    told("ingest", "ingest a.safetensors b.safetensors c.safetensors part.safetensors empty.safetensors");
    told("hash", "hash --tensors a.safetensors");
    told("query", "query a.safetensors");
    sandbox.run("query a.safetensors --explain --json").exits(0);
    for record in sandbox.run("query a.safetensors --explain --json").of_type("explain") {
        let names = record.as_object().unwrap().keys().filter(|name| *name != "type").cloned().collect();
        fields.insert(("query --explain".to_owned(), "explain".to_owned()), names);
    }
    let mut told = |command: &str, line: &str| {
        add(&mut fields, command, &sandbox.run(&format!("{line} --format jsonl")));
    };
    told("query --tensors", "query --tensors part.safetensors");
    told("compare", "compare a.safetensors c.safetensors");
    told("scan", "scan a.safetensors b.safetensors c.safetensors");
    told("list", "list");
    told("info", "info");
    sandbox.run("export -o out.jsonl").exits(0);
    told("merge", "merge merged.phash library.phash library.phash");
    told("import", "import out.jsonl");
    told("backup", "backup copy.phash");
    told("rm", "rm b.safetensors part.safetensors nothing");
    told("compact", "compact");
    told("migrate", "migrate");
    sandbox.file("codes.hex", b"00000000000000ff x\n00000000000000fe y\nffffffff00000000\n");
    told("import-codes", "--db raw.phash import-codes --bits 64 codes.hex");
    told("query, raw codes", "--db raw.phash query --code 00000000000000ff");
    told("dups", "dups --radius 4 raw.phash");
    told("bench", "bench --queries 2 --radius 4 raw.phash");
    told("list, raw codes", "list raw.phash");
    told("info of raw codes", "info raw.phash");
    // A byte of a code.
    let path = sandbox.path().join("copy.phash/energy.codes");
    let mut bytes = fs::read(&path).unwrap();
    bytes[4096 + 64 + 3] ^= 1;
    fs::write(&path, bytes).unwrap();
    told("verify", "verify copy.phash");
    told("repair", "repair --salvage saved.phash copy.phash");
    fields
}

#[test]
fn every_record_has_exactly_the_fields_of_the_contract() {
    let printed = printed();
    let of = |command: &str, kind: &str| (command.to_owned(), kind.to_owned());
    for (command, kind, fields) in RECORDS {
        let expected: BTreeSet<String> = fields.split_whitespace().map(str::to_owned).collect();
        let found = printed.get(&of(command, kind));
        assert_eq!(found, Some(&expected), "{command}: fields of {kind}");
    }
    let known: BTreeSet<_> = RECORDS.iter().map(|(command, kind, _)| of(command, kind)).collect();
    let others: Vec<_> = printed.keys().filter(|record| !known.contains(record)).collect();
    assert!(others.is_empty(), "records that the contract does not have: {others:?}");
}

#[test]
fn the_documentation_names_every_field_of_every_record() {
    let text = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/cli.md")).unwrap();
    let formats = text.split_once("\n## Formats\n").expect("the chapter on formats").1;
    // A paragraph that begins with commands in bold is about them, and so is what follows up to the next one.
    let mut about: BTreeMap<&str, String> = BTreeMap::new();
    let mut commands: Vec<&str> = Vec::new();
    for line in formats.lines() {
        if line.starts_with("**") {
            let bold = line.split(": ").next().unwrap_or(line);
            commands = bold.split("**").skip(1).step_by(2).collect();
        }
        for command in &commands {
            *about.entry(command).or_default() += &format!("{line}\n");
        }
    }
    for (command, kind, fields) in RECORDS {
        let command = match *command {
            "query, raw codes" => "query",
            "list, raw codes" => "list",
            "info of raw codes" => "info",
            command => command,
        };
        let section = about.get(command).unwrap_or_else(|| panic!("nothing about {command}"));
        for name in fields.split_whitespace().chain([*kind]) {
            let named = ['"', '`'].iter().any(|quote| section.contains(&format!("{quote}{name}{quote}")));
            assert!(named, "{command}: {name} of {kind} is not described");
        }
    }
}
