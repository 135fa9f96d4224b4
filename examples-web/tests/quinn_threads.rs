//! QUIC and threads: an endpoint whose connections run on several runtimes, an endpoint that is used on threads without a
//! runtime, and a full socket, for whose room connections of several threads wait.
#![expect(unsafe_code, reason = "a descriptor that is replaced by another one")]

mod quinn_support;

use quinn::udp::Transmit;
use quinn::{AsyncUdpSocket, ConnectionError, Runtime as _, UdpPoller, VarInt};
use quinn_support::{connect, echo, endpoints, endpoints_of, exchange, on_every_selector, patient, watchdog};
use runtime::task::spawn_blocking;
use runtime::{Handle, Runtime};
use std::future::poll_fn;
use std::io::{ErrorKind, IoSliceMut, Read};
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::os::fd::AsRawFd;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::mpsc::{Sender, channel};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, JoinHandle, Thread};

/// A thread with a runtime, which runs until this value is dropped.
struct Home {
    handle: Handle,
    thread: Option<(Sender<()>, JoinHandle<()>)>,
}

impl Home {
    fn start() -> Home {
        let (send, receive) = channel();
        let thread = thread::spawn(move || {
            let runtime = Runtime::new().unwrap();
            let (stop, stopped) = channel::<()>();
            send.send((runtime.handle().clone(), stop)).unwrap();
            // The sender is dropped, which this learns without blocking the loop.
            runtime.block_on(async { drop(spawn_blocking(move || stopped.recv()).await) });
        });
        let (handle, stop) = receive.recv().unwrap();
        Home { handle, thread: Some((stop, thread)) }
    }
}

impl Drop for Home {
    fn drop(&mut self) {
        let (stop, thread) = self.thread.take().unwrap();
        drop(stop);
        thread.join().unwrap();
    }
}

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

/// Runs a future on this thread, which has no runtime.
fn outside<T>(future: impl Future<Output = T>) -> T {
    assert!(Handle::try_current().is_err());
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    let mut future = pin!(future);
    loop {
        if let Poll::Ready(output) = future.as_mut().poll(&mut Context::from_waker(&waker)) {
            return output;
        }
        thread::park();
    }
}

#[test]
fn an_endpoint_with_a_handle_is_used_on_threads_without_a_runtime() {
    let _watchdog = watchdog();
    let home = Home::start();
    let runtime = Arc::new(home.handle.clone());
    let (server, client) = endpoints_of(runtime, "127.0.0.1:0", "127.0.0.1:0", patient());
    let address = SocketAddr::from(([127, 0, 0, 1], server.local_addr().unwrap().port()));
    let acceptor = server.clone();
    let acceptor = thread::spawn(move || {
        outside(async {
            while let Some(incoming) = acceptor.accept().await {
                let connection = incoming.await.unwrap();
                let (mut send, mut receive) = connection.accept_bi().await.unwrap();
                let data = receive.read_to_end(1_000_000).await.unwrap();
                send.write_all(&data).await.unwrap();
                send.finish().unwrap();
                connection.closed().await;
            }
        });
    });
    let data = vec![7; 1_000_000];
    for _ in 0..3 {
        outside(async {
            let connection = client.connect(address, "localhost").unwrap().await.unwrap();
            client.rebind(UdpSocket::bind("127.0.0.1:0").unwrap()).unwrap();
            let (mut send, mut receive) = connection.open_bi().await.unwrap();
            send.write_all(&data).await.unwrap();
            send.finish().unwrap();
            assert!(receive.read_to_end(data.len()).await.unwrap() == data);
            connection.close(VarInt::from_u32(0), b"done");
        });
    }
    server.close(VarInt::from_u32(0), b"");
    acceptor.join().unwrap();
    outside(server.wait_idle());
}

/// The refusal is sent by the thread that refuses.
#[test]
fn a_connection_is_refused_on_a_thread_without_a_runtime() {
    let _watchdog = watchdog();
    let home = Home::start();
    let runtime = Arc::new(home.handle.clone());
    let (server, client) = endpoints_of(runtime, "127.0.0.1:0", "127.0.0.1:0", patient());
    let address = server.local_addr().unwrap();
    let refuser = thread::spawn(move || outside(server.accept()).unwrap().refuse());
    let refused = outside(client.connect(address, "localhost").unwrap());
    assert!(matches!(refused, Err(ConnectionError::ConnectionClosed(_))), "{refused:?}");
    refuser.join().unwrap();
}

#[test]
fn an_endpoint_is_closed_when_the_runtime_of_its_handle_is_dropped() {
    let _watchdog = watchdog();
    let home = Home::start();
    let runtime = Arc::new(home.handle.clone());
    let (server, client) = endpoints_of(runtime.clone(), "127.0.0.1:0", "127.0.0.1:0", patient());
    let address = server.local_addr().unwrap();
    drop(home);
    assert!(runtime.is_closed());
    assert!(outside(server.accept()).is_none());
    assert!(client.connect(address, "localhost").is_err());
    // A new one is closed from the start.
    let (server, client) = endpoints_of(runtime, "127.0.0.1:0", "127.0.0.1:0", patient());
    assert!(outside(server.accept()).is_none());
    assert!(client.connect(address, "localhost").is_err());
}

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
