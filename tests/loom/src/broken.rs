//! The protocol broken, a rule at a time. Each must be refused.

use loom::sync::atomic::{
    AtomicUsize,
    Ordering::{Acquire, Release},
};
use loom::sync::{Arc, RwLock};
use loom::thread;

use crate::publish::{Shared, State};

#[test]
#[should_panic(expected = "half a state")]
fn a_state_published_before_it_is_whole() {
    loom::model(|| {
        let shared = Shared::new();
        let reader = thread::spawn({
            let shared = shared.clone();
            move || shared.current.load().number()
        });
        shared.current.store(State::new(0, &shared.lease));
        shared.current.load().fill(1);
        reader.join().unwrap();
    });
}

#[test]
#[should_panic(expected = "half a state")]
fn a_state_read_in_two_steps() {
    loom::model(|| {
        let parts = Arc::new([RwLock::new(Arc::new(0)), RwLock::new(Arc::new(0))]);
        let writer = thread::spawn({
            let parts = parts.clone();
            move || parts.iter().for_each(|part| *part.write().unwrap() = Arc::new(1))
        });
        let [codes, tables] = [&parts[0], &parts[1]].map(|part| **part.read().unwrap());
        assert_eq!(codes, tables, "half a state");
        writer.join().unwrap();
    });
}

#[test]
#[should_panic(expected = "older than what was reported")]
fn a_report_before_the_publication() {
    loom::model(|| {
        let shared = Shared::new();
        let reported = Arc::new(AtomicUsize::new(0));
        let writer = thread::spawn({
            let (shared, reported) = (shared.clone(), reported.clone());
            move || {
                reported.store(1, Release);
                shared.publish();
            }
        });
        let least = reported.load(Acquire);
        assert!(shared.current.load().number() >= least, "older than what was reported");
        writer.join().unwrap();
    });
}

#[test]
#[should_panic(expected = "a step was lost")]
fn a_writer_that_does_not_take_the_lock() {
    loom::model(|| {
        let shared = Shared::new();
        let other = thread::spawn({
            let shared = shared.clone();
            move || shared.publish_unlocked()
        });
        shared.publish();
        other.join().unwrap();
        assert_eq!(shared.current.load().number(), 2, "a step was lost");
    });
}

#[test]
#[should_panic(expected = "an older snapshot lost a code")]
fn tables_emptied_without_asking_who_reads() {
    loom::model(|| {
        let shared = Shared::new();
        let reader = thread::spawn({
            let shared = shared.clone();
            move || {
                let state = shared.current.load();
                if state.number() == 0 {
                    assert!(*shared.listed.read().unwrap(), "an older snapshot lost a code");
                }
            }
        });
        shared.publish();
        *shared.listed.write().unwrap() = false;
        reader.join().unwrap();
    });
}
