//! The selectors by themselves, without a runtime: what is reported, how a registration fails, and how many events one
//! wait returns. The tests run on each kind of selector that the system has.

mod common;

use common::process::in_child;
use common::selectors::{BOTH, READ, Seen, WRITE, Watch, errno, is_emulated, laws, only, pair, read_all};
use runtime::selector::{Events, Kind, Selector};
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{ErrorKind, Write};

laws! {
    what_is_ready_at_registration_is_reported
    a_state_is_reported_as_long_as_it_lasts_or_once
    what_becomes_ready_after_eagain_is_reported
    nothing_is_reported_that_was_not_asked_for
    another_interest_and_another_key
    what_is_deregistered_is_silent
    errors_of_registration_are_alike
    one_that_is_refused_is_not_there
    no_more_events_than_there_is_room_for
    with_room_for_one_each_gets_its_turn
}

// Readiness.

fn what_is_ready_at_registration_is_reported(kind: Kind) {
    let mut watch = Watch::new(kind);
    let (one, mut other) = pair();
    other.write_all(b"x").unwrap();
    watch.register(&one, 1, READ);
    assert_eq!(watch.now(), only(1, Seen::READABLE));
    watch.register(&other, 2, WRITE);
    assert_eq!(watch.until_among(2), Seen::WRITABLE);
}

fn a_state_is_reported_as_long_as_it_lasts_or_once(kind: Kind) {
    let mut watch = Watch::new(kind);
    let (one, mut other) = pair();
    watch.register(&one, 1, READ);
    assert!(watch.now().is_empty());
    other.write_all(b"x").unwrap();
    assert_eq!(watch.until(1), Seen::READABLE);
    for _ in 0..3 {
        if kind.is_edge() {
            watch.is_quiet();
        } else {
            assert_eq!(watch.now(), only(1, Seen::READABLE));
        }
    }
    read_all(&one);
    watch.is_quiet();
}

fn what_becomes_ready_after_eagain_is_reported(kind: Kind) {
    let mut watch = Watch::new(kind);
    let (one, mut other) = pair();
    watch.register(&one, 1, READ);
    for _ in 0..10 {
        other.write_all(b"x").unwrap();
        assert_eq!(watch.until(1), Seen::READABLE);
        read_all(&one);
    }
    watch.selector.modify(&one, 1, WRITE).unwrap();
    for _ in 0..3 {
        assert_eq!(watch.until(1), Seen::WRITABLE);
        // The send buffer is filled, and then emptied.
        while (&one).write(&[0; 4096]).is_ok() {}
        watch.now();
        watch.is_quiet();
        read_all(&other);
    }
}

fn nothing_is_reported_that_was_not_asked_for(kind: Kind) {
    let mut watch = Watch::new(kind);
    let (one, mut other) = pair();
    other.write_all(b"x").unwrap();
    watch.register(&one, 1, WRITE);
    assert_eq!(watch.until(1), Seen::WRITABLE);
    watch.selector.modify(&one, 1, READ).unwrap();
    assert_eq!(watch.until(1), Seen::READABLE);
    watch.selector.modify(&one, 1, BOTH).unwrap();
    assert_eq!(watch.until(1), Seen { readable: true, ..Seen::WRITABLE });
}

fn another_interest_and_another_key(kind: Kind) {
    let mut watch = Watch::new(kind);
    let (one, mut other) = pair();
    other.write_all(b"x").unwrap();
    watch.register(&one, 1, BOTH);
    assert_eq!(watch.until(1), Seen { readable: true, ..Seen::WRITABLE });
    // An edge-triggered selector also reports again what is ready.
    for key in 2..5 {
        watch.selector.modify(&one, key, READ).unwrap();
        assert_eq!(watch.now(), only(key, Seen::READABLE));
    }
    read_all(&one);
    watch.is_quiet();
}

fn what_is_deregistered_is_silent(kind: Kind) {
    let mut watch = Watch::new(kind);
    let (one, mut other) = pair();
    let (two, mut another) = pair();
    watch.register(&one, 1, READ);
    watch.register(&two, 2, READ);
    watch.selector.deregister(&one).unwrap();
    other.write_all(b"x").unwrap();
    watch.is_quiet();
    another.write_all(b"x").unwrap();
    assert_eq!(watch.until(2), Seen::READABLE);
    watch.selector.deregister(&two).unwrap();
    watch.is_quiet();
    watch.register(&one, 3, READ);
    assert_eq!(watch.until(3), Seen::READABLE);
}

// Errors.

