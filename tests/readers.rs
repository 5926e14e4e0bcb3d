//! Reader processes and threads beside a writer that imports, removes, compacts and is killed: every answer is that of a linear
//! scan of one committed state, no older than what was reported before the question and than what the same reader saw last.
//! A reader that holds a snapshot neither changes its answers nor keeps the writer from anything.
//!
//! `PHASHDB_TEST_WRITES` is the number of the writer's commands, `PHASHDB_TEST_SEED` the seed.

use std::io::Write as _;
use std::num::NonZeroU64;
use std::path::PathBuf;
use std::process::Stdio;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::SeqCst};
use std::sync::{Mutex, PoisonError, RwLock};
use std::time::Duration;

use phash_code::Codes as _;
use phash_library::{
    CodeInput, CodeLibrary, CodeMode, ImportEvent, ImportOptions, OpenOptions, RawCode, Reader, Width,
    import_codes,
};
use serde_json::Value;

use crate::support::{Random, Sandbox, make_pipe, open_pipe};

/// What stands at the id of a removed code.
const REMOVED: u32 = u32::MAX;
/// States that are remembered: no reader takes longer than the writer takes for so many.
const REMEMBERED: usize = 4000;
const RADIUS_BITS: u32 = 14;
const NEAREST: usize = 7;

/// Serial numbers below this are those of codes anywhere, but for every fortieth; the others lie near centres.
const NEAR: u32 = 66_000;

/// The code of a serial number: any, or 1 to 6 bits from one of sixteen centres.
fn code(serial: u32) -> u64 {
    let mut random = Random(1000 + u64::from(serial));
    if serial < NEAR && !serial.is_multiple_of(40) {
        return random.next();
    }
    let centre = Random(u64::from(serial % 16)).next();
    (0..=serial % 6).fold(centre, |code, _| code ^ (1 << (random.next() % 64)))
}

/// What is asked: the centres, so that each commit changes answers.
fn queries() -> Vec<u64> {
    (0..16).map(|centre| Random(centre).next()).collect()
}

fn hex(code: u64) -> String {
    code.to_le_bytes().iter().map(|byte| format!("{byte:02x}")).collect()
}

fn label(serial: u32) -> String {
    format!("n{serial}")
}

/// The serial numbers by id.
type State = Vec<u32>;

/// Id, label and distance; of a list the distance is 0.
type Row = (u32, String, u32);

/// What a reader asks.
#[derive(Clone, Copy, Debug)]
enum Question {
    List,
    Within,
    Nearest,
}

/// The answer that a scan of a state gives.
fn scan(state: &[u32], question: Question) -> Vec<Row> {
    let live = || (0u32..).zip(state).filter(|(_, serial)| **serial != REMOVED);
    let row = |(id, distance, serial): (u32, u32, u32)| (id, label(serial), distance);
    if matches!(question, Question::List) {
        return live().map(|(id, &serial)| row((id, 0, serial))).collect();
    }
    let mut rows = Vec::new();
    for query in queries() {
        let all = live().map(|(id, &serial)| (id, (code(serial) ^ query).count_ones(), serial));
        let mut found: Vec<_> = match question {
            Question::Within => all.filter(|(_, distance, _)| *distance <= RADIUS_BITS).collect(),
            _ => all.collect(),
        };
        found.sort_unstable_by_key(|(id, distance, _)| (*distance, *id));
        if matches!(question, Question::Nearest) {
            found.truncate(NEAREST);
        }
        rows.extend(found.into_iter().map(row));
    }
    rows
}

/// What the writer has committed, or may be committing now; numbered from the first.
struct Log {
    states: RwLock<(usize, Vec<State>)>,
    /// The newest state that was reported.
    reported: AtomicUsize,
    stop: AtomicBool,
    answers: AtomicU64,
    /// Serial numbers given so far.
    serials: AtomicUsize,
    seed: u64,
}

impl Log {
    fn newest(&self) -> usize {
        let states = self.states.read().unwrap_or_else(PoisonError::into_inner);
        states.0 + states.1.len() - 1
    }

