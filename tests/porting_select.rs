//! The uses of `select!` that programs for tokio have, and one line that makes them run on this crate.
//!
//! An accept loop that stops, an operation that continues over many passes, a branch that is replaced by `set`,
//! preconditions, patterns, `else`, `biased`, and what a branch may borrow. Each prints what it does, and the lines are
//! those that tokio produces.

mod common;

extern crate runtime as tokio;

use common::watchdog;
use std::cell::RefCell;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{broadcast, mpsc, oneshot};
use tokio::time::{self, Duration, Instant};

#[tokio::test]
async fn the_first_of_two_channels_wins_and_the_other_is_closed() {
    let _watchdog = watchdog();
    let (mut tx1, rx1) = oneshot::channel::<&str>();
    let (tx2, rx2) = oneshot::channel();
    let loser = tokio::spawn(async move {
        tokio::select! {
            _ = tx1.closed() => "the receiver was dropped",
            _ = time::sleep(Duration::from_secs(600)) => "the sender waited",
        }
    });
    tokio::spawn(async move { tx2.send("two").unwrap() });
    let won = tokio::select! {
        val = rx1 => val.unwrap(),
        val = rx2 => val.unwrap(),
    };
    assert_eq!((won, loser.await.unwrap()), ("two", "the receiver was dropped"));
}

#[tokio::test]
async fn an_accept_loop_stops_by_a_oneshot_channel() -> io::Result<()> {
    let _watchdog = watchdog();
    let (stop, mut stopped) = oneshot::channel();
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let addr = listener.local_addr()?;
    let server = tokio::spawn(async move {
        let mut served = 0;
        let result: io::Result<()> = tokio::select! {
            result = async {
                loop {
                    let (mut socket, _) = listener.accept().await?;
                    served += 1;
                    tokio::spawn(async move { socket.write_all(b"hello").await });
                }
                #[allow(unreachable_code, reason = "the type of the block")]
                Ok::<_, io::Error>(())
            } => result,
            _ = &mut stopped => Ok(()),
        };
        result.map(|()| served)
    });
    for _ in 0..3 {
        let mut text = String::new();
        TcpStream::connect(addr).await?.read_to_string(&mut text).await?;
        assert_eq!(text, "hello");
    }
    stop.send(()).unwrap();
    assert_eq!(server.await??, 3);
    Ok(())
}

#[tokio::test]
async fn handlers_return_errors_by_the_question_mark() {
    let _watchdog = watchdog();
    async fn outcome(port: Result<TcpStream, io::Error>) -> io::Result<&'static str> {
        tokio::select! {
            stream = async { port } => {
                let peer = stream?.peer_addr()?;
                assert!(peer.ip().is_loopback());
                Ok("connected")
            }
            _ = std::future::pending::<()>() => Ok("never"),
        }
    }
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let stream = TcpStream::connect(listener.local_addr().unwrap()).await;
    assert_eq!(outcome(stream).await.unwrap(), "connected");
    let refused = outcome(Err(io::ErrorKind::ConnectionRefused.into())).await;
    assert_eq!(refused.unwrap_err().kind(), io::ErrorKind::ConnectionRefused);
}

async fn action(input: Option<i32>, log: &RefCell<Vec<String>>) -> Option<String> {
    let i = input?;
    log.borrow_mut().push(format!("begin {i}"));
    time::sleep(Duration::from_millis(10)).await;
    Some(format!("done {i}"))
}

/// The operation is pinned outside of the loop, restarted by `set`, and disabled by a precondition.
#[tokio::test(start_paused = true)]
async fn an_operation_continues_until_an_even_number_restarts_it() {
    let _watchdog = watchdog();
    let log = RefCell::new(Vec::new());
    let (tx, mut rx) = mpsc::channel(128);
    let feed = tokio::spawn(async move {
        for number in [1, 3, 4, 5, 6, 8] {
            tx.send(number).await.unwrap();
            time::sleep(Duration::from_millis(4)).await;
        }
        tx.closed().await;
    });
    let mut done = false;
    let operation = action(None, &log);
    tokio::pin!(operation);
    tokio::spawn(async {}).await.unwrap();
    let result = loop {
        tokio::select! {
            res = &mut operation, if !done => {
                done = true;
                if let Some(text) = res {
                    break text;
                }
            }
            Some(v) = rx.recv() => {
                log.borrow_mut().push(format!("got {v}"));
                if v % 2 == 0 {
                    operation.set(action(Some(v), &log));
                    done = false;
                }
            }
        }
    };
    drop(rx);
    feed.await.unwrap();
    assert_eq!(result, "done 8");
    let expected = ["got 1", "got 3", "got 4", "begin 4", "got 5", "got 6", "begin 6", "got 8", "begin 8"]
        .map(String::from);
    assert_eq!(*log.borrow(), expected);
}

