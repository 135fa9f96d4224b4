//! Tests of the headers, with a kernel imitated by the test, so that Miri can check it, and with the real kernel.

use super::*;
use std::cell::RefCell;
use std::io;
use std::net::UdpSocket;
#[cfg(target_os = "linux")]
use std::num::NonZeroUsize;

const V4: &str = "192.0.2.7:4321";
const V6: &str = "[2001:db8::7]:4321";

thread_local! {
    /// The datagrams that the kernel has for a receiver: their data, and the sender if it is reported.
    static QUEUE: RefCell<Vec<(Vec<u8>, Option<SocketAddr>)>> = const { RefCell::new(Vec::new()) };
}

fn socket() -> std::fs::File {
    std::fs::File::open("/dev/null").unwrap()
}

/// Imitates recvmmsg(2): it writes only through the pointers in the headers.
unsafe fn imitate_receive(_: BorrowedFd<'_>, headers: &mut [Header]) -> Outcome {
    let queue = QUEUE.take();
    let count = queue.len().min(headers.len());
    for (header, (data, from)) in headers.iter_mut().zip(queue) {
        let message = &mut header.msg_hdr;
        // SAFETY: writes stay within the lengths in the headers.
        unsafe {
            assert_eq!(message.msg_iovlen, 1);
            let piece = &*message.msg_iov;
            let length = data.len().min(piece.iov_len);
            ptr::copy_nonoverlapping(data.as_ptr(), piece.iov_base.cast(), length);
            message.msg_flags = if length < data.len() { libc::MSG_TRUNC } else { 0 };
            header.msg_len = length as _;
            // The whole room may be written.
            ptr::write_bytes(message.msg_control.cast::<u8>(), 0xff, size_of::<ControlBuffer>());
            message.msg_controllen = 0;
            ptr::write_bytes(message.msg_name.cast::<u8>(), 0, message.msg_namelen as usize);
            message.msg_namelen = 0;
            if let Some(from) = from {
                let name = SockAddr::from(from);
                ptr::copy_nonoverlapping(
                    name.as_ptr().cast::<u8>(),
                    message.msg_name.cast(),
                    name.len() as usize,
                );
                message.msg_namelen = name.len();
            }
        }
    }
    if count == 0 { Err(io::ErrorKind::WouldBlock.into()) } else { Ok((count, None)) }
}

/// Imitates sendmmsg(2), into the queue.
unsafe fn imitate_send(_: BorrowedFd<'_>, headers: &mut [Header]) -> Outcome {
    for header in &*headers {
        let message = &header.msg_hdr;
        // SAFETY: reads stay within the lengths in the headers.
        let sent = unsafe {
            let piece = &*message.msg_iov;
            let data = std::slice::from_raw_parts(piece.iov_base.cast::<u8>(), piece.iov_len).to_vec();
            let to = (!message.msg_name.is_null()).then(|| {
                let mut name = SockAddrStorage::zeroed();
                ptr::copy_nonoverlapping(
                    message.msg_name.cast::<u8>(),
                    (&raw mut name).cast(),
                    message.msg_namelen as usize,
                );
                SockAddr::new(name, message.msg_namelen).as_socket().unwrap()
            });
            (data, to)
        };
        QUEUE.with_borrow_mut(|queue| queue.push(sent));
    }
    Ok((headers.len(), None))
}

#[test]
fn each_datagram_is_in_its_place_and_cut_off_to_its_room() {
    let (v4, v6): (SocketAddr, SocketAddr) = (V4.parse().unwrap(), V6.parse().unwrap());
    QUEUE.set(vec![
        (b"four".to_vec(), Some(v4)),
        (Vec::new(), Some(v6)),
        (b"too long a datagram".to_vec(), None),
    ]);
    let (mut memory, mut arrivals) = (vec![0; 8 * 5 + 3], vec![Arrival::NONE; 5]);
    let call = |memory: &mut [u8], arrivals: &mut [Arrival]| {
        receive_by(imitate_receive, socket().as_fd(), memory, 8, arrivals)
    };
    assert_eq!(call(&mut memory, &mut arrivals).unwrap().0, 3);
    assert_eq!(arrivals[0], Arrival { length: 4, from: v4, ..Arrival::NONE });
    assert_eq!(arrivals[1], Arrival { length: 0, from: v6, ..Arrival::NONE });
    assert_eq!(arrivals[2], Arrival { length: 8, is_truncated: true, ..Arrival::NONE });
    assert_eq!(&memory[..4], b"four");
    assert_eq!(&memory[16..24], b"too long");
    assert!(memory[24..].iter().all(|byte| *byte == 0));
    assert_eq!(call(&mut memory, &mut arrivals).unwrap_err().kind(), io::ErrorKind::WouldBlock);
}

