//! TCP streams when something goes wrong: refused, broken and reset connections, descriptors that are closed while they
//! are in use, interrupted calls, and peers that flood. Accepting is in `net_accept_faults.rs`.
#![cfg(not(miri))] // Children, signals, resets: nothing that it has.
#![expect(unsafe_code, reason = "signal and dup2, in processes of their own")]

mod net_support;

use futures_lite::future::{or, zip};
use futures_lite::{AsyncReadExt, AsyncWriteExt};
use net_support::{
    full_listener, half_std_pair, in_child, in_child_under, pair, poll_once, run, until, watchdog, yields,
};
use runtime::io::{Interest, Ready};
use runtime::net::TcpStream;
use runtime::task::yield_now;
use runtime::{Runtime, spawn, time};
use std::cell::Cell;
use std::io::{self, ErrorKind, IoSlice, Read, Write};
use std::net::{Shutdown, SocketAddr};
use std::os::fd::{AsFd, AsRawFd};
use std::rc::Rc;
use std::thread;
use std::time::Duration;

/// Makes the next close reset the connection.
fn reset_on_close(socket: &impl AsFd) {
    socket2::SockRef::from(socket).set_linger(Some(Duration::ZERO)).unwrap();
}

#[test]
fn a_spurious_wake_does_not_pass_for_a_connection() {
    run(async {
        let (full, _fill) = full_listener();
        let mut connect = Box::pin(TcpStream::connect(full));
        for _ in 0..1000 {
            assert!(poll_once(&mut connect).await.is_none());
            yield_now().await;
        }
    });
}

#[test]
fn a_refusal_keeps_its_errno_and_is_reported_once() {
    run(async {
        let refusing = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None)?;
        refusing.bind(&"127.0.0.1:0".parse::<SocketAddr>().unwrap().into())?;
        let address = refusing.local_addr()?.as_socket().unwrap();
        for _ in 0..100 {
            let error = TcpStream::connect(address).await.unwrap_err();
            assert_eq!(error.raw_os_error(), Some(libc::ECONNREFUSED));
        }
        // There is no route or no permission, so the error comes before anything is sent.
        let error = TcpStream::connect("255.255.255.255:1").await.unwrap_err();
        assert!(error.raw_os_error().is_some(), "{error:?}");
        io::Result::Ok(())
    })
    .unwrap();
}

#[test]
fn a_descriptor_that_lives_on_elsewhere_reports_nothing_more() {
    in_child("a_descriptor_that_lives_on_elsewhere_reports_nothing_more", || {
        let _watchdog = watchdog();
        let runtime = Runtime::new().unwrap();
        let (mut ours, mut other) = half_std_pair().unwrap();
        let (next, _next_other) = half_std_pair().unwrap();
        let next = next.into_std().unwrap();
        let before = runtime.block_on(async {
            assert!(poll_once(ours.read(&mut [0])).await.is_none());
            let duplicate = ours.as_fd().try_clone_to_owned().unwrap();
            let number = ours.as_raw_fd();
            drop(ours);
            // Another socket takes the first one's number, while the first one still exists.
            let mut next = TcpStream::from_std(next.try_clone().unwrap()).unwrap();
            assert_eq!(next.as_raw_fd(), number);
            assert!(poll_once(next.read(&mut [0])).await.is_none(), "registered, without EEXIST");
            other.write_all(b"for the first").unwrap();
            let before = runtime.metrics();
            let read = async { next.read(&mut [0]).await.map(drop) };
            let rest = async {
                time::sleep(Duration::from_millis(50)).await;
                Err(ErrorKind::TimedOut.into())
            };
            assert_eq!(or(read, rest).await.unwrap_err().kind(), ErrorKind::TimedOut);
            drop(duplicate);
            before
        });
        let turns = runtime.metrics().turns - before.turns;
        assert!(turns < 10, "{turns} turns");
        assert_eq!(runtime.metrics().io_sources, 0);
    });
}

#[test]
fn a_descriptor_closed_behind_our_back_does_no_harm() {
    in_child("a_descriptor_closed_behind_our_back_does_no_harm", || {
        let _watchdog = watchdog();
        let runtime = Runtime::new().unwrap();
        runtime.block_on(async {
            let (mut ours, mut other) = half_std_pair().unwrap();
            assert!(poll_once(ours.read(&mut [0])).await.is_none());
            let null = std::fs::File::open("/dev/null").unwrap();
            // SAFETY: both are open; what the number then stands for, `ours` will close.
            assert!(unsafe { libc::dup2(null.as_raw_fd(), ours.as_raw_fd()) } >= 0);
            assert_eq!(other.read(&mut [0]).unwrap(), 0, "closed indeed");
            yield_now().await;
            drop(ours);
            // Other streams go on.
            let (mut a, mut b) = pair().await.unwrap();
            a.write_all(b"on").await.unwrap();
            assert_eq!(b.read(&mut [0; 8]).await.unwrap(), 2);
        });
        assert_eq!(runtime.metrics().io_sources, 0);
    });
}