#[tokio::test(start_paused = true)]
async fn a_sleep_outside_of_the_loop_limits_all_passes_together() {
    let _watchdog = watchdog();
    let started = Instant::now();
    let (tx, mut rx) = mpsc::unbounded_channel();
    let mut ticks = time::interval(Duration::from_millis(30));
    let deadline = time::sleep(Duration::from_millis(100));
    tokio::pin!(deadline);
    tx.send("message").unwrap();
    let mut log = Vec::new();
    loop {
        tokio::select! {
            biased;
            _ = &mut deadline => break,
            message = rx.recv(), if !rx.is_closed() => log.push(message.unwrap_or("end")),
            _ = ticks.tick() => {
                log.push("tick");
                rx.close();
            }
        }
    }
    assert_eq!(log, ["message", "tick", "tick", "tick", "tick"]);
    assert_eq!(started.elapsed().as_millis(), 100);
}

#[tokio::test]
async fn a_pattern_that_does_not_match_disables_its_branch_until_else() {
    let _watchdog = watchdog();
    let (tx1, mut rx1) = mpsc::channel(8);
    let (tx2, mut rx2) = mpsc::channel(8);
    for number in 0..4 {
        tx1.send(number).await.unwrap();
        tx2.send(number * 10).await.unwrap();
    }
    drop((tx1, tx2));
    let mut sum = 0;
    loop {
        tokio::select! {
            Some(number) = rx1.recv() => sum += number,
            Some(number) = rx2.recv() => sum += number,
            else => break,
        }
    }
    assert_eq!(sum, 66);
}

#[tokio::test]
async fn each_handler_may_change_what_another_branch_reads() {
    let _watchdog = watchdog();
    let (tx, mut rx) = broadcast::channel(4);
    let mut out: Vec<u8> = Vec::new();
    let mut count = 0;
    let mut source = &b"abcdef"[..];
    for _ in 0..2 {
        tx.send(7).unwrap();
    }
    drop(tx);
    while count < 8 {
        let mut byte = [0];
        tokio::select! {
            Ok(number) = rx.recv() => {
                out.push(number);
                count += 1;
            }
            Ok(_) = source.read_exact(&mut byte) => {
                out.extend_from_slice(&byte);
                count += 1;
            }
            else => unreachable!(),
        }
    }
    out.sort_unstable();
    assert_eq!(out, b"\x07\x07abcdef");
}

/// A future of the program's own, which `select!` polls by reference.
struct Countdown(Rc<RefCell<u32>>);

impl Future for Countdown {
    type Output = &'static str;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<&'static str> {
        let mut left = self.0.borrow_mut();
        if *left == 0 {
            return Poll::Ready("ignition");
        }
        *left -= 1;
        cx.waker().wake_by_ref();
        Poll::Pending
    }
}

#[tokio::test]
async fn a_future_is_polled_once_for_each_pass_and_keeps_its_state() {
    let _watchdog = watchdog();
    let left = Rc::new(RefCell::new(5));
    let mut countdown = Countdown(left.clone());
    let mut passes = 0;
    let end = loop {
        tokio::select! {
            biased;
            text = &mut countdown => break text,
            _ = std::future::ready(()) => passes += 1,
        }
    };
    assert_eq!((end, passes, *left.borrow()), ("ignition", 5, 0));
}

#[tokio::test]
async fn all_branches_disabled_panics_without_else() {
    let _watchdog = watchdog();
    let joined = tokio::spawn(async {
        let open = false;
        tokio::select! {
            _ = async {}, if open => {}
        }
    });
    let error = joined.await.unwrap_err();
    assert!(error.is_panic());
    let payload = error.into_panic();
    let text = payload.downcast_ref::<&str>().unwrap();
    assert!(text.contains("disabled") && text.contains("else"), "{text}");
}
