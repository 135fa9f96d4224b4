//! Receiving into growing buffers.

use super::socket::{Socket, UdpSocket, no_sender};
use crate::net::spare::{Receive, recv_buf_methods};
use socket2::SockAddr;
use std::io;
use std::net::SocketAddr;

impl Receive for Socket {}

recv_buf_methods! {
    UdpSocket, SocketAddr, with_sender;
    recv_buf {
        ///
        /// # Examples
        ///
        /// ```
        /// # use runtime::net::UdpSocket;
        /// # runtime::block_on(async {
        /// # let socket = UdpSocket::bind("127.0.0.1:0").await?;
        /// # socket.connect(socket.local_addr()?).await?;
        /// # socket.send(b"to myself").await?;
        /// let mut buffer = Vec::with_capacity(1500);
        /// socket.recv_buf(&mut buffer).await?;
        /// assert_eq!(buffer, b"to myself");
        /// # std::io::Result::Ok(()) }).unwrap();
        /// ```
    }
}

fn with_sender((count, sender): (usize, Option<SockAddr>)) -> io::Result<(usize, SocketAddr)> {
    let sender = sender.and_then(|sender| sender.as_socket()).ok_or_else(no_sender)?;
    Ok((count, sender))
}
