//! Sockets that are made blocking through a duplicate. Both share the blocking mode, so a call that relied on it
//! would stop the loop. Each operation here would have to wait, and must say so at once.
#![cfg(not(miri))] // Datagrams, Unix sockets: nothing that it has.

mod net_support;

use net_support::{half_std_pair, poll_once, run};
use runtime::io::{AsyncReadExt, AsyncWriteExt};
use runtime::net::udp::Batch;
use runtime::net::{UdpSocket, UnixDatagram, UnixStream};
use std::io::{IoSlice, IoSliceMut, Read, Write};
use std::net::Ipv4Addr;
use std::os::fd::AsFd;
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::thread;
use std::time::Duration;

/// Makes a socket blocking through a duplicate, as another thread or another process may do.
fn make_blocking(socket: &impl AsFd) {
    let duplicate = socket2::Socket::from(socket.as_fd().try_clone_to_owned().unwrap());
    duplicate.set_nonblocking(false).unwrap();
}

/// Polls an operation that has to wait. If it blocks, `release` ends it from another thread, and it is then ready.
async fn has_to_wait<T>(
    name: &str,
    operation: impl Future<Output = T>,
    release: impl FnOnce() + Send + 'static,
) {
    let (sender, done) = channel::<()>();
    let watching = thread::spawn(move || {
        let blocks = done.recv_timeout(Duration::from_secs(3)) == Err(RecvTimeoutError::Timeout);
        if blocks {
            release();
        }
        blocks
    });
    let is_pending = poll_once(operation).await.is_none();
    drop(sender);
    assert!(!watching.join().unwrap(), "{name} blocks the loop");
    assert!(is_pending, "{name}");
}

/// Does the same with an operation that is tried once.
fn would_block<T>(
    name: &str,
    operation: impl FnOnce() -> std::io::Result<T>,
    release: impl FnOnce() + Send + 'static,
) {
    let operation = async {
        match operation() {
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => std::future::pending().await,
            result => result.map(drop),
        }
    };
    futures_lite::future::block_on(has_to_wait(name, operation, release));
}

/// Tests connections of which one direction has nothing to read, and the other has no room left.
macro_rules! stream_test {
    ($name:ident, $pair:expr) => {
        #[test]
        fn $name() {
            run(async {
                // Each operation gets a new pair, because an operation does not try a descriptor that is known to be
                // drained.
                let pair = || {
                    let (ours, other) = $pair;
                    make_blocking(&ours);
                    (ours, other.try_clone().unwrap(), other)
                };
                let answer = |mut other: Box<dyn Write + Send>| move || drop(other.write_all(b"x"));
                let (mut ours, other, _keep) = pair();
                has_to_wait("read", ours.read(&mut [0; 8]), answer(Box::new(other))).await;
                let (mut ours, other, _keep) = pair();
                let (mut one, mut two) = ([0; 8], [0; 8]);
                let mut buffers = [IoSliceMut::new(&mut one), IoSliceMut::new(&mut two)];
                has_to_wait("read_vectored", ours.read_vectored(&mut buffers), answer(Box::new(other))).await;
                let (ours, other, _keep) = pair();
                would_block("try_read", || ours.try_read(&mut [0; 8]), answer(Box::new(other)));
                let (mut ours, other, _keep) = pair();
                let mut memory = Vec::with_capacity(8);
                let read = tokio::io::AsyncReadExt::read_buf(&mut ours, &mut memory);
                has_to_wait("read_buf", read, answer(Box::new(other))).await;
                let (ours, other, _keep) = pair();
                let mut memory = Vec::with_capacity(8);
                would_block("try_read_buf", || ours.try_read_buf(&mut memory), answer(Box::new(other)));

                // A blocking write waits until all of its bytes have been sent.
                let data = vec![7; 32 << 20];
                let drain = |mut other: Box<dyn Read + Send>| {
                    move || drop(other.read_exact(&mut vec![0; 32 << 20]))
                };
                for name in ["write", "write_vectored"] {
                    let (mut ours, other, _keep) = pair();
                    let write_all = async {
                        loop {
                            let slices = [IoSlice::new(&data[..1000]), IoSlice::new(&data[1000..])];
                            let written = match name {
                                "write" => ours.write(&data).await,
                                _ => ours.write_vectored(&slices).await,
                            };
                            if written.unwrap() == data.len() {
                                break;
                            }
                        }
                    };
                    has_to_wait(name, write_all, drain(Box::new(other))).await;
                }
            });
        }
    };
}

