//! What goes wrong with raw codes: bad input of each kind (exit 2, named, nothing lost), kill, Ctrl-C, a full disk, readers
//! that leave.

use std::fs;
use std::io::Read as _;
use std::process::Stdio;

use crate::codes::{codes, database, hex, label, lines};
use crate::support::{Random, Sandbox, model_bytes};

#[test]
fn kill_at_random_moments_leaves_whole_commits() {
    let sandbox = Sandbox::new();
    let codes = codes(60_000, 8);
    sandbox.file("codes.csv", &lines(&codes, |number, hex| format!("{hex},label {number}")));
    let (mut random, mut stored) = (Random(u64::from(std::process::id())), 0);
    println!("process {}: the seed", std::process::id());
    for round in 0..12 {
        let arguments =
            ["import-codes", "--bits", "64", "--commit-every", "500", "--repeated-labels", "codes.csv"];
        let mut child = sandbox.phashdb(arguments).command.stdout(Stdio::null()).spawn().unwrap();
        std::thread::sleep(std::time::Duration::from_millis(random.next() % 150));
        child.kill().unwrap();
        child.wait().unwrap();
        if !sandbox.path().join("library.phash/catalog.sqlite").exists() {
            continue;
        }
        let done = sandbox.run("verify --json");
        done.exits(0);
        let now = done.of_type("summary")[0]["checked_codes"].as_u64().unwrap();
        assert!(now >= stored && (now - stored).is_multiple_of(500), "round {round}: {stored}, then {now}");
        // Each import begins with the first code.
        if now > stored {
            let first =
                sandbox.run(&format!("query --json -k 100 --code {}", hex(&codes[0]))).of_type("match");
            assert!(first.iter().any(|found| found["id"] == stored
                && found["distance_bits"] == 0
                && found["label"] == "label 0"));
        }
        stored = now;
    }
}

