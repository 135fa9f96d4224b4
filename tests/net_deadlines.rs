//! Law: a deadline is never early. Limits on how long a stream may wait, with the clock stopped and with it
//! going; what ends a wait, and what does not.

mod net_support;

use futures_lite::future::{or, zip};
use net_support::{half_std_pair, pair, poll_once, run, until, watchdog};
use runtime::io::{AsyncReadExt, AsyncWriteExt, Interest};
use runtime::net::TcpStream;
use runtime::task::yield_now;
use runtime::time::{self, Instant, advance, sleep, timeout};
use runtime::{Runtime, spawn};
use std::cell::Cell;
use std::io::{self, ErrorKind, Read, Write};
use std::pin::pin;
use std::rc::Rc;
use std::sync::mpsc::channel;
use std::thread;
use std::time::Duration;

const LIMIT: Duration = Duration::from_secs(32);
const NEVER: Duration = Duration::from_secs(1 << 40);

fn secs(secs: u64) -> Duration {
    Duration::from_secs(secs)
}

/// Runs with the clock stopped: it moves by itself when nothing is left to do.
fn run_paused<T>(future: impl Future<Output = T>) -> T {
    run(async {
        time::pause();
        future.await
    })
}

/// A read that is to time out: how long that takes.
async fn silence(stream: &TcpStream) -> Duration {
    let start = Instant::now();
    let error = (&*stream).read(&mut [0; 64]).await.expect_err("nothing has come");
    assert_eq!((error.kind(), error.raw_os_error()), (ErrorKind::TimedOut, None));
    start.elapsed()
}

/// The least it may take, and the most that it should.
fn is_in_time(took: Duration, limit: Duration) -> bool {
    took >= limit && took <= limit + limit / 32 + Duration::from_millis(1)
}

/// Fills a stream, so that a write has to wait.
fn fill(stream: &TcpStream) -> usize {
    let mut sent = 0;
    loop {
        match stream.try_write(&[7; 65536]) {
            Ok(count) => sent += count,
            Err(error) if error.kind() == ErrorKind::WouldBlock => return sent,
            Err(error) => panic!("{error}"),
        }
    }
}

#[test]
fn a_limit_is_what_it_was_set_to_and_zero_is_refused() {
    run(async {
        let (a, _b) = pair().await?;
        assert_eq!((a.read_timeout()?, a.write_timeout()?), (None, None));
        a.set_read_timeout(None)?;
        a.set_read_timeout(Some(LIMIT))?;
        a.set_write_timeout(Some(Duration::from_nanos(1)))?;
        assert_eq!((a.read_timeout()?, a.write_timeout()?), (Some(LIMIT), Some(Duration::from_nanos(1))));
        let error = a.set_read_timeout(Some(Duration::ZERO)).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
        assert_eq!(a.read_timeout()?, Some(LIMIT), "it stays as it was");
        a.set_read_timeout(None)?;
        assert_eq!(a.read_timeout()?, None);
        io::Result::Ok(())
    })
    .unwrap();
}

#[test]
fn a_read_that_has_waited_so_long_fails_and_the_stream_stays_usable() {
    run_paused(async {
        let (a, mut b) = pair().await?;
        a.set_read_timeout(Some(LIMIT))?;
        for _ in 0..3 {
            assert_eq!(silence(&a).await, LIMIT, "nothing was before, so it is exact");
        }
        b.write_all(b"at last").await?;
        let mut buffer = [0; 64];
        assert_eq!((&a).read(&mut buffer).await?, 7);
        assert!(is_in_time(silence(&a).await, LIMIT));
        drop(b);
        assert_eq!((&a).read(&mut buffer).await?, 0, "the end is no silence");
        io::Result::Ok(())
    })
    .unwrap();
}

#[test]
fn each_message_gives_the_next_its_full_time() {
    run_paused(async {
        let (mut a, mut b) = pair().await?;
        a.set_read_timeout(Some(LIMIT))?;
        let reader = async {
            let mut buffer = [0; 64];
            for _ in 0..200 {
                assert_eq!(a.read(&mut buffer).await?, 1);
            }
            Ok::<_, io::Error>(silence(&a).await)
        };
        let writer = async {
            for n in 0..200 {
                // From none to all but a moment.
                sleep(LIMIT * (n * 61 % 100) / 100).await;
                b.write_all(&[1]).await?;
            }
            Ok::<_, io::Error>(())
        };
        let (took, written) = zip(reader, writer).await;
        written?;
        let took = took?;
        assert!(is_in_time(took, LIMIT), "{took:?}");
        io::Result::Ok(())
    })
    .unwrap();
}

