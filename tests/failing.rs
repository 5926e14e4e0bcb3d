//! Merge, import, compaction and backup against failing system calls, a full disk and a limit to the size of files: the error
//! is told and says what it is, what is there is what a commit left, what is only read stays as it was, and the same command
//! again does the rest.
//!
//! `PHASHDB_TEST_CALLS` is up to which call of a kind each is made to fail.
#![cfg(target_os = "linux")]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Output;

use crate::durability::{NAMESPACE, sh, works};
use crate::scenes::{CASES, Commits, OUT, Scene};
use crate::support::{Sandbox, given};

/// The scenes of these names.
fn scenes(names: &[&str]) -> Vec<Scene> {
    let cases = CASES.iter().filter(|case| names.contains(&case.name));
    let scenes: Vec<Scene> = cases.map(|case| Scene::new(*case)).collect();
    assert_eq!(scenes.len(), names.len());
    scenes
}

/// The command line as a shell reads it, with another name for what is written to.
fn shell(scene: &Scene, out: &str) -> String {
    let words = Scene::words(scene.line()).map(|word| if word == OUT { out } else { word });
    format!("$PHASHDB {}", words.collect::<Vec<_>>().join(" "))
}

/// All that the command only reads, but for what SQLite's readers leave.
fn sources(scene: &Scene) -> BTreeMap<PathBuf, Vec<u8>> {
    fn read(dir: &Path, into: &mut BTreeMap<PathBuf, Vec<u8>>) {
        for entry in fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_str().unwrap().to_owned();
            if name == OUT
                || name == "disk"
                || name == "trace"
                || name.ends_with("-shm")
                || name.ends_with("-wal")
            {
                continue;
            }
            if path.is_dir() {
                read(&path, into);
            } else {
                into.insert(path.clone(), fs::read(path).unwrap());
            }
        }
    }
    let mut all = BTreeMap::new();
    read(scene.sandbox.path(), &mut all);
    all
}

/// Checks what a command has left, killed or not; returns whether it is done.
#[track_caller]
fn check(scene: &Scene, output: &Output, what: &str) -> bool {
    let what = format!("{}, {what}", scene.case.name);
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(!stderr.contains("panicked"), "{what}: {stderr}");
    let now = scene.rows().unwrap_or_default();
    assert!(scene.may_be(&now), "{what}: {now:#?}");
    let partial = scene.path("out.partial").exists();
    match output.status.code() {
        Some(0) => assert!(now == *scene.last() && !partial, "{what}: not done"),
        Some(2) => assert!(stderr.contains("phashdb: ") && !partial, "{what}: {stderr}"),
        None | Some(137) => drop(fs::remove_dir_all(scene.path("out.partial"))),
        other => panic!("{what}: exit status {other:?}: {stderr}"),
    }
    now == *scene.last()
}

#[test]
fn a_system_call_that_fails_in_a_merge_compaction_or_backup_leaves_what_was_committed() {
    if !works(&["strace", "-qq", "-o", "/dev/null", "-e", "inject=fsync:error=EIO:when=1", "true"]) {
        return;
    }
    let last = given("PHASHDB_TEST_CALLS", 20);
    let (mut runs, mut failed) = (0, 0);
    for scene in scenes(&["merge of models", "compaction of models", "backup"]) {
        let before = sources(&scene);
        for call in [
            "rename:error=EIO",
            "fsync:error=EIO",
            "fdatasync:error=EIO",
            "ftruncate:error=EIO",
            "pwrite64:error=EIO",
            "pwrite64:error=ENOSPC",
            "pwrite64:signal=KILL",
        ] {
            let name = call.split(':').next().unwrap();
            let strace = |inject: &str| {
                let trace = format!("trace={name}");
                let inject: &[&str] = if inject.is_empty() { &[] } else { &["-e", inject] };
                let strace = [&["strace", "-f", "-qq", "-o", "trace", "-e", &trace][..], inject].concat();
                sh(&scene.sandbox, &strace, &format!("exec {}", shell(&scene, OUT)))
            };
            scene.reset();
            assert!(check(&scene, &strace(""), "undisturbed"));
            let trace = fs::read_to_string(scene.path("trace")).unwrap();
            let calls = trace.lines().filter(|line| line.contains(&format!("{name}("))).count() as u64;
            scene.reset();
            for n in 1..=last.min(calls) {
                let output = strace(&format!("inject={call}:when={n}"));
                // What failed is gone on from; what is done begins anew.
                if check(&scene, &output, &format!("{call} number {n} of {calls}")) {
                    scene.reset();
                }
                failed += u64::from(!output.status.success());
                runs += 1;
            }
            if scene.case.commits == Commits::Renamed {
                scene.reset();
            }
            assert!(check(&scene, &strace(""), "after all"));
        }
        assert!(sources(&scene) == before, "{}: what is only read has changed", scene.case.name);
    }
    println!("{failed} of {runs} runs failed");
    assert!(failed > runs / 2);
}

