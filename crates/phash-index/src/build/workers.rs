//! Owns the threads that make tables: each takes the next table that nobody has taken; the caller's thread gets them in
//! order. There are as many tables in memory as threads, and their memory is used again.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};

use crate::Error;
use crate::build::dense::DenseTables;
use crate::build::source::Source;
use crate::build::table::{Sorter, Table};
use crate::cut::Substring;

/// A table made.
pub(super) struct Made {
    pub(super) number: u32,
    pub(super) substring: Substring,
    pub(super) table: Table,
    pub(super) dense: DenseTables,
    worker: usize,
}

/// Makes the tables of all substrings and passes them to `take` in order, until it fails.
///
/// # Errors
/// That of `take`; [`Error::Cancelled`] soon after the flag is raised.
pub(super) fn for_each_table<const W: usize>(
    source: &Source<'_, W>,
    substrings: &[Substring],
    planes: usize,
    threads: usize,
    cancel: &AtomicBool,
    mut take: impl FnMut(&mut Made) -> Result<(), Error>,
) -> Result<(), Error> {
    let threads = threads.min(substrings.len());
    let job = Job { source, substrings, planes, cancel, next: AtomicUsize::new(0) };
    if threads <= 1 {
        let mut sorter = Sorter::new();
        let mut table = Table::default();
        while let Some(mut made) = job.make(0, &mut sorter, || Some(std::mem::take(&mut table)))? {
            take(&mut made)?;
            table = made.table;
        }
        return Ok(());
    }
    std::thread::scope(|scope| {
        let (sender, receiver) = channel();
        let returns: Vec<Sender<Table>> = (0..threads)
            .map(|worker| {
                let (back, tables) = channel();
                let (sender, job) = (sender.clone(), &job);
                scope.spawn(move || job.work(worker, &tables, sender));
                back
            })
            .collect();
        drop(sender);
        take_in_order(&receiver, &returns, substrings.len(), take)
        // Here the channels close, and who waits at one ends.
    })
}

fn take_in_order(
    made: &Receiver<Option<Made>>,
    returns: &[Sender<Table>],
    tables: usize,
    mut take: impl FnMut(&mut Made) -> Result<(), Error>,
) -> Result<(), Error> {
    for back in returns {
        let _ = back.send(Table::default());
    }
    let mut early = BTreeMap::new();
    for number in 0..tables {
        while !early.contains_key(&number) {
            // None comes from a worker that was cancelled, or panicked: the scope then passes the panic on. So does the
            // error of a channel without senders.
            let Ok(Some(made)) = made.recv() else { return Err(Error::Cancelled) };
            early.insert(made.number as usize, made);
        }
        if let Some(mut made) = early.remove(&number) {
            take(&mut made)?;
            // A worker that has ended needs no memory.
            let _ = returns[made.worker].send(made.table);
        }
    }
    Ok(())
}

struct Job<'a, const W: usize> {
    source: &'a Source<'a, W>,
    substrings: &'a [Substring],
    planes: usize,
    cancel: &'a AtomicBool,
    next: AtomicUsize,
}

impl<const W: usize> Job<'_, W> {
    /// Makes the next table in memory that `memory` gives. None if there is no further table or no memory;
    /// [`Error::Cancelled`] soon after the flag is raised.
    fn make(
        &self,
        worker: usize,
        sorter: &mut Sorter,
        memory: impl FnOnce() -> Option<Table>,
    ) -> Result<Option<Made>, Error> {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let Some(&substring) = self.substrings.get(number) else { return Ok(None) };
        let made = sorter.make(self.source, substring, self.planes, self.cancel, memory)?;
        let Some(mut table) = made else { return Ok(None) };
        let mut dense = DenseTables::default();
        if self.planes == 0 {
            table.move_dense_buckets(&mut dense);
        }
        let number = u32::try_from(number).unwrap_or(u32::MAX);
        Ok(Some(Made { number, substring, table, dense, worker }))
    }

    fn work(&self, worker: usize, tables: &Receiver<Table>, sender: Sender<Option<Made>>) {
        let panicked = PanicNotice(sender);
        let mut sorter = Sorter::new();
        loop {
            // Of a cancelled worker the caller must hear: others wait for memory that comes only after its table.
            let made = match self.make(worker, &mut sorter, || tables.recv().ok()) {
                Ok(None) => break,
                made => made.ok().flatten(),
            };
            let ended = made.is_none();
            if panicked.0.send(made).is_err() || ended {
                break;
            }
        }
    }
}

/// Tells the caller that no more tables come, so that it does not wait for one; the scope then passes the panic on.
struct PanicNotice(Sender<Option<Made>>);

impl Drop for PanicNotice {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let _ = self.0.send(None);
        }
    }
}
