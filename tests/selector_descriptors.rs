//! Reports of the selectors about sockets, pipes, terminals and devices.
#![expect(unsafe_code, reason = "terminals, and an eventfd")]

mod common;

use common::selectors::{
    BOTH, READ, Seen, WRITE, Watch, checked, errno, is_emulated, laws, only, owned, pair, tcp_pair,
};
use runtime::selector::Kind;
use std::fs::File;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::thread;
use std::time::Duration;

laws! {
    a_listener_and_a_connection
    half_a_close
    a_reset
    a_hang_up_is_reported_whatever_the_interest_is
    a_hang_up_that_nobody_reads
    a_pipe
    a_terminal
    a_device_that_is_always_ready
    an_eventfd
}

// Sockets.

fn a_listener_and_a_connection(kind: Kind) {
    let mut watch = Watch::new(kind);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    watch.register(&listener, 1, READ);
    watch.is_quiet();
    let stream = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    assert_eq!(watch.until(1), Seen::READABLE);
    let (mut accepted, _) = listener.accept().unwrap();
    watch.is_quiet();
    watch.register(&stream, 2, BOTH);
    assert_eq!(watch.until(2), Seen::WRITABLE);
    accepted.write_all(b"x").unwrap();
    watch.selector.modify(&stream, 2, READ).unwrap();
    assert_eq!(watch.until(2), Seen::READABLE);
}

fn half_a_close(kind: Kind) {
    let mut watch = Watch::new(kind);
    let (mut one, mut other) = tcp_pair();
    other.write_all(b"last words").unwrap();
    other.shutdown(Shutdown::Write).unwrap();
    watch.register(&one, 1, READ);
    // The data and the end may arrive apart.
    while !watch.until(1).read_closed {
        thread::sleep(Duration::from_millis(1));
    }
    watch.selector.modify(&one, 1, BOTH).unwrap();
    let seen = watch.until(1);
    assert!(seen.readable && seen.writable && (seen.read_closed || is_emulated(kind)), "{seen:?}");
    assert!(!seen.write_closed, "the other half is open");
    let mut words = String::new();
    one.read_to_string(&mut words).unwrap();
    assert_eq!(words, "last words");
    one.write_all(b"heard").unwrap();
}

fn a_reset(kind: Kind) {
    for interest in [READ, WRITE, BOTH] {
        let mut watch = Watch::new(kind);
        let (mut one, other) = tcp_pair();
        while one.write(&[0; 65536]).is_ok() {}
        watch.register(&one, 1, interest);
        watch.now();
        // Because of the unread data, the close resets the connection.
        drop(other);
        let seen = watch.until(1);
        assert!(seen.readable || !interest.is_readable(), "{seen:?}");
        assert!(seen.writable || !interest.is_writable(), "{seen:?}");
        assert!(seen.read_closed || seen.write_closed, "{seen:?}");
        let result = one.read(&mut [0; 16]);
        if is_emulated(kind) {
            assert!(!matches!(result, Ok(1..)));
        } else {
            assert_eq!(result.unwrap_err().kind(), ErrorKind::ConnectionReset);
        }
    }
}

fn a_hang_up_is_reported_whatever_the_interest_is(kind: Kind) {
    for interest in [READ, WRITE, BOTH] {
        let mut watch = Watch::new(kind);
        let (one, other) = pair();
        while (&one).write(&[0; 4096]).is_ok() {}
        watch.register(&one, 1, interest);
        watch.is_quiet();
        drop(other);
        let seen = watch.until(1);
        assert!(seen.readable || !interest.is_readable(), "{seen:?}");
        assert!(seen.writable || !interest.is_writable(), "{seen:?}");
    }
}

fn a_hang_up_that_nobody_reads(kind: Kind) {
    let mut watch = Watch::new(kind);
    let (one, other) = pair();
    watch.register(&one, 1, READ);
    drop(other);
    let seen = watch.until(1);
    assert!(seen.readable && seen.read_closed, "{seen:?}");
    // A level-triggered selector reports it again and again, as long as it is of interest…
    for _ in 0..3 {
        assert_eq!(watch.now().contains_key(&1), !kind.is_edge());
    }
    // …and a descriptor that is no longer of interest is removed.
    watch.selector.deregister(&one).unwrap();
    watch.is_quiet();
}

