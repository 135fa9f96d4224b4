//! Addresses and connections of Unix sockets: paths and abstract names, failures, full queues, and listeners. The
//! streams are in `net_unix_streams.rs`, and what they share with other streams is in `stream_laws.rs`.
#![cfg(not(miri))] // Files, children, signals.
#![expect(unsafe_code, reason = "bind(2) to the longest name; setrlimit, in a process of its own")]

mod net_support;

use futures_lite::StreamExt;
use futures_lite::future::{or, zip};
use net_support::place::Place;
use net_support::{CpuTime, in_child, in_child_under, poll_once, run};
use runtime::io::{AsyncReadExt, AsyncWriteExt};
use runtime::net::unix::SocketAddr;
use runtime::net::{UnixListener, UnixSocket, UnixStream};
use runtime::time;
use socket2::{Domain, SockAddr, Socket, Type};
use std::io::{self, ErrorKind};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::fs::FileTypeExt;
use std::os::unix::net;
use std::path::Path;
use std::thread;
use std::time::Duration;

/// Waits until connections are refused. A child of another test may still hold a copy of the listener until it has started
/// its program.
async fn refused(path: &Path) -> io::Error {
    loop {
        match UnixStream::connect(path).await {
            Ok(_) => time::sleep(Duration::from_millis(1)).await,
            Err(error) => return error,
        }
    }
}

#[test]
fn a_listener_has_a_file_and_a_client_has_no_name() {
    run(async {
        let place = Place::new();
        let listener = UnixListener::bind(&place)?;
        assert!(std::fs::metadata(&place)?.file_type().is_socket());
        assert_eq!(listener.local_addr()?.as_pathname(), Some(place.as_ref()));
        let mut client = UnixStream::connect(&place).await?;
        let (mut server, peer) = listener.accept().await?;
        assert!(peer.is_unnamed() && peer.as_pathname().is_none(), "{peer:?}");
        assert!(client.local_addr()?.is_unnamed() && server.peer_addr()?.is_unnamed());
        assert_eq!(client.peer_addr()?.as_pathname(), Some(place.as_ref()));
        assert_eq!(server.local_addr()?.as_pathname(), Some(place.as_ref()));
        for debug in [format!("{listener:?}"), format!("{client:?}"), format!("{:?}", client.peer_addr()?)] {
            assert!(debug.contains("runtime-unix-"), "{debug}");
        }
        client.write_all(b"ping").await?;
        server.read_exact(&mut [0; 4]).await?;
        for socket in [client.as_fd(), server.as_fd(), listener.as_fd()] {
            assert!(socket2::SockRef::from(&socket).nonblocking()?);
        }
        assert!(client.take_error()?.is_none() && listener.take_error()?.is_none());
        // The file outlives the listener, but connections to it are refused.
        drop(listener);
        assert_eq!(refused(place.as_ref()).await.kind(), ErrorKind::ConnectionRefused);
        assert_eq!(UnixListener::bind(&place).unwrap_err().kind(), ErrorKind::AddrInUse);
        std::fs::remove_file(&place)?;
        drop(UnixListener::bind(&place)?);
        io::Result::Ok(())
    })
    .unwrap();
}

#[test]
fn a_client_with_a_name_is_known_by_it() {
    run(async {
        let (place, own) = (Place::new(), Place::new());
        let listener = UnixListener::bind(&place)?;
        let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
        socket.bind(&SockAddr::unix(&own)?)?;
        socket.connect(&SockAddr::unix(&place)?)?;
        let (server, peer) = listener.accept().await?;
        assert_eq!(peer.as_pathname(), Some(own.as_ref()));
        assert_eq!(server.peer_addr()?.as_pathname(), Some(own.as_ref()));
        io::Result::Ok(())
    })
    .unwrap();
}

