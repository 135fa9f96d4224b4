//! Connections that this side makes: sockets with options, several addresses at once, and the errors if no connection can be
//! made.

mod net_support;

use net_support::attempts::holds_once_in;
use net_support::{full_listener, in_child, open_descriptors, run, watchdog};
#[cfg(target_os = "linux")]
use net_support::{in_namespace, poll_once};
use runtime::io::{AsyncReadExt, AsyncWriteExt};
use runtime::net::{TcpListener, TcpSocket, TcpStream, ToSocketAddrs, lookup_host};
use runtime::time::{Instant, timeout};
use std::io::{self, ErrorKind};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6};
use std::os::fd::{AsRawFd, OwnedFd};
#[cfg(target_os = "linux")]
use std::process::Command;
use std::time::Duration;

fn any() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], 0))
}

/// Returns an address that refuses connections as long as the returned socket exists.
fn refusing() -> (SocketAddr, TcpSocket) {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind(any()).unwrap();
    (socket.local_addr().unwrap(), socket)
}

fn errno(result: io::Result<impl Sized>) -> Option<i32> {
    result.err().expect("it cannot connect").raw_os_error()
}

#[test]
fn a_socket_becomes_a_listener_or_a_stream() {
    run(async {
        let socket = TcpSocket::new_v4()?;
        socket.bind(any())?;
        let address = socket.local_addr()?;
        let listener = socket.listen(16)?;
        assert_eq!(listener.local_addr()?, address);

        let socket = TcpSocket::new_v4()?;
        socket.bind(any())?;
        let own = socket.local_addr()?;
        let mut client = socket.connect(address).await?;
        let (mut server, peer) = listener.accept().await?;
        assert_eq!((client.local_addr()?, peer), (own, own), "the address it was bound to");
        client.write_all(b"hello").await?;
        let mut buffer = [0; 5];
        server.read_exact(&mut buffer).await?;

        // A socket of another crate, which is blocking.
        let std_socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None)?;
        let socket = TcpSocket::from_std_stream(std_socket.into());
        assert!(socket2::SockRef::from(&socket).nonblocking()?);
        let fd = socket.as_raw_fd();
        let socket = TcpSocket::from(OwnedFd::from(socket));
        assert_eq!(socket.as_raw_fd(), fd);
        let client = socket.connect(address).await?;
        assert_eq!(client.as_raw_fd(), fd);
        listener.accept().await?;
        io::Result::Ok(())
    })
    .unwrap();
}

#[test]
fn a_socket_is_made_and_used_without_a_runtime_until_it_has_to_wait() {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind(any()).unwrap();
    let listener = socket.listen(u32::MAX).unwrap();
    let address = listener.local_addr().unwrap();
    run(async {
        let socket = TcpSocket::new_v4()?;
        let stream = socket.connect(address).await?;
        assert_eq!(listener.accept().await?.1, stream.local_addr()?);
        io::Result::Ok(())
    })
    .unwrap();
}

#[test]
#[cfg_attr(miri, ignore = "it has no such options")]
fn options_of_a_socket_are_what_they_were_set_to() {
    let socket = TcpSocket::new_v4().unwrap();
    assert!(!socket.keepalive().unwrap() && !socket.nodelay().unwrap());
    assert!(!socket.reuseaddr().unwrap() && !socket.reuseport().unwrap());
    socket.set_keepalive(true).unwrap();
    socket.set_nodelay(true).unwrap();
    socket.set_reuseaddr(true).unwrap();
    socket.set_reuseport(true).unwrap();
    assert!(socket.keepalive().unwrap() && socket.nodelay().unwrap());
    assert!(socket.reuseaddr().unwrap() && socket.reuseport().unwrap());

    socket.set_send_buffer_size(20_000).unwrap();
    socket.set_recv_buffer_size(30_000).unwrap();
    // Linux doubles the sizes.
    assert!([20_000, 40_000].contains(&socket.send_buffer_size().unwrap()));
    assert!([30_000, 60_000].contains(&socket.recv_buffer_size().unwrap()));

    assert_eq!(socket.linger().unwrap(), None);
    socket.set_linger(Some(Duration::from_millis(1))).unwrap();
    assert_eq!(socket.linger().unwrap(), Some(Duration::from_secs(1)), "rounded up");
    socket.set_zero_linger().unwrap();
    assert_eq!(socket.linger().unwrap(), Some(Duration::ZERO));

    socket.set_tos_v4(0x10).unwrap();
    assert_eq!(socket.tos_v4().unwrap(), 0x10);
    assert!(socket.take_error().unwrap().is_none());
    if let Ok(socket) = TcpSocket::new_v6() {
        socket.set_tclass_v6(0x20).unwrap();
        assert_eq!(socket.tclass_v6().unwrap(), 0x20);
    }
}

