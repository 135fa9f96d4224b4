//! Law: the timeout of a stream is never early. How long a read or a write may wait, what ends a wait, and what does not,
//! with the clock paused and with it running. What changes during a wait is in `net_deadlines_changes.rs`.

mod net_support;

use futures_lite::future::zip;
use net_support::deadlines::{LIMIT, NEVER, is_in_time, run_paused, secs, silence};
use net_support::{half_std_pair, pair, poll_once, run, until};
use runtime::io::{AsyncReadExt, AsyncWriteExt, Interest};
use runtime::net::TcpStream;
use runtime::spawn;
use runtime::task::yield_now;
use runtime::time::{self, Instant, advance, sleep, timeout};
use std::io::{self, ErrorKind, Read, Write};
use std::rc::Rc;
use std::thread;
use std::time::Duration;

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
            let (mut buffer, mut received) = ([0; 64], 0);
            while received < 200 {
                // Two messages may arrive together, if there was no time between them.
                let count = a.read(&mut buffer).await?;
                assert_ne!(count, 0);
                received += count;
            }
            Ok::<_, io::Error>(silence(&a).await)
        };
        let writer = async {
            for n in 0..200 {
                // The sleep lasts from none to nearly all of the limit.
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
        // The clock is moved by hand, so that there are many turns, none of which waits.
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

/// This is as with `SO_SNDTIMEO`; a `timeout` around the write limits the whole of it.
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
                    // The reader takes everything, or there may not be enough room for an event for the writer.
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
fn a_wait_by_a_method_of_the_stream_has_a_time_of_its_own() {
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
        // The time of a wait ends with the wait.
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
                // The stream is kept open.
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
