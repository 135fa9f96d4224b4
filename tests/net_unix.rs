//! Unix sockets, in what they are peculiar: names, files, a queue that says no, and who is at the other
//! end. What they share with other streams is in `stream_laws.rs`.
#![cfg(not(miri))] // Files, children, signals.
#![expect(
    unsafe_code,
    reason = "bind(2) to the longest name, descriptors sent; setrlimit and signal, in processes of their own"
)]

mod net_support;

use futures_lite::StreamExt;
use futures_lite::future::{or, try_zip, zip};
use net_support::{CpuTime, in_child, in_child_under, poll_once, run, watchdog};
use runtime::io::{AsyncReadExt, AsyncWriteExt, Interest};
use runtime::net::unix::{self, SocketAddr};
use runtime::net::{UnixListener, UnixSocket, UnixStream};
use runtime::task::yield_now;
use runtime::time;
use socket2::{Domain, SockAddr, Socket, Type};
use std::io::{self, ErrorKind, IoSlice, Read, Write};
use std::net::Shutdown;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::os::unix::net;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::thread;
use std::time::Duration;

/// A path for a socket, in the short directory that there is; removed at the end.
struct Place(PathBuf);

impl Place {
    fn new() -> Place {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Relaxed);
        Place(std::env::temp_dir().join(format!("runtime-unix-{}-{number}", std::process::id())))
    }
}

impl AsRef<Path> for Place {
    fn as_ref(&self) -> &Path {
        &self.0
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        // It may not have been made, or be gone already.
        let _ = std::fs::remove_file(&self.0);
    }
}