#[test]
fn however_long_ago_the_alarm_was_set_it_is_never_early_and_little_late() {
    run_paused(async {
        let (a, mut b) = pair().await?;
        let a = Rc::new(a);
        a.set_read_timeout(Some(LIMIT))?;
        // By hand, so that there are many turns, and none of them waits.
        let _guard = time::inhibit_auto_advance();
        for n in 0..20u64 {
            // The last message of a burst comes at any time after the alarm has been set.
            for _ in 0..n % 7 {
                for _ in 0..n * 733 % 90 {
                    advance(Duration::from_millis(97)).await;
                }
                b.write_all(&[1]).await?;
                assert_eq!((&*a).read(&mut [0; 8]).await?, 1);
                assert!(poll_once((&*a).read(&mut [0; 8])).await.is_none());
            }
            let silent = spawn({
                let a = a.clone();
                async move { silence(&a).await }
            });
            yield_now().await;
            while !silent.is_finished() {
                advance(Duration::from_millis(97)).await;
            }
            let took = silent.await.unwrap();
            assert!(took >= LIMIT && took <= LIMIT + LIMIT / 32 + secs(1), "{n}: {took:?}");
        }
        io::Result::Ok(())
    })
    .unwrap();
}

#[test]
fn with_the_clock_going_it_is_never_early() {
    run(async {
        let (mut a, mut b) = pair().await?;
        for limit in [1, 50, 1_000, 5_000, 20_000].map(Duration::from_micros) {
            a.set_read_timeout(Some(limit))?;
            for n in 0..10 {
                let start = std::time::Instant::now();
                if n % 3 > 0 {
                    b.write_all(&[1]).await?;
                    while let Err(error) = a.read(&mut [0; 8]).await {
                        assert_eq!(error.kind(), ErrorKind::TimedOut);
                    }
                }
                let start = if n % 3 > 0 { std::time::Instant::now() } else { start };
                assert!(silence(&a).await >= limit);
                assert!(start.elapsed() >= limit, "{limit:?}");
            }
        }
        io::Result::Ok(())
    })
    .unwrap();
}

#[test]
fn a_write_that_has_waited_so_long_fails() {
    run_paused(async {
        let (mut ours, mut other) = half_std_pair()?;
        ours.set_write_timeout(Some(LIMIT))?;
        let sent = fill(&ours);
        for _ in 0..3 {
            let start = Instant::now();
            assert_eq!(ours.write(&[7]).await.unwrap_err().kind(), ErrorKind::TimedOut);
            assert_eq!(start.elapsed(), LIMIT);
        }
        let reader = thread::spawn(move || {
            other.read_exact(&mut vec![0; sent]).unwrap();
            other
        });
        let _guard = time::inhibit_auto_advance();
        ours.write_all(&[8]).await?;
        reader.join().unwrap();
        io::Result::Ok(())
    })
    .unwrap();
}

/// As with `SO_SNDTIMEO`; a timeout around it limits the whole.
#[test]
fn a_long_write_may_wait_as_long_each_time_that_something_was_taken() {
    run_paused(async {
        for whole in [None, Some(2 * LIMIT)] {
            let (mut ours, mut other) = half_std_pair()?;
            ours.set_write_timeout(Some(LIMIT))?;
            other.set_nonblocking(true)?;
            let start = Instant::now();
            let taking = spawn(async move {
                let mut buffer = vec![0; 1 << 20];
                for taken in 0.. {
                    sleep(LIMIT * 3 / 4).await;
                    // All that is there, or it may not suffice to tell the writer that there is room.
                    while let Ok(count) = other.read(&mut buffer) {
                        if count == 0 {
                            return taken;
                        }
                    }
                }
                unreachable!()
            });
            let bytes = vec![7; 40 << 20];
            match whole {
                None => ours.write_all(&bytes).await?,
                Some(whole) => {
                    assert!(timeout(whole, ours.write_all(&bytes)).await.is_err());
                    assert_eq!(start.elapsed(), whole);
                }
            }
            assert!(start.elapsed() >= 2 * LIMIT, "{:?}", start.elapsed());
            drop(ours);
            assert!(taking.await.unwrap() >= 2);
        }
        io::Result::Ok(())
    })
    .unwrap();
}

