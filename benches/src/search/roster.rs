//! Owns who takes part, and who cannot and why.

use super::contender::{Contender, Skip};
use super::mih::MihRs;
use super::options::Options;
use super::ours::{Layout, Ours};
use super::python::{Environment, Kind, Library};
use super::scans::Scan;
use super::sqlite::Sqlite;

/// All contenders for codes of `W` words that are wanted, the scan first; and lines on those that are left out.
#[must_use]
pub fn contenders<const W: usize>(options: &Options) -> (Vec<Box<dyn Contender<W>>>, Vec<String>) {
    let mut all: Vec<Box<dyn Contender<W>>> = vec![Box::new(Scan)];
    for layout in Layout::ALL {
        for huge in [false, true] {
            if options.pages[usize::from(huge)] {
                all.push(Box::new(Ours { layout, huge }));
            }
        }
    }
    if W == 1 {
        all.push(Box::new(MihRs));
    }
    let mut left_out = Vec::new();
    match libraries::<W>(options) {
        Ok(libraries) => all.extend(libraries),
        Err(Skip(why)) => left_out.push(format!("without faiss, usearch and numkong: {why}")),
    }
    all.push(Box::new(Sqlite));
    // The scan is what all are held against.
    all.retain(|contender| contender.name() == "scan" || options.wants(&contender.name()));
    (all, left_out)
}

fn libraries<const W: usize>(options: &Options) -> Result<Vec<Box<dyn Contender<W>>>, Skip> {
    if !options.python {
        return Ok(Vec::new());
    }
    let environment = Environment::at(&options.cache, options.install)?;
    // The settings of each width that were found best: 16-bit tables, and for small radii at 64 bits, wider ones.
    let tables = u32::try_from(4 * W)?;
    let mut kinds = vec![Kind::FaissFlat, Kind::FaissMultiHash { tables, len_bits: 16 }];
    if W == 1 {
        kinds.push(Kind::FaissMultiHash { tables: 3, len_bits: 21 });
    }
    kinds.extend([Kind::Usearch, Kind::Numkong]);
    let library = |kind| Box::new(Library::new(&environment, kind)) as Box<dyn Contender<W>>;
    Ok(kinds.into_iter().map(library).collect())
}