#[test]
fn two_clones_in_two_runtimes_are_two_registrations() {
    let _watchdog = watchdog();
    let (ours, mut other) = half_std_pair().unwrap();
    let ours = ours.into_std().unwrap();
    let readers: Vec<_> = (0..2)
        .map(|_| {
            let clone = ours.try_clone().unwrap();
            thread::spawn(move || {
                runtime::block_on(async {
                    let mut stream = TcpStream::from_std(clone).unwrap();
                    let mut all = Vec::new();
                    stream.read_to_end(&mut all).await.unwrap();
                    all.len()
                })
            })
        })
        .collect();
    for _ in 0..1000 {
        other.write_all(b"0123456789").unwrap();
    }
    drop(other);
    assert_eq!(readers.into_iter().map(|reader| reader.join().unwrap()).sum::<usize>(), 10_000);
}

#[test]
fn a_reset_wakes_the_reader_and_the_writer() {
    run(async {
        // A reader waits.
        let (mut ours, other) = half_std_pair()?;
        reset_on_close(&other);
        let mut buffer = [0];
        let (result, ()) = zip(ours.read(&mut buffer), async {
            yield_now().await;
            drop(other)
        })
        .await;
        assert_eq!(result.unwrap_err().kind(), ErrorKind::ConnectionReset);
        // A writer has no room, and the other end does not read.
        let (mut ours, other) = half_std_pair()?;
        reset_on_close(&other);
        let (result, ()) = zip(ours.write_all(&[0; 64 << 20]), async {
            yields(3).await;
            drop(other)
        })
        .await;
        let kind = result.unwrap_err().kind();
        assert!(matches!(kind, ErrorKind::ConnectionReset | ErrorKind::BrokenPipe), "{kind}");
        // Both wait at once.
        let (ours, other) = half_std_pair()?;
        reset_on_close(&other);
        let (mut reader, mut writer) = ours.into_split();
        let tasks = [
            spawn(async move { reader.read(&mut [0]).await.map(drop) }),
            spawn(async move { writer.write_all(&[0; 64 << 20]).await }),
        ];
        yields(3).await;
        drop(other);
        for task in tasks {
            // One of them may find that the other has taken the error.
            if let Err(error) = task.await.unwrap() {
                assert!(
                    matches!(error.kind(), ErrorKind::ConnectionReset | ErrorKind::BrokenPipe),
                    "{error}"
                );
            }
        }
        io::Result::Ok(())
    })
    .unwrap();
}

#[test]
fn an_error_is_reported_to_one_operation_and_only_once() {
    run(async {
        for is_taken in [false, true] {
            let (mut ours, other) = half_std_pair()?;
            reset_on_close(&other);
            drop(other);
            ours.readable().await?;
            if is_taken {
                assert_eq!(ours.take_error()?.unwrap().raw_os_error(), Some(libc::ECONNRESET));
            } else {
                assert_eq!(ours.read(&mut [0]).await.unwrap_err().raw_os_error(), Some(libc::ECONNRESET));
            }
            assert!(ours.take_error()?.is_none());
            assert_eq!(ours.read(&mut [0]).await?, 0);
        }
        io::Result::Ok(())
    })
    .unwrap();
}

#[test]
fn closing_what_is_gone_is_no_error() {
    run(async {
        let (mut ours, other) = half_std_pair()?;
        ours.close().await?;
        ours.close().await?;
        ours.shutdown_std(Shutdown::Write)?;
        reset_on_close(&other);
        drop(other);
        ours.readable().await?;
        ours.close().await?;
        assert_eq!(ours.shutdown_std(Shutdown::Both).unwrap_err().kind(), ErrorKind::NotConnected);
        io::Result::Ok(())
    })
    .unwrap();
}

#[test]
fn a_write_to_a_dead_peer_raises_no_signal() {
    in_child("a_write_to_a_dead_peer_raises_no_signal", || {
        // SAFETY: the default action is no function of ours.
        unsafe { libc::signal(libc::SIGPIPE, libc::SIG_DFL) };
        run(async {
            let (mut ours, other) = half_std_pair().unwrap();
            drop(other);
            ours.readable().await.unwrap();
            // The peer answers the first write with a reset.
            let _ = ours.write(b"x").await;
            let slices = [IoSlice::new(b"a"), IoSlice::new(b"b")];
            until(|| ours.try_write(b"x").is_err_and(|error| error.kind() == ErrorKind::BrokenPipe)).await;
            assert_eq!(ours.write(b"x").await.unwrap_err().kind(), ErrorKind::BrokenPipe);
            assert_eq!(ours.write_vectored(&slices).await.unwrap_err().kind(), ErrorKind::BrokenPipe);
            assert_eq!(ours.try_write_vectored(&slices).unwrap_err().kind(), ErrorKind::BrokenPipe);
            let (_reader, mut writer) = ours.into_split();
            assert_eq!(writer.write_vectored(&slices).await.unwrap_err().kind(), ErrorKind::BrokenPipe);
        });
    });
}

