//! Services: those of hyper and of tower as one, and a service that counts the requests in progress.

use super::shared::Shared;
use crate::net::Drain;
use crate::time::Instant;
use ::hyper::body::{Body, Buf, Bytes, Frame, Incoming, SizeHint};
use ::hyper::service::Service;
use ::hyper::upgrade::OnUpgrade;
use ::hyper::{Method, Request, Response, StatusCode};
use pin_project_lite::pin_project;
use std::cell::Cell;
use std::io::IoSlice;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

/// A service that [`serve_http`](super::serve_http) can serve: one of hyper or one of tower, such as a `Router` of axum.
///
/// `Kind` is found by the compiler, and is [`HyperService`] or [`TowerService`].
pub trait IntoService<Kind> {
    /// The service of hyper.
    type Service;

    /// Converts into a service of hyper.
    fn into_service(self) -> Self::Service;
}

/// The kind of services with the trait of hyper, [`hyper::service::Service`](::hyper::service::Service).
#[derive(Debug)]
pub enum HyperService {}

/// The kind of services with the trait of tower, `tower::Service`. Each request gets a clone of the service, which has to be
/// ready before it is called.
#[derive(Debug)]
pub enum TowerService {}

impl<S: Service<Request<Incoming>>> IntoService<HyperService> for S {
    type Service = S;

    fn into_service(self) -> S {
        self
    }
}

impl<S: tower_service::Service<Request<Incoming>> + Clone> IntoService<TowerService> for S {
    type Service = Tower<S>;

    fn into_service(self) -> Tower<S> {
        Tower { service: self }
    }
}

/// A service of tower as one of hyper.
#[derive(Clone, Debug)]
pub struct Tower<S> {
    service: S,
}

impl<S, R> Service<R> for Tower<S>
where
    S: tower_service::Service<R> + Clone,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = TowerFuture<S, R>;

    fn call(&self, request: R) -> TowerFuture<S, R> {
        TowerFuture { state: TowerState::Waiting { service: self.service.clone(), request: Some(request) } }
    }
}

pin_project! {
    /// The future of a request to a service of tower: it waits until the service is ready, and calls it.
    pub struct TowerFuture<S: tower_service::Service<R>, R> {
        #[pin]
        state: TowerState<S, R>,
    }
}

pin_project! {
    #[project = TowerStateProjection]
    enum TowerState<S: tower_service::Service<R>, R> {
        Waiting {
            service: S,
            request: Option<R>,
        },
        Called {
            #[pin]
            future: S::Future,
        },
    }
}

impl<S: tower_service::Service<R>, R> Future for TowerFuture<S, R> {
    type Output = Result<S::Response, S::Error>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut state = self.project().state;
        loop {
            let future = match state.as_mut().project() {
                TowerStateProjection::Called { future } => return future.poll(cx),
                TowerStateProjection::Waiting { service, request } => {
                    ready!(service.poll_ready(cx))?;
                    let request = request.take().expect("a future is not polled after it is ready");
                    service.call(request)
                }
            };
            state.set(TowerState::Called { future });
        }
    }
}

/// The requests of one connection.
pub(super) struct Requests {
    /// The number of requests that have no whole response yet, and of the parts of responses that have not been sent yet.
    in_progress: Cell<usize>,
    /// The number of requests whose service is at work: its future, or the body of its response, is polled.
    working: Cell<usize>,
    /// Counts what hyper has asked of services, and what it has sent of their responses.
    progress: Cell<u32>,
    /// The end of the latest request after which none was in progress.
    served: Cell<Option<Instant>>,
    pub(super) shared: Arc<Shared>,
}

impl Requests {
    pub(super) fn new() -> Requests {
        Requests {
            in_progress: Cell::new(0),
            working: Cell::new(0),
            progress: Cell::new(0),
            served: Cell::new(None),
            shared: Arc::default(),
        }
    }

    pub(super) fn is_busy(&self) -> bool {
        self.in_progress.get() > 0
    }

    /// Returns `true` if no service is at work: the responses wait until the client takes what has been made of them.
    pub(super) fn wait_for_client(&self) -> bool {
        self.is_busy() && self.working.get() == 0
    }

    pub(super) fn progress(&self) -> u32 {
        self.progress.get()
    }

    pub(super) fn served(&self) -> Option<Instant> {
        self.served.get()
    }

    fn make_progress(&self) {
        self.progress.set(self.progress.get().wrapping_add(1));
    }

    /// Stays busy to the end of the connection: a tunnel lasts longer than its response, and nothing tells when it ends.
    fn begin_tunnel(&self) {
        self.in_progress.set(self.in_progress.get() + 1);
        self.working.set(self.working.get() + 1);
    }
}

/// A request in progress, from its head to the end of its response, or a part of a response until it has been sent.
struct InProgress {
    requests: Rc<Requests>,
    is_working: bool,
}

impl InProgress {
    fn begin(requests: &Rc<Requests>) -> InProgress {
        requests.in_progress.set(requests.in_progress.get() + 1);
        requests.make_progress();
        InProgress { requests: requests.clone(), is_working: false }
    }

