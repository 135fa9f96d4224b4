//! The loop on kernels that do not have a system call, refuse one, or report events that lead nowhere: old and
//! emulated kernels, sandboxes, lowered limits, and memory that runs out.
#![cfg(not(miri))] // Children, limits, datagrams: nothing that it has.
#![expect(unsafe_code, reason = "setrlimit and setsockopt")]

mod net_support;

use futures_lite::future::zip;
use futures_lite::{AsyncReadExt, AsyncWriteExt};
#[cfg(any(target_os = "linux", target_os = "android"))]
use net_support::attempts::holds_once_in;
use net_support::{
    half_std_pair, hundred_connections, in_child, in_child_under, open_descriptors, pair, poll_once, until,
    watchdog,
};
use runtime::net::UdpSocket;
use runtime::selector::{Kind, Selector};
use runtime::task::yield_now;
use runtime::{Builder, Runtime, spawn, time};
use std::io::{Read, Write};
use std::net::Shutdown;
use std::os::fd::AsFd;
use std::rc::Rc;
use std::thread;
use std::time::{Duration, Instant};

fn limit_descriptors(limit: u64) {
    let limit = libc::rlimit { rlim_cur: limit as libc::rlim_t, rlim_max: 20_000 };
    // SAFETY: the kernel reads one rlimit.
    assert_eq!(unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &limit) }, 0);
}

async fn yields(count: usize) {
    for _ in 0..count {
        yield_now().await;
    }
}

// Limits, and lack of memory.

/// Linux's poll(2) then refuses the list of descriptors.
#[test]
fn a_limit_below_what_is_open_breaks_nothing() {
    in_child("a_limit_below_what_is_open_breaks_nothing", || {
        let _watchdog = watchdog();
        let runtime = Runtime::new().unwrap();
        let (ours, mut others): (Vec<_>, Vec<_>) = (0..60).map(|_| half_std_pair().unwrap()).unzip();
        runtime.block_on(async {
            for mut stream in ours {
                spawn(async move {
                    let mut byte = [0];
                    while stream.read(&mut byte).await.unwrap() == 1 {
                        stream.write_all(&byte).await.unwrap();
                    }
                });
            }
            yield_now().await;
        });
        for limit in [40, 1, 0] {
            limit_descriptors(limit);
            thread::scope(|scope| {
                let pinging = scope.spawn(|| {
                    for other in others.iter_mut().step_by(7) {
                        other.write_all(b"x").unwrap();
                        other.read_exact(&mut [0]).unwrap();
                    }
                });
                runtime.block_on(until(|| pinging.is_finished()));
            });
            let before = runtime.metrics().turns;
            runtime.block_on(time::sleep(Duration::from_millis(200)));
            let turns = runtime.metrics().turns - before;
            assert!(turns < 60, "a limit of {limit}: {turns} turns");
        }
        assert_eq!(runtime.metrics().io_sources, 60);
        // A leak checker needs descriptors when the process ends.
        limit_descriptors(1024);
    });
}

#[test]
fn a_wait_that_fails_for_want_of_memory_is_no_end() {
    for (kind, call, errno) in [
        (Kind::Poll, "ppoll", "ENOMEM"),
        (Kind::Poll, "ppoll", "EINVAL"),
        (Kind::Select, "pselect6", "ENOMEM"),
    ] {
        for when in ["1+", "1..200+2"] {
            let (case, inject) =
                (format!("{kind}-{errno}-{when}"), format!("inject={call}:error={errno}:when={when}"));
            let name = "a_wait_that_fails_for_want_of_memory_is_no_end";
            in_child_under(name, &case, &["-e", &inject], || {
                let _watchdog = watchdog();
                let runtime = Builder::new_current_thread().selector(kind).build().unwrap();
                runtime.block_on(async {
                    let (mut a, mut b) = pair().await.unwrap();
                    for _ in 0..10 {
                        let (wrote, read) = zip(
                            async {
                                time::sleep(Duration::from_millis(1)).await;
                                a.write_all(b"hello").await
                            },
                            async { b.read_exact(&mut [0; 5]).await },
                        )
                        .await;
                        wrote.and(read).unwrap();
                    }
                    let before = runtime.metrics().turns;
                    let quiet = time::timeout(Duration::from_millis(200), b.read(&mut [0])).await;
                    assert!(quiet.is_err());
                    assert!(runtime.metrics().turns - before < 60);
                });
            });
        }
    }
}