#[test]
fn the_two_sides_have_their_own_time() {
    run_paused(async {
        let (ours, _other) = half_std_pair()?;
        ours.set_read_timeout(Some(secs(20)))?;
        ours.set_write_timeout(Some(secs(30)))?;
        fill(&ours);
        let start = Instant::now();
        let write = async { ((&ours).write(&[7]).await, start.elapsed()) };
        let read = async { ((&ours).read(&mut [0]).await, start.elapsed()) };
        let ((written, write_took), (read, read_took)) = zip(write, read).await;
        assert_eq!(written.unwrap_err().kind(), ErrorKind::TimedOut);
        assert_eq!(read.unwrap_err().kind(), ErrorKind::TimedOut);
        assert_eq!((read_took, write_took), (secs(20), secs(30)));
        io::Result::Ok(())
    })
    .unwrap();
}

#[test]
fn halves_have_the_limits_of_their_stream() {
    run_paused(async {
        let (mut a, b) = pair().await?;
        a.set_read_timeout(Some(secs(5)))?;
        let start = Instant::now();
        let (mut reader, _writer) = a.split();
        assert_eq!(reader.read(&mut [0]).await.unwrap_err().kind(), ErrorKind::TimedOut);
        b.set_read_timeout(Some(secs(7)))?;
        let (mut reader, writer) = b.into_split();
        let task = spawn(async move { (reader.read(&mut [0]).await.unwrap_err().kind(), Instant::now()) });
        let (kind, end) = task.await.unwrap();
        assert_eq!((kind, end - start), (ErrorKind::TimedOut, secs(12)));
        drop(writer);
        io::Result::Ok(())
    })
    .unwrap();
}

#[test]
fn whoever_waits_by_a_method_of_the_stream_has_a_time_of_its_own() {
    run_paused(async {
        let (a, mut b) = pair().await?;
        a.set_read_timeout(Some(secs(10)))?;
        let start = Instant::now();
        let after = |delay| {
            let a = &a;
            async move {
                sleep(secs(delay)).await;
                let error = a.readable().await.unwrap_err();
                assert_eq!(error.kind(), ErrorKind::TimedOut);
                start.elapsed()
            }
        };
        let ((first, second), third) = zip(zip(after(0), after(3)), after(4)).await;
        assert_eq!([first, second, third], [secs(10), secs(13), secs(14)]);

        let mut buffer = [0; 4];
        assert_eq!(a.peek(&mut buffer).await.unwrap_err().kind(), ErrorKind::TimedOut);
        assert_eq!(start.elapsed(), secs(24));
        assert_eq!(a.ready(Interest::READABLE).await.unwrap_err().kind(), ErrorKind::TimedOut);
        assert_eq!(start.elapsed(), secs(34));
        // Its time ends with it.
        assert!(timeout(secs(6), a.readable()).await.is_err());
        assert!(timeout(secs(6), a.readable()).await.is_err());
        assert!(a.ready(Interest::READABLE | Interest::WRITABLE).await?.is_writable());
        b.write_all(b"data").await?;
        a.readable().await?;
        assert_eq!(a.peek(&mut buffer).await?, 4);
        io::Result::Ok(())
    })
    .unwrap();
}

