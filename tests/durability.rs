//! The promise of durability against the real thing: kill -9 with a reader at work, a full disk, directories that cannot
//! be written or are lost, system calls that fail. What was reported is there afterwards, and nothing half.
//!
//! `PHASHDB_TEST_KILLS` is the number of kills, `PHASHDB_TEST_CALLS` up to which call of a kind each is made to fail,
//! `PHASHDB_TEST_SEED` the seed.
#![cfg(target_os = "linux")]

use std::fs;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use phash_code::Codes;
use phash_store::{OpenOptions, Reader};

use crate::codes::{codes, lines};
use crate::support::{Random, Sandbox, given};

/// Codes a commit.
const BATCH: u64 = 250;
const CODES: u64 = 10_000;
/// Codes of an import that is killed: two hundred commits.
const MANY: u64 = 50_000;
const IMPORT: &str = "import-codes --bits 64 --commit-every 250 --repeated-labels codes.csv";

fn sandbox() -> (Sandbox, Vec<Vec<u8>>) {
    sandbox_of(CODES)
}

fn sandbox_of(count: u64) -> (Sandbox, Vec<Vec<u8>>) {
    let (sandbox, codes) = (Sandbox::new(), codes(usize::try_from(count).unwrap(), 8));
    sandbox.file("codes.csv", &lines(&codes, |number, hex| format!("{hex},label {number}")));
    (sandbox, codes)
}

/// The code with the number `id` when the same file is imported again and again, each time cut off anywhere after `begins`.
fn check_code(codes: &[Vec<u8>], begins: &[u64], id: u64, code: &[u8]) {
    let begin = begins.iter().rev().find(|begin| **begin <= id).unwrap();
    assert_eq!(code, codes[usize::try_from(id - begin).unwrap()], "code {id}");
}

/// Checks with the command line that the database is sound; returns how many codes it has, whole batches.
fn sound(sandbox: &Sandbox) -> u64 {
    if !sandbox.path().join("library.phash/catalog.sqlite").exists() {
        return 0;
    }
    let done = sandbox.run("verify --json");
    done.exits(0);
    let now = done.of_type("summary")[0]["checked_codes"].as_u64().unwrap();
    assert!(now.is_multiple_of(BATCH), "{now} codes");
    now
}

/// What a failed import says is stored, and what it must not be.
fn check_failure(output: &Output, what: &str, before: u64, now: u64) {
    let stderr = String::from_utf8_lossy(&output.stderr);
    let told = || {
        let (_, rest) = stderr.split_once("the first ").or_else(|| stderr.split_once("all "))?;
        rest.split(' ').next()?.replace(|digit: char| !digit.is_ascii_digit(), "").parse::<u64>().ok()
    };
    match output.status.code() {
        Some(0) => assert_eq!(now, before + CODES, "{what}"),
        Some(2) => {
            assert!(stderr.starts_with("phashdb: "), "{what}: {stderr}");
            let told =
                if stderr.contains("nothing of this import was stored") { 0 } else { told().unwrap_or(0) };
            // A commit that failed may have been made all the same, but only one.
            assert!(
                (before + told..=before + told + BATCH).contains(&now),
                "{what}: {before}, {now}: {stderr}"
            );
        }
        other => panic!("{what}: exit status {other:?} ({:?}): {stderr}", output.status),
    }
}