// Missing calls.

/// The notifier is then a pipe.
#[test]
fn a_kernel_without_eventfd_will_do() {
    for errno in ["ENOSYS", "EPERM"] {
        let inject = format!("inject=eventfd2:error={errno}");
        in_child_under("a_kernel_without_eventfd_will_do", errno, &["-e", &inject], || {
            let _watchdog = watchdog();
            for kind in Kind::available() {
                let runtime = Builder::new_current_thread().selector(*kind).build().unwrap();
                let handle = runtime.handle().clone();
                let (mut a, mut b) = runtime.block_on(pair()).unwrap();
                // The loop sleeps until another thread wakes it, and then sleeps again.
                let thread = thread::spawn(move || {
                    (0..100).map(|n| handle.block_on(handle.spawn(async move { n })).unwrap()).sum::<i32>()
                });
                let sum = runtime.block_on(async {
                    a.write_all(b"hello").await.unwrap();
                    b.read_exact(&mut [0; 5]).await.unwrap();
                    runtime::task::spawn_blocking(|| thread.join().unwrap()).await.unwrap()
                });
                assert_eq!(sum, 4950, "{kind}");
                let before = runtime.metrics().turns;
                runtime.block_on(time::sleep(Duration::from_millis(100)));
                assert!(runtime.metrics().turns - before < 10, "{kind} rests");
            }
        });
    }
}

/// If the process is out of descriptors, the constructor returns an error, and leaves none of them open.
#[test]
fn a_runtime_that_cannot_be_made_is_an_error() {
    for call in ["eventfd2", "epoll_create1"] {
        let inject = format!("inject={call}:error=EMFILE");
        in_child_under("a_runtime_that_cannot_be_made_is_an_error", call, &["-e", &inject], || {
            let before = open_descriptors();
            assert_eq!(Selector::new().unwrap_err().raw_os_error(), Some(libc::EMFILE));
            for kind in [Kind::Epoll, Kind::EpollLevel] {
                let error = Builder::new_current_thread().selector(kind).build().unwrap_err();
                assert_eq!(error.raw_os_error(), Some(libc::EMFILE), "{kind}");
            }
            assert_eq!(open_descriptors(), before);
        });
    }
}

/// The next best mechanism is used, and its kind says which one it is.
#[test]
fn a_kernel_without_epoll_will_do() {
    for errno in ["ENOSYS", "EPERM"] {
        let inject = format!("inject=epoll_create1:error={errno}");
        in_child_under("a_kernel_without_epoll_will_do", errno, &["-e", &inject], || {
            assert_eq!(Selector::new().unwrap().kind(), Kind::Poll);
            let asked = Builder::new_current_thread().selector(Kind::Epoll).build().unwrap_err();
            assert!(asked.raw_os_error().is_some(), "who asks for it by name has the error");
            if std::env::var_os("RUNTIME_SELECTOR").is_none() {
                assert_eq!(Runtime::new().unwrap().selector(), Kind::Poll);
                assert_eq!(hundred_connections(), 0);
            }
        });
    }
}

/// Old kernels do not know the call, and some sandboxes forbid calls that they do not know.
#[test]
fn a_kernel_without_nanosecond_waits_will_do() {
    for errno in ["ENOSYS", "EPERM"] {
        let inject = format!("inject=epoll_pwait2:error={errno}");
        in_child_under("a_kernel_without_nanosecond_waits_will_do", errno, &["-e", &inject], || {
            let _watchdog = watchdog();
            let runtime = Runtime::new().unwrap();
            for wait in [Duration::from_micros(100), Duration::from_micros(1500)] {
                let (started, turns) = (Instant::now(), runtime.metrics().turns);
                runtime.block_on(time::sleep(wait));
                assert!(started.elapsed() >= wait);
                let turns = runtime.metrics().turns - turns;
                assert!(turns <= 4, "{turns} turns: rounded up to milliseconds, and not to zero");
            }
            runtime.block_on(async {
                let (mut a, mut b) = pair().await.unwrap();
                a.write_all(b"hello").await.unwrap();
                b.read_exact(&mut [0; 5]).await.unwrap();
            });
        });
    }
}

