//! Waiting for a connection to be ready, timeouts of waits, and operations that are tried once. Users write their own
//! loops with these.

use super::stream::TcpStream;
use crate::net::methods::{deadline_methods, read_methods, ready_methods, write_methods};
use crate::net::sys;
use crate::runtime::io::reactor::Direction;
use std::io;
use std::os::fd::AsFd;
use std::task::{Context, Poll};

read_methods! {
    ///
    /// # Examples
    ///
    /// ```
    /// # use runtime::net::{TcpListener, TcpStream};
    /// # use std::io::ErrorKind::WouldBlock;
    /// # runtime::block_on(async {
    /// # let listener = TcpListener::bind("127.0.0.1:0").await?;
    /// # let stream = TcpStream::connect(listener.local_addr()?).await?;
    /// # let (server, _) = listener.accept().await?;
    /// # server.try_write(b"hello")?;
    /// let mut buffer = vec![0; 1024];
    /// let count = loop {
    ///     stream.readable().await?;
    ///     match stream.try_read(&mut buffer) {
    ///         Err(error) if error.kind() == WouldBlock => continue,
    ///         result => break result?,
    ///     }
    /// };
    /// # assert_eq!(&buffer[..count], b"hello");
    /// # std::io::Result::Ok(()) }).unwrap();
    /// ```
    TcpStream
}

write_methods! {
    TcpStream
}

ready_methods! {
    ///
    /// # Examples
    ///
    /// ```
    /// # use runtime::io::Interest;
    /// # use runtime::net::{TcpListener, TcpStream};
    /// # runtime::block_on(async {
    /// # let listener = TcpListener::bind("127.0.0.1:0").await?;
    /// # let stream = TcpStream::connect(listener.local_addr()?).await?;
    /// let ready = stream.ready(Interest::READABLE | Interest::WRITABLE).await?;
    /// assert!(ready.is_writable());
    /// # std::io::Result::Ok(()) }).unwrap();
    /// ```
    TcpStream
}

deadline_methods! {
    ///
    /// # Examples
    ///
    /// ```
    /// # use runtime::io::AsyncReadExt;
    /// # use runtime::net::{TcpListener, TcpStream};
    /// # use std::io::ErrorKind;
    /// # use std::time::Duration;
    /// # runtime::block_on(async {
    /// # let listener = TcpListener::bind("127.0.0.1:0").await?;
    /// # let _silent = TcpStream::connect(listener.local_addr()?).await?;
    /// # let mut buffer = [0; 1024];
    /// let (mut stream, _) = listener.accept().await?;
    /// stream.set_read_timeout(Some(Duration::from_millis(10)))?;
    /// match stream.read(&mut buffer).await {
    ///     Err(error) if error.kind() == ErrorKind::TimedOut => println!("it has been silent for too long"),
    ///     result => println!("read {} bytes", result?),
    /// }
    /// # assert_eq!(stream.read(&mut buffer).await.unwrap_err().kind(), ErrorKind::TimedOut);
    /// # std::io::Result::Ok(()) }).unwrap();
    /// ```
    TcpStream
}

impl TcpStream {
    /// Copies received bytes into the buffer without removing them from the queue, and without waiting.
    ///
    /// # Errors
    ///
    /// Returns the same errors as [`try_read`](TcpStream::try_read).
    pub fn try_peek(&self, buffer: &mut [u8]) -> io::Result<usize> {
        if buffer.is_empty() {
            return Ok(0);
        }
        self.io.try_io(Direction::Read, |stream| sys::peek(stream.as_fd(), buffer))
    }

    /// Waits for something to read, and copies it into the buffer without removing it from the queue. Returns 0 at the
    /// end of the stream.
    ///
    /// # Cancel safety
    ///
    /// This method is cancel safe.
    ///
    /// # Errors
    ///
    /// Returns the errors of recv(2), and the errors of [`readable`](TcpStream::readable).
    ///
    /// # Panics
    ///
    /// Panics if the call has to wait, and there is [no runtime](crate::net#threads-without-a-runtime) to wait in.
    pub async fn peek(&self, buffer: &mut [u8]) -> io::Result<usize> {
        if buffer.is_empty() {
            return Ok(0);
        }
        self.io.async_io(Direction::Read, |stream| sys::peek(stream.as_fd(), buffer)).await
    }

    /// Polls to copy received bytes without removing them from the queue; see [`peek`](TcpStream::peek). Only the waker
    /// passed to the latest call of this method or `poll_read` is woken.
    ///
    /// # Errors
    ///
    /// Returns the same errors as [`peek`](TcpStream::peek).
    ///
    /// # Panics
    ///
    /// Panics if the call has to wait, and there is [no runtime](crate::net#threads-without-a-runtime) to wait in.
    pub fn poll_peek(&self, cx: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<usize>> {
        if buffer.is_empty() {
            return Poll::Ready(Ok(0));
        }
        self.io.poll_io(cx, Direction::Read, |stream| sys::peek(stream.as_fd(), buffer))
    }
}
