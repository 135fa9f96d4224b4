//! Reading, writing and seeking as a stream.
//!
//! A file has at most one operation of this kind at a time, the *last* one, and each method first waits for it: it may
//! be a write that returned before its bytes were written, or an operation whose future was dropped. What an operation
//! has found is left in the buffers, so nothing is lost if nobody waits for it.
//!
//! If the buffers are locked although the last operation has ended, an operation of another task is in progress. An
//! empty operation then waits in the queue behind it.

use super::File;
use super::buffers::{Buffers, ReadSize, Unread};
use super::shared::Operations;
use crate::io::tokio_traits::{tokio_read_by_futures, tokio_write_by_futures};
use crate::runtime::join::spawn::check_home;
use crate::task::coop;
use futures_io::{AsyncRead, AsyncSeek, AsyncWrite};
use std::io::{self, IoSlice, SeekFrom};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

/// An operation that reads, writes or seeks.
enum Op {
    Read(ReadSize),
    /// Writes the bytes that were accepted.
    Write,
    Seek(SeekFrom),
    /// Does nothing, but after the operations of other tasks.
    Wait,
}

/// The next step of a method, chosen by the state of the buffers.
enum Step<T> {
    Return(io::Result<T>),
    /// Start an operation, and look again when it has ended.
    Await(Op),
    /// Start an operation, and return.
    Detach(Op, T),
}

impl File {
    /// Waits until no operation is in progress, and takes the steps that `next` finds in the buffers.
    fn poll_steps<T>(
        &mut self,
        cx: &mut Context<'_>,
        function: &str,
        mut next: impl FnMut(&mut Buffers, &Operations) -> Step<T>,
    ) -> Poll<io::Result<T>> {
        // Careful: whether a runtime is needed depends on what is in memory, so it is asked for in any case.
        check_home(function);
        ready!(coop::poll_budget(cx));
        loop {
            ready!(self.poll_last(cx))?;
            // Careful: the lock is released before an operation is started, which may call a hook of the user's.
            let buffers = self.operations.shared.buffers.try_lock();
            let step = buffers.map(|mut buffers| next(&mut buffers, &self.operations));
            match step.unwrap_or(Step::Await(Op::Wait)) {
                Step::Return(result) => {
                    coop::spend();
                    return Poll::Ready(result);
                }
                Step::Await(op) => self.start(function, op),
                Step::Detach(op, result) => {
                    self.start(function, op);
                    coop::spend();
                    return Poll::Ready(Ok(result));
                }
            }
        }
    }

    /// Waits for the last operation.
    fn poll_last(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if let Some(last) = &mut self.last {
            let ended = ready!(Pin::new(last).poll(cx));
            self.last = None;
            ended??;
        }
        Poll::Ready(Ok(()))
    }

    fn start(&mut self, function: &str, op: Op) {
        let operations = &self.operations;
        self.last = Some(match op {
            Op::Read(size) => operations.start(function, move |buffers, std| buffers.read(std, size)),
            Op::Write => operations.start_write(function, Buffers::write),
            Op::Seek(to) => operations.start(function, move |buffers, std| buffers.seek(std, to)),
            Op::Wait => operations.start(function, |_, _| Ok(())),
        });
    }
}

impl AsyncRead for File {
    /// Reads at the position of the file. Returns 0 at its end.
    ///
    /// On Linux, bytes that the kernel has in memory are read at once, if the file system permits it. Otherwise a
    /// thread of the pool reads them. A read whose future is dropped loses nothing: the next one returns its bytes.
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<usize>> {
        let file = self.get_mut();
        file.seeking = None;
        if buffer.is_empty() {
            return Poll::Ready(Ok(0));
        }
        let max = file.max_buf_size;
        let wanted = buffer.len().min(max);
        file.poll_steps(cx, "File::read", |buffers, operations| {
            match buffers.take(buffer) {
                Unread::Bytes(count) => return Step::Return(Ok(count)),
                Unread::End(end) => return Step::Return(end.map(|()| 0)),
                Unread::Nothing => {}
            }
            let shared = &operations.shared;
            if buffers.is_empty()
                && let Some(count) = shared.no_wait.read(&shared.std, &mut buffer[..wanted])
            {
                return Step::Return(Ok(count));
            }
            Step::Await(Op::Read(ReadSize { wanted, max, is_ahead: operations.reads_ahead() }))
        })
    }
}

impl AsyncWrite for File {
    /// Copies the bytes, and returns while a thread of the pool writes them. The error of a write is therefore returned
    /// by the next write, or by a flush.
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &[u8]) -> Poll<io::Result<usize>> {
        self.poll_write_vectored(cx, &[IoSlice::new(buffer)])
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        pieces: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let file = self.get_mut();
        file.seeking = None;
        let max = file.max_buf_size;
        file.poll_steps(cx, "File::write", |buffers, _| {
            if let Err(error) = buffers.write_error.take() {
                return Step::Return(Err(error));
            }
            if buffers.is_unwritten() {
                return Step::Await(Op::Write);
            }
            match buffers.accept(pieces, max) {
                0 => Step::Return(Ok(0)),
                count => Step::Detach(Op::Write, count),
            }
        })
    }

    /// Waits until all bytes have been written to the system, and returns the error if that failed. Bytes that could
    /// not be written are kept, and the next flush tries to write them again.
    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let file = self.get_mut();
        file.seeking = None;
        file.poll_steps(cx, "File::flush", |buffers, _| match buffers.write_error.take() {
            Ok(()) if buffers.is_unwritten() => Step::Await(Op::Write),
            result => Step::Return(result),
        })
    }

    /// Flushes. The descriptor is closed when the file is dropped.
    fn poll_close(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.poll_flush(cx)
    }
}

impl AsyncSeek for File {
    /// Moves the position, after the bytes of an earlier write have been written.
    fn poll_seek(self: Pin<&mut Self>, cx: &mut Context<'_>, position: SeekFrom) -> Poll<io::Result<u64>> {
        let file = self.get_mut();
        // A seek whose future was dropped is taken up again if nothing else has happened since.
        let mut is_started = file.seeking.take() == Some(position);
        let result = file.poll_steps(cx, "File::seek", |buffers, _| {
            if is_started && let Some(result) = buffers.take_sought() {
                return Step::Return(result);
            }
            is_started = true;
            Step::Await(Op::Seek(position))
        });
        file.seeking = (is_started && result.is_pending()).then_some(position);
        result
    }
}

tokio_read_by_futures! {
    File;
}

tokio_write_by_futures! {
    File;
}
