//! Descriptors that are closed while they are registered, or whose number is used again. These tests run in processes of
//! their own: elsewhere another test might take the number.

mod common;

use common::process::in_child;
use common::selectors::{READ, Seen, Watch, duplicate, errno, is_emulated, laws, only, pair, read_all};
use runtime::selector::Kind;
use std::io::Write;
use std::os::fd::AsRawFd;

laws! {
    closed_behind_our_back
    a_number_used_again_within_a_batch
    a_duplicate_kept_alive
}

fn closed_behind_our_back(kind: Kind) {
    in_child(|| {
        let mut watch = Watch::new(kind);
        let (one, _other) = pair();
        let (two, mut another) = pair();
        watch.register(&one, 1, READ);
        watch.register(&two, 2, READ);
        let number = one.as_raw_fd();
        drop(one);
        if matches!(kind, Kind::Poll | Kind::Select) {
            assert_eq!(watch.now(), only(1, Seen::CLOSED), "told of once…");
        }
        // …and never again.
        watch.is_quiet();
        another.write_all(b"x").unwrap();
        assert_eq!(watch.until(2), Seen::READABLE);
        read_all(&two);
        // Its number is free to be registered anew.
        let (three, mut third) = pair();
        assert_eq!(three.as_raw_fd(), number);
        if is_emulated(kind) {
            assert_eq!(errno(watch.selector.register(&three, 3, READ)), Some(libc::EEXIST));
            return;
        }
        watch.register(&three, 3, READ);
        watch.is_quiet();
        third.write_all(b"x").unwrap();
        assert_eq!(watch.until(3), Seen::READABLE);
    });
}

fn a_number_used_again_within_a_batch(kind: Kind) {
    in_child(|| {
        let mut watch = Watch::new(kind);
        let (one, mut other) = pair();
        let (two, mut another) = pair();
        watch.register(&one, 1, READ);
        watch.register(&two, 2, READ);
        other.write_all(b"x").unwrap();
        another.write_all(b"x").unwrap();
        let batch = watch.now();
        assert_eq!(batch.keys().copied().collect::<Vec<_>>(), [1, 2]);
        // The handler of the first event closes the other socket, whose number is used again at once.
        let number = two.as_raw_fd();
        watch.selector.deregister(&two).unwrap();
        drop(two);
        let (three, mut third) = pair();
        assert_eq!(three.as_raw_fd(), number);
        watch.register(&three, 3, READ);
        // The event that was collected still has the old key, and no later event has it.
        read_all(&one);
        watch.is_quiet();
        third.write_all(b"x").unwrap();
        assert_eq!(watch.until(3), Seen::READABLE);
    });
}

fn a_duplicate_kept_alive(kind: Kind) {
    in_child(|| {
        // In the right order: the descriptor is deregistered, and then closed.
        let mut watch = Watch::new(kind);
        let (one, mut other) = pair();
        let kept = duplicate(&one, 0);
        watch.register(&one, 1, READ);
        watch.selector.deregister(&one).unwrap();
        drop(one);
        other.write_all(b"x").unwrap();
        watch.is_quiet();
        drop((kept, other));

        // In the wrong order.
        let (one, mut other) = pair();
        let kept = duplicate(&one, 100);
        watch.register(&one, 1, READ);
        let number = one.as_raw_fd();
        drop(one);
        other.write_all(b"x").unwrap();
        match kind {
            // See epoll(7): the registration belongs to the open file, and continues.
            Kind::Epoll | Kind::EpollLevel => {
                assert_eq!(watch.until(1), Seen::READABLE);
                let (two, mut another) = pair();
                assert_eq!(two.as_raw_fd(), number);
                watch.register(&two, 2, READ);
                read_all(&kept);
                another.write_all(b"x").unwrap();
                assert_eq!(watch.until(2), Seen::READABLE);
            }
            Kind::Poll | Kind::Select => {
                assert_eq!(watch.now(), only(1, Seen::CLOSED));
                watch.is_quiet();
            }
            _ if is_emulated(kind) => assert_eq!(watch.until(1), Seen::READABLE),
            _ => watch.is_quiet(),
        }
    });
}