/// The longest path leaves no room for a zero byte at its end, and std makes no such address itself.
#[test]
#[cfg(target_os = "linux")]
fn a_client_with_the_longest_name_is_accepted() {
    run(async {
        let (place, mut own) = (Place::new(), Place::new());
        let folder = own.0.parent().unwrap().to_str().unwrap().len();
        own.0.set_file_name(format!("{:x<width$}", std::process::id(), width = 108 - folder - 1));
        let own_bytes = own.0.as_os_str().as_encoded_bytes();
        assert_eq!(own_bytes.len(), 108);
        let listener = UnixListener::bind(&place)?;
        let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
        let mut address =
            libc::sockaddr_un { sun_family: libc::AF_UNIX as libc::sa_family_t, sun_path: [0; 108] };
        for (to, from) in address.sun_path.iter_mut().zip(own_bytes) {
            *to = *from as libc::c_char;
        }
        // SAFETY: the kernel reads one address, of the length it has.
        let bound = unsafe {
            libc::bind(
                socket.as_raw_fd(),
                (&raw const address).cast(),
                size_of_val(&address) as libc::socklen_t,
            )
        };
        assert_eq!(bound, 0, "{}", io::Error::last_os_error());
        socket.connect(&SockAddr::unix(&place)?)?;
        let (server, peer) = listener.accept().await?;
        assert_eq!(peer.as_pathname(), Some(own.as_ref()));
        assert_eq!(server.peer_addr()?.as_pathname(), Some(own.as_ref()));
        io::Result::Ok(())
    })
    .unwrap();
}

#[test]
#[cfg(any(target_os = "linux", target_os = "android"))]
fn an_abstract_name_leaves_no_file() {
    run(async {
        let name = format!("runtime, a test of process {}", std::process::id());
        let listener = UnixListener::bind(format!("\0{name}"))?;
        let address = listener.local_addr()?;
        assert_eq!(address.as_abstract_name(), Some(name.as_bytes()));
        assert!(address.as_pathname().is_none() && !address.is_unnamed());
        // The clients connect by a string, by an address of the crate, and by one of std's.
        let by_string = UnixStream::connect(format!("\0{name}")).await?;
        let by_address = UnixStream::connect_addr(&address).await?;
        let of_std = net::SocketAddr::from(address);
        let by_std = UnixStream::connect_addr(&of_std.into()).await?;
        for client in [by_string, by_address, by_std] {
            assert_eq!(client.peer_addr()?.as_abstract_name(), Some(name.as_bytes()));
            listener.accept().await?;
        }
        drop(listener);
        let gone = refused(format!("\0{name}").as_ref()).await;
        assert_eq!(gone.kind(), ErrorKind::ConnectionRefused);
        // For an empty name, the kernel chooses one.
        let anywhere = SocketAddr::from(net::SocketAddr::from_pathname("")?);
        let listener = UnixListener::bind_addr(&anywhere)?;
        let address = listener.local_addr()?;
        assert!(address.as_abstract_name().is_some_and(|name| !name.is_empty()), "{address:?}");
        let (client, _) =
            futures_lite::future::try_zip(UnixStream::connect_addr(&address), listener.accept()).await?;
        assert_eq!(client.peer_addr()?.as_abstract_name(), address.as_abstract_name());
        io::Result::Ok(())
    })
    .unwrap();
}

#[test]
fn each_failure_has_its_own_errno() {
    run(async {
        let place = Place::new();
        let errno = async |path: &Path| UnixStream::connect(path).await.unwrap_err().raw_os_error();
        assert_eq!(errno(place.as_ref()).await, Some(libc::ENOENT));
        assert_eq!(errno(&place.0.join("below")).await, Some(libc::ENOENT));
        std::fs::write(&place, "a file")?;
        assert_eq!(errno(place.as_ref()).await, Some(libc::ECONNREFUSED));
        assert_eq!(errno(&place.0.join("below")).await, Some(libc::ENOTDIR));
        std::fs::remove_file(&place)?;
        let datagrams = net::UnixDatagram::bind(&place)?;
        assert_eq!(errno(place.as_ref()).await, Some(libc::EPROTOTYPE));
        drop(datagrams);
        let bound = UnixListener::bind(place.0.join("below")).unwrap_err();
        assert_eq!(bound.raw_os_error(), Some(libc::ENOTDIR));
        for path in [&"x".repeat(200), "zero\0inside"] {
            assert_eq!(UnixStream::connect(path).await.unwrap_err().kind(), ErrorKind::InvalidInput);
            assert_eq!(UnixListener::bind(path).unwrap_err().kind(), ErrorKind::InvalidInput);
        }
        let nowhere = SocketAddr::from(net::SocketAddr::from_pathname("")?);
        assert!(UnixStream::connect_addr(&nowhere).await.is_err());
        io::Result::Ok(())
    })
    .unwrap();
}

