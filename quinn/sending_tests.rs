//! Refusals at the time of sending: no datagram is lost, and what is refused is not asked for again.

use super::*;
use ::quinn::udp::EcnCodepoint;
use std::net::{Ipv4Addr, SocketAddr};

/// A call as the kernel sees it: the lengths of the datagrams, and whether they are marked.
type Call = (Vec<usize>, bool);

/// Sends 2500 bytes in segments of 1000 bytes, with a mark, through a kernel that answers each call by `answer`, where 0
/// stands for success. Returns the result, the calls that failed, and those that succeeded.
fn send_batch(
    sending: &Sending,
    mut answer: impl FnMut(&Call) -> i32,
) -> (io::Result<()>, Vec<Call>, Vec<Call>) {
    let transmit = Transmit {
        destination: SocketAddr::from((Ipv4Addr::LOCALHOST, 1)),
        ecn: Some(EcnCodepoint::Ect0),
        contents: &[0; 2500],
        segment_size: Some(1000),
        src_ip: None,
    };
    let (mut failed, mut sent) = (Vec::new(), Vec::new());
    let result = sending.send(&transmit, |transmit| {
        let pieces = transmit.contents.chunks(transmit.segment_size.unwrap_or(usize::MAX));
        let call = (pieces.map(<[u8]>::len).collect(), transmit.ecn.is_some());
        match answer(&call) {
            0 => {
                sent.push(call);
                Ok(())
            }
            error => {
                failed.push(call);
                Err(io::Error::from_raw_os_error(error))
            }
        }
    });
    (result, failed, sent)
}

const BATCH: [usize; 3] = [1000, 1000, 500];

fn singles(is_marked: bool) -> Vec<Call> {
    BATCH.map(|length| (vec![length], is_marked)).into()
}

#[test]
fn segments_that_are_refused_are_sent_one_by_one_with_their_marks() {
    for error in [libc::EIO, libc::EINVAL] {
        let sending = Sending::new(64);
        let refuse_segments = |call: &Call| if call.0.len() > 1 { error } else { 0 };
        let (result, failed, sent) = send_batch(&sending, refuse_segments);
        assert!(result.is_ok());
        assert_eq!(failed, [(BATCH.into(), true)], "one failed call");
        assert_eq!(sent, singles(true));
        assert_eq!(sending.most_segments(), 1);
        // quinn may still have a batch that it has made before.
        let (_, failed, sent) = send_batch(&sending, refuse_segments);
        assert_eq!((failed, sent), (vec![], singles(true)));
    }
}

#[test]
fn a_mark_that_is_refused_is_left_out_and_segments_are_kept() {
    for error in [libc::EIO, libc::EINVAL] {
        let sending = Sending::new(64);
        let refuse_marks = |call: &Call| if call.1 { error } else { 0 };
        let (result, failed, sent) = send_batch(&sending, refuse_marks);
        assert!(result.is_ok());
        assert_eq!(failed, [(BATCH.into(), true), (vec![1000], true)]);
        assert_eq!(sent, singles(false), "no datagram is lost");
        assert_eq!(sending.most_segments(), 64);
        let (_, failed, sent) = send_batch(&sending, refuse_marks);
        assert_eq!((failed, sent), (vec![], vec![(BATCH.into(), false)]));
    }
}

#[test]
fn a_kernel_that_refuses_both_gets_neither() {
    let sending = Sending::new(64);
    let refuse_both = |call: &Call| if call.0.len() > 1 || call.1 { libc::EIO } else { 0 };
    for failures in [2, 1, 0] {
        let (result, failed, sent) = send_batch(&sending, refuse_both);
        assert!(result.is_ok());
        assert_eq!((failed.len(), sent), (failures, singles(false)));
    }
    assert_eq!(sending.most_segments(), 1);
}

/// An error that has another reason than the mark must not turn marks off.
#[test]
fn marks_are_kept_if_the_datagram_is_refused_without_them_too() {
    let sending = Sending::new(1);
    let (result, failed, sent) = send_batch(&sending, |_| libc::EINVAL);
    assert!(result.is_ok(), "the datagrams are lost, and the connection goes on");
    assert_eq!((failed.len(), sent.len()), (6, 0));
    assert_eq!(send_batch(&sending, |_| 0).2, singles(true));
}

