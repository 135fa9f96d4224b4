//! Datagrams over Unix sockets: with names and without, all forms of sending and receiving, full queues of slow
//! receivers, and sockets that are closed.

mod net_support;

use futures_lite::future::zip;
use net_support::{poll_once, run, until, watchdog};
use runtime::io::Interest;
use runtime::net::UnixDatagram;
use runtime::net::unix::SocketAddr;
use runtime::task::yield_now;
use runtime::{spawn, time};
use std::cell::Cell;
use std::future::poll_fn;
use std::io::{self, ErrorKind};
use std::net::Shutdown;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::thread;
use std::time::Duration;

/// A folder of a test, which is removed at its end.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Folder {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let name = format!("runtime-{}-{}", std::process::id(), COUNT.fetch_add(1, Relaxed));
        let path = std::env::temp_dir().join(name);
        std::fs::create_dir(&path).unwrap();
        Folder(path)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        std::fs::remove_dir_all(&self.0).unwrap();
    }
}

fn is_at(address: &SocketAddr, path: &Path) -> bool {
    address.as_pathname() == Some(path)
}

#[test]
fn handles_and_futures_go_to_other_threads() {
    fn of_many_threads<T: Send + Sync>() {}
    fn send<T: Send>(value: T) -> T {
        value
    }
    of_many_threads::<UnixDatagram>();
    run(async {
        let (socket, _peer) = UnixDatagram::pair()?;
        let address = socket.local_addr()?;
        drop(send(socket.send(&[])));
        drop(send(socket.send_to(&[], "nowhere")));
        drop(send(socket.send_to_addr(&[], &address)));
        drop(send(socket.recv(&mut [])));
        drop(send(socket.recv_from(&mut [])));
        drop(send(socket.recv_buf(&mut Vec::new())));
        drop(send(socket.readable()));
        drop(send(socket.writable()));
        drop(send(socket.ready(Interest::READABLE | Interest::WRITABLE)));
        drop(send(socket.async_io(Interest::READABLE, || Ok(()))));
        io::Result::Ok(())
    })
    .unwrap();
}

#[test]
fn all_forms_of_sending_and_receiving_do_the_same() {
    let folder = Folder::new();
    let (here, there) = (&folder.path("a"), &folder.path("b"));
    run(async {
        let (a, b) = (UnixDatagram::bind(here)?, UnixDatagram::bind(there)?);
        a.connect(there)?;
        let to = &b.local_addr()?;
        assert!(is_at(to, there) && is_at(&a.peer_addr()?, there));
        assert_eq!(b.peer_addr().unwrap_err().kind(), ErrorKind::NotConnected);
        let mut buffer = [0; 16];
        for _ in 0..3 {
            assert_eq!(a.send(b"1").await?, 1);
            assert_eq!(a.try_send(b"22")?, 2);
            assert_eq!(poll_fn(|cx| a.poll_send(cx, b"333")).await?, 3);
            assert_eq!(a.send_to(b"4444", there).await?, 4);
            assert_eq!(a.try_send_to(b"55555", there)?, 5);
            assert_eq!(poll_fn(|cx| a.poll_send_to(cx, b"666666", there)).await?, 6);
            assert_eq!(a.send_to_addr(b"7777777", to).await?, 7);
            assert_eq!(a.try_send_to_addr(b"88888888", to)?, 8);

            assert_eq!(b.recv(&mut buffer).await?, 1);
            assert_eq!(b.try_recv(&mut buffer)?, 2);
            assert_eq!(poll_fn(|cx| b.poll_recv(cx, &mut buffer)).await?, 3);
            let received = [
                b.recv_from(&mut buffer).await?,
                b.try_recv_from(&mut buffer)?,
                poll_fn(|cx| b.poll_recv_from(cx, &mut buffer)).await?,
                b.recv_buf_from(&mut Vec::with_capacity(16)).await?,
                b.try_recv_buf_from(&mut Vec::with_capacity(16))?,
            ];
            for (n, (count, from)) in received.into_iter().enumerate() {
                assert_eq!(count, n + 4);
                assert!(is_at(&from, here), "{from:?}");
            }
            assert!(poll_once(b.recv(&mut buffer)).await.is_none());
            assert!(poll_once(b.recv_from(&mut buffer)).await.is_none());
            assert_eq!(b.try_recv(&mut buffer).unwrap_err().kind(), ErrorKind::WouldBlock);
            assert_eq!(b.try_recv_buf(&mut Vec::new()).unwrap_err().kind(), ErrorKind::WouldBlock);
        }
        // A waiting call is woken.
        let (received, sent) = zip(b.recv_from(&mut buffer), a.send(b"late")).await;
        assert_eq!((received?.0, sent?), (4, 4));
        io::Result::Ok(())
    })
    .unwrap();
}

