//! The loop on each mechanism of this system: how the mechanism is chosen, and that the loop sleeps when nothing
//! happens. All other tests run on each mechanism too, see `.ci/run`.
#![expect(unsafe_code, reason = "close and dup2, behind the back of a descriptor's owner")]

mod net_support;

use futures_lite::future::{poll_once, zip};
use net_support::{half_std_pair, in_child, in_child_with, pair, until, watchdog};
use runtime::io::{AsyncReadExt, AsyncWriteExt, Interest};
use runtime::net::{AsyncFd, TcpListener, TcpStream};
use runtime::selector::Kind;
use runtime::task::yield_now;
use runtime::{Builder, Handle, Runtime, spawn, time};
use std::io::{ErrorKind, Read, Write};
use std::os::fd::{AsFd, AsRawFd};
use std::time::Duration;

/// Calls `test` with a runtime on each mechanism.
fn on_each(test: impl Fn(Runtime)) {
    let _watchdog = watchdog();
    for kind in Kind::available() {
        let runtime = Builder::new_current_thread().selector(*kind).name(kind.name()).build().unwrap();
        test(runtime);
    }
}

#[test]
fn the_builder_chooses_and_runtime_and_handle_tell() {
    let _watchdog = watchdog();
    for kind in Kind::available() {
        let runtime = Builder::new_current_thread().selector(*kind).build().unwrap();
        assert_eq!(runtime.selector(), *kind);
        assert_eq!(runtime.handle().selector(), *kind);
        assert_eq!(runtime.block_on(async { Handle::current().selector() }), *kind);
        assert!(format!("{runtime:?}").contains(&format!("{kind:?}")), "{runtime:?}");
    }
}

#[test]
#[cfg(not(runtime_libkqueue))]
fn what_is_not_there_is_told_with_what_is() {
    let missing = if cfg!(target_os = "linux") { Kind::Kqueue } else { Kind::Epoll };
    let error = Builder::new_current_thread().selector(missing).build().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported);
    for kind in Kind::available() {
        assert!(error.to_string().contains(kind.name()), "{error}");
    }
}

#[test]
fn the_environment_chooses_for_those_who_do_not() {
    const NAME: &str = "the_environment_chooses_for_those_who_do_not";
    for kind in Kind::available() {
        in_child_with(NAME, kind.name(), ("RUNTIME_SELECTOR", kind.name()), || {
            let named = std::env::var("RUNTIME_SELECTOR").unwrap();
            assert_eq!(Runtime::new().unwrap().selector().name(), named);
            let other = Builder::new_current_thread().selector(Kind::Poll).build().unwrap();
            assert_eq!(other.selector(), Kind::Poll, "the builder has the last word");
        });
    }
}

#[test]
fn a_wrong_name_in_the_environment_is_an_error() {
    const NAME: &str = "a_wrong_name_in_the_environment_is_an_error";
    in_child_with(NAME, "wrong", ("RUNTIME_SELECTOR", "iocp"), || {
        let error = Runtime::new().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
        let message = error.to_string();
        assert!(message.contains("RUNTIME_SELECTOR") && message.contains("epoll-level"), "{message}");
    });
}

/// There are idle connections, and one whose peer is closed while no task reads.
#[test]
fn nothing_happens_and_the_loop_sleeps() {
    const IDLE: usize = 450;
    in_child("nothing_happens_and_the_loop_sleeps", || {
        on_each(|runtime| {
            let (waiting, gone) = runtime.block_on(async {
                let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
                let address = listener.local_addr().unwrap();
                let mut ends = Vec::new();
                for _ in 0..IDLE {
                    ends.push(TcpStream::connect(address).await.unwrap());
                    ends.push(listener.accept().await.unwrap().0);
                }
                let waiting: Vec<_> = ends
                    .into_iter()
                    .map(|mut end| spawn(async move { end.read(&mut [0; 8]).await }))
                    .collect();
                // The stream is registered, and a task has waited for it but does so no longer. Then its peer is
                // closed.
                let (gone, mut peer) = half_std_pair().unwrap();
                assert!(poll_once(gone.readable()).await.is_none());
                peer.write_all(b"unread").unwrap();
                until(|| gone.try_read(&mut [0; 1]).is_ok()).await;
                socket2::SockRef::from(&peer).set_linger(Some(Duration::ZERO)).unwrap();
                drop(peer);
                (waiting, gone)
            });
            let turns = runtime.metrics().turns;
            runtime.block_on(time::sleep(Duration::from_secs(1)));
            let turns = runtime.metrics().turns - turns;
            assert!(turns < 10, "{}: {turns} turns in a second", runtime.selector());
            assert_eq!(runtime.metrics().io_sources, 2 * IDLE + 1);
            drop((waiting, gone));
        });
    });
}