#[test]
fn kill_at_random_moments_with_a_reader_at_work_loses_nothing_seen() {
    let (kills, seed) =
        (given("PHASHDB_TEST_KILLS", 50), given("PHASHDB_TEST_SEED", u64::from(std::process::id())));
    // `kills` makes the rest of them.
    let kills = (kills * 2 / 5).max(1);
    println!("PHASHDB_TEST_KILLS={kills} PHASHDB_TEST_SEED={seed}");
    let (mut random, mut done, mut at_work, mut views) = (Random(seed), 0, 0, 0);
    // One of five comes at any time, before the first commit or after the last, too; the others when a number of codes is seen.
    let span = {
        let (sandbox, _) = sandbox_of(MANY);
        let begin = Instant::now();
        sandbox.run(IMPORT).exits(0);
        begin.elapsed().mul_f64(1.2)
    };
    while done < kills {
        let (sandbox, codes) = sandbox_of(MANY);
        let db = sandbox.path().join("library.phash");
        sandbox.file("first.csv", b"0000000000000000,first\n");
        let mut begins = vec![0];
        for _ in 0..10 {
            let mut child = sandbox.phashdb(IMPORT.split(' ')).command.stdout(Stdio::null()).spawn().unwrap();
            let (seen, stop) = (AtomicU64::new(0), AtomicBool::new(false));
            let read = || {
                while !stop.load(Ordering::Relaxed) {
                    let Ok(mut reader) = Reader::open(&db, OpenOptions::default()) else { continue };
                    let mut rounds = 0;
                    while !stop.load(Ordering::Relaxed) || rounds == 0 {
                        reader.refresh().unwrap_or_else(|error| panic!("seed {seed}: a reader: {error}"));
                        let codes_now = reader.raw_codes::<1>().unwrap();
                        let count = u64::from(codes_now.len());
                        assert!(
                            count.is_multiple_of(BATCH) && count >= seen.load(Ordering::Relaxed),
                            "{count}"
                        );
                        if let Some(last) = codes_now.len().checked_sub(1) {
                            let code = codes_now.get(last).unwrap();
                            check_code(&codes, &begins, last.into(), code.as_bytes());
                            assert!(reader.code_labels().unwrap().get(last).unwrap().is_some());
                        }
                        seen.store(count, Ordering::Relaxed);
                        rounds += 1;
                    }
                    return rounds;
                }
                0
            };
            views += std::thread::scope(|scope| {
                let reader = scope.spawn(read);
                let (time, codes) = (span.mul_f64(random.unit()), random.next() % (MANY - BATCH));
                let (begin, by_time) = (Instant::now(), random.next().is_multiple_of(5));
                let wanted = begins.last().unwrap() + 1 + codes;
                while child.try_wait().unwrap().is_none()
                    && if by_time { begin.elapsed() < time } else { seen.load(Ordering::Relaxed) < wanted }
                {
                    std::thread::sleep(Duration::from_micros(50));
                }
                child.kill().unwrap();
                child.wait().unwrap();
                stop.store(true, Ordering::Relaxed);
                reader.join().expect("the reader")
            });
            let before = *begins.last().unwrap();
            let now = sound(&sandbox);
            assert!(now >= seen.into_inner(), "seed {seed}: {now} codes are left of those seen");
            at_work += u64::from(now > before && now < before + MANY);
            done += 1;
            begins.push(now);
        }
        let whole = sandbox.run(IMPORT);
        whole.exits(0);
        let begin = *begins.last().unwrap();
        assert_eq!(sound(&sandbox), begin + MANY);
        let reader = Reader::open(&db, OpenOptions { mmap: false }).unwrap();
        let all = reader.raw_codes::<1>().unwrap();
        (0..all.len()).for_each(|id| check_code(&codes, &begins, id.into(), all.get(id).unwrap().as_bytes()));
    }
    println!(
        "{done} kills, {at_work} of them after a first commit and before the last; {views} snapshots read meanwhile"
    );
}

/// Runs a shell script with the program as `$PHASHDB`.
pub(crate) fn sh(sandbox: &Sandbox, wrapper: &[&str], script: &str) -> Output {
    let words = [wrapper, &["sh", "-c", script]].concat();
    let mut command = Command::new(words[0]);
    command.args(&words[1..]).current_dir(sandbox.path()).env_remove("PHASHDB_DB");
    command.env("PHASHDB", env!("CARGO_BIN_EXE_phashdb")).output().unwrap()
}

/// Whether a tool can be used here; says so if not.
#[expect(clippy::print_stdout, reason = "what a test leaves out is to be seen with its output")]
pub(crate) fn works(wrapper: &[&str]) -> bool {
    let works =
        Command::new(wrapper[0]).args(&wrapper[1..]).output().is_ok_and(|output| output.status.success());
    if !works {
        println!("skipped: {} does not work here", wrapper.join(" "));
    }
    works
}

pub(crate) const NAMESPACE: [&str; 2] = ["unshare", "-Urm"];

#[test]
fn a_limit_to_the_size_of_files_loses_nothing_committed() {
    for blocks in [1, 9, 40, 100, 170, 210, 300, 400] {
        for trap in ["trap '' XFSZ;", ""] {
            let (sandbox, _) = sandbox();
            // Without the trap the system kills the process with SIGXFSZ.
            let output = sh(&sandbox, &[], &format!("ulimit -f {blocks}; {trap} exec $PHASHDB {IMPORT}"));
            let now = sound(&sandbox);
            if trap.is_empty() && output.status.code().is_none() {
                assert!(now < CODES, "{blocks} blocks");
            } else {
                check_failure(&output, &format!("{blocks} blocks"), 0, now);
            }
            sandbox.run(IMPORT).exits(0);
            assert_eq!(sound(&sandbox), now + CODES);
        }
    }
}

