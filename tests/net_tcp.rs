//! TCP as its users see it: transfers of all shapes, halves, options, and moves between threads.

mod net_support;

use futures_lite::future::{try_zip, zip};
use futures_lite::{Stream, StreamExt};
use net_support::{half_std_pair, pair, poll_once, run, until, watchdog};
use runtime::io::{AsyncReadExt, AsyncWriteExt, Interest};
use runtime::net::{TcpListener, TcpSocket, TcpStream, lookup_host};
use runtime::task::yield_now;
use runtime::{spawn, time};
use std::cell::Cell;
use std::io::{self, ErrorKind, IoSlice, IoSliceMut, Read, Write};
use std::net::{Shutdown, SocketAddr};
use std::rc::Rc;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

const MIB: usize = 1 << 20;

/// Bytes that show when one is missing or in the wrong place.
fn pattern(length: usize) -> Vec<u8> {
    (0..length).map(|n| (n % 251) as u8).collect()
}

#[test]
fn handles_and_futures_go_to_other_threads() {
    fn of_many_threads<T: Send + Sync>() {}
    fn send<T: Send>(value: T) -> T {
        value
    }
    of_many_threads::<TcpStream>();
    of_many_threads::<TcpListener>();
    of_many_threads::<runtime::net::Incoming<'_>>();
    of_many_threads::<runtime::net::tcp::OwnedReadHalf>();
    of_many_threads::<runtime::net::tcp::OwnedWriteHalf>();
    of_many_threads::<runtime::net::tcp::ReadHalf<'_>>();
    of_many_threads::<runtime::net::tcp::WriteHalf<'_>>();
    run(send(async {
        let listener = send(TcpListener::bind(("127.0.0.1".to_owned(), 0))).await?;
        drop(send(listener.accept()));
        drop(send(TcpStream::connect("localhost:1")));
        drop(send(lookup_host("localhost:1")));
        let mut stream = send(TcpStream::connect(listener.local_addr()?)).await?;
        drop(send(stream.readable()));
        drop(send(stream.writable()));
        drop(send(stream.ready(Interest::READABLE | Interest::WRITABLE)));
        drop(send(stream.async_io(Interest::READABLE, || Ok(()))));
        drop(send(stream.peek(&mut [])));
        drop(send(stream.read(&mut [])));
        drop(send(stream.write_all(&[])));
        let (mut reader, writer) = stream.into_split();
        drop(send(reader.peek(&mut [])));
        drop(send(writer.writable()));
        io::Result::Ok(())
    }))
    .unwrap();
}

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
        // All four in one task: by shared reference, and by halves.
        let (a, mut b) = pair().await?;
        let (read_half, write_half) = b.split();
        let one = try_zip(write_much(&a, 64), read_much(&a, 64));
        let other = try_zip(write_much(write_half, 64), read_much(read_half, 64));
        try_zip(one, other).await?;
        // One task for each.
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
            // Registered from here on.
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
        // The first thousand and a half hold nothing, and the others a byte each.
        let slices: Vec<IoSlice<'_>> =
            (0..4500).map(|n| IoSlice::new(if n < 1500 { &[] } else { &data[n - 1500..n - 1499] })).collect();
        assert_eq!(a.write_vectored(&slices).await?, 1024);
        // Had the first been taken for a short one, this would have to wait.
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
        // Several wait at once.
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
        // With both sides of interest, the writable one lets it through at once.
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
        // Dropped, the writing half ends the stream…
        let (a, mut b) = pair().await?;
        let (mut reader, writer) = a.into_split();
        drop(writer);
        assert_eq!(b.read(&mut buffer).await?, 0);
        b.write_all(b"still").await?;
        assert_eq!(reader.read(&mut buffer).await?, 5);
        // …forgotten, it does not, until the other half goes as well…
        let (a, mut b) = pair().await?;
        let (reader, writer) = a.into_split();
        writer.forget();
        assert!(poll_once(b.read(&mut buffer)).await.is_none());
        drop(reader);
        assert_eq!(b.read(&mut buffer).await?, 0);
        // …and closed, it ends the stream though both live.
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

