//! The life of one connection: which protocol it speaks, its time limits, its end.
//!
//! ```text
//! detect ─► HTTP/1 ─► upgraded: wait until the handler drops the stream
//!       └─► HTTP/2
//! ```
//!
//! hyper-util detects the version as well, but its detection has no limit in time, and a shutdown drops a request of which
//! the first bytes have arrived. One timer serves all limits of a connection. It is not moved when a request begins or
//! ends: it fires at the earliest time at which a limit might have passed, and is then set anew.

use super::clocks::{Clocks, Limit, Limits, Seen};
use super::service::Requests;
use super::stream::ServerStream;
use crate::net::Drain;
use crate::time::{Instant, Sleep, sleep_until};
use ::hyper::rt::{Read, ReadBuf};
use std::future::poll_fn;
use std::mem::MaybeUninit;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::{Context, Poll, ready};

/// The bytes with which an HTTP/2 connection begins (RFC 9113, 3.4).
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// The size of the first reads. Most requests fit in it, and need no second read.
const FIRST_BYTES: usize = 1024;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Version {
    Http1,
    Http2,
}

/// A connection of hyper.
pub(super) trait Protocol {
    /// Polls the connection until it has ended, in whatever way.
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()>;

    /// Ends the connection after the requests in progress.
    fn end(self: Pin<&mut Self>);
}

enum Stage<I> {
    Detect {
        stream: Option<ServerStream<I>>,
        bytes: Vec<u8>,
    },
    Protocol(Version, Pin<Box<dyn Protocol>>),
    /// hyper has ended. If there was an upgrade, a handler has the stream.
    Left,
}

struct Connection<I> {
    stage: Stage<I>,
    requests: Rc<Requests>,
    clocks: Clocks,
    alarm: Option<Sleep>,
    /// The end of the latest request that the alarm was compared with.
    compared: Option<Instant>,
    /// The protocol was told to end.
    is_ending: bool,
}

/// Serves one connection to its end. `open` begins a protocol.
pub(super) async fn serve<I: Read + Unpin>(
    stream: I,
    requests: Rc<Requests>,
    limits: Limits,
    drain: &Drain,
    open: impl Fn(Version, ServerStream<I>) -> Pin<Box<dyn Protocol>>,
) {
    let stream = ServerStream::new(stream, requests.shared.clone());
    let mut connection = Connection {
        stage: Stage::Detect { stream: Some(stream), bytes: Vec::new() },
        requests,
        clocks: Clocks::new(limits, Instant::now()),
        alarm: None,
        compared: None,
        is_ending: false,
    };
    let mut drain = pin!(drain.started());
    let mut is_draining = false;
    poll_fn(|cx| {
        connection.begin_poll();
        loop {
            // The protocol comes first: at the shutdown, it serves a request that has arrived already.
            if connection.poll_stage(cx, &open).is_ready() {
                return Poll::Ready(());
            }
            is_draining = is_draining || drain.as_mut().poll(cx).is_ready();
            if is_draining && connection.may_end() {
                connection.end();
                continue;
            }
            match ready!(connection.poll_clocks(cx)) {
                Limit::Cut => return Poll::Ready(()),
                Limit::Idle => connection.end(),
            }
        }
    })
    .await;
}

impl<I: Read + Unpin> Connection<I> {
    fn begin_poll(&self) {
        if !matches!(self.stage, Stage::Left) {
            self.requests.shared.begin_poll();
        }
    }

    /// Polls the protocol, after it has been detected. Ready means that the connection has ended.
    fn poll_stage(
        &mut self,
        cx: &mut Context<'_>,
        open: &impl Fn(Version, ServerStream<I>) -> Pin<Box<dyn Protocol>>,
    ) -> Poll<()> {
        loop {
            match &mut self.stage {
                Stage::Detect { stream, bytes } => {
                    let Some(reader) = stream else { return Poll::Ready(()) };
                    let Some(version) = ready!(poll_detect(reader, bytes, cx)) else {
                        return Poll::Ready(());
                    };
                    let mut stream = stream.take().expect("it has just been read");
                    stream.put_back(std::mem::take(bytes).into());
                    if version == Version::Http2 {
                        self.requests.shared.begin_http2();
                    }
                    self.stage = Stage::Protocol(version, open(version, stream));
                }
                Stage::Protocol(_, protocol) => {
                    ready!(protocol.as_mut().poll(cx));
                    self.requests.shared.end_polls();
                    self.stage = Stage::Left;
                }
                Stage::Left => return self.requests.shared.poll_closed(cx),
            }
        }
    }

