//! Ingest again and again: unchanged files are skipped, changed ones become versions, equal contents duplicates; the
//! result does not depend on the number of threads.

use std::fs;
use std::process::Stdio;

use phash_code::Codes as _;
use phash_core::{CODE_WORDS, ModelCode, View};
use phash_store::{CodeView, OpenOptions, Reader};
use serde_json::Value;

use crate::support::{MODELS, Sandbox, model_bytes, safetensors, tensors};

/// The stored models without what tells one run from another: times.
pub(crate) fn models(sandbox: &Sandbox, db: &str) -> Vec<Value> {
    let done = sandbox.phashdb(["list", "--json", "--db", db]).run();
    let mut models = done.of_type("model");
    done.exits(i32::from(models.is_empty()));
    for model in &mut models {
        model.as_object_mut().unwrap().remove("ingested_at_ms");
    }
    models
}

#[test]
fn the_same_directory_gives_the_same_library_for_any_number_of_jobs() {
    let sandbox = Sandbox::new();
    sandbox.file("broken.safetensors", b"");
    for jobs in ["1", "2", "7"] {
        let db = format!("{jobs}.phash");
        sandbox
            .phashdb(["ingest", "-q", "-j", jobs, "--db", &db, MODELS, "broken.safetensors"])
            .run()
            .exits(2);
    }
    let expected = models(&sandbox, "1.phash");
    assert!(expected.len() > 20);
    for jobs in ["2", "7"] {
        assert_eq!(models(&sandbox, &format!("{jobs}.phash")), expected, "{jobs} jobs");
        assert_eq!(codes(&sandbox, &format!("{jobs}.phash")), codes(&sandbox, "1.phash"), "{jobs} jobs");
    }
}

/// All codes of models and tensors, view by view.
fn codes(sandbox: &Sandbox, db: &str) -> Vec<Vec<ModelCode>> {
    let reader = Reader::open(&sandbox.path().join(db), OpenOptions::default()).unwrap();
    let all = |codes: CodeView<CODE_WORDS>| (0..codes.len()).map(|id| *codes.get(id).unwrap()).collect();
    let of_view = |view: &str| [all(reader.codes(view).unwrap()), all(reader.tensor_codes(view).unwrap())];
    View::ALL.map(View::name).into_iter().flat_map(of_view).collect()
}

#[test]
fn unchanged_files_are_not_opened_again() {
    let sandbox = Sandbox::new();
    let path = sandbox.model("a.safetensors", 1);
    let modified = fs::metadata(&path).unwrap().modified().unwrap();
    sandbox.run("ingest a.safetensors").exits(0).prints("1 model ingested");
    // Other bytes of the same length and time: who opened the file would see them.
    fs::write(&path, model_bytes(2)).unwrap();
    fs::File::options().write(true).open(&path).unwrap().set_modified(modified).unwrap();
    sandbox.run("ingest a.safetensors").exits(0).prints("1 unchanged");
    // With another time they are seen.
    fs::write(&path, model_bytes(2)).unwrap();
    sandbox.run("ingest a.safetensors").exits(0).prints("1 model ingested");
}

#[test]
fn a_touched_file_with_the_same_bytes_is_unchanged() {
    let sandbox = Sandbox::new();
    let path = sandbox.model("a.safetensors", 1);
    sandbox.run("ingest a.safetensors").exits(0);
    fs::write(&path, model_bytes(1)).unwrap();
    sandbox.run("ingest a.safetensors").exits(0).prints("1 unchanged");
    assert_eq!(sandbox.run("info --json").of_type("info")[0]["sources"], 1);
}

#[test]
fn a_changed_file_becomes_a_new_version_and_the_old_one_stays_findable() {
    let sandbox = Sandbox::new();
    sandbox.model("a.safetensors", 1);
    sandbox.run("ingest a.safetensors").exits(0);
    sandbox.model("a.safetensors", 2);
    let record = sandbox.run("ingest --json a.safetensors").exits(0).of_type("ingested").remove(0);
    assert_eq!((&record["id"], &record["version"]), (&1.into(), &2.into()));
    sandbox.model("old.safetensors", 1);
    let old = sandbox.run("query --json old.safetensors").exits(0).of_type("match").remove(0);
    assert_eq!(
        (&old["id"], &old["superseded"], &old["label"]),
        (&0.into(), &true.into(), &"a.safetensors".into())
    );
    let new = sandbox.run("query --json a.safetensors").exits(0).of_type("match").remove(0);
    assert_eq!((&new["id"], &new["superseded"]), (&1.into(), &false.into()));
}