#[test]
fn a_blocking_socket_of_stds_does_not_stop_the_loop() {
    run(async {
        let (ours, other) = half_std_pair()?;
        let blocking = ours.into_std()?;
        blocking.set_nonblocking(false)?;
        let mut ours = TcpStream::try_from(blocking)?;
        let started = std::time::Instant::now();
        assert!(time::timeout(Duration::from_millis(5), ours.read(&mut [0])).await.is_err());
        assert!(started.elapsed() >= Duration::from_millis(5));
        drop(other);

        let listener = TcpListener::from_std(std::net::TcpListener::bind("127.0.0.1:0")?)?;
        assert!(time::timeout(Duration::from_millis(5), listener.accept()).await.is_err());
        io::Result::Ok(())
    })
    .unwrap();
}

#[test]
fn to_std_and_back_nothing_is_lost() {
    run(async {
        let (mut ours, mut other) = half_std_pair()?;
        for round in 0..3 {
            // Registered, and somebody's waker left behind.
            assert!(poll_once(ours.read(&mut [0; 8])).await.is_none());
            let mut std = ours.into_std()?;
            assert_eq!(std.read(&mut [0]).unwrap_err().kind(), ErrorKind::WouldBlock, "round {round}");
            std.set_nonblocking(false)?;
            other.write_all(b"one")?;
            let mut buffer = [0; 2];
            std.read_exact(&mut buffer)?;
            ours = std.try_into()?;
            assert_eq!(ours.read(&mut [0; 8]).await?, 1);
        }
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        assert!(poll_once(listener.accept()).await.is_none());
        let listener = TcpListener::from_std(listener.into_std()?)?;
        let _client = TcpStream::connect(listener.local_addr()?).await?;
        listener.accept().await?;
        io::Result::Ok(())
    })
    .unwrap();
}

#[test]
#[cfg_attr(miri, ignore = "it has no port before listen")]
fn addresses_are_tried_in_order_and_an_error_is_told() {
    run(async {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let good = listener.local_addr()?;
        // Bound and not listening: refused.
        let refusing = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None)?;
        refusing.bind(&"127.0.0.1:0".parse::<SocketAddr>().unwrap().into())?;
        let bad = refusing.local_addr()?.as_socket().unwrap();

        let stream = TcpStream::connect(&[bad, bad, good][..]).await?;
        assert_eq!(stream.peer_addr()?, good);
        let error = TcpStream::connect(&[bad, bad][..]).await.unwrap_err();
        assert_eq!(error.raw_os_error(), Some(libc::ECONNREFUSED));
        let error = TcpStream::connect(&[] as &[SocketAddr]).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput);

        let elsewhere: SocketAddr = "192.0.2.1:0".parse().unwrap();
        let any: SocketAddr = "127.0.0.1:0".parse().unwrap();
        assert_eq!(TcpListener::bind(&[elsewhere, any][..]).await?.local_addr()?.ip(), any.ip());
        let error = TcpListener::bind(elsewhere).await.unwrap_err();
        assert_eq!(error.raw_os_error(), Some(libc::EADDRNOTAVAIL));
        let error = TcpListener::bind(good).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::AddrInUse);
        let error = TcpListener::bind("nowhere").await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
        io::Result::Ok(())
    })
    .unwrap();
}

#[test]
fn a_name_is_looked_up() {
    run(async {
        let listener = TcpListener::bind("localhost:0").await?;
        let port = listener.local_addr()?.port();
        let _client = TcpStream::connect(("localhost", port)).await?;
        listener.accept().await?;
        // The resolver's own refusal.
        let error = lookup_host(("nul\0", 80)).await.map(Iterator::count).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
        // Given up before they are answered, and more of them than there are threads.
        for _ in 0..1000 {
            drop(poll_once(lookup_host("localhost:1")).await);
        }
        assert!(lookup_host("localhost:1").await?.count() > 0);
        io::Result::Ok(())
    })
    .unwrap();
}

