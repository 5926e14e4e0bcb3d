//! What is interrupted, failed and cut off: each workload starts from an image, goes through numbered states with a commit
//! each, and can tell which state a database is in, comparing all that is in it. A new one is a few lines here.
//!
//! `PHASH_STORE_WORKLOAD` picks those with a text in their names; `PHASH_STORE_LARGER` makes all but the migrations, whose
//! beginnings are fixtures, so many times as large.

use std::path::Path;
use std::sync::Arc;

use phash_store::{Reader, Result, Schema, Store, Writer};

use crate::codes::{self, raw};
use crate::common::*;
use crate::compact::RemoveAndCompact;
use crate::copies::{Copies, How};
use crate::fault_vfs::{Event, FaultVfs};
use crate::medium::Image;
use crate::merge::Merge;
use crate::migrate::Migrate;
use crate::power_cuts::given;
use crate::transcript::Known;

/// Something done to a database in the folder `db` below the root of a file system.
pub(crate) trait Workload: Sync {
    fn name(&self) -> &'static str;

    /// What is there before; all of it is durable. `root` is a folder to work in.
    fn image(&self, root: &Path) -> Image;

    /// The state before.
    fn start(&self) -> u64;

    /// Does it. `commit` is to be called for each commit, with the state that it leads to and the commit itself.
    fn run(&self, vfs: &FaultVfs, db: &Path, commit: &mut Commit<'_>) -> Result<()>;

    /// Whether it may do all it should, and say nothing, though this call failed.
    fn may_pass(&self, _call: &str) -> bool {
        false
    }

    /// The state of a database. Panics if it is none of the workload's, if anything in it is not as it was put, or if it
    /// cannot be read.
    fn state(&self, vfs: &FaultVfs, db: &Path) -> u64;

    /// Opens for writing.
    fn writer(&self, vfs: &FaultVfs, db: &Path) -> Result<Writer>;

    /// Checks that the database is sound that `writer` has just opened, adds something, commits that, and compares again.
    fn go_on(&self, vfs: &FaultVfs, db: &Path, writer: Writer, state: u64);

    /// Compares what `go_on` left.
    fn check_further(&self, vfs: &FaultVfs, db: &Path, state: u64);
}

/// Surrounds a commit with marks.
pub(crate) type Commit<'a> = dyn FnMut(u64, &mut dyn FnMut() -> Result<()>) -> Result<()> + 'a;

/// Runs a workload; returns how it ended, the last state that was reported, and the last that was begun.
pub(crate) fn run(workload: &dyn Workload, vfs: &FaultVfs, db: &Path) -> (Result<()>, u64, u64) {
    let (mut reported, mut started) = (workload.start(), workload.start());
    let result = workload.run(vfs, db, &mut |state, commit| {
        vfs.mark(Event::Started(state));
        started = state;
        commit()?;
        vfs.mark(Event::Reported(state));
        reported = state;
        Ok(())
    });
    (result, reported, started)
}

/// Starts a machine from an image and checks it: the state must be one from `reported` to `started`, and work goes on. What
/// would go a way that is `known` is left at that.
pub(crate) fn check(
    workload: &dyn Workload,
    image: &Image,
    root: &Path,
    (reported, started): (u64, u64),
    known: &Known,
) {
    let allowed = |state: u64| {
        let states = reported..=started;
        assert!(states.contains(&state), "state {state}, reported was {reported} of {started}");
    };
    let key = (workload.name().to_owned(), image.real.digest());
    if let Some(state) = known.state(&key, image, root) {
        return allowed(state);
    }
    if !image.real.has_catalog(Path::new("db")) {
        assert_eq!(reported, 0, "the database is gone");
        return check_beginning(workload, image, root, known);
    }
    let (db, vfs) = (root.join("db"), FaultVfs::boot(image, root));
    let transcript = vfs.write_down();
    let state = workload.state(&vfs, &db);
    allowed(state);
    let writer = workload.writer(&vfs, &db).unwrap_or_else(|error| panic!("a writer: {error}"));
    if known.is_new(workload.name(), state, &vfs, &writer) {
        workload.go_on(&vfs, &db, writer, state);
    }
    known.add(key, &transcript, state);
}

/// The same of an image without a database, in which the workload begins anew.
fn check_beginning(workload: &dyn Workload, image: &Image, root: &Path, known: &Known) {
    // Of what an unfinished copy has left nobody reads the bytes: that is made sure of.
    let partial = Path::new("db.partial");
    let unread = (workload.name().to_owned(), image.digest_but_for(Some(partial)));
    if known.begins_alike(&unread) {
        return;
    }
    let (db, vfs) = (root.join("db"), FaultVfs::boot(image, root));
    let transcript = vfs.write_down();
    let (result, reported, _) = run(workload, &vfs, &db);
    result.unwrap_or_else(|error| panic!("from the beginning: {error}"));
    if image.real.has_folder(partial) {
        transcript.check_unread(partial);
    }
    assert_eq!(workload.state(&vfs, &db), reported);
    known.add_beginning(unread);
}

/// Goes on after a fault without a start of the machine in between: what was not synced still is not. Returns what the
/// database must then be after a power cut: as `go_on` leaves it, from a state; or in a state, after a run from the beginning.
pub(crate) fn go_on_here(
    workload: &dyn Workload,
    vfs: &FaultVfs,
    db: &Path,
    (reported, started): (u64, u64),
) -> (bool, u64) {
    vfs.revive();
    if !Store::exists(db) {
        assert_eq!(reported, 0, "the database is gone");
        let (result, reported, _) = run(workload, vfs, db);
        result.unwrap_or_else(|error| panic!("from the beginning: {error}"));
        return (false, reported);
    }
    let state = workload.state(vfs, db);
    assert!((reported..=started).contains(&state), "state {state}, reported was {reported} of {started}");
    let writer = workload.writer(vfs, db).unwrap_or_else(|error| panic!("a writer: {error}"));
    workload.go_on(vfs, db, writer, state);
    (true, state)
}

/// Creates a database unless it is there, and ingests up to each of some counts of models or raw codes; the state is
/// that count. Each commit replaces an index segment.
struct Ingest {
    name: &'static str,
    raw: bool,
    start: Vec<u64>,
    steps: Vec<u64>,
    /// Whether the next batch lies behind the committed codes, as a writer leaves it that dies right before the
    /// catalog's commit, with some more bytes, and files that nobody names in the segments folder.
    torn: bool,
}

/// A number of items, times `PHASH_STORE_LARGER`.
pub(crate) fn larger(count: u64) -> u64 {
    count * given("PHASH_STORE_LARGER", 1)
}

/// All workloads there are, or those with the text of `PHASH_STORE_WORKLOAD` in their names.
pub(crate) fn all() -> Vec<Box<dyn Workload>> {
    let ingest = |name, raw, start: &[u64], steps: &[u64], torn| {
        let [start, steps] = [start, steps].map(|counts| counts.iter().copied().map(larger).collect());
        Ingest { name, raw, start, steps, torn }
    };
    let ingests = [
        ingest("creation and ingest of models", false, &[], &[2, 4], false),
        ingest("ingest of models", false, &[2, 5], &[6, 9, 12], false),
        ingest("ingest of models over a torn tail", false, &[3, 5], &[7, 9], true),
        ingest("creation and import of codes", true, &[], &[3, 5], false),
        ingest("import of codes over the end of a block", true, &[1100], &[1130, 2047, 2050], false),
        ingest("import of codes over a torn tail", true, &[1100, 2040], &[2060, 2070], true),
    ];
    let compactions = [false, true].map(|raw| Box::new(RemoveAndCompact { raw }) as Box<dyn Workload>);
    let merges = [false, true].map(|raw| Box::new(Merge { raw }) as Box<dyn Workload>);
    let migrations = [
        Migrate { name: "migration of models of version 1", fixture: "store-v1", raw: false },
        Migrate { name: "migration of models of version 3", fixture: "store-v3", raw: false },
        Migrate { name: "migration of codes of version 2", fixture: "store-v2", raw: true },
    ];
    let migrations = migrations.map(|migration| Box::new(migration) as Box<dyn Workload>);
    let ingests = ingests.into_iter().map(|ingest| Box::new(ingest) as Box<dyn Workload>);
    let copies = [How::Backup, How::Salvage].into_iter().flat_map(|how| [false, true].map(|raw| (how, raw)));
    let copies = copies.map(|(how, raw)| Box::new(Copies { how, raw }) as Box<dyn Workload>);
    let wanted = std::env::var("PHASH_STORE_WORKLOAD").unwrap_or_default();
    let all = ingests.chain(compactions).chain(merges).chain(copies).chain(migrations);
    all.filter(|workload| workload.name().contains(&wanted)).collect()
}

impl Ingest {
    fn schema(&self) -> Schema {
        if self.raw { raw() } else { schema() }
    }

