//! More subjects: sockets of the other kinds, pipes, streams within the process, copies, and combinations of several
//! of these.

use super::super::temp_path::TempPath;
use super::{Make, Subject, future};
use futures_lite::AsyncWriteExt;
use runtime::io::{
    AsyncRead, AsyncReadExt, AsyncWrite, BidirectionalOptions, copy, copy_bidirectional, duplex,
    splice_bidirectional, split,
};
use runtime::net::unix::pipe;
use runtime::net::{AsyncFd, serve};
use runtime::net::{
    TcpListener, TcpStream, UdpSocket, UnixDatagram, UnixListener, UnixSocket, UnixStream, udp,
};
use runtime::task::LocalSet;
use std::future::poll_fn;
use std::io::Write;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

#[rustfmt::skip]
pub(super) const STREAMS: &[(&str, Make)] = &[
    ("UdpSocket::poll_recv", || polling_udp(|socket, cx| socket.poll_recv(cx, &mut [0; 8]).map(drop))),
    ("UdpSocket::recv_from", || udp(async |socket| drop(socket.recv_from(&mut [0; 8]).await))),
    ("UdpSocket::peek_sender", || udp(async |socket| drop(socket.peek_sender().await))),
    ("UdpSocket::recv_many", || udp(async |socket| drop(socket.recv_many(&mut udp::Batch::new(2, 8)).await))),
    ("UnixDatagram::recv_from", unix_datagram),
    ("UnixDatagram::send_to_addr", unix_datagram_full),
    ("UnixStream::poll_read", || of_stream(unix_pair(), |stream, cx| Pin::new(stream).poll_read(cx, &mut [0; 8]).map(drop))),
    ("UnixStream::poll_write", || full(unix_pair())),
    ("UnixListener::accept", unix_accept),
    ("UnixStream::connect", unix_connect),
    ("pipe::Receiver", pipe_receiver),
    ("pipe::Sender", pipe_sender),
    ("a read that has a timeout", timed_read),
    ("DuplexStream::poll_read", || of_stream(duplex(64), |stream, cx| Pin::new(stream).poll_read(cx, &mut [0; 8]).map(drop))),
    ("DuplexStream::poll_write", || full(duplex(64))),
    ("a half by split", halves),
    ("copy", || { let (one, other) = duplex(64); copying(one, other, false) }),
    ("copy_bidirectional", || { let (one, other) = unix_pair(); copying(one, other, true) }),
    ("splice_bidirectional", splicing),
    ("a copy that has an idle timeout", idle_timed_copy),
    ("AsyncFd::readable_mut", readable_mut),
    ("LocalSet", local_set),
    ("LocalSet::run_until", run_until),
    ("serve", serving),
    ("Drain", draining),
];

