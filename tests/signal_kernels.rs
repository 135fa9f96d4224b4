//! Signals where the kernel refuses what streams are made of.
#![cfg(target_os = "linux")] // strace(1) injects the errors.
#![cfg(not(miri))] // Miri has no signals.
#![expect(unsafe_code, reason = "raise and sigaction, in processes where nothing else happens")]

mod net_support;

use net_support::{in_child_under, poll_once};
use runtime::selector::Kind;
use runtime::signal::unix::{Signal, SignalKind, signal};
use runtime::{Builder, block_on, signal as signals, spawn};
use std::ffi::c_int;
use std::time::{Duration, Instant};

fn raise(signal: c_int) {
    // SAFETY: the function takes a number.
    assert_eq!(unsafe { libc::raise(signal) }, 0);
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

/// A sandbox refuses eventfd: the streams wait for pipes.
#[test]
fn signals_arrive_where_there_is_no_eventfd() {
    const NAME: &str = "signals_arrive_where_there_is_no_eventfd";
    let strace = ["-e", "trace=eventfd2", "-e", "inject=eventfd2:error=EPERM"];
    in_child_under(NAME, "pipes", &strace, || {
        for kind in Kind::available() {
            let runtime = Builder::new_current_thread().selector(*kind).build().unwrap();
            runtime.block_on(async {
                let mut stream = signal(SignalKind::user_defined1()).unwrap();
                for _ in 0..10 {
                    receives(&mut stream, libc::SIGUSR1).await;
                    // More than a pipe has room for.
                    (0..200).for_each(|_| raise(libc::SIGUSR1));
                    assert_eq!(stream.recv().await, Some(()));
                    assert!(is_silent(&mut stream).await);
                }
            });
        }
    });
}

/// An installation that fails is tried again by the next stream.
#[test]
fn a_handler_that_cannot_be_installed_is_an_error_and_is_tried_again() {
    const NAME: &str = "a_handler_that_cannot_be_installed_is_an_error_and_is_tried_again";
    // From the thousandth call on: before that, the standard library makes calls that must succeed.
    let strace = ["-e", "trace=rt_sigaction", "-e", "inject=rt_sigaction:error=EAGAIN:when=1000+"];
    in_child_under(NAME, "sigaction", &strace, || {
        let kind = SignalKind::user_defined1();
        block_on(async {
            let before = Instant::now();
            // SAFETY: the kernel writes to `old`.
            let is_refused = || unsafe {
                let mut old: libc::sigaction = std::mem::zeroed();
                libc::sigaction(libc::SIGUSR2, std::ptr::null(), &mut old) != 0
            };
            while !is_refused() {
                assert!(before.elapsed() < Duration::from_secs(60));
            }
            for _ in 0..3 {
                assert_eq!(signal(kind).unwrap_err().raw_os_error(), Some(libc::EAGAIN));
                assert_eq!(signals::shutdown().await.unwrap_err().raw_os_error(), Some(libc::EAGAIN));
            }
        });
    });
}
