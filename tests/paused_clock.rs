//! The paused clock: how it moves by itself and by hand, and what it waits for.

mod common;

use common::subjects::Gate;
use common::{Count, HOUR, Trace, ms, paused, poll_once, run, run_paused, us, watchdog};
use runtime::io::{AsyncReadExt, AsyncWriteExt};
use runtime::net::{AsyncFd, TcpListener, TcpStream};
use runtime::task::{spawn_blocking, yield_now};
use runtime::time::{self, Instant, advance, interval, sleep, sleep_until, timeout};
use runtime::{Builder, Runtime, spawn};
use std::future::pending;
use std::io::{Read, Write};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::thread;
use std::time::Duration;

#[test]
fn a_stopped_clock_jumps_exactly_to_the_next_deadline() {
    run_paused(async {
        let start = Instant::now();
        sleep(HOUR).await;
        assert_eq!(start.elapsed(), HOUR);
        assert!(timeout(HOUR, pending::<()>()).await.is_err());
        assert_eq!(start.elapsed(), 2 * HOUR);
        sleep(us(1)).await;
        assert_eq!(start.elapsed(), 2 * HOUR + us(1));
        // Less than a tick is rounded up to a tick: the sleep ends late, and not early.
        sleep(Duration::from_nanos(1)).await;
        assert_eq!(start.elapsed(), 2 * HOUR + us(2));
    });
}

#[test]
fn a_stopped_clock_goes_from_deadline_to_deadline() {
    let trace = Trace::default();
    run_paused(async {
        let start = Instant::now();
        let tasks: Vec<_> = [30, 10, 20, 10]
            .into_iter()
            .map(|minutes| {
                let trace = trace.clone();
                spawn(async move {
                    sleep(Duration::from_secs(60 * minutes)).await;
                    trace.push(format!("{minutes} at {}", start.elapsed().as_secs() / 60));
                })
            })
            .collect();
        for task in tasks {
            task.await.unwrap();
        }
    });
    assert_eq!(trace.take(), ["10 at 10", "10 at 10", "20 at 20", "30 at 30"]);
}

#[test]
fn a_clock_that_is_stopped_and_let_go() {
    run(async {
        time::pause();
        let stopped = Instant::now();
        thread::sleep(ms(2));
        assert_eq!(Instant::now(), stopped);
        assert!(catch_unwind(time::pause).is_err());
        sleep(HOUR).await;
        time::resume();
        assert!(catch_unwind(time::resume).is_err());
        assert!(stopped.elapsed() >= HOUR);
        let start = std::time::Instant::now();
        sleep(ms(2)).await;
        assert!(start.elapsed() >= ms(2), "real again");
    });
}

#[test]
fn a_clock_that_is_moved_to_its_end_stands_there() {
    run(async {
        for _ in 0..8 {
            time::pause();
            let before = Instant::now();
            advance(Duration::MAX).await;
            sleep(HOUR).await;
            assert!(timeout(HOUR, pending::<()>()).await.is_err());
            time::resume();
            assert!(Instant::now() >= before);
        }
        sleep(ms(1)).await;
        interval(ms(1)).tick().await;
    });
}

#[test]
fn advance_fires_in_the_order_of_deadlines() {
    let trace = Trace::default();
    run_paused(async {
        let start = Instant::now();
        for due in [500, 3, 70_000, 4, 64, 63, 65, 3] {
            let trace = trace.clone();
            drop(spawn(async move {
                sleep_until(start + ms(due)).await;
                trace.push(due.to_string());
            }));
        }
        yield_now().await;
        advance(ms(64)).await;
        assert_eq!(trace.take(), ["3", "3", "4", "63", "64"]);
        advance(Duration::ZERO).await;
        assert!(trace.take().is_empty());
        advance(HOUR).await;
        assert_eq!(trace.take(), ["65", "500", "70000"]);
        assert_eq!(start.elapsed(), ms(64) + HOUR);
        assert!(catch_unwind(AssertUnwindSafe(time::resume)).is_ok());
        let error = spawn(advance(ms(1))).await.unwrap_err();
        assert!(error.to_string().contains("call pause before advance"), "{error}");
    });
}

#[test]
fn advance_returns_when_all_that_is_due_has_been_polled() {
    for (tasks, event_interval) in [(10, 128), (1000, 128), (1000, 1), (5000, 61)] {
        let _watchdog = watchdog();
        let runtime =
            Builder::new_current_thread().start_paused(true).event_interval(event_interval).build().unwrap();
        runtime.block_on(async {
            let fired = Count::default();
            for n in 0..tasks {
                let fired = fired.clone();
                drop(spawn(async move {
                    sleep(us(n as u64)).await;
                    fired.add();
                }));
            }
            yield_now().await;
            advance(us(tasks as u64)).await;
            assert_eq!(fired.get(), tasks, "event interval {event_interval}");
        });
    }
}

