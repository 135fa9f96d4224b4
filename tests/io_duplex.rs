//! Streams within the process: `duplex` and `simplex`, and the combinators `split` and `join`.

mod net_support;

use futures_lite::future::try_zip;
use net_support::{poll_once, run, watchdog};
use runtime::io::{
    AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufReader, DuplexStream, ReadHalf,
    SimplexStream, WriteHalf, duplex, empty, join, repeat, simplex, sink, split,
};
use runtime::spawn;
use runtime::task::yield_now;
use std::cell::{Cell, RefCell};
use std::io::{ErrorKind, IoSlice};
use std::pin::Pin;
use std::rc::Rc;
use std::sync::{Arc, Mutex};
use std::task::{Context, Wake, Waker};
use std::{io, thread};

const MIB: usize = 1 << 20;

fn pattern(length: usize) -> Vec<u8> {
    (0..length).map(|n| (n % 251) as u8).collect()
}

#[test]
fn ends_go_to_other_threads() {
    fn of_many_threads<T: Send + Sync>() {}
    of_many_threads::<DuplexStream>();
    of_many_threads::<SimplexStream>();
    of_many_threads::<ReadHalf<DuplexStream>>();
    of_many_threads::<WriteHalf<SimplexStream>>();
}

#[test]
fn as_much_is_under_way_as_was_said() {
    run(async {
        let (mut a, mut b) = duplex(10);
        assert_eq!(a.write(&[1; 8]).await?, 8);
        assert_eq!(a.write(&[2; 8]).await?, 2);
        assert!(poll_once(a.write(&[3; 8])).await.is_none());
        let mut buffer = [0; 4];
        assert_eq!(b.read(&mut buffer).await?, 4);
        assert_eq!(a.write_vectored(&[IoSlice::new(&[4; 3]), IoSlice::new(&[5; 3])]).await?, 4);
        drop(a);
        let mut rest = Vec::new();
        b.read_to_end(&mut rest).await?;
        assert_eq!(rest, [1, 1, 1, 1, 2, 2, 4, 4, 4, 5]);
        io::Result::Ok(())
    })
    .unwrap();
}

#[test]
#[should_panic(expected = "at least 1")]
fn a_stream_of_no_room_is_refused() {
    drop(duplex(0));
}

#[test]
fn an_end_that_is_gone_is_told_from_one_that_has_closed() {
    run(async {
        let mut byte = [0];
        // When the other end is closed, its data and its end can be read, and it can still be written to.
        let (mut a, mut b) = duplex(64);
        a.write_all(b"last").await?;
        a.close().await?;
        a.close().await?;
        assert_eq!(a.write(b"more").await.unwrap_err().kind(), ErrorKind::BrokenPipe);
        let mut text = String::new();
        b.read_to_string(&mut text).await?;
        assert_eq!((text.as_str(), b.read(&mut byte).await?), ("last", 0));
        b.write_all(b"answer").await?;
        // When the other end is dropped, the same can be read, and a write fails.
        drop(b);
        text.clear();
        assert_eq!(a.read_to_string(&mut text).await?, 6);
        let (mut a, b) = duplex(64);
        drop(b);
        assert_eq!(a.write(b"more").await.unwrap_err().kind(), ErrorKind::BrokenPipe);
        assert_eq!(a.read(&mut byte).await?, 0);
        io::Result::Ok(())
    })
    .unwrap();
}

#[test]
fn nothing_is_no_end_and_no_error() {
    run(async {
        let (mut a, mut b) = duplex(1);
        assert_eq!((a.read(&mut []).await?, a.write(&[]).await?), (0, 0));
        assert_eq!(a.write_vectored(&[IoSlice::new(&[]), IoSlice::new(&[])]).await?, 0);
        a.write_all(&[1]).await?;
        assert_eq!(a.write(&[]).await?, 0, "though there is no room");
        assert_eq!(b.read(&mut []).await?, 0);
        assert_eq!(b.read(&mut [0; 5]).await?, 1);
        io::Result::Ok(())
    })
    .unwrap();
}

