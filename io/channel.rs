//! A bounded queue of bytes between a reader and a writer in one process. `duplex` consists of two channels, and
//! `simplex` of one.
//!
//! A lock protects the queue, the waker of a waiting reader and the waker of a waiting writer. It is held while bytes
//! are copied and while a stored waker is compared or replaced. It is never held while a waker is cloned, dropped or
//! woken: a waker may run arbitrary code, which may use this channel.

use crate::runtime::mutex::Mutex;
use crate::runtime::{unwind, waker};
use crate::task::coop;
use std::collections::VecDeque;
use std::fmt;
use std::io::{self, IoSlice};
use std::mem;
use std::task::{Context, Poll, Waker, ready};

/// One direction of a stream. The queue allocates memory as it fills, up to its capacity.
pub(super) struct Channel {
    capacity: usize,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    bytes: VecDeque<u8>,
    is_closed: bool,
    reader: Option<Waker>,
    writer: Option<Waker>,
}

impl Channel {
    /// Creates a channel for at most `capacity` bytes.
    ///
    /// # Panics
    ///
    /// Panics if `capacity` is 0.
    #[track_caller]
    pub(super) fn new(capacity: usize) -> Channel {
        assert!(
            capacity > 0,
            "a stream cannot transfer bytes without a buffer: set `max_buf_size` to at least 1"
        );
        Channel { capacity, state: Mutex::default() }
    }

    /// Reads the bytes that are in the queue. Returns `Ready` with 0 if the channel is closed and empty.
    pub(super) fn poll_read(&self, cx: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<usize>> {
        if buffer.is_empty() {
            return Poll::Ready(Ok(0));
        }
        self.poll_state(
            cx,
            |state| &mut state.reader,
            |state| {
                if state.bytes.is_empty() {
                    return state.is_closed.then_some((Ok(0), None));
                }
                let count = io::Read::read(&mut state.bytes, buffer);
                Some((count, state.writer.take()))
            },
        )
    }

    /// Writes as many bytes as fit into the queue.
    pub(super) fn poll_write(
        &self,
        cx: &mut Context<'_>,
        buffers: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        if buffers.iter().all(|buffer| buffer.is_empty()) {
            return Poll::Ready(Ok(0));
        }
        self.poll_state(
            cx,
            |state| &mut state.writer,
            |state| {
                if state.is_closed {
                    return Some((Err(io::ErrorKind::BrokenPipe.into()), None));
                }
                let room = self.capacity - state.bytes.len();
                if room == 0 {
                    return None;
                }
                let mut count = 0;
                for buffer in buffers {
                    let taken = &buffer[..buffer.len().min(room - count)];
                    state.bytes.extend(taken);
                    count += taken.len();
                }
                Some((Ok(count), state.reader.take()))
            },
        )
    }

    /// Closes the channel for its writer. The bytes in the queue can still be read.
    pub(super) fn close_writing(&self) {
        let Some(mut state) = self.state.lock() else { return };
        state.is_closed = true;
        // Wake the writer as well: `DuplexStream::shutdown` takes `&self`, so it may be called while a write waits.
        let wakers = (state.reader.take(), state.writer.take());
        drop(state);
        wakers.0.into_iter().chain(wakers.1).for_each(waker::wake);
    }

    /// Closes the channel for its reader, which is going to read no more. The bytes in the queue are dropped.
    pub(super) fn close_reading(&self) {
        let Some(mut state) = self.state.lock() else { return };
        state.is_closed = true;
        let bytes = mem::take(&mut state.bytes);
        let (writer, reader) = (state.writer.take(), state.reader.take());
        drop(state);
        drop(bytes);
        unwind::drop_each(reader);
        writer.into_iter().for_each(waker::wake);
    }

    /// Runs `operation` under the lock. If `operation` returns a result and the waker of the other side, wakes that
    /// waker and returns `Ready` with the result. If it returns `None`, stores the waker of `cx` in `slot` and returns
    /// `Pending`.
    fn poll_state<T>(
        &self,
        cx: &mut Context<'_>,
        slot: fn(&mut State) -> &mut Option<Waker>,
        mut operation: impl FnMut(&mut State) -> Option<(io::Result<T>, Option<Waker>)>,
    ) -> Poll<io::Result<T>> {
        ready!(coop::poll_budget(cx));
        let mut own = None;
        loop {
            let Some(mut state) = self.state.lock() else {
                unwind::drop_each(own);
                return Poll::Ready(Err(is_lost()));
            };
            if let Some((result, waker)) = operation(&mut state) {
                drop(state);
                unwind::drop_each(own);
                coop::spend();
                waker.into_iter().for_each(waker::wake);
                return Poll::Ready(result);
            }
            let slot = slot(&mut state);
            if slot.as_ref().is_some_and(|waker| waker.will_wake(cx.waker())) {
                drop(state);
                unwind::drop_each(own);
                return Poll::Pending;
            }
            if let Some(own) = own.take() {
                let earlier = slot.replace(own);
                drop(state);
                unwind::drop_each(earlier);
                return Poll::Pending;
            }
            drop(state);
            // The lock was released, so the queue may have changed. The next round runs `operation` again.
            own = Some(cx.waker().clone());
        }
    }
}

#[cold]
fn is_lost() -> io::Error {
    io::Error::new(
        io::ErrorKind::BrokenPipe,
        "this process was forked while another thread of its parent was using the stream",
    )
}

impl Drop for Channel {
    fn drop(&mut self) {
        let state = self.state.get_mut();
        unwind::drop_each([state.reader.take(), state.writer.take()]);
    }
}

impl fmt::Debug for Channel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.state.lock().map(|state| (state.bytes.len(), state.is_closed));
        let (length, is_closed) = state.unwrap_or_default();
        f.debug_struct("Channel")
            .field("length", &length)
            .field("capacity", &self.capacity)
            .field("is_closed", &is_closed)
            .finish()
    }
}