#[test]
fn six_is_as_good_as_four() {
    run(async {
        let Ok(listener) = TcpListener::bind("[::1]:0").await else {
            return Ok(()); // There is no IPv6 here.
        };
        let mut client = TcpStream::connect(listener.local_addr()?).await?;
        let (mut server, peer) = listener.accept().await?;
        assert_eq!(peer, client.local_addr()?);
        client.write_all(b"six").await?;
        assert_eq!(server.read(&mut [0; 8]).await?, 3);
        io::Result::Ok(())
    })
    .unwrap();
}

#[test]
fn of_many_acceptors_each_connection_finds_one() {
    run(async {
        const ACCEPTORS: usize = 8;
        const EACH: usize = 25;
        let listener = Rc::new(TcpListener::bind("127.0.0.1:0").await?);
        let address = listener.local_addr()?;
        let accepted = Rc::new(Cell::new(0));
        let acceptors: Vec<_> = (0..ACCEPTORS)
            .map(|_| {
                let (listener, accepted) = (listener.clone(), accepted.clone());
                spawn(async move {
                    let mut streams = Vec::new();
                    for _ in 0..EACH {
                        streams.push(listener.accept().await.unwrap());
                        accepted.set(accepted.get() + 1);
                    }
                    streams
                })
            })
            .collect();
        // They all wait before the first one comes.
        yield_now().await;
        let mut clients = Vec::new();
        for n in 0..ACCEPTORS * EACH {
            clients.push(TcpStream::connect(address).await?.local_addr()?);
            if n % 7 == 0 {
                until(|| accepted.get() == n + 1).await;
            }
        }
        let mut peers = Vec::new();
        for acceptor in acceptors {
            peers.extend(acceptor.await.unwrap().into_iter().map(|(_, peer)| peer));
        }
        peers.sort();
        clients.sort();
        assert_eq!(peers, clients);
        io::Result::Ok(())
    })
    .unwrap();
}

#[test]
fn incoming_connections_are_a_stream_and_several_can_share_it() {
    run(async {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let mut one = listener.incoming();
        let mut other = listener.incoming();
        assert_eq!(one.size_hint(), (0, None));
        // Both wait, and the one that leaves does not take the other's place with it.
        assert!(poll_once(one.next()).await.is_none());
        assert!(poll_once(other.next()).await.is_none());
        drop(one);
        let client = TcpStream::connect(address).await?;
        let server = other.next().await.unwrap()?;
        assert_eq!(server.peer_addr()?, client.local_addr()?);
        // By hand.
        let accept = std::future::poll_fn(|cx| listener.poll_accept(cx));
        let (accepted, client) = try_zip(accept, TcpStream::connect(address)).await?;
        assert_eq!(accepted.1, client.local_addr()?);
        io::Result::Ok(())
    })
    .unwrap();
}

#[test]
#[cfg_attr(miri, ignore = "it has no such options")]
fn options_are_what_they_were_set_to() {
    run(async {
        let (a, mut b) = pair().await?;
        assert!(!a.nodelay()?);
        a.set_nodelay(true)?;
        assert!(a.nodelay()?);
        a.set_ttl(17)?;
        assert_eq!(a.ttl()?, 17);
        assert_eq!(a.keepalive()?, None);
        a.set_keepalive(Some(Duration::from_millis(1500)))?;
        assert_eq!(a.keepalive()?, Some(Duration::from_secs(2)), "rounded up");
        assert_eq!(a.set_keepalive(Some(Duration::ZERO)).unwrap_err().raw_os_error(), Some(libc::EINVAL));
        a.set_keepalive(None)?;
        assert_eq!(a.keepalive()?, None);
        assert_eq!(a.linger()?, None);
        a.set_linger(Some(Duration::from_millis(10)))?;
        assert_eq!(a.linger()?, Some(Duration::from_secs(1)), "rounded up, since zero means a reset");
        a.set_linger(Some(Duration::ZERO))?;
        assert_eq!(a.linger()?, Some(Duration::ZERO));
        assert!(a.take_error()?.is_none());
        drop(a);
        assert_eq!(b.read(&mut [0]).await.unwrap_err().kind(), ErrorKind::ConnectionReset);
        io::Result::Ok(())
    })
    .unwrap();
}

