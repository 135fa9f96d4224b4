//! Waiting for a connection to be ready, and operations that are tried once: for loops of one's own.

use super::stream::TcpStream;
use super::transfer::{filled, filled_mut, send_vectored};
use crate::io::{Interest, Ready};
use crate::runtime::reactor::Direction;
use std::io::{self, IoSlice, IoSliceMut, Read, Write};
use std::task::{Context, Poll};

impl TcpStream {
    /// Waits until there is something to read, the end of the stream, or an error.
    ///
    /// Several calls may wait at once. To be followed by [`try_read`](TcpStream::try_read), which
    /// may find that somebody else was first.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: the readiness is still there.
    ///
    /// # Errors
    ///
    /// Those of registration, such as [`ResourceBusy`](io::ErrorKind::ResourceBusy) if two runtimes
    /// wait for the connection at once.
    ///
    /// # Panics
    ///
    /// If no runtime is entered on this thread.
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
    pub async fn readable(&self) -> io::Result<()> {
        self.io.ready(Direction::Read).await.map(drop)
    }

    /// Waits until there is room to write, or an error. Otherwise as [`readable`](TcpStream::readable).
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: the readiness is still there.
    ///
    /// # Errors
    ///
    /// As [`readable`](TcpStream::readable).
    ///
    /// # Panics
    ///
    /// If no runtime is entered on this thread.
    pub async fn writable(&self) -> io::Result<()> {
        self.io.ready(Direction::Write).await.map(drop)
    }

    /// Waits until a side of interest is ready, and tells which. Otherwise as
    /// [`readable`](TcpStream::readable).
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: the readiness is still there.
    ///
    /// # Errors
    ///
    /// As [`readable`](TcpStream::readable).
    ///
    /// # Panics
    ///
    /// If no runtime is entered on this thread.
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
    pub async fn ready(&self, interest: Interest) -> io::Result<Ready> {
        self.io.ready_for(interest).await.map(|found| found.ready)
    }

    /// As [`readable`](TcpStream::readable), for a future of one's own. Only the latest caller is
    /// woken, of this and of `poll_read`.
    ///
    /// # Errors
    ///
    /// As [`readable`](TcpStream::readable).
    ///
    /// # Panics
    ///
    /// If no runtime is entered on this thread.
    pub fn poll_read_ready(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.io.poll_ready(cx, Direction::Read).map_ok(drop)
    }

    /// As [`writable`](TcpStream::writable), for a future of one's own. Only the latest caller is
    /// woken, of this and of `poll_write`.
    ///
    /// # Errors
    ///
    /// As [`readable`](TcpStream::readable).
    ///
    /// # Panics
    ///
    /// If no runtime is entered on this thread.
    pub fn poll_write_ready(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.io.poll_ready(cx, Direction::Write).map_ok(drop)
    }

    /// Reads what is there, without waiting. 0 is the end of the stream.
    ///
    /// # Errors
    ///
    /// [`WouldBlock`](io::ErrorKind::WouldBlock) if nothing is there, and those of recv(2).
    pub fn try_read(&self, buffer: &mut [u8]) -> io::Result<usize> {
        if buffer.is_empty() {
            return Ok(0);
        }
        self.io.try_io(Direction::Read, |mut stream| stream.read(buffer))
    }

    /// As [`try_read`](TcpStream::try_read), into several buffers.
    ///
    /// # Errors
    ///
    /// As [`try_read`](TcpStream::try_read).
    pub fn try_read_vectored(&self, buffers: &mut [IoSliceMut<'_>]) -> io::Result<usize> {
        let (buffers, room) = filled_mut(buffers);
        if room == 0 {
            return Ok(0);
        }
        self.io.try_io(Direction::Read, |mut stream| stream.read_vectored(buffers))
    }

    /// Writes as much as there is room for, without waiting.
    ///
    /// # Errors
    ///
    /// [`WouldBlock`](io::ErrorKind::WouldBlock) if there is no room, and those of send(2).
    pub fn try_write(&self, buffer: &[u8]) -> io::Result<usize> {
        if buffer.is_empty() {
            return Ok(0);
        }
        self.io.try_io(Direction::Write, |mut stream| stream.write(buffer))
    }

    /// As [`try_write`](TcpStream::try_write), from several buffers.
    ///
    /// # Errors
    ///
    /// As [`try_write`](TcpStream::try_write).
    pub fn try_write_vectored(&self, buffers: &[IoSlice<'_>]) -> io::Result<usize> {
        let (buffers, room) = filled(buffers);
        if room == 0 {
            return Ok(0);
        }
        self.io.try_io(Direction::Write, |stream| send_vectored(stream, buffers))
    }

    /// Reads what is there and leaves it there, without waiting.
    ///
    /// # Errors
    ///
    /// As [`try_read`](TcpStream::try_read).
    pub fn try_peek(&self, buffer: &mut [u8]) -> io::Result<usize> {
        if buffer.is_empty() {
            return Ok(0);
        }
        self.io.try_io(Direction::Read, |stream| stream.peek(buffer))
    }

    /// Waits for something to read, and reads it without taking it away. 0 is the end of the stream.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe.
    ///
    /// # Errors
    ///
    /// Those of recv(2), and those of [`readable`](TcpStream::readable).
    ///
    /// # Panics
    ///
    /// If it has to wait and no runtime is entered on this thread.
    pub async fn peek(&self, buffer: &mut [u8]) -> io::Result<usize> {
        if buffer.is_empty() {
            return Ok(0);
        }
        self.io.async_io(Direction::Read, |stream| stream.peek(buffer)).await
    }

    /// As [`peek`](TcpStream::peek), for a future of one's own. Only the latest caller is woken, of
    /// this and of `poll_read`.
    ///
    /// # Errors
    ///
    /// As [`peek`](TcpStream::peek).
    ///
    /// # Panics
    ///
    /// If it has to wait and no runtime is entered on this thread.
    pub fn poll_peek(&self, cx: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<usize>> {
        if buffer.is_empty() {
            return Poll::Ready(Ok(0));
        }
        self.io.poll_io(cx, Direction::Read, |stream| stream.peek(buffer))
    }

    /// Tries a system call of one's own on the socket, without waiting.
    ///
    /// It is not called while no side of interest is ready. When it says
    /// [`WouldBlock`](io::ErrorKind::WouldBlock), that is remembered: it must not say so unless the
    /// system did.
    ///
    /// # Errors
    ///
    /// [`WouldBlock`](io::ErrorKind::WouldBlock) if nothing is ready, and those of the call.
    pub fn try_io<R>(&self, interest: Interest, operation: impl FnOnce() -> io::Result<R>) -> io::Result<R> {
        self.io.try_io_for(interest, |_| operation())
    }

    /// Makes a system call of one's own on the socket, as soon as it does not say
    /// [`WouldBlock`](io::ErrorKind::WouldBlock) any more; that it must not say unless the system did.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe, if a call that says [`WouldBlock`](io::ErrorKind::WouldBlock) has done nothing.
    ///
    /// # Errors
    ///
    /// Those of the call, and those of [`readable`](TcpStream::readable).
    ///
    /// # Panics
    ///
    /// If it has to wait and no runtime is entered on this thread.
    pub async fn async_io<R>(
        &self,
        interest: Interest,
        mut operation: impl FnMut() -> io::Result<R>,
    ) -> io::Result<R> {
        self.io.async_io_for(interest, |_| operation()).await
    }
}