#[test]
fn a_short_datagram_does_not_mean_that_nothing_is_left() {
    run(async {
        let (a, b) = UnixDatagram::pair()?;
        let mut buffer = [0; 64];
        assert!(poll_once(b.recv(&mut buffer)).await.is_none());
        for n in 0..5 {
            a.send(&[n]).await?;
        }
        b.readable().await?;
        for n in 0..5 {
            assert_eq!(poll_once(b.recv(&mut buffer)).await.expect("it is there")?, 1);
            assert_eq!(buffer[0], n);
        }
        assert!(poll_once(b.recv(&mut buffer)).await.is_none());
        io::Result::Ok(())
    })
    .unwrap();
}

#[test]
fn empty_and_cut_off_datagrams() {
    run(async {
        let (a, b) = UnixDatagram::pair()?;
        let mut buffer = [0; 4];
        assert_eq!(a.send(&[]).await?, 0);
        assert_eq!(a.send(b"a long one").await?, 10);
        assert_eq!(a.send(b"gone").await?, 4);
        assert_eq!(a.send(b"next").await?, 4);
        assert_eq!(b.recv(&mut buffer).await?, 0, "which is no end");
        assert_eq!(b.recv(&mut buffer).await?, 4);
        assert_eq!(&buffer, b"a lo");
        // With an empty buffer, the call discards a whole datagram.
        assert_eq!(b.recv(&mut []).await?, 0);
        let (count, from) = b.recv_from(&mut buffer).await?;
        assert_eq!((&buffer[..count], from.is_unnamed()), (&b"next"[..], true));
        assert!(poll_once(b.recv(&mut [])).await.is_none());
        let (received, sent) = zip(b.recv(&mut buffer), a.send(&[])).await;
        assert_eq!((received?, sent?), (0, 0));
        let error = a.send(&vec![0; 16 << 20]).await.unwrap_err();
        assert_eq!(error.raw_os_error(), Some(libc::EMSGSIZE));
        io::Result::Ok(())
    })
    .unwrap();
}

#[cfg(target_os = "linux")]
#[test]
fn abstract_names_are_in_no_file_system() {
    run(async {
        let server = UnixDatagram::bind(format!("\0runtime-{}", std::process::id()))?;
        let address = server.local_addr()?;
        assert_eq!(UnixDatagram::bind_addr(&address).unwrap_err().kind(), ErrorKind::AddrInUse);
        assert_eq!(server.local_addr()?.as_abstract_name(), address.as_abstract_name());
        let client = UnixDatagram::unbound()?;
        assert!(client.local_addr()?.is_unnamed());
        client.send_to_addr(b"unconnected", &address).await?;
        client.connect_addr(&address)?;
        client.send(b"connected").await?;
        let mut buffer = [0; 16];
        assert_eq!(server.recv(&mut buffer).await?, 11);
        assert!(server.recv_from(&mut buffer).await?.1.is_unnamed());
        drop(server);
        // A child of another test may still hold a copy of the socket until it has started its program.
        let gone = loop {
            if let Err(error) = client.send(b"x").await {
                break error;
            }
        };
        assert_eq!(gone.kind(), ErrorKind::ConnectionRefused);
        assert_eq!(
            client.send_to_addr(b"x", &address).await.unwrap_err().kind(),
            ErrorKind::ConnectionRefused
        );
        drop(UnixDatagram::bind_addr(&address)?);
        io::Result::Ok(())
    })
    .unwrap();
}

