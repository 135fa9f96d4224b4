//! Everything that waits is interrupted all the time, and goes on. `.ci/sigalrm` runs other tests under the same load.
#![cfg(target_os = "linux")] // The load needs its list of threads.
#![cfg(not(miri))] // Miri has no signals.

mod common;

use common::attempts::holds_once;
use common::interrupted::{VARIABLE, interruptions};
use common::process::in_child_with;
use runtime::io::{AsyncReadExt, AsyncWriteExt};
use runtime::net::unix::pipe;
use runtime::net::{TcpListener, TcpStream, UdpSocket, UnixStream};
use runtime::selector::Kind;
use runtime::signal::unix::{SignalKind, signal};
use runtime::task::spawn_blocking;
use runtime::{Builder, spawn, time};
use std::ffi::OsStr;
use std::os::fd::OwnedFd;
use std::time::Duration;

/// Runs a law on every selector, in a process that is interrupted, until it has been interrupted often.
fn interrupted(law: impl AsyncFn()) {
    in_child_with(&[(VARIABLE, OsStr::new("1"))], || {
        for kind in Kind::available() {
            let runtime = Builder::new_current_thread().selector(*kind).build().unwrap();
            let enough = interruptions() + 100;
            while interruptions() < enough {
                runtime.block_on(law());
            }
        }
    });
}

#[test]
fn a_sleep_is_neither_early_nor_endless() {
    interrupted(async || {
        let wait = Duration::from_millis(3);
        let start = std::time::Instant::now();
        time::sleep(wait).await;
        assert!(start.elapsed() >= wait);
    });
}

#[test]
fn bytes_arrive_whole() {
    interrupted(async || {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let client = spawn(async move { TcpStream::connect(address).await.unwrap() });
        let (tcp, _) = listener.accept().await.unwrap();
        let unix = UnixStream::pair().unwrap();
        let (sender, receiver) = pipe::pipe().unwrap();
        let tasks = [
            spawn(exchange(tcp, client.await.unwrap())),
            spawn(exchange(unix.0, unix.1)),
            spawn(exchange(sender, receiver)),
        ];
        for task in tasks {
            task.await.unwrap();
        }
    });
}

/// Sends a message that is larger than all buffers.
async fn exchange(
    mut writer: impl runtime::io::AsyncWrite + Unpin + 'static,
    mut reader: impl runtime::io::AsyncRead + Unpin,
) {
    let message: Vec<u8> = (0..2_000_000u32).map(|number| (number % 251) as u8).collect();
    let sent = message.clone();
    let writing = spawn(async move {
        writer.write_all(&sent).await.unwrap();
        writer.close().await.unwrap();
    });
    let mut received = Vec::new();
    reader.read_to_end(&mut received).await.unwrap();
    assert!(received == message);
    writing.await.unwrap();
}

#[test]
fn datagrams_blocking_calls_and_signals_arrive() {
    interrupted(async || {
        let one = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let other = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let address = other.local_addr().unwrap();
        let sending = spawn(async move { one.send_to(b"hello", address).await.unwrap() });
        assert_eq!(other.recv(&mut [0; 16]).await.unwrap(), 5);
        assert_eq!(sending.await.unwrap(), 5);
        let output = spawn_blocking(|| std::process::Command::new("true").output().unwrap());
        assert!(output.await.unwrap().status.success());
        // The handler calls the one that was there before.
        let before = interruptions();
        let mut alarm = signal(SignalKind::alarm()).unwrap();
        for _ in 0..3 {
            alarm.recv().await;
        }
        assert!(interruptions() > before);
    });
}

/// The clock moved to the next timer when a signal had ended the wait for real events.
#[test]
fn a_stopped_clock_does_not_move_because_of_a_signal() {
    in_child_with(&[(VARIABLE, OsStr::new("1"))], || {
        for grace in [Duration::from_secs(60), Duration::MAX] {
            let mut builder = Builder::new_current_thread();
            let runtime = builder.start_paused(true).auto_advance_grace(grace).build().unwrap();
            runtime.block_on(async {
                let enough = interruptions() + 20;
                let call = spawn_blocking(move || {
                    while interruptions() < enough {
                        std::thread::yield_now();
                    }
                });
                time::timeout(Duration::from_millis(1), call)
                    .await
                    .expect("the clock waits for the call")
                    .unwrap();
            });
        }
        // And once the grace is over, it moves.
        let mut builder = Builder::new_current_thread();
        let grace = Duration::from_millis(5);
        builder.start_paused(true).auto_advance_grace(grace).build().unwrap().block_on(async {
            let start = std::time::Instant::now();
            let (release, released) = std::sync::mpsc::channel::<()>();
            let call = spawn_blocking(move || released.recv());
            assert!(time::timeout(Duration::from_secs(3600), call).await.is_err());
            assert!(start.elapsed() >= grace);
            drop(release);
        });
    });
}

/// The peer stops this process while the clock waits for it, answers, and lets the process go on when the grace is over.
/// If the loop did not look for events once more, the clock would move to the next timer, although the answer is there.
#[test]
fn a_stopped_clock_does_not_move_because_the_process_did_not_run() {
    const PEER: &str =
        "printf r; read go; sleep 0.05; kill -STOP $PPID; sleep 0.1; printf x; sleep 0.6; kill -CONT $PPID";
    const GRACE: Duration = Duration::from_millis(500);
    in_child_with(&[], || {
        let waits = || {
            let mut builder = Builder::new_current_thread();
            let runtime = builder.start_paused(true).auto_advance_grace(GRACE).build().unwrap();
            let (ours, theirs) = std::os::unix::net::UnixStream::pair().unwrap();
            let mut peer = std::process::Command::new("sh");
            peer.args(["-c", PEER])
                .stdin(OwnedFd::from(theirs.try_clone().unwrap()))
                .stdout(OwnedFd::from(theirs));
            let mut peer = peer.spawn().unwrap();
            let answered = runtime.block_on(async {
                let mut ours = UnixStream::from_std(ours).unwrap();
                assert_eq!(ours.read_u8().await.unwrap(), b'r');
                ours.write_all(b"go\n").await.unwrap();
                let start = time::Instant::now();
                let answered = time::timeout(Duration::from_millis(1), ours.read_u8()).await;
                answered.is_ok() && start.elapsed().is_zero()
            });
            peer.wait().unwrap();
            answered
        };
        // The peer itself may be late.
        holds_once(waits, |answered| *answered);
    });
}
