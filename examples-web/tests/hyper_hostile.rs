//! Services and clients that misbehave: panics wherever user code runs, limits of no time and of all time, and resets. Each
//! time, nothing is left, and the next client is served.

mod hyper_support;

use bytes::Bytes;
use http_body_util::{BodyExt, Empty};
use hyper::body::{Body, Frame, Incoming};
use hyper::client::conn::http2;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_support::frames::{PREFACE, SETTINGS, frame, get};
use hyper_support::{Client, GET, hello, listen, s, watchdog};
use runtime::hyper::{Executor, serve_http};
use runtime::net::{TcpListener, TcpStream};
use runtime::sync::oneshot;
use runtime::task::yield_now;
use runtime::time::{self, Duration};
use std::convert::Infallible;
use std::net::SocketAddr;
use std::os::fd::AsFd;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

const YEAR: Duration = Duration::from_secs(365 * 24 * 3600);

/// The place in which the service panics.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    Call,
    Future,
    DropOfFuture,
    Body,
    DropOfBody,
    Nowhere,
}

use Place::{Call, DropOfBody, DropOfFuture, Future, Nowhere};

fn place(request: &Request<Incoming>) -> Place {
    let all = [Call, Future, DropOfFuture, Place::Body, DropOfBody];
    all.into_iter().find(|place| request.uri().path() == format!("/{place:?}")).unwrap_or(Nowhere)
}

/// Panics when it is dropped, if it is at its place.
struct PanicsInDrop(bool);

impl Drop for PanicsInDrop {
    fn drop(&mut self) {
        assert!(!self.0 || std::thread::panicking(), "as the request says");
    }
}

/// A body of one part.
struct OnePart {
    place: Place,
    part: Option<&'static str>,
    _drop: PanicsInDrop,
}

impl Body for OnePart {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        assert!(self.place != Place::Body, "as the request says");
        Poll::Ready(self.part.take().map(|part| Ok(Frame::data(part.into()))))
    }
}

/// A service that panics where the path says, and counts the requests that have not been dropped.
fn panics(
    alive: &Rc<()>,
) -> impl hyper::service::Service<
    Request<Incoming>,
    Response = Response<OnePart>,
    Error = Infallible,
    Future: 'static,
> + 'static {
    let alive = alive.clone();
    service_fn(move |request: Request<Incoming>| {
        let place = place(&request);
        assert!(place != Call, "as the request says");
        let guard = (PanicsInDrop(place == DropOfFuture), alive.clone());
        async move {
            yield_now().await;
            assert!(place != Future, "as the request says");
            drop(guard);
            let part = Some("hello");
            Ok(Response::new(OnePart { place, part, _drop: PanicsInDrop(place == DropOfBody) }))
        }
    })
}

/// Sends a request on a connection of its own.
async fn get_http1(address: SocketAddr, path: &str) -> String {
    let mut client = Client::connect(address).await;
    client.send(format!("GET {path} HTTP/1.1\r\nhost: h\r\nconnection: close\r\n\r\n")).await;
    String::from_utf8(client.rest().await).unwrap()
}

async fn get_http2(address: SocketAddr, path: &str) -> Option<Bytes> {
    let stream = TcpStream::connect(address).await.unwrap();
    let (mut sender, connection) = http2::handshake(Executor, stream).await.unwrap();
    let connection = runtime::spawn(connection);
    let request = Request::get(format!("http://h{path}")).body(Empty::<Bytes>::new()).unwrap();
    let response = sender.send_request(request).await;
    let body = match response {
        Ok(response) => response.into_body().collect().await.ok().map(http_body_util::Collected::to_bytes),
        Err(_) => None,
    };
    drop(sender);
    drop(connection.await.unwrap());
    body
}

#[runtime::test]
async fn a_panic_of_the_service_left_something_behind() {
    let _watchdog = watchdog();
    let (listener, address) = listen().await;
    let (stop, stopped) = oneshot::channel::<()>();
    let alive = Rc::new(());
    let server = serve_http(listener, panics(&alive)).max_connections(1).graceful(stopped, Duration::MAX);
    let server = runtime::spawn(server.run());
    for round in 0..3 {
        for place in [Call, Future, DropOfFuture, Place::Body, DropOfBody] {
            let response = get_http1(address, &format!("/{place:?}")).await;
            // The body has been written before it is dropped.
            assert!(!response.ends_with("hello\r\n0\r\n\r\n"), "{place:?}: {response}");
            assert!(
                get_http1(address, "/").await.ends_with("hello\r\n0\r\n\r\n"),
                "{round}: after {place:?}"
            );
            let body = get_http2(address, &format!("/{place:?}")).await;
            assert!(body.is_none_or(|body| body.is_empty() || place == DropOfBody), "{place:?}");
            assert_eq!(get_http2(address, "/").await.unwrap(), "hello", "{round}: after {place:?}");
        }
    }
    stop.send(()).unwrap();
    let served = server.await.unwrap().unwrap();
    assert_eq!((served.accepted(), served.aborted()), (60, 0));
    assert_eq!(Rc::strong_count(&alive), 1);
}

