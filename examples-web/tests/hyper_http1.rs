//! HTTP/1.1 by `serve_http`: kinds of services, and peers that are slow, half closed or impolite.

mod hyper_support;

use axum::Router;
use axum::extract::{Path, State};
use axum::routing::get;
use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::rt::{Read, ReadBufCursor, Write};
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_support::{Client, GET, listen, ms, s, text, watchdog};
use runtime::hyper::serve_http;
use runtime::io::{AsyncReadExt, AsyncWriteExt};
use runtime::net::TcpStream;
use runtime::time;
use std::cell::{Cell, RefCell};
use std::convert::Infallible;
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::task::{Context, Poll};

#[runtime::test]
async fn a_service_need_not_be_send() {
    let (listener, address) = listen().await;
    let visits = Rc::new(RefCell::new(Vec::new()));
    let service = service_fn({
        let visits = visits.clone();
        move |request: Request<Incoming>| {
            let visits = visits.clone();
            async move {
                runtime::task::yield_now().await;
                visits.borrow_mut().push(request.uri().path().to_owned());
                Ok::<_, Infallible>(text("hello"))
            }
        }
    });
    runtime::spawn(serve_http(listener, service).run());
    let mut client = Client::connect(address).await;
    for path in ["/one", "/two"] {
        client.send(format!("GET {path} HTTP/1.1\r\nhost: h\r\n\r\n")).await;
        assert!(client.response().await.ends_with("hello"));
    }
    assert_eq!(*visits.borrow(), ["/one", "/two"]);
}

#[runtime::test]
async fn a_router_of_axum_is_served() {
    let (listener, address) = listen().await;
    let router = Router::new()
        .route(
            "/greet/{name}",
            get(async |State(word): State<&'static str>, Path(name): Path<String>| format!("{word}, {name}")),
        )
        .with_state("hello");
    runtime::spawn(serve_http(listener, router).run());
    let mut client = Client::connect(address).await;
    client.send(b"GET /greet/you HTTP/1.1\r\nhost: h\r\n\r\n").await;
    assert!(client.response().await.ends_with("hello, you"));
}

/// A service of tower that is ready at its second poll, and counts its calls.
#[derive(Clone)]
struct LateTower {
    is_ready: bool,
    calls: Rc<Cell<u32>>,
}

impl tower::Service<Request<Incoming>> for LateTower {
    type Response = Response<Full<Bytes>>;
    type Error = Infallible;
    type Future = std::future::Ready<Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        if self.is_ready {
            return Poll::Ready(Ok(()));
        }
        self.is_ready = true;
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    fn call(&mut self, _: Request<Incoming>) -> Self::Future {
        assert!(self.is_ready, "called before it was ready");
        self.calls.set(self.calls.get() + 1);
        std::future::ready(Ok(text("tower")))
    }
}

#[runtime::test]
async fn a_service_of_tower_is_called_when_it_is_ready() {
    let (listener, address) = listen().await;
    let calls = Rc::new(Cell::new(0));
    runtime::spawn(serve_http(listener, LateTower { is_ready: false, calls: calls.clone() }).run());
    let mut client = Client::connect(address).await;
    for _ in 0..2 {
        client.send(GET).await;
        assert!(client.response().await.ends_with("tower"));
    }
    assert_eq!(calls.get(), 2);
}

#[runtime::test]
async fn a_half_closed_peer_was_dropped() {
    let (listener, address) = listen().await;
    let slow = service_fn(|_: Request<Incoming>| async {
        time::sleep(ms(20)).await;
        Ok::<_, Infallible>(text("slow"))
    });
    runtime::spawn(
        serve_http(listener, slow)
            .http1(|http1| {
                http1.half_close(true);
            })
            .run(),
    );
    let mut client = Client::connect(address).await;
    client.send(GET).await;
    client.0.shutdown().await.unwrap();
    assert!(client.response().await.ends_with("slow"));
    assert_eq!(client.rest().await, b"");
}

/// A service that reads no body, and answers 413.
async fn refuse(_: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    let mut response = text("too large");
    *response.status_mut() = StatusCode::PAYLOAD_TOO_LARGE;
    Ok(response)
}

#[runtime::test]
async fn a_refused_upload_lost_its_answer() {
    const BYTES: usize = 20 << 20;
    let (listener, address) = listen().await;
    let (stop, stopped) = runtime::sync::oneshot::channel::<()>();
    let server = runtime::spawn(serve_http(listener, service_fn(refuse)).graceful(stopped, s(60)).run());
    for round in 0..10 {
        let mut client = Client::connect(address).await;
        let head = format!("POST / HTTP/1.1\r\nhost: h\r\ncontent-length: {BYTES}\r\n\r\n");
        client.send(head).await;
        // Like many a client, it does not read before all is sent.
        client.0.write_all(&vec![b'x'; BYTES]).await.unwrap_or_else(|error| panic!("{round}: {error}"));
        let response = client.response().await;
        assert!(response.starts_with("HTTP/1.1 413") && response.ends_with("too large"), "{response}");
        assert_eq!(client.rest().await, b"");
    }
    stop.send(()).unwrap();
    server.await.unwrap().unwrap();
}

#[runtime::test]
async fn a_refused_upload_was_told_to_continue() {
    let (listener, address) = listen().await;
    runtime::spawn(serve_http(listener, service_fn(refuse)).run());
    let mut client = Client::connect(address).await;
    client.send(b"POST / HTTP/1.1\r\nhost: h\r\ncontent-length: 9\r\nexpect: 100-continue\r\n\r\n").await;
    let response = client.response().await;
    assert!(response.starts_with("HTTP/1.1 413") && response.ends_with("too large"), "{response}");
}

#[runtime::test]
async fn a_refused_upload_that_never_ends_is_cut() {
    time::pause();
    let (listener, address) = listen().await;
    let server =
        runtime::spawn(serve_http(listener, service_fn(refuse)).graceful(time::sleep(s(1)), s(60)).run());
    let mut client = Client::connect(address).await;
    client.send(b"POST / HTTP/1.1\r\nhost: h\r\ncontent-length: 1000\r\n\r\nx").await;
    let start = time::Instant::now();
    assert!(client.response().await.ends_with("too large"));
    // Only the server is to end now.
    server.await.unwrap().unwrap();
    assert!(start.elapsed() < s(10), "{:?}", start.elapsed());
}

#[runtime::test]
async fn a_response_whose_body_is_not_sent_kept_its_connection_busy() {
    let _watchdog = watchdog();
    time::pause();
    let (listener, address) = listen().await;
    // Each of them has a body all the same.
    let service = service_fn(|request: Request<Incoming>| async move {
        let mut response = text("not to be sent");
        *response.status_mut() = request.uri().path()[1..].parse().unwrap();
        Ok::<_, Infallible>(response)
    });
    runtime::spawn(serve_http(listener, service).idle_timeout(s(3)).run());
    let mut client = Client::connect(address).await;
    for (method, status) in [("HEAD", 200), ("GET", 204), ("GET", 304), ("HEAD", 404)] {
        client.send(format!("{method} /{status} HTTP/1.1\r\nhost: h\r\n\r\n")).await;
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(client.0.read_u8().await.unwrap());
        }
        assert!(head.starts_with(format!("HTTP/1.1 {status}").as_bytes()), "{method} {status}");
    }
    // No bodies, and then it is idle.
    let seconds = client.seconds_to_end().await;
    assert!((2.5..4.0).contains(&seconds), "{seconds}");
}