/// Other systems refuse a connection if the queue is full.
#[cfg(target_os = "linux")]
mod full_queue {
    use super::*;
    use net_support::open_descriptors;
    use runtime::spawn;

    /// Returns a listener whose queue is full, and the clients that fill it.
    fn full_listener(place: &Place) -> io::Result<(UnixListener, Vec<net::UnixStream>)> {
        let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
        socket.bind(&SockAddr::unix(place)?)?;
        socket.listen(1)?;
        let listener = UnixListener::from_std(OwnedFd::from(socket).into())?;
        // The kernel accepts one client more than it was asked for.
        let clients = [net::UnixStream::connect(place)?, net::UnixStream::connect(place)?];
        Ok((listener, clients.into()))
    }

    #[test]
    fn a_full_queue_is_waited_for() {
        run(async {
            let place = Place::new();
            let (listener, clients) = full_listener(&place)?;
            let late: Vec<_> = (0..10)
                .map(|_| {
                    let path = place.0.clone();
                    spawn(async move { UnixStream::connect(path).await })
                })
                .collect();
            time::sleep(Duration::from_millis(10)).await;
            assert!(late.iter().all(|task| !task.is_finished()));
            for _ in 0..clients.len() + late.len() {
                listener.accept().await?;
            }
            for task in late {
                task.await.unwrap()?;
            }
            io::Result::Ok(())
        })
        .unwrap();
    }

    #[test]
    fn a_queue_that_stays_full_is_reported_in_the_end() {
        run(async {
            let place = Place::new();
            let (_listener, _clients) = full_listener(&place)?;
            // The clock is paused, and moves by itself while nothing else happens.
            time::pause();
            let started = time::Instant::now();
            let error = UnixStream::connect(&place).await.unwrap_err();
            assert_eq!(error.raw_os_error(), Some(libc::EAGAIN));
            let waited = started.elapsed();
            assert!((5.0..5.2).contains(&waited.as_secs_f64()), "{waited:?}");
            io::Result::Ok(())
        })
        .unwrap();
    }

    #[test]
    fn a_connect_that_is_given_up_leaves_nothing_behind() {
        in_child("full_queue::a_connect_that_is_given_up_leaves_nothing_behind", || {
            run(async {
                let place = Place::new();
                let (listener, clients) = full_listener(&place).unwrap();
                let before = open_descriptors();
                for _ in 0..50 {
                    assert!(poll_once(UnixStream::connect(&place)).await.is_none());
                }
                assert_eq!(open_descriptors(), before);
                for _ in &clients {
                    listener.accept().await.unwrap();
                }
                assert!(poll_once(listener.accept()).await.is_none(), "nobody else has come");
            });
        });
    }
}

#[test]
fn a_socket_becomes_what_it_is_made_for() {
    run(async {
        let (place, own) = (Place::new(), Place::new());
        let socket = UnixSocket::new_stream()?;
        assert!(socket2::SockRef::from(&socket).nonblocking()?);
        socket.bind(&place)?;
        assert_eq!(UnixSocket::new_stream()?.bind(&place).unwrap_err().kind(), ErrorKind::AddrInUse);
        let listener = socket.listen(2)?;
        let socket = UnixSocket::new_stream()?;
        socket.bind(&own)?;
        let mut client = socket.connect(&place).await?;
        let (mut server, peer) = listener.accept().await?;
        assert_eq!(peer.as_pathname(), Some(own.as_ref()));
        client.write_all(b"ping").await?;
        server.read_exact(&mut [0; 4]).await?;
        // The socket comes from another crate, is blocking, and is converted back.
        let fd = OwnedFd::from(Socket::new(Domain::UNIX, Type::STREAM, None)?);
        let fd = OwnedFd::from(UnixSocket::from(fd));
        assert!(socket2::SockRef::from(&fd).nonblocking()?);
        // A socket does not do what it was not made for.
        let place = Place::new();
        let socket = UnixSocket::new_datagram()?;
        socket.bind(&place)?;
        let datagrams = socket.datagram()?;
        let error = UnixSocket::new_datagram()?.connect(&place).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
        let other = UnixSocket::new_datagram()?;
        assert_eq!(other.listen(1).unwrap_err().raw_os_error(), Some(libc::EOPNOTSUPP));
        let error = UnixSocket::new_stream()?.datagram().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
        UnixSocket::new_datagram()?.datagram()?.send_to(b"hello", &place).await?;
        assert_eq!(datagrams.recv(&mut [0; 8]).await?, 5);
        io::Result::Ok(())
    })
    .unwrap();
}

