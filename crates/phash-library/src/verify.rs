//! Owns [`verify`]: the store's checksums, and that each index segment finds exactly its codes.

use std::ops::ControlFlow;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use phash_code::{Code, Codes};
use phash_index::Segment;
use phash_store::{Contents, Damage, OpenOptions, Reader, VerifyReport, ViewSpec};

use crate::error::{Error, Result};

/// Checks everything in the database at `dir`, also if it is too damaged to be opened: every checksum, that all parts agree,
/// and that each index segment finds exactly its codes. Lists all damage. `progress` is told the bytes done and those in
/// all, of the store's part. Time linear in the size.
///
/// Works for databases of raw codes and of any hash parameters. Segments are compared with the codes only if these and the
/// catalog are sound; else only their bytes.
///
/// # Errors
/// [`Error::Store`] if there is no database, or one of a newer format; [`Error::Cancelled`]. Damage is in the report.
pub fn verify(
    dir: &Path,
    options: OpenOptions,
    cancel: &AtomicBool,
    progress: &mut dyn FnMut(u64, u64),
) -> Result<VerifyReport> {
    let report = phash_store::verify(dir, options, &mut |done, all| {
        progress(done, all);
        !cancel.load(Ordering::Relaxed)
    })?;
    let mut report = report.ok_or(Error::Cancelled)?;
    let is_segment = |damage: &Damage| damage.file.extension().is_some_and(|ending| ending == "mih");
    if !report.damages.iter().all(is_segment) {
        return Ok(report);
    }
    let reader = match Reader::open(dir, options) {
        Ok(reader) => reader,
        // Damaged since it was checked.
        Err(error) => {
            report.damages.push(Damage::from_error(error, dir));
            return Ok(report);
        }
    };
    for view in &reader.schema().views {
        let checked = match view.words {
            1 => check_view::<1>(&reader, view, cancel, &mut report)?,
            2 => check_view::<2>(&reader, view, cancel, &mut report)?,
            4 => check_view::<4>(&reader, view, cancel, &mut report)?,
            _ => check_view::<8>(&reader, view, cancel, &mut report)?,
        };
        if checked.is_break() {
            return Err(Error::Cancelled);
        }
    }
    Ok(report)
}

/// Compares the segments of a view with its codes.
fn check_view<const W: usize>(
    reader: &Reader,
    view: &ViewSpec,
    cancel: &AtomicBool,
    report: &mut VerifyReport,
) -> Result<ControlFlow<()>> {
    let codes = match reader.contents() {
        Contents::Models => reader.codes::<W>(&view.name)?,
        Contents::Codes => reader.raw_codes::<W>()?,
    };
    for (ids, bytes) in reader.segments(&view.name)? {
        if cancel.load(Ordering::Relaxed) {
            return Ok(ControlFlow::Break(()));
        }
        let Some(path) = reader.segment_path(&view.name, &ids)? else { continue };
        // What the store has told of a file is not told again.
        let (Ok(bytes), false) = (bytes, report.damages.iter().any(|damage| damage.file == path)) else {
            continue;
        };
        let checked = Segment::<W, _>::open(bytes).and_then(|segment| {
            if segment.ids() != ids {
                return Err(phash_index::Error::BeyondCodes { ids: segment.ids(), codes: codes.len() });
            }
            segment.verify_against(&UntilCancelled { codes: &codes, cancel })
        });
        if cancel.load(Ordering::Relaxed) {
            return Ok(ControlFlow::Break(()));
        }
        if let Err(error) = checked {
            report.damages.push(Damage {
                what: format!("index segment of view {} (migrate builds it again)", view.name),
                expected: "a segment of the newest format that finds its codes".to_owned(),
                ..Damage::from_error(phash_store::Error::InvalidInput { what: error.to_string() }, &path)
            });
        }
    }
    Ok(ControlFlow::Continue(()))
}

/// Codes that are gone once the flag is raised, which soon ends whatever goes through them.
struct UntilCancelled<'a, C> {
    codes: &'a C,
    cancel: &'a AtomicBool,
}

impl<const W: usize, C: Codes<W>> Codes<W> for UntilCancelled<'_, C> {
    fn len(&self) -> u32 {
        self.codes.len()
    }

    fn run(&self, id: u32) -> &[Code<W>] {
        if self.cancel.load(Ordering::Relaxed) { &[] } else { self.codes.run(id) }
    }
}

#[cfg(test)]
mod tests {
    use phash_index::{BuildParams, build_segment};

    use super::*;

    #[test]
    fn comparing_a_segment_with_its_codes_ends_when_the_flag_is_raised() {
        let code = |n: u64| Code::from_bytes(&n.wrapping_mul(0x9e37_79b9_7f4a_7c15).to_le_bytes()).unwrap();
        let codes: Vec<Code<1>> = (0..1_000).map(code).collect();
        let bytes = build_segment(&codes, 0..1_000, &BuildParams::default()).unwrap();
        let check = |raised: bool| {
            let segment = Segment::<1, _>::open(bytes.clone()).unwrap();
            let cancel = AtomicBool::new(raised);
            segment.verify_against(&UntilCancelled { codes: &codes, cancel: &cancel })
        };
        check(false).unwrap();
        assert!(matches!(check(true), Err(phash_index::Error::MissingCode { .. })));
    }
}