#[test]
fn a_stopped_clock_does_not_run_ahead_of_loopback() {
    run_paused(async {
        let start = Instant::now();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let server = spawn(async move {
            let (mut stream, _) = timeout(ms(1), listener.accept()).await.expect("accepted in time").unwrap();
            let mut buffer = [0; 64];
            loop {
                match timeout(ms(1), stream.read(&mut buffer)).await.expect("read in time").unwrap() {
                    0 => break,
                    count => stream.write_all(&buffer[..count]).await.unwrap(),
                }
            }
        });
        let client = TcpStream::connect(address);
        let mut client = timeout(ms(1), client).await.expect("connected in time").unwrap();
        for _ in 0..100 {
            timeout(ms(1), client.write_all(b"ping")).await.expect("written in time").unwrap();
            timeout(ms(1), client.read_exact(&mut [0; 4])).await.expect("answered in time").unwrap();
        }
        drop(client);
        server.await.unwrap();
        assert_eq!(start.elapsed(), Duration::ZERO);
    });
}

/// Spawns a task with a timer every second, so that the clock has deadlines to jump to.
fn spawn_ticks() {
    drop(spawn(async {
        let mut interval = interval(Duration::from_secs(1));
        loop {
            interval.tick().await;
        }
    }));
}

/// The other side takes 30 ms. If the clock jumped freely, it would be days ahead by then; each jump moves it by a
/// second.
#[test]
fn a_stopped_clock_does_not_run_ahead_of_a_blocking_call() {
    run_paused(async {
        spawn_ticks();
        let call = spawn_blocking(|| {
            thread::sleep(ms(30));
            7
        });
        assert_eq!(timeout(HOUR, call).await.expect("the clock waited").unwrap(), 7);
    });
}

#[test]
fn a_stopped_clock_does_not_run_ahead_of_a_peer_on_another_thread() {
    run_paused(async {
        spawn_ticks();
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let peer = thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut buffer = [0; 4];
            for _ in 0..3 {
                stream.read_exact(&mut buffer).unwrap();
                thread::sleep(ms(10));
                stream.write_all(&buffer).unwrap();
            }
        });
        let mut stream = TcpStream::connect(address).await.unwrap();
        for _ in 0..3 {
            stream.write_all(b"ping").await.unwrap();
            timeout(HOUR, stream.read_exact(&mut [0; 4])).await.expect("the clock waited").unwrap();
        }
        peer.join().unwrap();
    });
}

/// A test of something slow sets how long the clock waits.
#[test]
fn a_stopped_clock_waits_for_an_answer_as_long_as_it_is_told() {
    let _watchdog = watchdog();
    let paused_with =
        |grace| Builder::new_current_thread().start_paused(true).auto_advance_grace(grace).build().unwrap();
    for grace in [Duration::from_secs(60), Duration::MAX] {
        paused_with(grace).block_on(async {
            let start = Instant::now();
            let call = spawn_blocking(|| thread::sleep(ms(40)));
            timeout(ms(1), call).await.expect("the clock waited for the call").unwrap();
            let (ours, mut other) = std::os::unix::net::UnixStream::pair().unwrap();
            let peer = thread::spawn(move || {
                thread::sleep(ms(40));
                other.write_all(b"x").unwrap();
            });
            let ours = AsyncFd::new(ours).unwrap();
            drop(timeout(ms(1), ours.readable()).await.expect("the clock waited for the peer").unwrap());
            peer.join().unwrap();
            assert_eq!(start.elapsed(), Duration::ZERO);
        });
    }
    paused_with(Duration::ZERO).block_on(async {
        let (sender, receiver) = std::sync::mpsc::channel::<()>();
        let call = spawn_blocking(move || receiver.recv());
        assert!(timeout(HOUR, call).await.is_err());
        sender.send(()).unwrap();
    });
}

#[test]
fn a_stopped_clock_stands_still_for_a_thread_that_wakes_late() {
    run_paused(async {
        let start = Instant::now();
        for _ in 0..3 {
            let gate = Gate::default();
            let opened = gate.wait();
            let guard = time::inhibit_auto_advance();
            let more = time::inhibit_auto_advance();
            let late = thread::spawn(move || {
                thread::sleep(ms(15));
                gate.open();
            });
            drop(more);
            timeout(us(1), opened).await.expect("the clock stood still");
            assert_eq!(start.elapsed(), Duration::ZERO);
            drop(guard);
            late.join().unwrap();
        }
        sleep(HOUR).await;
        assert_eq!(start.elapsed(), HOUR);
    });
}

#[test]
fn with_the_clock_stopped_and_no_timer_the_loop_waits_for_others() {
    run_paused(async {
        let gate = Gate::default();
        let opened = gate.wait();
        let late = thread::spawn(move || {
            thread::sleep(ms(5));
            gate.open();
        });
        opened.await;
        late.join().unwrap();
    });
}

#[test]
fn two_runtimes_have_two_clocks() {
    let (one, other) = (paused(), Runtime::new().unwrap());
    let of_one = one.block_on(async {
        sleep(HOUR).await;
        Instant::now()
    });
    other.block_on(async {
        assert!(Instant::now() < of_one);
        // The instant was read in one runtime. By the clock of the other one, it is an hour from now.
        assert!(poll_once(sleep_until(of_one)).await.is_none());
        sleep(us(10)).await;
    });
    one.block_on(async { assert_eq!(Instant::now(), of_one) });
}
