//! Index segments of raw codes as an import builds them: which layout they get, what Ctrl-C leaves, and what a terminal is
//! shown meanwhile.

use serde_json::{Value, json};

use crate::codes::codes;
use crate::support::{Random, Sandbox};

/// Enough codes for a segment.
const INDEXED: usize = 70_000;

fn info(sandbox: &Sandbox, db: &str) -> Value {
    sandbox.run(&format!("info --json --db {db}")).exits(0).of_type("info").remove(0)
}

#[test]
fn an_import_takes_the_layout_of_the_newest_segment_unless_told_otherwise() {
    let sandbox = Sandbox::new();
    let all = codes(INDEXED, 8);
    sandbox.file("many.bin", &all.concat());
    sandbox.file("fewer.bin", &all[..66_000].concat());
    sandbox.file("one.bin", &all[0]);
    // Arguments, the layout that is told, and the segments afterwards.
    let steps = [
        ("one.bin", Value::Null, json!([]), json!([])),
        ("--layout fast many.bin", json!("fast"), json!([[0, 70_001]]), json!(["fast"])),
        ("one.bin", Value::Null, json!([[0, 70_001]]), json!(["fast"])),
        // Joined with the first one, and fast again.
        ("many.bin one.bin", json!("fast"), json!([[0, 140_003]]), json!(["fast"])),
        (
            "--layout compact many.bin",
            json!("compact"),
            json!([[0, 140_003], [140_003, 210_003]]),
            json!(["fast", "compact"]),
        ),
        (
            "fewer.bin",
            json!("compact"),
            json!([[0, 140_003], [140_003, 210_003], [210_003, 276_003]]),
            json!(["fast", "compact", "compact"]),
        ),
    ];
    for (arguments, layout, segments, layouts) in steps {
        let done = sandbox.run(&format!("import-codes --bits 64 --json {arguments}"));
        let record = done.exits(0).is_silent().of_type("imported").remove(0);
        assert_eq!((&record["layout"], record["index_seconds"].is_null()), (&layout, layout.is_null()));
        let info = info(&sandbox, "library.phash");
        assert_eq!((&info["segments"], &info["layouts"]), (&segments, &layouts), "{arguments}");
    }
    sandbox.run("info").prints("276,003 codes in 3 segments, compact and fast");
    sandbox.run("verify").exits(0);
    // A database of its own has compact ones.
    sandbox.run("import-codes --db new.phash --bits 64 many.bin").exits(0).prints("of it the compact index");
    assert_eq!(info(&sandbox, "new.phash")["layouts"], json!(["compact"]));
}

/// Imports and sends SIGINT as soon as a segment is being written. None if the segment was done before the signal came.
#[cfg(unix)]
fn interrupt(sandbox: &Sandbox, db: &str) -> Option<String> {
    use std::process::Stdio;
    let mut cli = sandbox.phashdb(["import-codes", "--bits", "512", "--db", db, "many.bin"]);
    let mut child = cli.command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    while child.try_wait().unwrap().is_none() && half_written(sandbox, db) == 0 {
        std::thread::sleep(std::time::Duration::from_millis(1));
    }
    let _ = std::process::Command::new("kill").args(["-INT", &child.id().to_string()]).status();
    let output = child.wait_with_output().unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    match output.status.code() {
        Some(130) => Some(stderr),
        Some(0) => None,
        other => panic!("exit status {other:?}: {stderr}"),
    }
}

#[cfg(unix)]
fn half_written(sandbox: &Sandbox, db: &str) -> usize {
    let files = std::fs::read_dir(sandbox.path().join(db).join("segments")).into_iter().flatten();
    files
        .filter(|file| file.as_ref().is_ok_and(|file| file.path().extension().is_some_and(|e| e == "tmp")))
        .count()
}

#[cfg(unix)]
#[test]
fn ctrl_c_while_a_segment_is_built_keeps_codes_and_older_segments_and_builds_no_further() {
    let sandbox = Sandbox::new();
    let mut random = Random(9);
    let mut words =
        |codes: usize| (0..codes * 8).flat_map(|_| random.next().to_le_bytes()).collect::<Vec<u8>>();
    sandbox.file("first.bin", &words(INDEXED));
    sandbox.file("many.bin", &words(400_000));
    sandbox.file("one.bin", &words(1));
    let before = json!([[0, INDEXED]]);
    // The machine may let the test sleep until all is done.
    for attempt in 0..5 {
        let db = format!("{attempt}.phash");
        sandbox.run(&format!("import-codes --bits 512 --layout fast --db {db} first.bin")).exits(0);
        assert_eq!(info(&sandbox, &db)["segments"], before);
        let Some(stderr) = interrupt(&sandbox, &db) else { continue };
        assert!(stderr.contains("interrupted while the index was built: all codes are stored"), "{stderr}");
        let now = info(&sandbox, &db);
        assert_eq!((&now["segments"], &now["layouts"]), (&before, &json!(["fast"])));
        assert_eq!((&now["codes"], half_written(&sandbox, &db)), (&json!(INDEXED + 400_000), 0));
        sandbox.run(&format!("verify --db {db}")).exits(0);
        // The next import makes up for it.
        sandbox.run(&format!("import-codes --bits 512 --db {db} one.bin")).exits(0);
        let now = info(&sandbox, &db);
        assert_eq!((&now["segments"], &now["layouts"]), (&json!([[0, INDEXED + 400_001]]), &json!(["fast"])));
        return;
    }
    panic!("five segments were built before a signal came");
}

/// What a command draws on a terminal; None without the tool that makes one.
#[cfg(unix)]
fn on_a_terminal(sandbox: &Sandbox, arguments: &str) -> Option<String> {
    let line = format!("{} {arguments}", env!("CARGO_BIN_EXE_phashdb"));
    let mut script = std::process::Command::new("script");
    script.args(["-qec", &line, "/dev/null"]).current_dir(sandbox.path()).env("TERM", "xterm");
    let output = script.stdin(std::process::Stdio::null()).output().ok()?;
    Some(String::from_utf8_lossy(&output.stdout).into_owned())
}

#[cfg(unix)]
#[test]
fn dups_shows_its_progress_in_codes_on_a_terminal_and_nowhere_else() {
    let sandbox = Sandbox::new();
    sandbox.file("codes.bin", &codes(INDEXED, 8).concat());
    sandbox.run("import-codes --bits 64 codes.bin").exits(0);
    let piped = sandbox.run("dups -r 2 -q");
    piped.exits(0).is_silent();
    assert_eq!(piped.stdout(), "");
    let Some(drawn) = on_a_terminal(&sandbox, "dups -r 2 -q") else {
        println!("skipped: no `script` to make a terminal with");
        return;
    };
    assert!(drawn.contains("dups [") && drawn.contains("/70,000 codes"), "{drawn:?}");
    // Not bytes, and gone at the end.
    assert!(!drawn.contains("kB") && drawn.trim_end().ends_with("\u{1b}[2K"), "{drawn:?}");
}