#[test]
fn whoever_waits_is_woken_by_data_room_close_and_drop() {
    run(async {
        let waits = |mut stream: DuplexStream| {
            spawn(async move { (stream.read(&mut [0; 8]).await.map_err(|error| error.kind()), stream) })
        };
        let (mut a, b) = duplex(4);
        let reading = waits(b);
        yield_now().await;
        a.write_all(b"x").await?;
        let (read, b) = reading.await.unwrap();
        assert_eq!(read, Ok(1));
        let reading = waits(b);
        yield_now().await;
        a.close().await?;
        let (read, mut b) = reading.await.unwrap();
        assert_eq!(read, Ok(0));

        b.write_all(&[0; 4]).await?;
        let writing = spawn(async move { (b.write(&[0; 4]).await, b) });
        yield_now().await;
        assert_eq!(a.read(&mut [0; 3]).await?, 3);
        let (written, mut b) = writing.await.unwrap();
        assert_eq!(written?, 3);
        let writing = spawn(async move { b.write(&[0; 4]).await });
        yield_now().await;
        drop(a);
        assert_eq!(writing.await.unwrap().unwrap_err().kind(), ErrorKind::BrokenPipe);
        io::Result::Ok(())
    })
    .unwrap();
}

#[test]
fn who_waits_for_room_hears_that_another_has_closed() {
    run(async {
        let (stream, _other) = duplex(4);
        let stream = Rc::new(RefCell::new(stream));
        let writing = spawn({
            let stream = stream.clone();
            async move {
                std::future::poll_fn(|cx| Pin::new(&mut *stream.borrow_mut()).poll_write(cx, b"word"))
                    .await?;
                std::future::poll_fn(|cx| Pin::new(&mut *stream.borrow_mut()).poll_write(cx, b"more")).await
            }
        });
        yield_now().await;
        let mut cx = Context::from_waker(Waker::noop());
        assert!(Pin::new(&mut *stream.borrow_mut()).poll_close(&mut cx).is_ready());
        assert_eq!(writing.await.unwrap().unwrap_err().kind(), ErrorKind::BrokenPipe);
    });
}

#[test]
fn much_goes_both_ways_between_threads() {
    let _watchdog = watchdog();
    let (a, b) = duplex(1000);
    async fn exchange(stream: DuplexStream) -> io::Result<bool> {
        let data = pattern(MIB);
        let (mut reader, mut writer) = split(stream);
        let sending = async {
            writer.write_all(&data).await?;
            writer.close().await
        };
        let mut got = Vec::new();
        try_zip(sending, reader.read_to_end(&mut got)).await?;
        Ok(got == data)
    }
    let other = thread::spawn(|| runtime::block_on(exchange(b)).unwrap());
    assert!(runtime::block_on(exchange(a)).unwrap() && other.join().unwrap());
}

#[test]
fn streams_without_end_let_others_have_their_turn() {
    async fn busily(rounds: Rc<Cell<usize>>, mut round: impl AsyncFnMut()) {
        loop {
            round().await;
            rounds.set(rounds.get() + 1);
        }
    }
    run(async {
        let rounds: [Rc<Cell<usize>>; 4] = Default::default();
        let busy = [
            spawn(busily(rounds[0].clone(), async || {
                empty().read(&mut [0; 8]).await.unwrap();
            })),
            spawn(busily(rounds[1].clone(), async || {
                repeat(7).read_exact(&mut [0; 8]).await.unwrap();
            })),
            spawn(busily(rounds[2].clone(), async || sink().write_all(&[0; 8]).await.unwrap())),
            spawn(busily(rounds[3].clone(), async || {
                assert_eq!(empty().fill_buf().await.unwrap(), b"");
            })),
        ];
        for turn in 1..10 {
            yield_now().await;
            for rounds in &rounds {
                assert!(rounds.get() <= turn * 200, "{} rounds in {turn} turns", rounds.get());
            }
        }
        assert!(rounds.iter().all(|rounds| rounds.get() > 100));
        busy.iter().for_each(|busy| busy.abort());
    });
}