    fn oldest(&self) -> usize {
        self.states.read().unwrap_or_else(PoisonError::into_inner).0
    }

    fn state(&self, number: usize) -> State {
        let states = self.states.read().unwrap_or_else(PoisonError::into_inner);
        states.1[number - states.0].clone()
    }

    /// The first state from `least` to `most` that gives the answer.
    fn find(&self, rows: &[Row], question: Question, least: usize, most: usize) -> Option<usize> {
        let states = self.states.read().unwrap_or_else(PoisonError::into_inner);
        assert!(least >= states.0, "seed {}: too few states are remembered", self.seed);
        let until = (most + 1 - states.0).min(states.1.len());
        (least - states.0..until).find(|&at| scan(&states.1[at], question) == rows).map(|at| at + states.0)
    }

    /// What is going to be committed, in order; before it is.
    fn begin(&self, new: Vec<State>) {
        let mut states = self.states.write().unwrap_or_else(PoisonError::into_inner);
        states.1.extend(new);
        let old = states.1.len().saturating_sub(REMEMBERED);
        states.1.drain(..old);
        states.0 += old;
    }

    /// What was committed before the writer died is the state `last`; the rest never was.
    fn cut(&self, last: usize) {
        let mut states = self.states.write().unwrap_or_else(PoisonError::into_inner);
        let keep = last + 1 - states.0;
        states.1.truncate(keep);
        self.reported.store(last, SeqCst);
    }

    fn stopped(&self) -> bool {
        self.stop.load(SeqCst)
    }
}

/// Ends everybody when somebody fails.
struct Ends<'l>(&'l Log);

impl Drop for Ends<'_> {
    fn drop(&mut self) {
        self.0.stop.store(true, SeqCst);
    }
}

/// One reader: what it saw last.
struct Checked<'l> {
    log: &'l Log,
    name: &'static str,
    last: usize,
}

impl<'l> Checked<'l> {
    fn new(log: &'l Log, name: &'static str) -> Self {
        Self { log, name, last: 0 }
    }

    /// The oldest state that the next answer may be of.
    fn least(&self) -> usize {
        self.last.max(self.log.reported.load(SeqCst))
    }

    fn check(&mut self, question: Question, rows: &[Row], least: usize, most: usize) {
        let found = self.log.find(rows, question, least, most);
        let Some(found) = found else {
            let older =
                self.log.find(rows, question, least.saturating_sub(500).max(self.log.oldest()), least);
            panic!(
                "seed {}: {}: {question:?}: {} rows are those of no state from {least} to {most}{}",
                self.log.seed,
                self.name,
                rows.len(),
                older.map_or_else(String::new, |older| format!(", but of the older state {older}"))
            );
        };
        self.last = found;
        self.log.answers.fetch_add(1, SeqCst);
    }
}

fn rows(stdout: &[u8], kind: &str) -> Vec<Row> {
    let text = String::from_utf8_lossy(stdout);
    let records = text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    records
        .filter(|record| record["type"] == kind)
        .map(|record| {
            let number = |key: &str| u32::try_from(record[key].as_u64().unwrap_or(0)).unwrap();
            (number("id"), record["label"].as_str().unwrap().to_owned(), number("distance_bits"))
        })
        .collect()
}

/// The words of a question to the command line, and the records of its answer.
fn words(question: Question, from: &str) -> (String, &'static str) {
    match question {
        Question::List => ("list --json".to_owned(), "code"),
        Question::Within => (format!("query --json --radius {RADIUS_BITS} --codes-from {from}"), "match"),
        Question::Nearest => (format!("query --json -k {NEAREST} --codes-from {from}"), "match"),
    }
}

/// A process for each question.
fn by_processes(sandbox: &Sandbox, log: &Log, mut random: Random, lists: bool) {
    let _ends = Ends(log);
    let mut reader = Checked::new(log, "a process");
    while !log.stopped() {
        let question = match random.next() % 3 {
            0 if lists => Question::List,
            1 => Question::Nearest,
            _ => Question::Within,
        };
        let (line, kind) = words(question, "queries.hex");
        let options = ["--no-mmap"].into_iter().take(usize::from(random.next().is_multiple_of(2)));
        let least = reader.least();
        let output = sandbox.phashdb(line.split(' ').chain(options)).command.output().unwrap();
        assert!(matches!(output.status.code(), Some(0 | 1)), "seed {}: {output:?}", log.seed);
        reader.check(question, &rows(&output.stdout, kind), least, log.newest());
    }
}

