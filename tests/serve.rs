//! Serving: the limit on connections, panics, shortages, the graceful shutdown, and the other one.

mod net_support;

use futures_lite::future::or;
use net_support::{poll_once, run, until};
use runtime::io::{AsyncReadExt, AsyncWriteExt};
use runtime::net::{Accept, TcpListener, TcpStream, UnixListener, UnixStream, serve};
use runtime::task::yield_now;
use runtime::{spawn, time};
use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::future::{pending, poll_fn, ready};
use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::rc::Rc;
use std::task::{Poll, Waker};
use std::time::Duration;

const LONG: Duration = Duration::from_secs(3600);

/// An event that happens once, for any number of waiting tasks.
#[derive(Clone, Default)]
struct Event(Rc<(Cell<bool>, RefCell<Vec<Waker>>)>);

impl Event {
    fn set(&self) {
        self.0.0.set(true);
        self.0.1.take().into_iter().for_each(Waker::wake);
    }

    async fn wait(&self) {
        poll_fn(|cx| {
            if self.0.0.get() {
                return Poll::Ready(());
            }
            self.0.1.borrow_mut().push(cx.waker().clone());
            Poll::Pending
        })
        .await;
    }
}

async fn listen() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    (listener, address)
}

/// Waits until connections are refused. Another test of this process may be spawning a child, which has the listener as
/// well until it executes its program.
async fn refused(address: SocketAddr) {
    let error = loop {
        match TcpStream::connect(address).await {
            Ok(_) => yield_now().await,
            // The listener was closed before it accepted this connection.
            Err(error) if error.kind() == ErrorKind::ConnectionReset => {}
            Err(error) => break error,
        }
    };
    assert_eq!(error.kind(), ErrorKind::ConnectionRefused);
}

/// Sends back what it receives, until the end.
async fn echo(mut stream: TcpStream) {
    let mut buffer = [0; 64];
    while let Ok(count @ 1..) = stream.read(&mut buffer).await {
        stream.write_all(&buffer[..count]).await.unwrap();
    }
}

async fn ask(client: &mut TcpStream) {
    client.write_all(b"hello").await.unwrap();
    let mut back = [0; 5];
    client.read_exact(&mut back).await.unwrap();
    assert_eq!(&back, b"hello");
}

#[test]
fn no_more_are_served_at_once_than_allowed_and_all_in_the_end() {
    run(async {
        let (listener, address) = listen().await;
        let (now, most) = (Rc::new(Cell::new(0)), Rc::new(Cell::new(0)));
        let seen = most.clone();
        let clients = spawn(async move {
            let clients: Vec<_> = (0..20)
                .map(|_| {
                    spawn(async move {
                        let mut client = TcpStream::connect(address).await.unwrap();
                        for _ in 0..3 {
                            ask(&mut client).await;
                        }
                    })
                })
                .collect();
            for client in clients {
                client.await.unwrap();
            }
        });
        let served = serve(listener)
            .max_connections(3)
            .graceful(clients, LONG)
            .run(async move |stream, _| {
                now.set(now.get() + 1);
                most.set(most.get().max(now.get()));
                echo(stream).await;
                now.set(now.get() - 1);
            })
            .await
            .unwrap();
        assert_eq!((served.accepted(), served.panicked(), served.aborted()), (20, 0, 0));
        assert_eq!(seen.get(), 3);
    });
}

#[test]
fn a_handler_that_panics_ends_its_connection_and_gives_its_place_back() {
    run(async {
        let (listener, address) = listen().await;
        let clients = spawn(async move {
            for n in 0..6 {
                let mut client = TcpStream::connect(address).await.unwrap();
                client.write_all(&[n]).await.unwrap();
                let mut back = Vec::new();
                let read = client.read_to_end(&mut back).await;
                assert_eq!(back.len(), usize::from(n % 2), "{read:?}");
            }
        });
        let served = serve(listener)
            .max_connections(1)
            .graceful(clients, LONG)
            .run(async |mut stream: TcpStream, _| {
                let mut byte = [0];
                stream.read_exact(&mut byte).await.unwrap();
                assert_ne!(byte[0] % 2, 0, "even ones are not served");
                stream.write_all(&byte).await.unwrap();
            })
            .await
            .unwrap();
        assert_eq!((served.accepted(), served.panicked(), served.aborted()), (6, 3, 0));
    });
}

