//! Receiving into growing buffers.

use super::addr::SocketAddr;
use super::datagram::{Socket, UnixDatagram, sender_address, unnamed};
use super::{OwnedReadHalf, ReadHalf};
use crate::net::UnixStream;
use crate::net::read_buf::read_buf_method;
use crate::net::spare::{Receive, recv_buf_methods};
use socket2::SockAddr;
use std::io;

impl Receive for Socket {
    fn is_at_end(&self) -> bool {
        self.is_shut()
    }
}

read_buf_method! {
    UnixStream: stream => stream.io;
    ReadHalf<'_>: half => half.as_ref().io;
    OwnedReadHalf: half => half.as_ref().io;
}

recv_buf_methods! {
    UnixDatagram, SocketAddr, with_sender;
    recv_buf {
        ///
        /// # Examples
        ///
        /// ```
        /// # use runtime::net::UnixDatagram;
        /// # runtime::block_on(async {
        /// let (a, b) = UnixDatagram::pair()?;
        /// a.send(b"hello").await?;
        /// let mut buffer = Vec::with_capacity(1500);
        /// b.recv_buf(&mut buffer).await?;
        /// assert_eq!(buffer, b"hello");
        /// # std::io::Result::Ok(()) }).unwrap();
        /// ```
    }
}

fn with_sender((count, sender): (usize, Option<SockAddr>)) -> io::Result<(usize, SocketAddr)> {
    Ok((count, sender.map_or_else(unnamed, |sender| sender_address(&sender))?))
}
