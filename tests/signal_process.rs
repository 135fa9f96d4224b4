//! Signals that end a process, and signals that reach a forked child or a program that it executes.
#![cfg(not(miri))] // Miri has no signals.
#![expect(unsafe_code, reason = "fork, kill and raise, in processes where nothing else happens")]

mod common;

use common::process::{exit_of_child, exits_of_children, in_child, open_descriptors};
use common::{poll_once, watchdog};
use futures_lite::future::zip;
use runtime::cores::PerCore;
use runtime::io::{AsyncReadExt, AsyncWriteExt};
use runtime::net::{TcpListener, TcpStream, serve};
use runtime::selector::Kind;
use runtime::signal::unix::{Signal, SignalKind, signal};
use runtime::{Builder, Runtime, block_on, signal as signals, spawn, time};
use std::cell::RefCell;
use std::ffi::c_int;
use std::future::poll_fn;
use std::io::{Read, Write};
use std::os::unix::process::ExitStatusExt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::sync::Barrier;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::thread;
use std::time::Duration;

fn raise(signal: c_int) {
    // SAFETY: the function takes a number.
    assert_eq!(unsafe { libc::raise(signal) }, 0);
}

/// Sends a signal until the process has ended. The first ones may count as a repetition of an earlier signal.
fn raise_until_the_end(signal: c_int) -> ! {
    loop {
        raise(signal);
        thread::yield_now();
    }
}

/// Runs `body` in a forked child, while the parent waits.
#[track_caller]
fn forked(body: impl FnOnce()) {
    // SAFETY: no other thread of this process holds a lock that the child needs.
    let child = unsafe { libc::fork() };
    if child == 0 {
        let is_well = catch_unwind(AssertUnwindSafe(body)).is_ok();
        // SAFETY: the function takes a number. The child calls no exit handlers of its parent.
        unsafe { libc::_exit(if is_well { 0 } else { 1 }) };
    }
    let mut status = 0;
    // SAFETY: the kernel writes one number, to `status`.
    assert_eq!(unsafe { libc::waitpid(child, &mut status, 0) }, child);
    assert_eq!(status, 0, "the child failed");
}

async fn is_silent(stream: &mut Signal) -> bool {
    poll_once(stream.recv()).await.is_none()
}

async fn receives(stream: &mut Signal, signal: c_int) {
    let sender = spawn(async move { raise(signal) });
    assert_eq!(stream.recv().await, Some(()));
    sender.await.unwrap();
    assert!(is_silent(stream).await);
}

#[test]
fn the_first_request_begins_the_shutdown_and_the_second_ends_the_process() {
    let cases = [libc::SIGINT, libc::SIGTERM].map(|first| [(first, libc::SIGINT), (first, libc::SIGTERM)]);
    let cases = cases.as_flattened();
    let exits = exits_of_children(cases, |(first, second)| {
        block_on(async {
            let shutdown = signals::shutdown();
            let task = spawn(async move { raise(first) });
            assert_eq!(shutdown.await.unwrap(), SignalKind::from_raw(first));
            task.await.unwrap();
            // The loop is blocked from here on.
            raise_until_the_end(second);
        });
    });
    let signals: Vec<_> = exits.iter().map(|exit| exit.signal()).collect();
    assert_eq!(signals, cases.iter().map(|(_, second)| Some(*second)).collect::<Vec<_>>());
}

#[test]
fn a_second_request_ends_a_process_whose_runtime_has_ended() {
    let exit = exit_of_child(|| {
        let runtime = Runtime::new().unwrap();
        runtime.block_on(async {
            let shutdown = signals::shutdown();
            raise(libc::SIGINT);
            shutdown.await.unwrap();
        });
        drop(runtime);
        raise_until_the_end(libc::SIGINT);
    });
    assert_eq!(exit.signal(), Some(libc::SIGINT));
}

/// As tokio does, and as is documented: the default effect does not come back.
#[test]
fn after_a_ctrl_c_the_signal_has_no_effect_until_somebody_listens_again() {
    let exit = exit_of_child(|| {
        let runtime = Runtime::new().unwrap();
        runtime.block_on(async {
            let ctrl_c = signals::ctrl_c();
            let task = spawn(async { raise(libc::SIGINT) });
            ctrl_c.await.unwrap();
            task.await.unwrap();
        });
        let descriptors = open_descriptors();
        drop(runtime);
        let (mut reader, _writer) = std::io::pipe().unwrap();
        for _ in 0..100 {
            raise(libc::SIGINT);
        }
        // Nothing was written to a descriptor that has a new owner.
        assert!(open_descriptors() <= descriptors + 2);
        let mut poll =
            libc::pollfd { fd: std::os::fd::AsRawFd::as_raw_fd(&reader), events: libc::POLLIN, revents: 0 };
        // SAFETY: the kernel reads one entry, and writes to it.
        assert_eq!(unsafe { libc::poll(&mut poll, 1, 0) }, 0);
        drop(_writer);
        assert_eq!(reader.read(&mut [0; 8]).unwrap(), 0);
        block_on(async { signals::ctrl_c().await.unwrap() });
        std::process::exit(7);
    });
    assert_eq!(exit.code(), Some(7));
}