#[test]
fn a_full_disk_loses_nothing_committed_and_space_is_all_it_takes_to_go_on() {
    if !works(&["unshare", "-Urm", "mount", "-t", "tmpfs", "tmpfs", "/mnt"]) {
        return;
    }
    for kilobytes in [220, 260, 300, 360, 420] {
        let (sandbox, _) = sandbox();
        fs::create_dir(sandbox.path().join("disk")).unwrap();
        let script = format!(
            "mount -t tmpfs -o size=8m tmpfs disk || exit 99
            head -n 250 codes.csv >few.csv; $PHASHDB --db disk/library.phash import-codes --bits 64 few.csv >out || exit 97
            mount -o remount,size={kilobytes}k disk || exit 96
            $PHASHDB --db disk/library.phash {IMPORT} >out 2>err; echo $? >status
            cp -r disk/library.phash library.phash
            $PHASHDB --db disk/library.phash verify >full 2>&1; echo $? >full.status
            mount -o remount,size=8m disk
            $PHASHDB --db disk/library.phash verify >roomy 2>&1; echo $? >roomy.status
            $PHASHDB --db disk/library.phash {IMPORT} >again 2>&1 || exit 98"
        );
        let output = sh(&sandbox, &NAMESPACE, &script);
        let text = |name: &str| fs::read_to_string(sandbox.path().join(name)).unwrap_or_default();
        assert!(output.status.success(), "{kilobytes} kB: {output:?} {}", text("again"));
        let (status, err) = (text("status"), text("err"));
        assert!(
            status == "0\n" || status == "2\n" && err.contains("disk full"),
            "{kilobytes} kB: {status} {err}"
        );
        sound(&sandbox);
        let there = sandbox.path().join("library.phash/catalog.sqlite").exists();
        assert!(!there || text("roomy.status") == "0\n", "{kilobytes} kB: {}", text("roomy"));
    }
}

#[test]
fn a_database_is_made_on_a_full_disk_wholly_or_not_at_all() {
    if !works(&["unshare", "-Urm", "mount", "-t", "tmpfs", "tmpfs", "/mnt"]) {
        return;
    }
    let mut made = 0;
    for kilobytes in [4, 8, 12, 16, 20, 24, 32, 48, 64, 80, 100, 120, 140, 160, 180] {
        let (sandbox, _) = sandbox();
        fs::create_dir(sandbox.path().join("disk")).unwrap();
        let script = format!(
            "mount -t tmpfs -o size={kilobytes}k tmpfs disk || exit 99
            $PHASHDB --db disk/library.phash {IMPORT} >out 2>err; echo $? >status
            test -e disk/library.phash/catalog.sqlite && echo made >made
            cp -r disk/library.phash library.phash
            mount -o remount,size=8m disk
            $PHASHDB --db disk/library.phash {IMPORT} >again 2>&1 || exit 98
            $PHASHDB --db disk/library.phash verify >verified 2>&1 || exit 97"
        );
        let output = sh(&sandbox, &NAMESPACE, &script);
        let text = |name: &str| fs::read_to_string(sandbox.path().join(name)).unwrap_or_default();
        assert!(output.status.success(), "{kilobytes} kB: {output:?} {} {}", text("again"), text("verified"));
        let (status, err) = (text("status"), text("err"));
        assert!(status == "2\n" && err.contains("disk full"), "{kilobytes} kB: {status} {err}");
        made += u32::from(text("made") == "made\n");
        assert!(sound(&sandbox) < CODES, "{kilobytes} kB");
    }
    println!("{made} of 15 were made");
    assert!(made > 0 && made < 15, "{made}");
}

#[test]
fn a_read_only_file_system_is_read_and_refused_for_writing() {
    if !works(&["unshare", "-Urm", "mount", "-t", "tmpfs", "tmpfs", "/mnt"]) {
        return;
    }
    let (sandbox, codes) = sandbox();
    let code: String = codes[7].iter().map(|byte| format!("{byte:02x}")).collect();
    fs::create_dir(sandbox.path().join("disk")).unwrap();
    let script = format!(
        "mount -t tmpfs tmpfs disk && $PHASHDB --db disk/library.phash {IMPORT} >out && mount -o remount,ro disk || exit 99
        $PHASHDB --db disk/library.phash query --json -k 1 --code {code} >found 2>&1; echo $? >status
        $PHASHDB --db disk/library.phash verify >verify 2>&1; echo $? >>status
        $PHASHDB --db disk/library.phash {IMPORT} >out 2>err; echo $? >>status
        $PHASHDB --db disk/new.phash {IMPORT} >out 2>>err; echo $? >>status"
    );
    let output = sh(&sandbox, &NAMESPACE, &script);
    let text = |name: &str| fs::read_to_string(sandbox.path().join(name)).unwrap_or_default();
    assert!(output.status.success(), "{output:?}");
    assert_eq!(text("status"), "0\n0\n2\n2\n", "{}{}{}", text("found"), text("verify"), text("err"));
    assert!(text("found").contains("\"label 7\""), "{}", text("found"));
}