#[test]
fn handles_and_futures_go_to_other_threads() {
    fn of_many_threads<T: Send + Sync>() {}
    fn send<T: Send>(value: T) -> T {
        value
    }
    of_many_threads::<UnixStream>();
    of_many_threads::<UnixListener>();
    of_many_threads::<unix::Incoming<'_>>();
    of_many_threads::<unix::OwnedReadHalf>();
    of_many_threads::<unix::OwnedWriteHalf>();
    of_many_threads::<unix::ReadHalf<'_>>();
    of_many_threads::<unix::WriteHalf<'_>>();
    of_many_threads::<unix::pipe::Sender>();
    of_many_threads::<unix::pipe::Receiver>();
    run(send(async {
        let place = Place::new();
        let listener = UnixListener::bind(&place)?;
        drop(send(listener.accept()));
        let mut stream = send(UnixStream::connect(&place)).await?;
        drop(send(stream.ready(Interest::READABLE)));
        drop(send(stream.read(&mut [])));
        let (reader, writer) = stream.into_split();
        drop(send(reader.readable()));
        drop(send(writer.writable()));
        io::Result::Ok(())
    }))
    .unwrap();
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
        // The file outlives the listener, but nobody is there.
        drop(listener);
        // But a child of another test may still hold a copy, as long as it has not begun its program.
        let error = loop {
            match UnixStream::connect(&place).await {
                Ok(_) => time::sleep(Duration::from_millis(1)).await,
                Err(error) => break error,
            }
        };
        assert_eq!(error.kind(), ErrorKind::ConnectionRefused);
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

/// The longest path has no room for a zero byte at its end, and std makes no such address itself.
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
        // By the string, by our address, and by one of std's.
        let by_string = UnixStream::connect(format!("\0{name}")).await?;
        let by_address = UnixStream::connect_addr(&address).await?;
        let of_std = net::SocketAddr::from(address);
        let by_std = UnixStream::connect_addr(&of_std.into()).await?;
        for client in [by_string, by_address, by_std] {
            assert_eq!(client.peer_addr()?.as_abstract_name(), Some(name.as_bytes()));
            listener.accept().await?;
        }
        drop(listener);
        let gone = UnixStream::connect(format!("\0{name}")).await.unwrap_err();
        assert_eq!(gone.kind(), ErrorKind::ConnectionRefused);
        // Of nothing, the kernel makes a name of its own choice.
        let anywhere = SocketAddr::from(net::SocketAddr::from_pathname("")?);
        let listener = UnixListener::bind_addr(&anywhere)?;
        let address = listener.local_addr()?;
        assert!(address.as_abstract_name().is_some_and(|name| !name.is_empty()), "{address:?}");
        let (client, _) = try_zip(UnixStream::connect_addr(&address), listener.accept()).await?;
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

/// Other systems refuse.
#[cfg(target_os = "linux")]
mod full_queue {
    use super::*;
    use net_support::open_descriptors;
    use runtime::spawn;

    /// A listener whose queue is full, and who fills it.
    fn full_listener(place: &Place) -> io::Result<(UnixListener, Vec<net::UnixStream>)> {
        let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
        socket.bind(&SockAddr::unix(place)?)?;
        socket.listen(1)?;
        let listener = UnixListener::from_std(OwnedFd::from(socket).into())?;
        // One more than was asked for.
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
    fn a_queue_that_stays_full_is_told_of_in_the_end() {
        run(async {
            let place = Place::new();
            let (_listener, _clients) = full_listener(&place)?;
            // By a clock that goes on by itself while nothing else happens.
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
fn the_kernel_tells_who_the_peer_is() {
    const PATH: &str = "RUNTIME_TEST_PEER_CONNECTS_TO";
    // The other process: it connects, and stays until it is told to go.
    if let Some(path) = std::env::var_os(PATH) {
        net::UnixStream::connect(path).unwrap().read_to_end(&mut Vec::new()).unwrap();
        return;
    }
    run(async {
        let place = Place::new();
        let listener = UnixListener::bind(&place)?;
        let file = std::fs::metadata(&place)?;
        let mut child = Command::new(std::env::current_exe()?)
            .args(["--exact", "the_kernel_tells_who_the_peer_is"])
            .env(PATH, &place.0)
            .stdout(std::process::Stdio::null())
            .spawn()?;
        let (server, _) = listener.accept().await?;
        let peer = server.peer_cred()?;
        assert_eq!((peer.uid(), peer.gid()), (file.uid(), file.gid()));
        if cfg!(any(target_os = "linux", target_vendor = "apple")) {
            assert_eq!(peer.pid(), Some(child.id() as unix::pid_t));
        }
        drop(server);
        assert!(child.wait()?.success());
        // At either end of a pair, it is who made it.
        let (one, other) = UnixStream::pair()?;
        let own = one.peer_cred()?;
        assert_eq!(own, other.peer_cred()?);
        assert_eq!(own.uid(), file.uid());
        if cfg!(any(target_os = "linux", target_vendor = "apple")) {
            assert_eq!(own.pid(), Some(std::process::id() as unix::pid_t));
        }
        io::Result::Ok(())
    })
    .unwrap();
}

#[test]
fn to_std_and_back_nothing_is_lost() {
    run(async {
        let place = Place::new();
        // Blocking, as std makes them.
        let listener = UnixListener::try_from(net::UnixListener::bind(&place)?)?;
        assert!(poll_once(listener.accept()).await.is_none());
        let mut client = UnixStream::try_from(net::UnixStream::connect(&place)?)?;
        let (server, _) = listener.accept().await?;
        assert!(poll_once(client.read(&mut [0])).await.is_none());
        let mut server = net::UnixStream::try_from(server)?;
        server.set_nonblocking(false)?;
        server.write_all(b"hello")?;
        let mut word = [0; 5];
        client.read_exact(&mut word).await?;
        assert_eq!(&word, b"hello");
        // Registered, given up, and registered again.
        let mut client = UnixStream::from_std(client.into_std()?)?;
        assert!(poll_once(client.read(&mut word)).await.is_none());
        server.write_all(b"again")?;
        client.read_exact(&mut word).await?;
        assert_eq!(&word, b"again");
        let listener = UnixListener::from_std(net::UnixListener::try_from(listener)?)?;
        let (_, client) = try_zip(listener.accept(), UnixStream::connect(&place)).await?;
        drop(client);
        io::Result::Ok(())
    })
    .unwrap();
}

#[test]
fn readiness_comes_with_the_data_and_goes_with_it() {
    run(async {
        let (ours, other) = net::UnixStream::pair()?;
        let (ours, mut other) = (UnixStream::from_std(ours)?, other);
        let mut buffer = [0; 8];
        assert_eq!(ours.try_read(&mut buffer).unwrap_err().kind(), ErrorKind::WouldBlock);
        assert!(poll_once(ours.readable()).await.is_none());
        ours.writable().await?;
        let waits =
            zip(zip(ours.readable(), ours.readable()), ours.ready(Interest::READABLE | Interest::WRITABLE));
        other.write_all(b"hello")?;
        let ((first, second), either) = waits.await;
        first.and(second)?;
        assert!(either?.is_writable());
        std::future::poll_fn(|cx| ours.poll_read_ready(cx)).await?;
        std::future::poll_fn(|cx| ours.poll_write_ready(cx)).await?;
        assert_eq!(ours.try_read_vectored(&mut [io::IoSliceMut::new(&mut buffer)])?, 5);
        assert_eq!(ours.try_read(&mut buffer).unwrap_err().kind(), ErrorKind::WouldBlock);
        assert!(poll_once(ours.readable()).await.is_none());
        // A call of one's own.
        let receive = || socket2::SockRef::from(&ours).recv(&mut [std::mem::MaybeUninit::uninit(); 8]);
        assert_eq!(ours.try_io(Interest::READABLE, receive).unwrap_err().kind(), ErrorKind::WouldBlock);
        let (received, written) = zip(ours.async_io(Interest::READABLE, receive), async {
            yield_now().await;
            other.write_all(b"four")
        })
        .await;
        written?;
        assert_eq!(received?, 4);
        assert_eq!(ours.try_write_vectored(&[IoSlice::new(b"a"), IoSlice::new(b"b")])?, 2);
        assert_eq!(ours.try_write(b"c")?, 1);
        other.read_exact(&mut [0; 3])?;
        assert_eq!(ours.try_read(&mut buffer).unwrap_err().kind(), ErrorKind::WouldBlock);
        drop(other);
        let ready = ours.ready(Interest::READABLE).await?;
        assert!(ready.is_readable() && ready.is_read_closed(), "{ready:?}");
        assert_eq!(ours.try_read(&mut buffer)?, 0);
        assert_eq!(ours.try_write(b"x").unwrap_err().kind(), ErrorKind::BrokenPipe);
        io::Result::Ok(())
    })
    .unwrap();
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
        // From elsewhere, blocking, and back.
        let fd = OwnedFd::from(Socket::new(Domain::UNIX, Type::STREAM, None)?);
        let fd = OwnedFd::from(UnixSocket::from(fd));
        assert!(socket2::SockRef::from(&fd).nonblocking()?);
        // What it was not made for, it does not do.
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
fn a_shutdown_wakes_who_waits_here() {
    run(async {
        let (a, b) = UnixStream::pair()?;
        let (waits, shut) = zip(async { (&a).read(&mut [0; 8]).await }, async {
            yield_now().await;
            a.shutdown_std(Shutdown::Read)
        })
        .await;
        shut?;
        assert_eq!(waits?, 0);
        a.shutdown().await?;
        a.shutdown().await?;
        assert_eq!((&b).read(&mut [0; 8]).await?, 0);
        drop(b);
        a.shutdown().await?;
        io::Result::Ok(())
    })
    .unwrap();
}

#[test]
fn halves_come_together_again_if_they_are_of_one_stream() {
    run(async {
        let place = Place::new();
        let listener = UnixListener::bind(&place)?;
        let (a, (b, _)) = try_zip(UnixStream::connect(&place), listener.accept()).await?;
        let (a_reader, a_writer) = a.into_split();
        let (b_reader, b_writer) = b.into_split();
        assert_eq!(a_reader.peer_addr()?.as_pathname(), Some(place.as_ref()));
        assert_eq!(b_writer.as_ref().local_addr()?.as_pathname(), Some(place.as_ref()));
        let error = a_reader.reunite(b_writer).unwrap_err();
        assert_eq!(error.to_string(), "the two halves are not of the same stream");
        let mut a = error.0.reunite(a_writer).unwrap();
        let mut b = error.1.reunite(b_reader).unwrap();
        // No half that was dropped on the way has ended anything.
        assert!(poll_once(a.read(&mut [0])).await.is_none());
        b.write_all(b"x").await?;
        assert_eq!(a.read(&mut [0; 8]).await?, 1);
        let (_reader, writer) = a.into_split();
        writer.forget();
        assert!(poll_once(b.read(&mut [0])).await.is_none());
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
fn a_stream_is_used_where_it_is_taken_to() {
    let _watchdog = watchdog();
    let (ours, mut other) = net::UnixStream::pair().unwrap();
    let mut ours = runtime::block_on(async {
        let mut ours = UnixStream::from_std(ours).unwrap();
        assert!(poll_once(ours.read(&mut [0])).await.is_none());
        ours
    });
    let elsewhere = thread::spawn(move || {
        runtime::block_on(async {
            let mut word = [0; 5];
            ours.read_exact(&mut word).await.unwrap();
            ours.write_all(&word).await.unwrap();
        });
    });
    other.write_all(b"hello").unwrap();
    let mut word = [0; 5];
    other.read_exact(&mut word).unwrap();
    assert_eq!(&word, b"hello");
    elsewhere.join().unwrap();
}

#[test]
fn a_write_to_a_dead_peer_raises_no_signal() {
    in_child("a_write_to_a_dead_peer_raises_no_signal", || {
        // SAFETY: the default action is no function of ours.
        unsafe { libc::signal(libc::SIGPIPE, libc::SIG_DFL) };
        run(async {
            let (mut ours, other) = UnixStream::pair().unwrap();
            drop(other);
            let slices = [IoSlice::new(b"a"), IoSlice::new(b"b")];
            assert_eq!(ours.try_write(b"x").unwrap_err().kind(), ErrorKind::BrokenPipe);
            assert_eq!(ours.write(b"x").await.unwrap_err().kind(), ErrorKind::BrokenPipe);
            assert_eq!(ours.write_vectored(&slices).await.unwrap_err().kind(), ErrorKind::BrokenPipe);
            let (_reader, mut writer) = ours.into_split();
            assert_eq!(writer.write_vectored(&slices).await.unwrap_err().kind(), ErrorKind::BrokenPipe);
            assert_eq!(writer.try_write(b"x").unwrap_err().kind(), ErrorKind::BrokenPipe);
        });
    });
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
            // Not lower than what poll(2) is given.
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

/// Sends bytes, and with them a descriptor.
#[cfg(target_os = "linux")]
fn send_with_descriptor(stream: &net::UnixStream, bytes: &[u8]) {
    let mut vector = libc::iovec { iov_base: bytes.as_ptr().cast_mut().cast(), iov_len: bytes.len() };
    let mut control = [0u64; 4];
    let width = size_of::<libc::c_int>() as u32;
    // SAFETY: a structure of numbers and pointers. The message says what room `control` has, in which the
    // header and the number are written; and the kernel reads what is lent to it.
    let sent = unsafe {
        let mut message: libc::msghdr = std::mem::zeroed();
        (message.msg_iov, message.msg_iovlen) = (&raw mut vector, 1);
        message.msg_control = control.as_mut_ptr().cast();
        message.msg_controllen = libc::CMSG_SPACE(width) as _;
        let header = libc::CMSG_FIRSTHDR(&raw const message);
        (*header).cmsg_level = libc::SOL_SOCKET;
        (*header).cmsg_type = libc::SCM_RIGHTS;
        (*header).cmsg_len = libc::CMSG_LEN(width) as _;
        libc::CMSG_DATA(header).cast::<libc::c_int>().write_unaligned(stream.as_raw_fd());
        libc::sendmsg(stream.as_raw_fd(), &raw const message, 0)
    };
    assert_eq!(sent, bytes.len() as isize);
}

/// A read ends behind what came with a descriptor, though there is more: it has not emptied the stream.
#[cfg(target_os = "linux")]
#[test]
fn descriptors_that_nobody_has_asked_for_hide_nothing_that_follows() {
    run(async {
        for way in ["plainly", "into several buffers", "by the trait of tokio"] {
            let (stream, other) = net::UnixStream::pair()?;
            let mut stream = UnixStream::from_std(stream)?;
            let mut buffer = [0; 64];
            assert!(poll_once(stream.read(&mut buffer)).await.is_none());
            send_with_descriptor(&other, b"one");
            send_with_descriptor(&other, b"two");
            (&other).write_all(b"three")?;
            for bytes in [&b"one"[..], b"two", b"three"] {
                let count = match way {
                    "plainly" => stream.read(&mut buffer).await?,
                    "into several buffers" => {
                        stream.read_vectored(&mut [io::IoSliceMut::new(&mut buffer)]).await?
                    }
                    _ => tokio::io::AsyncReadExt::read(&mut stream, &mut buffer).await?,
                };
                assert_eq!(&buffer[..count], bytes, "{way}");
            }
        }
        io::Result::Ok(())
    })
    .unwrap();
}

/// Nor has one that stops where another process has written, if the socket is told who writes.
#[cfg(target_os = "linux")]
#[test]
fn what_another_process_has_written_is_not_hidden_by_what_this_one_has() {
    run(async {
        let (stream, other) = net::UnixStream::pair()?;
        socket2::SockRef::from(&stream).set_passcred(true)?;
        let mut stream = UnixStream::from_std(stream)?;
        let mut buffer = [0; 64];
        assert!(poll_once(stream.read(&mut buffer)).await.is_none());
        (&other).write_all(b"parent")?;
        let child = Command::new("printf").arg("child").stdout(OwnedFd::from(other.try_clone()?)).status()?;
        assert!(child.success());
        for bytes in [&b"parent"[..], b"child"] {
            let count = stream.read(&mut buffer).await?;
            assert_eq!(&buffer[..count], bytes);
        }
        io::Result::Ok(())
    })
    .unwrap();
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