/// A stream that counts how it is used.
struct CountedStream {
    stream: TcpStream,
    counts: Arc<Counts>,
}

#[derive(Default)]
struct Counts {
    flushes: AtomicU32,
    shutdowns: AtomicU32,
}

impl Read for CountedStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        Read::poll_read(Pin::new(&mut self.stream), cx, buffer)
    }
}

impl Write for CountedStream {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Write::poll_write(Pin::new(&mut self.stream), cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.counts.flushes.fetch_add(1, Relaxed);
        Write::poll_flush(Pin::new(&mut self.stream), cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.counts.shutdowns.fetch_add(1, Relaxed);
        Write::poll_shutdown(Pin::new(&mut self.stream), cx)
    }
}

#[runtime::test]
async fn the_end_of_a_response_was_cut_or_spun_on() {
    const BYTES: usize = 10 << 20;
    time::pause();
    let (listener, address) = listen().await;
    let counts = Arc::new(Counts::default());
    let big = service_fn(|_: Request<Incoming>| async {
        Ok::<_, Infallible>(Response::new(Full::new(Bytes::from(vec![b'x'; BYTES]))))
    });
    let server = serve_http(listener, big).handshake({
        let counts = counts.clone();
        async move |stream| Ok(CountedStream { stream, counts: counts.clone() })
    });
    runtime::spawn(server.run());
    let mut client = Client::connect(address).await;
    client.send(b"GET / HTTP/1.1\r\nhost: h\r\nconnection: close\r\n\r\n").await;
    let (mut bytes, mut buffer) = (Vec::new(), vec![0; 256 << 10]);
    loop {
        time::sleep(ms(50)).await;
        match client.0.read(&mut buffer).await.unwrap() {
            0 => break,
            count => bytes.extend_from_slice(&buffer[..count]),
        }
    }
    let head = bytes.windows(4).position(|window| window == b"\r\n\r\n").unwrap() + 4;
    assert_eq!(bytes.len() - head, BYTES);
    assert!(counts.shutdowns.load(Relaxed) < 10, "{}", counts.shutdowns.load(Relaxed));
}

#[runtime::test]
async fn a_half_closed_peer_was_spun_on() {
    let (listener, address) = listen().await;
    let counts = Arc::new(Counts::default());
    let slow = service_fn(|_: Request<Incoming>| async {
        time::sleep(ms(50)).await;
        Ok::<_, Infallible>(text("slow"))
    });
    let server = serve_http(listener, slow)
        .handshake({
            let counts = counts.clone();
            async move |stream| Ok(CountedStream { stream, counts: counts.clone() })
        })
        .http1(|http1| {
            http1.half_close(true);
        });
    runtime::spawn(server.run());
    let mut client = Client::connect(address).await;
    client.send(GET).await;
    client.0.shutdown().await.unwrap();
    assert!(client.response().await.ends_with("slow"));
    assert_eq!(client.rest().await, b"");
    assert!(counts.flushes.load(Relaxed) < 20, "{}", counts.flushes.load(Relaxed));
}
