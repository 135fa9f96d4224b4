//! Sending and receiving many datagrams at once, for programs to which one system call for each is too expensive.

use super::batch::Batch;
use super::outgoing::Outgoing;
use super::socket::{UdpFd, UdpSocket};
use super::sys;
use crate::runtime::io::reactor::Direction;
use std::io;

impl UdpSocket {
    /// Waits for a datagram, and receives all datagrams that are there, up to the capacity of the batch. Returns their
    /// number, which is at least one. This takes one system call on systems that have one for this.
    ///
    /// # Cancel safety
    ///
    /// This method is cancel safe: a call that is dropped has received nothing. The earlier contents of the batch are
    /// lost.
    ///
    /// # Errors
    ///
    /// Returns the same errors as [`recv_from`](UdpSocket::recv_from). An error that occurs after some datagrams were
    /// received is returned by the next call.
    ///
    /// # Panics
    ///
    /// Panics if the call has to wait, and there is [no runtime](crate::net#threads-without-a-runtime) to wait in.
    ///
    /// # Examples
    ///
    /// See [`Batch`]. This is an echo server that uses batches:
    ///
    /// ```no_run
    /// use runtime::net::UdpSocket;
    /// use runtime::net::udp::{Batch, Outgoing};
    ///
    /// # runtime::block_on(async {
    /// let socket = UdpSocket::bind("127.0.0.1:7000").await?;
    /// let mut batch = Batch::new(Batch::MOST, 1500);
    /// loop {
    ///     let count = socket.recv_many(&mut batch).await?;
    ///     let mut sent = 0;
    ///     while sent < count {
    ///         let answers = batch.iter().map(|datagram| Outgoing::to(datagram.data(), datagram.from()));
    ///         sent += socket.send_many(answers.skip(sent)).await?;
    ///     }
    /// }
    /// # #[expect(unreachable_code)] std::io::Result::Ok(()) }).unwrap();
    /// ```
    pub async fn recv_many(&self, batch: &mut Batch) -> io::Result<usize> {
        batch.clear();
        self.io.get().left_over.check()?;
        self.io.async_io(Direction::Read, |io| io.left_over.conclude(batch.receive(io))).await
    }

    /// Tries to receive several datagrams with one call, without waiting; see [`recv_many`](UdpSocket::recv_many).
    ///
    /// # Errors
    ///
    /// Returns [`WouldBlock`](io::ErrorKind::WouldBlock) if nothing is there, and the same errors as
    /// [`recv_many`](UdpSocket::recv_many).
    pub fn try_recv_many(&self, batch: &mut Batch) -> io::Result<usize> {
        batch.clear();
        self.io.get().left_over.check()?;
        self.io.try_io(Direction::Read, |io| io.left_over.conclude(batch.receive(io)))
    }

    /// Sends datagrams in their order, and returns how many were sent: at least one, and at most [`Batch::MOST`]. To
    /// send the rest, skip this many and call again. The method waits only until there is room for the first datagram,
    /// and takes one system call on systems that have one for this. Without any datagrams, it sends nothing and returns
    /// 0.
    ///
    /// The datagrams may have different addresses, or none if the socket is connected. The iterator is cloned for each
    /// attempt, so its clones have to return the same datagrams.
    ///
    /// # Cancel safety
    ///
    /// This method is cancel safe: a call that is dropped has sent nothing.
    ///
    /// # Errors
    ///
    /// Returns the same errors as [`send_to`](UdpSocket::send_to), for the first datagram. If a later datagram fails,
    /// the call returns the number of datagrams before it and no error. When the next call begins with that datagram,
    /// it fails again. There is one exception: on Linux, a [`ConnectionRefused`](UdpSocket#errors-of-the-peer) error of
    /// the peer that arrives during the call is lost.
    ///
    /// # Panics
    ///
    /// Panics if the call has to wait, and there is [no runtime](crate::net#threads-without-a-runtime) to wait in.
    ///
    /// # Examples
    ///
    /// ```
    /// use runtime::net::UdpSocket;
    /// use runtime::net::udp::Outgoing;
    ///
    /// # runtime::block_on(async {
    /// let (a, b) = (UdpSocket::bind("127.0.0.1:0").await?, UdpSocket::bind("127.0.0.1:0").await?);
    /// let sender = UdpSocket::bind("127.0.0.1:0").await?;
    /// let news = [Outgoing::to(b"to a", a.local_addr()?), Outgoing::to(b"to b", b.local_addr()?)];
    /// let mut sent = 0;
    /// while sent < news.len() {
    ///     sent += sender.send_many(news[sent..].iter().copied()).await?;
    /// }
    /// # let mut buffer = [0; 16];
    /// # assert_eq!(a.recv(&mut buffer).await?, 4);
    /// # assert_eq!(b.recv(&mut buffer).await?, 4);
    /// # assert_eq!(&buffer[..4], b"to b");
    /// # std::io::Result::Ok(()) }).unwrap();
    /// ```
    pub async fn send_many<'a, I>(&self, datagrams: I) -> io::Result<usize>
    where
        I: IntoIterator<Item = Outgoing<'a>, IntoIter: Clone>,
    {
        self.io.get().left_over.check()?;
        let datagrams = datagrams.into_iter().map(Outgoing::transmit);
        let send = |io: &UdpFd| io.left_over.conclude(sys::send(io, datagrams.clone()));
        self.io.async_io(Direction::Write, send).await
    }

    /// Tries to send several datagrams with one call, without waiting; see [`send_many`](UdpSocket::send_many).
    ///
    /// # Errors
    ///
    /// Returns [`WouldBlock`](io::ErrorKind::WouldBlock) if there is no room for the first datagram, and the same
    /// errors as [`send_many`](UdpSocket::send_many).
    pub fn try_send_many<'a>(&self, datagrams: impl IntoIterator<Item = Outgoing<'a>>) -> io::Result<usize> {
        self.io.get().left_over.check()?;
        self.io.try_io(Direction::Write, |io| {
            io.left_over.conclude(sys::send(io, datagrams.into_iter().map(Outgoing::transmit)))
        })
    }
}
