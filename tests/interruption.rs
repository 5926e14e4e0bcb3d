//! kill -9 and Ctrl-C during ingest: what was told is kept, the next ingest finishes the job, and the result is that of
//! an ingest that nobody disturbed.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader};
use std::process::{Child, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::ingest::models;
use crate::support::{Random, Sandbox};

const MODELS: u64 = 60;
/// Kills in all, on fresh libraries and on ones that were killed before.
const KILLS: u32 = 20;

fn start(sandbox: &Sandbox, db: &str) -> Child {
    let mut cli = sandbox.phashdb(["ingest", "--json", "--commit-every", "4", "--db", db, "m"]);
    cli.command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("phashdb starts")
}

/// Everything that was told until the pipe closed: label to id.
fn told(child: &mut Child) -> BTreeMap<String, Value> {
    let lines = BufReader::new(child.stdout.take().expect("a pipe")).lines();
    let mut told = BTreeMap::new();
    for line in lines.map_while(Result::ok) {
        // The last line may be cut short.
        if let Ok(record) = serde_json::from_str::<Value>(&line)
            && record["id"].is_u64()
        {
            told.insert(record["path"].as_str().unwrap().to_owned(), record["id"].clone());
        }
    }
    told
}

fn fill(sandbox: &Sandbox) {
    for number in 0..MODELS {
        sandbox.model(&format!("m/{number:02}.safetensors"), number);
    }
}

/// Label to id of what is stored.
fn stored(sandbox: &Sandbox, db: &str) -> BTreeMap<String, Value> {
    models(sandbox, db)
        .iter()
        .map(|model| (model["label"].as_str().unwrap().to_owned(), model["id"].clone()))
        .collect()
}

#[test]
fn kill_at_random_moments_loses_nothing_told_and_the_next_ingest_finishes() {
    let clock = std::time::UNIX_EPOCH.elapsed().map_or(1, |since| u64::from(since.subsec_nanos()));
    let given = std::env::var("PHASHDB_TEST_SEED").ok().and_then(|seed| seed.parse().ok());
    let seed: u64 = given.unwrap_or(clock);
    println!("PHASHDB_TEST_SEED={seed}");
    let mut random = Random(seed);
    let sandbox = Sandbox::new();
    fill(&sandbox);
    let begin = Instant::now();
    assert_eq!(told(&mut start(&sandbox, "whole.phash")).len() as u64, MODELS);
    let whole_run = begin.elapsed();
    let expected = models(&sandbox, "whole.phash");
    let (mut kills, mut killed_at_work) = (0, 0);
    for library in 0.. {
        let db = format!("{library}.phash");
        let mut kept = BTreeMap::new();
        for _ in 0..4 {
            let mut child = start(&sandbox, &db);
            std::thread::sleep(whole_run.mul_f64(random.unit() / 2.0));
            child.kill().expect("killed");
            kept.append(&mut told(&mut child));
            child.wait().expect("ended");
            kills += 1;
            if !sandbox.path().join(&db).join("catalog.sqlite").exists() {
                assert!(kept.is_empty());
                continue;
            }
            let list = sandbox.phashdb(["list", "--json", "--db", &db]).run();
            if kept.is_empty() && list.stderr().contains("not a phashdb database") {
                // Killed while it was being created.
                continue;
            }
            let now = stored(&sandbox, &db);
            killed_at_work += u32::from(!now.is_empty() && (now.len() as u64) < MODELS);
            for (label, id) in &kept {
                assert_eq!(
                    now.get(label),
                    Some(id),
                    "{label} was told, then lost (seed {seed}, kill {kills})"
                );
            }
            sandbox.phashdb(["verify", "--db", &db]).run().exits(0);
        }
        let rest = sandbox.phashdb(["ingest", "--json", "--db", &db, "m"]).run();
        rest.exits(0);
        assert_eq!(models(&sandbox, &db), expected, "seed {seed}, library {library}");
        sandbox.phashdb(["verify", "--db", &db]).run().exits(0);
        if kills >= KILLS {
            break;
        }
    }
    println!("{killed_at_work} of {kills} kills fell between the first commit and the last");
}

#[cfg(unix)]
#[test]
fn ctrl_c_keeps_what_was_finished_exits_130_and_the_next_ingest_goes_on() {
    let sandbox = Sandbox::new();
    fill(&sandbox);
    let mut child = start(&sandbox, "library.phash");
    // After the first commit, while the last models wait to be hashed.
    let mut lines = BufReader::new(child.stdout.take().expect("a pipe"));
    let mut first = String::new();
    lines.read_line(&mut first).expect("a line");
    let interrupted = std::process::Command::new("kill").args(["-INT", &child.id().to_string()]).status();
    assert!(interrupted.expect("kill runs").success());
    let (sender, receiver) = mpsc::channel();
    std::thread::spawn(move || sender.send(lines.lines().map_while(Result::ok).collect::<Vec<_>>()));
    let output = child.wait_with_output().expect("ended");
    let rest = receiver.recv_timeout(Duration::from_secs(60)).expect("the pipe closes");
    let stderr = String::from_utf8_lossy(&output.stderr);
    let stored_now = stored(&sandbox, "library.phash");
    match output.status.code() {
        Some(130) => assert!(stderr.contains("run the same command again"), "{stderr}"),
        // Everything was done before the signal came.
        Some(0) => assert_eq!(stored_now.len() as u64, MODELS),
        other => panic!("exit status {other:?}: {stderr}"),
    }
    let told = 1 + rest.iter().filter(|line| line.contains("\"type\":\"ingested\"")).count();
    assert_eq!(stored_now.len(), told, "what is told is what is stored");
    sandbox.run("ingest m").exits(0);
    assert_eq!(stored(&sandbox, "library.phash").len() as u64, MODELS);
}
