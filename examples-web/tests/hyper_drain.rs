//! The shutdown of `serve_http`: requests in progress are finished, idle connections are closed at once, upgraded ones are
//! waited for and cut, and nothing is left.

mod hyper_support;

use futures_util::future::join_all;
use http_body_util::{BodyExt, Empty, Full};
use hyper::body::{Bytes, Incoming};
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_support::{Client, GET, hello, listen, ms, s, text, watchdog};
use hyper_util::client::legacy::Client as Pool;
use runtime::hyper::{Connector, Executor, FuturesIo, Timer, downcast, serve_http};
use runtime::io::{AsyncReadExt, AsyncWriteExt};
use runtime::net::{Drain, TcpStream};
use runtime::sync::oneshot;
use runtime::time::{self, Instant};
use std::cell::Cell;
use std::convert::Infallible;
use std::rc::Rc;

const UPGRADE: &[u8] = b"GET /ws HTTP/1.1\r\nhost: h\r\nconnection: upgrade\r\nupgrade: echo\r\n\r\n";

#[runtime::test]
async fn idle_connections_are_closed_at_once() {
    time::pause();
    let (listener, address) = listen().await;
    let (stop, stopped) = oneshot::channel::<()>();
    let server = runtime::spawn(serve_http(listener, hello()).graceful(stopped, s(100)).run());
    let mut silent = Client::connect(address).await;
    let mut idle = Client::connect(address).await;
    idle.send(GET).await;
    idle.response().await;
    let pool: Pool<_, Empty<Bytes>> = Pool::builder(Executor).http2_only(true).build(Connector::new());
    pool.get(format!("http://{address}/").parse().unwrap()).await.unwrap();
    let start = Instant::now();
    stop.send(()).unwrap();
    let served = server.await.unwrap().unwrap();
    assert_eq!((served.accepted(), served.aborted()), (3, 0));
    assert!(start.elapsed() < s(1), "{:?}", start.elapsed());
    assert_eq!((silent.rest().await, idle.rest().await), (vec![], vec![]));
}

#[runtime::test]
async fn requests_in_progress_were_dropped_by_the_shutdown() {
    time::pause();
    let (listener, address) = listen().await;
    let (stop, stopped) = oneshot::channel::<()>();
    let slow = service_fn(|_: Request<Incoming>| async {
        time::sleep(s(5)).await;
        Ok::<_, Infallible>(text("slow"))
    });
    let server = runtime::spawn(serve_http(listener, slow).graceful(stopped, s(100)).run());
    let mut arriving = Client::connect(address).await;
    arriving.send(&GET[..10]).await;
    // The first byte may be that of HTTP/2.
    let mut unknown = Client::connect(address).await;
    unknown.send("P").await;
    let mut second = Client::connect(address).await;
    second.send(GET).await;
    second.response().await;
    second.send(&GET[..10]).await;
    // It is in progress.
    let mut busy = Client::connect(address).await;
    busy.send(GET).await;
    time::sleep(s(1)).await;
    // It waits in the accept queue when the shutdown begins, with its request.
    let mut queued = std::net::TcpStream::connect(address).unwrap();
    std::io::Write::write_all(&mut queued, GET).unwrap();
    stop.send(()).unwrap();
    runtime::task::yield_now().await;
    time::sleep(s(1)).await;
    arriving.send(&GET[10..]).await;
    unknown.send("UT / HTTP/1.1\r\nhost: h\r\n\r\n").await;
    second.send(&GET[10..]).await;
    let mut queued = Client(TcpStream::from_std(queued).unwrap());
    for client in [&mut arriving, &mut unknown, &mut second, &mut queued] {
        assert!(client.response().await.ends_with("slow"));
        assert_eq!(client.rest().await, b"");
    }
    assert!(busy.response().await.ends_with("slow"));
    assert_eq!(server.await.unwrap().unwrap().aborted(), 0);
}

#[runtime::test]
async fn a_head_that_began_during_another_request_was_dropped_by_the_shutdown() {
    let _watchdog = watchdog();
    time::pause();
    let (listener, address) = listen().await;
    let (stop, stopped) = oneshot::channel::<()>();
    let slow = service_fn(|_: Request<Incoming>| async {
        time::sleep(s(5)).await;
        Ok::<_, Infallible>(text("slow"))
    });
    let server = serve_http(listener, slow).header_timeout(s(20)).graceful(stopped, s(100));
    let server = runtime::spawn(server.run());
    let mut clients = [Client::connect(address).await, Client::connect(address).await];
    for client in &mut clients {
        client.0.set_nodelay(true).unwrap();
        client.send(GET).await;
        time::sleep(s(1)).await;
        client.send(&GET[..10]).await;
    }
    for client in &mut clients {
        assert!(client.response().await.ends_with("slow"));
    }
    let start = Instant::now();
    stop.send(()).unwrap();
    time::sleep(s(1)).await;
    let [goes_on, stops] = &mut clients;
    goes_on.send(&GET[10..]).await;
    assert!(goes_on.response().await.ends_with("slow"));
    assert_eq!((goes_on.rest().await, stops.rest().await), (vec![], vec![]));
    assert_eq!(server.await.unwrap().unwrap().aborted(), 0);
    let seconds = start.elapsed().as_secs();
    assert!((15..=20).contains(&seconds), "it has the time for a head: {seconds}");
}

