//! Timeouts of streams when something changes meanwhile: the read is dropped, the timeout is set anew, the clock is moved,
//! or the stream goes to another runtime.

mod net_support;

use futures_lite::future::or;
use net_support::deadlines::{LIMIT, NEVER, is_in_time, run_paused, secs, silence};
use net_support::{pair, poll_once, run, watchdog};
use runtime::io::{AsyncReadExt, AsyncWriteExt};
use runtime::task::yield_now;
use runtime::time::{self, Instant, advance, sleep, timeout};
use runtime::{Runtime, spawn};
use std::cell::Cell;
use std::io::{self, ErrorKind};
use std::pin::pin;
use std::rc::Rc;
use std::sync::mpsc::channel;
use std::thread;
use std::time::Duration;

#[test]
fn reads_that_replace_each_other_share_their_time() {
    run_paused(async {
        let (mut a, _b) = pair().await?;
        a.set_read_timeout(Some(LIMIT))?;
        let start = Instant::now();
        let mut beats = 0;
        // The loop is like one around `select`: each beat drops the read and makes another one.
        let error = loop {
            let read = async { Some(a.read(&mut [0; 8]).await) };
            let beat = async {
                sleep(secs(3)).await;
                None
            };
            match or(read, beat).await {
                Some(result) => break result.unwrap_err(),
                None => beats += 1,
            }
        };
        assert_eq!((error.kind(), beats), (ErrorKind::TimedOut, 10));
        assert_eq!(start.elapsed(), LIMIT);
        assert_eq!(silence(&a).await, LIMIT, "then it begins anew");
        io::Result::Ok(())
    })
    .unwrap();
}

#[test]
fn a_read_that_was_dropped_long_ago_takes_nothing_from_the_next() {
    run_paused(async {
        let (mut a, _b) = pair().await?;
        a.set_read_timeout(Some(LIMIT))?;
        // The read is made in the future of `block_on`, in a task, and beside tasks that are busy.
        for is_busy in [false, true] {
            assert!(timeout(secs(1), a.read(&mut [0; 8])).await.is_err());
            let busy = Rc::new(Cell::new(is_busy));
            let spinner = spawn({
                let busy = busy.clone();
                async move {
                    while busy.get() {
                        sleep(secs(1)).await;
                        yield_now().await;
                    }
                }
            });
            sleep(2 * LIMIT).await;
            assert_eq!(silence(&a).await, LIMIT, "busy: {is_busy}");
            busy.set(false);
            spinner.await.unwrap();
        }
        spawn(async move {
            assert!(timeout(secs(1), a.read(&mut [0; 8])).await.is_err());
            sleep(2 * LIMIT).await;
            assert_eq!(silence(&a).await, LIMIT);
        })
        .await
        .unwrap();
        io::Result::Ok(())
    })
    .unwrap();
}

/// Such a read cannot be distinguished from one that was dropped.
#[test]
fn a_read_that_is_woken_and_not_polled_begins_anew() {
    run_paused(async {
        let (a, _b) = pair().await?;
        a.set_read_timeout(Some(secs(10)))?;
        let start = Instant::now();
        let mut read = pin!(silence(&a));
        assert!(poll_once(read.as_mut()).await.is_none());
        sleep(secs(12)).await;
        read.await;
        assert!(is_in_time(start.elapsed(), secs(22)), "{:?}", start.elapsed());
        io::Result::Ok(())
    })
    .unwrap();
}

#[test]
fn while_the_loop_never_rests_a_dropped_read_takes_nothing_either() {
    run(async {
        let (mut a, _b) = pair().await?;
        // This is so long that the alarm and the sleep below do not end in the same turn: otherwise the next read
        // would look like an answer to the alarm.
        let limit = Duration::from_millis(40);
        a.set_read_timeout(Some(limit))?;
        let is_over = Rc::new(Cell::new(false));
        let spinner = spawn({
            let is_over = is_over.clone();
            async move {
                while !is_over.get() {
                    yield_now().await;
                }
            }
        });
        let took = spawn(async move {
            // If the system stops this process for long, the timeout of the read itself may be the first one that the
            // loop sees. Then nothing was dropped, and the read begins again.
            while timeout(limit / 5, a.read(&mut [0; 8])).await.is_ok() {}
            sleep(limit * 3).await;
            silence(&a).await
        });
        assert!(took.await.unwrap() >= limit);
        is_over.set(true);
        spinner.await.unwrap();
        io::Result::Ok(())
    })
    .unwrap();
}

