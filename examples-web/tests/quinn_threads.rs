//! QUIC and threads: an endpoint whose connections run on several runtimes, and a full socket, for whose room connections of
//! several threads wait.
#![expect(unsafe_code, reason = "a descriptor that is replaced by another one")]

mod quinn_support;

use quinn::udp::Transmit;
use quinn::{AsyncUdpSocket, Runtime, UdpPoller, VarInt};
use quinn_support::{connect, echo, endpoints, exchange, on_every_selector, patient};
use runtime::task::spawn_blocking;
use std::future::poll_fn;
use std::io::{ErrorKind, IoSliceMut, Read};
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::os::fd::AsRawFd;
use std::pin::Pin;
use std::sync::Arc;
use std::task::Poll;
use std::thread::{self, JoinHandle};

/// The endpoint receives on the thread that has made it, and the connection sends on the one that has begun it.
#[test]
fn a_connection_runs_on_another_runtime_than_its_endpoint() {
    on_every_selector(async || {
        let (server, client) = endpoints(patient());
        echo(&server);
        let other = {
            let (client, server) = (client.clone(), server.clone());
            spawn_blocking(move || {
                runtime::block_on(async {
                    let connection = connect(&client, &server).await;
                    exchange(&connection, &vec![7; 1_000_000]).await;
                    connection.close(VarInt::from_u32(0), b"done");
                    // It is this runtime that says goodbye.
                    connection.closed().await;
                });
            })
        };
        let connection = connect(&client, &server).await;
        exchange(&connection, &vec![8; 1_000_000]).await;
        other.await.unwrap();
        exchange(&connection, b"still there").await;
    });
}

/// A socket for quinn that can become full, since it is in truth a TCP stream, and the other end of this stream.
fn full_socket() -> (Arc<dyn AsyncUdpSocket>, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let stream = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let (peer, _) = listener.accept().unwrap();
    stream.set_nonblocking(true).unwrap();
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let number = socket.as_raw_fd();
    let socket = runtime::quinn::Runtime.wrap_udp_socket(socket).unwrap();
    // SAFETY: both descriptors are open. The second one stays open, and is closed by its owner.
    assert_eq!(unsafe { libc::dup2(stream.as_raw_fd(), number) }, number);
    (socket, peer)
}

/// Sends until there is no room.
fn fill(socket: &dyn AsyncUdpSocket) {
    let destination = SocketAddr::from(([127, 0, 0, 1], 1));
    let contents = &[7; 60_000];
    let transmit = Transmit { destination, ecn: None, contents, segment_size: None, src_ip: None };
    for _ in 0..100_000 {
        if let Err(error) = socket.try_send(&transmit) {
            assert_eq!(error.kind(), ErrorKind::WouldBlock);
            return;
        }
    }
    panic!("the socket is never full");
}

async fn writable(poller: &mut Pin<Box<dyn UdpPoller>>) {
    poll_fn(|cx| poller.as_mut().poll_writable(cx)).await.unwrap();
}

async fn is_writable(poller: &mut Pin<Box<dyn UdpPoller>>) -> bool {
    poll_fn(|cx| Poll::Ready(poller.as_mut().poll_writable(cx).is_ready())).await
}

/// Reads what the socket has sent, on a thread of its own, until the socket is closed.
fn read_all(mut peer: TcpStream) -> JoinHandle<()> {
    thread::spawn(move || while peer.read(&mut [0; 60_000]).is_ok_and(|count| count > 0) {})
}

#[test]
fn a_full_socket_wakes_each_connection_that_waits() {
    on_every_selector(async || {
        let (socket, peer) = full_socket();
        let mut pollers: Vec<_> = (0..3).map(|_| socket.clone().create_io_poller()).collect();
        for poller in &mut pollers {
            assert!(is_writable(poller).await, "nothing has been sent");
        }
        fill(&*socket);
        for poller in &mut pollers {
            assert!(!is_writable(poller).await);
        }
        // One that has gone away takes no event with it.
        drop(pollers.remove(0));
        let reader = read_all(peer);
        for poller in &mut pollers {
            writable(poller).await;
        }
        drop((pollers, socket));
        reader.join().unwrap();
    });
}

/// If the poller said that there were room, the connection would try again and again, and block its thread.
#[test]
fn a_connection_on_another_runtime_waits_for_room() {
    on_every_selector(async || {
        let (socket, peer) = full_socket();
        // The endpoint waits for datagrams on this runtime, which registers the descriptor.
        let mut buffer = [0; 10];
        let mut meta = [quinn::udp::RecvMeta::default()];
        let received = poll_fn(|cx| {
            let received = socket.poll_recv(cx, &mut [IoSliceMut::new(&mut buffer)], &mut meta);
            Poll::Ready(received.is_ready())
        });
        assert!(!received.await);
        let other = socket.clone();
        let connection = spawn_blocking(move || {
            runtime::block_on(async {
                let mut poller = other.clone().create_io_poller();
                fill(&*other);
                assert!(!is_writable(&mut poller).await);
                let reader = read_all(peer);
                writable(&mut poller).await;
                reader
            })
        });
        let reader = connection.await.unwrap();
        drop(socket);
        reader.join().unwrap();
    });
}
