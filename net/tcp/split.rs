//! The halves of a borrowed stream.

use super::stream::TcpStream;
use crate::net::halves::borrowed_halves;
use std::io;
use std::net::SocketAddr;
use std::task::{Context, Poll};

borrowed_halves! {
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

pub(super) use peek_methods;

peek_methods! {
    ReadHalf<'_>: half => half.0
}