#[test]
fn under_load_a_timeout_still_ends_the_wait() {
    run(async {
        let (a, _b) = pair().await?;
        let limit = Duration::from_millis(5);
        a.set_read_timeout(Some(limit))?;
        let is_over = Rc::new(Cell::new(false));
        // There are more tasks than one turn polls, and all of them are always ready.
        let spinners: Vec<_> = (0..500)
            .map(|_| {
                let is_over = is_over.clone();
                spawn(async move {
                    while !is_over.get() {
                        thread::sleep(Duration::from_micros(5));
                        yield_now().await;
                    }
                })
            })
            .collect();
        let took = spawn(async move { (silence(&a).await, silence(&a).await) }).await.unwrap();
        // The task is polled once in a round, which takes some 30 ms. If an answer had been missed, the waits would
        // take longer.
        assert!(took.0 >= limit && took.1 >= limit);
        is_over.set(true);
        for spinner in spinners {
            spinner.await.unwrap();
        }
        io::Result::Ok(())
    })
    .unwrap();
}

#[test]
fn a_limit_set_while_somebody_waits_counts_from_then() {
    run_paused(async {
        let (a, _b) = pair().await?;
        let a = Rc::new(a);
        let start = Instant::now();
        let wait = |how: u8| {
            let a = a.clone();
            spawn(async move {
                let error = match how {
                    0 => (&*a).read(&mut [0; 8]).await.map(drop),
                    _ => a.readable().await,
                };
                assert_eq!(error.unwrap_err().kind(), ErrorKind::TimedOut);
                Instant::now()
            })
        };
        for how in [0, 1] {
            let start = Instant::now();
            a.set_read_timeout(None)?;
            let waiter = wait(how);
            sleep(secs(5)).await;
            // The timeout is set for the first time, made longer, and made shorter.
            a.set_read_timeout(Some(secs(10)))?;
            sleep(secs(5)).await;
            a.set_read_timeout(Some(secs(100)))?;
            sleep(secs(50)).await;
            a.set_read_timeout(Some(secs(7)))?;
            assert_eq!(waiter.await.unwrap() - start, secs(67), "{how}");
        }
        // The timeout is removed.
        a.set_read_timeout(Some(secs(10)))?;
        let waiter = wait(0);
        sleep(secs(5)).await;
        a.set_read_timeout(None)?;
        sleep(secs(500)).await;
        assert!(!waiter.is_finished());
        waiter.abort();
        assert!(start.elapsed() < NEVER);
        io::Result::Ok(())
    })
    .unwrap();
}

/// The wait whose old timeout ends has a new one by then.
#[test]
fn a_limit_set_just_when_it_is_reached_counts_from_then() {
    run_paused(async {
        let (a, _b) = pair().await?;
        a.set_read_timeout(Some(secs(10)))?;
        let a = Rc::new(a);
        let reading = spawn({
            let a = a.clone();
            async move { silence(&a).await }
        });
        let setting = spawn(async move {
            sleep(secs(9)).await;
            a.set_read_timeout(Some(secs(100)))
        });
        yield_now().await;
        // The sleep and the alarm end in one turn, in this order.
        advance(secs(11)).await;
        setting.await.unwrap()?;
        let took = reading.await.unwrap();
        assert!(is_in_time(took, secs(111)), "{took:?}");
        io::Result::Ok(())
    })
    .unwrap();
}

#[test]
fn a_limit_beyond_all_time_is_none() {
    run_paused(async {
        let (a, _b) = pair().await?;
        for limit in [Duration::MAX, Duration::from_nanos(u64::MAX), Duration::from_nanos(u64::MAX >> 1)] {
            a.set_read_timeout(Some(limit))?;
            assert!(timeout(secs(3_000_000_000), (&a).read(&mut [0])).await.is_err());
            assert!(timeout(secs(1_000_000), a.readable()).await.is_err());
        }
        io::Result::Ok(())
    })
    .unwrap();
}

