//! Batches of datagrams: many received at once, many sent at once, and one buffer sent as many datagrams.

mod net_support;

use net_support::{in_child_under, poll_once, run, until};
use runtime::net::UdpSocket;
use runtime::net::udp::{Batch, Outgoing};
use runtime::task::yield_now;
use runtime::{spawn, time};
use std::io::{self, ErrorKind};
use std::net::Ipv4Addr;
use std::rc::Rc;
use std::time::Duration;

const LOCAL: (Ipv4Addr, u16) = (Ipv4Addr::LOCALHOST, 0);

/// An address that no other test uses: a port that is given up here does not become that of another test.
const APART: &str = if cfg!(target_os = "linux") { "127.0.0.2:0" } else { "127.0.0.1:0" };

async fn pair() -> io::Result<(UdpSocket, UdpSocket)> {
    let (a, b) = (UdpSocket::bind(LOCAL).await?, UdpSocket::bind(LOCAL).await?);
    a.connect(b.local_addr()?).await?;
    b.connect(a.local_addr()?).await?;
    Ok((a, b))
}

/// Sends all of the datagrams, in as many calls as it takes.
async fn send_all(socket: &UdpSocket, datagrams: &[Outgoing<'_>]) -> io::Result<()> {
    let mut sent = 0;
    while sent < datagrams.len() {
        let count = socket.send_many(datagrams[sent..].iter().copied()).await?;
        assert!((1..=Batch::MOST).contains(&count));
        sent += count;
    }
    Ok(())
}

#[test]
fn handles_and_futures_go_to_other_threads() {
    fn of_many_threads<T: Send + Sync>(value: T) -> T {
        value
    }
    fn send<T: Send>(value: T) -> T {
        value
    }
    run(async {
        let socket = UdpSocket::bind(LOCAL).await?;
        let mut batch = of_many_threads(Batch::new(1, 1));
        drop(send(socket.recv_many(&mut batch)));
        assert_eq!(of_many_threads(batch.iter()).len(), 0);
        drop(send(socket.send_many([of_many_threads(Outgoing::new(b""))])));
        drop(send(socket.send_segments(b"", 1)));
        drop(send(socket.send_segments_to(b"", 1, socket.local_addr()?)));
        io::Result::Ok(())
    })
    .unwrap();
}

#[test]
fn what_is_there_comes_at_once_and_in_order() {
    run(async {
        let (a, b) = pair().await?;
        let mut batch = Batch::new(8, 16);
        assert_eq!((batch.capacity(), batch.size(), batch.len()), (8, 16, 0));
        assert!(batch.is_empty() && batch.get(0).is_none());
        assert_eq!(b.try_recv_many(&mut batch).unwrap_err().kind(), ErrorKind::WouldBlock);
        for round in 0..3 {
            assert!(poll_once(b.recv_many(&mut batch)).await.is_none());
            for n in 0..20_u8 {
                a.send(&vec![n; usize::from(n)]).await?;
            }
            let mut n = 0;
            for expected in [8, 8, 4] {
                assert_eq!(b.recv_many(&mut batch).await?, expected, "round {round}");
                assert_eq!((batch.len(), batch.iter().len()), (expected, expected));
                for datagram in &batch {
                    let length = usize::from(n).min(16);
                    assert_eq!(datagram.data(), &vec![n; length]);
                    assert_eq!(datagram.from(), a.local_addr()?);
                    assert_eq!(datagram.is_truncated(), n > 16);
                    assert_eq!(datagram.segment_size(), None);
                    assert!(datagram.segments().eq([datagram.data()]), "an empty one is one as well");
                    n += 1;
                }
                let last = batch.get(expected - 1).unwrap();
                assert_eq!(last.data().len(), usize::from(n - 1).min(16));
                assert!(batch.get(expected).is_none());
            }
            assert_eq!(b.try_recv_many(&mut batch).unwrap_err().kind(), ErrorKind::WouldBlock);
            assert!(batch.is_empty(), "what came before is forgotten");
        }
        io::Result::Ok(())
    })
    .unwrap();
}

#[test]
fn room_that_makes_no_sense_is_refused() {
    for (count, size) in [(0, 1), (1, 0), (Batch::MOST + 1, 1), (2, usize::MAX)] {
        assert!(std::panic::catch_unwind(|| Batch::new(count, size)).is_err(), "{count} of {size}");
    }
    run(async {
        let socket = Rc::new(UdpSocket::bind(LOCAL).await?);
        let task = spawn({
            let socket = socket.clone();
            async move { socket.send_segments(b"x", 0).await }
        });
        assert!(task.await.unwrap_err().is_panic());
        io::Result::Ok(())
    })
    .unwrap();
}

#[test]
fn as_many_are_sent_as_is_said() {
    run(async {
        let sender = UdpSocket::bind(LOCAL).await?;
        let receivers = [UdpSocket::bind(LOCAL).await?, UdpSocket::bind(LOCAL).await?];
        let addresses = [receivers[0].local_addr()?, receivers[1].local_addr()?];
        let data: Vec<[u8; 2]> = (0..100).map(|n| [n, n]).collect();
        let datagrams: Vec<_> =
            data.iter().enumerate().map(|(n, data)| Outgoing::to(data, addresses[n % 2])).collect();
        assert_eq!(sender.try_send_many(datagrams.iter().copied())?, Batch::MOST);
        send_all(&sender, &datagrams[Batch::MOST..]).await?;
        let mut batch = Batch::new(Batch::MOST, 8);
        for (parity, receiver) in receivers.iter().enumerate() {
            let mut received = Vec::new();
            while received.len() < 50 {
                receiver.recv_many(&mut batch).await?;
                for datagram in &batch {
                    assert_eq!(datagram.from(), sender.local_addr()?);
                    received.push(usize::from(datagram.data()[1]));
                }
            }
            assert!(received.into_iter().eq((0..50).map(|n| 2 * n + parity)));
        }
        // The batches are an empty one, one with an empty datagram, and one with a datagram that has no destination.
        assert_eq!(sender.send_many([]).await?, 0);
        assert_eq!(sender.try_send_many([])?, 0);
        assert_eq!(sender.send_many([Outgoing::to(b"", addresses[0])]).await?, 1);
        assert_eq!(receivers[0].recv(&mut [0; 8]).await?, 0);
        assert!(sender.send_many([Outgoing::new(b"whereto?")]).await.is_err());
        // The error is that of the first datagram.
        let long = vec![0; 70_000];
        let mixed = [Outgoing::to(b"fits", addresses[0]), Outgoing::to(&long, addresses[0])];
        assert_eq!(sender.send_many(mixed).await?, 1);
        let error = sender.send_many(mixed.into_iter().skip(1)).await.unwrap_err();
        assert_eq!(error.raw_os_error(), Some(libc::EMSGSIZE));
        assert_eq!(receivers[0].recv(&mut [0; 8]).await?, 4);
        io::Result::Ok(())
    })
    .unwrap();
}

#[test]
fn a_refusal_is_told_to_who_receives_by_batches() {
    run(async {
        let (a, b) = (UdpSocket::bind(LOCAL).await?, UdpSocket::bind(APART).await?);
        a.connect(b.local_addr()?).await?;
        b.send_to(b"the last", a.local_addr()?).await?;
        drop(b);
        a.send(b"hello?").await?;
        let mut batch = Batch::new(4, 16);
        let (mut refused, mut received) = (0, 0);
        while refused + received < 2 {
            match a.recv_many(&mut batch).await {
                Ok(count) => received += count,
                Err(error) => {
                    assert_eq!(error.kind(), ErrorKind::ConnectionRefused);
                    refused += 1;
                }
            }
        }
        assert_eq!((refused, received), (1, 1));
        assert!(poll_once(a.recv_many(&mut batch)).await.is_none());
        io::Result::Ok(())
    })
    .unwrap();
}

#[test]
fn no_batch_runs_on_for_ever() {
    run(async {
        let (a, b) = pair().await?;
        let task = spawn(async move {
            let mut batch = Batch::new(2, 8);
            let mut rounds = [0, 0];
            let sending = loop {
                if poll_once(a.send_many([Outgoing::new(b"x"); 2])).await.is_none() {
                    break rounds[0];
                }
                rounds[0] += 1;
                assert!(rounds[0] < 1000);
            };
            yield_now().await;
            loop {
                a.try_send_many([Outgoing::new(b"x"); 2])?;
                if poll_once(b.recv_many(&mut batch)).await.is_none() {
                    return io::Result::Ok((sending, rounds[1]));
                }
                rounds[1] += 1;
                assert!(rounds[1] < 1000);
            }
        });
        let (sending, receiving) = task.await.unwrap()?;
        assert!((1..=256).contains(&sending) && (1..=256).contains(&receiving), "{sending}, {receiving}");
        io::Result::Ok(())
    })
    .unwrap();
}

/// A server echoes batches, and a client sends and receives batches.
fn echo_by_batches() {
    run(async {
        let server = UdpSocket::bind(LOCAL).await?;
        let address = server.local_addr()?;
        drop(spawn(async move {
            let mut batch = Batch::new(Batch::MOST, 64);
            loop {
                let count = server.recv_many(&mut batch).await?;
                let mut sent = 0;
                while sent < count {
                    let answers = batch.iter().map(|came| Outgoing::to(came.data(), came.from()));
                    sent += server.send_many(answers.skip(sent)).await?;
                }
            }
            #[expect(unreachable_code, reason = "what the task would give")]
            io::Result::Ok(())
        }));
        let client = UdpSocket::bind(LOCAL).await?;
        client.connect(address).await?;
        let mut batch = Batch::new(Batch::MOST, 64);
        for round in 0..20_u8 {
            let data: Vec<[u8; 8]> = (0..40).map(|n| [round ^ n; 8]).collect();
            let datagrams: Vec<_> = data.iter().map(|data| Outgoing::new(data)).collect();
            send_all(&client, &datagrams).await?;
            let mut answers = 0;
            while answers < 40 {
                let receive = client.recv_many(&mut batch);
                time::timeout(Duration::from_secs(10), receive).await.expect("answers in time")?;
                for answer in &batch {
                    assert_eq!(answer.data(), data[answers]);
                    answers += 1;
                }
            }
        }
        io::Result::Ok(())
    })
    .unwrap();
}

#[test]
fn a_server_that_echoes_by_batches() {
    echo_by_batches();
}

#[test]
fn a_system_that_has_no_such_calls_does_it_one_by_one() {
    for call in ["recvmmsg", "sendmmsg"] {
        for errno in ["ENOSYS", "EPERM"] {
            let (case, inject) = (format!("{call}-{errno}"), format!("inject={call}:error={errno}"));
            in_child_under(
                "a_system_that_has_no_such_calls_does_it_one_by_one",
                &case,
                &["-e", &inject],
                echo_by_batches,
            );
        }
    }
}

/// Sends a buffer as segments, and receives it as a whole.
fn segments() {
    run(async {
        let (a, b) = pair().await?;
        let data: Vec<u8> = (0..100_000_u32).map(|n| (n % 251) as u8).collect();
        for size in [1000, 1200, 33_000] {
            let mut from = 0;
            let mut buffer = vec![0; 65_536];
            for round in 0.. {
                let count = match round % 2 {
                    0 => a.send_segments(&data[from..], size).await?,
                    _ => a.try_send_segments_to(&data[from..], size, b.local_addr()?)?,
                };
                assert!(count > 0 && (count % size == 0 || from + count == data.len()));
                for piece in data[from..from + count].chunks(size) {
                    let length = time::timeout(Duration::from_secs(10), b.recv(&mut buffer)).await;
                    assert_eq!(length.expect("a segment in time")?, piece.len());
                    assert!(buffer[..piece.len()] == *piece);
                }
                from += count;
                if from == data.len() {
                    break;
                }
            }
        }
        assert_eq!(a.send_segments(&[], 1000).await?, 0);
        assert_eq!(a.send_segments(b"less", 1000).await?, 4);
        assert_eq!(b.recv(&mut [0; 8]).await?, 4);
        assert!(poll_once(b.recv(&mut [0; 8])).await.is_none());
        io::Result::Ok(())
    })
    .unwrap();
}

#[test]
fn one_piece_of_memory_goes_as_many_datagrams() {
    segments();
}

#[test]
fn a_device_that_cannot_cut_up_gets_the_pieces() {
    for error in ["EIO", "EINVAL", "EMSGSIZE"] {
        let inject = format!("inject=sendmsg:error={error}");
        in_child_under("a_device_that_cannot_cut_up_gets_the_pieces", error, &["-e", &inject], segments);
    }
}

#[test]
fn what_comes_as_one_is_taken_apart() {
    run(async {
        let (a, b) = pair().await?;
        match b.set_coalescing(true) {
            Ok(()) => {}
            // The datagrams then come one by one, with the same contents.
            Err(error) if error.kind() == ErrorKind::Unsupported => {}
            Err(error) => return Err(error),
        }
        let data: Vec<u8> = (0..10_500_u32).map(|n| (n % 251) as u8).collect();
        assert_eq!(a.send_segments(&data, 1000).await?, 10_500);
        a.send(&[]).await?;
        a.send(b"alone").await?;
        let (mut batch, mut segments) = (Batch::new(16, 65_535), Vec::new());
        while segments.len() < 13 {
            b.recv_many(&mut batch).await?;
            for datagram in &batch {
                if cfg!(target_os = "linux") && datagram.data().len() > 1000 {
                    assert_eq!((datagram.segment_size(), datagram.data().len()), (Some(1000), 10_500));
                }
                segments.extend(datagram.segments().map(<[u8]>::to_vec));
            }
        }
        let mut expected: Vec<_> = data.chunks(1000).map(<[u8]>::to_vec).collect();
        expected.extend([Vec::new(), b"alone".to_vec()]);
        assert!(segments == expected);
        b.set_coalescing(false)?;
        a.send_segments(&data, 5000).await?;
        let mut count = 0;
        until(|| {
            count += b.try_recv_many(&mut batch).unwrap_or(0);
            count == 3
        })
        .await;
        io::Result::Ok(())
    })
    .unwrap();
}
