//! Reading and writing: the traits that streams implement, and helpers for them.
//!
//! The traits are those of futures-io, so codecs, TLS and compression that are written for futures-io work on the
//! streams of [`net`](crate::net) without an adapter. The helpers have tokio's names and meanings, and work with the
//! streams of any runtime. With the feature `tokio-io`, all streams implement the traits of tokio as well.
//!
//! Import the extension traits of one crate only: those of tokio, futures and futures-lite have methods of the same
//! names, and a call of such a method would be ambiguous. Methods that a stream has itself are preferred to those of
//! traits.
//!
//! The module contains:
//!
//! - `AsyncReadExt`, `AsyncWriteExt`, `AsyncBufReadExt` and `AsyncSeekExt` (feature `io-util`), with methods such as
//!   `read`, `read_u32`, `write_all`, `lines` and `seek`;
//! - `BufReader`, `BufWriter` and `BufStream` (feature `io-util`), which are streams with buffers;
//! - [`copy`] and similar functions, which hold no buffer while there is nothing to copy;
//! - `splice` and `send_file` (feature `io-util`), with which the kernel moves large amounts of data between sockets,
//!   or from a file to a socket;
//! - `duplex` and `simplex` (feature `io-util`), which are streams within the process;
//! - [`split`], which makes two halves of any stream;
//! - `stdin`, `stdout` and `stderr` (feature `io-std`), which never keep a program from exiting;
//! - [`Interest`] and [`Ready`], which describe the readiness that a caller waits for and the readiness that was found.
//!
//! # Examples
//!
//! ```
//! use runtime::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
//! use runtime::net::{TcpListener, TcpStream};
//!
//! # runtime::block_on(async {
//! let listener = TcpListener::bind("127.0.0.1:0").await?;
//! let mut client = TcpStream::connect(listener.local_addr()?).await?;
//! let (server, _) = listener.accept().await?;
//!
//! client.write_all(b"first\nsecond\n").await?;
//! let mut lines = BufReader::new(server);
//! let mut line = String::new();
//! lines.read_line(&mut line).await?;
//! assert_eq!(line, "first\n");
//! # std::io::Result::Ok(()) }).unwrap();
//! ```

#[cfg(feature = "io-util")]
mod bidirectional;
#[cfg(feature = "io-util")]
mod channel;
mod copy;
#[cfg(feature = "io-util")]
mod copy_bidirectional;
#[cfg(feature = "io-util")]
mod copy_buf;
#[cfg(feature = "io-util")]
mod duplex;
mod endless;
#[cfg(feature = "io-util")]
mod join;
pub(crate) mod lent;
mod pump;
#[cfg(feature = "io-util")]
mod splice;
mod split;
#[cfg(feature = "io-std")]
mod standard;
#[cfg(feature = "io-std")]
mod standard_sys;
#[cfg(feature = "tokio-io")]
pub(crate) mod tokio_traits;
#[cfg(not(feature = "tokio-io"))]
#[path = "tokio_traits_disabled.rs"]
pub(crate) mod tokio_traits;
#[cfg(feature = "net")]
pub mod unix;
#[cfg(feature = "io-util")]
mod util;

pub use crate::runtime::io::interest::{Interest, Ready};
pub use copy::copy;
pub use endless::{Empty, Repeat, Sink, empty, repeat, sink};
#[doc(no_inline)]
pub use futures_io::{AsyncBufRead, AsyncRead, AsyncSeek, AsyncWrite};
pub use split::{ReadHalf, WriteHalf, split};
#[cfg(feature = "io-std")]
#[cfg_attr(docsrs, doc(cfg(feature = "io-std")))]
pub use standard::{Stderr, Stdin, Stdout, stderr, stdin, stdout};
#[doc(no_inline)]
pub use std::io::{Error, ErrorKind, IoSlice, IoSliceMut, Result, SeekFrom};
#[cfg(feature = "io-util")]
#[cfg_attr(docsrs, doc(cfg(feature = "io-util")))]
pub use {
    crate::net::fd_traits::{AsyncReadFd, AsyncWriteFd},
    bidirectional::{BidirectionalOptions, BidirectionalProgress},
    copy_bidirectional::{copy_bidirectional, copy_bidirectional_with_sizes},
    copy_buf::copy_buf,
    duplex::{DuplexStream, SimplexStream, duplex, simplex},
    join::{Join, join},
    splice::send_file::{copy_file, send_file},
    splice::{splice, splice_bidirectional},
    util::{AsyncBufReadExt, AsyncReadExt, AsyncSeekExt, AsyncWriteExt},
    util::{BufReader, BufStream, BufWriter, Chain, Cursor, Lines, Split, Take},
};
