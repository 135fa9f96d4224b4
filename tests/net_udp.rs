//! Datagrams over UDP: all forms of sending and receiving, empty and cut-off datagrams, errors of the peer, and the shapes
//! that servers and clients usually have.

mod net_support;

use futures_lite::future::{try_zip, zip};
use net_support::udp::{LOCAL, pair};
use net_support::{poll_once, run, until};
use runtime::io::Interest;
use runtime::net::UdpSocket;
use runtime::task::yield_now;
use runtime::{spawn, time};
use std::cell::Cell;
use std::future::poll_fn;
use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

/// An address that no other test uses: a port that is given up here does not become that of another test.
const APART: &str = if cfg!(target_os = "linux") { "127.0.0.2:0" } else { "127.0.0.1:0" };

/// Returns a socket whose peer is closed, so that its datagrams are refused.
async fn deserted() -> io::Result<UdpSocket> {
    let a = UdpSocket::bind(LOCAL).await?;
    a.connect(UdpSocket::bind(APART).await?.local_addr()?).await?;
    Ok(a)
}

#[test]
fn handles_and_futures_go_to_other_threads() {
    fn of_many_threads<T: Send + Sync>() {}
    fn send<T: Send>(value: T) -> T {
        value
    }
    of_many_threads::<UdpSocket>();
    run(send(async {
        let socket = send(UdpSocket::bind(("127.0.0.1".to_owned(), 0))).await?;
        drop(send(UdpSocket::bind("localhost:0")));
        drop(send(socket.connect("localhost:1")));
        drop(send(socket.send(&[])));
        drop(send(socket.send_to(&[], "localhost:1")));
        drop(send(socket.recv(&mut [])));
        drop(send(socket.recv_from(&mut [])));
        drop(send(socket.peek(&mut [])));
        drop(send(socket.peek_from(&mut [])));
        drop(send(socket.peek_sender()));
        drop(send(socket.recv_buf(&mut Vec::new())));
        drop(send(socket.recv_buf_from(&mut Vec::new())));
        drop(send(socket.readable()));
        drop(send(socket.writable()));
        drop(send(socket.ready(Interest::READABLE | Interest::WRITABLE)));
        drop(send(socket.async_io(Interest::READABLE, || Ok(()))));
        io::Result::Ok(())
    }))
    .unwrap();
}

#[test]
fn all_forms_of_sending_and_receiving_do_the_same() {
    run(async {
        let (a, b) = pair().await?;
        let (to, from) = (b.local_addr()?, a.local_addr()?);
        let mut buffer = [0; 16];
        for round in 0..3 {
            // The datagrams are sent in six ways…
            assert_eq!(a.send(b"1").await?, 1);
            assert_eq!(a.try_send(b"22")?, 2);
            assert_eq!(poll_fn(|cx| a.poll_send(cx, b"333")).await?, 3);
            assert_eq!(a.send_to(b"4444", to).await?, 4);
            assert_eq!(a.try_send_to(b"55555", to)?, 5);
            assert_eq!(poll_fn(|cx| a.poll_send_to(cx, b"666666", to)).await?, 6);
            // …peeked at in nine ways…
            assert_eq!(b.peek(&mut buffer).await?, 1);
            assert_eq!(b.try_peek(&mut buffer)?, 1);
            assert_eq!(poll_fn(|cx| b.poll_peek(cx, &mut buffer)).await?, 1);
            assert_eq!(b.peek_from(&mut buffer).await?, (1, from));
            assert_eq!(b.try_peek_from(&mut buffer)?, (1, from));
            assert_eq!(poll_fn(|cx| b.poll_peek_from(cx, &mut buffer)).await?, (1, from));
            assert_eq!(b.peek_sender().await?, from);
            assert_eq!(b.try_peek_sender()?, from);
            assert_eq!(poll_fn(|cx| b.poll_peek_sender(cx)).await?, from);
            // …and received in six.
            assert_eq!(b.recv(&mut buffer).await?, 1);
            assert_eq!(b.try_recv(&mut buffer)?, 2);
            assert_eq!(poll_fn(|cx| b.poll_recv(cx, &mut buffer)).await?, 3);
            assert_eq!(b.recv_from(&mut buffer).await?, (4, from));
            assert_eq!(b.try_recv_from(&mut buffer)?, (5, from));
            assert_eq!(poll_fn(|cx| b.poll_recv_from(cx, &mut buffer)).await?, (6, from));
            assert_eq!(&buffer[..6], b"666666", "round {round}");
            // From the second round on, the sockets are registered.
            assert!(poll_once(b.recv(&mut buffer)).await.is_none());
            assert!(poll_once(b.recv_from(&mut buffer)).await.is_none());
            assert!(poll_once(poll_fn(|cx| b.poll_peek_sender(cx))).await.is_none());
            assert_eq!(b.try_recv(&mut buffer).unwrap_err().kind(), ErrorKind::WouldBlock);
            assert_eq!(b.try_peek_sender().unwrap_err().kind(), ErrorKind::WouldBlock);
            assert_eq!(b.try_recv_buf(&mut Vec::new()).unwrap_err().kind(), ErrorKind::WouldBlock);
        }
        io::Result::Ok(())
    })
    .unwrap();
}

