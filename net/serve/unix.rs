//! The implementation of [`Accept`] for Unix sockets.

use super::Accept;
use crate::net::unix::SocketAddr;
use crate::net::{UnixListener, UnixStream};
use std::io;

impl Accept for UnixListener {
    type Stream = UnixStream;
    type Addr = SocketAddr;

    async fn accept(&self) -> io::Result<(UnixStream, SocketAddr)> {
        UnixListener::accept(self).await
    }
}