/// Imitates a kernel that reports too much of everything.
unsafe fn report_too_much(_: BorrowedFd<'_>, headers: &mut [Header]) -> Outcome {
    for header in &mut *headers {
        header.msg_len = 1000;
        header.msg_hdr.msg_namelen = 1000;
        header.msg_hdr.msg_controllen = 0;
        header.msg_hdr.msg_flags = 0;
    }
    Ok((headers.len() + 7, None))
}

#[test]
fn a_kernel_that_reports_too_much_is_not_trusted() {
    let (mut memory, mut arrivals) = (vec![0; 16], vec![Arrival::NONE; 3]);
    let received = receive_by(report_too_much, socket().as_fd(), &mut memory, 8, &mut arrivals).unwrap();
    assert_eq!(received.0, 2, "as many as there was memory for");
    let most = Arrival { length: 8, ..Arrival::NONE };
    assert_eq!(arrivals, [most, most, Arrival::NONE]);
}

#[test]
fn one_call_never_has_more_datagrams_than_the_maximum() {
    QUEUE.set(vec![(b"x".to_vec(), None); 2 * MOST]);
    let (mut memory, mut arrivals) = (vec![0; 2 * MOST], vec![Arrival::NONE; 2 * MOST]);
    let received = receive_by(imitate_receive, socket().as_fd(), &mut memory, 1, &mut arrivals).unwrap();
    assert_eq!((received.0, arrivals[MOST].length), (MOST, 0));
    QUEUE.take();
    let sent =
        send_by(imitate_send, socket().as_fd(), (0..).map(|_| Transmit { data: b"y", to: None })).unwrap();
    assert_eq!((sent.0, QUEUE.take().len()), (MOST, MOST));
}

#[test]
fn sent_datagrams_carry_their_addresses() {
    let (v4, v6): (SocketAddr, SocketAddr) = (V4.parse().unwrap(), V6.parse().unwrap());
    let datagrams = [
        Transmit { data: b"four", to: Some(v4) },
        Transmit { data: b"", to: None },
        Transmit { data: b"six", to: Some(v6) },
    ];
    assert_eq!(send_by(imitate_send, socket().as_fd(), datagrams.into_iter()).unwrap().0, 3);
    let sent = QUEUE.take();
    assert_eq!(sent, [(b"four".to_vec(), Some(v4)), (Vec::new(), None), (b"six".to_vec(), Some(v6))]);
    assert_eq!(send_by(imitate_send, socket().as_fd(), std::iter::empty()).unwrap().0, 0);
    assert!(QUEUE.take().is_empty());
}

fn pair() -> (UdpSocket, UdpSocket) {
    let (a, b) = (UdpSocket::bind("127.0.0.1:0").unwrap(), UdpSocket::bind("127.0.0.1:0").unwrap());
    a.connect(b.local_addr().unwrap()).unwrap();
    for socket in [&a, &b] {
        socket.set_nonblocking(true).unwrap();
    }
    (a, b)
}

/// The calls of this system, and those that every system has.
const CALLS: [(TransferFn, TransferFn); 2] = [(calls::receive, calls::send), (single::receive, single::send)];

