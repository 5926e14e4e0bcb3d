//! `verify`, `repair`, `backup` and `migrate` as their users see them: what they print, what they leave behind, and that a
//! copy answers as the original did.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use crate::codes::{codes, lines};
use crate::readme::copy;
use crate::support::{Random, Sandbox};

/// A database of labelled raw codes; one is removed.
fn of_codes(sandbox: &Sandbox, count: usize) {
    sandbox.file("codes.csv", &lines(&codes(count, 8), |number, hex| format!("{hex},label {number}")));
    sandbox.run("import-codes --bits 64 codes.csv").exits(0);
    sandbox.run("rm --id 17").exits(0);
}

fn flip(path: &Path, at: usize) {
    let mut bytes = fs::read(path).unwrap();
    bytes[at] ^= 1;
    fs::write(path, bytes).unwrap();
}

/// What two databases answer to the same questions.
#[track_caller]
fn answer_alike(sandbox: &Sandbox, one: &str, other: &str) {
    for question in ["list --json", "dups --json -r 12", "query --json -k 3 --id 4"] {
        let ask = |db: &str| {
            let answer = sandbox.run(&format!("{question} --db {db}")).stdout();
            answer.lines().filter(|line| !line.contains("\"summary\"")).collect::<Vec<_>>().join("\n")
        };
        assert_eq!(ask(one), ask(other), "{question}");
    }
}

#[test]
fn a_backup_is_a_database_that_answers_as_the_original_and_is_never_half_there() {
    let sandbox = Sandbox::new();
    of_codes(&sandbox, 3000);
    let done = sandbox.run("backup --json copy.phash");
    let record = done.exits(0).of_type("backup").remove(0);
    assert_eq!((record["items"].as_u64(), record["out"].as_str()), (Some(2999), Some("copy.phash")));
    sandbox.run("verify copy.phash").exits(0).prints("sound; 3,000 codes");
    answer_alike(&sandbox, "library.phash", "copy.phash");
    sandbox.run("backup second.phash copy.phash").exits(0).prints("every checksum compared");
    sandbox.run("import-codes --bits 64 --repeated-labels --db second.phash codes.csv").exits(0);
    sandbox.run("verify --db second.phash").exits(0);

    sandbox.run("backup copy.phash").exits(2).says("something is there already");
    sandbox.run("backup library.phash").exits(2).says("it is the very database");
    sandbox.run("backup library.phash/copy").exits(2).says("it lies inside the database");
    sandbox.run("backup no/where").exits(2).says("no");
    sandbox.run("backup third.phash nowhere.phash").exits(2).says("nowhere.phash");
    sandbox.run("backup third.phash copy.phash --db library.phash").exits(2).says("cannot be used with");
    fs::create_dir(sandbox.path().join("third.phash.partial")).unwrap();
    sandbox.run("backup third.phash").exits(2).says("third.phash.partial").says("remove it");
    assert!(!sandbox.path().join("third.phash").exists());
}