/// A thread with a runtime of its own, which runs `future`.
fn elsewhere<T: Send + 'static>(future: impl Future<Output = T> + Send + 'static) -> T {
    thread::spawn(|| runtime::block_on(future)).join().unwrap()
}

/// The systems count in C's ints, and some of these are -1 there, which means something else altogether.
#[test]
#[cfg_attr(miri, ignore = "it has no such options")]
fn values_that_the_system_cannot_count_are_limited_or_refused() {
    run(async {
        let (a, _b) = pair().await?;
        let (second, socket) = (Duration::from_secs(1), TcpSocket::new_v4()?);
        // It saturates, and above all it is not zero, which would reset the connection.
        for long in [
            second * (1 << 15),
            second * (1 << 31),
            second * u32::MAX,
            Duration::from_secs(1 << 32),
            Duration::MAX,
        ] {
            a.set_linger(Some(long))?;
            assert!(a.linger()?.unwrap() >= second * 300, "{long:?}: {:?}", a.linger()?);
            socket.set_linger(Some(long))?;
            assert_eq!(socket.linger()?, a.linger()?);
        }
        if cfg!(target_os = "linux") {
            a.set_linger(Some(second * i32::MAX as u32))?;
            assert_eq!(a.linger()?, Some(second * i32::MAX as u32));
        }
        a.set_linger(None)?;
        assert_eq!(a.linger()?, None);

        for long in [second * 40_000, second * (1 << 31), Duration::from_secs(1 << 32), Duration::MAX] {
            for result in [
                a.set_keepalive(Some(long)),
                a.set_keepalive_interval(long),
                socket.set_keepalive_idle(long),
                socket.set_keepalive_interval(long),
            ] {
                if cfg!(target_os = "linux") {
                    assert_eq!(result.unwrap_err().kind(), ErrorKind::InvalidInput, "{long:?}");
                }
            }
        }
        for count in [1 << 31, u32::MAX] {
            assert!(socket.set_keepalive_count(count).is_err() || socket.keepalive_count()? > 100);
        }

        let before = (a.ttl()?, socket.tos_v4()?);
        for large in [256, 1 << 31, (1 << 31) + 64, u32::MAX] {
            for result in [a.set_ttl(large), socket.set_tos_v4(large), socket.set_tclass_v6(large)] {
                assert_eq!(result.unwrap_err().kind(), ErrorKind::InvalidInput, "{large}");
            }
        }
        assert_eq!((a.ttl()?, socket.tos_v4()?), before);
        a.set_ttl(255)?;
        socket.set_tos_v4(0xfc)?;
        assert_eq!((a.ttl()?, socket.tos_v4()?), (255, 0xfc));

        // No system gives so much, and Linux takes no error of it.
        for size in [1 << 31, u32::MAX] {
            if socket.set_send_buffer_size(size).and(socket.set_recv_buffer_size(size)).is_ok() {
                assert!(socket.send_buffer_size()? >= 4096 && socket.recv_buffer_size()? >= 4096);
            }
        }
        socket.bind("127.0.0.1:0".parse().unwrap())?;
        let listener = socket.listen(u32::MAX)?;
        for large in [256, u32::MAX] {
            assert_eq!(listener.set_ttl(large).unwrap_err().kind(), ErrorKind::InvalidInput);
        }
        let address = listener.local_addr()?;
        // The queue has room.
        let _clients = [std::net::TcpStream::connect(address)?, std::net::TcpStream::connect(address)?];
        listener.accept().await?;
        io::Result::Ok(())
    })
    .unwrap();
}

