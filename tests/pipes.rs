//! Standard input and output as pipes: `-` reads weights, lists of paths are read, and a reader that leaves early is no
//! error.

use std::fs;
use std::io::Read as _;
use std::process::Stdio;

use crate::support::{Sandbox, model_bytes};

#[test]
fn a_dash_reads_weights_from_standard_input() {
    let sandbox = Sandbox::new();
    sandbox.model("a.safetensors", 1);
    sandbox.run("ingest a.safetensors").exits(0);
    let done = sandbox.phashdb(["query", "--json", "-"]).stdin(model_bytes(1)).run();
    let record = done.exits(0).of_type("match").remove(0);
    assert_eq!((&record["query"], &record["identical"]), (&"-".into(), &true.into()));
    sandbox.phashdb(["query", "-"]).stdin(model_bytes(2)).run().exits(1);
    sandbox.phashdb(["query", "-"]).stdin(Vec::new()).run().exits(2).says("-: is empty");
    // The same codes and digests as from the file.
    let piped =
        sandbox.phashdb(["hash", "--json", "-"]).stdin(model_bytes(1)).run().of_type("hash").remove(0);
    let read = sandbox.run("hash --json a.safetensors").of_type("hash").remove(0);
    for field in ["views", "file_digest", "content_digest"] {
        assert_eq!(piped[field], read[field]);
    }
    sandbox
        .phashdb(["compare", "-", "a.safetensors"])
        .stdin(model_bytes(1))
        .run()
        .exits(0)
        .prints("identical");
    sandbox.run("compare - -").exits(2).says("only once");
}

#[test]
fn standard_input_is_ingested_under_its_label() {
    let sandbox = Sandbox::new();
    let ingest = || {
        sandbox.phashdb(["ingest", "--json", "-", "--stdin-label", "from-pipe"]).stdin(model_bytes(1)).run()
    };
    assert_eq!(ingest().exits(0).of_type("ingested")[0]["path"], "from-pipe");
    assert_eq!(ingest().exits(0).of_type("unchanged")[0]["path"], "from-pipe");
    let changed =
        sandbox.phashdb(["ingest", "--json", "-", "--stdin-label", "from-pipe"]).stdin(model_bytes(2)).run();
    assert_eq!(changed.exits(0).of_type("ingested")[0]["version"], 2);
}

#[test]
fn lists_of_paths_are_read_from_a_file_or_standard_input() {
    let sandbox = Sandbox::new();
    for (name, seed) in [("a b", 1), ("c\nd", 2), ("e", 3)] {
        sandbox.model(&format!("{name}.safetensors"), seed);
    }
    sandbox.file("lines", b"a b.safetensors\r\n\ne.safetensors\n");
    let done = sandbox.run("ingest --json --files-from lines");
    assert_eq!(done.exits(0).of_type("ingested").len(), 2);
    let null = b"c\nd.safetensors\0a b.safetensors\0".to_vec();
    let done = sandbox.phashdb(["ingest", "--json", "-0", "--files-from", "-"]).stdin(null).run();
    assert_eq!(done.exits(0).of_type("ingested")[0]["path"], "c\nd.safetensors");
    assert_eq!(done.of_type("unchanged")[0]["path"], "a b.safetensors");
    sandbox.run("ingest --files-from nowhere").exits(2).says("nowhere");
    sandbox.run("ingest --files-from - -").exits(2).says("only once");
}

#[test]
fn a_list_that_is_none_ends_the_ingest_and_keeps_what_came_before() {
    let sandbox = Sandbox::new();
    sandbox.model("a.safetensors", 1);
    fs::create_dir(sandbox.path().join("directory")).unwrap();
    sandbox.run("ingest --files-from directory").exits(2).says("directory: cannot be read");
    assert!(!sandbox.path().join("library.phash").exists());
    // Paths come one by one: what was stored before the mistake is told and stays.
    let list = [&b"a.safetensors\n"[..], &vec![b'x'; (1 << 20) + 1]].concat();
    let done = sandbox.phashdb(["ingest", "--json", "--files-from", "-"]).stdin(list).run();
    done.exits(2).says("-: cannot be read: an entry is longer than 1 MiB");
    assert_eq!(done.of_type("ingested").len(), 1);
    sandbox.file("long", &vec![b'x'; 3 << 20]);
    sandbox.run("--db other.phash ingest --files-from long").exits(2).says("longer than 1 MiB");
    assert!(!sandbox.path().join("other.phash").exists());
}

#[test]
fn a_reader_that_leaves_early_is_a_quiet_success() {
    let sandbox = Sandbox::new();
    sandbox.model("a.safetensors", 1);
    for command in
        [&["hash", "--tensors", "--json"][..], &["hash", "--format", "csv"], &["hash", "--tensors"]]
    {
        // Far more output than a pipe holds.
        let files = vec!["a.safetensors"; 400];
        let mut cli = sandbox.phashdb(command.iter().chain(&files));
        let mut child = cli.command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let mut first = [0; 10];
        let mut stdout = child.stdout.take().unwrap();
        stdout.read_exact(&mut first).unwrap();
        drop(stdout);
        let output = child.wait_with_output().unwrap();
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert_eq!((output.status.code(), stderr.as_ref()), (Some(0), ""), "{command:?}");
    }
}

#[test]
fn a_reader_that_leaves_does_not_stop_an_ingest() {
    let sandbox = Sandbox::new();
    for seed in 0..30 {
        sandbox.model(&format!("m/{seed:02}.safetensors"), seed);
    }
    let mut cli = sandbox.phashdb(["ingest", "--json", "--commit-every", "1", "m"]);
    let mut child = cli.command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    drop(child.stdout.take());
    assert_eq!(child.wait().unwrap().code(), Some(0));
    assert_eq!(sandbox.run("list --json").of_type("model").len(), 30);
}

#[test]
fn nothing_is_drawn_on_standard_error_that_is_no_terminal() {
    let sandbox = Sandbox::new();
    sandbox.model("a.safetensors", 1);
    sandbox.run("ingest a.safetensors").exits(0).is_silent();
    sandbox.run("verify").exits(0).is_silent();
    assert!(fs::metadata(sandbox.path().join("library.phash")).unwrap().is_dir());
}
