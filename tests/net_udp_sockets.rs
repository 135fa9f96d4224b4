//! UDP sockets besides their transfers: addresses, conversions from std and to it, options, multicast groups, and devices.

mod net_support;

use net_support::udp::{LOCAL, pair};
use net_support::{poll_once, run, watchdog};
use runtime::net::UdpSocket;
use runtime::spawn;
use std::io::{self, ErrorKind};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::thread;

#[test]
fn a_socket_connects_anew_and_hears_its_peer_alone() {
    run(async {
        let (a, b) = pair().await?;
        let stranger = UdpSocket::bind(LOCAL).await?;
        stranger.send_to(b"from a stranger", a.local_addr()?).await?;
        b.send(b"peer").await?;
        let mut buffer = [0; 32];
        assert_eq!(a.recv_from(&mut buffer).await?, (4, b.local_addr()?));
        a.connect(stranger.local_addr()?).await?;
        assert_eq!(a.peer_addr()?, stranger.local_addr()?);
        a.send(b"hello").await?;
        assert_eq!(stranger.recv_from(&mut buffer).await?, (5, a.local_addr()?));
        assert_eq!(stranger.peer_addr().unwrap_err().kind(), ErrorKind::NotConnected);
        assert!(stranger.send(b"whereto?").await.is_err());
        io::Result::Ok(())
    })
    .unwrap();
}

#[test]
fn addresses_are_taken_as_everywhere() {
    run(async {
        let server = UdpSocket::bind("127.0.0.1:0").await?;
        let taken = server.local_addr()?;
        assert_eq!(UdpSocket::bind(taken).await.unwrap_err().kind(), ErrorKind::AddrInUse);
        // Of several addresses, the first one that is free is used.
        let second = UdpSocket::bind(&[taken, SocketAddr::from(LOCAL)][..]).await?;
        let none: &[SocketAddr] = &[];
        assert_eq!(UdpSocket::bind(none).await.unwrap_err().kind(), ErrorKind::InvalidInput);
        assert_eq!(second.send_to(b"x", none).await.unwrap_err().kind(), ErrorKind::InvalidInput);
        assert_eq!(second.connect(none).await.unwrap_err().kind(), ErrorKind::InvalidInput);
        assert_eq!(second.send_to(b"x", "nowhere").await.unwrap_err().kind(), ErrorKind::InvalidInput);
        second.send_to(b"hello", ("127.0.0.1", taken.port())).await?;
        assert_eq!(server.recv_from(&mut [0; 8]).await?, (5, second.local_addr()?));
        assert_eq!(format!("{server:?}"), format!("{:?}", server.into_std()?));
        io::Result::Ok(())
    })
    .unwrap();
}

#[test]
fn std_gives_sockets_and_takes_them_back() {
    let watchdog = watchdog();
    let ours = std::net::UdpSocket::bind(LOCAL).unwrap();
    let other = std::net::UdpSocket::bind(LOCAL).unwrap();
    let (to, from) = (ours.local_addr().unwrap(), other.local_addr().unwrap());
    // The socket is made outside of any runtime, from a blocking one, and is non-blocking from then on.
    let ours = UdpSocket::try_from(ours).unwrap();
    assert_eq!(ours.try_recv(&mut [0; 8]).unwrap_err().kind(), ErrorKind::WouldBlock);
    // It is used in three runtimes, one after the other, on two threads.
    let ours = Arc::new(ours);
    for round in 0..3 {
        let task = {
            let ours = ours.clone();
            move || {
                runtime::block_on(async move {
                    assert!(poll_once(ours.recv(&mut [0; 8])).await.is_none());
                    drop(spawn({
                        let ours = ours.clone();
                        async move { ours.send_to(b"to myself", to).await }
                    }));
                    ours.recv_from(&mut [0; 16]).await.unwrap()
                })
            }
        };
        let received = if round == 1 { thread::spawn(task).join().unwrap() } else { task() };
        assert_eq!(received, (9, to));
    }
    other.send_to(b"std", to).unwrap();
    let ours = std::net::UdpSocket::try_from(Arc::into_inner(ours).unwrap()).unwrap();
    ours.set_nonblocking(false).unwrap();
    assert_eq!(ours.recv_from(&mut [0; 8]).unwrap(), (3, from));
    drop(watchdog);
}

