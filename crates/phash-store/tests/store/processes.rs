//! Other processes: this test binary runs itself as a reader, a second writer, or a writer that is killed.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use phash_code::Codes;
use phash_store::{Error, Reader, Store, Writer};

use crate::common::*;

const DIR: &str = "PHASH_STORE_TEST_DIR";
/// Models a commit of the child that is killed.
const BATCH: u64 = 37;

/// Runs one of the tests below that are ignored otherwise, in a process of its own.
fn spawn(role: &str, dir: &Path) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", &format!("processes::{role}"), "--ignored", "--nocapture"])
        .env(DIR, dir)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap()
}

fn wait_for_success(child: Child) {
    let output = child.wait_with_output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success() && text.contains("1 passed"), "{text}");
}

/// The directory given by the parent; `None` if somebody runs the ignored tests by hand.
fn given_dir() -> Option<PathBuf> {
    std::env::var_os(DIR).map(PathBuf::from)
}

#[test]
#[ignore = "a role played in a child process"]
fn role_reader() {
    let Some(dir) = given_dir() else { return };
    let mut reader = Reader::open(&dir, MMAP).unwrap();
    while reader.generation() < 20 {
        reader.refresh().unwrap();
        assert_eq!(u64::from(reader.model_count()), reader.generation() * 50);
        let codes = reader.codes::<4>("energy").unwrap();
        for id in (0..codes.len()).rev().take(60) {
            assert_eq!(codes.get(id).unwrap().as_bytes(), energy(id.into()));
        }
    }
    check_range(&reader, 1000);
}

#[test]
#[ignore = "a role played in a child process"]
fn role_second_writer() {
    let Some(dir) = given_dir() else { return };
    assert!(matches!(Writer::open(&dir, &schema()), Err(Error::Locked { .. })));
    assert!(matches!(Writer::open_or_create(&dir, &schema()), Err(Error::Locked { .. })));
    Reader::open(&dir, MMAP).unwrap();
}

#[test]
#[ignore = "a role played in a child process"]
fn role_endless_writer() {
    let Some(dir) = given_dir() else { return };
    let mut writer = Writer::open(&dir, &schema()).unwrap();
    loop {
        let from = u64::from(writer.model_count());
        put_range(&mut writer, from..from + BATCH).unwrap();
        writer.commit().unwrap();
    }
}

#[test]
fn readers_in_other_processes_follow_a_writer() {
    let temporary = temp_dir();
    let dir = temporary.path().join("db");
    let mut writer = Writer::open_or_create(&dir, &schema()).unwrap();
    let readers = [spawn("role_reader", &dir), spawn("role_reader", &dir)];
    for round in 0..20 {
        put_range(&mut writer, round * 50..(round + 1) * 50).unwrap();
        writer.commit().unwrap();
    }
    for reader in readers {
        wait_for_success(reader);
    }
}

#[test]
fn a_second_writer_is_told_at_once_that_the_database_is_locked() {
    let temporary = temp_dir();
    let dir = temporary.path().join("db");
    let writer = Writer::open_or_create(&dir, &schema()).unwrap();
    let error = Writer::open(&dir, &schema()).unwrap_err();
    assert!(matches!(&error, Error::Locked { path } if path.ends_with("writer.lock")), "{error}");
    wait_for_success(spawn("role_second_writer", &dir));
    drop(writer);
    Writer::open(&dir, &schema()).unwrap();
}

#[test]
fn a_killed_writer_leaves_whole_commits_and_the_next_one_goes_on() {
    let temporary = temp_dir();
    let dir = temporary.path().join("db");
    Store::create(&dir, &schema()).unwrap();
    let mut reader = Reader::open(&dir, MMAP).unwrap();
    for kill in 0..20u64 {
        let before = u64::from(reader.model_count());
        let mut child = spawn("role_endless_writer", &dir);
        // Wait for one commit more, then a moment that differs from kill to kill.
        while u64::from(reader.model_count()) == before {
            assert!(child.try_wait().unwrap().is_none(), "the writer ended by itself");
            reader.refresh().unwrap();
        }
        std::thread::sleep(Duration::from_micros(kill * 737 % 5000));
        reader.refresh().unwrap();
        let acknowledged = u64::from(reader.model_count());
        child.kill().unwrap();
        child.wait().unwrap();
        reader.refresh().unwrap();
        let count = u64::from(reader.model_count());
        assert!(count >= acknowledged && count.is_multiple_of(BATCH), "{acknowledged} became {count}");
        drop(Writer::open(&dir, &schema()).unwrap());
        let report = reader.verify(&mut |_, _| {}).unwrap();
        assert!(report.is_sound() && report.uncommitted_bytes == 0, "kill {kill}: {report:?}");
    }
    check_range(&reader, u64::from(reader.model_count()));
}
