//! What holds in every order of steps.

use loom::sync::atomic::{
    AtomicUsize,
    Ordering::{Acquire, Release},
};
use loom::thread;

use crate::publish::Shared;

#[test]
fn readers_see_whole_states_and_never_go_back() {
    loom::model(|| {
        let shared = Shared::new();
        let writer = thread::spawn({
            let shared = shared.clone();
            move || {
                shared.publish();
                shared.publish();
            }
        });
        let reader = thread::spawn({
            let shared = shared.clone();
            move || {
                let first = shared.current.load();
                let number = first.number();
                let second = shared.current.load().number();
                assert!(second >= number, "went back");
                assert_eq!(first.number(), number, "a state that is held has changed");
            }
        });
        writer.join().unwrap();
        reader.join().unwrap();
        assert_eq!(shared.current.load().number(), 2);
    });
}

#[test]
fn what_was_reported_as_published_is_seen() {
    loom::model(|| {
        let shared = Shared::new();
        let reported = loom::sync::Arc::new(AtomicUsize::new(0));
        let writer = thread::spawn({
            let (shared, reported) = (shared.clone(), reported.clone());
            move || reported.store(shared.publish(), Release)
        });
        let least = reported.load(Acquire);
        assert!(shared.current.load().number() >= least, "older than what was reported");
        writer.join().unwrap();
    });
}

#[test]
fn of_two_writers_neither_loses_the_others_step() {
    loom::model(|| {
        let shared = Shared::new();
        let other = thread::spawn({
            let shared = shared.clone();
            move || shared.publish()
        });
        let ours = shared.publish();
        assert_ne!(other.join().unwrap(), ours);
        assert_eq!(shared.current.load().number(), 2);
    });
}

#[test]
fn tables_lose_a_removed_code_only_when_nobody_looks_for_it() {
    loom::model(|| {
        let shared = Shared::new();
        let reader = thread::spawn({
            let shared = shared.clone();
            move || {
                let state = shared.current.load();
                if state.number() == 0 {
                    assert!(*shared.listed.read().unwrap(), "an older snapshot lost a code");
                }
                // Held until here.
                state.number()
            }
        });
        shared.publish();
        if shared.all_readers_are_current() {
            *shared.listed.write().unwrap() = false;
        }
        reader.join().unwrap();
    });
}
