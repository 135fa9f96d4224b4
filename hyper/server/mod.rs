//! Serving HTTP: hyper's connections in the accept loop of `net::serve`, with the limits that hyper does not have.
//!
//! ```text
//! net::serve ─► handshake ─► connection (detect, limits, end) ─► hyper ─► Counted ─► the user's service
//!                                  │ ServerStream                  │
//!                                  └───────────────────────────────┘ what is read, written, blocked
//! ```
//!
//! A connection is told to end by the drain of `net::serve`, and is cut by it after the grace period. The tasks of HTTP/2
//! requests belong to the server.

mod body;
mod clocks;
mod connect_info;
mod connection;
mod handshake;
mod service;
mod shared;
mod stream;
mod upgrade;

pub use body::{BodyTimeout, TimedBody};
pub use handshake::{ByFunction, Handshake, NoHandshake};
pub use service::{HyperService, IntoService, Tower, TowerFuture, TowerService};
pub use upgrade::{Parts, UpgradePermit, downcast};

use super::timer::Timer;
use crate::net::serve::connections::Connections;
use crate::net::{Accept, Drain, Serve, Served, serve};
use crate::time::{Duration, timeout};
use ::hyper::body::{Body, Incoming};
use ::hyper::rt::{Executor, Read, Write};
use ::hyper::server::conn::{http1, http2};
use ::hyper::service::Service;
use ::hyper::{Request, Response};
use clocks::Limits;
use connect_info::ConnectInfo;
use connection::{Protocol, Version};
use service::{Counted, Requests};
use std::error::Error;
use std::fmt;
use std::future::Pending;
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};
use stream::ServerStream;

/// Serves HTTP/1.1 and HTTP/2 on the connections of a listener.
///
/// The version is detected for each connection by its first bytes. The service is one of hyper or of tower, such as a
/// `Router` of axum, and it is called on this thread. Neither the service nor its futures need be `Send`.
///
/// Clients have limited time by default: a client that is silent, that is slow to send a request, or that reads too slowly,
/// cannot hold a connection forever. Only a handler that waits for a request body needs a limit of its own, such as
/// [`body_timeout`](HttpServer::body_timeout). See the methods of [`HttpServer`].
///
/// # Examples
///
/// ```
/// use hyper::body::Incoming;
/// use hyper::service::service_fn;
/// use hyper::{Request, Response};
/// use runtime::hyper::serve_http;
/// use runtime::io::{AsyncReadExt, AsyncWriteExt};
/// use runtime::net::{TcpListener, TcpStream};
/// use std::cell::Cell;
/// use std::convert::Infallible;
/// use std::rc::Rc;
/// use std::time::Duration;
///
/// # runtime::block_on(async {
/// let listener = TcpListener::bind("127.0.0.1:0").await?;
/// let address = listener.local_addr()?;
///
/// let client = runtime::spawn(async move {
///     let mut client = TcpStream::connect(address).await?;
///     client.write_all(b"GET / HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n").await?;
///     let mut response = String::new();
///     client.read_to_string(&mut response).await?;
///     assert!(response.ends_with("visitor 1"));
///     std::io::Result::Ok(())
/// });
///
/// let visitors = Rc::new(Cell::new(0));
/// let service = service_fn(move |_: Request<Incoming>| {
///     visitors.set(visitors.get() + 1);
///     let text = format!("visitor {}", visitors.get());
///     async { Ok::<_, Infallible>(Response::new(text)) }
/// });
/// serve_http(listener, service)
///     .max_connections(10_000)
///     .graceful(client, Duration::from_secs(10)) // or `runtime::signal::shutdown()`
///     .run()
///     .await?;
/// # std::io::Result::Ok(()) }).unwrap();
/// ```
pub fn serve_http<L: Accept, S>(listener: L, service: S) -> HttpServer<L, S> {
    let tasks = RequestTasks(Rc::new(Connections::new()));
    let mut http1 = http1::Builder::new();
    // The limits of this server replace that of hyper, which also counts the time in which a connection is idle.
    http1.timer(Timer).header_read_timeout(None);
    let mut http2 = http2::Builder::new(tasks.clone());
    http2.timer(Timer);
    HttpServer {
        serve: serve(listener),
        service,
        handshake: NoHandshake(()),
        info: ConnectInfo::none(),
        config: Config {
            limits: Limits {
                handshake: Duration::from_secs(10),
                header: Duration::from_secs(30),
                idle: Duration::from_secs(60),
                write: Duration::from_secs(30),
            },
            http1,
            http2,
        },
        tasks,
    }
}