/// A loop that creates the future in each pass, and handles something else when the signal arrives.
#[test]
fn a_request_while_nobody_waits_is_kept() {
    let exit = exit_of_child(|| {
        block_on(async {
            assert!(poll_once(signals::shutdown()).await.is_none());
            raise(libc::SIGTERM);
            for _ in 0..3 {
                assert_eq!(signals::shutdown().await.unwrap(), SignalKind::terminate());
            }
            let mut shutdown = signals::shutdown();
            assert!((&mut shutdown).await.is_ok() && shutdown.await.is_ok(), "it stays ready");
        });
        raise_until_the_end(libc::SIGTERM);
    });
    assert_eq!(exit.signal(), Some(libc::SIGTERM));
}

#[test]
fn each_thread_shuts_down_and_those_that_come_late() {
    in_child(|| {
        const THREADS: usize = 4;
        let (begin, waiting) = (Barrier::new(THREADS), AtomicUsize::new(0));
        let kinds = PerCore::new().threads(THREADS).run(async |core| {
            let shutdown = (core.index() > 0).then(signals::shutdown);
            begin.wait();
            let Some(mut shutdown) = shutdown else {
                while waiting.load(SeqCst) < THREADS - 1 {
                    thread::yield_now();
                }
                raise(libc::SIGTERM);
                return signals::shutdown().await.unwrap();
            };
            assert!(poll_once(&mut shutdown).await.is_none());
            waiting.fetch_add(1, SeqCst);
            shutdown.await.unwrap()
        });
        assert_eq!(kinds.unwrap(), [SignalKind::terminate(); THREADS]);
    });
}

#[test]
fn a_server_ends_in_order() {
    in_child(|| {
        block_on(async {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let address = listener.local_addr().unwrap();
            let server = serve(listener).graceful(signals::shutdown(), Duration::from_secs(60));
            let drain = server.drain();
            let server = server.run(async move |mut stream: TcpStream, _| {
                stream.write_all(b"begin").await.unwrap();
                drain.started().await;
                stream.write_all(b"end").await.unwrap();
            });
            let client = async {
                let mut stream = TcpStream::connect(address).await.unwrap();
                stream.read_exact(&mut [0; 5]).await.unwrap();
                raise(libc::SIGINT);
                let mut rest = String::new();
                stream.read_to_string(&mut rest).await.unwrap();
                rest
            };
            let (served, rest) = zip(server, client).await;
            assert_eq!((served.unwrap().accepted(), &*rest), (1, "end"));
        });
    });
}

#[test]
fn a_forked_child_sees_its_own_signals_and_its_parent_those_of_the_parent() {
    in_child(|| {
        for kind in Kind::available() {
            eprintln!("{kind}");
            let runtime = Builder::new_current_thread().selector(*kind).build().unwrap();
            runtime.block_on(async {
                let mut inherited = Some(signal(SignalKind::user_defined1()).unwrap());
                assert!(is_silent(inherited.as_mut().unwrap()).await);
                let mut of_parent = signal(SignalKind::user_defined2()).unwrap();
                let parent = std::process::id();
                forked(|| {
                    let _watchdog = watchdog();
                    let mut inherited = inherited.take().unwrap();
                    let pid = parent.try_into().unwrap();
                    // SAFETY: the function takes numbers.
                    assert_eq!(unsafe { libc::kill(pid, libc::SIGUSR2) }, 0);
                    thread::spawn(move || {
                        let fresh = Builder::new_current_thread().selector(*kind).build().unwrap();
                        fresh.block_on(async {
                            receives(&mut inherited, libc::SIGUSR1).await;
                            receives(&mut signal(SignalKind::user_defined1()).unwrap(), libc::SIGUSR1).await;
                            receives(&mut signal(SignalKind::hangup()).unwrap(), libc::SIGHUP).await;
                            // Pending when the child ends.
                            raise(libc::SIGUSR1);
                        });
                    })
                    .join()
                    .unwrap();
                });
                assert_eq!(of_parent.recv().await, Some(()));
                let mut stream = inherited.unwrap();
                assert!(is_silent(&mut stream).await, "the signals were the child's");
                receives(&mut stream, libc::SIGUSR1).await;
                receives(&mut signal(SignalKind::user_defined1()).unwrap(), libc::SIGUSR1).await;
            });
        }
    });
}