stream_test!(a_tcp_stream_with_a_blocking_duplicate_does_not_block, half_std_pair().unwrap());
stream_test!(a_unix_stream_with_a_blocking_duplicate_does_not_block, {
    let (ours, other) = std::os::unix::net::UnixStream::pair().unwrap();
    (UnixStream::from_std(ours).unwrap(), other)
});

#[test]
fn a_tcp_stream_is_peeked_at_without_blocking() {
    run(async {
        let (ours, mut other) = half_std_pair().unwrap();
        make_blocking(&ours);
        let mut writer = other.try_clone().unwrap();
        has_to_wait("peek", ours.peek(&mut [0; 8]), move || drop(writer.write_all(b"x"))).await;
        let (ours, mut writer) = half_std_pair().unwrap();
        make_blocking(&ours);
        would_block("try_peek", || ours.try_peek(&mut [0; 8]), move || drop(writer.write_all(b"x")));
        other.write_all(b"x").unwrap();
    });
}

#[test]
fn a_udp_socket_with_a_blocking_duplicate_does_not_block() {
    run(async {
        let socket = || {
            let std = std::net::UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
            let (address, sender) = (std.local_addr().unwrap(), std.try_clone().unwrap());
            let socket = UdpSocket::from_std(std).unwrap();
            make_blocking(&socket);
            (socket, move || drop(sender.send_to(b"x", address)))
        };
        let (ours, send) = socket();
        has_to_wait("recv", ours.recv(&mut [0; 8]), send).await;
        let (ours, send) = socket();
        has_to_wait("recv_from", ours.recv_from(&mut [0; 8]), send).await;
        let (ours, send) = socket();
        has_to_wait("peek", ours.peek(&mut [0; 8]), send).await;
        let (ours, send) = socket();
        has_to_wait("peek_from", ours.peek_from(&mut [0; 8]), send).await;
        let (ours, send) = socket();
        has_to_wait("peek_sender", ours.peek_sender(), send).await;
        let (ours, send) = socket();
        let mut batch = Batch::new(4, 8);
        has_to_wait("recv_many", ours.recv_many(&mut batch), send).await;
        let (ours, send) = socket();
        let mut memory = Vec::with_capacity(8);
        has_to_wait("recv_buf", ours.recv_buf(&mut memory), send).await;
        let (ours, send) = socket();
        let mut memory = Vec::with_capacity(8);
        has_to_wait("recv_buf_from", ours.recv_buf_from(&mut memory), send).await;
        let (ours, send) = socket();
        would_block("try_recv", || ours.try_recv(&mut [0; 8]), send);
    });
}

#[test]
fn a_unix_datagram_with_a_blocking_duplicate_does_not_block() {
    run(async {
        let pair = || {
            let (ours, other) = std::os::unix::net::UnixDatagram::pair().unwrap();
            let ours = UnixDatagram::from_std(ours).unwrap();
            make_blocking(&ours);
            (ours, other)
        };
        let (ours, other) = pair();
        has_to_wait("recv", ours.recv(&mut [0; 8]), move || drop(other.send(b"x"))).await;
        let (ours, other) = pair();
        has_to_wait("recv_from", ours.recv_from(&mut [0; 8]), move || drop(other.send(b"x"))).await;
        let (ours, other) = pair();
        let mut memory = Vec::with_capacity(8);
        has_to_wait("recv_buf", ours.recv_buf(&mut memory), move || drop(other.send(b"x"))).await;

        let drain = |other: std::os::unix::net::UnixDatagram| {
            other.set_read_timeout(Some(Duration::from_secs(1))).unwrap();
            move || while other.recv(&mut [0; 8]).is_ok() {}
        };
        let (ours, other) = pair();
        let fill = async { while ours.send(b"x").await.is_ok() {} };
        has_to_wait("send", fill, drain(other)).await;

        let path = std::env::temp_dir().join(format!("runtime-duplicates-{}", std::process::id()));
        drop(std::fs::remove_file(&path));
        let receiver = std::os::unix::net::UnixDatagram::bind(&path).unwrap();
        let ours = UnixDatagram::unbound().unwrap();
        make_blocking(&ours);
        let fill = async { while ours.send_to(b"x", &path).await.is_ok() {} };
        has_to_wait("send_to", fill, drain(receiver)).await;
        std::fs::remove_file(&path).unwrap();
    });
}
