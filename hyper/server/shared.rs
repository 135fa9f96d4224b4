//! The state by which the stream of a connection, its requests and its task know of each other.
//!
//! If hyper hands the stream to the handler of an upgrade, the connection is still one of the server's: the server waits
//! until the stream is dropped, and can cut it. A connection of which a request asks for an upgrade keeps the wakers that
//! wait for its stream, so that a cut wakes them.

use crate::runtime::waker;
use std::io;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU32, Ordering::Relaxed};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

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
    /// The number of reads that were thrown away.
    discarded: AtomicU32,
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

/// A direction of the stream in which a task waits.
#[derive(Clone, Copy, Debug)]
pub(super) enum Direction {
    Read,
    Write,
}

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
    pub(super) fn may_read(&self, cx: &Context<'_>) -> bool {
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

    #[inline]
    pub(super) fn note_read(&self) {
        self.has_read.store(true, Relaxed);
    }

    pub(super) fn has_read(&self) -> bool {
        self.has_read.load(Relaxed)
    }

    /// Notes whether the latest write is blocked.
    #[inline]
    pub(super) fn note_write(&self, is_blocked: bool) {
        if is_blocked {
            self.is_blocked.store(true, Relaxed);
        } else if self.is_blocked.load(Relaxed) {
            self.is_blocked.store(false, Relaxed);
            self.unblocked.store(self.unblocked.load(Relaxed).wrapping_add(1), Relaxed);
        }
    }

    /// Returns `true` if the latest write is blocked.
    pub(super) fn is_blocked(&self) -> bool {
        self.is_blocked.load(Relaxed)
    }

    /// Returns the number of writes that were blocked first, and then succeeded.
    pub(super) fn unblocked(&self) -> u32 {
        self.unblocked.load(Relaxed)
    }

    /// Notes that hyper has shut the stream down for writing. If the client has begun to send something that was not read to
    /// its end, the rest of it is awaited.
    pub(super) fn note_shutdown(&self) {
        let is_mid_message = self.has_body.load(Relaxed) || (self.has_read() && !self.is_http2());
        self.is_discarding.store(is_mid_message, Relaxed);
        self.is_shut_down.store(true, Relaxed);
    }

    /// Notes that the client still sends.
    pub(super) fn note_discarded(&self) {
        self.is_discarding.store(true, Relaxed);
        self.discarded.store(self.discarded.load(Relaxed).wrapping_add(1), Relaxed);
    }

    /// Returns the number of reads that were thrown away.
    pub(super) fn discarded(&self) -> u32 {
        self.discarded.load(Relaxed)
    }

    /// Returns `true` if the end of what the client sends is awaited.
    pub(super) fn is_discarding(&self) -> bool {
        self.is_discarding.load(Relaxed)
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

    pub(super) fn is_upgraded(&self) -> bool {
        self.is_upgraded.load(Relaxed)
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
    pub(super) fn close(&self) {
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

    /// Looks after a read or write of a stream that may be upgraded.
    #[inline]
    pub(super) fn after<T>(
        &self,
        cx: &mut Context<'_>,
        polled: Poll<io::Result<T>>,
        direction: Direction,
    ) -> Poll<io::Result<T>> {
        match self.mode.load(Relaxed) {
            HYPERS => polled,
            CUT => Poll::Ready(Err(cut_error())),
            _ => match polled {
                Poll::Pending => match self.keep_waker(cx, direction) {
                    Ok(()) => Poll::Pending,
                    Err(error) => Poll::Ready(Err(error)),
                },
                ready => ready,
            },
        }
    }

    /// Keeps the waker of a read or write that is pending, if the stream may be cut while it is. Fails if the stream has
    /// been cut.
    fn keep_waker(&self, cx: &mut Context<'_>, direction: Direction) -> io::Result<()> {
        let waker = cx.waker().clone();
        let mut ends = self.ends();
        let is_cut = self.mode.load(Relaxed) == CUT;
        let kept = match direction {
            Direction::Read => &mut ends.reader,
            Direction::Write => &mut ends.writer,
        };
        let earlier = if is_cut { Some(waker) } else { kept.replace(waker) };
        drop(ends);
        waker::discard_each(earlier);
        if is_cut { Err(cut_error()) } else { Ok(()) }
    }
}

fn cut_error() -> io::Error {
    io::Error::new(io::ErrorKind::ConnectionAborted, "the server has ended")
}
