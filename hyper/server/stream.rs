//! The stream that hyper gets for a connection: that of the user, and what the server has to know of it.
//!
//! The stream gives back the bytes that were read to detect the version, and it notes what the clocks ask for. When hyper
//! shuts it down while the client still sends, the rest of a body or further requests, it reads that: if it were closed with
//! bytes that nobody has read, the system would reset the connection, and the client might lose the response.
//!
//! If hyper hands the stream to the handler of an upgrade, the connection is still one of the server's: the server waits
//! until the stream is dropped, and can cut it. A connection of which a request asks for an upgrade keeps the wakers that
//! wait for its stream, so that a cut wakes them.

use ::hyper::body::{Buf, Bytes};
use ::hyper::rt::{Read, ReadBuf, ReadBufCursor, Write};
use std::io::{self, IoSlice};
use std::mem::MaybeUninit;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU32, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker, ready};

use crate::runtime::waker;

/// The bytes that are read and thrown away at once, at the end of a connection.
const DISCARDED_BYTES: usize = 8 * 1024;

/// The maximum number of reads in one poll of a connection. hyper handles all frames of a read at once, and those of many
/// reads if they are there: a client that sends tiny frames without an end would keep the loop from its other tasks.
const READS_PER_POLL: u32 = 4;

/// The state that the stream of a connection and its task share. A handler may use an upgraded stream on another thread.
#[derive(Default)]
pub(super) struct Shared {
    /// Bytes, or the end of the stream, were read since this was reset.
    has_read: AtomicBool,
    /// The number of reads that are left in this poll of the connection.
    reads_left: AtomicU32,
    /// The latest write is blocked.
    is_blocked: AtomicBool,
    /// The number of writes that were blocked first, and then succeeded.
    unblocked: AtomicU32,
    is_http2: AtomicBool,
    /// The latest request has a body, of which the client may have sent more than was read.
    has_body: AtomicBool,
    /// A response has handed the stream over to the handler of an upgrade.
    is_upgraded: AtomicBool,
    /// hyper has shut the stream down for writing.
    is_shut_down: AtomicBool,
    /// The client still sends, and what it sends is read and thrown away.
    is_discarding: AtomicBool,
    /// One of `HYPERS`, `UPGRADABLE` and `CUT`.
    mode: AtomicU8,
    ends: Mutex<Ends>,
}

/// The stream belongs to hyper.
const HYPERS: u8 = 0;
/// The stream belongs to hyper or to a handler.
const UPGRADABLE: u8 = 1;
/// The server has ended.
const CUT: u8 = 2;

#[derive(Default)]
struct Ends {
    /// The stream has been dropped, and with it what came out of it.
    is_closed: bool,
    /// The task of the connection.
    task: Option<Waker>,
    reader: Option<Waker>,
    writer: Option<Waker>,
}

impl Shared {
    /// Begins a poll of the connection.
    pub(super) fn begin_poll(&self) {
        self.reads_left.store(READS_PER_POLL, Relaxed);
    }

    /// Ends the polls of the connection: a handler has the stream.
    pub(super) fn end_polls(&self) {
        self.reads_left.store(u32::MAX, Relaxed);
    }

    /// Returns `false`, and wakes the task, if it has read enough in this poll.
    #[inline]
    fn may_read(&self, cx: &Context<'_>) -> bool {
        match self.reads_left.load(Relaxed) {
            0 => {
                cx.waker().wake_by_ref();
                false
            }
            u32::MAX => true,
            left => {
                self.reads_left.store(left - 1, Relaxed);
                true
            }
        }
    }

    pub(super) fn has_read(&self) -> bool {
        self.has_read.load(Relaxed)
    }

    /// Returns `true` if the latest write is blocked.
    pub(super) fn is_blocked(&self) -> bool {
        self.is_blocked.load(Relaxed)
    }

    /// Returns the number of writes that were blocked first, and then succeeded.
    pub(super) fn unblocked(&self) -> u32 {
        self.unblocked.load(Relaxed)
    }

    /// Returns `true` if hyper has shut the stream down for writing.
    pub(super) fn is_shut_down(&self) -> bool {
        self.is_shut_down.load(Relaxed)
    }

    pub(super) fn begin_http2(&self) {
        self.is_http2.store(true, Relaxed);
    }

