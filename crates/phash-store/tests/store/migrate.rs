//! Migration as a workload: databases of older versions, as earlier builds made them, are brought to the newest and written on.
//! Whatever interrupts it leaves the version there was, or the new one, wholly.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use phash_store::{Reader, Result, Schema, Writer};

use crate::codes;
use crate::common::*;
use crate::fault_vfs::FaultVfs;
use crate::golden::golden;
use crate::medium::{Image, Real};
use crate::workloads::{Commit, Workload};

/// States: 0 as it was, 1 migrated, 2 and 3 written on, as `go_on` does it once more.
pub(crate) struct Migrate {
    pub(crate) name: &'static str,
    pub(crate) fixture: &'static str,
    pub(crate) raw: bool,
}

/// Items that a step adds.
const STEP: u64 = 2;

impl Migrate {
    fn schema(&self) -> Schema {
        if self.raw { codes::raw() } else { schema() }
    }

    /// What the fixture says of its items.
    fn said(&self, reader: &Reader, count: u64) -> String {
        let mut text = String::new();
        if self.raw {
            codes::check(reader, count);
            return text;
        }
        for model in reader.models().map(|model| model.unwrap()).filter(|model| u64::from(model.id) < count) {
            text += &format!("{model:?} {:?}\n", reader.tensors(model.id).unwrap());
        }
        text
    }

    fn count(reader: &Reader) -> u64 {
        u64::from(reader.model_count().max(reader.code_count()))
    }

    /// The fixture's items, and what it says of them.
    fn fixture(&self) -> (u64, String) {
        let temporary = temp_dir();
        let dir = temporary.path().join("db");
        copy_dir(&golden(self.fixture), &dir);
        let reader = Reader::open(&dir, NO_MMAP).unwrap();
        let count = Self::count(&reader);
        (count, self.said(&reader, count))
    }

    fn put(&self, writer: &mut Writer) -> Result<()> {
        let from = u64::from(writer.model_count().max(writer.code_count()));
        if self.raw {
            return codes::put_codes(writer, from..from + STEP);
        }
        // Contents that no fixture has.
        put_range(writer, 1000 + from..1000 + from + STEP)
    }

    /// Items beyond the fixture's; all of them are compared, and the fixture's, too.
    fn further(&self, vfs: &FaultVfs, db: &Path) -> (u64, u32) {
        let reader =
            Reader::open_on(vfs.shared(), db, NO_MMAP).unwrap_or_else(|error| panic!("a reader: {error}"));
        let (fixture, said) = self.fixture();
        let count = Self::count(&reader);
        assert_eq!(self.said(&reader, if self.raw { count } else { fixture }), said);
        if !self.raw {
            let energies = reader.codes::<4>("energy").unwrap();
            for id in fixture..count {
                let code = phash_code::Codes::get(&energies, u32::try_from(id).unwrap()).unwrap();
                // Put by twos from the count that there was.
                assert_eq!(code.as_bytes(), energy(1000 + id));
            }
        }
        (count - fixture, reader.info().unwrap().format_version)
    }
}

impl Workload for Migrate {
    fn name(&self) -> &'static str {
        self.name
    }

    fn image(&self, root: &Path) -> Image {
        let db = root.join("db");
        copy_dir(&golden(self.fixture), &db);
        let mut files: BTreeMap<PathBuf, Arc<Vec<u8>>> = BTreeMap::new();
        for folder in [db.clone(), db.join("segments")] {
            for entry in fs::read_dir(&folder).unwrap() {
                let path = entry.unwrap().path();
                if path.is_file() && !path.ends_with("catalog.sqlite") {
                    let name = path.strip_prefix(root).unwrap().to_owned();
                    let is_lock = name.ends_with("writer.lock") || name.ends_with("answers.crc32");
                    if !is_lock {
                        files.insert(name, Arc::new(fs::read(&path).unwrap()));
                    }
                    fs::remove_file(path).unwrap();
                }
            }
        }
        Image { files, real: Arc::new(Real::read_below(root)) }
    }

    fn start(&self) -> u64 {
        0
    }

    fn run(&self, vfs: &FaultVfs, db: &Path, commit: &mut Commit<'_>) -> Result<()> {
        let mut writer = None;
        commit(1, &mut || {
            writer = Some(self.writer(vfs, db)?);
            Ok(())
        })?;
        let mut writer = writer.unwrap();
        for state in [2, 3] {
            self.put(&mut writer)?;
            commit(state, &mut || writer.commit())?;
        }
        Ok(())
    }

    fn state(&self, vfs: &FaultVfs, db: &Path) -> u64 {
        let newest = if self.raw { 4 } else { 5 };
        match self.further(vfs, db) {
            (0, version) if version < newest => 0,
            (0, version) if version == newest => 1,
            (added, version) if version == newest && [STEP, 2 * STEP].contains(&added) => 1 + added / STEP,
            other => panic!("no state: {other:?}"),
        }
    }

    fn writer(&self, vfs: &FaultVfs, db: &Path) -> Result<Writer> {
        let migrated = Writer::migrate_on(vfs.shared(), db, &self.schema(), &mut |_, _| true)?;
        Ok(migrated.expect("not stopped").0.with_clock(clock))
    }

    fn go_on(&self, vfs: &FaultVfs, db: &Path, mut writer: Writer, state: u64) {
        let reader = Reader::open_on(vfs.shared(), db, NO_MMAP).unwrap();
        let report = reader.verify(&mut |_, _| {}).unwrap();
        assert!(report.is_sound() && report.uncommitted_bytes == 0, "{report:?}");
        self.put(&mut writer).unwrap_or_else(|error| panic!("going on: {error}"));
        writer.commit().unwrap_or_else(|error| panic!("going on: {error}"));
        self.check_further(vfs, db, state);
    }

    fn check_further(&self, vfs: &FaultVfs, db: &Path, state: u64) {
        let newest = if self.raw { 4 } else { 5 };
        assert_eq!(self.further(vfs, db), (state.max(1) * STEP, newest));
    }
}