#[test]
#[cfg_attr(miri, ignore = "it has no such options")]
fn when_and_how_often_a_silent_peer_is_asked_for_can_be_set() {
    let second = Duration::from_secs(1);
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_keepalive_idle(second * 60).unwrap();
    assert!(socket.keepalive().unwrap(), "setting one turns them on");
    socket.set_keepalive_interval(Duration::from_millis(9_001)).unwrap();
    socket.set_keepalive_count(3).unwrap();
    assert_eq!(socket.keepalive_idle().unwrap(), second * 60);
    assert_eq!(socket.keepalive_interval().unwrap(), second * 10, "rounded up");
    assert_eq!(socket.keepalive_count().unwrap(), 3);
    assert_eq!(errno(socket.set_keepalive_interval(Duration::ZERO)), Some(libc::EINVAL));
    run(async {
        let listener = TcpListener::bind(any()).await?;
        let stream = socket.connect(listener.local_addr()?).await?;
        assert_eq!(stream.keepalive()?, Some(second * 60), "kept by the stream");
        stream.set_keepalive_interval(second * 7)?;
        stream.set_keepalive_count(5)?;
        assert_eq!((stream.keepalive_interval()?, stream.keepalive_count()?), (second * 7, 5));
        assert_eq!(stream.keepalive()?, Some(second * 60));
        stream.set_zero_linger()?;
        assert_eq!(stream.linger()?, Some(Duration::ZERO));
        io::Result::Ok(())
    })
    .unwrap();
}

#[test]
#[cfg(target_os = "linux")]
#[cfg_attr(miri, ignore = "it has no such options")]
fn options_that_only_linux_has() {
    let socket = TcpSocket::new_v4().unwrap();
    assert_eq!(socket.device().unwrap(), None);
    assert_eq!(errno(socket.bind_device(Some(b"no such one"))), Some(libc::ENODEV));
    match socket.bind_device(Some(b"lo")) {
        Ok(()) => assert_eq!(socket.device().unwrap().unwrap(), b"lo"),
        Err(error) => assert_eq!(error.kind(), ErrorKind::PermissionDenied),
    }
    run(async {
        let listener = TcpListener::bind(any()).await?;
        let stream = socket.connect(listener.local_addr()?).await?;
        for quickack in [false, true, false] {
            stream.set_quickack(quickack)?;
            assert_eq!(stream.quickack()?, quickack);
        }
        io::Result::Ok(())
    })
    .unwrap();
}

#[test]
#[cfg(target_os = "linux")]
#[cfg_attr(miri, ignore = "it has no such options")]
fn listeners_that_share_a_port_share_its_connections() {
    run(async {
        let listen = |address: SocketAddr| {
            let socket = TcpSocket::new_v4()?;
            socket.set_reuseport(true)?;
            socket.bind(address)?;
            socket.listen(128)
        };
        let first = listen(any())?;
        let address = first.local_addr()?;
        let second = listen(address)?;
        let mut clients = Vec::new();
        for _ in 0..64 {
            clients.push(TcpStream::connect(address).await?);
        }
        let mut accepted = [0; 2];
        for (listener, accepted) in [&first, &second].into_iter().zip(&mut accepted) {
            while poll_once(listener.accept()).await.is_some() {
                *accepted += 1;
            }
        }
        assert_eq!(accepted[0] + accepted[1], 64);
        assert!(accepted[0] > 0 && accepted[1] > 0, "{accepted:?}");
        io::Result::Ok(())
    })
    .unwrap();
}

#[test]
#[cfg_attr(miri, ignore = "it drops no handshake")]
fn an_address_that_is_dead_costs_a_quarter_of_a_second() {
    run(async {
        let (dead, _fill) = full_listener();
        let listener = TcpListener::bind(any()).await?;
        let good = listener.local_addr()?;
        let (refused, _refusing) = refusing();
        // One attempt in time is enough, since the machine may be busy with other work.
        let mut best = Duration::MAX;
        for _ in 0..5 {
            let start = Instant::now();
            let stream = TcpStream::connect(&[dead, good, dead][..]).await?;
            assert_eq!(stream.peer_addr()?, good);
            assert!(start.elapsed() >= Duration::from_millis(250), "the first has its start");
            best = best.min(start.elapsed());
        }
        assert!(best <= Duration::from_millis(350), "{best:?}");
        // An address that refuses ends its turn, and does not shorten the time of the next address.
        let connect = async || {
            let start = Instant::now();
            let stream = TcpStream::connect(&[refused, refused, good, dead][..]).await.unwrap();
            assert_eq!(stream.peer_addr().unwrap(), good);
            start.elapsed()
        };
        holds_once_in(connect, |took| *took < Duration::from_millis(250)).await;
        io::Result::Ok(())
    })
    .unwrap();
}