#[test]
fn at_the_end_who_can_finishes_and_who_cannot_is_aborted() {
    run(async {
        let (listener, address) = listen().await;
        let shutdown = Event::default();
        let server = serve(listener).graceful(
            {
                let shutdown = shutdown.clone();
                async move { shutdown.wait().await }
            },
            // This is long enough for what has to happen before it ends, on a busy machine as well.
            Duration::from_secs(1),
        );
        let drain = server.drain();
        assert!(!drain.is_started());
        let kept = Rc::new(());
        let in_handlers = kept.clone();
        let running = server.run(async move |mut stream: TcpStream, _| {
            let _kept = in_handlers.clone();
            let mut kind = [0];
            stream.read_exact(&mut kind).await.unwrap();
            match kind[0] {
                // This client is idle, and leaves when the shutdown begins.
                b'i' => or(async { drop(stream.read(&mut [0]).await) }, drain.started()).await,
                // This one has something to finish first.
                b'b' => {
                    drain.started().await;
                    assert!(drain.is_started());
                    time::sleep(Duration::from_millis(5)).await;
                    stream.write_all(b"done").await.unwrap();
                }
                // This one ignores the shutdown.
                _ => pending().await,
            }
        });
        let left = kept.clone();
        let server = spawn(async move {
            let served = running.await.unwrap();
            // The tasks end at once, and not only in the next turn.
            assert_eq!(Rc::strong_count(&left), 2, "no task is left");
            served
        });
        let mut clients = Vec::new();
        for kind in [b"i", b"b", b"d", b"d"] {
            let mut client = TcpStream::connect(address).await.unwrap();
            client.write_all(kind).await.unwrap();
            clients.push(client);
        }
        until(|| Rc::strong_count(&kept) == 7).await;
        shutdown.set();
        let mut back = Vec::new();
        for client in &mut clients[..2] {
            client.read_to_end(&mut back).await.unwrap();
        }
        assert_eq!(back, b"done");
        // The clients that cannot finish are still there, but no new ones are accepted.
        assert!(!server.is_finished());
        refused(address).await;
        let served = server.await.unwrap();
        assert_eq!((served.accepted(), served.panicked(), served.aborted()), (4, 0, 2));
        for client in &mut clients[2..] {
            assert_eq!(client.read(&mut [0]).await.unwrap_or(0), 0);
        }
    });
}

#[test]
fn a_server_that_is_given_up_leaves_nothing_behind() {
    run(async {
        let (listener, address) = listen().await;
        let kept = Rc::new(());
        let in_handlers = kept.clone();
        let mut server = Box::pin(serve(listener).run(async move |_stream, _| {
            let _kept = in_handlers.clone();
            pending::<()>().await;
        }));
        let mut clients = Vec::new();
        while Rc::strong_count(&kept) < 5 {
            if clients.len() < 3 {
                clients.push(TcpStream::connect(address).await.unwrap());
            }
            assert!(poll_once(&mut server).await.is_none());
            yield_now().await;
        }
        drop(server);
        until(|| Rc::strong_count(&kept) == 1).await;
        for client in &mut clients {
            assert_eq!(client.read(&mut [0]).await.unwrap_or(0), 0);
        }
        refused(address).await;
    });
}

