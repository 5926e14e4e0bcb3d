//! kill -9 of every command that writes, at random moments: afterwards the database opens and is sound, has exactly what a
//! commit left, what was told is in it, and the same command again gives what an undisturbed run gives.
//!
//! `PHASHDB_TEST_KILLS` is the number of kills of all tests of kills together, `PHASHDB_TEST_SEED` the seed.
#![cfg(target_os = "linux")]

use std::fs;
use std::process::Stdio;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::scenes::{CASES, Case, Commits, OUT, Rows, Scene};
use crate::support::{Random, given};

/// Where the kills came.
#[derive(Debug, Default)]
struct Landed {
    /// Nothing was written yet.
    before: u32,
    /// Something was, and not all of it was committed.
    between: u32,
    /// All was committed, but the program had not ended.
    after: u32,
    /// It had ended.
    late: u32,
}

/// A scene, and what an undisturbed run is like.
struct Stage {
    scene: Scene,
    took: Duration,
    /// How often names and lengths were seen to change.
    changes: u64,
}

impl Stage {
    fn new(case: Case) -> Self {
        let mut this = Self { scene: Scene::new(case), took: Duration::ZERO, changes: 0 };
        this.scene.reset();
        let begin = Instant::now();
        (_, this.changes) = this.disturbed(&mut |_, _| false);
        this.took = begin.elapsed();
        this
    }

    /// Runs the command until `enough` says so, given the time and the changes seen, then kills it. Says whether it was killed,
    /// and the changes.
    fn disturbed(&self, enough: &mut dyn FnMut(Duration, u64) -> bool) -> (bool, u64) {
        let scene = &self.scene;
        let mut command = scene.sandbox.phashdb(Scene::words(scene.line())).command;
        command.stdout(fs::File::create(scene.path("told")).unwrap()).stderr(Stdio::null());
        let (mut last, mut changes, begin) = (self.scene.stamp(), 0, Instant::now());
        let mut child = command.spawn().unwrap();
        loop {
            let now = self.scene.stamp();
            changes += u64::from(now != last);
            last = now;
            if let Some(status) = child.try_wait().unwrap() {
                assert!(status.success(), "{}: {status}", self.scene.case.name);
                return (false, changes);
            }
            if enough(begin.elapsed(), changes) {
                child.kill().unwrap();
                return (child.wait().unwrap().code().is_none(), changes);
            }
        }
    }

    /// What the killed command had told is in the database.
    fn check_told(&self, now: &Rows) {
        let told = fs::read_to_string(self.scene.path("told")).unwrap();
        for line in told.lines() {
            // The last line may be cut short.
            let Ok(record) = serde_json::from_str::<Value>(line) else { continue };
            let label = record["path"].as_str().or_else(|| record["label"].as_str());
            if let (Some(id), Some(label)) = (record["id"].as_u64(), label) {
                let (id, label) = (format!("\"id\":{id},"), format!("\"label\":\"{label}\""));
                let is_there = now.iter().any(|row| row.contains(&id) && row.contains(&label));
                assert!(is_there, "{}: told, then lost: {line}", self.scene.case.name);
            }
        }
    }

    /// Kills the command twice, checking what it left, then does it once more.
    fn kill_twice(&self, random: &mut Random, landed: &mut Landed) {
        self.scene.reset();
        let mut before = self.scene.states[0].clone();
        for _ in 0..2 {
            let start = self.scene.stamp();
            let (delay, change) =
                (self.took.mul_f64(0.9 * random.unit()), 1 + random.next() % self.changes.max(1));
            let by_time = random.next().is_multiple_of(2);
            let (killed, _) =
                self.disturbed(&mut |time, changes| if by_time { time >= delay } else { changes >= change });
            let wrote = self.scene.stamp() != start;
            let now = self.scene.rows().unwrap_or_default();
            assert!(self.scene.may_be(&now), "{}: {now:#?}", self.scene.case.name);
            assert!(
                self.scene.case.commits != Commits::Between || now.len() >= before.len(),
                "{}",
                self.scene.case.name
            );
            self.check_told(&now);
            let count = match (killed, wrote) {
                (false, _) => &mut landed.late,
                (true, false) => &mut landed.before,
                (true, true) if now == *self.scene.last() => &mut landed.after,
                (true, true) => &mut landed.between,
            };
            *count += 1;
            if self.scene.case.commits == Commits::Renamed {
                self.check_partial();
            }
            before = now;
            // What is done can be interrupted only anew.
            if before == *self.scene.last() {
                self.scene.reset();
                before.clone_from(&self.scene.states[0]);
            }
        }
        assert!(!self.disturbed(&mut |_, _| false).0);
        let now = self.scene.rows().unwrap();
        assert!(now == *self.scene.last(), "{}: done again: {now:#?}", self.scene.case.name);
    }

    /// An unfinished copy is refused, and in the way until it is removed.
    fn check_partial(&self) {
        if self.scene.path("out.partial").exists() {
            self.scene.sandbox.run("list --db out.partial").exits(2).says("not a phashdb database");
            if !self.scene.path(OUT).exists() {
                self.scene
                    .sandbox
                    .run(self.scene.case.states[0])
                    .exits(2)
                    .says("out.partial")
                    .says("remove it");
            }
            fs::remove_dir_all(self.scene.path("out.partial")).unwrap();
        }
    }
}

#[test]
fn a_killed_command_leaves_what_it_committed_and_is_completed_by_the_same_command() {
    let (kills, seed) =
        (given("PHASHDB_TEST_KILLS", 50), given("PHASHDB_TEST_SEED", u64::from(std::process::id())));
    // The other test of kills takes two fifths.
    let each = (kills * 3 / 5).div_ceil(2 * CASES.len() as u64);
    println!("PHASHDB_TEST_KILLS={kills} PHASHDB_TEST_SEED={seed}");
    let mut random = Random(seed);
    let mut all = 0;
    for case in CASES {
        let (stage, mut landed) = (Stage::new(*case), Landed::default());
        for _ in 0..each {
            stage.kill_twice(&mut random, &mut landed);
        }
        println!("{}, {} ms, {} changes: {landed:?}", case.name, stage.took.as_millis(), stage.changes);
        all += landed.between;
    }
    println!("{all} of {} kills between the first write and the last commit", 2 * each * CASES.len() as u64);
    assert!(all > 0);
}
