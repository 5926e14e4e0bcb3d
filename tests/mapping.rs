//! `--no-mmap`: files read into memory instead of mapped. Every reading command answers the same to the byte, and what kills
//! a process that maps a file does not kill one that does not.

use std::fs;
use std::process::Output;

use crate::codes::{codes, hex, lines};
use crate::support::Sandbox;

/// Exit status and standard output, with what time alone changes left out.
fn answer(output: &Output) -> (Option<i32>, Vec<String>) {
    let text = String::from_utf8(output.stdout.clone()).expect("UTF-8");
    let timed = |line: &str| [" s", " ms", " µs"].iter().any(|unit| line.ends_with(unit));
    let lines = text.lines().map(|line| match line.split_once("\"seconds\":") {
        Some((before, _)) => before.to_owned(),
        // Of tables the last words of the last line say how long it took.
        None if timed(line) => line.rsplitn(3, ' ').last().unwrap_or_default().to_owned(),
        None => line.to_owned(),
    });
    (output.status.code(), lines.collect())
}

/// Fails with the first line that differs.
#[track_caller]
fn assert_same(one: &(Option<i32>, Vec<String>), other: &(Option<i32>, Vec<String>), what: &str) {
    assert_eq!(one.0, other.0, "{what}: exit status");
    let differs = one.1.iter().zip(&other.1).find(|(one, other)| one != other);
    assert_eq!((differs, one.1.len()), (None, other.1.len()), "{what}");
}

/// Runs each command mapped, with the option and with the variable.
fn same(sandbox: &Sandbox, commands: &[&str]) {
    for command in commands {
        for format in ["table", "json", "jsonl", "csv"] {
            let run = |option: &[&str], variable: &str| {
                let words = command.split(' ').chain(["--format", format]).chain(option.iter().copied());
                let mut cli = sandbox.phashdb(words);
                cli.command.env("PHASHDB_NO_MMAP", variable);
                answer(&cli.command.output().expect("phashdb runs"))
            };
            let mapped = run(&[], "");
            assert!(mapped.0.is_some(), "{command} was killed");
            let what = format!("{command} --format {format}");
            assert_same(&run(&["--no-mmap"], ""), &mapped, &what);
            assert_same(&run(&[], "1"), &mapped, &format!("PHASHDB_NO_MMAP=1 {what}"));
        }
    }
}

#[test]
fn every_reading_command_answers_the_same_with_and_without_mapping() {
    let sandbox = Sandbox::new();
    for (name, seed) in [("a", 1), ("b", 2), ("c", 3)] {
        sandbox.model(&format!("{name}.safetensors"), seed);
    }
    sandbox.run("ingest a.safetensors b.safetensors c.safetensors").exits(0);
    sandbox.run("rm c.safetensors").exits(0);
    same(
        &sandbox,
        &[
            "query a.safetensors",
            "query c.safetensors",
            "query --id 1 -k 5",
            "query --tensors b.safetensors",
            "info",
            "list",
            "verify",
            "query nothing.safetensors",
        ],
    );
    // Enough codes for an index segment, and some behind it.
    let codes = codes(66_000, 8);
    sandbox.file("codes.csv", &lines(&codes, |number, hex| format!("{hex},label {number}")));
    sandbox.file("queries.hex", &lines(&codes[..50], |_, hex| hex));
    sandbox.run("--db raw.phash import-codes --bits 64 codes.csv").exits(0);
    sandbox.run("--db raw.phash rm --id 5 --id 65999").exits(0);
    let (first, last) = (hex(&codes[0]), hex(&codes[65_998]));
    let of_codes = [
        &format!("query --radius 6 --code {first}"),
        &format!("query -k 4 --code {last}"),
        "query --radius 3 --codes-from queries.hex",
        "query --id 9",
        "query --id 5",
        "dups --radius 3",
        "info",
        "list",
        "verify",
    ]
    .map(|command| format!("--db raw.phash {command}"));
    same(&sandbox, &of_codes.each_ref().map(String::as_str));
    // Which way was taken: a changed byte in a block is found when files are read, and maps are not checked.
    let path = sandbox.path().join("raw.phash/raw.codes");
    let mut bytes = fs::read(&path).unwrap();
    bytes[9000] ^= 1;
    fs::write(&path, bytes).unwrap();
    sandbox.run("--db raw.phash query -k 1 --id 60000").exits(0);
    for command in ["query -k 1 --id 60000", "info", "list", "dups --radius 0", "bench --queries 1"] {
        let done = sandbox.run(&format!("--db raw.phash --no-mmap {command}"));
        done.exits(2).says("raw.codes").says("checksum");
    }
}