#[test]
fn a_datagram_that_is_too_long_takes_no_shorter_one_with_it() {
    let sending = Sending::new(64);
    let (result, _, sent) = send_batch(&sending, |call| if call.0[0] > 500 { libc::EMSGSIZE } else { 0 });
    assert!(result.is_ok());
    assert_eq!(sent, [(vec![500], true)]);
    assert_eq!(sending.most_segments(), 64, "the next route may take them");
}

#[test]
fn only_a_full_socket_is_reported() {
    for error in [libc::EAGAIN, libc::ENETUNREACH, libc::EPERM, libc::ENOBUFS, libc::ECONNREFUSED] {
        let sending = Sending::new(64);
        let (result, ..) = send_batch(&sending, |_| error);
        assert_eq!(result.is_err(), error == libc::EAGAIN, "{error}");
        assert_eq!(sending.most_segments(), 64);
    }
    // Refused as segments, and full after one datagram: quinn passes the whole batch again.
    let sending = Sending::new(64);
    let full = |call: &Call| {
        if call.0.len() > 1 { libc::EIO } else { [0, libc::EAGAIN][usize::from(call.0[0] < 1000)] }
    };
    let (result, _, sent) = send_batch(&sending, full);
    assert_eq!(result.unwrap_err().kind(), io::ErrorKind::WouldBlock);
    assert_eq!(sent.len(), 2);
    assert_eq!(send_batch(&sending, |_| 0).2, singles(true));
}

#[test]
fn an_error_of_an_earlier_datagram_takes_no_other_one_with_it() {
    for error in [libc::ECONNREFUSED, libc::EHOSTUNREACH, libc::EMSGSIZE, libc::ENOPROTOOPT, libc::EOPNOTSUPP]
    {
        for (segments, batch) in [(64, vec![(BATCH.into(), true)]), (1, singles(true))] {
            let sending = Sending::new(segments);
            let mut pending = error;
            let (result, failed, sent) = send_batch(&sending, |_| std::mem::take(&mut pending));
            assert!(result.is_ok());
            assert_eq!((failed.len(), sent), (1, batch));
            // Neither segments nor marks were the reason.
            assert_eq!(sending.most_segments(), segments);
            assert!(send_batch(&sending, |_| 0).2.iter().all(|call| call.1));
        }
    }
}

/// Older kernels report segments that are longer than the route allows by `EINVAL`.
#[test]
fn segments_are_kept_if_only_their_size_is_refused() {
    let sending = Sending::new(64);
    let too_long = |call: &Call| match call.0[..] {
        [_] if call.0[0] > 500 => libc::EMSGSIZE,
        [_] => 0,
        _ => libc::EINVAL,
    };
    let (result, _, sent) = send_batch(&sending, too_long);
    assert!(result.is_ok());
    assert_eq!(sent, [(vec![500], true)]);
    assert_eq!(sending.most_segments(), 64);
    assert_eq!(send_batch(&sending, |_| 0).2, [(BATCH.into(), true)], "the mark is kept as well");
}

#[test]
fn a_socket_that_never_has_room_for_a_batch_does_not_send_its_beginning_forever() {
    let sending = Sending::new(1);
    for _ in 0..3 {
        let mut attempts = 0;
        loop {
            let mut room = 2;
            let (result, _, sent) = send_batch(&sending, |_| {
                let is_full = room == 0;
                room -= i32::from(!is_full);
                if is_full { libc::EAGAIN } else { 0 }
            });
            attempts += 1;
            assert!(attempts < 10, "the batch is sent forever");
            assert_eq!(sent, singles(true)[..2]);
            if result.is_ok() {
                break;
            }
        }
        assert_eq!(attempts, 2);
    }
    // Without any room, nothing is given up.
    for _ in 0..3 {
        assert!(send_batch(&sending, |_| libc::EAGAIN).0.is_err());
    }
}
