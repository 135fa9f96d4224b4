//! Transfers over TCP: reads, writes and peeks of all shapes, readiness, and the halves of a stream.

mod net_support;

use futures_lite::future::{try_zip, zip};
use net_support::{MIB, half_std_pair, pair, pattern, poll_once, run};
use runtime::io::{AsyncReadExt, AsyncWriteExt, Interest};
use runtime::task::yield_now;
use runtime::{spawn, time};
use std::io::{self, ErrorKind, IoSlice, IoSliceMut, Read, Write};
use std::thread;
use std::time::Duration;

#[test]
fn a_read_that_ends_exactly_at_the_buffers_end_waits_for_more() {
    run(async {
        let (mut a, mut b) = pair().await?;
        let mut buffer = [0; 64];
        for round in 0..3 {
            a.write_all(&[round; 64]).await?;
            assert_eq!(b.read(&mut buffer).await?, 64);
            assert_eq!(buffer, [round; 64]);
            assert!(poll_once(b.read(&mut buffer)).await.is_none());
        }
        a.write_all(&[9; 64]).await?;
        drop(a);
        assert_eq!(b.read(&mut buffer).await?, 64);
        assert_eq!(b.read(&mut buffer).await?, 0);
        assert_eq!(b.read(&mut buffer).await?, 0, "the end of the stream stays");
        io::Result::Ok(())
    })
    .unwrap();
}

#[test]
fn data_and_end_in_one_event_are_both_seen() {
    run(async {
        for is_registered in [false, true] {
            let (mut ours, mut other) = half_std_pair()?;
            let mut buffer = [0; 64];
            if is_registered {
                assert!(poll_once(ours.read(&mut buffer)).await.is_none());
            }
            other.write_all(b"hello")?;
            drop(other);
            assert_eq!(ours.read(&mut buffer).await?, 5, "registered: {is_registered}");
            assert_eq!(ours.read(&mut buffer).await?, 0, "registered: {is_registered}");
        }
        io::Result::Ok(())
    })
    .unwrap();
}

#[test]
#[cfg_attr(miri, ignore = "slow")]
fn after_a_half_close_the_other_direction_goes_on() {
    run(async {
        let data = pattern(MIB);
        for swap in [false, true] {
            let (a, b) = pair().await?;
            let (mut first, mut second) = if swap { (b, a) } else { (a, b) };
            let sender = async {
                first.write_all(&data).await?;
                first.close().await?;
                first.close().await?;
                let mut back = Vec::new();
                first.read_to_end(&mut back).await?;
                io::Result::Ok(back)
            };
            let answerer = async {
                let mut received = Vec::new();
                second.read_to_end(&mut received).await?;
                second.write_all(&data).await?;
                second.close().await?;
                io::Result::Ok(received)
            };
            let (back, received) = try_zip(sender, answerer).await?;
            assert!(received == data && back == data);
        }
        io::Result::Ok(())
    })
    .unwrap();
}

async fn write_much(mut to: impl AsyncWriteExt + Unpin, mib: usize) -> io::Result<()> {
    let block = pattern(MIB);
    for _ in 0..mib {
        to.write_all(&block).await?;
    }
    to.close().await
}

async fn read_much(mut from: impl AsyncReadExt + Unpin, mib: usize) -> io::Result<()> {
    let (block, mut buffer) = (pattern(MIB), vec![0; MIB]);
    for _ in 0..mib {
        from.read_exact(&mut buffer).await?;
        assert!(buffer == block);
    }
    assert_eq!(from.read(&mut buffer).await?, 0);
    Ok(())
}

#[test]
#[cfg_attr(miri, ignore = "slow")]
fn two_floods_in_opposite_directions_do_not_block_each_other() {
    run(async {
        // All four transfers are in one task: by shared reference, and by halves.
        let (a, mut b) = pair().await?;
        let (read_half, write_half) = b.split();
        let one = try_zip(write_much(&a, 64), read_much(&a, 64));
        let other = try_zip(write_much(write_half, 64), read_much(read_half, 64));
        try_zip(one, other).await?;
        // Each transfer is a task.
        let (a, b) = pair().await?;
        let (a_reader, a_writer) = a.into_split();
        let (b_reader, b_writer) = b.into_split();
        let writers = [spawn(write_much(a_writer, 64)), spawn(write_much(b_writer, 64))];
        let readers = [spawn(read_much(a_reader, 64)), spawn(read_much(b_reader, 64))];
        for task in writers.into_iter().chain(readers) {
            task.await.unwrap()?;
        }
        io::Result::Ok(())
    })
    .unwrap();
}