    /// Returns `false` if the connection has been told to end, or if a request is arriving that is to be served.
    fn may_end(&self) -> bool {
        !self.is_ending
            && match &self.stage {
                Stage::Detect { bytes, .. } => bytes.is_empty(),
                // Between two requests, hyper would drop the first bytes of the second one.
                Stage::Protocol(Version::Http1, _) => {
                    self.requests.is_busy() || !self.requests.shared.has_read()
                }
                Stage::Protocol(Version::Http2, _) | Stage::Left => true,
            }
    }

    /// Ends the connection after the requests in progress.
    fn end(&mut self) {
        self.is_ending = true;
        match &mut self.stage {
            Stage::Detect { stream, .. } => *stream = None,
            Stage::Protocol(_, protocol) => protocol.as_mut().end(),
            Stage::Left => {}
        }
    }

    /// Waits for the limit that applies.
    fn poll_clocks(&mut self, cx: &mut Context<'_>) -> Poll<Limit> {
        let is_http2 = match &self.stage {
            Stage::Detect { .. } => false,
            Stage::Protocol(version, _) => *version == Version::Http2,
            // The handler of an upgrade has limits of its own.
            Stage::Left => return Poll::Pending,
        };
        let Requests { shared, .. } = &*self.requests;
        // The flow control of HTTP/2 holds responses back also while the system accepts more.
        let waits = is_http2 && self.requests.wait_for_client();
        let writes = shared.unblocked().wrapping_add(self.requests.progress());
        let seen = Seen {
            is_busy: self.requests.is_busy(),
            served: self.requests.served(),
            is_http2,
            has_read: shared.has_read(),
            blocked: (shared.is_blocked() || waits).then_some(writes),
            is_ending: self.is_ending || shared.is_shut_down(),
            discarded: shared.discarded(),
        };
        // A timer that fires while no limit applies only causes this poll.
        let Some((deadline, limit)) = self.clocks.deadline(seen, Instant::now) else { return Poll::Pending };
        let compared = std::mem::replace(&mut self.compared, seen.served);
        if let Some(alarm) = &self.alarm
            && !is_http2
            && seen.served != compared
            && seen.served < Some(alarm.deadline())
            && alarm.deadline() <= deadline
        {
            // The clock was read in this poll, at the end of a request: the alarm is not due, and this task waits for it.
            // Careful: requests of HTTP/2 end in tasks of their own. The alarm may have fired since, and fires only once.
            return Poll::Pending;
        }
        let alarm = self.alarm.get_or_insert_with(|| sleep_until(deadline));
        if deadline < alarm.deadline() {
            Pin::new(&mut *alarm).reset(deadline);
        }
        while alarm.poll_unbudgeted(cx).is_ready() {
            if alarm.deadline() >= deadline {
                return Poll::Ready(limit);
            }
            Pin::new(&mut *alarm).reset(deadline);
        }
        Poll::Pending
    }
}

impl<I> Drop for Connection<I> {
    /// Cuts an upgraded stream if the server ends before its handler does.
    fn drop(&mut self) {
        self.requests.shared.cut();
    }
}

/// Reads until the version of HTTP is known. Returns `None` if the stream ends before its first byte, or fails.
fn poll_detect<I: Read + Unpin>(
    stream: &mut ServerStream<I>,
    bytes: &mut Vec<u8>,
    cx: &mut Context<'_>,
) -> Poll<Option<Version>> {
    loop {
        let mut room = [MaybeUninit::uninit(); FIRST_BYTES];
        let mut buffer = ReadBuf::uninit(&mut room);
        if ready!(Pin::new(&mut *stream).poll_read(cx, buffer.unfilled())).is_err() {
            return Poll::Ready(None);
        }
        let is_end = buffer.filled().is_empty();
        bytes.extend_from_slice(buffer.filled());
        if is_end && bytes.is_empty() {
            return Poll::Ready(None);
        }
        let compared = bytes.len().min(PREFACE.len());
        if is_end || bytes[..compared] != PREFACE[..compared] {
            return Poll::Ready(Some(Version::Http1));
        }
        if compared == PREFACE.len() {
            return Poll::Ready(Some(Version::Http2));
        }
    }
}