#[runtime::test]
async fn the_shutdown_lost_streams_of_http2() {
    let (listener, address) = listen().await;
    let (stop, stopped) = oneshot::channel::<()>();
    let started = Rc::new(Cell::new(0));
    let service = service_fn({
        let started = started.clone();
        move |_: Request<Incoming>| {
            started.set(started.get() + 1);
            async {
                time::sleep(ms(200)).await;
                Ok::<_, Infallible>(Response::new(Full::new(Bytes::from(vec![b'x'; 20_000]))))
            }
        }
    });
    let server = runtime::spawn(serve_http(listener, service).graceful(stopped, s(100)).run());
    let pool: Pool<_, Empty<Bytes>> = Pool::builder(Executor).http2_only(true).build(Connector::new());
    let get = |pool: &Pool<_, _>| pool.get(format!("http://{address}/").parse().unwrap());
    // One connection for all.
    get(&pool).await.unwrap();
    let requests: Vec<_> = (0..100).map(|_| get(&pool)).collect();
    let responses = runtime::spawn(join_all(requests.into_iter().map(async |response| {
        let response = response.await?;
        assert_eq!(response.status(), StatusCode::OK);
        Ok::<_, hyper_util::client::legacy::Error>(
            response.into_body().collect().await.unwrap().to_bytes().len(),
        )
    })));
    while started.get() < 101 {
        time::sleep(ms(1)).await;
    }
    stop.send(()).unwrap();
    let served = server.await.unwrap().unwrap();
    assert_eq!((served.accepted(), served.aborted()), (1, 0));
    for response in responses.await.unwrap() {
        assert_eq!(response.unwrap(), 20_000);
    }
}

/// Echoes what an upgraded connection sends, and says at the end whether it saw the shutdown.
async fn upgrade(mut request: Request<Incoming>) -> Result<Response<Empty<Bytes>>, Infallible> {
    let drain = request.extensions().get::<Drain>().unwrap().clone();
    let upgrade = hyper::upgrade::on(&mut request);
    runtime::spawn(async move {
        let mut stream = FuturesIo::new(upgrade.await.unwrap());
        let mut bytes = [0; 100];
        loop {
            let read = runtime::select! {
                read = stream.read(&mut bytes) => read,
                () = drain.started() => break,
            };
            match read {
                Ok(count @ 1..) => stream.write_all(&bytes[..count]).await.unwrap(),
                _ => return,
            }
        }
        stream.write_all(b"farewell").await.unwrap();
        stream.close().await.unwrap();
    });
    let mut response = Response::new(Empty::new());
    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    response.headers_mut().insert("connection", "upgrade".parse().unwrap());
    response.headers_mut().insert("upgrade", "echo".parse().unwrap());
    Ok(response)
}

#[runtime::test]
async fn the_server_did_not_wait_for_an_upgraded_connection() {
    time::pause();
    let (listener, address) = listen().await;
    let (stop, stopped) = oneshot::channel::<()>();
    let server = serve_http(listener, service_fn(upgrade)).idle_timeout(s(2)).header_timeout(s(2));
    let server = runtime::spawn(server.graceful(stopped, s(100)).run());
    let mut client = Client::connect(address).await;
    // The first bytes of the new protocol come together with the request.
    client.send([UPGRADE, b"early"].concat()).await;
    assert!(client.response().await.starts_with("HTTP/1.1 101"));
    let mut word = [0; 5];
    client.0.read_exact(&mut word).await.unwrap();
    assert_eq!(&word, b"early");
    // The limits of HTTP do not apply any more.
    time::sleep(s(60)).await;
    client.send("later").await;
    client.0.read_exact(&mut word).await.unwrap();
    assert_eq!(&word, b"later");
    let start = Instant::now();
    stop.send(()).unwrap();
    assert_eq!(client.rest().await, b"farewell");
    assert_eq!(server.await.unwrap().unwrap().aborted(), 0);
    assert!(start.elapsed() < s(1));
}