#[cfg(target_os = "linux")]
mod cut_off {
    use std::fs;
    use std::io::Write as _;
    use std::os::unix::process::ExitStatusExt as _;
    use std::process::{Child, Command, Stdio};

    use super::*;
    use crate::support::{make_pipe, open_pipe};

    const SIGBUS: i32 = 7;

    /// A search that has opened the database and waits for its queries in a pipe.
    fn waiting(sandbox: &Sandbox, options: &[&str]) -> (Child, fs::File) {
        let pipe = sandbox.path().join("pipe.hex");
        let _ = fs::remove_file(&pipe);
        make_pipe(&pipe);
        let mut cli = sandbox.phashdb(["query", "--json", "--radius", "4", "--codes-from", "pipe.hex"]);
        let mut child =
            cli.command.args(options).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let queries = open_pipe(&pipe, &mut child);
        (child, queries)
    }

    fn finish((child, mut queries): (Child, fs::File), code: &str) -> Output {
        queries.write_all(format!("{code}\n").as_bytes()).unwrap();
        drop(queries);
        child.wait_with_output().unwrap()
    }

    #[test]
    fn a_file_cut_off_under_a_search_kills_it_only_if_it_is_mapped() {
        for file in ["raw.codes", "segment"] {
            let (sandbox, codes) = (Sandbox::new(), codes(70_000, 8));
            sandbox.file("codes.hex", &lines(&codes, |_, hex| hex));
            sandbox.run("import-codes --bits 64 codes.hex").exits(0);
            let dir = sandbox.path().join("library.phash");
            let path = match file {
                "segment" => fs::read_dir(dir.join("segments")).unwrap().next().unwrap().unwrap().path(),
                file => dir.join(file),
            };
            let code = hex(&codes[69_000]);
            let whole = finish(waiting(&sandbox, &[]), &code);
            assert_eq!(whole.status.code(), Some(0));
            let bytes = fs::read(&path).unwrap();
            let cut = || fs::File::options().write(true).open(&path).unwrap().set_len(100).unwrap();

            let reading = waiting(&sandbox, &["--no-mmap"]);
            cut();
            let output = finish(reading, &code);
            assert_same(&answer(&output), &answer(&whole), file);

            fs::write(&path, &bytes).unwrap();
            let mapped = waiting(&sandbox, &[]);
            cut();
            let output = finish(mapped, &code);
            assert_eq!(output.status.signal(), Some(SIGBUS), "{file}: {output:?}");

            // Whoever opens it now is told, either way: of the codes by an error, of a segment by a warning, as it is not needed.
            for options in ["", "--no-mmap "] {
                let done = sandbox.run(&format!("{options}query --radius 4 --code {code}"));
                done.exits(if file == "segment" { 0 } else { 2 }).says("100");
                sandbox.run(&format!("{options}verify")).exits(2);
            }
        }
    }

    /// Reads that end too early, at any of the reads that open a database: the system call itself is made to say so.
    #[test]
    fn a_file_cut_off_while_it_is_being_read_is_an_error_and_never_an_answer() {
        let strace = |trace: &[&str]| {
            let mut command = Command::new("strace");
            command.args(["-f", "-qq", "-o", "/dev/null"]).args(trace);
            command
        };
        if !strace(&["true"]).status().is_ok_and(|status| status.success()) {
            println!("skipped: strace does not work here");
            return;
        }
        let (sandbox, codes) = (Sandbox::new(), codes(70_000, 8));
        sandbox.file("codes.hex", &lines(&codes, |_, hex| hex));
        sandbox.run("import-codes --bits 64 codes.hex").exits(0);
        let arguments = ["--no-mmap", "query", "--json", "--radius", "4", "--code", &hex(&codes[69_000])];
        let right = answer(&sandbox.phashdb(arguments).command.output().unwrap());
        let mut errors = 0;
        for n in 1..=40 {
            let inject = format!("inject=pread64:retval=0:when={n}");
            let mut command = strace(&["-e", "trace=pread64", "-e", &inject, env!("CARGO_BIN_EXE_phashdb")]);
            let output = command.args(arguments).current_dir(sandbox.path()).output().unwrap();
            let stderr = String::from_utf8_lossy(&output.stderr);
            match output.status.code() {
                Some(2) => {
                    assert!(stderr.starts_with("phashdb: "), "read {n}: {stderr}");
                    errors += 1;
                }
                // A segment that cannot be read is left out, and `published` is no more than evidence.
                Some(0) => assert_eq!(answer(&output).1, right.1, "read {n}"),
                // The reads of the dynamic linker.
                Some(127) => {}
                _ => panic!("read {n}: {output:?}"),
            }
        }
        assert!(errors >= 5, "{errors}");
    }
}
