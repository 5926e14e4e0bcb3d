//! Power cuts: a workload is recorded once; then, after each change, all that the medium may hold is put together, as far
//! as it can be counted, or drawn at random, and a machine is started from it. Nothing reported may be missing, nothing
//! else may be there, and work goes on.
//!
//! `PHASH_STORE_POWER_CUTS` is the number of images, `PHASH_STORE_SEED` the seed.

use std::collections::{BTreeSet, HashSet};
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::common::temp_dir;
use crate::fault_vfs::{Event, FaultVfs};
use crate::medium::{Image, Medium};
use crate::transcript::Known;
use crate::workloads::{self, Workload};

/// Images of the suite, all different.
const IMAGES: usize = 10_000;
/// Up to this number all images of a moment and a grain are taken.
const EXHAUSTIVE: usize = 512;
/// What is written at once, or not: a sector, a page.
const GRAINS: [usize; 2] = [512, 4096];

/// The number in an environment variable.
pub(crate) fn given(name: &str, otherwise: u64) -> u64 {
    std::env::var(name).map_or(otherwise, |text| text.parse().unwrap_or_else(|_| panic!("{name}: {text}")))
}

/// Says where a panic came from.
pub(crate) struct Place(pub(crate) String);

impl Drop for Place {
    fn drop(&mut self) {
        if std::thread::panicking() {
            println!("at: {}", self.0);
        }
    }
}

/// Numbers that follow from a seed (SplitMix64).
#[derive(Clone, Debug)]
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// One of `n` numbers from 0.
    pub(crate) fn below(&mut self, n: usize) -> usize {
        usize::try_from(self.next() % n as u64).unwrap()
    }
}

/// A moment of a recorded run.
struct Moment {
    what: String,
    medium: Medium,
    reported: u64,
    started: u64,
}

/// The moments after each change of a workload.
fn moments(workload: &dyn Workload, root: &Path) -> Vec<Moment> {
    let vfs = FaultVfs::boot(&workload.image(root), root);
    vfs.record();
    let (result, mut reported, _) = workloads::run(workload, &vfs, &root.join("db"));
    result.unwrap();
    let last = reported;
    let (image, events) = vfs.history();
    let mut medium = Medium::new(&image);
    let mut started;
    (reported, started) = (workload.start(), workload.start());
    let mut moments = Vec::new();
    for (number, event) in events.iter().enumerate() {
        medium.apply(event);
        match event {
            Event::Started(state) => started = *state,
            Event::Reported(state) => reported = *state,
            _ => {}
        }
        let kind = format!("{event:?}");
        let what = format!("{}, event {number}: {}", workload.name(), &kind[..kind.len().min(60)]);
        moments.push(Moment { what, medium: medium.clone(), reported, started });
    }
    assert!(moments.len() > 20 && reported == last, "the workload has shrunk to {} events", moments.len());
    moments
}

/// All images of a moment, if there are not too many: the choices are counted through like the digits of a number.
fn exhaustive(medium: &Medium, grain: usize, take: &mut dyn FnMut(Image)) -> bool {
    let (mut digits, mut radices): (Vec<usize>, Vec<usize>) = (Vec::new(), Vec::new());
    for _ in 0..EXHAUSTIVE {
        let mut at = 0;
        radices.clear();
        let image = medium.power_cut(grain, &mut |n| {
            if at == digits.len() {
                digits.push(0);
            }
            radices.push(n);
            at += 1;
            digits[at - 1]
        });
        digits.truncate(at);
        take(image);
        // The choices that follow depend on those before: the last digit that can grow does, those behind it begin anew.
        while digits.last().is_some_and(|&digit| digit + 1 == radices[digits.len() - 1]) {
            digits.pop();
        }
        match digits.last_mut() {
            Some(digit) => *digit += 1,
            None => return true,
        }
    }
    false
}

/// A random image. Each is drawn with a chance of its own that a piece is there.
fn random(medium: &Medium, grain: usize, random: &mut Random) -> Image {
    let chance = [1, 8, 32, 56, 63][random.below(5)];
    medium.power_cut(grain, &mut |n| if random.below(64) < chance { 1 + random.below(n - 1) } else { 0 })
}

#[test]
fn a_power_cut_at_any_moment_loses_nothing_reported_and_leaves_nothing_else() {
    let images = usize::try_from(given("PHASH_STORE_POWER_CUTS", IMAGES as u64)).unwrap();
    let seed = given("PHASH_STORE_SEED", u64::from(std::process::id()));
    println!("PHASH_STORE_SEED={seed} PHASH_STORE_POWER_CUTS={images}");
    let temporary = temp_dir();
    let workloads = workloads::all();
    let moments: Vec<(&dyn Workload, Moment)> = workloads
        .iter()
        .flat_map(|workload| {
            moments(&**workload, &temporary.path().join("record"))
                .into_iter()
                .map(|moment| (&**workload, moment))
        })
        .collect();
    let known = Known::default();
    // Moments of which images are left after those that were counted through.
    let open = Mutex::new((0..moments.len()).collect::<BTreeSet<usize>>());
    let (seen, next, counted) = (Mutex::new(HashSet::new()), AtomicUsize::new(0), AtomicUsize::new(0));
    let work = |thread: usize| {
        let root = temporary.path().join(format!("{thread}"));
        let check = |(workload, moment): &(&dyn Workload, Moment), how: String, image: &Image| {
            let new = (image.digest(), moment.reported, moment.started);
            let number = {
                let mut seen = seen.lock().unwrap();
                if !seen.insert(new) {
                    return;
                }
                seen.len()
            };
            if number.is_multiple_of(100_000) {
                println!("{number} images, {} ways to go on", known.len());
            }
            let _place = Place(format!("{}, {how}, seed {seed}", moment.what));
            workloads::check(*workload, image, &root, (moment.reported, moment.started), &known);
        };
        // First what can be counted, a moment at a time; then at random until there are enough.
        loop {
            let turn = next.fetch_add(1, Ordering::Relaxed);
            if let Some(moment) = moments.get(turn) {
                let mut through = 0;
                for grain in GRAINS {
                    let mut all = Vec::new();
                    if exhaustive(&moment.1.medium, grain, &mut |image| all.push(image)) {
                        through += 1;
                        all.iter().for_each(|image| check(moment, format!("grain {grain}"), image));
                    }
                }
                counted.fetch_add(through, Ordering::Relaxed);
                if through == GRAINS.len() {
                    open.lock().unwrap().remove(&turn);
                }
                continue;
            }
            if seen.lock().unwrap().len() >= images || turn > 100 * images {
                break;
            }
            let mut dice = Random(seed ^ (turn as u64) << 20);
            let moment = {
                let open = open.lock().unwrap();
                let nth = dice.below(open.len());
                &moments[*open.iter().nth(nth).unwrap()]
            };
            let grain = GRAINS[dice.below(2)];
            let image = random(&moment.1.medium, grain, &mut dice);
            check(moment, format!("turn {turn}, grain {grain}"), &image);
        }
    };
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        for thread in 0..threads {
            let work = &work;
            scope.spawn(move || work(thread));
        }
    });
    let (seen, counted) = (seen.into_inner().unwrap().len(), counted.into_inner());
    println!(
        "{} moments, {counted} counted through, {seen} different images; {} ways to go on",
        moments.len(),
        known.len()
    );
    assert!(seen >= images, "only {seen} different images");
}
