//! No write to a socket raises `SIGPIPE`, whichever call makes it, in a program that does not ignore the signal: one
//! that is not written in Rust, or has restored the default action.
//!
//! The streams themselves are in `net_faults.rs`, `net_unix_streams.rs` and `io_copy.rs`. A pipe does raise it, as
//! documented: `net_pipe.rs`.
#![cfg(not(miri))] // Signals.
#![expect(unsafe_code, reason = "signal, in a process of its own")]

mod net_support;

use net_support::{half_std_pair, in_child, run, until};
use runtime::io::{AsyncReadExt, AsyncWriteExt, BufReader, copy, copy_buf, repeat, send_file, splice};
use runtime::net::udp::Outgoing;
use runtime::net::{UdpSocket, UnixDatagram, UnixStream};
use runtime::spawn;
use std::fs::File;
use std::io::{self, ErrorKind};
use std::net::Shutdown;

/// Runs `body` in a process of its own, in which the signal is deadly.
fn deadly(name: &str, body: impl AsyncFnOnce() -> io::Result<()>) {
    in_child(name, || {
        // SAFETY: the default action is no function of ours.
        unsafe { libc::signal(libc::SIGPIPE, libc::SIG_DFL) };
        run(body()).unwrap();
    });
}

/// Checks the results: each is a count, or an error that says why nothing was sent.
fn survived<T>(results: &[io::Result<T>]) {
    for result in results {
        let kind = result.as_ref().err().map(io::Error::kind);
        assert!(kind.is_none_or(|kind| kind != ErrorKind::WouldBlock && kind != ErrorKind::InvalidInput));
    }
}

#[test]
fn datagrams_to_nobody_raise_no_signal() {
    deadly("datagrams_to_nobody_raise_no_signal", async || {
        let (one, other) = UnixDatagram::pair()?;
        let path = std::env::temp_dir().join(format!("runtime-sigpipe-{}", std::process::id()));
        drop(other);
        survived(&[one.send(b"x").await, one.try_send(b"x"), one.try_send_to(b"x", &path)]);
        let (one, other) = UnixDatagram::pair()?;
        other.shutdown(Shutdown::Read)?;
        survived(&[one.send(b"x").await, one.try_send(b"x")]);
        let (one, _other) = UnixDatagram::pair()?;
        one.shutdown(Shutdown::Write)?;
        let results = [one.send(b"x").await, one.try_send(b"x")];
        assert!(results.iter().all(Result::is_err));
        survived(&results);

        let socket = UdpSocket::bind("127.0.0.1:0").await?;
        let gone = std::net::UdpSocket::bind("127.0.0.1:0")?.local_addr()?;
        socket.connect(gone).await?;
        let send_all = async || {
            survived(&[
                socket.send(b"x").await,
                socket.try_send(b"x"),
                socket.send_to(b"x", gone).await,
                socket.send_many([Outgoing::new(b"x"), Outgoing::new(b"y")]).await,
                socket.send_segments(b"xyz", 1).await,
            ]);
        };
        send_all().await;
        socket2::SockRef::from(&socket).shutdown(Shutdown::Both)?;
        send_all().await;
        Ok(())
    });
}

#[test]
fn copies_and_files_to_a_peer_that_has_gone_raise_no_signal() {
    deadly("copies_and_files_to_a_peer_that_has_gone_raise_no_signal", async || {
        let file = File::open("Cargo.lock")?;
        let source = || repeat(7).take(1 << 20);
        for is_unix in [false, true] {
            for way in 0..4 {
                let (mut tcp, other) = half_std_pair()?;
                let (mut unix, far) = UnixStream::pair()?;
                if is_unix {
                    drop(far);
                } else {
                    drop(other);
                    // The peer answers the first write with a reset, and the second finds a broken pipe.
                    until(|| tcp.try_write(b"x").is_err_and(|error| error.kind() == ErrorKind::BrokenPipe))
                        .await;
                }
                let error = match (way, is_unix) {
                    (0, false) => copy(source(), &mut tcp).await.unwrap_err(),
                    (0, true) => copy(source(), &mut unix).await.unwrap_err(),
                    (1, false) => copy_buf(&mut BufReader::new(source()), &mut tcp).await.unwrap_err(),
                    (1, true) => copy_buf(&mut BufReader::new(source()), &mut unix).await.unwrap_err(),
                    (2, false) => send_file(&file, 0, 10_000, &mut tcp).await.unwrap_err(),
                    (2, true) => send_file(&file, 0, 10_000, &mut unix).await.unwrap_err(),
                    (_, false) => tcp.into_split().1.write_all(b"x").await.unwrap_err(),
                    (_, true) => unix.into_split().1.write_all(b"x").await.unwrap_err(),
                };
                assert_eq!(error.kind(), ErrorKind::BrokenPipe, "way {way}, unix: {is_unix}");
            }
        }
        Ok(())
    });
}

/// A bulk of data comes from one socket and goes to another, whose peer is closed meanwhile. splice(2) could be used
/// there, and cannot be told to raise no signal.
#[test]
fn a_bulk_between_unix_sockets_raises_no_signal() {
    deadly("a_bulk_between_unix_sockets_raises_no_signal", async || {
        let ((mut client, near), (far, mut server)) = (UnixStream::pair()?, UnixStream::pair()?);
        let copying = spawn(async move { splice(near, far).await });
        let writing = spawn(async move { while client.write_all(&vec![7; 100_000]).await.is_ok() {} });
        server.read_exact(&mut vec![0; 1 << 20]).await?;
        drop(server);
        let error = copying.await.unwrap().unwrap_err();
        assert!(matches!(error.kind(), ErrorKind::BrokenPipe | ErrorKind::ConnectionReset), "{error}");
        writing.await.unwrap();
        Ok(())
    });
}
