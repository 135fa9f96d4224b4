//! The `AsyncSeek` of tokio (feature `tokio-io`), which starts a seek by one method and completes it by another.

use super::File;
use futures_io::AsyncSeek;
use std::io::{self, SeekFrom};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

#[derive(Default)]
pub(super) struct Seek {
    /// The seek that was started and is not complete.
    started: Option<SeekFrom>,
    /// The position after the last seek.
    position: u64,
}

#[cfg_attr(docsrs, doc(cfg(feature = "tokio-io")))]
impl tokio::io::AsyncSeek for File {
    fn start_seek(self: Pin<&mut Self>, position: SeekFrom) -> io::Result<()> {
        self.get_mut().seek.started = Some(position);
        Ok(())
    }

    fn poll_complete(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<u64>> {
        if let Some(position) = self.seek.started {
            let result = ready!(self.as_mut().poll_seek(cx, position));
            self.seek.started = None;
            self.seek.position = result?;
        }
        Poll::Ready(Ok(self.seek.position))
    }
}