/// A server of HTTP that has not been started. Returned by [`serve_http`].
#[must_use = "call run to serve"]
pub struct HttpServer<L: Accept, S, H = NoHandshake, G = Pending<()>> {
    serve: Serve<L, G>,
    service: S,
    handshake: H,
    info: ConnectInfo<L::Addr>,
    config: Config,
    tasks: RequestTasks,
}

struct Config {
    limits: Limits,
    http1: http1::Builder,
    http2: http2::Builder<RequestTasks>,
}

/// Spawns the requests of HTTP/2 connections. They are aborted at the end of the server.
#[derive(Clone)]
pub struct RequestTasks(Rc<Connections>);

impl<F: Future<Output = ()> + 'static> Executor<F> for RequestTasks {
    fn execute(&self, future: F) {
        self.0.spawn(future);
    }
}

impl fmt::Debug for RequestTasks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RequestTasks").finish_non_exhaustive()
    }
}

impl<L: Accept, S, H, G: Future> HttpServer<L, S, H, G> {
    /// Sets the maximum number of connections served at once, see [`Serve::max_connections`]. There is no limit by default.
    ///
    /// # Panics
    ///
    /// Panics if it is zero.
    #[track_caller]
    pub fn max_connections(mut self, connections: usize) -> HttpServer<L, S, H, G> {
        self.serve = self.serve.max_connections(connections);
        self
    }

    /// Shuts down when `shutdown` is ready.
    ///
    /// Then the listener is closed. Idle connections are closed at once, and the others after the requests in progress, for
    /// which they have the time `grace`. What has not finished by then is aborted. [`Duration::MAX`] waits for all of them.
    /// See [`Serve::graceful`] for the connections that have not been accepted yet.
    ///
    /// A response without an end, such as a stream of events, holds the server until the grace period is over. Its handler
    /// can end it when the [`drain`](HttpServer::drain) starts.
    pub fn graceful<T: Future>(self, shutdown: T, grace: Duration) -> HttpServer<L, S, H, T> {
        let HttpServer { serve, service, handshake, info, config, tasks } = self;
        HttpServer { serve: serve.graceful(shutdown, grace), service, handshake, info, config, tasks }
    }

    /// Sets whether connections that wait in the accept queue when the shutdown begins are still served, see
    /// [`Serve::serve_queued`]. The default is `true`.
    pub fn serve_queued(mut self, on: bool) -> HttpServer<L, S, H, G> {
        self.serve = self.serve.serve_queued(on);
        self
    }

    /// Sets a function that is called when no connection can be accepted, see [`Serve::on_error`].
    pub fn on_error(mut self, report: impl FnMut(&io::Error) + 'static) -> HttpServer<L, S, H, G> {
        self.serve = self.serve.on_error(report);
        self
    }

    /// Returns a handle through which request handlers observe the shutdown.
    ///
    /// A request that asks for an upgrade, such as that of a WebSocket, has this handle also among its extensions.
    pub fn drain(&self) -> Drain {
        self.serve.drain()
    }

