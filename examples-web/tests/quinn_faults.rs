//! QUIC on sockets that fail.
#![expect(unsafe_code, reason = "options and descriptors that no safe function changes")]

mod quinn_support;

use quinn::udp::Transmit;
use quinn::{AsyncUdpSocket, Runtime, TransportConfig, VarInt};
use quinn_support::{connect, echo, endpoints, exchange, on_every_selector, patient, watchdog};
use runtime::time::{Duration, timeout};
use std::io::{ErrorKind, IoSliceMut};
use std::net::UdpSocket;
use std::os::fd::AsRawFd;

/// Returns settings with which no more data is on its way than fits into the buffer of a socket, so that none is lost.
fn narrow() -> TransportConfig {
    let mut transport = patient();
    transport.stream_receive_window(VarInt::from_u32(50_000));
    transport
}

/// Linux cuts up no data that is sent without checksums, and says so only when it is sent.
#[cfg(target_os = "linux")]
#[runtime::test]
async fn a_device_without_segments_loses_nothing() {
    let _watchdog = watchdog();
    let (sender, receiver) =
        (UdpSocket::bind("127.0.0.1:0").unwrap(), UdpSocket::bind("127.0.0.1:0").unwrap());
    no_checksums(&sender);
    let destination = receiver.local_addr().unwrap();
    let socket = runtime::quinn::Runtime.wrap_udp_socket(sender).unwrap();
    assert!(socket.max_transmit_segments() > 1);
    let ecn = Some(quinn::udp::EcnCodepoint::Ect0);
    let data = [7; 2500];
    let batch = Transmit { destination, ecn, contents: &data, segment_size: Some(1000), src_ip: None };
    socket.try_send(&batch).unwrap();
    assert_eq!(socket.max_transmit_segments(), 1);
    receiver.set_nonblocking(true).unwrap();
    let mut buffer = [0; 3000];
    for length in [1000, 1000, 500] {
        assert_eq!(receiver.recv(&mut buffer).unwrap(), length);
    }
    assert_eq!(receiver.recv(&mut buffer).unwrap_err().kind(), ErrorKind::WouldBlock);
}

#[cfg(target_os = "linux")]
#[runtime::test]
async fn a_connection_goes_on_without_segments() {
    let _watchdog = watchdog();
    let (server, client) = endpoints(narrow());
    echo(&server);
    let connection = connect(&client, &server).await;
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    no_checksums(&socket);
    client.rebind(socket).unwrap();
    exchange(&connection, &vec![7; 1_000_000]).await;
    let path = connection.stats().path;
    assert_eq!(path.lost_packets, 0, "{path:?}");
}

#[cfg(target_os = "linux")]
fn no_checksums(socket: &UdpSocket) {
    let on: libc::c_int = 1;
    // SAFETY: the descriptor is open, and the value has the given length.
    let result = unsafe {
        let length = size_of::<libc::c_int>() as libc::socklen_t;
        libc::setsockopt(
            socket.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_NO_CHECK,
            (&raw const on).cast(),
            length,
        )
    };
    assert_eq!(result, 0);
}

/// A connected socket reports that nobody listens at its peer. That is an error of an earlier datagram.
#[runtime::test]
async fn a_refused_port_does_not_end_the_endpoint() {
    let _watchdog = watchdog();
    let peer = UdpSocket::bind("127.0.0.1:0").unwrap();
    let address = peer.local_addr().unwrap();
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.connect(address).unwrap();
    let ours = socket.local_addr().unwrap();
    let raw = socket.try_clone().unwrap();
    let socket = runtime::quinn::Runtime.wrap_udp_socket(socket).unwrap();
    drop(peer);
    raw.send(b"refused").unwrap();
    let peer = UdpSocket::bind(address).unwrap();
    peer.send_to(b"data", ours).unwrap();
    assert_eq!(receive(&*socket).await.unwrap(), 4);
}