    fn view(&self) -> &'static str {
        if self.raw { "raw" } else { "energy" }
    }

    fn put(&self, writer: &mut Writer, to: u64) -> Result<()> {
        let from = u64::from(if self.raw { writer.code_count() } else { writer.model_count() });
        if self.raw {
            codes::put_codes(writer, from..to)?
        } else {
            put_range(writer, from..to)?
        }
        if from > 0 {
            writer.drop_segments(self.view(), 0..u32::MAX)?;
            writer.add_segment(self.view(), 0..u32::try_from(from).unwrap(), &from.to_le_bytes())?;
        }
        Ok(())
    }

    fn ingest(&self, vfs: &FaultVfs, db: &Path, steps: &[u64], commit: &mut Commit<'_>) -> Result<()> {
        if !Store::exists(db) {
            Store::create_on(&vfs.shared(), db, &self.schema(), clock())?;
        }
        let mut writer = self.writer(vfs, db)?;
        for &step in steps {
            self.put(&mut writer, step)?;
            commit(step, &mut || writer.commit())?;
        }
        Ok(())
    }

    fn check(&self, reader: &Reader, count: u64) {
        if self.raw {
            codes::check(reader, count);
        } else {
            check_range(reader, count);
        }
        for (ids, bytes) in reader.segments(self.view()).unwrap() {
            let bytes = bytes.unwrap_or_else(|error| panic!("a segment: {error}"));
            assert_eq!(bytes.as_ref(), u64::from(ids.end).to_le_bytes());
        }
    }

