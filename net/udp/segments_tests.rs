//! Tests of segments that the system refuses to cut up.

use super::*;
use crate::net::datagram::Packets;

pub(super) fn pair() -> (UdpSocket, std::net::UdpSocket) {
    let ours = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    let other = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    other.set_nonblocking(true).unwrap();
    ours.connect(other.local_addr().unwrap()).unwrap();
    (UdpSocket::from_std(ours).unwrap(), other)
}

pub(super) fn lengths(socket: &std::net::UdpSocket) -> Vec<usize> {
    let mut buffer = vec![0; 70_000];
    std::iter::from_fn(|| socket.recv(&mut buffer).ok()).collect()
}

#[test]
#[cfg_attr(miri, ignore = "Miri has no UDP")]
fn refused_segments_are_sent_one_by_one() {
    let data = vec![1; 2500];
    for refusal in [libc::EIO, libc::ENOPROTOOPT] {
        let (ours, other) = pair();
        assert!(ours.io.get().offload.is_refusal(&io::Error::from_raw_os_error(refusal)));
        assert!(!ours.io.get().offload.is_usable(|| panic!("it is known")));
        assert_eq!(ours.try_send_segments(&data, 1000).unwrap(), 2500);
        assert_eq!(lengths(&other), [1000, 1000, 500]);
        // This is more data than one call sends.
        assert_eq!(ours.try_send_segments(&data, 10).unwrap(), 320);
        assert_eq!(lengths(&other), [10; 32]);
        assert_eq!(ours.try_send_segments(&[], 10).unwrap(), 0);
        assert_eq!(ours.try_send_segments(&data, 2500).unwrap(), 2500);
        assert_eq!(ours.try_send_segments(&data, usize::MAX).unwrap(), 2500);
        assert_eq!(lengths(&other), [2500, 2500]);
    }
}

#[test]
#[cfg_attr(miri, ignore = "Miri has no UDP")]
fn a_left_over_error_is_returned_once() {
    let (ours, _other) = pair();
    let refused = io::Error::from_raw_os_error(libc::ECONNREFUSED);
    assert_eq!(ours.io.get().left_over.conclude(Ok((3, Some(refused)))).unwrap(), 3);
    let mut batch = super::super::Batch::new(1, 1);
    assert_eq!(ours.try_recv_many(&mut batch).unwrap_err().raw_os_error(), Some(libc::ECONNREFUSED));
    assert_eq!(ours.try_recv_many(&mut batch).unwrap_err().kind(), io::ErrorKind::WouldBlock);
    assert!(UdpFd::of_std(ours.into_std().unwrap()).left_over.check().is_ok());
}

#[test]
#[cfg_attr(miri, ignore = "Miri has no UDP")]
fn a_received_datagram_has_no_segments_if_it_cannot_be_taken_apart() {
    let (ours, other) = pair();
    other.connect(ours.local_addr().unwrap()).unwrap();
    other.send(b"maybe several").unwrap();
    let mut batch = super::super::Batch::new(1, 100);
    while ours.try_recv_many(&mut batch).is_err() {}
    let segments = |batch: &super::super::Batch| {
        let received = batch.get(0).unwrap();
        (received.is_truncated(), received.segments().count())
    };
    assert_eq!(segments(&batch), (false, 1));
    batch.set_unclear(0);
    assert_eq!(segments(&batch), (true, 0));
}