#[test]
fn an_end_at_once_and_an_end_while_all_places_are_taken() {
    run(async {
        let (listener, _) = listen().await;
        let served = serve(listener).graceful(ready(()), LONG).run(async |_, _| ()).await.unwrap();
        assert_eq!(served.accepted(), 0);
        let (listener, address) = listen().await;
        let shutdown = Event::default();
        let wait = shutdown.clone();
        let server =
            serve(listener).max_connections(1).graceful(async move { wait.wait().await }, Duration::ZERO);
        let server = spawn(server.run(async |stream, _| echo(stream).await));
        let mut first = TcpStream::connect(address).await.unwrap();
        ask(&mut first).await;
        let mut second = TcpStream::connect(address).await.unwrap();
        second.write_all(b"hello").await.unwrap();
        assert!(time::timeout(Duration::from_millis(10), second.readable()).await.is_err());
        shutdown.set();
        let served = server.await.unwrap().unwrap();
        assert_eq!((served.accepted(), served.aborted()), (1, 1));
        assert_eq!(second.read(&mut [0; 5]).await.unwrap_or(0), 0, "it was never accepted");
    });
}

/// Returns clients whose connections the kernel has established, and that have not been accepted. Each has sent a
/// request.
async fn established(address: SocketAddr, count: usize) -> Vec<TcpStream> {
    let mut clients = Vec::new();
    for _ in 0..count {
        let mut client = TcpStream::connect(address).await.unwrap();
        client.write_all(b"hello").await.unwrap();
        clients.push(client);
    }
    clients
}

/// Sends back what it receives, once.
async fn echo_once(mut stream: TcpStream) {
    let mut bytes = [0; 5];
    stream.read_exact(&mut bytes).await.unwrap();
    stream.write_all(&bytes).await.unwrap();
}

#[test]
fn connections_that_are_established_when_the_shutdown_begins_are_served() {
    run(async {
        for max_connections in [usize::MAX, 2] {
            let (listener, address) = listen().await;
            let mut clients = established(address, 20).await;
            let (now, most) = (Rc::new(Cell::new(0)), Rc::new(Cell::new(0)));
            let seen = most.clone();
            let server = serve(listener).max_connections(max_connections).graceful(ready(()), LONG);
            let drain = server.drain();
            let served = server
                .run(async move |stream, _| {
                    assert!(drain.is_started());
                    now.set(now.get() + 1);
                    most.set(most.get().max(now.get()));
                    echo_once(stream).await;
                    now.set(now.get() - 1);
                })
                .await
                .unwrap();
            assert_eq!((served.accepted(), served.panicked(), served.aborted()), (20, 0, 0));
            assert_eq!(served.unserved(), 0);
            assert!(seen.get() <= max_connections);
            for client in &mut clients {
                let mut answer = Vec::new();
                client.read_to_end(&mut answer).await.unwrap();
                assert_eq!(answer, b"hello");
            }
            refused(address).await;
        }
    });
}

/// The server is at its maximum number of connections. So the loop has not been told of the new connections when the
/// shutdown begins.
#[test]
fn connections_that_come_while_all_places_are_taken_are_served_after_the_shutdown() {
    run(async {
        let (listener, address) = listen().await;
        let shutdown = Event::default();
        let wait = shutdown.clone();
        let server = serve(listener).max_connections(1).graceful(async move { wait.wait().await }, LONG);
        let server = spawn(server.run(async |stream, _| echo(stream).await));
        let mut first = TcpStream::connect(address).await.unwrap();
        ask(&mut first).await;
        let mut clients = established(address, 5).await;
        shutdown.set();
        drop(first);
        for mut client in clients.drain(..) {
            client.read_exact(&mut [0; 5]).await.unwrap();
            client.close().await.unwrap();
            assert_eq!(client.read(&mut [0]).await.unwrap(), 0);
        }
        let served = server.await.unwrap().unwrap();
        assert_eq!((served.accepted(), served.aborted(), served.unserved()), (6, 0, 0));
    });
}

#[test]
fn established_connections_that_find_no_place_within_the_grace_are_counted() {
    run(async {
        let (listener, address) = listen().await;
        let mut clients = established(address, 5).await;
        let served = serve(listener)
            .max_connections(2)
            .graceful(ready(()), Duration::from_millis(20))
            .run(async |_stream: TcpStream, _| pending().await)
            .await
            .unwrap();
        assert_eq!((served.accepted(), served.aborted(), served.unserved()), (2, 2, 3));
        for client in &mut clients {
            assert_eq!(client.read(&mut [0; 5]).await.unwrap_or(0), 0);
        }
    });
}