/// The descriptor of the parent's stream is also the child's. If the child read it, the parent would not be woken.
#[test]
fn a_child_takes_no_signal_away_from_a_parent_that_waits() {
    in_child(|| {
        for kind in Kind::available() {
            let runtime = Builder::new_current_thread().selector(*kind).build().unwrap();
            runtime.block_on(async {
                for _ in 0..20 {
                    let stream = Rc::new(RefCell::new(signal(SignalKind::user_defined1()).unwrap()));
                    let waiting = spawn({
                        let stream = stream.clone();
                        poll_fn(move |cx| stream.borrow_mut().poll_recv(cx))
                    });
                    runtime::task::yield_now().await;
                    raise(libc::SIGUSR1);
                    forked(|| {
                        let _watchdog = watchdog();
                        let stream = &mut *stream.borrow_mut();
                        // The child has inherited the pending signal, and then waits for another one.
                        let receive = || {
                            let fresh = Builder::new_current_thread().selector(*kind).build().unwrap();
                            fresh.block_on(async {
                                assert_eq!(stream.recv().await, Some(()));
                                receives(stream, libc::SIGUSR1).await;
                            });
                        };
                        thread::scope(|scope| scope.spawn(receive).join().unwrap());
                    });
                    assert_eq!(waiting.await.unwrap(), Some(()), "{kind}");
                    let mut stream = Rc::into_inner(stream).unwrap().into_inner();
                    assert!(is_silent(&mut stream).await);
                }
            });
        }
    });
}

/// Between fork and exec a child still has its parent's handlers.
#[test]
fn a_signal_to_a_child_before_its_exec_is_not_the_parents() {
    in_child(|| {
        use std::os::unix::process::CommandExt;
        block_on(async {
            let mut stream = signal(SignalKind::user_defined1()).unwrap();
            for _ in 0..20 {
                assert!(is_silent(&mut stream).await);
                let mut command = std::process::Command::new("true");
                // SAFETY: raise is async-signal-safe.
                unsafe {
                    command.pre_exec(|| {
                        libc::raise(libc::SIGUSR1);
                        Ok(())
                    });
                }
                assert!(command.status().unwrap().success());
                time::sleep(Duration::from_micros(100)).await;
                assert!(is_silent(&mut stream).await);
            }
            receives(&mut stream, libc::SIGUSR1).await;
        });
    });
}

/// A program that is executed has no handler, and no blocked signal.
#[test]
#[cfg(target_os = "linux")]
fn an_executed_program_starts_with_the_default_effects() {
    in_child(|| {
        block_on(async {
            let _stream = signal(SignalKind::user_defined1()).unwrap();
            assert!(poll_once(signals::shutdown()).await.is_none());
            let status = || std::process::Command::new("cat").arg("/proc/self/status").output().unwrap();
            for output in [status(), runtime::task::spawn_blocking(status).await.unwrap()] {
                let text = String::from_utf8(output.stdout).unwrap();
                for line in ["SigBlk:\t0000000000000000", "SigCgt:\t0000000000000000"] {
                    assert!(text.lines().any(|other| other == line), "{line}\n{text}");
                }
            }
            let mut sleeping = std::process::Command::new("sleep").arg("60").spawn().unwrap();
            let pid = sleeping.id().try_into().unwrap();
            // SAFETY: the function takes numbers, and the child has not been waited for.
            assert_eq!(unsafe { libc::kill(pid, libc::SIGTERM) }, 0);
            assert_eq!(sleeping.wait().unwrap().signal(), Some(libc::SIGTERM));
        });
    });
}

/// One process sends ten thousand signals, one after the other, each when the one before was seen.
#[test]
fn each_of_many_signals_of_another_process_is_seen() {
    in_child(|| {
        let count = common::rounds(10_000, 2000, 0);
        let (mut reader, writer) = std::io::pipe().unwrap();
        let script =
            format!("for i in $(seq {count}); do kill -INT {}; read x || exit 1; done", std::process::id());
        block_on(async {
            let mut stream = signal(SignalKind::interrupt()).unwrap();
            let mut child = std::process::Command::new("bash")
                .args(["-c", &script])
                .stdin(reader.try_clone().unwrap())
                .spawn()
                .unwrap();
            let mut writer = writer;
            for _ in 0..count {
                assert_eq!(stream.recv().await, Some(()));
                writer.write_all(b"\n").unwrap();
            }
            drop(writer);
            assert!(child.wait().unwrap().success());
            assert!(is_silent(&mut stream).await);
        });
        assert_eq!(reader.read(&mut [0; 8]).unwrap(), 0);
    });
}
