//! Servers that are dropped in the midst of everything: by their task, with their runtime, and by their own service.

mod hyper_support;

use bytes::Bytes;
use http_body_util::Empty;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_support::frames::{PREFACE, SETTINGS, frame, get};
use hyper_support::{Client, GET, listen, watchdog};
use runtime::Runtime;
use runtime::hyper::serve_http;
use runtime::net::TcpStream;
use runtime::task::yield_now;
use std::cell::Cell;
use std::convert::Infallible;
use std::future::poll_fn;
use std::net::SocketAddr;
use std::pin::Pin;
use std::rc::Rc;
use std::task::Poll;

/// Polls the future once.
async fn poll_once(mut future: Pin<&mut impl std::future::Future>) {
    poll_fn(|cx| {
        assert!(future.as_mut().poll(cx).is_pending());
        Poll::Ready(())
    })
    .await;
}

/// Opens connections in all states, which the dropped server and the dropped runtime have to end.
async fn connections(address: SocketAddr) -> Vec<TcpStream> {
    let mut streams = Vec::new();
    let preface = [PREFACE, &frame(SETTINGS, 0, 0, b"")].concat();
    for saying in [&b""[..], b"PRI", b"GET / H", GET, &preface, &[&preface[..], &get(1), &get(3)].concat()] {
        let mut client = Client::connect(address).await;
        client.send(saying).await;
        streams.push(client.0);
    }
    streams
}

fn never(
    alive: &Rc<()>,
) -> impl hyper::service::Service<
    Request<Incoming>,
    Response = Response<Empty<Bytes>>,
    Error = Infallible,
    Future: 'static,
> + 'static {
    let alive = alive.clone();
    service_fn(move |_: Request<Incoming>| {
        let alive = alive.clone();
        async move {
            std::future::pending::<()>().await;
            drop(alive);
            Ok(Response::new(Empty::new()))
        }
    })
}

#[runtime::test]
async fn a_dropped_server_left_requests_behind() {
    let _watchdog = watchdog();
    let (listener, address) = listen().await;
    let alive = Rc::new(());
    let mut server = Box::pin(serve_http(listener, never(&alive)).run());
    let clients = runtime::spawn(connections(address));
    // The service, and the requests of one connection of HTTP/1 and two streams of HTTP/2.
    while Rc::strong_count(&alive) < 5 || !clients.is_finished() {
        poll_once(server.as_mut()).await;
        yield_now().await;
    }
    drop(server);
    for stream in clients.await.unwrap() {
        // The end, or a reset.
        drop(runtime::io::AsyncReadExt::read_to_end(&mut { stream }, &mut Vec::new()).await);
    }
    while Rc::strong_count(&alive) > 1 {
        yield_now().await;
    }
}

#[test]
fn a_runtime_dropped_while_it_serves_left_requests_behind() {
    let _watchdog = watchdog();
    let alive = Rc::new(());
    let runtime = Runtime::new().unwrap();
    let clients = runtime.block_on(async {
        let (listener, address) = listen().await;
        runtime::spawn(serve_http(listener, never(&alive)).run());
        let clients = connections(address).await;
        while Rc::strong_count(&alive) < 5 {
            yield_now().await;
        }
        clients
    });
    drop(clients);
    drop(runtime);
    assert_eq!(Rc::strong_count(&alive), 1);
}

/// The service ends its own server while it is called.
#[runtime::test]
async fn a_service_that_aborts_its_own_server() {
    let _watchdog = watchdog();
    for sends in [GET.to_vec(), [PREFACE, &frame(SETTINGS, 0, 0, b""), &get(1)].concat()] {
        let (listener, address) = listen().await;
        let server = Rc::new(Cell::new(None::<runtime::task::JoinHandle<_>>));
        let service = service_fn({
            let server = server.clone();
            move |_: Request<Incoming>| {
                server.take().expect("it is called once").abort();
                async { Ok::<_, Infallible>(hyper_support::text("hello")) }
            }
        });
        server.set(Some(runtime::spawn(serve_http(listener, service).run())));
        let mut client = Client::connect(address).await;
        client.send(sends).await;
        drop(runtime::io::AsyncReadExt::read_to_end(&mut client.0, &mut Vec::new()).await);
        assert!(std::net::TcpStream::connect(address).is_err(), "the listener is closed");
    }
}