/// There is a limit on how many descriptors a user may watch, or no memory: the operation that has to wait returns
/// the error, and may be repeated.
#[test]
fn a_registration_that_fails_is_told_and_may_be_repeated() {
    for errno in ["ENOSPC", "ENOMEM"] {
        // The first call is for the loop's own descriptor.
        let inject = format!("inject=epoll_ctl:error={errno}:when=2..3");
        let name = "a_registration_that_fails_is_told_and_may_be_repeated";
        in_child_under(name, errno, &["-e", &inject], || {
            let _watchdog = watchdog();
            let runtime = Builder::new_current_thread().selector(Kind::Epoll).build().unwrap();
            runtime.block_on(async {
                let (mut ours, mut other) = half_std_pair().unwrap();
                for _ in 0..2 {
                    let error = ours.read(&mut [0; 8]).await.unwrap_err();
                    assert!(matches!(error.raw_os_error(), Some(libc::ENOSPC | libc::ENOMEM)), "{error}");
                }
                assert!(poll_once(ours.read(&mut [0; 8])).await.is_none());
                other.write_all(b"hello").unwrap();
                assert_eq!(ours.read(&mut [0; 8]).await.unwrap(), 5);
                assert_eq!(runtime.metrics().io_sources, 1);
            });
        });
    }
}

// Reports that lead nowhere.

/// Waits for a datagram socket that has nothing to read, and that poll(2) nevertheless reports for as long as this
/// state lasts. With a level-triggered mechanism, each report would wake the task, which would find nothing.
async fn rests_with(runtime: &Runtime, socket: UdpSocket) -> UdpSocket {
    let socket = Rc::new(socket);
    let waiting = spawn({
        let socket = socket.clone();
        async move { socket.recv(&mut [0; 8]).await }
    });
    // Errors that can be collected end the wait at once.
    yields(100).await;
    let waiting = if waiting.is_finished() {
        waiting.await.unwrap().unwrap_err();
        spawn({
            let socket = socket.clone();
            async move { socket.recv(&mut [0; 8]).await }
        })
    } else {
        waiting
    };
    time::sleep(Duration::from_millis(50)).await;
    let before = runtime.metrics().turns;
    time::sleep(Duration::from_millis(300)).await;
    let turns = runtime.metrics().turns - before;
    // With a level-triggered mechanism there are some ten turns in 10 ms. Without the throttle there would be some
    // hundred thousand.
    assert!(turns < 500, "{turns} turns in 300 ms");
    assert!(!waiting.is_finished());
    waiting.abort();
    waiting.await.unwrap_err();
    Rc::into_inner(socket).unwrap()
}

#[test]
fn a_datagram_socket_shut_by_way_of_a_duplicate_does_not_turn_the_loop() {
    let _watchdog = watchdog();
    let runtime = Runtime::new().unwrap();
    runtime.block_on(async {
        let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        socket.connect(socket.local_addr().unwrap()).await.unwrap();
        let duplicate = socket2::Socket::from(socket.as_fd().try_clone_to_owned().unwrap());
        duplicate.shutdown(Shutdown::Read).unwrap();
        rests_with(&runtime, socket).await;
    });
}

#[test]
#[cfg(any(target_os = "linux", target_os = "android"))]
fn an_error_that_nobody_takes_does_not_turn_the_loop() {
    let _watchdog = watchdog();
    let runtime = Runtime::new().unwrap();
    runtime.block_on(async {
        let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let on: libc::c_int = 1;
        // SAFETY: the option is one number, which is only read.
        let set = unsafe {
            libc::setsockopt(
                std::os::fd::AsRawFd::as_raw_fd(&socket),
                libc::IPPROTO_IP,
                libc::IP_RECVERR,
                (&raw const on).cast(),
                size_of_val(&on) as libc::socklen_t,
            )
        };
        assert_eq!(set, 0);
        let nobody = UdpSocket::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
        socket.send_to(b"to nobody", nobody).await.unwrap();
        let socket = rests_with(&runtime, socket).await;
        // A datagram that comes meanwhile is received with hardly any delay.
        let other = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let measure = async || {
            let started = Instant::now();
            for _ in 0..10 {
                let address = socket.local_addr().unwrap();
                let (received, sent) = zip(socket.recv_from(&mut [0; 8]), async {
                    yields(100).await;
                    other.send_to(b"to him", address).await
                })
                .await;
                assert_eq!(received.unwrap().0, sent.unwrap());
            }
            started.elapsed()
        };
        holds_once_in(measure, |took| *took < Duration::from_millis(500)).await;
    });
}