/// One call receives 32 datagrams at most. An event is reported once for all that have arrived.
#[test]
fn more_datagrams_arrive_than_one_call_receives() {
    on_every_selector(async || {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        let address = socket.local_addr().unwrap();
        let sender = UdpSocket::bind("127.0.0.1:0").unwrap();
        let socket = runtime::quinn::Runtime.wrap_udp_socket(socket).unwrap();
        for _ in 0..3 {
            for count in [1, 32, 100] {
                for _ in 0..count {
                    sender.send_to(b"datagram", address).unwrap();
                }
                let mut received = 0;
                while received < count {
                    received += receive_batch(&*socket).await;
                }
                assert_eq!(received, count);
            }
        }
    });
}

async fn receive_batch(socket: &dyn AsyncUdpSocket) -> usize {
    let mut memory = [[0; 100]; 32];
    let mut buffers = memory.each_mut().map(|buffer| IoSliceMut::new(buffer));
    let mut meta = [quinn::udp::RecvMeta::default(); 32];
    let received = std::future::poll_fn(|cx| socket.poll_recv(cx, &mut buffers, &mut meta));
    let count = received.await.unwrap();
    // The kernel may join datagrams of one sender.
    meta[..count].iter().map(|meta| meta.len / b"datagram".len()).sum()
}

/// The error of an earlier datagram is reported in the place of the next call, which then sends nothing.
#[runtime::test]
async fn a_refused_datagram_takes_no_later_one_with_it() {
    let _watchdog = watchdog();
    let peer = UdpSocket::bind("127.0.0.1:0").unwrap();
    let destination = peer.local_addr().unwrap();
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.connect(destination).unwrap();
    let raw = socket.try_clone().unwrap();
    let socket = runtime::quinn::Runtime.wrap_udp_socket(socket).unwrap();
    drop(peer);
    raw.send(b"refused").unwrap();
    let peer = UdpSocket::bind(destination).unwrap();
    peer.set_nonblocking(true).unwrap();
    let transmit = Transmit { destination, ecn: None, contents: b"data", segment_size: None, src_ip: None };
    socket.try_send(&transmit).unwrap();
    assert_eq!(peer.recv(&mut [0; 10]).unwrap(), 4);
}

/// A socket that is connected gets the errors that its datagrams cause. Here they are caused beside the connection.
#[runtime::test]
async fn a_storm_of_refusals_loses_nothing() {
    let _watchdog = watchdog();
    let (server, client) = endpoints(narrow());
    echo(&server);
    let connection = connect(&client, &server).await;
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let raw = socket.try_clone().unwrap();
    let unused = UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let address = server.local_addr().unwrap();
    client.rebind(socket).unwrap();
    exchange(&connection, b"from the new socket").await;
    let storm = runtime::spawn(async move {
        for _ in 0.. {
            raw.connect(unused).unwrap();
            // It is refused at once. The call may also return the error of the previous one.
            let _ = raw.send(b"refused");
            raw.connect(address).unwrap();
            runtime::task::yield_now().await;
        }
    });
    exchange(&connection, &vec![7; 500_000]).await;
    assert!(!storm.is_finished());
    storm.abort();
    assert_eq!(connection.stats().path.lost_packets, 0);
}

/// A socket that fails forever: each call of recvmmsg(2) returns `ENOTCONN`.
#[runtime::test]
async fn a_lasting_error_is_returned() {
    let _watchdog = watchdog();
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let number = socket.as_raw_fd();
    let socket = runtime::quinn::Runtime.wrap_udp_socket(socket).unwrap();
    let other = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
    // SAFETY: both descriptors are open. The first one stays open, and is closed by its owner.
    assert_eq!(unsafe { libc::dup2(other.as_raw_fd(), number) }, number);
    let error = receive(&*socket).await.unwrap_err();
    assert_eq!(error.raw_os_error(), Some(libc::ENOTCONN), "{error}");
}

async fn receive(socket: &dyn AsyncUdpSocket) -> std::io::Result<usize> {
    let mut buffer = [0; 1500];
    let mut meta = [quinn::udp::RecvMeta::default()];
    let received =
        std::future::poll_fn(|cx| socket.poll_recv(cx, &mut [IoSliceMut::new(&mut buffer)], &mut meta));
    timeout(Duration::from_secs(5), received).await.expect("no datagram in 5 s")?;
    Ok(meta[0].len)
}