#[runtime::test]
async fn an_upgraded_connection_that_ignores_the_shutdown_is_cut() {
    time::pause();
    let (listener, address) = listen().await;
    let (stop, stopped) = oneshot::channel::<()>();
    let (told, tells) = oneshot::channel();
    let told = Rc::new(Cell::new(Some(told)));
    let service = service_fn(move |mut request: Request<Incoming>| {
        let upgrade = hyper::upgrade::on(&mut request);
        let told = told.take().unwrap();
        runtime::spawn(async move {
            let mut stream = FuturesIo::new(upgrade.await.unwrap());
            let error = stream.read(&mut [0; 10]).await.unwrap_err();
            told.send(error.kind()).unwrap();
        });
        async {
            let mut response = text("");
            *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
            Ok::<_, Infallible>(response)
        }
    });
    let server = runtime::spawn(serve_http(listener, service).graceful(stopped, s(1)).run());
    let mut client = Client::connect(address).await;
    client.send(UPGRADE).await;
    client.response().await;
    let start = Instant::now();
    stop.send(()).unwrap();
    assert_eq!(server.await.unwrap().unwrap().aborted(), 1);
    assert!(start.elapsed() < ms(1200), "{:?}", start.elapsed());
    assert_eq!(tells.await.unwrap(), std::io::ErrorKind::ConnectionAborted);
    assert_eq!(client.rest().await, b"");
}

#[runtime::test]
async fn bytes_after_an_upgrade_vanished_in_the_downcast() {
    let (listener, address) = listen().await;
    let (stop, stopped) = oneshot::channel::<()>();
    let service = service_fn(|mut request: Request<Incoming>| {
        let upgrade = hyper::upgrade::on(&mut request);
        runtime::spawn(async move {
            let parts = downcast::<TcpStream>(upgrade.await.unwrap()).unwrap();
            let mut stream = parts.io;
            let mut bytes = parts.read_buf.to_vec();
            stream.read_to_end(&mut bytes).await.unwrap();
            stream.write_all(&bytes).await.unwrap();
            drop(parts.permit);
        });
        async {
            let mut response = text("");
            *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
            Ok::<_, Infallible>(response)
        }
    });
    let server = runtime::spawn(serve_http(listener, service).graceful(stopped, s(10)).run());
    // More than the first read takes, and less.
    for length in [1, 3000, 100_000] {
        let mut client = Client::connect(address).await;
        let sent: Vec<u8> = (0..length).map(|index: u32| index.to_le_bytes()[index as usize % 2]).collect();
        client.send([UPGRADE, &sent].concat()).await;
        client.0.shutdown().await.unwrap();
        client.response().await;
        assert!(client.rest().await == sent, "{length}");
    }
    stop.send(()).unwrap();
    assert_eq!(server.await.unwrap().unwrap().aborted(), 0);
}

#[runtime::test]
async fn a_service_that_panics_kept_its_place_under_the_cap() {
    let (listener, address) = listen().await;
    let (stop, stopped) = oneshot::channel::<()>();
    let service = service_fn(|request: Request<Incoming>| async move {
        assert!(request.uri().path() != "/panic", "as the request says");
        Ok::<_, Infallible>(text("hello"))
    });
    let server = serve_http(listener, service).max_connections(1).graceful(stopped, s(100));
    let server = runtime::spawn(server.run());
    for _ in 0..100 {
        let mut client = Client::connect(address).await;
        client.send(b"GET /panic HTTP/1.1\r\nhost: h\r\n\r\n").await;
        assert_eq!(client.rest().await, b"");
        let start = Instant::now();
        let mut next = Client::connect(address).await;
        next.send(GET).await;
        assert!(next.response().await.ends_with("hello"));
        assert!(start.elapsed() < ms(200), "{:?}", start.elapsed());
    }
    stop.send(()).unwrap();
    let served = server.await.unwrap().unwrap();
    assert_eq!((served.accepted(), served.panicked()), (200, 100));
}

#[runtime::test]
async fn a_request_of_http2_that_never_ends_is_aborted() {
    time::pause();
    let (listener, address) = listen().await;
    let (stop, stopped) = oneshot::channel::<()>();
    let held = Rc::new(());
    let service = service_fn({
        let held = held.clone();
        move |_: Request<Incoming>| {
            let held = held.clone();
            async move {
                std::future::pending::<()>().await;
                drop(held);
                Ok::<_, Infallible>(text("never"))
            }
        }
    });
    let server = runtime::spawn(serve_http(listener, service).graceful(stopped, s(3)).run());
    let pool: Pool<_, Empty<Bytes>> =
        Pool::builder(Executor).timer(Timer).http2_only(true).build(Connector::new());
    let response = runtime::spawn(pool.get(format!("http://{address}/").parse().unwrap()));
    while Rc::strong_count(&held) < 3 {
        runtime::task::yield_now().await;
    }
    stop.send(()).unwrap();
    assert_eq!(server.await.unwrap().unwrap().aborted(), 1);
    assert_eq!(Rc::strong_count(&held), 1, "the request outlives the server");
    assert!(response.await.unwrap().is_err());
}