#[test]
#[cfg_attr(miri, ignore = "Miri has no UDP")]
fn many_at_once_and_one_by_one_have_the_same_results() {
    for (receive, send) in CALLS {
        let (a, b) = pair();
        let (mut memory, mut arrivals) = (vec![0; 8 * MOST], vec![Arrival::NONE; MOST]);
        let mut call = || receive_by(receive, b.as_fd(), &mut memory, 8, &mut arrivals);
        assert_eq!(call().unwrap_err().raw_os_error(), Some(libc::EAGAIN));
        let to = b.local_addr().unwrap();
        let datagrams = [
            Transmit { data: b"one", to: None },
            Transmit { data: b"", to: None },
            Transmit { data: b"much too long", to: Some(to) },
        ];
        assert_eq!(send_by(send, a.as_fd(), datagrams.into_iter()).unwrap().0, 3);
        assert_eq!(call().unwrap().0, 3);
        let from = a.local_addr().unwrap();
        assert_eq!(arrivals[0], Arrival { length: 3, from, ..Arrival::NONE });
        assert_eq!(arrivals[1], Arrival { length: 0, from, ..Arrival::NONE });
        assert_eq!(arrivals[2], Arrival { length: 8, from, is_truncated: true, ..Arrival::NONE });
        assert_eq!(&memory[16..24], b"much too");
        // The second datagram is too long. The first is sent all the same, and then the second is the first of the next
        // call.
        let long = vec![0; 70_000];
        let datagrams = [Transmit { data: b"fits", to: None }, Transmit { data: &long, to: None }];
        assert_eq!(send_by(send, a.as_fd(), datagrams.into_iter()).unwrap().0, 1);
        let error = send_by(send, a.as_fd(), datagrams.into_iter().skip(1)).unwrap_err();
        assert_eq!(error.raw_os_error(), Some(libc::EMSGSIZE));
    }
}