#[test]
fn buffers_that_grow_hold_what_came_behind_what_they_had() {
    run(async {
        let (a, b) = pair().await?;
        let from = a.local_addr()?;
        for data in [&b"one"[..], b"two", b"three", b"four"] {
            a.send(data).await?;
        }
        let mut buffer = Vec::with_capacity(64);
        buffer.push(b'>');
        assert_eq!(b.recv_buf(&mut buffer).await?, 3);
        assert_eq!(b.try_recv_buf(&mut buffer)?, 3);
        assert_eq!(b.recv_buf_from(&mut buffer).await?, (5, from));
        assert_eq!(b.try_recv_buf_from(&mut buffer)?, (4, from));
        assert_eq!(buffer, b">onetwothreefour");

        // A slice takes what fits, and the rest of the datagram is lost.
        a.send(b"five").await?;
        let mut array = [0; 3];
        let mut room = &mut array[..];
        assert_eq!(b.recv_buf(&mut room).await?, 3);
        assert!(room.is_empty());
        assert_eq!(&array, b"fiv");

        // A waiting call is woken, and one that was dropped has taken nothing.
        assert!(poll_once(b.recv_buf(&mut buffer)).await.is_none());
        let (received, sent) = zip(b.recv_buf_from(&mut buffer), a.send(b"six")).await;
        assert_eq!((received?, sent?), ((3, from), 3));
        assert_eq!(buffer, b">onetwothreefoursix");
        io::Result::Ok(())
    })
    .unwrap();
}

#[test]
fn a_short_datagram_does_not_mean_that_nothing_is_left() {
    run(async {
        let (a, b) = pair().await?;
        let mut buffer = [0; 64];
        // The sockets are registered, so that all that is sent now is one event.
        assert!(poll_once(b.recv(&mut buffer)).await.is_none());
        for n in 0..10 {
            a.send(&[n]).await?;
        }
        b.readable().await?;
        for n in 0..10 {
            // The loop does not turn in between.
            assert_eq!(poll_once(b.recv(&mut buffer)).await.expect("it is there")?, 1);
            assert_eq!(buffer[0], n);
        }
        assert!(poll_once(b.recv(&mut buffer)).await.is_none());
        io::Result::Ok(())
    })
    .unwrap();
}

#[test]
fn an_empty_datagram_is_a_datagram_and_no_end() {
    run(async {
        let (a, b) = pair().await?;
        let from = a.local_addr()?;
        let mut buffer = [7; 8];
        for _ in 0..2 {
            assert_eq!(a.send(&[]).await?, 0);
            assert_eq!(a.try_send_to(&[], b.local_addr()?)?, 0);
            assert_eq!(a.send(&[]).await?, 0);
            a.send(b"end").await?;
            assert_eq!(b.recv(&mut buffer).await?, 0);
            assert_eq!(b.recv_from(&mut buffer).await?, (0, from));
            assert_eq!(b.recv_buf_from(&mut Vec::with_capacity(1)).await?, (0, from));
            assert_eq!(b.recv(&mut buffer).await?, 3);
            assert!(poll_once(b.recv(&mut buffer)).await.is_none());
        }
        // An empty datagram wakes a waiting call.
        let (received, sent) = zip(b.recv(&mut buffer), a.send(&[])).await;
        assert_eq!((received?, sent?), (0, 0));
        // With an empty buffer, the call discards a whole datagram, and waits if there is none.
        assert!(poll_once(b.recv(&mut [])).await.is_none());
        a.send(b"thrown away").await?;
        a.send(b"kept").await?;
        assert_eq!(b.recv(&mut []).await?, 0);
        assert_eq!(b.recv(&mut buffer).await?, 4);
        io::Result::Ok(())
    })
    .unwrap();
}