#[cfg(target_os = "linux")]
#[test]
fn a_backup_that_finds_no_room_or_is_killed_leaves_no_database() {
    let sandbox = Sandbox::new();
    of_codes(&sandbox, 3000);
    let there = |name: &str| sandbox.path().join(name).exists();
    // Of 512 bytes; SQLite's shared memory beside the original takes 64.
    for blocks in [70, 90, 100] {
        let script = format!("trap '' XFSZ; ulimit -f {blocks}; exec \"$PHASHDB\" backup out.phash");
        let mut shell = Command::new("sh");
        shell.args(["-c", &script]).current_dir(sandbox.path()).env("PHASHDB", env!("CARGO_BIN_EXE_phashdb"));
        let output = shell.env_remove("PHASHDB_DB").output().unwrap();
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.code() == Some(2) && stderr.contains("disk full"), "{blocks}: {stderr}");
        assert!(!there("out.phash") && !there("out.phash.partial"), "{blocks}");
    }
    let mut random = Random(u64::from(std::process::id()));
    let mut killed = 0;
    for _ in 0..20 {
        let mut child =
            sandbox.phashdb(["backup", "out.phash"]).command.stdout(Stdio::null()).spawn().unwrap();
        std::thread::sleep(Duration::from_micros(random.next() % 25_000));
        child.kill().unwrap();
        child.wait().unwrap();
        if there("out.phash") {
            sandbox.run("verify out.phash").exits(0);
            fs::remove_dir_all(sandbox.path().join("out.phash")).unwrap();
        } else {
            sandbox.run("list --db out.phash").exits(2).says("not a phashdb database");
            sandbox.run("list --db out.phash.partial").exits(2).says("not a phashdb database");
            killed += 1;
        }
        let _ = fs::remove_dir_all(sandbox.path().join("out.phash.partial"));
    }
    println!("{killed} of 20 backups killed before they were there");
    sandbox.run("backup out.phash").exits(0);
}

#[test]
fn verify_lists_all_damage_and_repair_saves_what_is_not_damaged() {
    let sandbox = Sandbox::new();
    of_codes(&sandbox, 5000);
    let db = sandbox.path().join("library.phash");
    let sound = sandbox.run("repair --salvage all.phash --json");
    assert_eq!(sound.exits(0).of_type("summary")[0]["salvaged"], 4999);
    sandbox.run("verify all.phash").exits(0);

    flip(&db.join("raw.codes"), 4096 + 64);
    flip(&db.join("raw.labels"), 4096 + 64 + 2048 * 8 + 64 + 80);
    let done = sandbox.run("verify --json");
    let damages = done.exits(2).of_type("damage");
    let of =
        |name: &str| damages.iter().find(|damage| damage["file"].as_str().unwrap().ends_with(name)).unwrap();
    let ids =
        |damage: &serde_json::Value| ["first_id", "end_id"].map(|field| damage[field].as_u64().unwrap());
    assert_eq!((of("raw.codes")["affected"].as_str(), ids(of("raw.codes"))), (Some("code"), [0, 2048]));
    assert_eq!(of("raw.codes")["labels"][0], "label 0");
    assert_eq!(ids(of("raw.labels")), [2048, 4096]);
    sandbox.run("verify").exits(2).prints("affected: code 0 to 2047: label 0, label 1, label 2, ...");

    let done = sandbox.run("repair --salvage saved.phash library.phash --format jsonl");
    let lost = done.exits(2).of_type("lost");
    let count = |what: &str| lost.iter().filter(|loss| loss["what"] == what).count();
    // Every code has a label and is told under it; labels that are lost are told by the ids of their codes.
    assert_eq!((count("code"), count("label")), (2047, 1));
    assert_eq!((lost[0]["first_id"].as_u64(), lost[0]["label"].as_str()), (Some(0), Some("label 0")));
    assert_eq!(done.of_type("summary")[0]["salvaged"], 5000 - 2048);
    sandbox.run("verify saved.phash").exits(0).prints("2,952 codes");
    sandbox.run("repair --salvage saved.phash").exits(2).says("something is there already");
    sandbox.run("repair --salvage library.phash/saved").exits(2).says("inside");
    sandbox.run("repair").exits(2).says("--salvage");
    let csv = sandbox.run("repair --salvage third.phash --format csv").exits(2).stdout();
    assert!(
        csv.starts_with("type,what,first_id,end_id,label,path,version,reason\nlost,code,0,1,label 0,"),
        "{csv}"
    );
}