#[test]
fn a_directory_of_somebody_else_is_read_and_refused_for_writing() {
    if !works(&["setpriv", "--reuid=65534", "--clear-groups", "true"]) {
        return;
    }
    let (sandbox, _) = sandbox();
    sandbox.run(IMPORT).exits(0);
    let open = |path: &Path, mode| {
        use std::os::unix::fs::PermissionsExt as _;
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    };
    open(sandbox.path(), 0o755);
    let program = sandbox.path().join("program");
    fs::copy(env!("CARGO_BIN_EXE_phashdb"), &program).unwrap();
    open(&program, 0o755);
    let other = ["setpriv", "--reuid=65534", "--clear-groups"];
    let output = sh(&sandbox, &other, "./program info >/dev/null");
    assert!(output.status.success(), "{output:?}");
    let before = sound(&sandbox);
    let output = sh(&sandbox, &other, &format!("./program {IMPORT}"));
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.code() == Some(2) && stderr.contains("library.phash"), "{output:?}");
    open(&sandbox.path().join("library.phash/raw.codes"), 0o600);
    let output = sh(&sandbox, &other, "./program info");
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.code() == Some(2) && stderr.contains("raw.codes"), "{output:?}");
    assert_eq!(sound(&sandbox), before);
}

#[test]
fn a_directory_lost_under_the_writer_is_an_error_or_an_end_never_a_crash() {
    for delay_ms in [0, 5, 20, 50, 90] {
        let (sandbox, _) = sandbox();
        let mut command = sandbox.phashdb(IMPORT.split(' ')).command;
        let child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        std::thread::sleep(Duration::from_millis(delay_ms));
        let _ = fs::remove_dir_all(sandbox.path().join("library.phash"));
        let output = child.wait_with_output().unwrap();
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert!(matches!(output.status.code(), Some(0 | 2)) && !stderr.contains("panicked"), "{output:?}");
        let _ = fs::remove_dir_all(sandbox.path().join("library.phash"));
        sandbox.run(IMPORT).exits(0);
        assert_eq!(sound(&sandbox), CODES);
    }
}

#[test]
fn a_system_call_that_fails_loses_nothing_committed() {
    if !works(&["strace", "-qq", "-o", "/dev/null", "-e", "inject=fsync:error=EIO:when=1", "true"]) {
        return;
    }
    let last = given("PHASHDB_TEST_CALLS", 20);
    let (mut runs, mut failed) = (0, 0);
    for call in [
        "fsync:error=EIO",
        "fdatasync:error=EIO",
        "pwrite64:error=EIO",
        "ftruncate:error=EIO",
        "rename:error=EIO",
        "pwrite64:error=ENOSPC",
        "pwrite64:signal=KILL",
        "fdatasync:signal=KILL",
    ] {
        // A database whose writer was killed: the next one has something to cut back.
        let (sandbox, _) = sandbox();
        let name = call.split(':').next().unwrap();
        let strace = |inject: &str| {
            let trace = format!("trace={name}");
            sh(
                &sandbox,
                &["strace", "-f", "-qq", "-o", "/dev/null", "-e", &trace, "-e", inject],
                &format!("exec $PHASHDB {IMPORT}"),
            )
        };
        strace("inject=fdatasync:signal=KILL:when=30");
        let (mut before, mut undisturbed) = (sound(&sandbox), 0);
        for n in 1..=last {
            let output = strace(&format!("inject={call}:when={n}"));
            // So many in a row: the import makes no more calls of the kind.
            undisturbed = if output.status.success() { undisturbed + 1 } else { 0 };
            runs += 1;
            if undisturbed == 10 {
                println!("{call}: up to number {}", n - 10);
                break;
            }
            let now = sound(&sandbox);
            let what = format!("{call} number {n}");
            if output.status.code().is_none() || output.status.code() == Some(137) {
                assert!(now >= before, "{what}: {before}, {now}");
            } else {
                check_failure(&output, &what, before, now);
            }
            failed += u64::from(!output.status.success());
            before = now;
        }
    }
    println!("{failed} of {runs} runs failed");
    assert!(failed > runs / 2);
}