#[runtime::test]
async fn limits_of_no_time() {
    let _watchdog = watchdog();
    time::pause();
    let zero = Duration::ZERO;
    let (listener, address) = listen().await;
    let server = serve_http(listener, hello()).handshake_timeout(zero).idle_timeout(zero).write_timeout(zero);
    runtime::spawn(server.run());
    let mut client = Client::connect(address).await;
    client.send(GET).await;
    assert!(client.response().await.ends_with("hello"));
    assert_eq!(client.rest().await, b"", "no time to be idle");
    let (listener, address) = listen().await;
    runtime::spawn(serve_http(listener, hello()).header_timeout(zero).run());
    assert!(Client::connect(address).await.seconds_to_end().await < 0.5, "no time for a head");
}

#[runtime::test]
async fn limits_of_all_time() {
    let _watchdog = watchdog();
    time::pause();
    let max = Duration::MAX;
    let (listener, address) = listen().await;
    let (stop, stopped) = oneshot::channel::<()>();
    let server = serve_http(listener, hello()).handshake_timeout(max).header_timeout(max).idle_timeout(max);
    let server = runtime::spawn(server.write_timeout(max).graceful(stopped, max).run());
    let mut client = Client::connect(address).await;
    // The paused clock does not wait for an acknowledgement that the kernel delays.
    client.0.set_nodelay(true).unwrap();
    for _ in 0..3 {
        time::sleep(YEAR).await;
        client.send(&GET[..5]).await;
        time::sleep(YEAR).await;
        client.send(&GET[5..]).await;
        assert!(client.response().await.ends_with("hello"));
    }
    stop.send(()).unwrap();
    assert_eq!(client.rest().await, b"");
    assert_eq!(server.await.unwrap().unwrap().aborted(), 0);
}

#[runtime::test]
async fn a_client_that_resets_its_connection_kept_its_place() {
    let _watchdog = watchdog();
    let (listener, address) = listen().await;
    let (stop, stopped) = oneshot::channel::<()>();
    let alive = Rc::new(());
    let service = service_fn({
        let alive = alive.clone();
        move |request: Request<Incoming>| {
            let alive = alive.clone();
            async move {
                // A handler that waits for something else than the body does not learn of the reset.
                if request.uri().path() == "/never" && request.into_body().collect().await.is_ok() {
                    std::future::pending::<()>().await;
                }
                drop(alive);
                Ok::<_, Infallible>(hyper_support::text("hello"))
            }
        }
    });
    let server = serve_http(listener, service).max_connections(1).graceful(stopped, Duration::MAX);
    let server = runtime::spawn(server.run());
    let preface = [PREFACE, &frame(SETTINGS, 0, 0, b"")].concat();
    let never = b"GET /never HTTP/1.1\r\nhost: h\r\n\r\n";
    let sayings: [&[u8]; 9] = [
        b"",
        b"PRI * ",
        b"GET / HT",
        never,
        b"POST /never HTTP/1.1\r\nhost: h\r\ncontent-length: 9\r\n\r\nhalf",
        GET,
        &preface,
        &[&preface[..], &get(1)[..5]].concat(),
        &[&preface[..], &get(1), &get(3)].concat(),
    ];
    for saying in sayings {
        let mut client = Client::connect(address).await;
        client.send(saying).await;
        for _ in 0..100 {
            yield_now().await;
        }
        client.0.set_linger(Some(Duration::ZERO)).unwrap();
        drop(client);
        assert!(get_http1(address, "/").await.ends_with("hello"), "after {saying:?}");
    }
    stop.send(()).unwrap();
    assert_eq!(server.await.unwrap().unwrap().aborted(), 0);
    assert_eq!(Rc::strong_count(&alive), 1);
}

#[runtime::test]
async fn two_servers_share_one_listener() {
    let _watchdog = watchdog();
    let (listener, address) = listen().await;
    let again = listener.as_fd().try_clone_to_owned().unwrap();
    let again = TcpListener::from_std(again.into()).unwrap();
    let (stop, stopped) = oneshot::channel::<()>();
    let first = runtime::spawn(serve_http(listener, hello()).graceful(stopped, s(10)).run());
    let (stop_second, stopped) = oneshot::channel::<()>();
    let second = runtime::spawn(serve_http(again, hello()).graceful(stopped, s(10)).run());
    for _ in 0..50 {
        assert!(get_http1(address, "/").await.ends_with("hello"));
    }
    stop.send(()).unwrap();
    let first = first.await.unwrap().unwrap();
    for _ in 0..50 {
        assert!(get_http1(address, "/").await.ends_with("hello"), "one of them is left");
    }
    stop_second.send(()).unwrap();
    let second = second.await.unwrap().unwrap();
    assert_eq!(first.accepted() + second.accepted(), 100);
}
