//! Law: a wake is not lost if the waiter is dropped before it uses the wake. Several tasks wait for one thing. The
//! first one is woken and dropped before its next poll, as `select` does with the branches that lose. Then another
//! one is woken.
#![cfg(not(miri))] // Unix sockets and UDP.

mod common;

use common::temp_path::TempPath;
use common::{CountingWaker, run, until};
use runtime::io::Interest;
use runtime::net::{AsyncFd, TcpListener, TcpStream, UdpSocket, UnixDatagram, UnixListener, UnixStream};
use runtime::task::yield_now;
use std::future::poll_fn;
use std::io::{Read, Write};
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Waker};

type Wait = Pin<Box<dyn Future<Output = ()>>>;

/// One thing to wait for: a closure that makes a waiter, and one that makes the thing happen once.
type Thing = (Box<dyn Fn() -> Wait>, Box<dyn FnMut()>);

type Make = fn() -> Thing;

const THINGS: [(&str, Make); 8] = [
    ("TcpListener::accept", || accepting(false)),
    ("TcpListener::accept beside poll_accept", || accepting(true)),
    ("UnixListener::accept", unix_accepting),
    ("UdpSocket::recv_from", udp),
    ("UnixDatagram::recv", unix_datagram),
    ("AsyncFd::async_io", reading),
    ("TcpStream::readable", readable),
    ("UnixStream::writable", writable),
];

/// With `mixed`, every second waiter uses the `poll_*` function, and so has no waiter entry of its own.
fn accepting(mixed: bool) -> Thing {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let listener = Rc::new(TcpListener::from_std(listener).unwrap());
    let made = std::cell::Cell::new(0);
    let wait = move || -> Wait {
        let listener = listener.clone();
        made.set(made.get() + 1);
        if mixed && made.get() % 2 == 1 {
            return Box::pin(async move { drop(poll_fn(|cx| listener.poll_accept(cx)).await.unwrap()) });
        }
        Box::pin(async move { drop(listener.accept().await.unwrap()) })
    };
    (Box::new(wait), Box::new(move || drop(std::net::TcpStream::connect(address).unwrap())))
}

fn unix_accepting() -> Thing {
    let path = TempPath::new();
    let listener = Rc::new(UnixListener::bind(&*path).unwrap());
    let wait = move || -> Wait {
        let listener = listener.clone();
        Box::pin(async move { drop(listener.accept().await.unwrap()) })
    };
    (Box::new(wait), Box::new(move || drop(std::os::unix::net::UnixStream::connect(&*path).unwrap())))
}

fn udp() -> Thing {
    let socket = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    let sender = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    sender.connect(socket.local_addr().unwrap()).unwrap();
    let socket = Rc::new(UdpSocket::from_std(socket).unwrap());
    let wait = move || -> Wait {
        let socket = socket.clone();
        Box::pin(async move { assert_eq!(socket.recv_from(&mut [0; 8]).await.unwrap().0, 1) })
    };
    (Box::new(wait), Box::new(move || _ = sender.send(b"x").unwrap()))
}

fn unix_datagram() -> Thing {
    let (one, other) = std::os::unix::net::UnixDatagram::pair().unwrap();
    let one = Rc::new(UnixDatagram::from_std(one).unwrap());
    let wait = move || -> Wait {
        let one = one.clone();
        Box::pin(async move { assert_eq!(one.recv(&mut [0; 8]).await.unwrap(), 1) })
    };
    (Box::new(wait), Box::new(move || _ = other.send(b"x").unwrap()))
}

fn reading() -> Thing {
    let (one, mut other) = std::os::unix::net::UnixStream::pair().unwrap();
    one.set_nonblocking(true).unwrap();
    let one = Rc::new(AsyncFd::new(one).unwrap());
    let wait = move || -> Wait {
        let one = one.clone();
        let read = |mut socket: &std::os::unix::net::UnixStream| socket.read(&mut [0]);
        Box::pin(async move { assert_eq!(one.async_io(Interest::READABLE, read).await.unwrap(), 1) })
    };
    (Box::new(wait), Box::new(move || other.write_all(b"x").unwrap()))
}

/// A waiter that is told that the stream is readable reads.
fn readable() -> Thing {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let mut other = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let stream = Rc::new(TcpStream::from_std(listener.accept().unwrap().0).unwrap());
    let wait = move || -> Wait {
        let stream = stream.clone();
        Box::pin(async move {
            loop {
                stream.readable().await.unwrap();
                if stream.try_read(&mut [0]).is_ok() {
                    return;
                }
            }
        })
    };
    (Box::new(wait), Box::new(move || other.write_all(b"x").unwrap()))
}

/// A waiter that is told that there is room fills it.
fn writable() -> Thing {
    let (one, mut other) = std::os::unix::net::UnixStream::pair().unwrap();
    let stream = Rc::new(UnixStream::from_std(one).unwrap());
    let fill = |stream: &UnixStream| {
        let sizes = [4096, 1].into_iter();
        sizes.map(|size| (0..).take_while(|_| stream.try_write(&[0; 4096][..size]).is_ok()).count()).sum()
    };
    let filled: usize = fill(&stream);
    assert!(filled > 0);
    let wait = move || -> Wait {
        let stream = stream.clone();
        Box::pin(async move {
            loop {
                stream.writable().await.unwrap();
                if fill(&stream) > 0 {
                    return;
                }
            }
        })
    };
    let drain = move || {
        other.set_nonblocking(true).unwrap();
        while other.read(&mut [0; 4096]).is_ok_and(|count| count > 0) {}
    };
    (Box::new(wait), Box::new(drain))
}

/// A waiter that the test polls.
struct Waiter {
    wait: Wait,
    counting: Arc<CountingWaker>,
    waker: Waker,
    seen: usize,
}

impl Waiter {
    fn new(wait: Wait) -> Waiter {
        let (counting, waker) = CountingWaker::new();
        Waiter { wait, counting, waker, seen: 0 }
    }

    fn is_woken(&self) -> bool {
        self.counting.wakes() > self.seen
    }

    fn is_ready(&mut self) -> bool {
        self.seen = self.counting.wakes();
        self.wait.as_mut().poll(&mut Context::from_waker(&self.waker)).is_ready()
    }
}

#[test]
fn who_is_woken_and_dropped_leaves_it_to_the_next() {
    for (name, make) in THINGS {
        run(async {
            let (wait, mut happen) = make();
            let mut waiters: Vec<Waiter> = Vec::new();
            for round in 0..5 {
                while waiters.len() < 4 {
                    let mut waiter = Waiter::new(wait());
                    assert!(!waiter.is_ready(), "{name}, round {round}: it had not to wait");
                    waiters.push(waiter);
                }
                happen();
                until(|| waiters.iter().any(Waiter::is_woken)).await;
                let first = waiters.iter().position(Waiter::is_woken).unwrap();
                drop(waiters.remove(first));
                // One of the other waiters is woken, and gets it.
                let mut had = None;
                while had.is_none() {
                    yield_now().await;
                    had = waiters.iter_mut().position(|waiter| waiter.is_woken() && waiter.is_ready());
                }
                drop(waiters.remove(had.unwrap()));
                // No other waiter gets it.
                for _ in 0..20 {
                    yield_now().await;
                    let more = waiters.iter_mut().any(|waiter| waiter.is_woken() && waiter.is_ready());
                    assert!(!more, "{name}, round {round}: it happened once");
                }
            }
        });
    }
}
