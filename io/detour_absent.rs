//! Where there is no splice(2), or nobody has asked for it, there is no way round user space: what
//! copies by buffers alone reads the same everywhere.

use futures_io::{AsyncRead, AsyncWrite};
use std::convert::Infallible;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

/// There is none.
pub(super) struct Pipe(Infallible);

impl Pipe {
    pub(super) fn level(&self) -> usize {
        match self.0 {}
    }
}

#[allow(dead_code, reason = "none of this comes about")]
pub(super) enum Filled {
    With(Pipe),
    Nothing,
    NoPipe,
    Refused,
}

#[allow(dead_code, reason = "none of this comes about")]
pub(super) enum Drained {
    By(usize),
    Refused(Vec<u8>),
}

/// A read without a buffer reads nothing.
#[cfg(feature = "net")]
pub(crate) fn poll_read<T>(_: &T, _: &mut Context<'_>) -> Poll<io::Result<usize>> {
    Poll::Ready(Ok(0))
}

/// A write without a buffer writes nothing.
#[cfg(feature = "net")]
pub(crate) fn poll_write<T>(_: &T, _: &mut Context<'_>) -> Poll<io::Result<usize>> {
    Poll::Ready(Ok(0))
}

pub(super) fn poll_fill<R: AsyncRead + ?Sized>(
    _: &mut Context<'_>,
    _: Pin<&mut R>,
) -> Poll<io::Result<Filled>> {
    Poll::Ready(Ok(Filled::Refused))
}

pub(super) fn poll_drain<W: AsyncWrite + ?Sized>(
    _: &mut Context<'_>,
    pipe: Pipe,
    _: Pin<&mut W>,
) -> (Option<Pipe>, Poll<io::Result<Drained>>) {
    match pipe.0 {}
}

#[expect(clippy::extra_unused_type_parameters, reason = "as the real one, which looks at them")]
pub(super) fn connects<R: ?Sized, W: ?Sized>() -> bool {
    false
}

pub(super) fn is_open() -> bool {
    false
}

/// What comes of a file is read and written.
#[allow(dead_code, reason = "none of this comes about")]
pub(super) enum Sent {
    By(usize),
    Refused,
}

#[cfg(feature = "io-util")]
pub(super) fn poll_send_file<W: ?Sized>(
    _: &mut Context<'_>,
    _: &std::sync::Arc<std::fs::File>,
    _: u64,
    _: u64,
    _: Pin<&mut W>,
) -> Poll<io::Result<Sent>> {
    Poll::Ready(Ok(Sent::Refused))
}

#[cfg(feature = "io-util")]
pub(super) fn takes_files<W: ?Sized>() -> bool {
    false
}