#[test]
fn any_number_of_events_may_be_asked_for() {
    let _watchdog = watchdog();
    for kind in Kind::available() {
        let mut builder = Builder::new_current_thread();
        let runtime = builder.selector(*kind).max_io_events_per_tick(usize::MAX).build().unwrap();
        runtime.block_on(async {
            let (mut ours, mut peer) = half_std_pair().unwrap();
            assert!(poll_once(ours.readable()).await.is_none());
            peer.write_all(b"x").unwrap();
            assert_eq!(ours.read(&mut [0; 8]).await.unwrap(), 1);
        });
    }
}

#[test]
fn a_hang_up_is_still_there_for_who_comes_late() {
    on_each(|runtime| {
        runtime.block_on(async {
            let (mut ours, peer) = half_std_pair().unwrap();
            assert!(poll_once(ours.readable()).await.is_none());
            drop(peer);
            for _ in 0..10 {
                time::sleep(Duration::from_millis(1)).await;
            }
            ours.readable().await.unwrap();
            assert_eq!(ours.read(&mut [0; 8]).await.unwrap(), 0);
        });
    });
}

/// If a descriptor that has a duplicate were deregistered after the close, it would stay in epoll's set, and every
/// byte for the duplicate would turn the loop.
#[test]
fn a_descriptor_is_deregistered_before_it_is_closed() {
    on_each(|runtime| {
        let (duplicate, mut peer) = runtime.block_on(async {
            let (ours, peer) = half_std_pair().unwrap();
            assert!(poll_once(ours.readable()).await.is_none());
            (ours.as_fd().try_clone_to_owned().unwrap(), peer)
        });
        let before = runtime.metrics().turns;
        let writer = std::thread::spawn(move || {
            for _ in 0..50 {
                peer.write_all(b"for the duplicate").unwrap();
                std::thread::sleep(Duration::from_millis(2));
            }
        });
        runtime.block_on(time::sleep(Duration::from_millis(150)));
        let turns = runtime.metrics().turns - before;
        assert!(turns < 10, "{}: {turns} turns", runtime.selector());
        writer.join().unwrap();
        drop(duplicate);
    });
}

/// poll and select notice the close, and the waiting task gets an error; epoll and kqueue do not, and the task goes
/// on waiting. Nothing turns the loop, and all other tasks go on.
#[test]
fn a_descriptor_that_somebody_closes_turns_no_loop() {
    in_child("a_descriptor_that_somebody_closes_turns_no_loop", || {
        on_each(|runtime| {
            let null = std::fs::File::open("/dev/null").unwrap();
            let (ours, _peer) = half_std_pair().unwrap();
            let number = ours.as_raw_fd();
            let turns = runtime.block_on(async {
                let waiting = spawn(async move {
                    let mut ours = ours;
                    let result = ours.read(&mut [0; 8]).await;
                    (ours, result)
                });
                yield_now().await;
                // SAFETY: it is open, and who has it has an error at worst.
                assert_eq!(unsafe { libc::close(number) }, 0);
                let before = runtime.metrics().turns;
                time::sleep(Duration::from_millis(500)).await;
                let turns = runtime.metrics().turns - before;
                let notices = matches!(runtime.selector(), Kind::Poll | Kind::Select);
                assert_eq!(waiting.is_finished(), notices, "{}", runtime.selector());
                // So that what is closed in the end is open.
                // SAFETY: numbers go in and a number comes out; that one is free.
                assert_eq!(unsafe { libc::dup2(null.as_raw_fd(), number) }, number);
                if notices {
                    let (ours, result) = waiting.await.unwrap();
                    assert_eq!(result.unwrap_err().raw_os_error(), Some(libc::EBADF));
                    drop(ours);
                } else {
                    waiting.abort();
                    assert!(waiting.await.unwrap_err().is_cancelled());
                }
                let (mut a, mut b) = pair().await.unwrap();
                a.write_all(b"on").await.unwrap();
                b.read_exact(&mut [0; 2]).await.unwrap();
                turns
            });
            assert!(turns < 5, "{}: {turns} turns in half a second", runtime.selector());
            assert_eq!(runtime.metrics().io_sources, 0);
        });
    });
}

/// With a level-triggered mechanism, the loop does not watch a direction for a task that only tries.
#[test]
fn what_is_tried_now_and_then_gets_ready() {
    on_each(|runtime| {
        runtime.block_on(async {
            let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
            let ours = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
            let (mut peer, _) = listener.accept().unwrap();
            let mut word = [0; 8];
            for _ in 0..3 {
                // This attempt fails, and later ones are not made until an event says that the stream may be ready.
                assert_eq!(ours.try_read(&mut word).unwrap_err().kind(), ErrorKind::WouldBlock);
                peer.write_all(b"hello").unwrap();
                while ours.try_read(&mut word).is_err() {
                    time::sleep(Duration::from_millis(1)).await;
                }
                time::sleep(Duration::from_millis(1)).await;
            }
            while ours.try_write(&[0; 65_536]).is_ok() {}
            let reader = std::thread::spawn(move || {
                let mut sink = vec![0; 1 << 20];
                while peer.read(&mut sink).is_ok_and(|count| count > 0) {}
            });
            while ours.try_write(b"x").is_err() {
                time::sleep(Duration::from_millis(1)).await;
            }
            drop(ours);
            reader.join().unwrap();
        });
    });
}

