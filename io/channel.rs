//! Bytes on their way from one end to the other within the process: what `duplex` and `simplex` are
//! made of.
//!
//! A queue under a lock, and a seat for who reads and one for who writes. The lock is held while bytes
//! are copied and while a seat is looked at, and never while a waker is cloned, dropped or woken: a
//! waker may be anybody's code.

use crate::runtime::mutex::Mutex;
use crate::runtime::{unwind, waker};
use crate::task::coop;
use std::collections::VecDeque;
use std::fmt;
use std::io::{self, IoSlice};
use std::mem;
use std::task::{Context, Poll, Waker, ready};

/// One direction. Grows with what is in it, up to its capacity.
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
    /// # Panics
    ///
    /// If there is no room for a single byte.
    #[track_caller]
    pub(super) fn new(capacity: usize) -> Channel {
        assert!(capacity > 0, "nothing goes through a stream of no room: give `max_buf_size` at least 1");
        Channel { capacity, state: Mutex::default() }
    }

    /// Takes what there is; 0 if it is closed and empty.
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

    /// Puts in as much as there is room for.
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

    /// The writer has said all. What is there can still be read.
    pub(super) fn close_writing(&self) {
        let Some(mut state) = self.state.lock() else { return };
        state.is_closed = true;
        // Also the writer's: by reference, a second one may wait while the first one closes.
        let wakers = (state.reader.take(), state.writer.take());
        drop(state);
        wakers.0.into_iter().chain(wakers.1).for_each(waker::wake);
    }

    /// Nobody is going to read what is there.
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

    /// Ready with what `operation` says, after the waker that it gives has been woken; takes the seat
    /// if it says nothing.
    fn poll_state<T>(
        &self,
        cx: &mut Context<'_>,
        seat: fn(&mut State) -> &mut Option<Waker>,
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
            let seat = seat(&mut state);
            if seat.as_ref().is_some_and(|waker| waker.will_wake(cx.waker())) {
                drop(state);
                unwind::drop_each(own);
                return Poll::Pending;
            }
            if let Some(own) = own.take() {
                let earlier = seat.replace(own);
                drop(state);
                unwind::drop_each(earlier);
                return Poll::Pending;
            }
            drop(state);
            // Then it is looked at once more: there may be something by now.
            own = Some(cx.waker().clone());
        }
    }
}

#[cold]
fn is_lost() -> io::Error {
    io::Error::new(
        io::ErrorKind::BrokenPipe,
        "when this process was forked, a thread that is not here was using the stream",
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
