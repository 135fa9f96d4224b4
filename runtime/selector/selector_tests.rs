//! Tests of the features that only the reactor uses: no interest at all, and deregistration from other threads.

use super::*;
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::sync::mpsc::channel;
use std::thread;
use std::time::Instant;

const READ: Option<Interest> = Some(Interest::READABLE);
const BOTH: Option<Interest> = Some(Interest::READABLE.add(Interest::WRITABLE));
const A_WHILE: Duration = Duration::from_millis(10);

/// Returns every kind on this system. Miri has only edge-triggered epoll.
fn kinds() -> impl Iterator<Item = Kind> {
    Kind::available().iter().copied().filter(|kind| !cfg!(miri) || *kind == Kind::Epoll)
}

fn selector(kind: Kind) -> Selector {
    Selector::with_room(kind, 8).unwrap()
}

fn keys(selector: &mut Selector, timeout: Duration) -> Vec<u64> {
    let mut keys = Vec::new();
    selector.wait_for_each(Some(timeout), |event| keys.push(event.key())).unwrap();
    keys.dedup();
    keys
}

fn assert_quiet(selector: &mut Selector, kind: Kind) {
    let start = Instant::now();
    assert_eq!(keys(selector, A_WHILE), [], "{kind}");
    assert!(start.elapsed() >= A_WHILE, "{kind}");
}

fn errno(result: io::Result<()>) -> Option<i32> {
    result.err().and_then(|error| error.raw_os_error())
}

/// Returns one end of a socket pair, and its descriptor number.
fn pair() -> (UnixStream, RawFd, UnixStream) {
    let (one, other) = UnixStream::pair().unwrap();
    let fd = one.as_raw_fd();
    (one, fd, other)
}

#[test]
fn without_interest_not_even_a_hang_up_is_reported() {
    for kind in kinds().filter(|kind| !kind.is_edge()) {
        let mut selector = selector(kind);
        let (one, fd, mut other) = pair();
        selector.register_for(one.as_fd(), 1, None).unwrap();
        other.write_all(b"x").unwrap();
        assert_quiet(&mut selector, kind);
        selector.modify_for(fd, 2, READ).unwrap();
        assert_eq!(keys(&mut selector, Duration::ZERO), [2], "{kind}");
        selector.modify_for(fd, 3, None).unwrap();
        selector.modify_for(fd, 3, None).unwrap();
        drop(other);
        assert_quiet(&mut selector, kind);
        selector.modify_for(fd, 4, BOTH).unwrap();
        assert_eq!(keys(&mut selector, Duration::ZERO), [4], "{kind}");
        selector.modify_for(fd, 5, None).unwrap();
        selector.deregister_fd(fd).unwrap();
        assert_eq!(errno(selector.modify_for(fd, 6, READ)), Some(libc::ENOENT), "{kind}");
    }
}

#[test]
fn a_descriptor_without_interest_is_registered_all_the_same() {
    for kind in kinds().filter(|kind| !kind.is_edge()) {
        let mut selector = selector(kind);
        let (one, fd, _other) = pair();
        selector.register_for(one.as_fd(), 1, None).unwrap();
        assert_eq!(errno(selector.register_for(one.as_fd(), 2, READ)), Some(libc::EEXIST), "{kind}");
        assert_eq!(errno(selector.register_for(one.as_fd(), 2, None)), Some(libc::EEXIST), "{kind}");
        selector.deregister_fd(fd).unwrap();
        assert_eq!(errno(selector.deregister_fd(fd)), Some(libc::ENOENT), "{kind}");
        let file = std::fs::File::open("Cargo.toml").unwrap();
        assert_eq!(errno(selector.register_for(file.as_fd(), 3, None)), Some(libc::EPERM), "{kind}");
        selector.register_for(one.as_fd(), 4, READ).unwrap();
    }
}

#[test]
#[cfg_attr(miri, ignore = "sends through a socketpair, which Miri cannot")]
fn a_descriptor_that_another_thread_deregisters_can_be_registered_again() {
    for kind in kinds() {
        for interest in [BOTH, None] {
            if interest.is_none() && kind.is_edge() {
                continue;
            }
            let mut selector = selector(kind);
            let (one, fd, mut other) = pair();
            selector.register_for(one.as_fd(), 1, interest).unwrap();
            let remote = selector.deregistrar().clone();
            let result = thread::spawn(move || remote.deregister(fd)).join().unwrap();
            // A parked descriptor is not in the kernel's set.
            let is_parked = kind == Kind::EpollLevel && interest.is_none();
            assert_eq!(errno(result), is_parked.then_some(libc::ENOENT), "{kind}");
            // Register it again, as if its number had been reused at once.
            selector.register_for(one.as_fd(), 2, READ).unwrap();
            other.write_all(b"x").unwrap();
            let mut keys_seen = keys(&mut selector, Duration::from_secs(5));
            if keys_seen.is_empty() {
                // The notification of the deregistration ended this wait.
                keys_seen = keys(&mut selector, Duration::from_secs(5));
            }
            assert_eq!(keys_seen, [2], "{kind}");
            selector.deregister_fd(fd).unwrap();
        }
    }
}

#[test]
#[cfg_attr(miri, ignore = "sends through a socketpair, which Miri cannot")]
fn a_wait_in_progress_does_not_hold_open_what_another_thread_closes() {
    for kind in kinds() {
        let mut selector = selector(kind);
        let (one, fd, mut other) = pair();
        selector.register_for(one.as_fd(), 1, READ).unwrap();
        let (remote, notifier) = (selector.deregistrar().clone(), selector.notifier());
        let (sender, receiver) = channel();
        let waiting = thread::spawn(move || {
            // The loop ends when the peer sees the end of the stream. Otherwise it would run forever.
            while receiver.try_recv().is_err() {
                selector.wait_for_each(None, |_| ()).unwrap();
            }
        });
        thread::sleep(A_WHILE);
        remote.deregister(fd).unwrap();
        drop(one);
        other.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
        assert_eq!(other.read(&mut [0; 16]).unwrap(), 0, "{kind}");
        sender.send(()).unwrap();
        notifier.notify();
        waiting.join().unwrap();
    }
}

#[test]
fn sets_of_all_sizes_lose_no_descriptor() {
    for kind in kinds() {
        let mut selector = selector(kind);
        let pairs: Vec<_> = (0..50).map(|_| pair()).collect();
        let mut registered = std::collections::BTreeMap::new();
        // Registers and deregisters in a random order.
        let mut number = 1u64;
        for _ in 0..if cfg!(miri) { 60 } else { 2000 } {
            number = number.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            let (one, fd, _) = &pairs[(number >> 33) as usize % pairs.len()];
            if registered.remove(fd).is_some() {
                selector.deregister_fd(*fd).unwrap();
            } else {
                selector.register_for(one.as_fd(), number >> 1, Some(Interest::WRITABLE)).unwrap();
                registered.insert(*fd, number >> 1);
            }
        }
        let mut seen = std::collections::BTreeSet::new();
        for _ in 0..16 {
            selector
                .wait_for_each(Some(Duration::ZERO), |event| {
                    seen.insert(event.key());
                })
                .unwrap();
        }
        assert_eq!(seen, registered.values().copied().collect(), "{kind}");
    }
}