/// The library, opened for each question.
fn by_the_library(db: &std::path::Path, log: &Log, mut random: Random) {
    let _ends = Ends(log);
    let mut reader = Checked::new(log, "a thread");
    let width = Width::from_bits(64).unwrap();
    let codes: Vec<RawCode> =
        queries().iter().map(|query| RawCode::from_bytes(width, &query.to_le_bytes()).unwrap()).collect();
    while !log.stopped() {
        let least = reader.least();
        let options = OpenOptions { mmap: random.next().is_multiple_of(2) };
        let library =
            CodeLibrary::open_with(db, options).unwrap_or_else(|error| panic!("seed {}: {error}", log.seed));
        // Twice: a snapshot does not change.
        for _ in 0..2 {
            let (question, mode) = match random.next() % 2 {
                0 => (Question::Nearest, CodeMode::Nearest(NEAREST)),
                _ => (Question::Within, CodeMode::Radius(RADIUS_BITS)),
            };
            let found = library.search(&codes, mode, std::num::NonZeroUsize::MIN).unwrap();
            let found = found.iter().flat_map(|answer| &answer.matches);
            let rows =
                found.map(|found| (found.id, library.label(found.id).unwrap().unwrap(), found.distance_bits));
            reader.check(question, &rows.collect::<Vec<Row>>(), least, log.newest());
        }
    }
}

/// One snapshot after the other of a reader that stays open.
fn by_refreshing(db: &std::path::Path, log: &Log) {
    let _ends = Ends(log);
    let mut checked = Checked::new(log, "a refreshed reader");
    let mut reader = Reader::open(db, OpenOptions::default()).unwrap();
    while !log.stopped() {
        let least = checked.least();
        reader.refresh().unwrap_or_else(|error| panic!("seed {}: {error}", log.seed));
        let (codes, labels) = (reader.raw_codes::<1>().unwrap(), reader.code_labels().unwrap());
        let removed = reader.removed().unwrap();
        let live = (0..codes.len()).filter(|id| !removed.contains(*id));
        let rows: Vec<Row> = live.map(|id| (id, labels.get(id).unwrap().unwrap(), 0)).collect();
        for (id, label, _) in &rows {
            let expected = code(label[1..].parse().unwrap());
            assert_eq!(codes.get(*id).unwrap().as_bytes(), expected.to_le_bytes(), "seed {}", log.seed);
        }
        checked.check(Question::List, &rows, least, log.newest());
    }
}

/// A process that opens the database and is asked only when the writer has gone on: its answer is that of then.
fn by_old_snapshots(sandbox: &Sandbox, log: &Log, mut random: Random) -> u64 {
    let _ends = Ends(log);
    let pipe = sandbox.path().join("pipe.hex");
    make_pipe(&pipe);
    let text: String = queries().into_iter().map(|query| hex(query) + "\n").collect();
    let mut overtaken = 0;
    while !log.stopped() {
        let (least, options) = (log.reported.load(SeqCst), ["--no-mmap"]);
        let (line, kind) = words(Question::Within, "pipe.hex");
        let options = options.into_iter().take(usize::from(random.next().is_multiple_of(2)));
        let mut cli = sandbox.phashdb(line.split(' ').chain(options));
        let mut child = cli.command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        // The reader opens its end when the database is open.
        let mut queries = open_pipe(&pipe, &mut child);
        let most = log.newest();
        while log.reported.load(SeqCst) < most + 20 && !log.stopped() {
            std::thread::sleep(Duration::from_millis(1));
        }
        overtaken += u64::from(log.reported.load(SeqCst) > most);
        queries.write_all(text.as_bytes()).unwrap();
        drop(queries);
        let output = child.wait_with_output().unwrap();
        assert!(matches!(output.status.code(), Some(0 | 1)), "seed {}: {output:?}", log.seed);
        let mut reader = Checked { log, name: "an old snapshot", last: least };
        reader.check(Question::Within, &rows(&output.stdout, kind), least, most);
    }
    overtaken
}