#[test]
fn names_that_are_wrong_say_how() {
    let folder = Folder::new();
    run(async {
        let path = folder.path("a");
        let socket = UnixDatagram::bind(&path)?;
        assert_eq!(UnixDatagram::bind(&path).unwrap_err().kind(), ErrorKind::AddrInUse);
        let nowhere = folder.path("nowhere");
        let other = UnixDatagram::unbound()?;
        assert_eq!(other.connect(&nowhere).unwrap_err().kind(), ErrorKind::NotFound);
        assert_eq!(other.send_to(b"x", &nowhere).await.unwrap_err().kind(), ErrorKind::NotFound);
        assert_eq!(other.try_send_to(b"x", "x".repeat(200)).unwrap_err().kind(), ErrorKind::InvalidInput);
        assert_eq!(other.send(b"x").await.unwrap_err().kind(), ErrorKind::NotConnected);
        drop(socket);
        // A child of another test may still hold a copy of the socket until it has started its program.
        until(|| other.connect(&path).is_err()).await;
        // The file is still there, and connections to it are refused.
        assert_eq!(other.connect(&path).unwrap_err().kind(), ErrorKind::ConnectionRefused);
        assert_eq!(other.send_to(b"x", &path).await.unwrap_err().kind(), ErrorKind::ConnectionRefused);
        io::Result::Ok(())
    })
    .unwrap();
}

#[test]
fn shut_down_reading_ends_and_wakes() {
    run(async {
        let (a, b) = UnixDatagram::pair()?;
        let b = Rc::new(b);
        b.send(b"never read").await?;
        a.send(b"still there").await?;
        let ended = Rc::new(Cell::new(0));
        let mut buffer = [0; 16];
        assert_eq!(b.recv(&mut buffer).await?, 11);
        let tasks = [(); 2].map(|()| {
            let (b, ended) = (b.clone(), ended.clone());
            spawn(async move {
                let count = b.recv(&mut [0; 8]).await?;
                ended.set(ended.get() + 1);
                io::Result::Ok(count)
            })
        });
        yield_now().await;
        time::sleep(Duration::from_millis(1)).await;
        assert_eq!(ended.get(), 0);
        b.shutdown(Shutdown::Read)?;
        for task in tasks {
            assert_eq!(task.await.unwrap()?, 0);
        }
        assert_eq!(b.recv(&mut buffer).await?, 0, "it stays");
        let (count, from) = b.recv_from(&mut buffer).await?;
        assert_eq!((count, from.is_unnamed()), (0, true));
        assert_eq!(b.try_recv(&mut buffer)?, 0);
        assert_eq!(b.recv_buf(&mut Vec::with_capacity(8)).await?, 0);
        assert_eq!(b.try_recv_buf_from(&mut Vec::with_capacity(8))?.0, 0);
        assert_eq!(a.send(b"x").await.unwrap_err().kind(), ErrorKind::BrokenPipe);
        // Sending from this socket works, until that direction is shut down as well.
        b.send(b"x").await?;
        b.shutdown(Shutdown::Write)?;
        assert_eq!(b.send(b"x").await.unwrap_err().kind(), ErrorKind::BrokenPipe);
        assert_eq!(a.recv(&mut buffer).await?, 10);
        assert_eq!(a.recv(&mut buffer).await?, 1);
        assert!(a.take_error()?.is_none());
        io::Result::Ok(())
    })
    .unwrap();
}

#[test]
fn each_datagram_goes_to_one_of_the_waiting_tasks() {
    run(async {
        let (a, b) = UnixDatagram::pair()?;
        let b = Rc::new(b);
        let tasks: Vec<_> = (0..5)
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
        for n in 0..5 {
            a.send(&[n]).await?;
        }
        let mut received = Vec::new();
        for task in tasks {
            received.push(task.await.unwrap()?);
        }
        received.sort_unstable();
        assert_eq!(received, [0, 1, 2, 3, 4]);
        io::Result::Ok(())
    })
    .unwrap();
}

#[test]
fn no_operation_runs_on_for_ever() {
    let rounds = run(async {
        let (a, b) = UnixDatagram::pair()?;
        let task = spawn(async move {
            for round in 0..1000 {
                for half in 0..2 {
                    let is_ready = match half {
                        0 => poll_once(a.send(b"x")).await.is_some(),
                        _ => poll_once(b.recv(&mut [0; 8])).await.is_some(),
                    };
                    if !is_ready {
                        return round;
                    }
                }
            }
            0
        });
        io::Result::Ok(task.await.unwrap())
    });
    assert!((1..=128).contains(&rounds.unwrap()));
}