#[test]
fn the_clock_moved_by_hand_reaches_a_deadline() {
    run(async {
        time::pause();
        let (mut a, _b) = pair().await?;
        a.set_read_timeout(Some(LIMIT))?;
        let reader = spawn(async move { a.read(&mut [0; 8]).await });
        yield_now().await;
        let _guard = time::inhibit_auto_advance();
        advance(LIMIT - Duration::from_millis(1)).await;
        assert!(!reader.is_finished());
        advance(Duration::from_millis(1)).await;
        assert_eq!(reader.await.unwrap().unwrap_err().kind(), ErrorKind::TimedOut);
        io::Result::Ok(())
    })
    .unwrap();
}

#[test]
fn a_stream_that_is_dropped_or_given_back_leaves_no_alarm() {
    let _watchdog = watchdog();
    let runtime = Runtime::new().unwrap();
    let (mut a, b) = runtime.block_on(pair()).unwrap();
    let start = std::time::Instant::now();
    runtime.block_on(async {
        b.set_read_timeout(Some(NEVER)).unwrap();
        a.set_read_timeout(Some(Duration::from_millis(40))).unwrap();
        assert!(poll_once(a.read(&mut [0])).await.is_none());
        assert!(poll_once(b.readable()).await.is_none());
        drop(a.into_std());
        drop(b);
        // Only this sleep is armed.
        let before = runtime.metrics().turns;
        sleep(Duration::from_millis(80)).await;
        assert!(runtime.metrics().turns - before <= 3);
    });
    assert!(start.elapsed() >= Duration::from_millis(80));
}

#[test]
fn a_runtime_that_goes_takes_the_alarm_with_it_and_the_next_sets_its_own() {
    let _watchdog = watchdog();
    let runtime = Runtime::new().unwrap();
    let (mut a, mut b) = runtime.block_on(pair()).unwrap();
    a.set_read_timeout(Some(Duration::from_millis(20))).unwrap();
    runtime.block_on(async { assert!(poll_once(a.read(&mut [0])).await.is_none()) });
    drop(runtime);
    for _ in 0..3 {
        let runtime = Runtime::new().unwrap();
        runtime.block_on(async {
            assert!(silence(&a).await >= Duration::from_millis(20));
            b.write_all(&[1]).await.unwrap();
            assert_eq!(a.read(&mut [0; 8]).await.unwrap(), 1);
            assert!(poll_once(a.read(&mut [0])).await.is_none());
        });
    }
}

#[test]
fn a_stream_moves_to_another_runtime_with_its_alarm_armed() {
    let _watchdog = watchdog();
    let limit = Duration::from_millis(30);
    let here = Runtime::new().unwrap();
    let (mut a, mut b) = here.block_on(pair()).unwrap();
    a.set_read_timeout(Some(limit)).unwrap();
    here.block_on(async { assert!(poll_once(a.read(&mut [0])).await.is_none()) });
    let (sender, receiver) = channel();
    let (end, ended) = channel::<()>();
    let there = thread::spawn(move || {
        let there = Runtime::new().unwrap();
        there.block_on(async {
            // The first alarm fires in that runtime, and no task waits for it.
            assert!(silence(&a).await >= limit);
            assert!(silence(&a).await >= limit);
            assert!(poll_once(a.read(&mut [0])).await.is_none());
        });
        sender.send(a).unwrap();
        // The runtime exists until the test ends.
        assert!(ended.recv().is_err());
    });
    here.block_on(sleep(limit * 2));
    let mut a = receiver.recv().unwrap();
    here.block_on(async {
        // The stream is back in the first runtime.
        assert!(silence(&a).await >= limit);
        b.write_all(&[1]).await.unwrap();
        assert_eq!(a.read(&mut [0; 8]).await.unwrap(), 1);
        assert!(silence(&a).await >= limit);
        // Another thread sets the timeout for the task that waits here.
        a.set_read_timeout(Some(NEVER)).unwrap();
        let (a, started) = (std::sync::Arc::new(a), std::time::Instant::now());
        let other = a.clone();
        let setter = thread::spawn(move || {
            thread::sleep(Duration::from_millis(5));
            other.set_read_timeout(Some(limit)).unwrap();
        });
        assert!(silence(&a).await >= limit);
        assert!(started.elapsed() >= limit + Duration::from_millis(5));
        setter.join().unwrap();
    });
    drop(end);
    there.join().unwrap();
}