#[test]
fn the_same_label_size_and_time_in_another_folder_is_not_unchanged() {
    let (here, there) = (Sandbox::new(), Sandbox::new());
    let db = here.path().join("library.phash");
    for (sandbox, seed) in [(&here, 1), (&there, 2)] {
        let path = sandbox.model("model.safetensors", seed);
        let then = std::time::UNIX_EPOCH + std::time::Duration::from_secs(1_577_836_800);
        fs::File::options().write(true).open(path).unwrap().set_modified(then).unwrap();
        let args = ["--db".as_ref(), db.as_os_str(), "ingest".as_ref(), "model.safetensors".as_ref()];
        sandbox.phashdb(args).run().exits(0).prints("1 model ingested");
    }
}

#[test]
fn equal_contents_under_another_path_are_a_duplicate_and_shown() {
    let sandbox = Sandbox::new();
    sandbox.model("a.safetensors", 1);
    // The same tensors in another order, under other names.
    let mut renamed = tensors(1);
    renamed.reverse();
    for (number, tensor) in renamed.iter_mut().enumerate() {
        tensor.name = format!("other.{number}");
    }
    sandbox.file("b.safetensors", &safetensors(&renamed));
    sandbox.run("ingest a.safetensors").exits(0);
    let record = sandbox.run("ingest --json b.safetensors").exits(0).of_type("duplicate").remove(0);
    assert_eq!(record["id"], 0);
    sandbox.run("query a.safetensors").exits(0).prints("identical contents").prints("also b.safetensors");
    assert_eq!(models(&sandbox, "library.phash").len(), 1);
}

#[test]
fn a_path_given_twice_is_ingested_once() {
    let sandbox = Sandbox::new();
    sandbox.model("m/a.safetensors", 1);
    let done = sandbox.run("ingest --json m m/a.safetensors m");
    assert_eq!(done.exits(0).records().len(), 2, "{}", done.explain());
}

#[test]
fn endings_in_upper_case_are_found_as_those_in_lower_case() {
    let sandbox = Sandbox::new();
    for (seed, name) in (1..).zip(["m/a.safetensors", "m/B.SAFETENSORS", "m/sub/C.SafeTensors"]) {
        sandbox.model(name, seed);
    }
    sandbox.file("m/D.SAFETENSORS.TXT", b"none");
    sandbox.run("scan m").exits(1).is_silent().prints("3 models");
    sandbox.run("ingest m").exits(0).is_silent().prints("3 models ingested");
    sandbox.run("query m/sub/C.SafeTensors").exits(0).prints("m/sub/C.SafeTensors");
}

#[test]
fn a_sharded_model_is_one_model_and_its_shards_are_none() {
    let sandbox = Sandbox::new();
    let done = sandbox.phashdb(["ingest", "--json", &format!("{MODELS}/fashion-cnn/twin-1-sharded")]).run();
    let ingested = done.exits(0).of_type("ingested");
    assert_eq!(ingested.len(), 1, "{}", done.explain());
    assert!(ingested[0]["path"].as_str().unwrap().ends_with("twin-1-sharded/model.safetensors.index.json"));
}

#[test]
fn a_second_writer_is_turned_away_while_the_first_writes() {
    let sandbox = Sandbox::new();
    sandbox.model("a.safetensors", 1);
    // The first writer waits for its standard input, with the library open.
    let mut cli = sandbox.phashdb(["ingest", "--json", "--commit-every", "1", "a.safetensors", "-"]);
    let mut first = cli.command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut line = String::new();
    let mut stdout = std::io::BufReader::new(first.stdout.take().unwrap());
    std::io::BufRead::read_line(&mut stdout, &mut line).unwrap();
    assert!(line.contains("\"ingested\""), "{line}");
    sandbox.run("ingest a.safetensors").exits(2).says("another process is writing");
    // Readers are not held up, and see what was committed.
    sandbox.run("query a.safetensors").exits(0);
    drop(first.stdin.take());
    assert_eq!(first.wait().unwrap().code(), Some(2), "empty standard input is an error of its own");
    sandbox.run("ingest a.safetensors").exits(0);
}
