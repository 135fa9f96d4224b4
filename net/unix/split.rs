//! The halves of a stream: those that borrow it, and those that own it together.

use super::addr::SocketAddr;
use super::stream::UnixStream;
use crate::net::halves::{borrowed_halves, owned_halves};

borrowed_halves! {
    UnixStream, SocketAddr
}

owned_halves! {
    ///
    /// # Examples
    ///
    /// ```
    /// # use runtime::io::{AsyncReadExt, AsyncWriteExt};
    /// # use runtime::net::UnixStream;
    /// # runtime::block_on(async {
    /// let (stream, mut other) = UnixStream::pair()?;
    /// let (reader, writer) = stream.into_split();
    /// let mut stream = reader.reunite(writer).expect("both are of one stream");
    /// stream.write_all(b"still open").await?;
    /// # other.read_exact(&mut [0; 10]).await?;
    /// # std::io::Result::Ok(()) }).unwrap();
    /// ```
    UnixStream, SocketAddr
}
