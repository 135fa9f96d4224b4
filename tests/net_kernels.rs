//! The loop on kernels that do not have a call, refuse one, or report what leads nowhere: old and emulated
//! ones, sandboxes, limits that are lowered, memory that runs out.
#![cfg(not(miri))] // Children, limits, datagrams: nothing that it has.
#![expect(unsafe_code, reason = "setrlimit and setsockopt")]

mod net_support;

use futures_lite::future::zip;
use futures_lite::{AsyncReadExt, AsyncWriteExt};
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

// Limits, and want of memory.

/// Linux's poll(2) then refuses the list of those who wait.
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
        // For whoever looks for leaks when the process ends.
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

/// The notifier is a pipe then.
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
                // It sleeps until another thread breaks its wait, and then again.
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

/// One whose descriptors have run out is an error, and leaves none behind.
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

/// The next best is taken, and tells which it is.
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

/// Old kernels do not know the call, and some sandboxes forbid what they do not know.
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

/// A limit on what one user may watch, or no memory: whoever has to wait has the error, and may try again.
#[test]
fn a_registration_that_fails_is_told_and_may_be_repeated() {
    for errno in ["ENOSPC", "ENOMEM"] {
        // The first one is the loop's own.
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

/// A datagram socket that will have nothing to read, which poll(2) nevertheless reports for as long as it is so.
/// By level each report would wake who waits, and find nothing.
async fn rests_with(runtime: &Runtime, socket: UdpSocket) -> UdpSocket {
    let socket = Rc::new(socket);
    let waiting = spawn({
        let socket = socket.clone();
        async move { socket.recv(&mut [0; 8]).await }
    });
    // Errors that are there to be collected end the wait at once.
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
    // By level some ten in 10 ms, and some hundred thousand if nobody cared.
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
        // What comes meanwhile is received without delay worth speaking of.
        let other = UdpSocket::bind("127.0.0.1:0").await.unwrap();
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
        assert!(started.elapsed() < Duration::from_millis(500), "{:?}", started.elapsed());
    });
}