#[test]
fn a_wait_that_was_cancelled_does_not_hold_up_a_paused_clock() {
    let _watchdog = watchdog();
    for kind in Kind::available() {
        let mut builder = Builder::new_current_thread();
        let grace = Duration::from_millis(100);
        let runtime = builder.selector(*kind).start_paused(true).auto_advance_grace(grace).build().unwrap();
        runtime.block_on(async {
            let (ours, _peer) = half_std_pair().unwrap();
            let wait = time::timeout(Duration::from_millis(5), ours.readable());
            assert!(wait.await.is_err());
            let start = std::time::Instant::now();
            for _ in 0..100 {
                time::sleep(Duration::from_millis(5)).await;
            }
            assert!(start.elapsed() < 50 * grace, "{kind}: {:?}", start.elapsed());
        });
    }
}

#[test]
fn a_socket_may_wait_in_any_number_of_runtimes_one_after_the_other() {
    let _watchdog = watchdog();
    for kind in Kind::available() {
        let (ours, _peer) = half_std_pair().unwrap();
        for _ in 0..20 {
            let runtime = Builder::new_current_thread().selector(*kind).build().unwrap();
            runtime.block_on(ours.writable()).unwrap();
        }
    }
}

#[test]
fn a_change_of_interest_from_within_a_wake_takes_effect() {
    on_each(|runtime| {
        runtime.block_on(async {
            let (ours, mut peer) = half_std_pair().unwrap();
            // This fills the send buffer, so that only reading is possible.
            while ours.try_write(&[0; 65_536]).is_ok() {}
            for round in 0..20u8 {
                let (read, ()) = zip(ours.ready(Interest::READABLE), async {
                    yield_now().await;
                    peer.write_all(&[round]).unwrap();
                })
                .await;
                assert!(read.unwrap().is_readable());
                assert!(poll_once(ours.writable()).await.is_none());
                let mut byte = [0];
                assert_eq!(ours.try_read(&mut byte).unwrap(), 1);
                assert_eq!(byte[0], round);
            }
            let drained = std::thread::spawn(move || {
                let mut sink = vec![0; 1 << 20];
                peer.set_read_timeout(Some(Duration::from_millis(50))).unwrap();
                while peer.read(&mut sink).is_ok_and(|count| count > 0) {}
                peer
            });
            ours.writable().await.unwrap();
            assert!(ours.try_write(b"x").is_ok());
            drop(drained.join().unwrap());
        });
    });
}

/// The set of poll and select belongs to the loop's thread. A thread that drops a socket elsewhere must have it
/// removed from the set before its number is used again.
#[test]
fn a_socket_dropped_elsewhere_makes_room_for_its_number() {
    in_child("a_socket_dropped_elsewhere_makes_room_for_its_number", || {
        on_each(|runtime| {
            runtime.block_on(async {
                let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
                let address = listener.local_addr().unwrap();
                for round in 0..50u8 {
                    let mut client = TcpStream::connect(address).await.unwrap();
                    let (server, _) = listener.accept().await.unwrap();
                    let (ours, mut peer) = half_std_pair().unwrap();
                    let ours = ours.into_std().unwrap();
                    assert!(poll_once(server.readable()).await.is_none());
                    let number = server.as_fd().as_raw_fd();
                    std::thread::spawn(move || drop(server)).join().unwrap();
                    // The lowest number that is free is the one that has just been closed.
                    let mut other = TcpStream::from_std(ours.try_clone().unwrap()).unwrap();
                    assert_eq!(other.as_raw_fd(), number);
                    let mut byte = [0];
                    let (read, ()) = zip(other.read(&mut byte), async {
                        yield_now().await;
                        peer.write_all(&[round]).unwrap();
                    })
                    .await;
                    assert_eq!((read.unwrap(), byte[0]), (1, round));
                    // The peer of the first socket sees the end of the stream although the loop has not turned in
                    // between.
                    assert_eq!(client.read(&mut byte).await.unwrap(), 0);
                }
            });
        });
    });
}

#[test]
fn select_refuses_what_it_cannot_hold_and_says_so() {
    in_child("select_refuses_what_it_cannot_hold_and_says_so", || {
        let runtime = Builder::new_current_thread().selector(Kind::Select).build().unwrap();
        runtime.block_on(async {
            let mut files = Vec::new();
            while files.last().is_none_or(|file: &std::fs::File| file.as_raw_fd() < 1024) {
                files.push(std::fs::File::open("/dev/null").unwrap());
            }
            let (mut ours, mut peer) = half_std_pair().unwrap();
            let error = ours.read(&mut [0; 8]).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidInput);
            let message = error.to_string();
            assert!(message.contains("1024") && message.contains("poll"), "{message}");
            // Operations that need not wait work all the same.
            peer.write_all(b"now").unwrap();
            let mut word = [0; 3];
            ours.read_exact(&mut word).await.unwrap();
            ours.write_all(&word).await.unwrap();
            assert!(AsyncFd::new(peer).is_err());
        });
    });
}
