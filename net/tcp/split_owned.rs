//! Halves that own their stream together.

use super::split::{read_half, write_half};
use super::stream::TcpStream;
use crate::io::{Interest, Ready};
use crate::net::transfer::{async_read, async_write};
use std::error::Error;
use std::fmt;
use std::io::{self, IoSlice, IoSliceMut};
use std::net::SocketAddr;
use std::sync::Arc;
use std::task::{Context, Poll};

/// The half of a [`TcpStream`] that reads. From [`TcpStream::into_split`].
///
/// Dropping it does nothing to the connection while the other half lives.
#[derive(Debug)]
pub struct OwnedReadHalf {
    // Counted by an `Arc`, so that the halves are `Send`; it is touched only when they come and go.
    stream: Arc<TcpStream>,
}

/// The half of a [`TcpStream`] that writes. From [`TcpStream::into_split`].
///
/// Closing it shuts down writing, and so does dropping it, unless it is
/// [forgotten](OwnedWriteHalf::forget).
#[derive(Debug)]
pub struct OwnedWriteHalf {
    stream: Arc<TcpStream>,
    shuts_down: bool,
}

pub(super) fn split(stream: TcpStream) -> (OwnedReadHalf, OwnedWriteHalf) {
    let stream = Arc::new(stream);
    (OwnedReadHalf { stream: stream.clone() }, OwnedWriteHalf { stream, shuts_down: true })
}

impl OwnedReadHalf {
    /// Puts the two halves of a stream together again.
    ///
    /// # Errors
    ///
    /// [`ReuniteError`], which gives both back, if they are not of the same stream.
    ///
    /// # Examples
    ///
    /// ```
    /// # use runtime::net::{TcpListener, TcpStream};
    /// # runtime::block_on(async {
    /// # let listener = TcpListener::bind("127.0.0.1:0").await?;
    /// # let stream = TcpStream::connect(listener.local_addr()?).await?;
    /// let address = stream.local_addr()?;
    /// let (reader, writer) = stream.into_split();
    /// let stream = reader.reunite(writer).expect("both are of one stream");
    /// assert_eq!(stream.local_addr()?, address);
    /// # std::io::Result::Ok(()) }).unwrap();
    /// ```
    pub fn reunite(self, other: OwnedWriteHalf) -> Result<TcpStream, ReuniteError> {
        if !Arc::ptr_eq(&self.stream, &other.stream) {
            return Err(ReuniteError(self, other));
        }
        other.forget();
        Ok(Arc::into_inner(self.stream).expect("a stream has but two halves"))
    }
}

impl OwnedWriteHalf {
    /// As [`OwnedReadHalf::reunite`].
    ///
    /// # Errors
    ///
    /// As [`OwnedReadHalf::reunite`].
    pub fn reunite(self, other: OwnedReadHalf) -> Result<TcpStream, ReuniteError> {
        other.reunite(self)
    }

    /// Drops this half without shutting down writing.
    pub fn forget(mut self) {
        self.shuts_down = false;
    }

    fn close(&mut self) -> io::Result<()> {
        self.stream.close_writing()?;
        self.shuts_down = false;
        Ok(())
    }
}

impl Drop for OwnedWriteHalf {
    fn drop(&mut self) {
        if self.shuts_down {
            // A connection that cannot be shut down is gone.
            let _ = self.stream.close_writing();
        }
    }
}

async_read! {
    OwnedReadHalf: half => half.stream.io;
}

async_write! {
    OwnedWriteHalf: half => half.stream.io, half.close();
}

read_half! {
    OwnedReadHalf: half => *half.stream;
}

write_half! {
    OwnedWriteHalf: half => *half.stream;
}

/// Two halves were not of the same stream. Gives them back.
#[derive(Debug)]
pub struct ReuniteError(
    /// The half that reads.
    pub OwnedReadHalf,
    /// The half that writes.
    pub OwnedWriteHalf,
);

impl fmt::Display for ReuniteError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the two halves are not of the same stream")
    }
}

impl Error for ReuniteError {}