fn polling_udp(poll: fn(&UdpSocket, &mut Context<'_>) -> Poll<()>) -> Subject {
    let (socket, sender) = udp_pair();
    Subject {
        poll: Box::new(move |cx| poll(&socket, cx)),
        ready: Box::new(move || _ = sender.send(b"hello").unwrap()),
    }
}

fn udp(wait: impl AsyncFnOnce(UdpSocket) + 'static) -> Subject {
    let (socket, sender) = udp_pair();
    future(wait(socket), move || _ = sender.send(b"hello").unwrap())
}

fn udp_pair() -> (UdpSocket, std::net::UdpSocket) {
    let socket = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    let sender = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    sender.connect(socket.local_addr().unwrap()).unwrap();
    (UdpSocket::from_std(socket).unwrap(), sender)
}

fn unix_datagram() -> Subject {
    let (one, other) = std::os::unix::net::UnixDatagram::pair().unwrap();
    let one = UnixDatagram::from_std(one).unwrap();
    future(async move { drop(one.recv_from(&mut [0; 8]).await) }, move || _ = other.send(b"hello").unwrap())
}

/// Makes a subject that sends to a receiver whose queue is full. The kernel reports no event for that, so the send
/// waits for a timer.
fn unix_datagram_full() -> Subject {
    let path = TempPath::new();
    let receiver = std::os::unix::net::UnixDatagram::bind(&*path).unwrap();
    let sender = UnixDatagram::unbound().unwrap();
    while sender.try_send_to(b"x", &*path).is_ok() {}
    let sending = async move {
        drop(sender.send_to(b"x", &*path).await);
    };
    future(
        sending,
        move || while receiver.set_nonblocking(true).is_ok() && receiver.recv(&mut [0]).is_ok() {},
    )
}

fn unix_pair() -> (UnixStream, UnixStream) {
    UnixStream::pair().unwrap()
}

/// Makes a subject that waits for the first stream of a pair, while the second one is written to.
fn of_stream<S>(pair: (S, S), poll: fn(&mut S, &mut Context<'_>) -> Poll<()>) -> Subject
where
    S: AsyncWrite + Unpin + 'static,
{
    let (mut one, mut other) = pair;
    Subject {
        poll: Box::new(move |cx| poll(&mut one, cx)),
        ready: Box::new(move || {
            let mut cx = Context::from_waker(Waker::noop());
            assert!(Pin::new(&mut other).poll_write(&mut cx, b"hello").is_ready());
        }),
    }
}

/// Makes a subject that writes to a full stream. The other end is dropped to make it ready.
fn full<S: AsyncWrite + Unpin + 'static>(pair: (S, S)) -> Subject {
    let (mut one, other) = pair;
    let write = |stream: &mut S, cx: &mut Context<'_>| Pin::new(stream).poll_write(cx, &[0; 4096]).map(drop);
    let mut cx = Context::from_waker(Waker::noop());
    while write(&mut one, &mut cx).is_ready() {}
    Subject { poll: Box::new(move |cx| write(&mut one, cx)), ready: Box::new(move || drop(other)) }
}

fn unix_accept() -> Subject {
    let path = TempPath::new();
    let listener = UnixListener::bind(&*path).unwrap();
    let accepting = async move { drop(listener.accept().await) };
    future(accepting, move || drop(std::os::unix::net::UnixStream::connect(&*path).unwrap()))
}

/// Makes a subject that connects to a listener whose queue is full. The kernel reports no event for that either.
fn unix_connect() -> Subject {
    let path = TempPath::new();
    let socket = UnixSocket::new_stream().unwrap();
    socket.bind(&*path).unwrap();
    let listener = socket.listen(0).unwrap();
    let held = std::os::unix::net::UnixStream::connect(&*path).unwrap();
    let connecting = async move {
        let _held = held;
        drop(UnixStream::connect(&*path).await);
    };
    future(connecting, move || drop(listener))
}

fn pipe_receiver() -> Subject {
    let (sender, mut receiver) = pipe::pipe().unwrap();
    future(async move { drop(receiver.read(&mut [0; 8]).await) }, move || {
        assert_eq!(sender.try_write(b"hello").unwrap(), 5);
    })
}

fn pipe_sender() -> Subject {
    let (mut sender, receiver) = pipe::pipe().unwrap();
    while sender.try_write(&[0; 4096]).is_ok() {}
    future(async move { drop(sender.write(&[0; 4096]).await) }, move || drop(receiver))
}

fn timed_read() -> Subject {
    let (mut stream, mut other) = super::pair();
    stream.set_read_timeout(Some(Duration::from_secs(3600))).unwrap();
    future(async move { drop(stream.read(&mut [0; 8]).await) }, move || other.write_all(b"hello").unwrap())
}

fn halves() -> Subject {
    let (one, mut other) = duplex(64);
    let (mut reader, writer) = split(one);
    let reading = async move {
        drop(reader.read(&mut [0; 8]).await);
        drop(writer);
    };
    future(reading, move || {
        let mut cx = Context::from_waker(Waker::noop());
        assert!(Pin::new(&mut other).poll_write(&mut cx, b"hello").is_ready());
    })
}

/// Copies from `one` to a sink, or in both directions between it and another stream. The copy ends when `other` is
/// dropped.
fn copying<S: AsyncRead + AsyncWrite + Unpin + 'static>(mut one: S, other: S, both: bool) -> Subject {
    let copying = async move {
        if both {
            let (mut near, far) = duplex(64);
            drop(far);
            drop(copy_bidirectional(&mut one, &mut near).await);
        } else {
            drop(copy(one, runtime::io::sink()).await);
        }
    };
    future(copying, move || drop(other))
}

fn splicing() -> Subject {
    let ((mut one, other), (mut near, far)) = (unix_pair(), unix_pair());
    drop(far);
    future(async move { drop(splice_bidirectional(&mut one, &mut near).await) }, move || drop(other))
}

fn idle_timed_copy() -> Subject {
    let ((mut one, other), (mut near, far)) = (duplex(64), duplex(64));
    drop(far);
    let options = BidirectionalOptions::new().idle_timeout(Some(Duration::from_secs(3600)));
    future(async move { drop(options.copy(&mut one, &mut near).await) }, move || drop(other))
}

fn readable_mut() -> Subject {
    let (reader, mut writer) = std::io::pipe().unwrap();
    let mut fd = AsyncFd::new(reader).unwrap();
    future(async move { drop(fd.readable_mut().await) }, move || writer.write_all(b"hello").unwrap())
}

fn local_set() -> Subject {
    let (set, gate) = (LocalSet::new(), super::Gate::default());
    drop(set.spawn_local(gate.wait()));
    future(set, move || gate.open())
}

fn run_until() -> Subject {
    let (set, gate) = (LocalSet::new(), super::Gate::default());
    let opened = gate.wait();
    let running = async move {
        let within = async { runtime::task::spawn_local(opened).await.unwrap() };
        set.run_until(within).await;
    };
    future(running, move || gate.open())
}

/// Makes a subject from a server that is told to end while it waits for a client.
fn serving() -> Subject {
    let (listener, gate) = (listener(), super::Gate::default());
    let server = serve(listener).graceful(gate.wait(), Duration::ZERO);
    future(server.run(async |_: TcpStream, _| {}), move || gate.open())
}

/// Makes a subject that waits for the shutdown of a server.
fn draining() -> Subject {
    let gate = super::Gate::default();
    let server = serve(listener()).graceful(gate.wait(), Duration::ZERO);
    let drain = server.drain();
    drop(runtime::spawn(server.run(async |_: TcpStream, _| {})));
    future(async move { drain.started().await }, move || gate.open())
}

fn listener() -> TcpListener {
    TcpListener::from_std(std::net::TcpListener::bind("127.0.0.1:0").unwrap()).unwrap()
}
