//! Connecting: from an address to a stream.
//!
//! On most systems there is no handshake to wait for: connect(2) puts the connection into the listener's queue, or
//! fails. If the queue is full, Linux returns `EAGAIN` for a socket in non-blocking mode, and has no event that reports
//! room again; with a socket in blocking mode, the call would wait. So this code waits by trying again at intervals,
//! for a limited time.

use super::addr::SocketAddr;
use super::stream_fd::StreamFd;
use crate::net::backoff::Backoff;
use crate::runtime::context;
use crate::runtime::io::reactor::Direction;
use crate::runtime::io::registered::{Owner, Registered};
use crate::task::coop;
use crate::task::origin::Origin;
use crate::task::outside;
use crate::time::{Instant, sleep};
use socket2::Socket;
use std::io;
use std::os::fd::OwnedFd;
use std::time::Duration;

/// The time after which the error of a full queue is returned. A listener that is merely busy has room within
/// milliseconds; one that hangs has not.
const MAX_WAIT: Duration = Duration::from_secs(5);

/// The first wait between two attempts.
const FIRST_PAUSE: Duration = Duration::from_millis(1);

/// The longest wait between two attempts. A hundred waiting clients make some two thousand calls a second.
const MAX_PAUSE: Duration = Duration::from_millis(50);

/// Connects a socket that is in non-blocking mode. If the future is dropped early, the socket is closed.
pub(super) async fn connect(socket: Socket, address: &SocketAddr) -> io::Result<Registered<StreamFd>> {
    // As a rule there is nothing to wait for, and the caller may connect in a loop.
    coop::consume_budget().await;
    let address = address.to_call()?;
    let mut backoff = Backoff::new(FIRST_PAUSE, MAX_PAUSE);
    // The clock is read only if there is need to wait.
    let mut deadline = None;
    let is_connecting = loop {
        match socket.connect(&address) {
            Ok(()) => break false,
            // FreeBSD returns this if the listener asks for it (`LOCAL_CONNWAIT`).
            Err(error) if error.raw_os_error() == Some(libc::EINPROGRESS) => break true,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                let now = Instant::now();
                if *deadline.get_or_insert(now + MAX_WAIT) <= now {
                    return Err(error);
                }
            }
            // A signal has interrupted the look-up of the path on a slow file system: nothing has begun.
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        }
        if !context::is_entered() {
            outside::polled("UnixStream::connect", Origin::UNKNOWN);
        }
        sleep(backoff.next_wait()).await;
    };
    let stream = Registered::new(StreamFd::new(OwnedFd::from(socket).into()), Owner::UnixStream);
    if is_connecting {
        stream.ready(Direction::Write).await?;
        if let Some(error) = stream.get().socket.take_error()? {
            return Err(error);
        }
    }
    Ok(stream)
}
