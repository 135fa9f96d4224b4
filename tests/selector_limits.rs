//! Selectors with descriptors of high numbers, with many descriptors, and below the limit of open files. These tests run
//! in processes of their own.
#![expect(unsafe_code, reason = "limits of descriptors")]

mod common;

use common::process::in_child;
use common::selectors::{
    A_WHILE, READ, Seen, Watch, checked, duplicate, errno, laws, limit_descriptors, pair, read_all,
};
use runtime::selector::Kind;
use std::collections::BTreeMap;
use std::io::{ErrorKind, Write};
use std::os::fd::{AsRawFd, RawFd};
use std::thread;
use std::time::{Duration, Instant};

laws! {
    numbers_around_the_end_of_the_sets
    nineteen_thousand_descriptors
    a_limit_below_what_is_watched
}

/// Allows as many descriptors as the system permits, up to 20,000, and returns the number.
fn allow_many_descriptors() -> usize {
    // SAFETY: zeros are a valid limit.
    let mut limit: libc::rlimit = unsafe { std::mem::zeroed() };
    // SAFETY: the kernel writes one limit, and then reads it.
    unsafe {
        checked(libc::getrlimit(libc::RLIMIT_NOFILE, &mut limit));
        limit.rlim_cur = limit.rlim_max.min(20_000);
        checked(libc::setrlimit(libc::RLIMIT_NOFILE, &limit));
    }
    limit.rlim_cur as usize
}

fn numbers_around_the_end_of_the_sets(kind: Kind) {
    in_child(|| {
        let most = allow_many_descriptors() as RawFd;
        let end = libc::FD_SETSIZE as RawFd;
        let (one, mut other) = pair();
        other.write_all(b"x").unwrap();
        for number in [end - 1, end, end + 1, 1500, most - 1] {
            let mut watch = Watch::new(kind);
            let high = duplicate(&one, number);
            assert_eq!(high.as_raw_fd(), number);
            let result = watch.selector.register(&high, 1, READ);
            if kind != Kind::Select || number < end {
                result.unwrap();
                assert_eq!(watch.until(1), Seen::READABLE);
                watch.selector.deregister(&high).unwrap();
            } else {
                let error = result.unwrap_err();
                assert_eq!(error.kind(), ErrorKind::InvalidInput);
                for word in ["FD_SETSIZE", &end.to_string(), &number.to_string(), "poll", "epoll"] {
                    assert!(error.to_string().contains(word), "{error}");
                }
                assert_eq!(errno(watch.selector.deregister(&high)), Some(libc::ENOENT));
            }
            watch.is_quiet();
        }
    });
}

fn nineteen_thousand_descriptors(kind: Kind) {
    in_child(|| {
        let most = allow_many_descriptors();
        let mut watch = Watch::new(kind);
        let count = (most - 100).min(19_000) / 2;
        let pairs: Vec<_> = (0..count).map(|_| pair()).collect();
        let mut registered = 0;
        for (key, (one, _)) in pairs.iter().enumerate() {
            match watch.selector.register(one, key as u64, READ) {
                Ok(()) => registered = key + 1,
                Err(error) => assert!(kind == Kind::Select && one.as_raw_fd() >= 1024, "{key}: {error}"),
            }
        }
        assert!(registered == count || kind == Kind::Select && registered > 400, "{registered}");
        let others = pairs.iter().map(|(_, other)| other).enumerate();
        if kind != Kind::Select {
            for (key, other) in others.clone() {
                watch.register(other, (count + key) as u64, READ);
            }
            assert!(2 * count > 18_900 || most < 19_000, "{count} pairs");
        }
        assert!(watch.now().is_empty());
        let chosen: Vec<_> = others.take(registered).step_by(registered / 10).collect();
        for (_, mut other) in chosen.iter().copied() {
            other.write_all(b"x").unwrap();
        }
        let mut expected: BTreeMap<_, _> =
            chosen.iter().map(|(key, _)| (*key as u64, Seen::READABLE)).collect();
        while !expected.is_empty() {
            for (key, seen) in watch.now() {
                assert!(expected.remove(&key).is_none_or(|expected| expected == seen), "{key}: {seen:?}");
                read_all(&pairs[key as usize].0);
            }
        }
        watch.is_quiet();
        for (one, _) in &pairs[..registered] {
            watch.selector.deregister(one).unwrap();
        }
        watch.is_quiet();
    });
}

/// Linux's poll(2) then refuses the list.
fn a_limit_below_what_is_watched(kind: Kind) {
    in_child(|| {
        let mut watch = Watch::new(kind);
        let pairs: Vec<_> = (0..60).map(|_| pair()).collect();
        for ((one, _), key) in pairs.iter().zip(0..) {
            watch.register(one, key, READ);
        }
        let notifier = watch.selector.notifier();
        for limit in [40, 2, 1, 0] {
            limit_descriptors(limit);
            // With a limit of 0, poll(2) reports nothing, and every descriptor may be ready.
            let is_blind = kind == Kind::Poll && limit == 0;
            for ((one, other), key) in pairs.iter().zip(0..).step_by(7) {
                (&mut &*other).write_all(b"x").unwrap();
                loop {
                    let mut seen = watch.wait(Duration::from_secs(5));
                    if seen.remove(&key) == Some(Seen::READABLE) {
                        assert!(is_blind || seen.is_empty(), "{limit}: {seen:?}");
                        break;
                    }
                    assert!(is_blind || seen.is_empty(), "{limit}: {seen:?}");
                }
                read_all(one);
            }
            // The selector waits when there is nothing to do, and can be notified.
            let (start, mut waits) = (Instant::now(), 0);
            while start.elapsed() < 5 * A_WHILE {
                let seen = watch.wait(A_WHILE);
                assert!(is_blind || seen.is_empty(), "{limit}: {seen:?}");
                waits += 1;
            }
            assert!(waits <= 12, "{limit}: {waits} waits");
            thread::scope(|scope| {
                scope.spawn(|| notifier.notify());
                watch.wait(Duration::from_secs(5));
                assert!(start.elapsed() < Duration::from_secs(5));
            });
        }
        // A leak checker needs descriptors when the process ends.
        limit_descriptors(1024);
    });
}