#[test]
#[cfg_attr(miri, ignore = "Miri has no UDP")]
fn a_refusal_after_datagrams_is_not_lost() {
    for (receive, _) in CALLS {
        let (a, b) = pair();
        let (mut memory, mut arrivals) = (vec![0; 8], vec![Arrival::NONE; 8]);
        b.send_to(b"x", a.local_addr().unwrap()).unwrap();
        drop(b);
        a.send(b"is anybody there?").unwrap();
        let mut call = || receive_by(receive, a.as_fd(), &mut memory, 1, &mut arrivals);
        // The order depends on the system, but both the datagram and the refusal are reported, once each.
        let mut results = Vec::new();
        for _ in 0..3 {
            match call() {
                Ok((count, error)) => {
                    assert_eq!(count, 1);
                    results.push(None);
                    results.extend(error.map(|error| error.raw_os_error()));
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => results.push(error.raw_os_error()),
            }
        }
        results.sort_unstable();
        assert_eq!(results, [None, Some(libc::ECONNREFUSED)]);
    }
}

#[test]
#[cfg_attr(miri, ignore = "Miri has no UDP")]
fn a_refusal_during_sending_ends_the_call() {
    for (is_single, send) in [(false, CALLS[0].1), (true, CALLS[1].1)] {
        let (a, b) = pair();
        drop(b);
        // Over loopback, the answer to the first datagram arrives before the second is sent.
        let datagrams = [Transmit { data: b"hello?", to: None }; 3];
        let (count, error) = send_by(send, a.as_fd(), datagrams.into_iter()).unwrap();
        assert_eq!(count, 1);
        // Linux's own call does not report the error.
        if is_single {
            assert_eq!(error.unwrap().kind(), io::ErrorKind::ConnectionRefused);
        }
    }
}

/// The options for which a socket receives control messages with each datagram: levels, options and values, of ip(7),
/// ipv6(7), socket(7), and the kernel's Documentation/networking/timestamping.rst.
#[cfg(target_os = "linux")]
const ANCILLARY: [(libc::c_int, libc::c_int, libc::c_int); 16] = {
    const SO_TIMESTAMPNS: libc::c_int = 35;
    const SO_TIMESTAMPING: libc::c_int = 37;
    const SO_RXQ_OVFL: libc::c_int = 40;
    const SO_RCVMARK: libc::c_int = 75;
    const SO_RCVPRIORITY: libc::c_int = 82;
    // The time stamps of reception, by software and hardware, with the number of the device.
    const ALL_STAMPS: libc::c_int = 1 << 2 | 1 << 3 | 1 << 4 | 1 << 6 | 1 << 13;
    [
        (libc::SOL_SOCKET, SO_TIMESTAMPING, ALL_STAMPS),
        (libc::SOL_SOCKET, SO_TIMESTAMPNS, 1),
        (libc::SOL_SOCKET, SO_RXQ_OVFL, 1),
        (libc::SOL_SOCKET, SO_RCVMARK, 1),
        (libc::SOL_SOCKET, SO_RCVPRIORITY, 1),
        (libc::IPPROTO_IP, libc::IP_PKTINFO, 1),
        (libc::IPPROTO_IP, libc::IP_RECVTTL, 1),
        (libc::IPPROTO_IP, libc::IP_RECVTOS, 1),
        (libc::IPPROTO_IP, libc::IP_RECVORIGDSTADDR, 1),
        (libc::IPPROTO_IP, libc::IP_CHECKSUM, 1),
        (libc::IPPROTO_IP, libc::IP_RECVOPTS, 1),
        (libc::IPPROTO_IPV6, libc::IPV6_RECVPKTINFO, 1),
        (libc::IPPROTO_IPV6, libc::IPV6_RECVHOPLIMIT, 1),
        (libc::IPPROTO_IPV6, libc::IPV6_RECVTCLASS, 1),
        (libc::IPPROTO_IPV6, libc::IPV6_RECVORIGDSTADDR, 1),
        (libc::IPPROTO_IPV6, libc::IPV6_FLOWINFO, 1),
    ]
};

/// Receives twenty segments that were sent at once, and returns the lengths and the sizes of segments.
#[cfg(target_os = "linux")]
fn coalesced(
    address: &str,
    asked_for: &[(libc::c_int, libc::c_int, libc::c_int)],
) -> Vec<(usize, Option<usize>)> {
    let (a, b) = (UdpSocket::bind(address).unwrap(), UdpSocket::bind(address).unwrap());
    b.set_nonblocking(true).unwrap();
    set_coalescing(&b, true).unwrap();
    for (level, option, value) in asked_for {
        // SAFETY: the option is one number, which is only read. This kernel refuses options that it does not know.
        unsafe {
            let length = size_of_val(value) as libc::socklen_t;
            let fd = std::os::fd::AsRawFd::as_raw_fd(&b);
            libc::setsockopt(fd, *level, *option, ptr::from_ref(value).cast(), length);
        }
    }
    let data = [7; 20 * 100];
    assert_eq!(send_segmented(&a, &data, 100, Some(b.local_addr().unwrap())).unwrap(), 2000);
    let (mut memory, mut arrivals) = (vec![0; 4 * 4000], vec![Arrival::NONE; 4]);
    let (count, error) = receive(&b, &mut memory, 4000, &mut arrivals).unwrap();
    assert!(error.is_none());
    arrivals[..count]
        .iter()
        .map(|arrival| (arrival.length, arrival.segment_size.map(NonZeroUsize::get)))
        .collect()
}

#[test]
#[cfg(target_os = "linux")]
#[cfg_attr(miri, ignore = "Miri has no UDP")]
fn the_size_of_segments_is_found_with_any_other_control_messages() {
    for address in ["127.0.0.1:0", "[::1]:0"] {
        if UdpSocket::bind(address).is_err() {
            continue;
        }
        for option in ANCILLARY {
            assert_eq!(coalesced(address, &[option]), [(2000, Some(100))], "{option:?} on {address}");
        }
        assert_eq!(coalesced(address, &ANCILLARY), [(2000, Some(100))], "all on {address}");
    }
}

/// Imitates a kernel that has no room left to report the size of segments.
#[cfg(target_os = "linux")]
unsafe fn cut_off(_: BorrowedFd<'_>, headers: &mut [Header]) -> Outcome {
    for header in &mut *headers {
        header.msg_len = 8;
        header.msg_hdr.msg_namelen = 0;
        header.msg_hdr.msg_controllen = 0;
        header.msg_hdr.msg_flags = libc::MSG_CTRUNC;
    }
    Ok((headers.len(), None))
}

#[test]
#[cfg(target_os = "linux")]
#[cfg_attr(miri, ignore = "Miri has no UDP")]
fn a_datagram_that_cannot_be_taken_apart_is_reported_as_lost() {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    for on in [false, true] {
        set_coalescing(&socket, on).unwrap();
        let (mut memory, mut arrivals) = ([0; 8], [Arrival::NONE]);
        receive_by(cut_off, socket.as_fd(), &mut memory, 8, &mut arrivals).unwrap();
        // Without coalescing it is one datagram, even if other control messages were cut off.
        assert_eq!(arrivals, [Arrival { length: 8, is_unclear: on, ..Arrival::NONE }]);
    }
}