#[test]
fn one_that_is_always_ready_lets_others_have_their_turn() {
    run(async {
        let rounds = Rc::new(Cell::new(0));
        let busy = spawn({
            let rounds = rounds.clone();
            async move {
                let (mut a, mut b) = duplex(64);
                loop {
                    a.write_all(&[1]).await.unwrap();
                    b.read_exact(&mut [0]).await.unwrap();
                    rounds.set(rounds.get() + 1);
                }
            }
        });
        for turn in 1..10 {
            yield_now().await;
            assert!(rounds.get() <= turn * 200, "{} rounds in {turn} turns", rounds.get());
        }
        busy.abort();
    });
}

/// A waker that uses an end of the stream and drops it, as soon as it is woken or dropped itself.
struct Reentrant(Arc<Mutex<Option<DuplexStream>>>);

impl Reentrant {
    fn use_the_stream(&self) {
        let Some(mut stream) = self.0.lock().unwrap().take() else { return };
        let mut cx = Context::from_waker(Waker::noop());
        let _ = Pin::new(&mut stream).poll_write(&mut cx, b"from a waker");
        let _ = Pin::new(&mut stream).poll_read(&mut cx, &mut [0; 4]);
    }
}

impl Wake for Reentrant {
    fn wake(self: Arc<Self>) {
        self.use_the_stream();
    }
}

impl Drop for Reentrant {
    fn drop(&mut self) {
        self.use_the_stream();
    }
}

#[test]
fn a_waker_may_use_the_stream_it_waits_for() {
    let _watchdog = watchdog();
    let mut cx = Context::from_waker(Waker::noop());
    for case in ["a write", "a close", "a drop", "another in its seat"] {
        let (mut a, mut b) = duplex(64);
        let shared = Arc::new(Mutex::new(None));
        let waker = Waker::from(Arc::new(Reentrant(shared.clone())));
        let waits = Pin::new(&mut a).poll_read(&mut Context::from_waker(&waker), &mut [0; 4]);
        assert!(waits.is_pending());
        if case == "another in its seat" {
            *shared.lock().unwrap() = Some(b);
            drop(waker);
            assert!(Pin::new(&mut a).poll_read(&mut cx, &mut [0; 100]).is_pending());
        } else {
            *shared.lock().unwrap() = Some(a);
            match case {
                "a write" => assert!(Pin::new(&mut b).poll_write(&mut cx, b"x").is_ready()),
                "a close" => assert!(Pin::new(&mut b).poll_close(&mut cx).is_ready()),
                _ => drop(b),
            }
        }
        assert!(shared.lock().unwrap().is_none(), "{case}: the waker has been called");
    }
}

#[test]
fn halves_find_each_other() {
    run(async {
        let (a, mut other) = duplex(64);
        let (b, _other_of_b) = duplex(64);
        let (reader, writer) = split(a);
        let (reader_of_b, writer_of_b) = split(b);
        assert!(reader.is_pair_of(&writer) && writer.is_pair_of(&reader));
        assert!(!reader.is_pair_of(&writer_of_b) && !writer.is_pair_of(&reader_of_b));
        let mut whole = reader.unsplit(writer);
        whole.write_all(b"whole").await?;
        let mut word = [0; 5];
        other.read_exact(&mut word).await?;
        assert_eq!(&word, b"whole");
        let (reader, writer) = split(whole);
        drop(reader);
        assert!(poll_once(other.read(&mut word)).await.is_none(), "half of it is still there");
        drop(writer);
        assert_eq!(other.read(&mut word).await?, 0);
        io::Result::Ok(())
    })
    .unwrap();
}

#[test]
#[should_panic(expected = "not of the same stream")]
fn halves_of_two_streams_make_none() {
    let (reader, _writer) = split(duplex(8).0);
    let (_reader, writer) = split(duplex(8).0);
    drop(reader.unsplit(writer));
}