#[test]
fn std_gives_sockets_and_takes_them_back() {
    let watchdog = watchdog();
    let (ours, other) = std::os::unix::net::UnixDatagram::pair().unwrap();
    let ours = UnixDatagram::try_from(ours).unwrap();
    assert_eq!(ours.try_recv(&mut [0; 8]).unwrap_err().kind(), ErrorKind::WouldBlock);
    let sender = thread::spawn(move || {
        other.send(b"from a thread").unwrap();
        other
    });
    let ours = runtime::block_on(async move {
        assert_eq!(ours.recv(&mut [0; 16]).await.unwrap(), 13);
        ours
    });
    let other = sender.join().unwrap();
    assert!(!format!("{ours:?}").is_empty());
    let ours = std::os::unix::net::UnixDatagram::try_from(ours).unwrap();
    ours.set_nonblocking(false).unwrap();
    other.send(b"std").unwrap();
    assert_eq!(ours.recv(&mut [0; 8]).unwrap(), 3);
    drop(watchdog);
}

#[test]
fn readiness_comes_with_the_datagram_and_goes_with_it() {
    run(async {
        let (a, b) = UnixDatagram::pair()?;
        assert!(poll_once(b.readable()).await.is_none());
        let waits = zip(b.readable(), poll_fn(|cx| b.poll_recv_ready(cx)));
        a.send(b"hello").await?;
        let (first, second) = waits.await;
        first.and(second)?;
        assert!(b.ready(Interest::READABLE | Interest::WRITABLE).await?.is_readable());
        assert_eq!(b.try_recv(&mut [0; 8])?, 5);
        assert_eq!(b.try_recv(&mut [0; 8]).unwrap_err().kind(), ErrorKind::WouldBlock);
        assert!(poll_once(b.readable()).await.is_none());
        poll_fn(|cx| b.poll_send_ready(cx)).await?;
        let seen = Cell::new(0);
        until(|| seen.replace(seen.get() + 1) > 3).await;
        assert!(poll_once(b.readable()).await.is_none());
        io::Result::Ok(())
    })
    .unwrap();
}

/// On other systems a full queue is an error.
#[cfg(target_os = "linux")]
mod full_queues {
    use super::*;
    use net_support::{CpuTime, in_child};

    /// Sends until there is no room.
    fn fill(mut send: impl FnMut() -> io::Result<usize>) -> usize {
        let mut count = 0;
        loop {
            match send() {
                Ok(_) => count += 1,
                Err(error) => {
                    assert_eq!(error.kind(), ErrorKind::WouldBlock);
                    assert!(count > 0);
                    return count;
                }
            }
        }
    }

    /// Receives `count` datagrams, one in each turn of the loop.
    async fn drain(socket: &UnixDatagram, count: usize) -> io::Result<()> {
        for _ in 0..count {
            socket.recv(&mut [0; 4096]).await?;
            yield_now().await;
        }
        Ok(())
    }

    #[test]
    fn a_connected_sender_is_woken_when_the_receiver_has_room_again() {
        let folder = Folder::new();
        run(async {
            // In the first pair, only the sender is connected. In the second, each is connected to the other, and the
            // limit is the sender's memory.
            let receiver = UnixDatagram::bind(folder.path("receiver"))?;
            let sender = UnixDatagram::unbound()?;
            sender.connect(folder.path("receiver"))?;
            for (sender, receiver) in [(sender, receiver), UnixDatagram::pair()?] {
                for round in 0..3 {
                    let count = fill(|| sender.try_send(&[0; 1024]));
                    assert!(poll_once(sender.writable()).await.is_none(), "round {round}");
                    assert!(poll_once(sender.send(b"x")).await.is_none());
                    let (sent, drained) = zip(sender.send(b"one more"), drain(&receiver, count)).await;
                    assert_eq!(sent?, 8);
                    drained?;
                    assert_eq!(receiver.recv(&mut [0; 16]).await?, 8);
                    sender.writable().await?;
                }
                // The send uses the waiter that the `poll_*` functions share.
                let count = fill(|| sender.try_send(&[0; 1024]));
                let send = poll_fn(|cx| sender.poll_send(cx, b"one more"));
                let (sent, drained) = zip(send, drain(&receiver, count)).await;
                assert_eq!((sent?, drained?), (8, ()));
                // The waiting sender is also woken when the receiver is closed.
                receiver.recv(&mut [0; 16]).await?;
                fill(|| sender.try_send(&[0; 1024]));
                let (sent, ()) = zip(sender.send(b"x"), async {
                    yield_now().await;
                    drop(receiver);
                })
                .await;
                assert!(matches!(
                    sent.unwrap_err().kind(),
                    ErrorKind::ConnectionRefused | ErrorKind::ConnectionReset
                ));
            }
            io::Result::Ok(())
        })
        .unwrap();
    }

