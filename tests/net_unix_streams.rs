//! Unix streams, in what is particular to them: the credentials of the peer, conversions, halves, moves between
//! threads, and descriptors that are sent along. What they share with other streams is in `stream_laws.rs`.
#![cfg(not(miri))] // Files, children, signals.
#![expect(unsafe_code, reason = "descriptors are sent; signal, in a process of its own")]

mod net_support;

use futures_lite::future::{try_zip, zip};
use net_support::place::Place;
use net_support::{in_child, poll_once, run, watchdog};
use runtime::io::{AsyncReadExt, AsyncWriteExt, Interest};
use runtime::net::unix;
use runtime::net::{UnixListener, UnixStream};
use runtime::task::yield_now;
use std::io::{self, ErrorKind, IoSlice, Read, Write};
use std::net::Shutdown;
#[cfg(target_os = "linux")]
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::fs::MetadataExt;
use std::os::unix::net;
use std::process::Command;
use std::thread;

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
fn the_kernel_tells_who_the_peer_is() {
    const PATH: &str = "RUNTIME_TEST_PEER_CONNECTS_TO";
    // This is the other process: it connects, and stays until the connection is closed.
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
        // At both ends of a pair, the peer is the process that made it.
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
        // The sockets are blocking, as std makes them.
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
        // The client was registered, was converted, and is registered again.
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
        // The user makes the call.
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
fn a_shutdown_wakes_the_waiting_tasks() {
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
        // No half that was dropped before has ended the stream.
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

/// A read ends behind the bytes that came with a descriptor, although there are more: so it has not emptied the
/// stream.
#[cfg(target_os = "linux")]
#[test]
fn descriptors_that_were_not_asked_for_hide_nothing_that_follows() {
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

/// A read that stops where another process has written has not emptied the stream either, if the socket is told who
/// writes.
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