    /// Sets a function that makes a value of the peer's address, which each request has among its extensions.
    ///
    /// The function is called once for each connection, after the [handshake](HttpServer::handshake), and its value is
    /// cloned for each request. If the function panics, the connection ends.
    ///
    /// # Examples
    ///
    /// For axum, the function returns a `ConnectInfo(*peer)` of axum, and handlers get it by the extractor of this name.
    ///
    /// ```
    /// # async fn example() -> std::io::Result<()> {
    /// # let listener = runtime::net::TcpListener::bind("127.0.0.1:0").await?;
    /// use hyper::body::Incoming;
    /// use hyper::service::service_fn;
    /// use hyper::{Request, Response};
    /// use std::convert::Infallible;
    /// use std::net::SocketAddr;
    ///
    /// let service = service_fn(async |request: Request<Incoming>| {
    ///     let peer = request.extensions().get::<SocketAddr>();
    ///     Ok::<_, Infallible>(Response::new(format!("You are {peer:?}.")))
    /// });
    /// let server = runtime::hyper::serve_http(listener, service).connect_info(|peer: &SocketAddr| *peer);
    /// # server.run().await?;
    /// # Ok(()) }
    /// ```
    pub fn connect_info<T>(mut self, info: impl Fn(&L::Addr) -> T + 'static) -> HttpServer<L, S, H, G>
    where
        T: Clone + Send + Sync + 'static,
    {
        self.info = ConnectInfo::new(info);
        self
    }

    /// Passes each accepted stream through `handshake` before it is served, as for TLS.
    ///
    /// The handshakes of different connections run at the same time. If one fails, or does not end within the
    /// [handshake timeout](HttpServer::handshake_timeout), its connection is closed. The function can also set options of
    /// the stream.
    ///
    /// The stream that it returns has the traits of hyper. Those of other crates get them by
    /// [`TokioIo`](super::TokioIo) or [`FuturesIo`](super::FuturesIo).
    ///
    /// # Examples
    ///
    /// With tokio-rustls, the last line is `tls.accept(stream).await.map(TokioIo::new)`, where `tls` is its `TlsAcceptor`.
    ///
    /// ```
    /// # async fn example() -> std::io::Result<()> {
    /// # let listener = runtime::net::TcpListener::bind("127.0.0.1:0").await?;
    /// # let service = ();
    /// use runtime::hyper::serve_http;
    /// use runtime::net::TcpStream;
    ///
    /// let server = serve_http(listener, service).handshake(async |stream: TcpStream| {
    ///     stream.set_nodelay(true)?;
    ///     Ok(stream)
    /// });
    /// # Ok(()) }
    /// ```
    pub fn handshake<F, T>(self, handshake: F) -> HttpServer<L, S, ByFunction<F>, G>
    where
        F: AsyncFn(L::Stream) -> io::Result<T> + 'static,
    {
        let HttpServer { serve, service, info, config, tasks, .. } = self;
        HttpServer { serve, service, handshake: ByFunction(handshake), info, config, tasks }
    }

    /// Sets the time for the [handshake](HttpServer::handshake). The default is 10 seconds; [`Duration::MAX`] is no limit.
    pub fn handshake_timeout(mut self, limit: Duration) -> HttpServer<L, S, H, G> {
        self.config.limits.handshake = limit;
        self
    }

    /// Sets the time in which a client has to send the head of a request.
    ///
    /// For the first request, the time counts from the beginning of the connection, so a client that sends nothing at all
    /// is cut too. For the others, it counts from the first byte. A connection that takes longer is closed. The default is
    /// 30 seconds; [`Duration::MAX`] is no limit.
    ///
    /// In HTTP/2, it applies to the detection of the version only. Then the [idle timeout](HttpServer::idle_timeout) does.
    pub fn header_timeout(mut self, limit: Duration) -> HttpServer<L, S, H, G> {
        self.config.limits.header = limit;
        self
    }

    /// Sets the time for which a connection may be idle between two requests, before it is closed.
    ///
    /// The time counts from the end of the latest response. The default is 60 seconds; [`Duration::MAX`] is no limit.
    pub fn idle_timeout(mut self, limit: Duration) -> HttpServer<L, S, H, G> {
        self.config.limits.idle = limit;
        self
    }

    /// Sets the time in which a client has to read some bytes of a response, when the system accepts no more of it. After
    /// that the connection is closed. The default is 30 seconds; [`Duration::MAX`] is no limit.
    ///
    /// In HTTP/2, a client can also hold back the responses of single streams. The limit applies while all requests of the
    /// connection wait for the client in this way.
    pub fn write_timeout(mut self, limit: Duration) -> HttpServer<L, S, H, G> {
        self.config.limits.write = limit;
        self
    }

    /// Sets the time in which a client has to send the next bytes of a request body, while the handler waits for them.
    ///
    /// The service gets requests with a [`TimedBody`] in the place of [`Incoming`]. For services that take any body, such
    /// as a `Router` of axum, nothing changes. When the time is up, the body returns an error, and after the response to it
    /// an HTTP/1.1 connection is closed. There is no such limit by default.
    pub fn body_timeout(self, limit: Duration) -> HttpServer<L, BodyTimeout<S>, H, G> {
        let HttpServer { serve, service, handshake, info, config, tasks } = self;
        HttpServer { serve, service: BodyTimeout::new(service, limit), handshake, info, config, tasks }
    }

    /// Sets further options of HTTP/1.1, with the builder of hyper.
    ///
    /// # Examples
    ///
    /// A client that shuts down its side for writing still gets its response:
    ///
    /// ```
    /// # async fn example() -> std::io::Result<()> {
    /// # let listener = runtime::net::TcpListener::bind("127.0.0.1:0").await?;
    /// # let service = ();
    /// let server = runtime::hyper::serve_http(listener, service).http1(|http1| {
    ///     http1.half_close(true);
    /// });
    /// # Ok(()) }
    /// ```
    pub fn http1(mut self, configure: impl FnOnce(&mut http1::Builder)) -> HttpServer<L, S, H, G> {
        configure(&mut self.config.http1);
        self
    }

    /// Sets further options of HTTP/2, with the builder of hyper.
    pub fn http2(
        mut self,
        configure: impl FnOnce(&mut http2::Builder<RequestTasks>),
    ) -> HttpServer<L, S, H, G> {
        configure(&mut self.config.http2);
        self
    }

    /// Serves connections until the shutdown set by [`graceful`](HttpServer::graceful), or else until the listener fails.
    ///
    /// If the service panics, only the connection or, in HTTP/2, the request ends.
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped, it aborts all connections and requests, and closes the listener.
    ///
    /// # Errors
    ///
    /// Returns the error of the listener, see [`Serve::run`]. The errors of single connections are not returned.
    ///
    /// # Panics
    ///
    /// Panics if no runtime is entered on this thread, or if `shutdown` or the function of
    /// [`on_error`](HttpServer::on_error) panics.
    pub async fn run<K, B>(self) -> io::Result<Served>
    where
        S: IntoService<K>,
        S::Service: Service<Request<Incoming>, Response = Response<B>> + 'static,
        <S::Service as Service<Request<Incoming>>>::Error: Into<Box<dyn Error + Send + Sync>>,
        <S::Service as Service<Request<Incoming>>>::Future: 'static,
        B: Body + 'static,
        B::Error: Into<Box<dyn Error + Send + Sync>>,
        H: Handshake<L::Stream> + 'static,
        H::Stream: Read + Write + Unpin + Send + 'static,
    {
        let HttpServer { serve, service, handshake, info, config, tasks } = self;
        let service = Rc::new(service.into_service());
        let drain = serve.drain();
        let handle = async move |stream: L::Stream, peer: L::Addr| {
            let limits = config.limits;
            let Ok(Ok(stream)) = timeout(limits.handshake, handshake.complete(stream)).await else { return };
            let requests = Rc::new(Requests::new());
            let service = info.around(service.clone(), &peer);
            let open = |version, stream: ServerStream<H::Stream>| -> Pin<Box<dyn Protocol>> {
                let (service, requests, drain) = (service.clone(), requests.clone(), drain.clone());
                let counted = Counted { service, requests, drain };
                match version {
                    Version::Http1 => {
                        Box::pin(config.http1.serve_connection(stream, counted).with_upgrades())
                    }
                    Version::Http2 => Box::pin(config.http2.serve_connection(stream, counted)),
                }
            };
            connection::serve(stream, requests.clone(), limits, &drain, open).await;
        };
        let served = serve.run(handle).await;
        // The requests of aborted connections.
        tasks.0.abort();
        tasks.0.wait_for_fewer_than(1).await;
        served
    }
}

impl<I, S, B> Protocol for http1::UpgradeableConnection<ServerStream<I>, Counted<S>>
where
    I: Read + Write + Unpin + Send + 'static,
    S: Service<Request<Incoming>, Response = Response<B>>,
    S::Error: Into<Box<dyn Error + Send + Sync>>,
    B: Body + 'static,
    B::Error: Into<Box<dyn Error + Send + Sync>>,
{
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        Future::poll(self, cx).map(drop)
    }

    fn end(self: Pin<&mut Self>) {
        self.graceful_shutdown();
    }
}

impl<I, S, B> Protocol for http2::Connection<ServerStream<I>, Counted<S>, RequestTasks>
where
    I: Read + Write + Unpin + 'static,
    S: Service<Request<Incoming>, Response = Response<B>>,
    S::Error: Into<Box<dyn Error + Send + Sync>>,
    S::Future: 'static,
    B: Body + 'static,
    B::Error: Into<Box<dyn Error + Send + Sync>>,
{
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        Future::poll(self, cx).map(drop)
    }

    fn end(self: Pin<&mut Self>) {
        self.graceful_shutdown();
    }
}

impl<L: Accept, S, H, G> fmt::Debug for HttpServer<L, S, H, G> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpServer")
            .field("serve", &self.serve)
            .field("limits", &self.config.limits)
            .finish_non_exhaustive()
    }
}