    fn reader(vfs: &FaultVfs, db: &Path) -> Reader {
        Reader::open_on(vfs.shared(), db, NO_MMAP).unwrap_or_else(|error| panic!("a reader: {error}"))
    }
}

impl Workload for Ingest {
    fn name(&self) -> &'static str {
        self.name
    }

    fn writer(&self, vfs: &FaultVfs, db: &Path) -> Result<Writer> {
        Ok(Writer::open_on(vfs.shared(), db, &self.schema())?.with_clock(clock))
    }

    fn image(&self, root: &Path) -> Image {
        let vfs = FaultVfs::boot(&Image::default(), root);
        vfs.record();
        let db = root.join("db");
        let ingest = |steps: &[u64]| {
            if !steps.is_empty() {
                self.ingest(&vfs, &db, steps, &mut |_, commit| commit()).unwrap();
            }
            vfs.live()
        };
        let image = ingest(&self.start);
        if !self.torn {
            return image;
        }
        let mut torn = ingest(&[self.start() + larger(50)]);
        torn.real = image.real;
        for (path, bytes) in &mut torn.files {
            if !path.starts_with("db/segments") && !path.ends_with("published") {
                Arc::make_mut(bytes).extend([0x5a; 100]);
            }
        }
        // What comes after the catalog's commit has not happened: the old segment is there, the commit is not written down.
        let late = |path: &Path| path.starts_with("db/segments") || path.ends_with("published");
        torn.files.extend(image.files.into_iter().filter(|(path, _)| late(path)));
        torn.files.insert("db/segments/energy.torn.tmp".into(), Arc::new(vec![1, 2, 3]));
        torn
    }

    fn start(&self) -> u64 {
        self.start.last().copied().unwrap_or(0)
    }

    fn run(&self, vfs: &FaultVfs, db: &Path, commit: &mut Commit<'_>) -> Result<()> {
        self.ingest(vfs, db, &self.steps, commit)
    }

    fn state(&self, vfs: &FaultVfs, db: &Path) -> u64 {
        let reader = Self::reader(vfs, db);
        let count = u64::from(if self.raw { reader.code_count() } else { reader.model_count() });
        assert!(count == 0 || self.start.contains(&count) || self.steps.contains(&count), "{count} items");
        self.check(&reader, count);
        count
    }

    fn go_on(&self, vfs: &FaultVfs, db: &Path, mut writer: Writer, state: u64) {
        let report = Self::reader(vfs, db).verify(&mut |_, _| {}).unwrap();
        assert!(report.is_sound(), "{report:?}");
        assert_eq!(report.uncommitted_bytes, 0, "not cut back");
        let segments = Self::reader(vfs, db).segments(self.view()).unwrap().len();
        let files = vfs.shared().list(&db.join("segments")).unwrap();
        assert_eq!(files.len(), segments, "files that nobody names: {files:?}");
        self.put(&mut writer, state + 2).unwrap_or_else(|error| panic!("going on: {error}"));
        writer.commit().unwrap_or_else(|error| panic!("going on: {error}"));
        self.check_further(vfs, db, state);
    }

    fn check_further(&self, vfs: &FaultVfs, db: &Path, state: u64) {
        self.check(&Self::reader(vfs, db), state + 2);
    }
}
