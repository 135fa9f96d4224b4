//! The laws of every stream of bytes while both ends are there: transfers, wakes, halves, and operations that are
//! dropped. Each law is a test of each kind of stream. How a stream ends is in `stream_ends.rs`.
//!
//! The kinds, and how to add one, are in `stream_kinds/mod.rs`. The selector is the one that
//! `RUNTIME_SELECTOR` names.
#![cfg(not(miri))] // Resets, and a lot of bytes.

mod net_support;
mod stream_kinds;

use futures_lite::future::{try_zip, zip};
use net_support::{MIB, pattern, poll_once, until};
use runtime::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use runtime::spawn;
use runtime::task::yield_now;
use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::io::{self, IoSlice, IoSliceMut};
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::Poll;
use stream_kinds::{Kind, fill, laws, skip, turns};

laws! {
    a_read_takes_what_there_is
    one_byte_wakes_the_reader
    room_wakes_the_writer
    empty_operations_neither_wait_nor_end_anything
    many_buffers_are_as_one
    many_buffers_in_pieces
    one_event_wakes_both_sides
    floods_in_a_task_each
    floods_in_one_task
    what_is_given_up_is_neither_lost_nor_doubled
    a_stream_that_is_always_ready_yields
    the_latest_reader_is_woken_and_no_other
    the_latest_writer_is_woken_and_no_other
    halves_that_are_lent
    halves_that_are_owned
}

/// Returns pseudo-random numbers, the same ones in each run.
fn numbers() -> impl FnMut(usize) -> usize {
    let mut state = 1u64;
    move |below| {
        state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (state >> 33) as usize % below
    }
}

async fn a_read_takes_what_there_is<K: Kind>() -> io::Result<()> {
    let (mut a, mut b) = K::pair().await?;
    let data = pattern(1000);
    for is_registered in [false, true] {
        a.write_all(&data).await?;
        let (mut buffer, mut from) = ([0; 900], 0);
        for size in [7, 1, 100, 900] {
            let expected = size.min(data.len() - from);
            assert_eq!(b.read(&mut buffer[..size]).await?, expected, "registered: {is_registered}");
            assert!(buffer[..expected] == data[from..from + expected]);
            from += expected;
        }
        assert_eq!(from, data.len());
        assert!(poll_once(b.read(&mut buffer)).await.is_none());
        // A read that fills its buffer exactly does not know that there is no more data.
        a.write_all(&data[..64]).await?;
        assert_eq!(b.read(&mut buffer[..64]).await?, 64);
        assert!(poll_once(b.read(&mut buffer)).await.is_none());
    }
    Ok(())
}

async fn one_byte_wakes_the_reader<K: Kind>() -> io::Result<()> {
    let (mut a, mut b) = K::pair().await?;
    for byte in 0..3 {
        let reader = spawn(async move {
            let mut buffer = [0; 8];
            let count = b.read(&mut buffer).await?;
            io::Result::Ok((b, buffer[..count].to_vec()))
        });
        turns().await;
        a.write_all(&[byte]).await?;
        let (back, received) = reader.await.unwrap()?;
        assert_eq!(received, [byte]);
        b = back;
    }
    Ok(())
}

async fn room_wakes_the_writer<K: Kind>() -> io::Result<()> {
    let (mut a, mut b) = K::pair().await?;
    for _ in 0..3 {
        let sent = fill(&mut a).await?;
        let writer = spawn(async move {
            a.write_all(&[9; 1000]).await?;
            io::Result::Ok(a)
        });
        turns().await;
        skip(&mut b, sent).await?;
        let mut last = [0; 1000];
        b.read_exact(&mut last).await?;
        assert_eq!(last, [9; 1000]);
        a = writer.await.unwrap()?;
    }
    Ok(())
}

async fn empty_operations_neither_wait_nor_end_anything<K: Kind>() -> io::Result<()> {
    let (mut a, mut b) = K::pair().await?;
    for _ in 0..2 {
        assert_eq!(poll_once(a.read(&mut [])).await.unwrap()?, 0);
        assert_eq!(poll_once(a.write(&[])).await.unwrap()?, 0);
        assert_eq!(poll_once(a.read_vectored(&mut [])).await.unwrap()?, 0);
        assert_eq!(poll_once(a.read_vectored(&mut [IoSliceMut::new(&mut [])])).await.unwrap()?, 0);
        assert_eq!(poll_once(a.write_vectored(&[])).await.unwrap()?, 0);
        let empties = [IoSlice::new(&[]), IoSlice::new(&[])];
        assert_eq!(poll_once(a.write_vectored(&empties)).await.unwrap()?, 0);
        poll_once(a.flush()).await.unwrap()?;
        // These operations had no effect. From here on the stream is registered.
        assert!(poll_once(b.read(&mut [0])).await.is_none());
        assert!(poll_once(a.read(&mut [0])).await.is_none());
    }
    b.write_all(b"x").await?;
    assert_eq!(a.read(&mut []).await?, 0);
    assert_eq!(a.read(&mut [0; 8]).await?, 1);
    a.close().await?;
    assert_eq!(poll_once(b.read(&mut [])).await.unwrap()?, 0);
    assert_eq!(b.read(&mut [0; 8]).await?, 0);
    Ok(())
}