// Other descriptors.

fn a_pipe(kind: Kind) {
    let mut watch = Watch::new(kind);
    let (reader, mut writer) = io::pipe().unwrap();
    watch.register(&reader, 1, READ);
    watch.is_quiet();
    writer.write_all(b"x").unwrap();
    assert_eq!(watch.until(1), Seen::READABLE);
    assert_eq!((&reader).read(&mut [0; 16]).unwrap(), 1);
    watch.is_quiet();
    drop(writer);
    let seen = watch.until(1);
    assert!(seen.readable && seen.read_closed, "{seen:?}");
    assert_eq!((&reader).read(&mut [0; 16]).unwrap(), 0);
    watch.selector.deregister(&reader).unwrap();

    let (reader, writer) = io::pipe().unwrap();
    watch.register(&writer, 2, WRITE);
    assert_eq!(watch.until(2), Seen::WRITABLE);
    drop(reader);
    let seen = watch.until(2);
    assert!(seen.writable && seen.write_closed, "{seen:?}");
    assert_eq!((&writer).write(b"x").unwrap_err().kind(), ErrorKind::BrokenPipe);
    // The reader is closed before the writer is registered.
    watch.selector.deregister(&writer).unwrap();
    watch.register(&writer, 3, WRITE);
    let seen = watch.until(3);
    assert!(seen.writable && seen.write_closed, "{seen:?}");
}

fn a_terminal(kind: Kind) {
    let mut watch = Watch::new(kind);
    let (mut master, mut slave) = (-1, -1);
    // SAFETY: the call writes two numbers, and takes the nulls for no name, no modes and no size.
    checked(unsafe {
        libc::openpty(
            &mut master,
            &mut slave,
            std::ptr::null_mut(),
            std::ptr::null_mut(),
            std::ptr::null_mut(),
        )
    });
    let (mut master, mut slave) = (owned(master), owned(slave));
    watch.register(&master, 1, READ);
    watch.register(&slave, 2, READ);
    watch.is_quiet();
    slave.write_all(b"from within").unwrap();
    assert_eq!(watch.until(1), Seen::READABLE);
    let mut buffer = [0; 64];
    assert_eq!(master.read(&mut buffer).unwrap(), 11);
    // The person types a line, which the terminal also echoes.
    master.write_all(b"typed\n").unwrap();
    assert_eq!(watch.until_among(2), Seen::READABLE);
    assert_eq!(slave.read(&mut buffer).unwrap(), 6);
}

fn a_device_that_is_always_ready(kind: Kind) {
    let mut watch = Watch::new(kind);
    let null = File::options().read(true).write(true).open("/dev/null").unwrap();
    let result = watch.selector.register(&null, 1, BOTH);
    match kind {
        Kind::Epoll | Kind::EpollLevel => assert_eq!(errno(result), Some(libc::EPERM)),
        Kind::Poll | Kind::Select => {
            result.unwrap();
            for _ in 0..3 {
                assert_eq!(watch.now(), only(1, Seen { readable: true, ..Seen::WRITABLE }));
            }
        }
        // Systems differ; whether the device is accepted or not, no event is invented.
        _ => assert_eq!(result.is_ok(), watch.selector.deregister(&null).is_ok()),
    }
}

fn an_eventfd(kind: Kind) {
    #[cfg(any(target_os = "linux", target_os = "android"))]
    {
        let mut watch = Watch::new(kind);
        // SAFETY: numbers go in and a number comes out.
        let mut eventfd = owned(unsafe { libc::eventfd(0, libc::EFD_CLOEXEC | libc::EFD_NONBLOCK) });
        watch.register(&eventfd, 1, READ);
        for _ in 0..3 {
            watch.is_quiet();
            eventfd.write_all(&1u64.to_ne_bytes()).unwrap();
            assert_eq!(watch.until(1), Seen::READABLE);
            eventfd.read_exact(&mut [0; 8]).unwrap();
        }
    }
    #[cfg(not(any(target_os = "linux", target_os = "android")))]
    assert!(kind.is_available());
}
