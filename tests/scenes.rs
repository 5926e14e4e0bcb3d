//! Owns the scenes in which commands that write are killed and failed: what each reads, what it writes to, the states that its
//! commits lead to, and whether what is there afterwards is one that it may have left.

use std::collections::BTreeSet;
use std::fs;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::path::{Path, PathBuf};

use phash_store::{OpenOptions, Reader, verify};

use crate::codes::{codes, lines};
use crate::support::{MODELS, Sandbox};

/// The database that is written to, or made.
pub(crate) const OUT: &str = "out";

/// A command that writes.
#[derive(Clone, Copy)]
pub(crate) struct Case {
    pub(crate) name: &'static str,
    /// Makes what the command reads.
    prepare: fn(&Sandbox),
    /// What `OUT` is a copy of before it, if it is there.
    pub(crate) base: Option<&'static str>,
    /// The states that its commits lead to, each as a command that leads there from the base; the last is the one that is killed.
    pub(crate) states: &'static [&'static str],
    /// How the database may lie between two states.
    pub(crate) commits: Commits,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Commits {
    /// At these states.
    AtStates,
    /// Also between them, as time passes: there is all of the one and part of the next.
    Between,
    /// One, by a rename: before it, there is nothing but `OUT.partial`.
    Renamed,
}

pub(crate) const CASES: &[Case] = &[
    Case {
        name: "ingest",
        prepare: |_| {},
        base: None,
        states: &["ingest --json --commit-every 1 --db out MODELS"],
        commits: Commits::Between,
    },
    Case {
        name: "merge of models",
        prepare: model_databases,
        base: Some("a"),
        states: &["merge --json out b", "merge --json out b c", "merge --json out b c d"],
        commits: Commits::Between,
    },
    Case {
        name: "merge of codes",
        prepare: code_databases,
        base: None,
        states: &["merge out p", "merge out p q", "merge out p q r", "merge out p q r s"],
        commits: Commits::Between,
    },
    Case {
        name: "import of models as JSON lines",
        prepare: |sandbox| {
            model_databases(sandbox);
            sandbox.run("export c -o models.jsonl").exits(0);
        },
        base: Some("b"),
        states: &["import out models.jsonl"],
        commits: Commits::Between,
    },
    Case {
        name: "import of codes as Parquet",
        prepare: |sandbox| {
            code_databases(sandbox);
            sandbox.run("export p -o codes.parquet").exits(0);
        },
        base: Some("s"),
        states: &["import out codes.parquet"],
        commits: Commits::Between,
    },
    Case {
        name: "compaction of models",
        prepare: |sandbox| {
            model_databases(sandbox);
            sandbox.run("rm --db c --id 1 --id 5").exits(0);
        },
        base: Some("c"),
        states: &["compact --db out"],
        commits: Commits::AtStates,
    },
    Case {
        name: "compaction of codes",
        prepare: |sandbox| {
            code_databases(sandbox);
            sandbox.run("merge all p q r s").exits(0);
            sandbox.run("rm --db all --id 3 --id 17 --id 18 --id 2500 --id 60000").exits(0);
        },
        base: Some("all"),
        states: &["compact --db out"],
        commits: Commits::AtStates,
    },
    Case {
        name: "backup",
        prepare: |sandbox| {
            code_databases(sandbox);
            sandbox.run("merge all p q r s").exits(0);
        },
        base: None,
        states: &["backup out all"],
        commits: Commits::Renamed,
    },
    Case {
        name: "repair",
        prepare: model_databases,
        base: None,
        states: &["repair --salvage out c"],
        commits: Commits::Renamed,
    },
    Case {
        name: "migration",
        prepare: |sandbox| {
            let fixture = concat!(env!("CARGO_MANIFEST_DIR"), "/data/golden/store-v1");
            copy_dir(Path::new(fixture), &sandbox.path().join("old"));
        },
        base: Some("old"),
        states: &["migrate out"],
        commits: Commits::AtStates,
    },
];

/// `a` to `d`: libraries of the bundled models; `d` has some of what `a` has under another label.
fn model_databases(sandbox: &Sandbox) {
    for (db, folder) in [("a", "mtcnn"), ("b", "mediapipe"), ("c", "fashion-cnn"), ("d", "silero-vad")] {
        sandbox.phashdb(["ingest", "--db", db, &format!("{MODELS}/{folder}")]).run().exits(0);
    }
    fs::copy(format!("{MODELS}/mtcnn/rnet-torch.safetensors"), sandbox.path().join("twin.safetensors"))
        .unwrap();
    sandbox.run("ingest --db d twin.safetensors").exits(0);
}

/// `p` to `s`: raw codes, with some in common, together enough for an index segment.
fn code_databases(sandbox: &Sandbox) {
    let codes = codes(70_000, 8);
    for (db, range) in [("p", 0..20_000), ("q", 15_000..30_000), ("r", 30_000..50_000), ("s", 50_000..70_000)]
    {
        let first = range.start;
        let text = lines(&codes[range], |number, hex| format!("{hex},label {}", first + number));
        sandbox.file("codes.csv", &text);
        sandbox.phashdb(["import-codes", "--bits", "64", "--db", db, "codes.csv"]).run().exits(0);
    }
}