#[test]
fn reads_that_replace_each_other_share_their_time() {
    run_paused(async {
        let (mut a, _b) = pair().await?;
        a.set_read_timeout(Some(LIMIT))?;
        let start = Instant::now();
        let mut beats = 0;
        // As a loop around `select`: the read is made anew with each beat.
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
        // From the future of block_on, from a task, and with others that have much to do.
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

/// It cannot be told from one that was dropped.
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
        // Long enough that the alarm and the sleep below do not end in one turn: then the next read would look
        // like an answer to the alarm.
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
            assert!(timeout(limit / 5, a.read(&mut [0; 8])).await.is_err());
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
fn under_load_the_deadline_is_heard_of_all_the_same() {
    run(async {
        let (a, _b) = pair().await?;
        let limit = Duration::from_millis(5);
        a.set_read_timeout(Some(limit))?;
        let is_over = Rc::new(Cell::new(false));
        // More tasks than one turn polls, all of which are always ready.
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
        // Polled once in a round, which takes some 30 ms; had an answer been missed, these were more.
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
            // First of all; longer; shorter.
            a.set_read_timeout(Some(secs(10)))?;
            sleep(secs(5)).await;
            a.set_read_timeout(Some(secs(100)))?;
            sleep(secs(50)).await;
            a.set_read_timeout(Some(secs(7)))?;
            assert_eq!(waiter.await.unwrap() - start, secs(67), "{how}");
        }
        // Taken away.
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

/// Whoever hears of the end of the old time has a new one by then.
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
        // Nothing is armed any more: only this.
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
            // The first alarm rings over there, for nobody.
            assert!(silence(&a).await >= limit);
            assert!(silence(&a).await >= limit);
            assert!(poll_once(a.read(&mut [0])).await.is_none());
        });
        sender.send(a).unwrap();
        // The runtime stays.
        assert!(ended.recv().is_err());
    });
    here.block_on(sleep(limit * 2));
    let mut a = receiver.recv().unwrap();
    here.block_on(async {
        // Back again.
        assert!(silence(&a).await >= limit);
        b.write_all(&[1]).await.unwrap();
        assert_eq!(a.read(&mut [0; 8]).await.unwrap(), 1);
        assert!(silence(&a).await >= limit);
        // Set on another thread, for one who waits here.
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

#[test]
fn what_is_taken_by_others_ends_a_wait() {
    run_paused(async {
        let (ours, mut other) = half_std_pair()?;
        ours.set_read_timeout(Some(LIMIT))?;
        for how in 0..3 {
            assert!(poll_once((&ours).read(&mut [0; 8])).await.is_none());
            sleep(LIMIT - secs(2)).await;
            other.write_all(&[1])?;
            match how {
                0 => until(|| ours.try_read(&mut [0; 8]).is_ok()).await,
                1 => ours.readable().await.and_then(|()| ours.try_read(&mut [0; 8]).map(drop))?,
                _ => drop(ours.async_io(Interest::READABLE, || ours.try_read(&mut [0; 8])).await),
            }
            let took = silence(&ours).await;
            assert!(is_in_time(took, LIMIT), "{how}: {took:?}");
        }
        io::Result::Ok(())
    })
    .unwrap();
}

#[test]
fn a_thousand_streams_time_out_each_at_its_own_time() {
    run_paused(async {
        let mut ends = Vec::new();
        let mut tasks = Vec::new();
        let start = Instant::now();
        for n in 0..100u64 {
            let (mut a, b) = pair().await?;
            let limit = secs(n * 7 % 100 + 1);
            a.set_read_timeout(Some(limit))?;
            let (mut other, b) = (b.into_split().1, ());
            ends.push(b);
            tasks.push(spawn(async move {
                sleep(secs(n % 10)).await;
                other.write_all(&[1]).await.unwrap();
                drop(poll_once(other.write(&[])).await);
                // Kept open.
                sleep(NEVER).await;
            }));
            tasks.push(spawn(async move {
                let mut buffer = [0; 8];
                let mut last = start;
                loop {
                    match a.read(&mut buffer).await {
                        Ok(_) => last = Instant::now(),
                        Err(error) => {
                            assert_eq!(error.kind(), ErrorKind::TimedOut);
                            let took = last.elapsed();
                            assert!(is_in_time(took, limit), "{took:?} of {limit:?}");
                            return;
                        }
                    }
                }
            }));
        }
        for (index, task) in tasks.into_iter().enumerate() {
            match index % 2 {
                0 => drop(task),
                _ => task.await.unwrap(),
            }
        }
        io::Result::Ok(())
    })
    .unwrap();
}

#[test]
fn a_unix_stream_has_limits_too() {
    run_paused(async {
        let (mut ours, other) = runtime::net::UnixStream::pair()?;
        ours.set_read_timeout(Some(LIMIT))?;
        assert_eq!((ours.read_timeout()?, ours.write_timeout()?), (Some(LIMIT), None));
        let start = Instant::now();
        let error = ours.read(&mut [0; 8]).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::TimedOut);
        assert!(is_in_time(start.elapsed(), LIMIT));
        other.try_write(b"late")?;
        assert_eq!(ours.read(&mut [0; 8]).await?, 4);
        io::Result::Ok(())
    })
    .unwrap();
}