// Reports of an error that stays, while other operations succeed.

#[cfg(any(target_os = "linux", target_os = "android"))]
const ROUND_TRIPS: usize = 40;

/// The time that so many round trips would take if the socket were muted for 10 ms after every eighth of them.
#[cfg(any(target_os = "linux", target_os = "android"))]
const MUTED: Duration = Duration::from_millis(10 * ROUND_TRIPS as u64 / 8);

/// Makes many round trips in batches, and checks that most batches are not slow.
#[cfg(any(target_os = "linux", target_os = "android"))]
async fn are_not_slow(batches: usize, limit: Duration, mut round_trip: impl AsyncFnMut()) {
    let median = async || {
        let mut took = Vec::new();
        for _ in 0..batches {
            let started = Instant::now();
            for _ in 0..ROUND_TRIPS {
                round_trip().await;
            }
            took.push(started.elapsed());
        }
        took.sort();
        took[batches / 2]
    };
    holds_once_in(median, |took| *took < limit).await;
}

#[cfg(any(target_os = "linux", target_os = "android"))]
fn switch_on(socket: &impl std::os::fd::AsRawFd, level: libc::c_int, option: libc::c_int) {
    let on: libc::c_int = 1;
    // SAFETY: the option is one number, which is only read.
    let set = unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            level,
            option,
            (&raw const on).cast(),
            size_of_val(&on) as libc::socklen_t,
        )
    };
    assert_eq!(set, 0);
}

/// Takes one error out of a socket's error queue, see ip(7).
#[cfg(any(target_os = "linux", target_os = "android"))]
fn take_from_error_queue(socket: &impl std::os::fd::AsRawFd) -> std::io::Result<()> {
    let mut data = [0u8; 64];
    let mut control = [0u64; 64];
    let mut piece = libc::iovec { iov_base: data.as_mut_ptr().cast(), iov_len: data.len() };
    // SAFETY: a structure of numbers and pointers, for which all zeros are a value; then it points to memory
    // of the lengths that it says, and the kernel writes no further.
    let count = unsafe {
        let mut message: libc::msghdr = std::mem::zeroed();
        message.msg_iov = &raw mut piece;
        message.msg_iovlen = 1;
        message.msg_control = control.as_mut_ptr().cast();
        message.msg_controllen = size_of_val(&control) as _;
        libc::recvmsg(socket.as_raw_fd(), &raw mut message, libc::MSG_ERRQUEUE | libc::MSG_DONTWAIT)
    };
    if count < 0 { Err(std::io::Error::last_os_error()) } else { Ok(()) }
}

/// Returns a socket with an error in its queue that no operation takes.
#[cfg(any(target_os = "linux", target_os = "android"))]
async fn with_an_error_in_its_queue() -> UdpSocket {
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    switch_on(&socket, libc::IPPROTO_IP, libc::IP_RECVERR);
    let nobody = UdpSocket::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    socket.send_to(b"to nobody", nobody).await.unwrap();
    // The error itself is returned once. The entry in the queue stays.
    let refused = socket.recv(&mut [0; 8]).await.unwrap_err();
    assert_eq!(refused.kind(), std::io::ErrorKind::ConnectionRefused);
    socket
}

#[test]
#[cfg(any(target_os = "linux", target_os = "android"))]
fn an_error_that_nobody_takes_does_not_slow_round_trips_down() {
    net_support::run(async {
        let socket = with_an_error_in_its_queue().await;
        let other = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let (address, peer) = (socket.local_addr().unwrap(), other.local_addr().unwrap());
        spawn(async move {
            let mut buffer = [0; 8];
            while let Ok(count) = other.recv(&mut buffer).await {
                other.send_to(&buffer[..count], address).await.unwrap();
            }
        });
        are_not_slow(50, MUTED / 2, async || {
            socket.send_to(b"ping", peer).await.unwrap();
            assert_eq!(socket.recv(&mut [0; 8]).await.unwrap(), 4);
        })
        .await;
    });
}

