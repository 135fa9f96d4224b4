//! Accepted TCP connections: addresses and names, listeners, and several tasks that accept.

mod net_support;

use futures_lite::future::try_zip;
use futures_lite::{Stream, StreamExt};
use net_support::{poll_once, run, until};
use runtime::io::{AsyncReadExt, AsyncWriteExt};
use runtime::net::{TcpListener, TcpStream, lookup_host};
use runtime::spawn;
use runtime::task::yield_now;
use std::cell::Cell;
use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::rc::Rc;

#[test]
#[cfg_attr(miri, ignore = "it has no port before listen")]
fn addresses_are_tried_in_order_and_an_error_is_reported() {
    run(async {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let good = listener.local_addr()?;
        // A socket that is bound and does not listen refuses.
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
        // The resolver refuses this name.
        let error = lookup_host(("nul\0", 80)).await.map(Iterator::count).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
        // The look-ups are dropped before they are answered, and there are more of them than threads.
        for _ in 0..1000 {
            drop(poll_once(lookup_host("localhost:1")).await);
        }
        assert!(lookup_host("localhost:1").await?.count() > 0);
        io::Result::Ok(())
    })
    .unwrap();
}

#[test]
fn ipv6_works_like_ipv4() {
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
        // All acceptors wait before the first connection comes.
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
        // Both wait, and the one that is dropped does not take the other's waiter with it.
        assert!(poll_once(one.next()).await.is_none());
        assert!(poll_once(other.next()).await.is_none());
        drop(one);
        let client = TcpStream::connect(address).await?;
        let server = other.next().await.unwrap()?;
        assert_eq!(server.peer_addr()?, client.local_addr()?);
        // This accepts through the `poll_*` function.
        let accept = std::future::poll_fn(|cx| listener.poll_accept(cx));
        let (accepted, client) = try_zip(accept, TcpStream::connect(address)).await?;
        assert_eq!(accepted.1, client.local_addr()?);
        io::Result::Ok(())
    })
    .unwrap();
}
