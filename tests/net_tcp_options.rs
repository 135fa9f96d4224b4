//! The options of TCP sockets, and sockets that come from std or go to it.

mod net_support;

use net_support::{half_std_pair, pair, poll_once, run};
use runtime::io::AsyncReadExt;
use runtime::net::{TcpListener, TcpSocket, TcpStream};
use runtime::time;
use std::io::{self, ErrorKind, Read, Write};
use std::time::Duration;

#[test]
fn a_blocking_socket_of_stds_does_not_stop_the_loop() {
    run(async {
        let (ours, other) = half_std_pair()?;
        let blocking = ours.into_std()?;
        blocking.set_nonblocking(false)?;
        let mut ours = TcpStream::try_from(blocking)?;
        let started = std::time::Instant::now();
        assert!(time::timeout(Duration::from_millis(5), ours.read(&mut [0])).await.is_err());
        assert!(started.elapsed() >= Duration::from_millis(5));
        drop(other);

        let listener = TcpListener::from_std(std::net::TcpListener::bind("127.0.0.1:0")?)?;
        assert!(time::timeout(Duration::from_millis(5), listener.accept()).await.is_err());
        io::Result::Ok(())
    })
    .unwrap();
}

#[test]
fn to_std_and_back_nothing_is_lost() {
    run(async {
        let (mut ours, mut other) = half_std_pair()?;
        for round in 0..3 {
            // The stream is registered, and has stored a waker.
            assert!(poll_once(ours.read(&mut [0; 8])).await.is_none());
            let mut std = ours.into_std()?;
            assert_eq!(std.read(&mut [0]).unwrap_err().kind(), ErrorKind::WouldBlock, "round {round}");
            std.set_nonblocking(false)?;
            other.write_all(b"one")?;
            let mut buffer = [0; 2];
            std.read_exact(&mut buffer)?;
            ours = std.try_into()?;
            assert_eq!(ours.read(&mut [0; 8]).await?, 1);
        }
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        assert!(poll_once(listener.accept()).await.is_none());
        let listener = TcpListener::from_std(listener.into_std()?)?;
        let _client = TcpStream::connect(listener.local_addr()?).await?;
        listener.accept().await?;
        io::Result::Ok(())
    })
    .unwrap();
}

#[test]
#[cfg_attr(miri, ignore = "it has no such options")]
fn options_are_what_they_were_set_to() {
    run(async {
        let (a, mut b) = pair().await?;
        assert!(!a.nodelay()?);
        a.set_nodelay(true)?;
        assert!(a.nodelay()?);
        a.set_ttl(17)?;
        assert_eq!(a.ttl()?, 17);
        assert_eq!(a.keepalive()?, None);
        a.set_keepalive(Some(Duration::from_millis(1500)))?;
        assert_eq!(a.keepalive()?, Some(Duration::from_secs(2)), "rounded up");
        assert_eq!(a.set_keepalive(Some(Duration::ZERO)).unwrap_err().raw_os_error(), Some(libc::EINVAL));
        a.set_keepalive(None)?;
        assert_eq!(a.keepalive()?, None);
        assert_eq!(a.linger()?, None);
        a.set_linger(Some(Duration::from_millis(10)))?;
        assert_eq!(a.linger()?, Some(Duration::from_secs(1)), "rounded up, since zero means a reset");
        a.set_linger(Some(Duration::ZERO))?;
        assert_eq!(a.linger()?, Some(Duration::ZERO));
        assert!(a.take_error()?.is_none());
        drop(a);
        assert_eq!(b.read(&mut [0]).await.unwrap_err().kind(), ErrorKind::ConnectionReset);
        io::Result::Ok(())
    })
    .unwrap();
}

/// The systems count in C's ints, and some of these are -1 there, which means something else altogether.
#[test]
#[cfg_attr(miri, ignore = "it has no such options")]
fn values_that_the_system_cannot_count_are_limited_or_refused() {
    run(async {
        let (a, _b) = pair().await?;
        let (second, socket) = (Duration::from_secs(1), TcpSocket::new_v4()?);
        // It saturates, and above all it is not zero, which would reset the connection.
        for long in [
            second * (1 << 15),
            second * (1 << 31),
            second * u32::MAX,
            Duration::from_secs(1 << 32),
            Duration::MAX,
        ] {
            a.set_linger(Some(long))?;
            assert!(a.linger()?.unwrap() >= second * 300, "{long:?}: {:?}", a.linger()?);
            socket.set_linger(Some(long))?;
            assert_eq!(socket.linger()?, a.linger()?);
        }
        if cfg!(target_os = "linux") {
            a.set_linger(Some(second * i32::MAX as u32))?;
            assert_eq!(a.linger()?, Some(second * i32::MAX as u32));
        }
        a.set_linger(None)?;
        assert_eq!(a.linger()?, None);

        for long in [second * 40_000, second * (1 << 31), Duration::from_secs(1 << 32), Duration::MAX] {
            for result in [
                a.set_keepalive(Some(long)),
                a.set_keepalive_interval(long),
                socket.set_keepalive_idle(long),
                socket.set_keepalive_interval(long),
            ] {
                if cfg!(target_os = "linux") {
                    assert_eq!(result.unwrap_err().kind(), ErrorKind::InvalidInput, "{long:?}");
                }
            }
        }
        for count in [1 << 31, u32::MAX] {
            assert!(socket.set_keepalive_count(count).is_err() || socket.keepalive_count()? > 100);
        }

        let before = (a.ttl()?, socket.tos_v4()?);
        for large in [256, 1 << 31, (1 << 31) + 64, u32::MAX] {
            for result in [a.set_ttl(large), socket.set_tos_v4(large), socket.set_tclass_v6(large)] {
                assert_eq!(result.unwrap_err().kind(), ErrorKind::InvalidInput, "{large}");
            }
        }
        assert_eq!((a.ttl()?, socket.tos_v4()?), before);
        a.set_ttl(255)?;
        socket.set_tos_v4(0xfc)?;
        assert_eq!((a.ttl()?, socket.tos_v4()?), (255, 0xfc));

        // No system allows so large a buffer, and Linux reports no error.
        for size in [1 << 31, u32::MAX] {
            if socket.set_send_buffer_size(size).and(socket.set_recv_buffer_size(size)).is_ok() {
                assert!(socket.send_buffer_size()? >= 4096 && socket.recv_buffer_size()? >= 4096);
            }
        }
        socket.bind("127.0.0.1:0".parse().unwrap())?;
        let listener = socket.listen(u32::MAX)?;
        for large in [256, u32::MAX] {
            assert_eq!(listener.set_ttl(large).unwrap_err().kind(), ErrorKind::InvalidInput);
        }
        let address = listener.local_addr()?;
        // The queue has room for these.
        let _clients = [std::net::TcpStream::connect(address)?, std::net::TcpStream::connect(address)?];
        listener.accept().await?;
        io::Result::Ok(())
    })
    .unwrap();
}
