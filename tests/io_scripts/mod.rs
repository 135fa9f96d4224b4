//! A stream that follows a script: its reads and writes are lists of chunks, waits and errors. It has the traits of
//! futures-io and those of tokio, so one program can run on both.
#![allow(dead_code, reason = "each test file uses a part")]

use std::collections::VecDeque;
use std::io::{self, ErrorKind, IoSlice};
use std::pin::{Pin, pin};
use std::task::{Context, Poll, Waker};

/// The outcome of a read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Input {
    /// These bytes arrive, in several reads if there is less room.
    Bytes(Vec<u8>),
    /// Nothing has arrived yet.
    Pending,
    Error(ErrorKind),
}

/// The outcome of a write.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Output {
    /// At most so many bytes are accepted.
    Accept(usize),
    /// There is no room yet.
    Pending,
    Error(ErrorKind),
}

/// The stream. Behind the inputs is its end, and behind the outputs everything is accepted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Scripted {
    pub(crate) inputs: VecDeque<Input>,
    pub(crate) outputs: VecDeque<Output>,
    /// The bytes that were written. A flush is recorded as `|`, and a close as `]`.
    pub(crate) written: Vec<u8>,
}

impl Scripted {
    pub(crate) fn reading(inputs: impl IntoIterator<Item = Input>) -> Scripted {
        Scripted { inputs: inputs.into_iter().collect(), ..Scripted::default() }
    }

    pub(crate) fn writing(outputs: impl IntoIterator<Item = Output>) -> Scripted {
        Scripted { outputs: outputs.into_iter().collect(), ..Scripted::default() }
    }

    fn input(&mut self, cx: &Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<usize>> {
        match self.inputs.pop_front() {
            None => Poll::Ready(Ok(0)),
            Some(Input::Bytes(mut bytes)) => {
                let count = bytes.len().min(buffer.len());
                buffer[..count].copy_from_slice(&bytes[..count]);
                bytes.drain(..count);
                if !bytes.is_empty() {
                    self.inputs.push_front(Input::Bytes(bytes));
                }
                Poll::Ready(Ok(count))
            }
            Some(Input::Pending) => pending(cx),
            Some(Input::Error(kind)) => Poll::Ready(Err(kind.into())),
        }
    }

    fn output(&mut self, cx: &Context<'_>, buffers: &[IoSlice<'_>]) -> Poll<io::Result<usize>> {
        let most = match self.outputs.pop_front() {
            None => usize::MAX,
            Some(Output::Accept(most)) => most,
            Some(Output::Pending) => return pending(cx),
            Some(Output::Error(kind)) => return Poll::Ready(Err(kind.into())),
        };
        let bytes = buffers.iter().flat_map(|buffer| buffer.iter().copied()).take(most);
        let before = self.written.len();
        self.written.extend(bytes);
        Poll::Ready(Ok(self.written.len() - before))
    }

    /// Records a flush or a close. It is pending or fails if that comes next in the script.
    fn mark(&mut self, cx: &Context<'_>, mark: u8) -> Poll<io::Result<()>> {
        match self.outputs.front() {
            Some(Output::Accept(_)) | None => {
                self.written.push(mark);
                Poll::Ready(Ok(()))
            }
            Some(_) => self.output(cx, &[]).map_ok(drop),
        }
    }
}

fn pending<T>(cx: &Context<'_>) -> Poll<T> {
    cx.waker().wake_by_ref();
    Poll::Pending
}

impl futures_lite::AsyncRead for Scripted {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        self.input(cx, buffer)
    }
}

impl futures_lite::AsyncWrite for Scripted {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &[u8]) -> Poll<io::Result<usize>> {
        self.output(cx, &[IoSlice::new(buffer)])
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffers: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.output(cx, buffers)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.mark(cx, b'|')
    }

    fn poll_close(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.mark(cx, b']')
    }
}

impl tokio::io::AsyncRead for Scripted {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut tokio::io::ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let read = self.input(cx, buffer.initialize_unfilled());
        read.map_ok(|count| buffer.advance(count))
    }
}

impl tokio::io::AsyncWrite for Scripted {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &[u8]) -> Poll<io::Result<usize>> {
        self.output(cx, &[IoSlice::new(buffer)])
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffers: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.output(cx, buffers)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.mark(cx, b'|')
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.mark(cx, b']')
    }
}

pub(crate) fn bytes(bytes: impl AsRef<[u8]>) -> Input {
    Input::Bytes(bytes.as_ref().to_vec())
}

/// Polls a future at most so many times, and drops it then.
pub(crate) fn drive<T>(polls: usize, future: impl Future<Output = T>) -> Option<T> {
    let mut future = pin!(future);
    let mut cx = Context::from_waker(Waker::noop());
    (0..polls).find_map(|_| match future.as_mut().poll(&mut cx) {
        Poll::Ready(output) => Some(output),
        Poll::Pending => None,
    })
}

/// Polls a future until it is ready.
pub(crate) fn finish<T>(future: impl Future<Output = T>) -> T {
    drive(10_000, future).expect("a script has an end")
}

/// Polls a future once, which has to leave it pending, and drops it.
pub(crate) fn cancel<T>(future: impl Future<Output = T>) {
    assert!(drive(1, future).is_none(), "the future was ready, and could not be cancelled");
}