#[test]
fn a_stream_is_used_where_it_is_taken_to() {
    run(async {
        // Made elsewhere, outside of any runtime.
        let (mut ours, mut other) = thread::spawn(|| half_std_pair().unwrap()).join().unwrap();
        let mut buffer = [0; 8];
        let started = runtime::Handle::current();
        for round in 0..5 {
            // Registered here, with the waker of a read that was given up.
            assert!(poll_once(ours.read(&mut buffer)).await.is_none());
            // Used there: it has to wait there too, so it moves.
            (ours, other) = elsewhere(async move {
                let mut buffer = [0; 8];
                assert!(poll_once(ours.read(&mut buffer)).await.is_none());
                let writer = thread::spawn(move || {
                    other.write_all(b"there").unwrap();
                    other
                });
                assert_eq!(ours.read(&mut buffer).await.unwrap(), 5, "round {round}");
                (ours, writer.join().unwrap())
            });
            // And back, from a runtime that has gone.
            other.write_all(b"here")?;
            assert_eq!(ours.read(&mut buffer).await?, 4, "round {round}");
        }
        drop(started);
        io::Result::Ok(())
    })
    .unwrap();
}

#[test]
fn a_future_that_waits_goes_on_where_it_is_taken_to() {
    run(async {
        let (ours, mut other) = half_std_pair()?;
        let ours = Arc::new(ours);
        let mut read = Box::pin({
            let ours = ours.clone();
            async move {
                let mut buffer = [0; 8];
                (&*ours).read(&mut buffer).await
            }
        });
        let mut readable = Box::pin(async move { ours.readable().await });
        assert!(poll_once(&mut read).await.is_none());
        assert!(poll_once(&mut readable).await.is_none());
        let writer = thread::spawn(move || {
            other.write_all(b"hello").unwrap();
            other
        });
        elsewhere(async move {
            readable.await.unwrap();
            assert_eq!(read.await.unwrap(), 5);
        });
        writer.join().unwrap();
        io::Result::Ok(())
    })
    .unwrap();
}

#[test]
fn two_threads_at_once_are_told_and_neither_hangs() {
    let _watchdog = watchdog();
    for _ in 0..20 {
        let (ours, mut other) = half_std_pair().unwrap();
        let ours = Arc::new(ours);
        let (sender, receiver) = std::sync::mpsc::channel();
        let threads: Vec<_> = (0..2)
            .map(|_| {
                let (ours, sender) = (ours.clone(), sender.clone());
                thread::spawn(move || {
                    let read = runtime::block_on(async { (&*ours).read(&mut [0; 8]).await });
                    sender.send(read.map_err(|error| error.kind())).unwrap();
                })
            })
            .collect();
        // Without any data they take the stream from each other, until one of them is told.
        assert_eq!(receiver.recv().unwrap(), Err(ErrorKind::ResourceBusy));
        other.write_all(b"hello").unwrap();
        assert_eq!(receiver.recv().unwrap(), Ok(5));
        threads.into_iter().for_each(|thread| thread.join().unwrap());
    }
}

#[test]
fn dropped_on_a_foreign_thread_a_stream_is_closed_at_once() {
    run(async {
        let (mut ours, mut other) = half_std_pair()?;
        assert!(poll_once(ours.read(&mut [0])).await.is_none());
        // This thread is blocked meanwhile: its loop has no part in it.
        let dropper = thread::spawn(move || drop(ours));
        assert_eq!(other.read(&mut [0; 8])?, 0);
        dropper.join().unwrap();
        // Nothing comes of the registration that is left, nor of the descriptor's next owner.
        let (mut next, mut other) = half_std_pair()?;
        yield_now().await;
        assert!(poll_once(next.read(&mut [0])).await.is_none());
        other.write_all(b"x")?;
        assert_eq!(next.read(&mut [0]).await?, 1);
        io::Result::Ok(())
    })
    .unwrap();
}

#[test]
fn a_shutdown_wakes_who_waits_here() {
    run(async {
        let (ours, _other) = half_std_pair()?;
        let ours = Rc::new(ours);
        let reader = spawn({
            let ours = ours.clone();
            async move { (&*ours).read(&mut [0; 8]).await }
        });
        yield_now().await;
        ours.shutdown_std(Shutdown::Read)?;
        assert_eq!(reader.await.unwrap()?, 0);
        io::Result::Ok(())
    })
    .unwrap();
}