    /// Notes whether the service is at work.
    fn set_working(&mut self, is_working: bool) {
        if self.is_working != is_working {
            self.is_working = is_working;
            let working = &self.requests.working;
            working.set(if is_working { working.get() + 1 } else { working.get() - 1 });
            self.requests.make_progress();
        }
    }
}

impl Drop for InProgress {
    fn drop(&mut self) {
        self.set_working(false);
        let requests = &self.requests;
        requests.make_progress();
        requests.in_progress.set(requests.in_progress.get() - 1);
        if !requests.is_busy() {
            requests.served.set(Some(Instant::now()));
            requests.shared.end_request();
        }
    }
}

/// The service of one connection, which counts its requests.
pub(super) struct Counted<S> {
    pub(super) service: S,
    pub(super) requests: Rc<Requests>,
    pub(super) drain: Drain,
}

/// A connection that a response may open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Opens {
    Nothing,
    /// The connection becomes that of another protocol, if the status is 101.
    Protocol,
    /// The connection becomes a tunnel, if the status is that of a success. In HTTP/2, a stream of it does.
    Tunnel,
}

impl<S, B> Service<Request<Incoming>> for Counted<S>
where
    S: Service<Request<Incoming>, Response = Response<B>>,
{
    type Response = Response<CountedBody<B>>;
    type Error = S::Error;
    type Future = CountedFuture<S::Future>;

    fn call(&self, mut request: Request<Incoming>) -> Self::Future {
        if !self.requests.shared.is_http2() {
            self.requests.shared.begin_request(!request.body().is_end_stream());
        }
        let mut in_progress = InProgress::begin(&self.requests);
        in_progress.set_working(true);
        let asks_for_upgrade = request.extensions().get::<OnUpgrade>().is_some();
        if asks_for_upgrade {
            request.extensions_mut().insert(self.drain.clone());
            self.requests.shared.allow_upgrade();
        }
        let opens = match (asks_for_upgrade, request.method()) {
            (false, _) => Opens::Nothing,
            (true, &Method::CONNECT) => Opens::Tunnel,
            (true, _) => Opens::Protocol,
        };
        CountedFuture { future: self.service.call(request), in_progress: Some(in_progress), opens }
    }
}

pin_project! {
    /// The future of a request. It passes the count on to the body of the response.
    pub(super) struct CountedFuture<F> {
        #[pin]
        future: F,
        in_progress: Option<InProgress>,
        opens: Opens,
    }
}

impl<F, B, E> Future for CountedFuture<F>
where
    F: Future<Output = Result<Response<B>, E>>,
{
    type Output = Result<Response<CountedBody<B>>, E>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let response = ready!(this.future.poll(cx))?;
        let mut in_progress = this.in_progress.take().expect("a future is not polled after it is ready");
        in_progress.set_working(false);
        let requests = &in_progress.requests;
        let is_opened = match *this.opens {
            Opens::Nothing => false,
            Opens::Protocol => response.status() == StatusCode::SWITCHING_PROTOCOLS,
            Opens::Tunnel => response.status().is_success(),
        };
        match is_opened {
            true if requests.shared.is_http2() => requests.begin_tunnel(),
            true => requests.shared.upgrade(),
            false => {}
        }
        Poll::Ready(Ok(response.map(|body| CountedBody { body, in_progress })))
    }
}

pin_project! {
    /// The body of a response. When hyper has dropped it and all its parts, the request has ended.
    pub(super) struct CountedBody<B> {
        #[pin]
        body: B,
        in_progress: InProgress,
    }
}

impl<B: Body> Body for CountedBody<B> {
    type Data = CountedData<B::Data>;
    type Error = B::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Self::Data>, B::Error>>> {
        let this = self.project();
        // As long as hyper does not poll the body, it waits for the client.
        this.in_progress.set_working(true);
        let frame = ready!(this.body.poll_frame(cx));
        this.in_progress.set_working(false);
        let requests = &this.in_progress.requests;
        let counted = |data| CountedData { data, in_progress: InProgress::begin(requests) };
        Poll::Ready(frame.map(|frame| frame.map(|frame| frame.map_data(counted))))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// A part of a response. hyper drops it when it has been written: in HTTP/2, that may be long after the body was dropped.
pub(super) struct CountedData<D> {
    data: D,
    in_progress: InProgress,
}

impl<D: Buf> Buf for CountedData<D> {
    fn remaining(&self) -> usize {
        self.data.remaining()
    }

    fn chunk(&self) -> &[u8] {
        self.data.chunk()
    }

    fn chunks_vectored<'a>(&'a self, slices: &mut [IoSlice<'a>]) -> usize {
        self.data.chunks_vectored(slices)
    }

    fn advance(&mut self, count: usize) {
        self.in_progress.requests.make_progress();
        self.data.advance(count);
    }

    fn copy_to_bytes(&mut self, count: usize) -> Bytes {
        self.in_progress.requests.make_progress();
        self.data.copy_to_bytes(count)
    }
}
