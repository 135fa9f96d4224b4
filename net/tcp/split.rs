//! The halves of a stream: those that borrow it, and those that own it together.

use super::stream::TcpStream;
use crate::net::halves::{borrowed_halves, owned_halves};
use std::io;
use std::net::SocketAddr;
use std::task::{Context, Poll};

borrowed_halves! {
    TcpStream, SocketAddr
}

owned_halves! {
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
    TcpStream, SocketAddr
}

/// Implements the methods of a reading half that only TCP has.
macro_rules! peek_methods {
    ($type:ty: $half:ident => $stream:expr) => {
        impl $type {
            /// Equivalent to [`TcpStream::peek`].
            ///
            /// # Cancel safety
            ///
            /// This method is cancel safe.
            ///
            /// # Errors
            ///
            /// Returns the same errors as [`TcpStream::peek`].
            pub async fn peek(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
                let $half = &*self;
                $stream.peek(buffer).await
            }

            /// Equivalent to [`TcpStream::poll_peek`].
            ///
            /// # Errors
            ///
            /// Returns the same errors as [`TcpStream::peek`].
            pub fn poll_peek(&mut self, cx: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<usize>> {
                let $half = &*self;
                $stream.poll_peek(cx, buffer)
            }
        }
    };
}

peek_methods! {
    ReadHalf<'_>: half => half.0
}

peek_methods! {
    OwnedReadHalf: half => half.stream
}