#[test]
fn models_whose_codes_are_damaged_are_listed_with_their_paths_and_can_be_ingested_again() {
    let sandbox = Sandbox::new();
    sandbox.model("models/a.safetensors", 1);
    sandbox.model("models/b.safetensors", 2);
    sandbox.run("ingest models").exits(0);
    let found = sandbox.run("query --json models/a.safetensors").exits(0).of_type("match");
    flip(&sandbox.path().join("library.phash/energy.codes"), 4096 + 64 + 5);
    let lost = sandbox.run("repair --salvage saved.phash --json").exits(2).of_type("lost");
    let labels: Vec<&str> = lost.iter().map(|loss| loss["label"].as_str().unwrap()).collect();
    // The other one is in the same block, and has a checksum of its own.
    assert_eq!(labels, ["models/a.safetensors"]);
    assert!(lost[0]["path"].as_str().unwrap().ends_with("models/a.safetensors"));
    sandbox.run("verify saved.phash").exits(0);
    sandbox.run("ingest models --db saved.phash").exits(0).prints("1 model ingested");
    let again = sandbox.run("query --json models/a.safetensors --db saved.phash").exits(0).of_type("match");
    // Ingested again, it has another id.
    assert_eq!((again.len(), &again[0]["id"], &found[0]["id"]), (1, &1.into(), &0.into()));
    for field in ["label", "views", "features", "relation"] {
        assert_eq!(again[0][field], found[0][field], "{field}");
    }

    // What is only an index, or evidence, costs nothing.
    let sandbox = Sandbox::new();
    sandbox.model("a.safetensors", 1);
    sandbox.run("ingest a.safetensors").exits(0);
    fs::write(sandbox.path().join("library.phash/published"), b"nonsense").unwrap();
    sandbox.run("repair --salvage saved.phash").exits(0).prints("nothing is lost");
}

#[test]
fn migrate_raises_the_format_says_so_and_refuses_what_is_newer() {
    let sandbox = Sandbox::new();
    sandbox.model("a.safetensors", 1);
    sandbox.run("ingest a.safetensors").exits(0);
    // What is new is of the newest version.
    sandbox.run("migrate library.phash").exits(0).prints("nothing to do: format version 5").is_silent();
    sandbox.run("verify").exits(0);

    // Databases of versions 1 and 2, as they were made by the builds that wrote these: read, and migrated before they are written.
    sandbox.file("codes.hex", b"00112233445566778899aabbccddeeff\n");
    for (fixture, add, from, to) in
        [("store-v1", "rm --id 7", 1, 5), ("store-v2", "import-codes --bits 128 codes.hex", 2, 4)]
    {
        let db = format!("{fixture}.phash");
        let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("data/golden");
        copy(&golden.join(fixture), &sandbox.path().join(&db));
        let ask = |command: &str| sandbox.run(&format!("{command} --db {db}"));
        let version = format!("format version {from}");
        ask(add).exits(2).says(&version).says("phashdb migrate").says("phashdb backup");
        ask(&format!("backup {fixture}.old")).exits(0);
        let done = ask("migrate --json").exits(0).of_type("migrated").remove(0);
        let fields = ["from_version", "to_version"].map(|field| done[field].as_u64().unwrap());
        assert_eq!(fields, [from, to]);
        ask("migrate").exits(0).prints("nothing to do").is_silent();
        if from == 2 {
            // The index segment of the other one is none, and not this build's to make anew.
            ask("verify").exits(0);
        }
        ask(add).exits(0);
        // What was backed up before is as it was.
        sandbox.run(&format!("{add} --db {fixture}.old")).exits(2).says(&version);
    }
    // The version is where SQLite keeps its user_version.
    let catalog = sandbox.path().join("library.phash/catalog.sqlite");
    let mut bytes = fs::read(&catalog).unwrap();
    bytes[60..64].copy_from_slice(&[0, 0, 0, 9]);
    fs::write(&catalog, &bytes).unwrap();
    for command in ["migrate", "verify", "backup x.phash", "repair --salvage x.phash"] {
        sandbox.run(command).exits(2).says("format version 9, this build knows 5");
    }
    assert!(!sandbox.path().join("x.phash").exists() && fs::read(&catalog).unwrap() == bytes);
}