#[test]
#[cfg_attr(miri, ignore = "it drops no handshake")]
fn the_sockets_of_those_that_lose_are_closed_at_once() {
    in_child("the_sockets_of_those_that_lose_are_closed_at_once", || {
        let _watchdog = watchdog();
        let runtime = runtime::Runtime::new().unwrap();
        let (dead, _fill) = full_listener();
        let listener = std::net::TcpListener::bind(any()).unwrap();
        let good = listener.local_addr().unwrap();
        let before = open_descriptors();
        runtime.block_on(async {
            let stream = TcpStream::connect(&[dead, dead, good][..]).await.unwrap();
            assert_eq!(open_descriptors(), before + 1);
            drop(stream);
            // The connect is dropped while three attempts are in progress.
            let addresses = [dead; 3];
            let all_dead = TcpStream::connect(&addresses[..]);
            assert!(timeout(Duration::from_millis(550), all_dead).await.is_err());
            assert_eq!(open_descriptors(), before);
        });
        assert_eq!(runtime.metrics().io_sources, 0);
    });
}

#[test]
#[cfg_attr(miri, ignore = "it drops no handshake")]
fn a_connect_with_a_timeout_ends_with_it() {
    run(async {
        let (dead, _fill) = full_listener();
        let limit = Duration::from_millis(20);
        for addresses in [vec![dead], vec![dead; 3]] {
            let start = Instant::now();
            let error = TcpStream::connect_timeout(&addresses[..], limit).await.unwrap_err();
            assert_eq!((error.kind(), error.raw_os_error()), (ErrorKind::TimedOut, None));
            assert!(start.elapsed() >= limit);
        }
        let listener = TcpListener::bind("localhost:0").await?;
        let port = listener.local_addr()?.port();
        TcpStream::connect_timeout(("localhost", port), Duration::from_secs(20)).await?;
        let (refused, _refusing) = refusing();
        let refused = TcpStream::connect_timeout(refused, Duration::from_secs(20)).await;
        assert_eq!(errno(refused), Some(libc::ECONNREFUSED));
        io::Result::Ok(())
    })
    .unwrap();
}

#[test]
#[cfg(target_os = "linux")]
#[cfg_attr(miri, ignore = "it drops no handshake")]
fn when_the_system_gives_up_that_is_its_own_errno() {
    run(async {
        let (dead, _fill) = full_listener();
        let socket = TcpSocket::new_v4()?;
        // The timeout replaces the usual two minutes.
        socket2::SockRef::from(&socket).set_tcp_user_timeout(Some(Duration::from_millis(100)))?;
        let error = socket.connect(dead).await.unwrap_err();
        assert_eq!(error.raw_os_error(), Some(libc::ETIMEDOUT));
        assert_eq!(error.kind(), ErrorKind::TimedOut);
        io::Result::Ok(())
    })
    .unwrap();
}

#[test]
fn of_several_errors_the_most_telling_is_told() {
    run(async {
        let (refused, _refusing) = refusing();
        // No connection can be made to a broadcast address, and the kernel says so at once.
        let no_way = SocketAddr::from(([255, 255, 255, 255], 1));
        let own = errno(TcpStream::connect(no_way).await);
        assert!(own.is_some() && own != Some(libc::ECONNREFUSED));
        for addresses in [[refused, refused], [no_way, refused], [refused, no_way]] {
            let told = errno(TcpStream::connect(&addresses[..]).await);
            let is_no_way = own == Some(libc::ENETUNREACH) || own == Some(libc::EHOSTUNREACH);
            let expected = if addresses[0] == no_way && !is_no_way { own } else { Some(libc::ECONNREFUSED) };
            assert_eq!(told, expected, "{addresses:?}");
        }
    });
}