/// The writer: one command after the other, some of them killed.
struct Writer<'a> {
    sandbox: &'a Sandbox,
    log: &'a Log,
    random: Random,
    /// Codes that it keeps about so many of.
    codes: usize,
    kills: u64,
    commits: u64,
}

impl Writer<'_> {
    fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.random.next() % end.max(1) as u64).unwrap()
    }

    fn step(&mut self) {
        let now = self.log.state(self.log.reported.load(SeqCst));
        let live: Vec<u32> = (0u32..).zip(&now).filter(|(_, s)| **s != REMOVED).map(|(id, _)| id).collect();
        let choice = self.random.next() % 8;
        if choice == 0 {
            let dense: State = now.iter().copied().filter(|serial| *serial != REMOVED).collect();
            return self.run("compact", vec![dense]);
        }
        if choice < 4 && live.len() > self.codes / 2 {
            let most = if live.len() > self.codes + 1000 { 600 } else { 30 };
            let ids: Vec<u32> = (0..1 + self.below(most)).map(|_| live[self.below(live.len())]).collect();
            let mut state = now.clone();
            ids.iter().for_each(|id| state[*id as usize] = REMOVED);
            let by_label = self.random.next().is_multiple_of(4);
            let names: Vec<String> = match by_label {
                true => ids.iter().map(|id| label(now[*id as usize])).collect(),
                false => ids.iter().map(|id| format!("--id {id}")).collect(),
            };
            return self.run(&format!("rm {}", names.join(" ")), vec![state]);
        }
        if live.len() > self.codes + 2000 {
            return;
        }
        let (count, every) = (1 + self.below(300), 10 + self.below(60));
        self.import(now, count, every);
    }

    fn import(&mut self, now: State, count: usize, every: usize) {
        let begin = u32::try_from(self.log.serials.fetch_add(count, SeqCst)).unwrap();
        let serials: Vec<u32> = (begin..).take(count).collect();
        let lines: String = serials.iter().map(|&s| format!("{},{}\n", hex(code(s)), label(s))).collect();
        let path = self.sandbox.file("more.csv", lines.as_bytes());
        let ends = (every..count).step_by(every).chain([count]);
        let states = ends.map(|end| [&now[..], &serials[..end]].concat()).collect();
        if self.random.next().is_multiple_of(3) {
            return self.import_here(path, every, states);
        }
        self.run(
            &format!("import-codes --bits 64 --repeated-labels --commit-every {every} more.csv"),
            states,
        );
    }

    /// In this process, where each commit is reported at once.
    fn import_here(&mut self, path: PathBuf, every: usize, states: Vec<State>) {
        let (first, last) = (self.log.newest() + 1, self.log.newest() + states.len());
        self.log.begin(states);
        let mut options = ImportOptions::new(Width::from_bits(64).unwrap());
        options.commit_every = NonZeroU64::new(every as u64);
        options.repeated_labels = true;
        let mut events = |event| {
            if let ImportEvent::Committed { codes } = event {
                let commits = usize::try_from(codes).unwrap().div_ceil(every);
                self.log.reported.store(first + commits - 1, SeqCst);
            }
        };
        let db = self.sandbox.path().join("library.phash");
        let inputs = vec![CodeInput::open(&path, None).unwrap()];
        import_codes(&db, inputs, &options, &AtomicBool::new(false), &|_| {}, &mut events).unwrap();
        assert_eq!(self.log.reported.load(SeqCst), last);
        self.commits += (last + 1 - first) as u64;
    }

    /// By the command line; now and then it is killed on the way.
    fn run(&mut self, line: &str, states: Vec<State>) {
        let (before, seed) = (self.log.newest(), self.log.seed);
        let last = before + states.len();
        self.log.begin(states);
        let mut cli = self.sandbox.phashdb(line.split(' '));
        let mut child = cli.command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        if !self.random.next().is_multiple_of(3) {
            let output = child.wait_with_output().unwrap();
            assert!(output.status.success(), "seed {seed}: {line}: {output:?}");
            self.commits += (last - before) as u64;
            return self.log.reported.store(last, SeqCst);
        }
        std::thread::sleep(Duration::from_micros(self.random.next() % 40_000));
        child.kill().unwrap();
        child.wait().unwrap();
        self.kills += 1;
        // Readers go on, and open what a dead writer has left.
        let answers = self.log.answers.load(SeqCst);
        while self.log.answers.load(SeqCst) < answers + 4 && !self.log.stopped() {
            std::thread::sleep(Duration::from_millis(1));
        }
        let output = self.sandbox.phashdb(["list", "--json"]).command.output().unwrap();
        let rows = rows(&output.stdout, "code");
        let Some(now) = self.log.find(&rows, Question::List, before, last) else {
            panic!("seed {seed}: killed, {line} left {} codes, none of its states", rows.len());
        };
        self.commits += (now - before) as u64;
        self.log.cut(now);
    }
}