async fn many_buffers_are_as_one<K: Kind>() -> io::Result<()> {
    let (mut a, mut b) = K::pair().await?;
    let slices = [&b""[..], b"one", b"", b"and", b"the other", b""].map(IoSlice::new);
    assert_eq!(a.write_vectored(&slices).await?, 15);
    let (mut first, mut second, mut third) = ([0; 4], [0; 0], [0; 100]);
    let mut buffers = [&mut second[..], &mut first[..], &mut third[..]].map(IoSliceMut::new);
    let count = b.read_vectored(&mut buffers).await?;
    if K::FILLS_SEVERAL {
        assert_eq!((count, &third[..11]), (15, &b"ndthe other"[..]));
    } else {
        assert_eq!(count, 4);
        b.read_exact(&mut third[..11]).await?;
    }
    assert_eq!((&first, &third[..11]), (b"onea", &b"ndthe other"[..]));
    let mut buffers = [&mut first[..], &mut third[..]].map(IoSliceMut::new);
    assert!(poll_once(b.read_vectored(&mut buffers)).await.is_none());
    Ok(())
}

async fn many_buffers_in_pieces<K: Kind>() -> io::Result<()> {
    let (mut a, mut b) = K::pair().await?;
    let data = pattern(4 * MIB);
    let writer = async {
        let mut sent = 0;
        while sent < data.len() {
            // There are some two thousand slices, of which the kernel takes the first thousand at most.
            let slices: Vec<IoSlice<'_>> =
                data[sent..].chunks(1 + sent % 999).take(2000).map(IoSlice::new).collect();
            sent += a.write_vectored(&slices).await?;
        }
        a.close().await
    };
    let reader = async {
        let (mut received, mut buffer) = (Vec::new(), vec![0; 300_000]);
        loop {
            let size = 1 + received.len() % 777;
            let mut buffers: Vec<IoSliceMut<'_>> = buffer.chunks_mut(size).map(IoSliceMut::new).collect();
            match b.read_vectored(&mut buffers).await? {
                0 => return Ok(received),
                count => received.extend_from_slice(&buffer[..count]),
            }
        }
    };
    let ((), received) = try_zip(writer, reader).await?;
    assert!(received == data);
    Ok(())
}

async fn one_event_wakes_both_sides<K: Kind>() -> io::Result<()> {
    let (mut a, b) = K::pair().await?;
    let (mut reader, mut writer) = K::into_split(b);
    for _ in 0..3 {
        let sent = fill(&mut writer).await?;
        let read = spawn(async move {
            let count = reader.read(&mut [0; 8]).await?;
            io::Result::Ok((reader, count))
        });
        let write = spawn(async move {
            writer.write_all(&[9]).await?;
            io::Result::Ok(writer)
        });
        turns().await;
        assert!(!read.is_finished() && !write.is_finished());
        // There is something to read and room to write before the loop turns again.
        assert_eq!(poll_once(a.write(b"x")).await.unwrap()?, 1);
        skip(&mut a, sent).await?;
        let (back, count) = read.await.unwrap()?;
        assert_eq!(count, 1);
        (reader, writer) = (back, write.await.unwrap()?);
        skip(&mut a, 1).await?;
    }
    Ok(())
}

async fn write_much(mut to: impl AsyncWrite + Unpin, mib: usize) -> io::Result<()> {
    let block = pattern(MIB);
    for _ in 0..mib {
        to.write_all(&block).await?;
    }
    to.close().await
}

async fn read_much(mut from: impl AsyncRead + Unpin, mib: usize) -> io::Result<()> {
    let (block, mut buffer) = (pattern(MIB), vec![0; MIB]);
    for _ in 0..mib {
        from.read_exact(&mut buffer).await?;
        assert!(buffer == block);
    }
    assert_eq!(from.read(&mut buffer).await?, 0);
    Ok(())
}