#[test]
fn options_are_kept() {
    run(async {
        let v4 = UdpSocket::bind(LOCAL).await?;
        for on in [true, false] {
            v4.set_broadcast(on)?;
            assert_eq!(v4.broadcast()?, on);
            v4.set_multicast_loop_v4(on)?;
            assert_eq!(v4.multicast_loop_v4()?, on);
        }
        v4.set_multicast_ttl_v4(7)?;
        v4.set_ttl(33)?;
        v4.set_tos_v4(0x28)?;
        assert_eq!((v4.multicast_ttl_v4()?, v4.ttl()?, v4.tos_v4()?), (7, 33, 0x28));
        assert_eq!(
            v4.send_to(b"x", (Ipv4Addr::BROADCAST, 9)).await.unwrap_err().kind(),
            ErrorKind::PermissionDenied
        );
        // Some machines have no IPv6.
        if let Ok(v6) = UdpSocket::bind((Ipv6Addr::LOCALHOST, 0)).await {
            for on in [true, false] {
                v6.set_multicast_loop_v6(on)?;
                assert_eq!(v6.multicast_loop_v6()?, on);
            }
            v6.set_multicast_hops_v6(5)?;
            v6.set_tclass_v6(0x28)?;
            assert_eq!((v6.multicast_hops_v6()?, v6.tclass_v6()?), (5, 0x28));
            v6.send_to(b"six", v6.local_addr()?).await?;
            assert_eq!(v6.recv_from(&mut [0; 8]).await?, (3, v6.local_addr()?));
            let group = "ff11::1234".parse().unwrap();
            if v6.join_multicast_v6(&group, 1).is_ok() {
                v6.leave_multicast_v6(&group, 1)?;
                assert!(v6.leave_multicast_v6(&group, 1).is_err());
            }
        }
        io::Result::Ok(())
    })
    .unwrap();
}

/// Systems take C's ints or bytes. In an int, 2^32 - 1 is -1, which means the default to Linux.
#[test]
#[cfg_attr(miri, ignore = "it has no UDP")]
fn values_that_the_system_cannot_count_are_refused() {
    run(async {
        let v4 = UdpSocket::bind("127.0.0.1:0").await?;
        let before = (v4.ttl()?, v4.multicast_ttl_v4()?, v4.tos_v4()?);
        for large in [256, 1 << 31, (1 << 31) + 64, u32::MAX] {
            for result in [v4.set_ttl(large), v4.set_multicast_ttl_v4(large), v4.set_tos_v4(large)] {
                assert_eq!(result.unwrap_err().kind(), ErrorKind::InvalidInput, "{large}");
            }
        }
        assert_eq!((v4.ttl()?, v4.multicast_ttl_v4()?, v4.tos_v4()?), before);
        v4.set_ttl(255)?;
        v4.set_multicast_ttl_v4(0)?;
        v4.set_tos_v4(255)?;
        assert_eq!((v4.ttl()?, v4.multicast_ttl_v4()?, v4.tos_v4()?), (255, 0, 255));
        if let Ok(v6) = UdpSocket::bind("[::1]:0").await {
            let before = (v6.multicast_hops_v6()?, v6.tclass_v6()?);
            for large in [256, 1 << 31, (1 << 31) + 64, u32::MAX] {
                for result in [v6.set_multicast_hops_v6(large), v6.set_tclass_v6(large)] {
                    assert_eq!(result.unwrap_err().kind(), ErrorKind::InvalidInput, "{large}");
                }
            }
            assert_eq!((v6.multicast_hops_v6()?, v6.tclass_v6()?), before);
        }
        io::Result::Ok(())
    })
    .unwrap();
}

#[test]
fn a_group_is_heard_between_joining_and_leaving() {
    run(async {
        let group = Ipv4Addr::new(239, 255, 17, 4);
        let member = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).await?;
        let port = member.local_addr()?.port();
        let sender = UdpSocket::bind(LOCAL).await?;
        socket2::SockRef::from(&sender).set_multicast_if_v4(&Ipv4Addr::LOCALHOST)?;
        member.join_multicast_v4(group, Ipv4Addr::LOCALHOST)?;
        let mut buffer = [0; 16];
        assert!(poll_once(member.recv(&mut buffer)).await.is_none());
        sender.send_to(b"to the group", (group, port)).await?;
        assert_eq!(member.recv_from(&mut buffer).await?, (12, sender.local_addr()?));
        member.leave_multicast_v4(group, Ipv4Addr::LOCALHOST)?;
        assert_eq!(
            member.leave_multicast_v4(group, Ipv4Addr::LOCALHOST).unwrap_err().kind(),
            ErrorKind::AddrNotAvailable
        );
        assert!(member.join_multicast_v4(Ipv4Addr::LOCALHOST, Ipv4Addr::LOCALHOST).is_err());
        io::Result::Ok(())
    })
    .unwrap();
}

#[cfg(target_os = "linux")]
#[test]
fn a_socket_bound_to_an_interface_says_so() {
    run(async {
        let socket = UdpSocket::bind(LOCAL).await?;
        assert_eq!(socket.device()?, None);
        assert_eq!(socket.bind_device(Some(b"none-such")).unwrap_err().raw_os_error(), Some(libc::ENODEV));
        socket.bind_device(Some(b"lo"))?;
        assert_eq!(socket.device()?.as_deref(), Some(&b"lo"[..]));
        socket.send_to(b"lo", socket.local_addr()?).await?;
        assert_eq!(socket.recv(&mut [0; 8]).await?, 2);
        io::Result::Ok(())
    })
    .unwrap();
}