#[expect(clippy::print_stdout, reason = "seed and figures are to be seen with the output")]
fn readers_beside_a_writer(codes: std::ops::Range<u32>, writes: u64, lists: bool) {
    let given = |name: &str| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    let writes = given("PHASHDB_TEST_WRITES").map_or(writes, |all| all * writes / 100);
    let seed = given("PHASHDB_TEST_SEED").unwrap_or(u64::from(std::process::id()));
    println!("{writes} of PHASHDB_TEST_WRITES, PHASHDB_TEST_SEED={seed}");
    let sandbox = Sandbox::new();
    let line = |serial| format!("{},{}\n", hex(code(serial)), label(serial));
    sandbox.file("first.csv", codes.clone().map(line).collect::<String>().as_bytes());
    let text: String = queries().into_iter().map(|query| hex(query) + "\n").collect();
    sandbox.file("queries.hex", text.as_bytes());
    sandbox.run("import-codes --bits 64 first.csv").exits(0);
    let log = Log {
        states: RwLock::new((0, vec![codes.clone().collect()])),
        reported: AtomicUsize::new(0),
        stop: AtomicBool::new(false),
        answers: AtomicU64::new(0),
        serials: AtomicUsize::new(codes.end as usize),
        seed,
    };
    let db = sandbox.path().join("library.phash");
    let (mut random, done) = (Random(seed), Mutex::new((0, 0)));
    let overtaken = std::thread::scope(|scope| {
        let (sandbox, log, db, done) = (&sandbox, &log, &db, &done);
        for _ in 0..2 {
            let random = Random(random.next());
            scope.spawn(move || by_processes(sandbox, log, random, lists));
        }
        let (of_library, of_old, of_writer) = (random.next(), random.next(), random.next());
        scope.spawn(move || by_the_library(db, log, Random(of_library)));
        scope.spawn(move || by_refreshing(db, log));
        let old = scope.spawn(move || by_old_snapshots(sandbox, log, Random(of_old)));
        scope.spawn(move || {
            let _ends = Ends(log);
            let mut writer =
                Writer { sandbox, log, random: Random(of_writer), codes: codes.len(), kills: 0, commits: 0 };
            for _ in 0..writes {
                if log.stopped() {
                    return;
                }
                writer.step();
            }
            *done.lock().unwrap() = (writer.commits, writer.kills);
        });
        old.join().expect("the reader of old snapshots")
    });
    let (commits, kills) = *done.lock().unwrap();
    let answers = log.answers.into_inner();
    println!(
        "{commits} commits, {kills} kills, {answers} answers, {overtaken} of snapshots that were overtaken"
    );
    assert!(commits > 0 && kills > 0 && overtaken > 0 && answers > 0);
    sandbox.run("verify").exits(0);
}

#[test]
fn every_answer_is_that_of_a_committed_state_and_never_an_older_one() {
    readers_beside_a_writer(NEAR..NEAR + 600, 100, true);
}

#[test]
fn with_index_segments_too() {
    readers_beside_a_writer(0..NEAR + 1000, 20, false);
}