async fn floods_in_a_task_each<K: Kind>() -> io::Result<()> {
    let (a, b) = K::pair().await?;
    let mut tasks = Vec::new();
    for stream in [a, b] {
        let (reader, writer) = K::into_split(stream);
        tasks.extend([spawn(write_much(writer, 64)), spawn(read_much(reader, 64))]);
    }
    for task in tasks {
        task.await.unwrap()?;
    }
    Ok(())
}

async fn floods_in_one_task<K: Kind>() -> io::Result<()> {
    let (mut a, mut b) = K::pair().await?;
    let (a_reader, a_writer) = K::split(&mut a);
    let (b_reader, b_writer) = K::split(&mut b);
    let one = try_zip(write_much(a_writer, 64), read_much(a_reader, 64));
    let other = try_zip(write_much(b_writer, 64), read_much(b_reader, 64));
    try_zip(one, other).await?;
    Ok(())
}

/// Polls a future a number of times, once in each turn, and drops it if it is not ready by then.
async fn patiently<T>(polls: usize, future: impl Future<Output = T>) -> Option<T> {
    let (mut future, mut left) = (pin!(future), polls);
    poll_fn(|cx| {
        if let Poll::Ready(output) = future.as_mut().poll(cx) {
            return Poll::Ready(Some(output));
        }
        left -= 1;
        if left == 0 {
            return Poll::Ready(None);
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    })
    .await
}

async fn what_is_given_up_is_neither_lost_nor_doubled<K: Kind>() -> io::Result<()> {
    for polls in 1..=4 {
        let given_up = Cell::new((0, 0));
        // Sometimes one side is ahead, and sometimes the other.
        let rest = async |turns: usize| {
            for _ in 6..turns {
                yield_now().await;
            }
        };
        let data = pattern(MIB);
        let write = async |stream: &mut K::Stream| {
            let (mut number, mut sent) = (numbers(), 0);
            while sent < data.len() {
                let count = (1 + number(300_000)).min(data.len() - sent);
                match patiently(polls, stream.write(&data[sent..sent + count])).await {
                    Some(written) => sent += written?,
                    None => given_up.update(|(reads, writes)| (reads, writes + 1)),
                }
                rest(number(12)).await;
            }
            stream.close().await
        };
        let read = async |stream: &mut K::Stream| {
            let (mut number, mut received, mut buffer) = (numbers(), 0, vec![0; 30_000]);
            loop {
                let size = 1 + number(buffer.len());
                match patiently(polls, stream.read(&mut buffer[..size])).await {
                    Some(Ok(0)) => return Ok(received),
                    Some(count) => {
                        let count = count?;
                        assert!(buffer[..count] == data[received..received + count]);
                        received += count;
                    }
                    None => given_up.update(|(reads, writes)| (reads + 1, writes)),
                }
                rest(number(12)).await;
            }
        };
        let (mut a, mut b) = K::pair().await?;
        // This read is dropped before anything has come.
        assert!(patiently(polls, b.read(&mut [0])).await.is_none());
        let ((), received) = try_zip(write(&mut a), read(&mut b)).await?;
        assert_eq!(received, data.len());
        // This write is dropped while there is no room at all.
        let (mut a, mut b) = K::pair().await?;
        let sent = fill(&mut a).await?;
        assert!(patiently(polls, a.write(&[9; 1000])).await.is_none());
        let more = zip(a.write_all(&[8; 1000]), skip(&mut b, sent)).await;
        more.0.and(more.1)?;
        a.close().await?;
        let mut last = Vec::new();
        b.read_to_end(&mut last).await?;
        assert!(last == [8; 1000], "what was given up was sent, or what was not was lost");
        let (reads, writes) = given_up.get();
        assert!(reads + writes > 0, "nothing was given up after {polls} polls");
    }
    Ok(())
}

async fn a_stream_that_is_always_ready_yields<K: Kind>() -> io::Result<()> {
    const ROUNDS: usize = 1024;
    let (mut a, mut b) = K::pair().await?;
    let polls = Cell::new(0);
    let mut exchange = pin!(async {
        for round in 0..ROUNDS {
            let mut byte = [0];
            a.write_all(&[round as u8]).await?;
            b.read_exact(&mut byte).await?;
            assert_eq!(byte, [round as u8]);
        }
        io::Result::Ok(())
    });
    poll_fn(|cx| {
        polls.set(polls.get() + 1);
        exchange.as_mut().poll(cx)
    })
    .await?;
    // If only one of the operations spent budget, there would be half as many yields.
    assert!(polls.get() >= 2 * ROUNDS / 256, "{}", polls.get());
    Ok(())
}

/// Spawns a task that starts an operation, which has to wait, and hands the stream on. Returns the stream and the
/// count of the task's polls.
async fn hand_on<S: Unpin + 'static>(
    stream: S,
    start: impl Fn(Pin<&mut S>, &mut std::task::Context<'_>) -> bool + 'static,
) -> (S, Rc<Cell<usize>>) {
    let (polls, handed) = (Rc::new(Cell::new(0)), Rc::new(RefCell::new(None)));
    let (counter, place, mut stream) = (polls.clone(), handed.clone(), Some(stream));
    // The task lives as long as the runtime, and waits for nothing else.
    drop(spawn(poll_fn(move |cx| {
        counter.set(counter.get() + 1);
        if let Some(mut stream) = stream.take() {
            assert!(start(Pin::new(&mut stream), cx), "it did not have to wait");
            *place.borrow_mut() = Some(stream);
        }
        Poll::<()>::Pending
    })));
    until(|| handed.borrow().is_some()).await;
    let stream = handed.borrow_mut().take().unwrap();
    (stream, polls)
}

async fn the_latest_reader_is_woken_and_no_other<K: Kind>() -> io::Result<()> {
    let (mut a, b) = K::pair().await?;
    let (mut b, polls) = hand_on(b, |stream, cx| stream.poll_read(cx, &mut [0; 8]).is_pending()).await;
    let second = spawn(async move { b.read(&mut [0; 8]).await });
    turns().await;
    a.write_all(b"x").await?;
    assert_eq!(second.await.unwrap()?, 1);
    turns().await;
    assert_eq!(polls.get(), 1, "who has handed it on is woken");
    Ok(())
}

async fn the_latest_writer_is_woken_and_no_other<K: Kind>() -> io::Result<()> {
    let (mut a, mut b) = K::pair().await?;
    let sent = fill(&mut a).await?;
    let (mut a, polls) = hand_on(a, |stream, cx| stream.poll_write(cx, &[9; 8]).is_pending()).await;
    let second = spawn(async move { a.write_all(&[9; 8]).await });
    turns().await;
    skip(&mut b, sent + 8).await?;
    second.await.unwrap()?;
    turns().await;
    assert_eq!(polls.get(), 1, "who has handed it on is woken");
    Ok(())
}

async fn halves_that_are_lent<K: Kind>() -> io::Result<()> {
    let (mut a, mut b) = K::pair().await?;
    for _ in 0..2 {
        // The task waits for both directions of one stream.
        let (mut reader, mut writer) = K::split(&mut a);
        let sent = fill(&mut writer).await?;
        let mut word = [0; 4];
        let both = try_zip(reader.read_exact(&mut word), writer.write_all(b"last"));
        let peer = async {
            b.write_all(b"word").await?;
            skip(&mut b, sent + 4).await
        };
        try_zip(both, peer).await?;
        assert_eq!(&word, b"word");
    }
    // Dropping a half ends nothing; closing the writing half ends the stream.
    assert!(poll_once(b.read(&mut [0])).await.is_none());
    K::split(&mut a).1.close().await?;
    assert_eq!(b.read(&mut [0]).await?, 0);
    b.write_all(b"still").await?;
    assert_eq!(K::split(&mut a).0.read(&mut [0; 8]).await?, 5);
    Ok(())
}

async fn halves_that_are_owned<K: Kind>() -> io::Result<()> {
    // The writing half ends the stream…
    for is_closed in [false, true] {
        let (a, mut b) = K::pair().await?;
        let (mut reader, mut writer) = K::into_split(a);
        writer.write_all(b"x").await?;
        assert_eq!(b.read(&mut [0; 8]).await?, 1);
        let waits = spawn(async move {
            let end = b.read(&mut [0; 8]).await?;
            io::Result::Ok((b, end))
        });
        turns().await;
        if is_closed {
            writer.close().await?;
        }
        drop(writer);
        if !is_closed && !K::ENDS_BY_DROP {
            turns().await;
            assert!(!waits.is_finished());
            continue;
        }
        let (mut b, end) = waits.await.unwrap()?;
        assert_eq!(end, 0);
        b.write_all(b"still").await?;
        assert_eq!(reader.read(&mut [0; 8]).await?, 5);
    }
    // …and the reading half does not.
    let (a, mut b) = K::pair().await?;
    let (reader, mut writer) = K::into_split(a);
    drop(reader);
    writer.write_all(b"goes on").await?;
    assert_eq!(b.read(&mut [0; 8]).await?, 7);
    assert!(poll_once(b.read(&mut [0; 8])).await.is_none());
    drop(writer);
    assert_eq!(b.read(&mut [0; 8]).await?, 0);
    Ok(())
}