#[test]
fn what_does_not_fit_is_cut_off_and_the_next_one_is_whole() {
    run(async {
        let (a, b) = pair().await?;
        a.send(b"a long one").await?;
        a.send(b"next").await?;
        let mut buffer = [0; 6];
        assert_eq!(b.peek(&mut buffer).await?, 6);
        assert_eq!(b.recv(&mut buffer).await?, 6);
        assert_eq!(&buffer, b"a long");
        assert_eq!(b.recv(&mut buffer).await?, 4);
        // These are the longest datagram, and one that is a byte longer.
        let error = a.send(&vec![0; 65_508]).await.unwrap_err();
        assert_eq!(error.raw_os_error(), Some(libc::EMSGSIZE));
        a.send(&vec![9; 65_507]).await?;
        let mut buffer = vec![0; 70_000];
        assert_eq!(b.recv(&mut buffer).await?, 65_507);
        io::Result::Ok(())
    })
    .unwrap();
}

#[test]
fn a_refusal_wakes_the_waiting_tasks_and_is_reported_once() {
    run(async {
        let a = deserted().await?;
        let mut buffer = [0; 8];
        for is_registered in [false, true] {
            if is_registered {
                assert!(poll_once(a.recv(&mut buffer)).await.is_none());
            }
            // The refusal was there before a task waited…
            a.send(b"hello?").await?;
            let error = a.recv(&mut buffer).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::ConnectionRefused, "registered: {is_registered}");
            assert!(poll_once(a.recv(&mut buffer)).await.is_none(), "told once");
        }
        // …it comes while two tasks wait…
        let refused = Rc::new(Cell::new(0));
        let a = Rc::new(a);
        let tasks = [(); 2].map(|()| {
            let (a, refused) = (a.clone(), refused.clone());
            spawn(async move {
                loop {
                    match a.recv(&mut [0; 8]).await {
                        Err(error) if error.kind() == ErrorKind::ConnectionRefused => {
                            refused.set(refused.get() + 1);
                        }
                        result => return result,
                    }
                }
            })
        });
        yield_now().await;
        for n in 1..=3 {
            a.send(b"hello?").await?;
            until(|| refused.get() >= n).await;
            for _ in 0..10 {
                time::sleep(Duration::from_millis(1)).await;
            }
            assert_eq!(refused.get(), n, "by one of two, once");
        }
        // …and the socket still works.
        let b = UdpSocket::bind(a.peer_addr()?).await?;
        for task in tasks {
            b.send_to(b"here I am", a.local_addr()?).await?;
            assert_eq!(task.await.unwrap()?, 8);
        }
        io::Result::Ok(())
    })
    .unwrap();
}

#[test]
fn a_refusal_reported_to_a_sender_leaves_a_receiver_waiting() {
    run(async {
        let a = Rc::new(deserted().await?);
        let receiver = spawn({
            let a = a.clone();
            async move { a.recv(&mut [0; 8]).await }
        });
        yield_now().await;
        a.send(b"hello?").await?;
        assert_eq!(a.send(b"again?").await.unwrap_err().kind(), ErrorKind::ConnectionRefused);
        // The same, with the refusal taken by `SO_ERROR`.
        a.send(b"hello?").await?;
        assert_eq!(a.take_error()?.unwrap().kind(), ErrorKind::ConnectionRefused);
        assert!(a.take_error()?.is_none());
        for _ in 0..10 {
            time::sleep(Duration::from_millis(1)).await;
        }
        assert!(!receiver.is_finished());
        let b = UdpSocket::bind(a.peer_addr()?).await?;
        b.send_to(b"here", a.local_addr()?).await?;
        assert_eq!(receiver.await.unwrap()?, 4);
        io::Result::Ok(())
    })
    .unwrap();
}

