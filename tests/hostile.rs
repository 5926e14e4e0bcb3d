//! Hostile and broken input: each kind gives an error that names the file, exit status 2, and the rest of the batch is
//! ingested all the same.

use std::fs;
use std::path::Path;

use serde_json::json;

use crate::support::{Sandbox, Tensor, model_bytes, safetensors, tensors, with_header};

/// Files that must be refused: name, bytes, a word of the reason.
fn refused() -> Vec<(&'static str, Vec<u8>, &'static str)> {
    let sound = model_bytes(7);
    let overlapping = json!({
        "a": {"dtype": "F32", "shape": [4], "data_offsets": [0, 16]},
        "b": {"dtype": "F32", "shape": [4], "data_offsets": [8, 24]},
    });
    let duplicate = r#"{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}"#;
    let mut huge = u64::MAX.to_le_bytes().to_vec();
    huge.extend_from_slice(b"{}");
    let mut large = 99_000_000u64.to_le_bytes().to_vec();
    large.extend_from_slice(b"{}");
    vec![
        ("truncated", sound[..sound.len() / 2].to_vec(), ""),
        ("truncated-in-header", sound[..40].to_vec(), "truncated"),
        ("truncated-length", sound[..5].to_vec(), "truncated"),
        ("empty", Vec::new(), "empty"),
        ("zero-tensor", with_header("{}", b""), "no tensors"),
        ("metadata-only", with_header(r#"{"__metadata__":{"a":"b"}}"#, b""), "no tensors"),
        ("duplicate-key", with_header(duplicate, &[0; 8]), "twice"),
        ("overlapping-offset", with_header(&overlapping.to_string(), &[0; 24]), ""),
        ("huge-header", huge, "header"),
        ("large-header", large, "header"),
        ("not-json", with_header("{\"a\":", &[0; 8]), "JSON"),
        ("garbage", b"this is a text and no weights file at all".to_vec(), ""),
    ]
}

#[test]
fn each_broken_file_is_named_with_a_reason_and_the_rest_is_ingested() {
    let sandbox = Sandbox::new();
    for (name, bytes, _) in refused() {
        sandbox.file(&format!("m/{name}.safetensors"), &bytes);
    }
    // Before, between and after the broken ones.
    for (name, seed) in [("a-first", 1), ("f-middle", 2), ("z-last", 3)] {
        sandbox.model(&format!("m/{name}.safetensors"), seed);
    }
    let done = sandbox.run("ingest --json m");
    done.exits(2);
    let ingested: Vec<_> = done.of_type("ingested").iter().map(|record| record["path"].clone()).collect();
    assert_eq!(ingested, ["m/a-first.safetensors", "m/f-middle.safetensors", "m/z-last.safetensors"]);
    let skipped = done.of_type("skipped");
    assert_eq!(skipped.len(), refused().len(), "{}", done.explain());
    for (name, _, word) in refused() {
        let path = format!("m/{name}.safetensors");
        let record =
            skipped.iter().find(|record| record["path"] == *path).unwrap_or_else(|| panic!("{path}"));
        let reason = record["reason"].as_str().unwrap();
        assert!(reason.contains(&path) && reason.contains(word), "{reason}");
        done.says(reason);
    }
    sandbox.run("verify").exits(0);
}

#[test]
fn every_command_that_reads_weights_refuses_them_alike() {
    let sandbox = Sandbox::new();
    sandbox.model("sound.safetensors", 1);
    sandbox.run("ingest sound.safetensors").exits(0);
    for (name, bytes, word) in refused() {
        let file = format!("{name}.safetensors");
        sandbox.file(&file, &bytes);
        for command in ["hash", "query", "scan", "compare sound.safetensors"] {
            let done = sandbox.run(&format!("{command} {file}"));
            done.exits(2).says(&file).says(word);
            assert!(!done.stderr().contains("panicked"), "{}", done.explain());
        }
    }
}

#[test]
fn a_sound_file_beside_a_broken_one_is_still_answered() {
    let sandbox = Sandbox::new();
    sandbox.model("sound.safetensors", 1);
    sandbox.file("broken.safetensors", b"");
    sandbox.run("ingest sound.safetensors").exits(0);
    sandbox
        .run("query broken.safetensors sound.safetensors")
        .exits(2)
        .prints("1 match")
        .says("broken.safetensors");
    let done = sandbox.run("hash --json broken.safetensors sound.safetensors");
    assert_eq!(done.exits(2).of_type("hash").len(), 1);
}

#[test]
fn a_model_full_of_nan_is_refused_and_one_poisoned_tensor_is_skipped() {
    let sandbox = Sandbox::new();
    let mut full = tensors(5);
    for tensor in &mut full {
        tensor.bytes = f32::NAN.to_le_bytes().repeat(tensor.bytes.len() / 4);
    }
    sandbox.file("nan.safetensors", &safetensors(&full));
    for command in ["hash", "ingest", "query", "scan"] {
        sandbox
            .run(&format!("{command} nan.safetensors"))
            .exits(2)
            .says("nan.safetensors")
            .says("6 of them because of NaN");
    }
    sandbox.model("sound.safetensors", 5);
    sandbox.run("ingest nan.safetensors sound.safetensors").exits(2).prints("1 model ingested, 1 skipped");
    // One poisoned tensor among sound ones costs that tensor only.
    let mut one = tensors(6);
    one[0].bytes[..4].copy_from_slice(&f32::NAN.to_le_bytes());
    sandbox.file("one.safetensors", &safetensors(&one));
    let record = sandbox.run("hash --json one.safetensors").exits(0).of_type("hash").remove(0);
    assert_eq!((&record["tensors_used"], &record["weak"]), (&5.into(), &false.into()));
}

#[test]
fn models_of_integers_alone_are_weak_and_never_match() {
    let sandbox = Sandbox::new();
    for (name, byte) in [("x", 1), ("y", 2)] {
        let tensor =
            Tensor { name: "w".to_owned(), dtype: "I8", shape: vec![64, 64], bytes: vec![byte; 64 * 64] };
        sandbox.file(&format!("{name}.safetensors"), &safetensors(&[tensor]));
    }
    sandbox.run("scan x.safetensors y.safetensors").exits(1).prints("(weak)").prints("2 alone");
}

#[test]
fn a_directory_in_place_of_a_file_is_named() {
    let sandbox = Sandbox::new();
    fs::create_dir(sandbox.path().join("folder.safetensors")).unwrap();
    sandbox.model("a.safetensors", 1);
    sandbox.run("ingest a.safetensors").exits(0);
    for command in ["hash", "query", "compare a.safetensors"] {
        sandbox
            .run(&format!("{command} folder.safetensors"))
            .exits(2)
            .says("folder.safetensors")
            .says("directory");
    }
}

#[cfg(unix)]
#[test]
fn a_link_to_a_file_that_is_not_there_is_called_so() {
    let sandbox = Sandbox::new();
    sandbox.model("m/a.safetensors", 1);
    std::os::unix::fs::symlink("gone", sandbox.path().join("m/b.safetensors")).unwrap();
    let told = "m/b.safetensors: is a link to a file that is not there";
    sandbox.run("ingest m").exits(2).says(told).prints("1 model ingested, 1 skipped");
    sandbox.run("query m/b.safetensors").exits(2).says(told);
}

#[test]
fn a_path_that_is_not_there_is_named() {
    let sandbox = Sandbox::new();
    sandbox.model("a.safetensors", 1);
    for command in ["hash", "ingest a.safetensors", "scan a.safetensors", "compare a.safetensors"] {
        sandbox
            .run(&format!("{command} nowhere.safetensors"))
            .exits(2)
            .says("nowhere.safetensors: no such file");
    }
    sandbox.run("list --json").exits(0);
    // The parent is a file.
    sandbox.run("hash a.safetensors/b.safetensors").exits(2).says("a.safetensors/b.safetensors");
}

#[cfg(unix)]
#[test]
fn an_unreadable_file_is_named_and_the_rest_is_ingested() {
    use std::os::unix::fs::PermissionsExt as _;
    let sandbox = Sandbox::new();
    sandbox.model("m/a.safetensors", 1);
    let secret = sandbox.model("m/secret.safetensors", 2);
    fs::set_permissions(&secret, fs::Permissions::from_mode(0o000)).unwrap();
    let done = if fs::File::open(&secret).is_err() {
        sandbox.run("ingest --json m")
    } else {
        // Modes do not bind root: ask as nobody, who owns the sandbox for that.
        as_nobody(&sandbox)
    };
    done.exits(2).says("m/secret.safetensors").says("permission denied");
    assert_eq!(done.of_type("ingested").len(), 1, "{}", done.explain());
}

#[cfg(unix)]
fn as_nobody(sandbox: &Sandbox) -> crate::support::Done {
    use std::os::unix::process::CommandExt as _;
    const NOBODY: u32 = 65_534;
    // The secret file stays root's.
    for path in [sandbox.path().to_owned(), sandbox.path().join("m"), sandbox.path().join("m/a.safetensors")]
    {
        std::os::unix::fs::chown(path, Some(NOBODY), Some(NOBODY)).unwrap();
    }
    let binary = sandbox.path().join("phashdb");
    // By another process: were it open for writing here while another test forks, it could not be executed.
    let copied = std::process::Command::new("cp").arg(env!("CARGO_BIN_EXE_phashdb")).arg(binary).status();
    assert!(copied.expect("cp runs").success());
    let mut cli = sandbox.phashdb([""; 0]);
    cli.command = std::process::Command::new(Path::new("./phashdb"));
    cli.command.args(["ingest", "--json", "m"]).current_dir(sandbox.path()).uid(NOBODY).gid(NOBODY);
    cli.run()
}

#[cfg(unix)]
#[test]
fn a_pipe_in_place_of_a_file_is_refused_and_does_not_hang() {
    let sandbox = Sandbox::new();
    let made = std::process::Command::new("mkfifo").arg(sandbox.path().join("fifo.safetensors")).status();
    assert!(made.expect("mkfifo runs").success());
    sandbox.run("hash fifo.safetensors").exits(2).says("fifo.safetensors").says("not a regular file");
    sandbox.model("a.safetensors", 1);
    sandbox.run("scan .").exits(2).says("fifo.safetensors");
}

#[cfg(unix)]
#[test]
fn names_that_would_act_on_the_terminal_are_shown_as_escapes() {
    let sandbox = Sandbox::new();
    let evil = "m/a\u{1b}[2J\n\u{202e}\u{9b}b.safetensors";
    let shown = "m/a\\x1b[2J\\n\\u{202e}\\u{9b}b.safetensors";
    let mut tensors = tensors(1);
    tensors[0].name = "w\u{1b}]0;x\u{7}\ny".to_owned();
    sandbox.file(evil, &safetensors(&tensors));
    fs::copy(sandbox.path().join(evil), sandbox.path().join("m/copy.safetensors")).unwrap();
    sandbox.file("m/broken\u{1b}[31m\n.safetensors", b"");
    let copy = "m/copy.safetensors";
    let lines: [&[&str]; 8] = [
        &["scan", "m"],
        &["ingest", "m"],
        &["list"],
        &["query", evil, copy],
        &["query", copy],
        &["hash", "--tensors", evil],
        &["compare", "--all", evil, copy],
        &["hash", "m/no\u{1b}such\n.safetensors"],
    ];
    for line in lines {
        let done = sandbox.phashdb(line).run();
        let told = done.stdout() + &done.stderr();
        let raw = told.chars().find(|c| (c.is_control() && *c != '\n') || *c == '\u{202e}');
        assert_eq!(raw, None, "{}", done.explain());
        // A newline in a name does not begin a line.
        assert!(!told.lines().any(|line| line.starts_with(['\u{202e}', 'y', '.'])), "{}", done.explain());
    }
    sandbox.run("list").exits(0).prints(shown);
    sandbox.run("scan m").exits(2).prints(shown).says("m/broken\\x1b[31m\\n.safetensors: ");
    sandbox.phashdb(["hash", "--tensors", evil]).run().exits(0).prints(shown).prints("w\\x1b]0;x\\x07\\ny");
    // Programs get the names as they are.
    let record = sandbox.phashdb(["hash", "--json", evil]).run().exits(0).of_type("hash").remove(0);
    assert_eq!(record["path"], evil);
    let csv = sandbox.phashdb(["hash", "--format", "csv", evil]).run();
    csv.exits(0).prints(evil);
}
