//! The halves that own their stream together.

use super::split::peek_methods;
use super::stream::TcpStream;
use crate::net::halves::owned_halves;
use std::io;
use std::net::SocketAddr;
use std::task::{Context, Poll};

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

peek_methods! {
    OwnedReadHalf: half => half.stream
}
