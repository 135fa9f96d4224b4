//! The step between the accept of a connection and its first byte of HTTP: nothing, or a handshake of TLS.

use std::io;

/// A step through which each accepted stream passes before it is served.
pub trait Handshake<I> {
    /// The stream that is served.
    type Stream;

    /// Returns the stream to serve.
    fn complete(&self, stream: I) -> impl Future<Output = io::Result<Self::Stream>>;
}

/// Accepted streams are served as they are.
#[derive(Debug)]
pub struct NoHandshake(pub(super) ());

impl<I> Handshake<I> for NoHandshake {
    type Stream = I;

    async fn complete(&self, stream: I) -> io::Result<I> {
        Ok(stream)
    }
}

/// The function of [`handshake`](super::HttpServer::handshake).
#[derive(Debug)]
pub struct ByFunction<F>(pub(super) F);

impl<I, T, F: AsyncFn(I) -> io::Result<T>> Handshake<I> for ByFunction<F> {
    type Stream = T;

    async fn complete(&self, stream: I) -> io::Result<T> {
        (self.0)(stream).await
    }
}
