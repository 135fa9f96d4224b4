//! Errors of a socket that has been asked for datagrams. Some of them concern an earlier datagram that was sent: a
//! router or the peer has answered that it was too long or not wanted. The kernel reports each of them once, in the
//! place of a datagram, so the next call may succeed. This file does not know how datagrams are received.

use std::io;

/// The maximum number of calls for one poll. The kernel keeps one such error at a time, so several in a row are rare,
/// and an error that comes back each time is no longer about a datagram.
const MOST_CALLS: usize = 8;

/// Makes a call that receives datagrams, and repeats it after an error that concerns an earlier datagram.
///
/// # Errors
///
/// Returns the error of the last call, if it is [`WouldBlock`](io::ErrorKind::WouldBlock), or if it remains.
pub(super) fn skip_errors(mut call: impl FnMut() -> io::Result<usize>) -> io::Result<usize> {
    for _ in 1..MOST_CALLS {
        match call() {
            Err(error) if may_pass(&error) => {}
            result => return result,
        }
    }
    call().map_err(|error| match error.kind() {
        // quinn ignores this kind and receives again at once, forever.
        io::ErrorKind::ConnectionReset => io::Error::other(error),
        _ => error,
    })
}

/// Returns `true` for an error that another call may not meet.
fn may_pass(error: &io::Error) -> bool {
    concerns_an_earlier_datagram(error) || matches!(error.raw_os_error(), Some(libc::ENOBUFS | libc::ENOMEM))
}

/// Returns `true` for the errors that an ICMP message causes: see udp(7), and the table in `net/ipv4/icmp.c` of Linux.
pub(super) fn concerns_an_earlier_datagram(error: &io::Error) -> bool {
    matches!(
        error.raw_os_error(),
        Some(
            libc::EACCES
                | libc::ECONNREFUSED
                | libc::ECONNRESET
                | libc::EHOSTDOWN
                | libc::EHOSTUNREACH
                | libc::EMSGSIZE
                | libc::ENETDOWN
                | libc::ENETUNREACH
                | libc::ENOPROTOOPT
                | libc::EOPNOTSUPP
                | libc::EPERM
                | libc::EPROTO
                | libc::ETIMEDOUT
        )
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Receives from a socket that gives these errors in turn, the last one forever, where 0 stands for a datagram.
    /// Returns the result, and the number of calls.
    fn receive(errors: &[i32]) -> (io::Result<usize>, usize) {
        let mut calls = 0;
        let result = skip_errors(|| {
            let error = errors[calls.min(errors.len() - 1)];
            calls += 1;
            if error == 0 { Ok(1) } else { Err(io::Error::from_raw_os_error(error)) }
        });
        (result, calls)
    }

    #[test]
    fn what_an_earlier_datagram_has_caused_does_not_keep_the_next_ones_back() {
        let (result, calls) = receive(&[libc::EMSGSIZE, libc::ECONNREFUSED, libc::EHOSTUNREACH, 0]);
        assert_eq!((result.unwrap(), calls), (1, 4));
        let (result, calls) = receive(&[libc::EMSGSIZE, libc::EAGAIN]);
        assert_eq!((result.unwrap_err().kind(), calls), (io::ErrorKind::WouldBlock, 2));
    }

    #[test]
    fn a_lasting_error_is_returned_after_a_few_calls() {
        let (result, calls) = receive(&[libc::ENOTCONN]);
        assert_eq!((result.unwrap_err().raw_os_error(), calls), (Some(libc::ENOTCONN), 1));
        let (result, calls) = receive(&[libc::EMSGSIZE, libc::ECONNREFUSED]);
        assert_eq!((result.unwrap_err().raw_os_error(), calls), (Some(libc::ECONNREFUSED), MOST_CALLS));
        assert!(calls < 10);
    }

    #[test]
    fn a_lasting_reset_is_not_returned_as_one() {
        let (result, calls) = receive(&[libc::ECONNRESET]);
        assert_eq!((result.unwrap_err().kind(), calls), (io::ErrorKind::Other, MOST_CALLS));
    }
}