#[test]
fn empty_transfers_neither_wait_nor_end_anything() {
    run(async {
        let (mut a, mut b) = pair().await?;
        for _ in 0..2 {
            assert_eq!(poll_once(a.read(&mut [])).await.unwrap()?, 0);
            assert_eq!(poll_once(a.write(&[])).await.unwrap()?, 0);
            assert_eq!(poll_once(a.peek(&mut [])).await.unwrap()?, 0);
            assert_eq!(poll_once(a.read_vectored(&mut [])).await.unwrap()?, 0);
            assert_eq!(poll_once(a.write_vectored(&[])).await.unwrap()?, 0);
            assert_eq!(
                poll_once(a.write_vectored(&[IoSlice::new(&[]), IoSlice::new(&[])])).await.unwrap()?,
                0
            );
            assert_eq!(a.try_read(&mut [])? + a.try_write(&[])? + a.try_peek(&mut [])?, 0);
            assert_eq!(a.try_read_vectored(&mut [])? + a.try_write_vectored(&[])?, 0);
            // The stream is registered from here on.
            assert!(poll_once(a.read(&mut [0])).await.is_none());
        }
        b.write_all(b"x").await?;
        assert_eq!(a.read(&mut [0; 8]).await?, 1);
        io::Result::Ok(())
    })
    .unwrap();
}

#[test]
#[cfg_attr(miri, ignore = "it has no sendmsg")]
fn more_buffers_than_the_kernel_takes_are_no_short_transfer() {
    run(async {
        let (mut a, mut b) = pair().await?;
        let data = pattern(3000);
        // The first 1,500 slices are empty, and the others hold a byte each.
        let slices: Vec<IoSlice<'_>> =
            (0..4500).map(|n| IoSlice::new(if n < 1500 { &[] } else { &data[n - 1500..n - 1499] })).collect();
        assert_eq!(a.write_vectored(&slices).await?, 1024);
        // If the first write had been taken for a short one, this write would have to wait.
        assert_eq!(poll_once(a.write_vectored(&slices[1500 + 1024..])).await.unwrap()?, 1024);
        assert_eq!(poll_once(a.write_vectored(&slices[1500 + 2048..])).await.unwrap()?, 952);

        let mut received = vec![0; 3000];
        for part in received.chunks_mut(1500) {
            let mut bytes: Vec<IoSliceMut<'_>> = part.chunks_mut(1).map(IoSliceMut::new).collect();
            assert_eq!(b.read_vectored(&mut bytes).await?, 1024);
            let mut bytes: Vec<IoSliceMut<'_>> = part[1024..].chunks_mut(1).map(IoSliceMut::new).collect();
            assert_eq!(poll_once(b.read_vectored(&mut bytes)).await.unwrap()?, 476);
        }
        assert!(received == data);
        io::Result::Ok(())
    })
    .unwrap();
}

#[test]
fn a_peek_takes_nothing_away() {
    run(async {
        let (mut a, mut b) = pair().await?;
        let mut buffer = [0; 8];
        assert!(poll_once(b.peek(&mut buffer)).await.is_none());
        a.write_all(b"four").await?;
        for _ in 0..3 {
            assert_eq!(b.peek(&mut buffer).await?, 4);
            assert_eq!(b.peek(&mut buffer[..2]).await?, 2);
            assert_eq!(b.try_peek(&mut buffer)?, 4);
            assert_eq!(std::future::poll_fn(|cx| b.poll_peek(cx, &mut buffer)).await?, 4);
        }
        assert_eq!(b.read(&mut buffer).await?, 4);
        assert!(poll_once(b.peek(&mut buffer)).await.is_none());
        drop(a);
        assert_eq!(b.peek(&mut buffer).await?, 0);
        io::Result::Ok(())
    })
    .unwrap();
}

#[test]
fn readiness_comes_with_the_data_and_goes_with_it() {
    run(async {
        let (ours, mut other) = half_std_pair()?;
        let mut buffer = [0; 8];
        assert_eq!(ours.try_read(&mut buffer).unwrap_err().kind(), ErrorKind::WouldBlock);
        assert!(poll_once(ours.readable()).await.is_none());
        for _ in 0..3 {
            time::sleep(Duration::from_millis(1)).await;
            assert!(poll_once(ours.readable()).await.is_none(), "nothing has come");
        }
        // Several tasks wait at once.
        let waits =
            zip(zip(ours.readable(), ours.readable()), ours.ready(Interest::READABLE | Interest::WRITABLE));
        other.write_all(b"hello")?;
        let ((first, second), either) = waits.await;
        first.and(second)?;
        assert!(either?.is_writable());
        assert!(ours.ready(Interest::READABLE).await?.is_readable());
        assert_eq!(ours.try_read(&mut buffer)?, 5);
        assert_eq!(ours.try_read(&mut buffer).unwrap_err().kind(), ErrorKind::WouldBlock);
        assert!(poll_once(ours.readable()).await.is_none());
        drop(other);
        let ready = ours.ready(Interest::READABLE).await?;
        assert!(ready.is_readable() && !ready.is_writable(), "{ready:?}");
        assert!(ready.is_read_closed(), "{ready:?}");
        assert_eq!(ours.try_read(&mut buffer)?, 0);
        io::Result::Ok(())
    })
    .unwrap();
}