    #[test]
    fn a_sender_by_address_gets_through_whoever_filled_the_queue() {
        let folder = Folder::new();
        run(async {
            let path = &folder.path("receiver");
            let receiver = UnixDatagram::bind(path)?;
            let sender = UnixDatagram::unbound()?;
            let stranger = UnixDatagram::unbound()?;
            for filler in [&sender, &stranger] {
                for by_poll in [false, true] {
                    let count = fill(|| filler.try_send_to(&[0; 1024], path));
                    let send = async {
                        match by_poll {
                            false => sender.send_to(b"one more", path).await,
                            true => poll_fn(|cx| sender.poll_send_to(cx, b"one more", path)).await,
                        }
                    };
                    let (sent, drained) = zip(send, async {
                        // By then the send no longer waits for events, but for a timer.
                        time::sleep(Duration::from_millis(5)).await;
                        drain(&receiver, count).await
                    })
                    .await;
                    assert_eq!((sent?, drained?), (8, ()));
                    assert_eq!(receiver.recv(&mut [0; 16]).await?, 8);
                }
            }
            // The full queue of one receiver does not affect another one, nor `try_send_to` once there is room.
            let other = UnixDatagram::bind(folder.path("other"))?;
            let count = fill(|| stranger.try_send_to(b"x", path));
            assert_eq!(sender.try_send_to(b"x", path).unwrap_err().kind(), ErrorKind::WouldBlock);
            assert!(poll_once(sender.send_to(b"x", path)).await.is_none());
            assert_eq!(poll_once(sender.send_to(b"x", folder.path("other"))).await.unwrap()?, 1);
            assert_eq!(other.recv(&mut [0; 16]).await?, 1);
            drain(&receiver, count).await?;
            assert_eq!(sender.try_send_to(b"x", path)?, 1);
            io::Result::Ok(())
        })
        .unwrap();
    }

    #[test]
    fn a_sender_by_address_that_waits_long_takes_no_cpu() {
        in_child("full_queues::a_sender_by_address_that_waits_long_takes_no_cpu", || {
            let folder = Folder::new();
            run(async {
                let path = &folder.path("receiver");
                let receiver = UnixDatagram::bind(path)?;
                let sender = UnixDatagram::unbound()?;
                let count = fill(|| sender.try_send_to(b"x", path));
                let cpu = CpuTime::new();
                let before = cpu.used();
                let polls = Cell::new(0);
                let mut sending = Box::pin(sender.send_to(b"one more", path));
                let counted = poll_fn(|cx| {
                    polls.set(polls.get() + 1);
                    sending.as_mut().poll(cx)
                });
                let (sent, drained) = zip(counted, async {
                    time::sleep(Duration::from_millis(500)).await;
                    let used = cpu.used() - before;
                    assert!(used <= Duration::from_millis(100), "{used:?} of 500 ms");
                    // Eight polls fail at once, ten while the waits double, and fifteen after waits of 32 ms; and
                    // twice as many if each failed attempt causes an event.
                    assert!(polls.get() < 80, "{} polls in 500 ms", polls.get());
                    drain(&receiver, count).await
                })
                .await;
                assert_eq!((sent?, drained?), (8, ()));
                io::Result::Ok(())
            })
            .unwrap();
        });
    }

    #[test]
    fn many_senders_to_one_slow_receiver_all_get_through() {
        let folder = Folder::new();
        run(async {
            let path = folder.path("receiver");
            let receiver = UnixDatagram::bind(&path)?;
            let tasks: Vec<_> = (0..10)
                .map(|n| {
                    let path = path.clone();
                    spawn(async move {
                        let socket = UnixDatagram::unbound()?;
                        if n % 2 == 0 {
                            socket.connect(&path)?;
                        }
                        for _ in 0..50 {
                            match n % 2 == 0 {
                                true => socket.send(&[n]).await?,
                                false => socket.send_to(&[n], &path).await?,
                            };
                        }
                        io::Result::Ok(())
                    })
                })
                .collect();
            let mut counts = [0; 10];
            let mut buffer = [0; 8];
            for _ in 0..500 {
                assert_eq!(receiver.recv(&mut buffer).await?, 1);
                counts[usize::from(buffer[0])] += 1;
                yield_now().await;
            }
            assert_eq!(counts, [50; 10]);
            for task in tasks {
                task.await.unwrap()?;
            }
            io::Result::Ok(())
        })
        .unwrap();
    }
}
