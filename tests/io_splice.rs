//! Copies between sockets, by splice(2) and through buffers: ends, errors, counts, and copies that are dropped.
#![expect(unsafe_code, reason = "a signal is given back its default action")]

mod net_support;

use futures_lite::future::try_zip;
use net_support::copies::{Plain, Way, both_ways_at_once, fill, proxied, receive, send};
use net_support::{MIB, in_child, open_descriptors, pair, pattern, run, until};
use runtime::io::{AsyncReadExt, AsyncWriteExt, copy, copy_bidirectional, splice, splice_bidirectional};
use runtime::net::unix::pipe;
use runtime::net::{TcpStream, UnixStream};
use runtime::spawn;
use runtime::task::yield_now;
use std::io::{self, ErrorKind};
use std::rc::Rc;

#[test]
fn much_goes_both_ways_at_once() {
    run(both_ways_at_once(Way::Splice));
}

#[test]
fn much_goes_both_ways_at_once_by_buffers() {
    run(both_ways_at_once(Way::Copy));
}

#[test]
fn much_goes_through_unix_sockets_and_pipes() {
    run(async {
        let data = pattern(6 * MIB);
        // The copies lead from a Unix socket to a pipe, to TCP, to a pipe, and to a Unix socket.
        let (mut start, first) = UnixStream::pair()?;
        let (second, mut into_second) = pipe::pipe().map(|(sender, receiver)| (receiver, sender))?;
        let (mut third, fourth) = pair().await?;
        let (fifth, mut into_fifth) = pipe::pipe().map(|(sender, receiver)| (receiver, sender))?;
        let (mut last, mut end) = UnixStream::pair()?;
        let copies = [
            spawn(async move { splice(first, &mut into_second).await }),
            spawn(async move { splice(second, &mut third).await }),
            spawn(async move { splice(fourth, &mut into_fifth).await }),
            spawn(async move { splice(fifth, &mut last).await }),
        ];
        let sending = async {
            start.write_all(&data).await?;
            start.close().await
        };
        let mut got = Vec::new();
        try_zip(sending, end.read_to_end(&mut got)).await?;
        assert!(got == data);
        for copy in copies {
            assert_eq!(copy.await.unwrap()?, data.len() as u64);
        }
        io::Result::Ok(())
    })
    .unwrap();
}

#[test]
fn the_end_of_one_side_closes_the_other_for_writing_alone() {
    async fn check(way: Way) {
        for length in [0, 1, 16 * 1024, MIB] {
            let data = pattern(length);
            let (mut client, mut server, proxy) = proxied(way).await.unwrap();
            let (_, question) = try_zip(send(&mut client, &data), receive(&mut server)).await.unwrap();
            assert!(question == data);
            let (_, answer) = try_zip(send(&mut server, &data), receive(&mut client)).await.unwrap();
            assert!(answer == data);
            assert_eq!(proxy.await.unwrap().unwrap(), (length as u64, length as u64));
        }
    }
    run(check(Way::Splice));
    run(check(Way::Copy));
}

#[test]
fn small_and_large_pieces_take_turns() {
    run(async {
        let (mut client, mut server, proxy) = proxied(Way::Splice).await?;
        let mut total = 0;
        for length in [1, 100, 16 * 1024, 1, 2 * MIB, 3, 16 * 1024 - 1, 300 * 1024, 1, MIB, MIB, 5] {
            let data = pattern(length);
            let mut there = vec![0; length];
            try_zip(client.write_all(&data), server.read_exact(&mut there)).await?;
            assert!(there == data, "{length} there");
            let mut back = vec![0; length];
            try_zip(server.write_all(&there), client.read_exact(&mut back)).await?;
            assert!(back == data, "{length} back");
            total += length as u64;
        }
        drop((client, server));
        assert_eq!(proxy.await.unwrap()?, (total, total));
        io::Result::Ok(())
    })
    .unwrap();
}

#[test]
fn a_slow_reader_holds_up_a_bulk_and_then_gets_it_whole() {
    run(async {
        let data = pattern(12 * MIB);
        let (mut client, mut server, proxy) = proxied(Way::Splice).await?;
        let sending = async { send(&mut client, &data).await };
        let receiving = async {
            let (mut got, mut some) = (Vec::new(), vec![0; 4096]);
            // While the server reads little, all buffers on the way fill up.
            while got.len() < MIB {
                let count = server.read(&mut some).await?;
                got.extend(&some[..count]);
                for _ in 0..8 {
                    yield_now().await;
                }
            }
            server.read_to_end(&mut got).await?;
            io::Result::Ok(got)
        };
        let (_, got) = try_zip(sending, receiving).await?;
        assert!(got == data);
        drop((client, server));
        assert_eq!(proxy.await.unwrap()?, (data.len() as u64, 0));
        io::Result::Ok(())
    })
    .unwrap();
}