#[test]
#[cfg_attr(miri, ignore = "it has no sendmsg")]
fn a_full_connection_is_not_writable_until_the_peer_has_read() {
    run(async {
        let (ours, mut other) = half_std_pair()?;
        ours.writable().await?;
        let mut sent = 0;
        loop {
            match ours.try_write(&[7; 65536]) {
                Ok(count) => sent += count,
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) => return Err(error),
            }
        }
        assert!(poll_once(ours.writable()).await.is_none());
        let reader = thread::spawn(move || {
            let mut received = 0;
            let mut buffer = vec![0; 65536];
            while received < sent {
                received += other.read(&mut buffer).unwrap();
            }
            other
        });
        ours.writable().await?;
        assert!(ours.try_write_vectored(&[IoSlice::new(b"a"), IoSlice::new(b"b")])? > 0);
        reader.join().unwrap();
        io::Result::Ok(())
    })
    .unwrap();
}

#[test]
fn an_operation_of_ones_own_is_tried_until_it_does_not_block() {
    run(async {
        let (ours, mut other) = half_std_pair()?;
        let mut tries = 0;
        let mut receive = || {
            tries += 1;
            socket2::SockRef::from(&ours).recv(&mut [std::mem::MaybeUninit::uninit(); 8])
        };
        let interest = Interest::READABLE;
        assert_eq!(ours.try_io(interest, &mut receive).unwrap_err().kind(), ErrorKind::WouldBlock);
        let task = async { ours.async_io(interest, &mut receive).await };
        let (count, written) = zip(task, async {
            yield_now().await;
            other.write_all(b"hello")
        })
        .await;
        written?;
        assert_eq!(count?, 5);
        assert!(tries <= 4, "{tries}");
        // With interest in both directions, writability is enough to let the operation through.
        let either = Interest::READABLE | Interest::WRITABLE;
        assert_eq!(ours.try_io(either, || Ok(1))?, 1);
        assert_eq!(ours.async_io(either, || Ok(2)).await?, 2);
        assert!(
            poll_once(ours.async_io(either, || io::Result::<()>::Err(ErrorKind::WouldBlock.into())))
                .await
                .is_none()
        );
        assert_eq!(ours.try_io(either, || Ok(3)).unwrap_err().kind(), ErrorKind::WouldBlock);
        io::Result::Ok(())
    })
    .unwrap();
}

#[test]
fn owned_halves_end_what_they_should() {
    run(async {
        let mut buffer = [0; 8];
        // If the writing half is dropped, it ends the stream…
        let (a, mut b) = pair().await?;
        let (mut reader, writer) = a.into_split();
        drop(writer);
        assert_eq!(b.read(&mut buffer).await?, 0);
        b.write_all(b"still").await?;
        assert_eq!(reader.read(&mut buffer).await?, 5);
        // …if it is forgotten, it does not, until the other half is dropped as well…
        let (a, mut b) = pair().await?;
        let (reader, writer) = a.into_split();
        writer.forget();
        assert!(poll_once(b.read(&mut buffer)).await.is_none());
        drop(reader);
        assert_eq!(b.read(&mut buffer).await?, 0);
        // …and if it is closed, it ends the stream although both halves exist.
        let (a, mut b) = pair().await?;
        let (mut reader, mut writer) = a.into_split();
        writer.close().await?;
        assert_eq!(b.read(&mut buffer).await?, 0);
        b.write_all(b"still").await?;
        assert_eq!(reader.read(&mut buffer).await?, 5);
        assert_eq!(writer.write(b"no more").await.unwrap_err().kind(), ErrorKind::BrokenPipe);
        io::Result::Ok(())
    })
    .unwrap();
}

#[test]
fn halves_come_together_again_if_they_are_of_one_stream() {
    run(async {
        let (a, b) = pair().await?;
        let (address, other) = (a.local_addr()?, b.local_addr()?);
        let (a_reader, a_writer) = a.into_split();
        let (b_reader, b_writer) = b.into_split();
        assert_eq!(a_reader.local_addr()?, a_writer.as_ref().local_addr()?);
        assert_eq!(a_reader.peer_addr()?, other);
        let error = a_reader.reunite(b_writer).unwrap_err();
        assert_eq!(error.to_string(), "the two halves are not of the same stream");
        let mut a = error.0.reunite(a_writer).unwrap();
        let mut b = error.1.reunite(b_reader).unwrap();
        assert_eq!((a.local_addr()?, b.local_addr()?), (address, other));
        a.write_all(b"on").await?;
        assert_eq!(b.read(&mut [0; 8]).await?, 2, "nothing was shut down");
        io::Result::Ok(())
    })
    .unwrap();
}