#[test]
fn readiness_comes_with_the_datagram_and_goes_with_it() {
    run(async {
        let (a, b) = pair().await?;
        let mut buffer = [0; 8];
        assert!(poll_once(b.readable()).await.is_none());
        assert!(poll_once(poll_fn(|cx| b.poll_recv_ready(cx))).await.is_none());
        let waits = zip(zip(b.readable(), b.readable()), b.ready(Interest::READABLE | Interest::WRITABLE));
        a.send(b"hello").await?;
        let ((first, second), either) = waits.await;
        first.and(second)?;
        assert!(either?.is_writable());
        assert!(b.ready(Interest::READABLE).await?.is_readable());
        poll_fn(|cx| b.poll_recv_ready(cx)).await?;
        assert_eq!(b.try_recv(&mut buffer)?, 5);
        assert_eq!(b.try_recv(&mut buffer).unwrap_err().kind(), ErrorKind::WouldBlock);
        assert!(poll_once(b.readable()).await.is_none());
        b.writable().await?;
        poll_fn(|cx| b.poll_send_ready(cx)).await?;

        // The calls are made by the user.
        let receive = || socket2::SockRef::from(&b).recv(&mut [std::mem::MaybeUninit::uninit(); 8]);
        assert_eq!(b.try_io(Interest::READABLE, receive).unwrap_err().kind(), ErrorKind::WouldBlock);
        let (received, sent) = zip(b.async_io(Interest::READABLE, receive), a.send(b"own")).await;
        assert_eq!((received?, sent?), (3, 3));
        io::Result::Ok(())
    })
    .unwrap();
}

#[test]
fn each_datagram_goes_to_one_of_the_waiting_tasks() {
    run(async {
        let (a, b) = pair().await?;
        let b = Rc::new(b);
        let tasks: Vec<_> = (0..20)
            .map(|_| {
                let b = b.clone();
                spawn(async move {
                    let mut buffer = [0; 8];
                    assert_eq!(b.recv(&mut buffer).await?, 1);
                    io::Result::Ok(buffer[0])
                })
            })
            .collect();
        yield_now().await;
        for n in 0..20 {
            a.send(&[n]).await?;
        }
        let mut received = Vec::new();
        for task in tasks {
            received.push(task.await.unwrap()?);
        }
        received.sort_unstable();
        assert!(received.into_iter().eq(0..20));
        io::Result::Ok(())
    })
    .unwrap();
}

#[test]
fn no_operation_runs_on_for_ever() {
    run(async {
        let socket = Rc::new(UdpSocket::bind(LOCAL).await?);
        let me = socket.local_addr()?;
        socket.connect(me).await?;
        let table: [(&str, Start); 12] = [
            ("send", |s, _| Box::pin(async move { s.send(b"x").await })),
            ("send_to", |s, to| Box::pin(async move { s.send_to(b"x", to).await })),
            ("poll_send", |s, _| Box::pin(async move { poll_fn(|cx| s.poll_send(cx, b"x")).await })),
            ("poll_send_to", |s, to| {
                Box::pin(async move { poll_fn(|cx| s.poll_send_to(cx, b"x", to)).await })
            }),
            ("recv", |s, _| {
                s.try_send(b"x").unwrap();
                Box::pin(async move { s.recv(&mut [0; 8]).await })
            }),
            ("recv_buf", |s, _| {
                s.try_send(b"x").unwrap();
                Box::pin(async move { s.recv_buf(&mut Vec::with_capacity(8)).await })
            }),
            ("peek", |s, _| Box::pin(async move { s.peek(&mut [0; 8]).await })),
            ("peek_from", |s, _| Box::pin(async move { Ok(s.peek_from(&mut [0; 8]).await?.0) })),
            ("peek_sender", |s, _| Box::pin(async move { s.peek_sender().await.map(|_| 0) })),
            ("poll_peek", |s, _| Box::pin(async move { poll_fn(|cx| s.poll_peek(cx, &mut [0; 8])).await })),
            ("readable", |s, _| Box::pin(async move { s.readable().await.map(|()| 0) })),
            ("writable", |s, _| Box::pin(async move { s.writable().await.map(|()| 0) })),
        ];
        for (name, operation) in table {
            socket.send(b"for those who peek").await?;
            let socket = socket.clone();
            let rounds = spawn(async move {
                // The first operation may have to wait for an event.
                operation(socket.clone(), me).await.unwrap();
                yield_now().await;
                for round in 0.. {
                    if poll_once(operation(socket.clone(), me)).await.is_none() {
                        return round;
                    }
                    assert!(round < 1000, "it goes on");
                }
                0
            });
            let rounds = rounds.await.unwrap();
            assert!((1..=256).contains(&rounds), "{name}: {rounds} at once");
        }
        io::Result::Ok(())
    })
    .unwrap();
}