    pub(super) fn is_http2(&self) -> bool {
        self.is_http2.load(Relaxed)
    }

    /// Begins a request of HTTP/1. If it has no body, the bytes read from now on belong to the next one.
    pub(super) fn begin_request(&self, has_body: bool) {
        self.has_body.store(has_body, Relaxed);
        self.has_read.store(false, Relaxed);
    }

    /// Ends a request. If it has a body, the bytes read until now were those of the body.
    pub(super) fn end_request(&self) {
        if self.has_body.load(Relaxed) {
            self.has_read.store(false, Relaxed);
        }
    }

    /// Hands the stream over to the handler of an upgrade.
    pub(super) fn upgrade(&self) {
        self.is_upgraded.store(true, Relaxed);
    }

    /// Returns `true` if the client has begun to send something that was not read to its end.
    fn is_mid_message(&self) -> bool {
        self.has_body.load(Relaxed) || (self.has_read() && !self.is_http2())
    }

    /// Keeps wakers from now on: a request asks for an upgrade.
    pub(super) fn allow_upgrade(&self) {
        if self.mode.load(Relaxed) == HYPERS {
            self.mode.store(UPGRADABLE, Relaxed);
        }
    }

    /// Locks the ends. No user code runs, and nothing panics, while they are locked.
    fn ends(&self) -> MutexGuard<'_, Ends> {
        self.ends.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until the stream has been dropped.
    pub(super) fn poll_closed(&self, cx: &mut Context<'_>) -> Poll<()> {
        let waker = cx.waker().clone();
        let mut ends = self.ends();
        let earlier = if ends.is_closed { Some(waker) } else { ends.task.replace(waker) };
        let is_closed = ends.is_closed;
        drop(ends);
        waker::discard_each(earlier);
        if is_closed { Poll::Ready(()) } else { Poll::Pending }
    }

    /// Notes that the stream has been dropped, and wakes the connection.
    fn close(&self) {
        let mut ends = self.ends();
        ends.is_closed = true;
        let task = ends.task.take();
        let unused = [ends.reader.take(), ends.writer.take()];
        drop(ends);
        waker::discard_each(unused.into_iter().flatten());
        if let Some(task) = task {
            waker::wake(task);
        }
    }

    /// Cuts the stream: from now on, its reads and writes fail.
    pub(super) fn cut(&self) {
        let mut ends = self.ends();
        self.mode.store(CUT, Relaxed);
        let waiting = [ends.reader.take(), ends.writer.take()];
        drop(ends);
        waiting.into_iter().flatten().for_each(waker::wake);
    }

    /// Keeps the waker of a read or write that is pending, if the stream may be cut while it is. Fails if the stream has
    /// been cut.
    fn keep_waker(
        &self,
        cx: &mut Context<'_>,
        direction: fn(&mut Ends) -> &mut Option<Waker>,
    ) -> io::Result<()> {
        let waker = cx.waker().clone();
        let mut ends = self.ends();
        let is_cut = self.mode.load(Relaxed) == CUT;
        let earlier = if is_cut { Some(waker) } else { direction(&mut ends).replace(waker) };
        drop(ends);
        waker::discard_each(earlier);
        if is_cut { Err(cut_error()) } else { Ok(()) }
    }
}

fn cut_error() -> io::Error {
    io::Error::new(io::ErrorKind::ConnectionAborted, "the server has ended")
}

fn reader(ends: &mut Ends) -> &mut Option<Waker> {
    &mut ends.reader
}

fn writer(ends: &mut Ends) -> &mut Option<Waker> {
    &mut ends.writer
}

/// The stream of a connection.
pub(super) struct ServerStream<I> {
    stream: I,
    /// The bytes that were read to detect the version, until hyper has got them.
    prefix: Bytes,
    /// Dropped last: then the connection is off the books.
    permit: StreamPermit,
}

/// Tells the server that a stream has gone.
pub(super) struct StreamPermit(Arc<Shared>);

impl Drop for StreamPermit {
    fn drop(&mut self) {
        self.0.close();
    }
}

impl<I> ServerStream<I> {
    pub(super) fn new(stream: I, shared: Arc<Shared>) -> ServerStream<I> {
        ServerStream { stream, prefix: Bytes::new(), permit: StreamPermit(shared) }
    }