pub(crate) fn copy_dir(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let (entry, to) = (entry.as_ref().unwrap(), to.join(entry.as_ref().unwrap().file_name()));
        if entry.file_type().unwrap().is_dir() {
            copy_dir(&entry.path(), &to);
        } else {
            fs::copy(entry.path(), to).unwrap();
        }
    }
}

/// Names and lengths of all files that hold something, as a number. Locks and shared memory are there whenever a database is
/// opened.
fn stamp(dir: &Path, into: &mut DefaultHasher) {
    let Ok(entries) = fs::read_dir(dir) else { return };
    let mut entries: Vec<_> = entries.flatten().collect();
    entries.sort_unstable_by_key(fs::DirEntry::file_name);
    for entry in entries {
        let name = entry.file_name();
        match entry.metadata() {
            Ok(meta) if meta.is_dir() => stamp(&entry.path(), into),
            Ok(meta) if meta.len() > 0 && !name.to_string_lossy().ends_with("-shm") => {
                (name, meta.len()).hash(into)
            }
            _ => {}
        }
    }
}

/// What a database says it holds.
pub(crate) type Rows = BTreeSet<String>;

/// A command, what it reads, and what it leads to.
pub(crate) struct Scene {
    pub(crate) case: Case,
    pub(crate) sandbox: Sandbox,
    pub(crate) states: Vec<Rows>,
}

impl Scene {
    pub(crate) fn new(case: Case) -> Self {
        let sandbox = Sandbox::new();
        (case.prepare)(&sandbox);
        let mut this = Self { case, sandbox, states: Vec::new() };
        this.reset();
        this.states.push(this.rows().unwrap_or_default());
        for line in case.states {
            this.reset();
            this.sandbox.phashdb(Self::words(line)).run().exits(0);
            this.states.push(this.rows().expect("a database"));
        }
        this
    }

    pub(crate) fn words(line: &str) -> impl Iterator<Item = &str> {
        line.split(' ').map(|word| if word == "MODELS" { MODELS } else { word })
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.sandbox.path().join(name)
    }

    /// The command that is killed or failed.
    pub(crate) fn line(&self) -> &'static str {
        self.case.states[self.case.states.len() - 1]
    }

    /// What it leads to.
    pub(crate) fn last(&self) -> &Rows {
        &self.states[self.states.len() - 1]
    }

    /// Everything as it is before the command.
    pub(crate) fn reset(&self) {
        for name in [OUT, "out.partial"] {
            let _ = fs::remove_dir_all(self.path(name));
        }
        if let Some(base) = self.case.base {
            copy_dir(&self.path(base), &self.path(OUT));
        }
    }

    pub(crate) fn stamp(&self) -> u64 {
        let mut hasher = DefaultHasher::new();
        stamp(&self.path(OUT), &mut hasher);
        stamp(&self.path("out.partial"), &mut hasher);
        hasher.finish()
    }

    /// What the database holds, after it was found to be sound; `None` if there is none.
    pub(crate) fn rows(&self) -> Option<Rows> {
        if !self.path(OUT).join("catalog.sqlite").exists() {
            assert!(self.case.commits != Commits::Renamed || !self.path(OUT).exists(), "half a database");
            return None;
        }
        let list = self.sandbox.run("list --json --db out");
        // Without times of the day.
        let row = |line: &str| match line.split_once("\"ingested_at_ms\":") {
            Some((before, after)) if self.case.name == "ingest" => {
                before.to_owned() + after.trim_start_matches(|digit: char| digit.is_ascii_digit())
            }
            _ => line.to_owned(),
        };
        let mut rows: Rows = list.stdout().lines().map(row).collect();
        list.exits(i32::from(rows.is_empty()));
        if self.case.name == "migration" {
            // The fixture's index segment is none, and its hash none of this program's: `verify` and `info` tell that.
            let report = verify(&self.path(OUT), OpenOptions::default(), &mut |_, _| true).unwrap().unwrap();
            assert!(report.is_sound(), "{report:?}");
        } else {
            self.sandbox.run("verify --db out").exits(0);
        }
        if self.case.commits == Commits::AtStates {
            let info = Reader::open(&self.path(OUT), OpenOptions::default()).unwrap().info().unwrap();
            rows.insert(format!("version {}, {} compactions", info.format_version, info.compactions));
        }
        Some(rows)
    }

    /// Whether a killed command may have left this.
    pub(crate) fn may_be(&self, now: &Rows) -> bool {
        let between = |pair: &[Rows]| {
            let ids = |rows: &Rows| -> BTreeSet<String> {
                rows.iter().map(|row| row.split("\"label\"").next().unwrap().to_owned()).collect()
            };
            // A model gets its labels one after the other; sources are last in a row.
            let is_part = |row: &String| {
                pair[1].iter().any(|last| last.starts_with(row.trim_end_matches("]}")))
                    || pair[0].contains(row)
            };
            now.iter().all(is_part) && ids(now).is_superset(&ids(&pair[0])) && ids(now).len() == now.len()
        };
        self.states.contains(now)
            || self.case.commits == Commits::Between && self.states.windows(2).any(between)
    }
}