#[test]
fn a_simplex_goes_one_way_and_ends_by_a_close() {
    run(async {
        let (mut reader, mut writer) = simplex(8);
        let data = pattern(1000);
        let writing = async {
            writer.write_all(&data).await?;
            writer.close().await
        };
        let mut got = Vec::new();
        try_zip(writing, reader.read_to_end(&mut got)).await?;
        assert!(got == data);
        let mut whole = SimplexStream::new_unsplit(8);
        whole.write_all(b"loop").await?;
        let mut word = [0; 4];
        whole.read_exact(&mut word).await?;
        assert_eq!(&word, b"loop");
        io::Result::Ok(())
    })
    .unwrap();
}

#[test]
fn a_simplex_ends_with_either_half() {
    run(async {
        let (mut reader, mut writer) = simplex(8);
        writer.write_all(b"last").await?;
        drop(writer);
        let mut text = String::new();
        assert_eq!(poll_once(reader.read_to_string(&mut text)).await.transpose()?, Some(4));
        assert_eq!(text, "last");

        let (reader, mut writer) = simplex(8);
        writer.write_all(b"unread").await?;
        drop(reader);
        let written = poll_once(writer.write(b"more")).await.expect("it does not wait");
        assert_eq!(written.unwrap_err().kind(), ErrorKind::BrokenPipe);
        writer.close().await?;

        // A write that waits gets the same error.
        let (mut reader, writer) = simplex(8);
        let reading = spawn(async move { reader.read(&mut [0; 8]).await });
        yield_now().await;
        drop(writer);
        yield_now().await;
        assert!(reading.is_finished());
        assert_eq!(reading.await.unwrap()?, 0);
        let (reader, mut writer) = simplex(8);
        let writing = spawn(async move { writer.write_all(&[0; 9]).await });
        yield_now().await;
        drop(reader);
        yield_now().await;
        assert!(writing.is_finished());
        assert_eq!(writing.await.unwrap().unwrap_err().kind(), ErrorKind::BrokenPipe);
        io::Result::Ok(())
    })
    .unwrap();
}

#[test]
fn a_simplex_put_together_again_has_not_ended() {
    run(async {
        let (reader, mut writer) = simplex(8);
        writer.write_all(b"one ").await?;
        let mut whole = reader.unsplit(writer);
        whole.write_all(b"two").await?;
        let mut words = [0; 7];
        whole.read_exact(&mut words).await?;
        assert_eq!(&words, b"one two");
        io::Result::Ok(())
    })
    .unwrap();
}

/// The waker is dropped while the other half, which owns the stream, is polled.
#[test]
fn a_waker_may_drop_the_half_of_a_simplex_that_it_waits_for() {
    struct DropOnWake(Mutex<Option<ReadHalf<SimplexStream>>>);
    impl Wake for DropOnWake {
        fn wake(self: Arc<Self>) {
            let reader = self.0.lock().unwrap().take();
            drop(reader);
        }
    }
    let _watchdog = watchdog();
    let (mut reader, mut writer) = simplex(8);
    let waits = Arc::new(DropOnWake(Mutex::new(None)));
    let waker = Waker::from(waits.clone());
    assert!(Pin::new(&mut reader).poll_read(&mut Context::from_waker(&waker), &mut [0; 8]).is_pending());
    *waits.0.lock().unwrap() = Some(reader);
    let mut cx = Context::from_waker(Waker::noop());
    assert!(Pin::new(&mut writer).poll_write(&mut cx, b"word").is_ready());
    let std::task::Poll::Ready(Err(error)) = Pin::new(&mut writer).poll_write(&mut cx, b"more") else {
        panic!("it is written to nobody");
    };
    assert_eq!(error.kind(), ErrorKind::BrokenPipe);
}

#[test]
fn what_is_joined_is_read_here_and_written_there() {
    run(async {
        let (mut input, reader) = duplex(64);
        let (writer, mut output) = duplex(64);
        let mut joined = join(BufReader::new(reader), writer);
        input.write_all(b"a line\n").await?;
        let mut line = String::new();
        joined.read_line(&mut line).await?;
        joined.write_all(line.as_bytes()).await?;
        joined.close().await?;
        line.clear();
        output.read_to_string(&mut line).await?;
        assert_eq!(line, "a line\n");
        let (_, writer) = joined.into_inner();
        drop(writer);
        io::Result::Ok(())
    })
    .unwrap();
}