    /// Gives back bytes that were read from the stream.
    pub(super) fn put_back(&mut self, bytes: Bytes) {
        debug_assert!(self.prefix.is_empty(), "bytes are put back once");
        self.prefix = bytes;
    }

    /// Returns the stream after an upgrade.
    pub(super) fn into_parts(self) -> (I, StreamPermit) {
        // The first read of hyper takes all of it.
        debug_assert!(self.prefix.is_empty(), "hyper has upgraded a connection of which it has read nothing");
        (self.stream, self.permit)
    }

    fn shared(&self) -> &Shared {
        &self.permit.0
    }

    /// Looks after the connection's mode, on the way of a stream that may be upgraded.
    #[inline]
    fn after<T>(
        &self,
        cx: &mut Context<'_>,
        polled: Poll<io::Result<T>>,
        direction: fn(&mut Ends) -> &mut Option<Waker>,
    ) -> Poll<io::Result<T>> {
        match self.shared().mode.load(Relaxed) {
            HYPERS => polled,
            CUT => Poll::Ready(Err(cut_error())),
            _ => match polled {
                Poll::Pending => match self.shared().keep_waker(cx, direction) {
                    Ok(()) => Poll::Pending,
                    Err(error) => Poll::Ready(Err(error)),
                },
                ready => ready,
            },
        }
    }

    /// Notes whether a write is blocked.
    #[inline]
    fn after_write<T>(&self, cx: &mut Context<'_>, polled: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        let shared = self.shared();
        if polled.is_pending() {
            shared.is_blocked.store(true, Relaxed);
        } else if shared.is_blocked.load(Relaxed) {
            shared.is_blocked.store(false, Relaxed);
            shared.unblocked.store(shared.unblocked.load(Relaxed).wrapping_add(1), Relaxed);
        }
        self.after(cx, polled, writer)
    }
}

impl<I: Read + Unpin> Read for ServerStream<I> {
    #[inline]
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        mut buffer: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        if !self.prefix.is_empty() {
            let count = buffer.remaining().min(self.prefix.len());
            buffer.put_slice(&self.prefix[..count]);
            self.prefix.advance(count);
            return Poll::Ready(Ok(()));
        }
        if !self.shared().may_read(cx) {
            return Poll::Pending;
        }
        let polled = Pin::new(&mut self.stream).poll_read(cx, buffer);
        if polled.is_ready() {
            self.shared().has_read.store(true, Relaxed);
        }
        self.after(cx, polled, reader)
    }
}

impl<I: Read + Write + Unpin> Write for ServerStream<I> {
    #[inline]
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &[u8]) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.stream).poll_write(cx, buffer);
        self.after_write(cx, polled)
    }

    #[inline]
    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffers: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.stream).poll_write_vectored(cx, buffers);
        self.after_write(cx, polled)
    }

    #[inline]
    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    #[inline]
    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let polled = Pin::new(&mut self.stream).poll_flush(cx);
        self.after_write(cx, polled)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if !self.shared().is_shut_down() {
            let polled = Pin::new(&mut self.stream).poll_shutdown(cx);
            ready!(self.after_write(cx, polled))?;
            let shared = self.shared();
            if shared.is_upgraded.load(Relaxed) {
                return Poll::Ready(Ok(()));
            }
            shared.is_discarding.store(shared.is_mid_message(), Relaxed);
            shared.is_shut_down.store(true, Relaxed);
        }
        // Bounded by the clocks.
        loop {
            if !self.shared().may_read(cx) {
                return Poll::Pending;
            }
            let mut bytes = [MaybeUninit::uninit(); DISCARDED_BYTES];
            let mut buffer = ReadBuf::uninit(&mut bytes);
            match Pin::new(&mut self.stream).poll_read(cx, buffer.unfilled()) {
                Poll::Pending if self.shared().is_discarding.load(Relaxed) => return Poll::Pending,
                Poll::Ready(Ok(())) if !buffer.filled().is_empty() => {
                    self.shared().is_discarding.store(true, Relaxed);
                }
                // The response was sent, whatever becomes of the rest of the request.
                _ => return Poll::Ready(Ok(())),
            }
        }
    }
}