/// While the answer is on its way, the loop has time for many reports that lead nowhere.
#[test]
#[cfg(any(target_os = "linux", target_os = "android"))]
fn an_error_that_nobody_takes_does_not_slow_round_trips_to_another_thread_down() {
    let other = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    let peer = other.local_addr().unwrap();
    let thread = thread::spawn(move || {
        let mut buffer = [0; 8];
        while let Ok((4, from)) = other.recv_from(&mut buffer) {
            thread::sleep(Duration::from_micros(100));
            other.send_to(&buffer[..4], from).unwrap();
        }
    });
    net_support::run(async {
        let socket = with_an_error_in_its_queue().await;
        are_not_slow(10, 4 * MUTED, async || {
            socket.send_to(b"ping", peer).await.unwrap();
            assert_eq!(socket.recv(&mut [0; 8]).await.unwrap(), 4);
        })
        .await;
        socket.send_to(b"end", peer).await.unwrap();
    });
    thread.join().unwrap();
}

/// With `MSG_ZEROCOPY`, the error queue says when the memory is free again. A program that does not need that does
/// not read the queue.
#[test]
#[cfg(target_os = "linux")]
fn a_completion_that_nobody_takes_does_not_slow_a_connection_down() {
    net_support::run(async {
        let (mut client, mut server) = pair().await.unwrap();
        switch_on(&client, libc::SOL_SOCKET, libc::SO_ZEROCOPY);
        static DATA: [u8; 4] = *b"zero";
        // SAFETY: what is sent lives as long as the program.
        let sent = unsafe {
            let fd = std::os::fd::AsRawFd::as_raw_fd(&client);
            libc::send(fd, DATA.as_ptr().cast(), DATA.len(), libc::MSG_ZEROCOPY)
        };
        assert_eq!(sent, 4);
        server.read_exact(&mut [0; 4]).await.unwrap();
        spawn(async move {
            let mut buffer = [0; 64];
            while let Ok(count @ 1..) = server.read(&mut buffer).await {
                server.write_all(&buffer[..count]).await.unwrap();
            }
        });
        let mut sizes = [4, 64].into_iter().cycle();
        are_not_slow(50, MUTED / 2, async || {
            let size = sizes.next().unwrap();
            let mut buffer = vec![7; size];
            client.write_all(&buffer).await.unwrap();
            client.read_exact(&mut buffer).await.unwrap();
        })
        .await;
    });
}

/// Each report is of an error that the operation then takes, so none of them leads nowhere.
#[test]
#[cfg(any(target_os = "linux", target_os = "android"))]
fn errors_that_are_taken_are_told_as_fast_as_they_come() {
    net_support::run(async {
        let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let nobody = UdpSocket::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
        socket.connect(nobody).await.unwrap();
        // Each datagram is refused.
        are_not_slow(50, MUTED / 2, async || {
            let (refused, sent) = zip(socket.recv(&mut [0; 8]), async {
                yield_now().await;
                socket.send(b"to nobody").await
            })
            .await;
            assert_eq!(refused.unwrap_err().kind(), std::io::ErrorKind::ConnectionRefused);
            sent.unwrap();
        })
        .await;

        // The errors are taken out of the queue by a call of the user's own.
        switch_on(&socket, libc::IPPROTO_IP, libc::IP_RECVERR);
        are_not_slow(50, MUTED / 2, async || {
            let take = || take_from_error_queue(&socket);
            let (taken, sent) = zip(socket.async_io(runtime::io::Interest::READABLE, take), async {
                yield_now().await;
                socket.send(b"to nobody").await
            })
            .await;
            taken.unwrap();
            sent.unwrap();
            drop(socket.take_error());
        })
        .await;

        // The test holds a guard, but does not make the call through it.
        let fd = runtime::net::AsyncFd::new(socket.into_std().unwrap()).unwrap();
        are_not_slow(50, MUTED / 2, async || {
            let take = async {
                loop {
                    let mut guard = fd.readable().await.unwrap();
                    match take_from_error_queue(fd.get_ref()) {
                        Ok(()) => break,
                        Err(_) => guard.clear_ready(),
                    }
                }
            };
            let send = async {
                yield_now().await;
                fd.get_ref().send(b"to nobody").unwrap();
            };
            zip(take, send).await;
            drop(fd.get_ref().take_error());
        })
        .await;
    });
}