#[test]
fn an_export_whose_file_cannot_be_synced_leaves_none() {
    let inject = ["strace", "-f", "-qq", "-o", "/dev/null", "-e", "inject=fsync:error=EIO:when=1"];
    if !works(&[&inject[..], &["true"]].concat()) {
        return;
    }
    let sandbox = Sandbox::new();
    sandbox.file("codes.hex", b"00000000000000ff a\n");
    sandbox.run("import-codes --bits 64 --db a codes.hex").exits(0);
    let before = fs::read_dir(sandbox.path()).unwrap().count();
    let output = sh(&sandbox, &inject, "exec $PHASHDB export a -o a.jsonl");
    assert_eq!(output.status.code(), Some(2), "{output:?}");
    assert_eq!(fs::read_dir(sandbox.path()).unwrap().count(), before);
}

#[test]
fn a_full_disk_stops_every_command_that_writes_and_space_is_all_it_takes() {
    if !works(&["unshare", "-Urm", "mount", "-t", "tmpfs", "tmpfs", "/mnt"]) {
        return;
    }
    let mut full = 0;
    for scene in scenes(&[
        "merge of codes",
        "import of models as JSON lines",
        "compaction of codes",
        "compaction of models",
        "backup",
        "repair",
    ]) {
        let before = sources(&scene);
        fs::create_dir(scene.path("disk")).unwrap();
        for tenths in [1, 3, 5, 7, 9] {
            scene.reset();
            let copy = if scene.case.base.is_some() { "cp -r out disk/out || exit 99" } else { "" };
            // What the base takes and a part of what the command adds, as far as the two can be told apart.
            let script = format!(
                "mount -t tmpfs -o size=64m tmpfs disk || exit 99
                {copy}
                base=$(df -k --output=used disk | tail -n 1)
                {run} >/dev/null 2>&1 || exit 98
                whole=$(du -sk disk/out | cut -f 1)
                rm -r disk/out
                {copy}
                mount -o remount,size=$((base + (whole - base / 2) * {tenths} / 10 + 4))k disk || exit 97
                {run} >/dev/null 2>err; echo $? >status
                rm -rf out; ls -d disk/out.partial >partial 2>/dev/null
                test -e disk/out && cp -r disk/out out
                mount -o remount,size=64m disk
                test -s status && grep -q '^0' status || {run} >/dev/null 2>again || exit 96",
                run = shell(&scene, "disk/out"),
            );
            let output = sh(&scene.sandbox, &NAMESPACE, &script);
            let text = |name: &str| fs::read_to_string(scene.path(name)).unwrap_or_default();
            let what = format!("{}, {tenths} tenths", scene.case.name);
            assert!(output.status.success(), "{what}: {output:?} {} {}", text("err"), text("again"));
            let now = scene.rows().unwrap_or_default();
            assert!(scene.may_be(&now), "{what}: {now:#?}");
            let (status, err) = (text("status"), text("err"));
            assert!(
                status == "0\n" || status == "2\n" && err.contains("disk full"),
                "{what}: {status} {err}"
            );
            assert_eq!(text("partial"), "", "{what}");
            full += u32::from(status == "2\n");
            for name in ["err", "status", "partial", "again"] {
                let _ = fs::remove_file(scene.path(name));
            }
        }
        assert!(sources(&scene) == before, "{}: what is only read has changed", scene.case.name);
    }
    println!("{full} of 30 found the disk full");
    assert!(full >= 15, "{full}");
}

#[test]
fn a_limit_to_the_size_of_files_is_told_as_a_full_disk_by_every_command_that_writes() {
    for scene in scenes(&["merge of models", "compaction of models", "backup", "import of codes as Parquet"])
    {
        let before = sources(&scene);
        let mut full = 0;
        // In pieces of 512 bytes. SQLite's shared memory takes 64 of them.
        for blocks in [10, 40, 70, 100, 150] {
            scene.reset();
            let script = format!("trap '' XFSZ; ulimit -f {blocks}; exec {}", shell(&scene, OUT));
            let output = sh(&scene.sandbox, &[], &script);
            let stderr = String::from_utf8_lossy(&output.stderr);
            check(&scene, &output, &format!("{blocks} blocks"));
            assert!(output.status.success() || stderr.contains("disk full"), "{blocks}: {stderr}");
            full += u32::from(!output.status.success());
        }
        assert!(full > 0, "{}", scene.case.name);
        assert!(sources(&scene) == before, "{}: what is only read has changed", scene.case.name);
    }
}
