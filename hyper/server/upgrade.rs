//! The result of an upgrade: the stream that the server was given.

use super::stream::{ServerStream, StreamPermit};
use ::hyper::body::Bytes;
use ::hyper::rt::{Read, Write};
use ::hyper::upgrade::{self, Upgraded};
use std::fmt;

/// The parts of an upgraded connection, returned by [`downcast`].
#[derive(Debug)]
#[non_exhaustive]
pub struct Parts<T> {
    /// The stream that the server has accepted, or that its handshake has returned.
    pub io: T,
    /// The bytes that were read together with the request, and belong to the new protocol.
    pub read_buf: Bytes,
    /// The server counts the connection until this is dropped.
    pub permit: UpgradePermit,
}

/// The place of an upgraded connection among those of its server. The connection counts as open, and the end of the server
/// waits for it at most for its grace period, until this is dropped.
pub struct UpgradePermit {
    _permit: StreamPermit,
}

impl fmt::Debug for UpgradePermit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UpgradePermit").finish_non_exhaustive()
    }
}

/// Returns the stream of type `T` that [`serve_http`](super::serve_http) has served, and the bytes that were read from it
/// already.
///
/// Use this in the place of the method `downcast` of [`Upgraded`], which knows only the type in which hyper got the
/// stream. An [`Upgraded`] itself has lost no bytes, and ends with an error when the server ends. The stream returned here
/// has to be closed by its handler, see [`UpgradePermit`].
///
/// # Errors
///
/// Returns the connection back if it does not come from `serve_http`, or has another type, as a stream within an HTTP/2
/// connection has.
pub fn downcast<T>(upgraded: Upgraded) -> Result<Parts<T>, Upgraded>
where
    T: Read + Write + Unpin + 'static,
{
    let upgrade::Parts { io, read_buf, .. } = upgraded.downcast::<ServerStream<T>>()?;
    let (io, permit) = io.into_parts();
    Ok(Parts { io, read_buf, permit: UpgradePermit { _permit: permit } })
}
