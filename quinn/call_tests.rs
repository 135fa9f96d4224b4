//! Control messages that arrive: marks, segments and local addresses, over IPv4, IPv6, and IPv4 by a socket of IPv6.

use super::*;
use ::quinn::udp::{EcnCodepoint, RecvMeta};
use std::io::IoSliceMut;
use std::net::{Ipv4Addr, Ipv6Addr};

/// Returns a socket for quinn. `is_dual` asks for one of IPv6 that also sends and receives IPv4.
fn bind(address: impl Into<IpAddr>, is_dual: bool) -> (UdpSocket, UdpSocketState) {
    let address = SocketAddr::new(address.into(), 0);
    let socket =
        socket2::Socket::new(socket2::Domain::for_address(address), socket2::Type::DGRAM, None).unwrap();
    if address.is_ipv6() {
        socket.set_only_v6(!is_dual).unwrap();
    }
    socket.bind(&address.into()).unwrap();
    let socket = UdpSocket::from(socket);
    let state = UdpSocketState::new((&socket).into()).unwrap();
    (socket, state)
}

/// Sends datagrams, and returns how they arrive. Datagrams on the loopback interface arrive within the call.
fn exchange(
    sender: &(UdpSocket, UdpSocketState),
    receiver: &(UdpSocket, UdpSocketState),
    transmit: &Transmit<'_>,
) -> Vec<RecvMeta> {
    send(&sender.0, &sender.1, transmit).unwrap();
    let mut memory = vec![0; 8 << 16];
    let mut buffers: Vec<_> = memory.chunks_mut(1 << 16).map(IoSliceMut::new).collect();
    let mut meta = [RecvMeta::default(); 8];
    let count = receiver.1.recv((&receiver.0).into(), &mut buffers, &mut meta).unwrap();
    meta[..count].to_vec()
}

fn transmit(to: impl Into<IpAddr>, receiver: &UdpSocket, contents: &'static [u8]) -> Transmit<'static> {
    let destination = SocketAddr::new(to.into(), receiver.local_addr().unwrap().port());
    Transmit { destination, ecn: None, contents, segment_size: None, src_ip: None }
}

const MAPPED: Ipv6Addr = Ipv4Addr::LOCALHOST.to_ipv6_mapped();

#[test]
#[cfg_attr(miri, ignore = "Miri has no UDP")]
fn a_mark_arrives_as_it_was_sent() {
    let v4 = bind(Ipv4Addr::LOCALHOST, false);
    let v6 = bind(Ipv6Addr::LOCALHOST, false);
    let dual = bind(Ipv6Addr::UNSPECIFIED, true);
    let paths: [(&str, &_, &_, IpAddr); 5] = [
        ("IPv4", &v4, &v4, Ipv4Addr::LOCALHOST.into()),
        ("IPv6", &v6, &v6, Ipv6Addr::LOCALHOST.into()),
        ("mapped to IPv4", &dual, &v4, MAPPED.into()),
        ("IPv4 to mapped", &v4, &dual, Ipv4Addr::LOCALHOST.into()),
        ("mapped to mapped", &dual, &dual, MAPPED.into()),
    ];
    for (path, sender, receiver, to) in paths {
        for ecn in [None, Some(EcnCodepoint::Ect0), Some(EcnCodepoint::Ect1), Some(EcnCodepoint::Ce)] {
            let arrived =
                exchange(sender, receiver, &Transmit { ecn, ..transmit(to, &receiver.0, b"hello") });
            assert_eq!(arrived.len(), 1, "{path}");
            assert_eq!((arrived[0].len, arrived[0].ecn), (5, ecn), "{path}");
            assert_eq!(arrived[0].dst_ip.map(|ip| ip.to_canonical()), Some(to.to_canonical()), "{path}");
        }
    }
}

#[test]
#[cfg_attr(miri, ignore = "Miri has no UDP")]
fn segments_arrive_with_their_mark_and_their_size() {
    static DATA: [u8; 2500] = [7; 2500];
    let v4 = bind(Ipv4Addr::LOCALHOST, false);
    let v6 = bind(Ipv6Addr::LOCALHOST, false);
    let dual = bind(Ipv6Addr::UNSPECIFIED, true);
    let paths: [(&_, IpAddr); 3] =
        [(&v4, Ipv4Addr::LOCALHOST.into()), (&v6, Ipv6Addr::LOCALHOST.into()), (&dual, MAPPED.into())];
    for (socket, to) in paths {
        let ecn = Some(EcnCodepoint::Ect0);
        let batch = Transmit { ecn, segment_size: Some(1000), ..transmit(to, &socket.0, &DATA) };
        let arrived = exchange(socket, socket, &batch);
        assert!(
            arrived.iter().all(|meta| meta.ecn == ecn && meta.stride == meta.len.min(1000)),
            "{arrived:?}"
        );
        assert_eq!(arrived.iter().map(|meta| meta.len).sum::<usize>(), 2500);
    }
}

/// A server with many addresses answers from the one that the client has asked.
#[test]
#[cfg_attr(miri, ignore = "Miri has no UDP")]
fn a_datagram_leaves_from_the_given_local_address() {
    let client = bind(Ipv4Addr::LOCALHOST, false);
    let second = Ipv4Addr::new(127, 0, 0, 2);
    for (server, from) in [
        (bind(Ipv4Addr::UNSPECIFIED, false), IpAddr::from(second)),
        (bind(Ipv6Addr::UNSPECIFIED, true), IpAddr::from(second.to_ipv6_mapped())),
    ] {
        let to: IpAddr = if from.is_ipv4() { Ipv4Addr::LOCALHOST.into() } else { MAPPED.into() };
        for ecn in [None, Some(EcnCodepoint::Ect0)] {
            let answer = Transmit { src_ip: Some(from), ecn, ..transmit(to, &client.0, b"answer") };
            let arrived = exchange(&server, &client, &answer);
            assert_eq!((arrived[0].addr.ip(), arrived[0].ecn), (IpAddr::from(second), ecn));
        }
    }
    let v6 = bind(Ipv6Addr::UNSPECIFIED, false);
    let own =
        Transmit { src_ip: Some(Ipv6Addr::LOCALHOST.into()), ..transmit(Ipv6Addr::LOCALHOST, &v6.0, b"x") };
    assert_eq!(exchange(&v6, &v6, &own)[0].addr.ip(), IpAddr::from(Ipv6Addr::LOCALHOST));
}