#[test]
fn incoming_connections_are_a_stream_and_several_accept() {
    run(async {
        let place = Place::new();
        let listener = UnixListener::bind(&place)?;
        let accepted = std::cell::Cell::new(0);
        let (mut first, mut second) = (listener.incoming(), listener.incoming());
        let accept = async {
            while accepted.get() < 90 {
                or(
                    or(async { first.next().await.unwrap().map(drop) }, async {
                        second.next().await.unwrap().map(drop)
                    }),
                    async {
                        or(
                            async { listener.accept().await.map(drop) },
                            std::future::poll_fn(|cx| listener.poll_accept(cx).map_ok(drop)),
                        )
                        .await
                    },
                )
                .await?;
                accepted.set(accepted.get() + 1);
            }
            io::Result::Ok(())
        };
        let path = place.0.clone();
        let clients = thread::spawn(move || {
            for _ in 0..90 {
                net::UnixStream::connect(&path).unwrap();
            }
        });
        accept.await?;
        clients.join().unwrap();
        assert!(poll_once(listener.accept()).await.is_none());
        io::Result::Ok(())
    })
    .unwrap();
}

#[test]
fn out_of_descriptors_the_listener_rests_and_goes_on() {
    in_child("out_of_descriptors_the_listener_rests_and_goes_on", || {
        run(async {
            let place = Place::new();
            let listener = UnixListener::bind(&place).unwrap();
            let client = UnixStream::connect(&place).await.unwrap();
            let cpu_time = CpuTime::new();
            let limit = |descriptors: usize| {
                let limit = libc::rlimit { rlim_cur: descriptors as libc::rlim_t, rlim_max: 20_000 };
                // SAFETY: the kernel reads one rlimit.
                assert_eq!(unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &limit) }, 0);
            };
            // The limit is not lower than the number of descriptors that poll(2) gets.
            limit(client.as_raw_fd() as usize + 8);
            let all = std::iter::from_fn(|| client.as_fd().try_clone_to_owned().ok());
            let _all: Vec<OwnedFd> = all.collect();
            let mut errors = 0;
            let server = async {
                loop {
                    match listener.accept().await {
                        Ok((stream, _)) => return (stream, errors),
                        Err(error) => assert_eq!(error.raw_os_error(), Some(libc::EMFILE)),
                    }
                    errors += 1;
                }
            };
            let before = cpu_time.used();
            let ((stream, errors), ()) = zip(server, async {
                time::sleep(Duration::from_millis(350)).await;
                assert!(cpu_time.used() - before < Duration::from_millis(100));
                limit(1000);
            })
            .await;
            assert!((3..=8).contains(&errors), "{errors}");
            drop((stream, client));
        });
    });
}

#[test]
fn a_signal_in_the_midst_of_connecting_is_no_failure() {
    let strace = ["-e", "trace=connect", "-e", "inject=connect:error=EINTR:when=1..2"];
    in_child_under("a_signal_in_the_midst_of_connecting_is_no_failure", "EINTR", &strace, || {
        run(async {
            let place = Place::new();
            let listener = UnixListener::bind(&place)?;
            let client = UnixStream::connect(&place).await?;
            assert_eq!(listener.accept().await?.0.peer_cred()?.pid(), client.peer_cred()?.pid());
            io::Result::Ok(())
        })
        .unwrap();
    });
}
