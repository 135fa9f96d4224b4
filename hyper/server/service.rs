//! Services: those of hyper and of tower as one, and a service that counts the requests in progress.

use super::stream::Shared;
use crate::net::Drain;
use crate::time::Instant;
use ::hyper::body::{Body, Frame, Incoming, SizeHint};
use ::hyper::service::Service;
use ::hyper::upgrade::OnUpgrade;
use ::hyper::{Method, Request, Response, StatusCode};
use pin_project_lite::pin_project;
use std::cell::Cell;
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
    in_progress: Cell<usize>,
    /// The end of the latest request after which none was in progress.
    served: Cell<Option<Instant>>,
    pub(super) shared: Arc<Shared>,
}

impl Requests {
    pub(super) fn new() -> Requests {
        Requests { in_progress: Cell::new(0), served: Cell::new(None), shared: Arc::default() }
    }

    pub(super) fn is_busy(&self) -> bool {
        self.in_progress.get() > 0
    }

    pub(super) fn served(&self) -> Option<Instant> {
        self.served.get()
    }
}

/// A request in progress, from its head to the end of its response.
struct InProgress(Rc<Requests>);

impl InProgress {
    fn begin(requests: &Rc<Requests>) -> InProgress {
        requests.in_progress.set(requests.in_progress.get() + 1);
        InProgress(requests.clone())
    }
}

impl Drop for InProgress {
    fn drop(&mut self) {
        let requests = &self.0;
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

/// What a response may open.
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
        let in_progress = Some(InProgress::begin(&self.requests));
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
        CountedFuture { future: self.service.call(request), in_progress, opens }
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
        let in_progress = this.in_progress.take();
        let InProgress(requests) = in_progress.as_ref().expect("a future is not polled after it is ready");
        let is_opened = match *this.opens {
            Opens::Nothing => false,
            Opens::Protocol => response.status() == StatusCode::SWITCHING_PROTOCOLS,
            Opens::Tunnel => response.status().is_success(),
        };
        match is_opened {
            // The tunnel lasts longer than the response, and nothing tells when it ends: the connection stays busy.
            true if requests.shared.is_http2() => requests.in_progress.set(requests.in_progress.get() + 1),
            true => requests.shared.upgrade(),
            false => {}
        }
        Poll::Ready(Ok(response.map(|body| CountedBody { body, _in_progress: in_progress })))
    }
}

pin_project! {
    /// The body of a response. When hyper drops it, the request has ended.
    pub(super) struct CountedBody<B> {
        #[pin]
        body: B,
        _in_progress: Option<InProgress>,
    }
}

impl<B: Body> Body for CountedBody<B> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<B::Data>, B::Error>>> {
        self.project().body.poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
