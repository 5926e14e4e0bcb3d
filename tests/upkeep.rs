//! `rm`, `compact` and what `info` says of them: removed models and raw codes are gone for every command.

use serde_json::Value;

use crate::support::Sandbox;

fn ids(rows: &[Value]) -> Vec<u64> {
    rows.iter().map(|row| row["id"].as_u64().unwrap()).collect()
}

#[test]
fn a_removed_model_is_gone_for_every_command_and_can_be_ingested_again() {
    let sandbox = Sandbox::new();
    for (name, seed) in [("a", 1), ("b", 2), ("c", 3)] {
        sandbox.model(&format!("{name}.safetensors"), seed);
    }
    std::fs::copy(sandbox.path().join("a.safetensors"), sandbox.path().join("copy.safetensors")).unwrap();
    sandbox.run("ingest a.safetensors b.safetensors c.safetensors copy.safetensors").exits(0);
    let listed = || ids(&sandbox.run("list --json").exits(0).of_type("model"));

    sandbox.run("rm nobody").exits(1).says("nobody is not there");
    sandbox.run("rm --dry-run b.safetensors").exits(0).prints("would be removed");
    assert_eq!(listed(), [0, 1, 2]);
    sandbox.run("rm b.safetensors nobody").exits(0).prints("b.safetensors").says("nobody is not there");
    let log = std::fs::metadata(sandbox.path().join("library.phash/catalog.sqlite-wal"));
    assert!(log.is_err() || log.unwrap().len() == 0, "the log is emptied at the end");
    assert_eq!(listed(), [0, 2]);
    sandbox.run("query b.safetensors").exits(1);
    sandbox.run("query --id 1").exits(2).says("no model has id 1; it was removed");
    sandbox.run("query --tensors b.safetensors").exits(1);
    sandbox.run("query a.safetensors").exits(0);
    // A model under two labels stays under the other one.
    let done = sandbox.run("rm --json a.safetensors");
    assert_eq!(ids(&done.exits(0).of_type("unlabelled")), [0]);
    sandbox.run("query a.safetensors").exits(0).prints("copy.safetensors");
    sandbox.run("rm --id 0").exits(0).prints("copy.safetensors");
    sandbox.run("verify").exits(0);
    let info = sandbox.run("info --json").exits(0).of_type("info").remove(0);
    let counts = |info: &Value| {
        ["models", "removed", "compactions", "format_version"].map(|key| info[key].as_u64().unwrap())
    };
    assert_eq!(counts(&info), [1, 2, 0, 5]);
    assert!(info["dead_bytes"].as_u64().unwrap() > 0);

    let done = sandbox.run("compact --json").exits(0).of_type("compacted").remove(0);
    assert!(done["after_bytes"].as_u64() < done["before_bytes"].as_u64());
    let info = sandbox.run("info --json").exits(0).of_type("info").remove(0);
    assert_eq!(counts(&info), [1, 0, 1, 5]);
    assert_eq!(listed(), [0]);
    sandbox.run("query c.safetensors").exits(0).prints("c.safetensors");
    sandbox.run("ingest a.safetensors b.safetensors c.safetensors").exits(0);
    assert_eq!(listed(), [0, 1, 2]);
    sandbox.run("query b.safetensors").exits(0).prints("b.safetensors");
    sandbox.run("verify").exits(0);
    sandbox.run("compact").exits(0).prints("nothing was removed");
}

#[test]
fn removed_raw_codes_are_gone_for_every_command() {
    let sandbox = Sandbox::new();
    sandbox
        .file("codes.hex", b"00000000000000ff a\n00000000000000fe b\n00000000000000fc c\nff00000000000000\n");
    sandbox.run("import-codes --bits 64 codes.hex").exits(0);
    sandbox.file("gone.txt", b"b\r\nnobody\n");
    sandbox.run("rm --labels-from gone.txt").exits(0).says("nobody is not there");
    assert_eq!(ids(&sandbox.run("list --json").exits(0).of_type("code")), [0, 2, 3]);
    let found = sandbox.run("query --json --radius 2 --code 00000000000000ff");
    assert_eq!(ids(&found.exits(0).of_type("match")), [0, 2]);
    sandbox.run("query --id 1 -k 1").exits(2).says("no code has id 1; it was removed");
    let groups = sandbox.run("dups --json -r 1");
    assert!(groups.exits(1).of_type("member").is_empty());
    sandbox.run("rm --id 3 --id 77").exits(0).says("id 77 is not there");
    sandbox.run("compact").exits(0).prints("2 raw codes freed");
    assert_eq!(ids(&sandbox.run("list --json").exits(0).of_type("code")), [0, 1]);
    sandbox.run("verify").exits(0);
    sandbox.run("rm --id 0 --id 1").exits(0);
    sandbox.run("list").exits(1);
    sandbox.run("rm").exits(2);
    sandbox.run("rm --id 0 label").exits(2);
    sandbox.run("rm --db nowhere.phash x").exits(2).says("nowhere.phash");
}