#[test]
fn an_interrupted_call_is_made_again() {
    for call in ["recvfrom", "sendto", "connect", "epoll_wait", "epoll_pwait2"] {
        let inject = format!("inject={call}:error=EINTR:when=1..200+2");
        in_child_under("an_interrupted_call_is_made_again", call, &["-e", &inject], || {
            run(async {
                for _ in 0..10 {
                    // With an injected error the call was not made: a connect that is interrupted in this way has not
                    // begun, and may wait for ever.
                    let connecting = time::timeout(Duration::from_millis(50), pair()).await;
                    let Ok(pair) = connecting else { continue };
                    let (mut a, mut b) = pair.unwrap();
                    a.write_all(b"hello").await.unwrap();
                    b.read_exact(&mut [0; 5]).await.unwrap();
                }
            });
        });
    }
}

#[test]
fn a_flood_in_one_connection_does_not_keep_the_others_waiting() {
    run(async {
        // One peer writes, and the other one reads, as fast as they can.
        let (mut reading, mut writer) = half_std_pair()?;
        let (mut writing, mut reader) = half_std_pair()?;
        let peers = [
            thread::spawn(move || while writer.write_all(&[7; 65536]).is_ok() {}),
            thread::spawn(move || while reader.read(&mut [0; 65536]).is_ok_and(|count| count > 0) {}),
        ];
        let transfers = Rc::new(Cell::new(0));
        let count = |transfers: &Cell<usize>| transfers.set(transfers.get() + 1);
        let floods = [
            spawn({
                let transfers = transfers.clone();
                async move {
                    // The task reads single bytes, so that the next one is always there.
                    while reading.read(&mut [0]).await.is_ok() {
                        count(&transfers);
                    }
                }
            }),
            spawn({
                let transfers = transfers.clone();
                async move {
                    while writing.write(&[0]).await.is_ok() {
                        count(&transfers);
                    }
                }
            }),
        ];
        let pings: Vec<_> = (0..20)
            .map(|_| {
                spawn(async {
                    let (mut a, mut b) = pair().await?;
                    for _ in 0..500 {
                        a.write_all(b"ping").await?;
                        b.read_exact(&mut [0; 4]).await?;
                        b.write_all(b"pong").await?;
                        a.read_exact(&mut [0; 4]).await?;
                    }
                    io::Result::Ok(())
                })
            })
            .collect();
        // Between two turns of any other task, each flood gets no more than its budget.
        let mut most = 0;
        while !pings.iter().all(|ping| ping.is_finished()) {
            let before = transfers.get();
            yield_now().await;
            most = most.max(transfers.get() - before);
        }
        assert!(transfers.get() > 1000 && most <= 2 * 128, "{most} of {}", transfers.get());
        for ping in pings {
            ping.await.unwrap()?;
        }
        for flood in floods {
            flood.abort();
            let _ = flood.await;
        }
        peers.into_iter().for_each(|peer| peer.join().unwrap());
        io::Result::Ok(())
    })
    .unwrap();
}

#[test]
fn urgent_data_does_not_stall_the_stream() {
    run(async {
        for is_registered in [false, true] {
            let (mut ours, mut other) = half_std_pair()?;
            let mut buffer = [0; 64];
            if is_registered {
                assert!(poll_once(ours.read(&mut buffer)).await.is_none());
            }
            for round in 0..5 {
                // A read stops before the urgent byte, which is not in the stream.
                other.write_all(b"ab")?;
                socket2::SockRef::from(&other).send_out_of_band(b"!")?;
                other.write_all(b"cd")?;
                let mut received = Vec::new();
                while received.len() < 4 {
                    let count = ours.read(&mut buffer).await?;
                    received.extend_from_slice(&buffer[..count]);
                }
                assert_eq!(received, b"abcd", "round {round}, registered: {is_registered}");
                // With the urgent byte alone, there is nothing to read.
                socket2::SockRef::from(&other).send_out_of_band(b"!")?;
                yields(3).await;
                assert!(poll_once(ours.read(&mut buffer)).await.is_none());
            }
            // Nor is it taken for the end, which is still to come.
            other.write_all(b"e")?;
            assert_eq!(ours.ready(Interest::READABLE).await?, Ready::READABLE);
            assert_eq!(ours.read(&mut buffer).await?, 1);
            assert!(poll_once(ours.read(&mut buffer)).await.is_none());
            drop(other);
            let ready = ours.ready(Interest::READABLE).await?;
            assert!(ready.is_read_closed(), "{ready:?}");
            assert_eq!(ours.read(&mut buffer).await?, 0);
        }
        io::Result::Ok(())
    })
    .unwrap();
}
