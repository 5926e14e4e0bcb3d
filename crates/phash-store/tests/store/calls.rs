//! Faults at each call of the file system in turn, reads and looks at lengths included: an error once, errors from then
//! on, a full disk, a death, an interruption by a signal. What was reported is there afterwards, on this machine and
//! after a power cut; an error is told; and the writer that met one refuses to go on.
//!
//! `PHASH_STORE_CUTS_A_CALL` is the number of power cuts after each, `PHASH_STORE_SEED` the seed.

use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::common::temp_dir;
use crate::fault_vfs::{Fault, FaultVfs, takes_space};
use crate::medium::{Image, Medium};
use crate::power_cuts::{Place, Random, given};
use crate::transcript::Known;
use crate::workloads::{self, Workload};

/// What a power cut leaves after a fault.
fn cut(vfs: &FaultVfs, random: &mut Random) -> Image {
    let (start, events) = vfs.history();
    let mut medium = Medium::new(&start);
    events.iter().for_each(|event| medium.apply(event));
    let chance = [0, 20, 44][random.below(3)];
    medium.power_cut(512, &mut |n| if random.below(64) < chance { 1 + random.below(n - 1) } else { 0 })
}

/// Runs the workload with a fault, then checks what is there. Says whether there was an error.
fn run_with(
    workload: &dyn Workload,
    image: &Image,
    root: &Path,
    fault: Fault,
    random: &mut Random,
    (goes_on, known): (bool, &Known),
) -> bool {
    let db = root.join("db");
    let vfs = FaultVfs::boot(image, root);
    vfs.record();
    vfs.set_fault(Some(fault));
    let (result, reported, started) = workloads::run(workload, &vfs, &db);
    if let Err(error) = &result {
        let full = matches!(fault, Fault::Full(_));
        assert!(full || !error.is_disk_full(), "{error}");
        assert!(!error.is_damage(), "an error of the system is not damage: {error}");
    }
    let mut images: Vec<Image> = vec![vfs.live()];
    let cuts = given("PHASH_STORE_CUTS_A_CALL", 1);
    images.extend((0..cuts).map(|_| cut(&vfs, random)));
    if goes_on {
        // A new process on the same machine, and only then a power cut: what it built on must be there, too.
        let _place = Place("going on, then a power cut".to_owned());
        let (further, state) = workloads::go_on_here(workload, &vfs, &db, (reported, started));
        let last: Vec<Image> = (0..cuts).map(|_| cut(&vfs, random)).collect();
        for image in last {
            let vfs = FaultVfs::boot(&image, root);
            if further {
                workload.check_further(&vfs, &db, state);
            } else {
                assert_eq!(workload.state(&vfs, &db), state);
            }
        }
    }
    drop(vfs);
    for (number, image) in images.iter().enumerate() {
        let _place = Place(format!(
            "{}, image {number}",
            if number == 0 { "afterwards" } else { "after a power cut" }
        ));
        workloads::check(workload, image, root, (reported, started), known);
    }
    result.is_err()
}

fn fail_at_each_call(workload: &dyn Workload, seed: u64) {
    let temporary = temp_dir();
    let image = workload.image(&temporary.path().join("image"));
    let whole = FaultVfs::boot(&image, &temporary.path().join("whole"));
    workloads::run(workload, &whole, &temporary.path().join("whole/db")).0.unwrap();
    let calls = whole.calls();
    assert!(calls > 40, "the workload has shrunk to {calls} calls");
    let (next, known) = (AtomicU64::new(1), Known::default());
    let work = |thread: usize| {
        let root = temporary.path().join(format!("{thread}"));
        loop {
            let at = next.fetch_add(1, Ordering::Relaxed);
            if at > calls {
                break;
            }
            let call = whole.call(at);
            for fault in
                [Fault::Once(at), Fault::Forever(at), Fault::Full(at), Fault::Die(at), Fault::Interrupted(at)]
            {
                let _place = Place(format!("{}, {fault:?}, {call}, seed {seed}", workload.name()));
                let mut random = Random(seed ^ at << 20);
                let op = call.split(' ').next().unwrap();
                // What would be the same run once more is left out.
                match fault {
                    Fault::Full(_) if !takes_space(op) => continue,
                    Fault::Interrupted(_) if !matches!(op, "read" | "write") => continue,
                    _ => {}
                }
                let changes = !matches!(op, "open_read" | "open_write" | "list" | "len" | "read");
                let goes_on = changes && matches!(fault, Fault::Once(_) | Fault::Die(_));
                let failed = run_with(workload, &image, &root, fault, &mut random, (goes_on, &known));
                match fault {
                    Fault::Once(_) | Fault::Die(_) | Fault::Forever(_) => {
                        // Two things may fail unnoticed. The next writer removes what this one could not remove; and the
                        // file `published` only adds evidence.
                        let passes = matches!(op, "remove" | "remove_tree") || workload.may_pass(&call);
                        assert!(failed || passes || call.ends_with(" published"), "no error");
                    }
                    Fault::Full(_) => assert!(failed || !whole.needs_space_from(at), "no error"),
                    Fault::Interrupted(_) => assert!(!failed, "an interruption is no error"),
                }
            }
        }
    };
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        for thread in 0..threads {
            let work = &work;
            scope.spawn(move || work(thread));
        }
    });
    println!("{}: {calls} calls", workload.name());
}

#[test]
fn a_fault_at_any_call_loses_nothing_reported_and_is_told() {
    let seed = given("PHASH_STORE_SEED", u64::from(std::process::id()));
    println!("PHASH_STORE_SEED={seed}");
    for workload in workloads::all() {
        fail_at_each_call(&*workload, seed);
    }
}