#[test]
fn imports_add_up_and_each_is_whole_or_nothing() {
    let (sandbox, codes) = database(50);
    let good = lines(&codes, |_, hex| hex);
    sandbox.file("more.txt", &good);
    sandbox
        .run("import-codes --bits 64 more.txt")
        .exits(0)
        .prints("50 codes of 64 bits imported, ids from 50");
    let before = sandbox.run("list --json").stdout();
    let json = |line: &str| {
        [lines(&codes, |_, hex| format!(r#"{{"code":"{hex}"}}"#)), format!("{line}\n").into_bytes()].concat()
    };
    let hex_then = |line: &[u8]| [good.clone(), line.to_vec(), b"\n".to_vec()].concat();
    let csv = |text: &str| {
        [b"code,label\n".to_vec(), lines(&codes, |_, hex| hex), text.as_bytes().to_vec()].concat()
    };
    let bad: &[(&str, Vec<u8>, &[&str])] = &[
        (
            "short.hex",
            hex_then(b"0123456789abcde"),
            &["short.hex:51: expected 16 hexadecimal digits", "got 15"],
        ),
        ("long.hex", hex_then(b"0123456789abcdef0"), &["long.hex:51:", "got 17"]),
        ("digit.hex", hex_then(b"0123456789abcdeg"), &["digit.hex:51:", "'g' at position 15"]),
        ("prefix.hex", hex_then(b"0x0123456789abcdef"), &["prefix.hex:51:", "'x' at position 1"]),
        ("latin.hex", hex_then(b"0123456789abcdef caf\xe9"), &["latin.hex:51: expected a label in UTF-8"]),
        ("empty.hex", Vec::new(), &["empty.hex: expected at least one code, got none"]),
        ("blank.hex", b"\n\n  \n".to_vec(), &["blank.hex: expected at least one code"]),
        ("endless.hex", vec![b'a'; 1_100_000], &["endless.hex:1: expected lines of at most 1048576 bytes"]),
        ("binary.hex", vec![0xff; 4000], &["binary.hex:1: expected 16 hexadecimal digits"]),
        ("text.jsonl", json("what?"), &["text.jsonl:51: expected an object with \"code\"", "column 1"]),
        ("field.jsonl", json(r#"{"hash":"0123456789abcdef"}"#), &["field.jsonl:51:", "missing field `code`"]),
        ("number.jsonl", json(r#"{"code":12}"#), &["number.jsonl:51:", "invalid type"]),
        (
            "short.jsonl",
            json(r#"{"code":"12"}"#),
            &["short.jsonl:51: expected 16 hexadecimal digits (64 bits), got 2"],
        ),
        (
            "header.csv",
            b"a,b\n1,2\n".to_vec(),
            &["header.csv:1: expected a header with a column \"code\", or 16"],
        ),
        ("only.csv", b"code,label\n".to_vec(), &["only.csv: expected at least one code"]),
        ("cell.csv", csv("xyz,a\n"), &["cell.csv:52:", "'x' at position 0"]),
        (
            "quote.csv",
            csv("0123456789abcdef,\"open\n\n"),
            &["quote.csv:52: expected a quote that closes the cell"],
        ),
        (
            "cells.csv",
            b"label,code\na,0123456789abcdef\nb\n".to_vec(),
            &["cells.csv:3: expected at least 2 cells, got 1"],
        ),
        (
            "odd.bin",
            vec![7; 8 * 50 + 3],
            &["odd.bin: expected a whole number of codes of 8 bytes, got 403 bytes, 3 too many"],
        ),
        ("empty.bin", Vec::new(), &["empty.bin: expected at least one code"]),
        (
            "twice.hex",
            [good.clone(), b"0123456789abcdef a\n0123456789abcdee a\n".to_vec()].concat(),
            &["twice.hex:52: the label \"a\" is there already"],
        ),
        (
            "stored.hex",
            hex_then(format!("0123456789abcdef {}", label(3)).as_bytes()),
            &["stored.hex:51: the label \"pictures/3, ü.jpg\" is there already"],
        ),
        (
            "label.hex",
            hex_then(&[b"0123456789abcdef ".to_vec(), vec![b'x'; 65_536]].concat()),
            &["label.hex:51: expected a label of at most 65535 bytes"],
        ),
    ];
    for (name, bytes, messages) in bad {
        sandbox.file(name, bytes);
        // Behind a good file, which is not stored either.
        let done = sandbox.run(&format!("import-codes --bits 64 more.txt {name}"));
        done.exits(2).says("nothing of this import was stored");
        messages.iter().for_each(|message| _ = done.says(message));
        assert_eq!(done.stdout(), "", "{name}");
        // Nor in a database of its own, but for a label that only the first one has.
        let new = sandbox.run(&format!("import-codes --bits 64 --db {name}.phash {name}"));
        new.exits(if *name == "stored.hex" { 0 } else { 2 });
    }
    assert_eq!(sandbox.run("list --json").stdout(), before);
    sandbox.run("verify").exits(0).prints("sound; 100 codes");
    assert!(!sandbox.run("verify").stdout().contains("behind the last commit"), "what failed takes no space");
    // An odd length in a pipe is only known at its end.
    let piped = sandbox
        .phashdb("import-codes --bits 64 --input-format binary -".split(' '))
        .stdin(vec![7; 803])
        .run();
    piped.exits(2).says("-: expected a whole number of codes of 8 bytes, got 803 bytes, 3 too many");
    sandbox.run("import-codes --bits 64 - -").exits(2).says("only once");
    sandbox.run("import-codes --bits 64 nowhere.hex").exits(2).says("nowhere.hex: cannot be read");
    sandbox.run("import-codes --bits 64 .").exits(2).says("directory");
    assert!(!sandbox.run("import-codes --bits 64 --db new.phash nowhere.hex").stderr().contains("library"));
    assert!(!sandbox.path().join("new.phash").exists(), "nothing is created for nothing");
    assert!(!sandbox.path().join("short.jsonl.phash/catalog.sqlite-wal").exists());
    // With commits in between, what was told is kept.
    let done = sandbox.run("import-codes --bits 64 --commit-every 20 short.hex");
    done.exits(2).says("the first 40 codes of this import are stored");
    assert_eq!(sandbox.run("list --json").of_type("code").len(), 140);
    // Labels that are no names can be allowed, and a refusal says how.
    sandbox.run("import-codes --bits 64 twice.hex").exits(2).says("--repeated-labels");
    sandbox.run("import-codes --bits 64 --repeated-labels twice.hex").exits(0).prints("2 labelled");
    sandbox.run("verify").exits(0);
}

#[test]
fn a_reader_that_leaves_early_is_a_quiet_success() {
    let (sandbox, codes) = database(5000);
    sandbox.file("queries.hex", &lines(&codes, |_, hex| hex));
    for command in [
        "list --json",
        "list",
        "query --codes-from queries.hex -k 20",
        "query --codes-from queries.hex -k 20 --json",
    ] {
        let mut cli = sandbox.phashdb(command.split(' '));
        let mut child = cli.command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let mut stdout = child.stdout.take().unwrap();
        stdout.read_exact(&mut [0; 10]).unwrap();
        drop(stdout);
        let output = child.wait_with_output().unwrap();
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert_eq!((output.status.code(), stderr.as_ref()), (Some(0), ""), "{command}");
    }
}

#[cfg(unix)]
#[test]
fn ctrl_c_during_an_import_stores_nothing_and_leaves_what_was_there() {
    let (sandbox, codes) = database(100);
    let before = sandbox.run("list --json").stdout();
    let mut cli = sandbox.phashdb("import-codes --bits 64 -".split(' '));
    let cli = cli.command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = cli.spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let text = lines(&codes, |_, hex| hex);
    let id = child.id().to_string();
    let feeder = std::thread::spawn(move || {
        // Until the pipe breaks: the import has ended.
        let mut signalled = false;
        for round in 0.. {
            if std::io::Write::write_all(&mut stdin, &text).is_err() {
                break;
            }
            if round > 1000 && !signalled {
                signalled =
                    std::process::Command::new("kill").args(["-INT", &id]).status().unwrap().success();
            }
        }
    });
    let output = child.wait_with_output().unwrap();
    feeder.join().unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(130), "{stderr}");
    assert!(
        stderr.contains("nothing of this import was stored") && stderr.contains("interrupted"),
        "{stderr}"
    );
    assert_eq!(sandbox.run("list --json").stdout(), before);
    assert!(!sandbox.run("verify").exits(0).stdout().contains("behind the last commit"));
}

#[cfg(unix)]
#[test]
fn a_full_disk_and_forbidden_files_are_errors_that_lose_nothing() {
    let (sandbox, codes) = database(100);
    let before = sandbox.run("list --json").stdout();
    sandbox.file("many.bin", &codes.concat().repeat(2000));
    // Files may not grow beyond 1 MiB: as on a full disk, a write fails.
    let limited = format!(
        "ulimit -f 1024; trap '' XFSZ; exec {} import-codes --bits 64 many.bin",
        env!("CARGO_BIN_EXE_phashdb")
    );
    let output = std::process::Command::new("bash")
        .args(["-c", &limited])
        .current_dir(sandbox.path())
        .output()
        .unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{stderr}");
    assert!(stderr.contains("disk full") && stderr.contains("nothing of this import was stored"), "{stderr}");
    assert_eq!(sandbox.run("list --json").stdout(), before);
    sandbox.run("import-codes --bits 64 many.bin").exits(0);
    sandbox.run("verify").exits(0).prints("200,100 codes");
    // A directory in the way of the database, and a file that is none.
    sandbox.file("file.phash", b"x");
    sandbox.run("import-codes --bits 64 --db file.phash many.bin").exits(2).says("file.phash");
    assert_eq!(fs::read(sandbox.path().join("file.phash")).unwrap(), b"x");
    sandbox.file("full.phash/mine.txt", b"x");
    sandbox.run("import-codes --bits 64 --db full.phash many.bin").exits(2).says("mine.txt");
}

#[test]
fn model_files_and_codes_do_not_pass_for_each_other() {
    let sandbox = Sandbox::new();
    sandbox.file("model.safetensors", &model_bytes(1));
    sandbox.run("import-codes --bits 64 model.safetensors").exits(2).says("model.safetensors:1: expected");
    assert!(!sandbox.path().join("library.phash").exists());
}

#[test]
fn a_damaged_code_is_never_reported() {
    let sandbox = Sandbox::new();
    let mut codes = codes(6000, 8);
    codes[2999] = codes[2998].clone();
    sandbox.file("codes.csv", &lines(&codes, |number, hex| format!("{hex},label {number}")));
    sandbox.run("import-codes --bits 64 codes.csv").exits(0);
    // A bit of code 3000, in the second block.
    let file = sandbox.path().join("library.phash/raw.codes");
    let mut bytes = fs::read(&file).unwrap();
    let at = bytes.windows(8).position(|window| window == codes[3000]).unwrap();
    bytes[at] ^= 1;
    fs::write(&file, bytes).unwrap();
    let (damaged, mut changed) = (&codes[3000], codes[3000].clone());
    changed[0] ^= 1;
    // Found as it was or as it is now; and a sound one of the same block, which nothing proves.
    for query in [
        format!("query -r 2 --code {}", hex(damaged)),
        format!("query -k 1 --code {}", hex(&changed)),
        format!("query -r 0 --code {}", hex(&codes[2999])),
        "dups -r 1".to_owned(),
        "list".to_owned(),
    ] {
        for format in ["table", "jsonl"] {
            let done = sandbox.run(&format!("{query} --format {format}"));
            done.exits(2).says("raw.codes").says("checksum of the 2048 codes of block 1");
        }
    }
    sandbox.run(&format!("query -r 0 --code {}", hex(&codes[10]))).exits(0).prints("label 10");
}