#[test]
fn a_handler_on_another_thread_sees_the_drain() {
    run(async {
        let (listener, _) = listen().await;
        let server = serve(listener).graceful(ready(()), LONG);
        let drain = server.drain();
        let (waits, is_waiting) = std::sync::mpsc::channel();
        let thread = std::thread::spawn(move || {
            runtime::block_on(async {
                let mut started = drain.started();
                assert!(poll_once(&mut started).await.is_none());
                waits.send(()).unwrap();
                started.await;
                assert!(drain.is_started());
            });
        });
        is_waiting.recv().unwrap();
        server.run(async |stream, _| echo(stream).await).await.unwrap();
        thread.join().unwrap();
    });
}

#[test]
fn a_server_may_leave_established_connections_unserved() {
    run(async {
        let (listener, address) = listen().await;
        let mut clients = established(address, 5).await;
        let served = serve(listener)
            .serve_queued(false)
            .graceful(ready(()), LONG)
            .run(async |stream, _| echo_once(stream).await)
            .await
            .unwrap();
        assert_eq!((served.accepted(), served.unserved()), (0, 0));
        for client in &mut clients {
            assert_eq!(client.read(&mut [0; 5]).await.unwrap_or(0), 0);
        }
    });
}

#[test]
fn broken_connections_in_the_queue_are_passed_over_at_the_shutdown() {
    run(async {
        let error = |errno| Err(io::Error::from_raw_os_error(errno));
        let script = [Ok(1), error(libc::ECONNABORTED), Ok(2), error(libc::EMFILE), Ok(3)];
        let handled = Rc::new(RefCell::new(Vec::new()));
        let seen = handled.clone();
        let served = serve(Script(RefCell::new(VecDeque::from(script))))
            .graceful(ready(()), LONG)
            .run(async move |number, ()| handled.borrow_mut().push(number))
            .await
            .unwrap();
        assert_eq!(*seen.borrow(), [1, 2], "none is taken behind a shortage");
        assert_eq!(served.accepted(), 2);
        // A listener that does not end returns errors for ever.
        struct Broken;
        impl Accept for Broken {
            type Stream = ();
            type Addr = ();
            async fn accept(&self) -> io::Result<((), ())> {
                Err(ErrorKind::ConnectionAborted.into())
            }
        }
        let served = serve(Broken).graceful(ready(()), LONG).run(async |(), ()| ()).await.unwrap();
        assert_eq!(served.accepted(), 0);
    });
}

#[test]
fn unix_sockets_are_served_too() {
    let path = std::env::temp_dir().join(format!("runtime-serve-{}", std::process::id()));
    run(async {
        let listener = UnixListener::bind(&path).unwrap();
        let asked = path.clone();
        let client = spawn(async move {
            let mut client = UnixStream::connect(asked).await.unwrap();
            client.write_all(b"hello").await.unwrap();
            let mut back = [0; 5];
            client.read_exact(&mut back).await.unwrap();
            back
        });
        let served = serve(listener)
            .graceful(client, LONG)
            .run(async |mut stream: UnixStream, _| {
                let mut bytes = [0; 5];
                stream.read_exact(&mut bytes).await.unwrap();
                stream.write_all(&bytes).await.unwrap();
            })
            .await
            .unwrap();
        assert_eq!((served.accepted(), served.panicked()), (1, 0));
    });
    std::fs::remove_file(path).unwrap();
}

/// A listener that returns what the script says: connections, errors, and then nothing.
struct Script(RefCell<VecDeque<io::Result<u32>>>);

impl Accept for Script {
    type Stream = u32;
    type Addr = ();

    async fn accept(&self) -> io::Result<(u32, ())> {
        let next = self.0.borrow_mut().pop_front();
        match next {
            Some(next) => next.map(|number| (number, ())),
            None => pending().await,
        }
    }
}