#[test]
fn an_error_of_either_side_ends_both() {
    run(async {
        for way in [Way::Copy, Way::Splice] {
            for at_client in [false, true] {
                let (client, near) = pair().await?;
                let (far, server) = pair().await?;
                let proxy = spawn(async move {
                    match way {
                        Way::Copy => copy_bidirectional(&mut Plain(near), &mut Plain(far)).await,
                        Way::Splice => splice_bidirectional(&mut &near, &mut &far).await,
                    }
                });
                let (mut gone, mut writes) = if at_client { (client, server) } else { (server, client) };
                // The client is dropped in the middle of a bulk transfer.
                let data = pattern(32 * MIB);
                let writing = spawn(async move { writes.write_all(&data).await });
                let mut some = vec![0; 100_000];
                gone.read_exact(&mut some).await?;
                // Because of the unread bytes, the close resets the connection.
                drop(gone);
                let error = proxy.await.unwrap().unwrap_err();
                assert!(
                    matches!(error.kind(), ErrorKind::ConnectionReset | ErrorKind::BrokenPipe),
                    "{error}"
                );
                assert!(writing.await.unwrap().is_err());
            }
        }
        io::Result::Ok(())
    })
    .unwrap();
}

#[test]
fn a_peer_that_is_gone_raises_no_signal() {
    in_child("a_peer_that_is_gone_raises_no_signal", || {
        // SAFETY: the default action is no function of ours.
        unsafe { libc::signal(libc::SIGPIPE, libc::SIG_DFL) };
        an_error_of_either_side_ends_both();
        // The same in the middle of a bulk transfer without a reset, which would be reported before a broken pipe.
        run(async {
            let (client, near) = pair().await?;
            let (far, _server) = pair().await?;
            let far = Rc::new(far);
            let copying = spawn({
                let far = far.clone();
                async move { splice(&near, &*far).await }
            });
            fill(&client).await;
            far.shutdown_std(std::net::Shutdown::Write)?;
            assert_eq!(copying.await.unwrap().unwrap_err().kind(), ErrorKind::BrokenPipe);
            io::Result::Ok(())
        })
        .unwrap();
    });
}

#[test]
fn nothing_is_lost_between_a_buffer_and_a_pipe() {
    // In front of an urgent mark, splice(2) reports that there is nothing, and once the peer has closed, that this is
    // the end: only a read passes the mark.
    run(async {
        let (client, near) = pair().await?;
        let (far, mut server) = pair().await?;
        let proxy = spawn(async move { splice(&near, &far).await });
        let data = pattern(MIB);
        let sending = async {
            let mut client = client;
            client.write_all(&data).await?;
            // The urgent byte itself is not part of the stream.
            until(|| socket2::SockRef::from(&client).send_out_of_band(b"!").is_ok()).await;
            client.write_all(&data).await?;
            client.close().await
        };
        let mut got = vec![0; 2 * MIB];
        try_zip(sending, server.read_exact(&mut got)).await?;
        assert!(got[..MIB] == data && got[MIB..] == data);
        assert_eq!(proxy.await.unwrap()?, 2 * MIB as u64);
        io::Result::Ok(())
    })
    .unwrap();
}

#[test]
fn copies_of_sockets_go_to_other_threads() {
    fn send<T: Send>(_: T) {}
    fn check(a: &mut TcpStream, b: &mut TcpStream) {
        send(copy_bidirectional(a, b));
        send(copy(&mut *a, &mut *b));
        send(splice_bidirectional(a, b));
        send(splice(a, b));
    }
    let _: fn(&mut TcpStream, &mut TcpStream) = check;
}

#[test]
fn a_copy_that_is_cancelled_gives_everything_back() {
    in_child("a_copy_that_is_cancelled_gives_everything_back", || {
        let mut before = None;
        for round in 0..3 {
            run(async {
                for _ in 0..20 {
                    let (client, near) = pair().await?;
                    let (far, server) = pair().await?;
                    let proxy = spawn(async move { splice_bidirectional(&mut &near, &mut &far).await });
                    fill(&client).await;
                    proxy.abort();
                    assert!(proxy.await.unwrap_err().is_cancelled());
                    drop(server);
                }
                io::Result::Ok(())
            })
            .unwrap();
            let now = open_descriptors();
            assert_eq!(*before.get_or_insert(now), now, "round {round}");
        }
    });
}

#[test]
fn what_a_cancelled_copy_has_taken_goes_to_no_other() {
    run(async {
        let (client, near) = pair().await?;
        let (far, mut server) = pair().await?;
        let cancelled = spawn(async move { splice(&near, &far).await });
        fill(&client).await;
        // The pipe has some room again. The pool would not lend a full one.
        server.read_exact(&mut vec![0; 3 * MIB]).await?;
        for _ in 0..50 {
            yield_now().await;
        }
        cancelled.abort();
        assert!(cancelled.await.unwrap_err().is_cancelled());
        // This copy uses what the first one has left with the loop.
        let (mut client, near) = pair().await?;
        let (far, mut server) = pair().await?;
        let copying = spawn(async move { splice(&near, &far).await });
        let data: Vec<u8> = pattern(4 * MIB).into_iter().rev().collect();
        let mut got = vec![0; data.len()];
        try_zip(client.write_all(&data), server.read_exact(&mut got)).await?;
        assert!(got == data);
        drop(client);
        assert_eq!(copying.await.unwrap()?, data.len() as u64);
        io::Result::Ok(())
    })
    .unwrap();
}