/// Starts an operation on a socket, whose own address is the second argument.
type Start = fn(Rc<UdpSocket>, SocketAddr) -> Operation;
type Operation = std::pin::Pin<Box<dyn Future<Output = io::Result<usize>>>>;

/// An echo server with one buffer, which sends what it has before it receives the next datagram.
struct EchoServer {
    socket: UdpSocket,
    buffer: Vec<u8>,
    to_send: Option<(usize, SocketAddr)>,
}

impl EchoServer {
    async fn run(self) -> io::Result<()> {
        let EchoServer { socket, mut buffer, mut to_send } = self;
        loop {
            if let Some((size, peer)) = to_send {
                let sent = socket.send_to(&buffer[..size], &peer).await?;
                assert_eq!(sent, size);
            }
            to_send = Some(socket.recv_from(&mut buffer).await?);
        }
    }
}

#[test]
fn an_echo_server_and_connected_clients() {
    run(async {
        let socket = UdpSocket::bind("127.0.0.1:0").await?;
        let address = socket.local_addr()?;
        let server = EchoServer { socket, buffer: vec![0; 1024], to_send: None };
        let server = spawn(server.run());
        let clients: Vec<_> = (0..4)
            .map(|client| {
                spawn(async move {
                    let socket = UdpSocket::bind("127.0.0.1:0").await?;
                    socket.connect(&address).await?;
                    let mut buffer = [0; 1024];
                    for n in 0..100 {
                        let message = format!("message {n} of client {client}");
                        socket.send(message.as_bytes()).await?;
                        let answer = time::timeout(Duration::from_secs(10), socket.recv(&mut buffer));
                        let count = answer.await.expect("an answer in time")?;
                        assert_eq!(&buffer[..count], message.as_bytes());
                    }
                    io::Result::Ok(())
                })
            })
            .collect();
        for client in clients {
            client.await.unwrap()?;
        }
        assert!(!server.is_finished());
        io::Result::Ok(())
    })
    .unwrap();
}

#[test]
fn one_task_receives_and_another_sends_over_one_socket() {
    run(async {
        let socket = Arc::new(UdpSocket::bind("127.0.0.1:0").await?);
        let address = socket.local_addr()?;
        // Received datagrams go from task to task through a queue.
        let queue = Rc::new(std::cell::RefCell::new(std::collections::VecDeque::new()));
        let sender = spawn({
            let (socket, queue) = (socket.clone(), queue.clone());
            async move {
                for _ in 0..50 {
                    until(|| !queue.borrow().is_empty()).await;
                    let (data, peer): (Vec<u8>, SocketAddr) = queue.borrow_mut().pop_front().unwrap();
                    socket.send_to(&data, peer).await?;
                }
                io::Result::Ok(())
            }
        });
        let receiver = spawn(async move {
            let mut buffer = [0; 1024];
            for _ in 0..50 {
                let (count, peer) = socket.recv_from(&mut buffer).await?;
                queue.borrow_mut().push_back((buffer[..count].to_vec(), peer));
            }
            io::Result::Ok(())
        });
        let client = UdpSocket::bind("127.0.0.1:0").await?;
        client.connect(address).await?;
        let send = async {
            for n in 0..50 {
                client.send(&[n; 100]).await?;
                yield_now().await;
            }
            io::Result::Ok(())
        };
        let receive = async {
            let mut buffer = [0; 1024];
            for n in 0..50 {
                assert_eq!(client.recv(&mut buffer).await?, 100);
                assert_eq!(buffer[..100], [n; 100]);
            }
            io::Result::Ok(())
        };
        try_zip(send, receive).await?;
        sender.await.unwrap()?;
        receiver.await.unwrap()
    })
    .unwrap();
}