fn errors_of_registration_are_alike(kind: Kind) {
    let mut watch = Watch::new(kind);
    let (one, other) = pair();
    let selector = &mut watch.selector;
    assert_eq!(errno(selector.modify(&one, 1, READ)), Some(libc::ENOENT));
    assert_eq!(errno(selector.deregister(&one)), Some(libc::ENOENT));
    selector.register(&one, 1, READ).unwrap();
    for interest in [READ, WRITE, BOTH] {
        assert_eq!(errno(selector.register(&one, 2, interest)), Some(libc::EEXIST));
    }
    for file in [File::open("Cargo.toml").unwrap(), File::open(".").unwrap()] {
        assert_eq!(errno(selector.register(&file, 3, READ)), Some(libc::EPERM));
    }
    let reserved = selector.register(&other, u64::MAX, READ).unwrap_err();
    assert_eq!(reserved.kind(), ErrorKind::InvalidInput);
    let reserved = selector.modify(&one, u64::MAX, READ).unwrap_err();
    assert_eq!(reserved.kind(), ErrorKind::InvalidInput);
    selector.register(&other, u64::MAX - 1, READ).unwrap();
    selector.deregister(&one).unwrap();
    assert_eq!(errno(selector.deregister(&one)), Some(libc::ENOENT));
    (&one).write_all(b"x").unwrap();
    assert_eq!(watch.until(u64::MAX - 1), Seen::READABLE);
}

fn one_that_is_refused_is_not_there(kind: Kind) {
    let mut watch = Watch::new(kind);
    let file = File::open("Cargo.toml").unwrap();
    for _ in 0..2 {
        assert_eq!(errno(watch.selector.register(&file, 1, READ)), Some(libc::EPERM));
        assert_eq!(errno(watch.selector.modify(&file, 1, READ)), Some(expected_of_file(kind)));
        assert_eq!(errno(watch.selector.deregister(&file)), Some(expected_of_file(kind)));
    }
    watch.is_quiet();
}

/// epoll checks what a descriptor is before it checks whether it is registered.
fn expected_of_file(kind: Kind) -> i32 {
    match kind {
        Kind::Epoll | Kind::EpollLevel => libc::EPERM,
        _ => libc::ENOENT,
    }
}

// Room.

fn no_more_events_than_there_is_room_for(kind: Kind) {
    let mut watch = Watch::new(kind);
    watch.events = Events::with_capacity(3);
    let pairs: Vec<_> = (0..10).map(|_| pair()).collect();
    for ((one, other), key) in pairs.iter().zip(0..) {
        (&mut &*other).write_all(b"x").unwrap();
        watch.register(one, key, READ);
    }
    let mut seen = BTreeMap::new();
    for _ in 0..4 {
        let more = watch.now();
        assert!(watch.events.len() <= 3, "{:?}", watch.events);
        seen.extend(more);
    }
    assert_eq!(seen.len(), 10, "{seen:?}");
}

fn with_room_for_one_each_gets_its_turn(kind: Kind) {
    let mut watch = Watch::new(kind);
    watch.events = Events::with_capacity(0);
    assert_eq!(watch.events.capacity(), 1);
    let pairs: Vec<_> = (0..5).map(|_| pair()).collect();
    for ((one, other), key) in pairs.iter().zip(0..) {
        (&mut &*other).write_all(b"x").unwrap();
        watch.register(one, key, READ);
    }
    let mut counts = [0; 5];
    for _ in 0..50 {
        for (key, seen) in watch.now() {
            assert_eq!(seen, Seen::READABLE);
            counts[key as usize] += 1;
        }
    }
    let expected = if kind.is_edge() { [1; 5] } else { [10; 5] };
    assert_eq!(counts, expected);
}

// These tests are not for each kind.

#[test]
fn the_best_is_the_first_that_there_is() {
    let kinds = Kind::available();
    assert_eq!(Selector::new().unwrap().kind(), kinds[0]);
    assert!(kinds.ends_with(&[Kind::Poll, Kind::Select]), "{kinds:?}");
    assert!(kinds.iter().all(|kind| kind.is_available()));
    if cfg!(any(target_os = "linux", target_os = "android")) {
        assert!(kinds.starts_with(&[Kind::Epoll, Kind::EpollLevel]), "{kinds:?}");
    } else {
        assert_eq!(kinds[0], Kind::Kqueue);
    }
}

#[test]
fn each_descriptor_of_a_selector_is_given_back() {
    in_child(|| {
        for kind in Kind::available() {
            let before = common::process::open_descriptors();
            for round in 0..10 {
                let watch = Watch::new(*kind);
                let notifier = watch.selector.notifier();
                assert!(common::process::open_descriptors() > before, "{kind}");
                drop(watch);
                drop(notifier);
                // libkqueue closes the last instance when the next one is made, and has some descriptors of its own.
                let most = if is_emulated(*kind) { before + 10 } else { before };
                assert!(common::process::open_descriptors() <= most, "{kind}, round {round}");
            }
        }
    });
}
