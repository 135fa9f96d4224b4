//! Bodies of requests with a time limit.

use crate::time::{Duration, Sleep, sleep};
use ::hyper::Request;
use ::hyper::body::{Body, Bytes, Frame, Incoming, SizeHint};
use ::hyper::service::Service;
use std::error::Error;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

/// The body of a request whose client has limited time for each part of it, see
/// [`body_timeout`](super::HttpServer::body_timeout).
///
/// After the time is up, the body returns an error that is an [`io::Error`] of kind
/// [`TimedOut`](io::ErrorKind::TimedOut), and then ends.
#[derive(Debug)]
pub struct TimedBody {
    /// `None` after the time was up.
    body: Option<Incoming>,
    timeout: Duration,
    /// Armed while the handler waits for the next part.
    alarm: Option<Sleep>,
}

impl Body for TimedBody {
    type Data = Bytes;
    type Error = Box<dyn Error + Send + Sync>;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        let this = &mut *self;
        let Some(body) = &mut this.body else { return Poll::Ready(None) };
        if let Poll::Ready(frame) = Pin::new(body).poll_frame(cx) {
            this.alarm = None;
            return Poll::Ready(frame.map(|frame| frame.map_err(Into::into)));
        }
        let alarm = this.alarm.get_or_insert_with(|| sleep(this.timeout));
        if alarm.poll_unbudgeted(cx).is_pending() {
            return Poll::Pending;
        }
        (this.body, this.alarm) = (None, None);
        let error =
            io::Error::new(io::ErrorKind::TimedOut, "the client has sent no more of its body in time");
        Poll::Ready(Some(Err(error.into())))
    }

    fn is_end_stream(&self) -> bool {
        self.body.as_ref().is_none_or(Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.body.as_ref().map_or_else(|| SizeHint::with_exact(0), Body::size_hint)
    }
}

/// A service whose requests have a [`TimedBody`], created by [`body_timeout`](super::HttpServer::body_timeout).
#[derive(Clone, Debug)]
pub struct BodyTimeout<S> {
    service: S,
    timeout: Duration,
}

impl<S> BodyTimeout<S> {
    pub(super) fn new(service: S, timeout: Duration) -> BodyTimeout<S> {
        BodyTimeout { service, timeout }
    }

    fn limit(&self, request: Request<Incoming>) -> Request<TimedBody> {
        request.map(|body| TimedBody { body: Some(body), timeout: self.timeout, alarm: None })
    }
}

impl<S: Service<Request<TimedBody>>> Service<Request<Incoming>> for BodyTimeout<S> {
    type Response = S::Response;
    type Error = S::Error;
    type Future = S::Future;

    fn call(&self, request: Request<Incoming>) -> S::Future {
        self.service.call(self.limit(request))
    }
}

impl<S: tower_service::Service<Request<TimedBody>>> tower_service::Service<Request<Incoming>>
    for BodyTimeout<S>
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = S::Future;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.service.poll_ready(cx)
    }

    fn call(&mut self, request: Request<Incoming>) -> S::Future {
        let request = self.limit(request);
        self.service.call(request)
    }
}