#[test]
fn shortages_and_broken_connections_pass_and_a_broken_listener_does_not() {
    let runtime = runtime::Builder::new_current_thread().start_paused(true).build().unwrap();
    runtime.block_on(async {
        let error = |errno| Err(io::Error::from_raw_os_error(errno));
        let script = [
            Ok(1),
            error(libc::EMFILE),
            error(libc::ECONNABORTED),
            Ok(2),
            error(libc::ENFILE),
            error(libc::ENOMEM),
            Ok(3),
            error(libc::EBADF),
            Ok(4),
        ];
        let (served, reports) = (Rc::new(RefCell::new(Vec::new())), Rc::new(RefCell::new(Vec::new())));
        let start = time::Instant::now();
        let result = serve(Script(RefCell::new(script.into())))
            .graceful(pending::<()>(), LONG)
            .on_error({
                let reports = reports.clone();
                move |error| reports.borrow_mut().push(error.raw_os_error().unwrap())
            })
            .run({
                let served = served.clone();
                async move |number, ()| {
                    yield_now().await;
                    served.borrow_mut().push(number);
                }
            })
            .await;
        assert_eq!(result.unwrap_err().raw_os_error(), Some(libc::EBADF));
        assert_eq!(*served.borrow(), [1, 2, 3], "who was accepted is served to the end");
        assert_eq!(*reports.borrow(), [libc::EMFILE, libc::ENFILE, libc::ENOMEM]);
        assert_eq!(start.elapsed().as_millis(), 5 + 5 + 10, "it rests longer if nothing was gained");
        // The server sees the shutdown while it waits after an error.
        let script = Script(RefCell::new([error(libc::EMFILE)].into()));
        let start = time::Instant::now();
        let end = time::sleep(Duration::from_millis(3));
        serve(script).graceful(end, LONG).run(async |_, ()| ()).await.unwrap();
        assert_eq!(start.elapsed().as_millis(), 3);
    });
}

/// The tests count descriptors in /proc.
#[cfg(any(target_os = "linux", target_os = "android"))]
mod shortage {
    use super::net_support::in_child;
    use super::*;

    #[test]
    #[expect(unsafe_code, reason = "setrlimit")]
    fn when_descriptors_run_out_those_who_wait_are_served_once_there_are_some() {
        in_child("shortage::when_descriptors_run_out_those_who_wait_are_served_once_there_are_some", || {
            run(async {
                let (listener, address) = listen().await;
                // The clients take their own descriptors first, so that only the server lacks some.
                let mut clients = Vec::new();
                for _ in 0..8 {
                    clients.push(std::net::TcpStream::connect(address).unwrap());
                }
                let used = net_support::open_descriptors() as libc::rlim_t;
                let limit = libc::rlimit { rlim_cur: used + 2, rlim_max: 4096 };
                // SAFETY: the kernel reads one rlimit.
                assert_eq!(unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &raw const limit) }, 0);
                let (shortages, served, shutdown) =
                    (Rc::new(Cell::new(0)), Rc::new(Cell::new(0)), Event::default());
                let server = serve(listener).graceful(
                    {
                        let shutdown = shutdown.clone();
                        async move { shutdown.wait().await }
                    },
                    LONG,
                );
                let server = server.on_error({
                    let shortages = shortages.clone();
                    move |error| {
                        assert_eq!(error.raw_os_error(), Some(libc::EMFILE));
                        shortages.set(shortages.get() + 1);
                    }
                });
                let server = spawn(server.run({
                    let served = served.clone();
                    async move |stream, _| {
                        served.set(served.get() + 1);
                        echo(stream).await;
                    }
                }));
                until(|| shortages.get() > 0).await;
                assert!(served.get() < 8);
                // Each client that leaves makes room for a waiting one, twice: at this end and at the other.
                while served.get() < 8 {
                    let before = served.get();
                    clients.pop();
                    time::timeout(
                        Duration::from_secs(60),
                        until(|| served.get() > before || served.get() == 8),
                    )
                    .await
                    .unwrap();
                }
                assert!(shortages.get() < 100, "{}", shortages.get());
                clients.clear();
                shutdown.set();
                assert_eq!(server.await.unwrap().unwrap().accepted(), 8);
            });
        });
    }
}