#[test]
#[cfg(target_os = "linux")]
#[cfg_attr(miri, ignore = "it has no namespaces")]
fn each_way_to_fail_has_its_own_errno() {
    in_namespace("each_way_to_fail_has_its_own_errno", || {
        ip("link set lo up");
        ip("address add 10.9.0.1/32 dev lo");
        ip("route add unreachable 10.9.1.0/24");
        ip("route add prohibit 10.9.2.0/24");
        ip("route add blackhole 10.9.3.0/24");
        run(async {
            for (host, expected) in [
                ("10.9.0.1", libc::ECONNREFUSED),
                ("10.9.1.1", libc::EHOSTUNREACH),
                ("10.9.2.1", libc::EACCES),
                ("10.9.3.1", libc::EINVAL),
                ("10.9.4.1", libc::ENETUNREACH),
                ("240.0.0.1", libc::ENETUNREACH),
            ] {
                assert_eq!(errno(TcpStream::connect((host, 1)).await), Some(expected), "{host}");
            }
            // If neither family has a route, the error of the first address is returned. If one family has a route,
            // its error is returned.
            let [host, net]: [SocketAddr; 2] = ["10.9.1.1:1", "[2001:db8::1]:1"].map(|a| a.parse().unwrap());
            let refused = "10.9.0.1:1".parse().unwrap();
            let connect = |addresses: Vec<SocketAddr>| async move {
                errno(TcpStream::connect(&addresses[..]).await).unwrap()
            };
            assert_eq!(connect(vec![host, net]).await, libc::EHOSTUNREACH);
            assert_eq!(connect(vec![net, host]).await, libc::ENETUNREACH);
            assert_eq!(connect(vec![net, host, refused]).await, libc::ECONNREFUSED);
        });
    });
}

#[test]
#[cfg(target_os = "linux")]
#[cfg_attr(miri, ignore = "it has no namespaces")]
fn a_name_whose_first_address_is_dead_is_reached_by_the_other() {
    in_namespace("a_name_whose_first_address_is_dead_is_reached_by_the_other", || {
        ip("link set lo up");
        // A packet to this neighbour comes back over loopback, belongs to nobody, and vanishes.
        ip("address add 2001:db8::1/64 dev lo nodad");
        ip("address add 10.9.0.1/32 dev lo");
        let hosts = std::env::temp_dir().join(format!("runtime-hosts-{}", std::process::id()));
        std::fs::write(&hosts, "127.0.0.1 localhost\n2001:db8::2 two.test\n10.9.0.1 two.test\n").unwrap();
        let mounted = Command::new("mount").arg("--bind").arg(&hosts).arg("/etc/hosts").status();
        if !mounted.is_ok_and(|status| status.success()) {
            std::fs::remove_file(&hosts).unwrap();
            return eprintln!("passed over: /etc/hosts cannot be replaced");
        }
        std::fs::remove_file(&hosts).unwrap();
        run(async {
            let listener = TcpListener::bind("10.9.0.1:0").await?;
            let port = listener.local_addr()?.port();
            let found: Vec<_> = lookup_host(("two.test", port)).await?.collect();
            assert_eq!(found.len(), 2);
            assert!(found[0].is_ipv6(), "{found:?}");
            let dead = timeout(Duration::from_millis(100), TcpStream::connect(found[0])).await;
            assert!(dead.is_err(), "{dead:?}");
            let mut best = Duration::MAX;
            for _ in 0..5 {
                let start = Instant::now();
                let stream = TcpStream::connect(("two.test", port)).await?;
                assert_eq!(stream.peer_addr()?, listener.local_addr()?);
                best = best.min(start.elapsed());
            }
            assert!(best >= Duration::from_millis(250) && best <= Duration::from_millis(350), "{best:?}");
            io::Result::Ok(())
        })
        .unwrap();
    });
}

#[cfg(target_os = "linux")]
fn ip(words: &str) {
    let status = Command::new("ip").args(words.split(' ')).status().unwrap();
    assert!(status.success(), "ip {words}");
}

#[test]
fn whatever_stands_for_an_address_is_one() {
    async fn first(host: impl ToSocketAddrs) -> SocketAddr {
        lookup_host(host).await.unwrap().next().unwrap()
    }
    run(async {
        let (v4, v6) = (Ipv4Addr::new(192, 0, 2, 1), Ipv6Addr::LOCALHOST);
        let (of_v4, of_v6) = (SocketAddr::from((v4, 7)), SocketAddr::from((v6, 7)));
        for found in [
            first(of_v4).await,
            first(&&of_v4).await,
            first(SocketAddrV4::new(v4, 7)).await,
            first((IpAddr::from(v4), 7)).await,
            first((v4, 7)).await,
            first("192.0.2.1:7").await,
            first(&"192.0.2.1:7".to_owned()).await,
            first("192.0.2.1:7".to_owned()).await,
            first(("192.0.2.1", 7)).await,
            first(("192.0.2.1".to_owned(), 7)).await,
            first(&[of_v4, of_v6][..]).await,
            first(&vec![of_v4, of_v6][..]).await,
        ] {
            assert_eq!(found, of_v4);
        }
        for found in [
            first(SocketAddrV6::new(v6, 7, 0, 0)).await,
            first((v6, 7)).await,
            first("[::1]:7").await,
            first(("::1", 7)).await,
        ] {
            assert_eq!(found, of_v6);
        }
    });
}
