//! The client of hyper-util on our connector, timer and executor, and HTTP/2 by prior knowledge.

mod hyper_support;

use http_body_util::{BodyExt, Empty, Full};
use hyper::body::{Bytes, Incoming};
use hyper::service::service_fn;
use hyper::{Request, Response, Version};
use hyper_support::{hello, listen, ms, s, watchdog};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::Connect;
use runtime::hyper::{Connector, Executor, Timer, serve_http};
use runtime::net::TcpStream;
use runtime::time;
use std::convert::Infallible;
use std::io;
use tower::Service;

fn takes_connectors(_: &impl Connect) {}

#[runtime::test]
async fn http2_by_prior_knowledge_shares_one_connection() {
    let (listener, address) = listen().await;
    let echo = service_fn(|request: Request<Incoming>| async {
        assert_eq!(request.version(), Version::HTTP_2);
        let body = request.into_body().collect().await.unwrap().to_bytes();
        Ok::<_, Infallible>(Response::new(Full::new(body)))
    });
    let (stop, stopped) = runtime::sync::oneshot::channel::<()>();
    let server = runtime::spawn(serve_http(listener, echo).graceful(stopped, s(10)).run());
    let client = Client::builder(Executor).timer(Timer).http2_only(true).build(Connector::new());
    let post = async |length: usize| {
        let body = Full::new(Bytes::from(vec![b'x'; length]));
        let request = Request::post(format!("http://localhost:{}/", address.port())).body(body).unwrap();
        let response = client.request(request).await.unwrap();
        response.into_body().collect().await.unwrap().to_bytes().len()
    };
    assert_eq!(post(3).await, 3);
    let all = futures_util::future::join_all((0..50).map(|index| post(index * 10_000))).await;
    assert!(all.into_iter().eq((0..50).map(|index| index * 10_000)));
    stop.send(()).unwrap();
    assert_eq!(server.await.unwrap().unwrap().accepted(), 1);
}

#[runtime::test]
async fn the_pool_handed_out_dead_connections() {
    time::pause();
    let (listener, address) = listen().await;
    let (stop, stopped) = runtime::sync::oneshot::channel::<()>();
    let server = serve_http(listener, hello()).idle_timeout(ms(100)).graceful(stopped, s(10));
    let server = runtime::spawn(server.run());
    let client: Client<_, Empty<Bytes>> =
        Client::builder(Executor).pool_timer(Timer).timer(Timer).build(Connector::new());
    for _ in 0..100 {
        let response = client.get(format!("http://{address}/").parse().unwrap()).await.unwrap();
        assert_eq!(response.into_body().collect().await.unwrap().to_bytes(), "hello");
        time::sleep(ms(150)).await;
    }
    stop.send(()).unwrap();
    assert_eq!(server.await.unwrap().unwrap().accepted(), 100);
}

#[runtime::test]
async fn the_pool_never_closed_its_idle_connections() {
    time::pause();
    let (listener, address) = listen().await;
    let (stop, stopped) = runtime::sync::oneshot::channel::<()>();
    let server = serve_http(listener, hello()).idle_timeout(s(1000)).graceful(stopped, s(10));
    let server = runtime::spawn(server.run());
    let client: Client<_, Empty<Bytes>> =
        Client::builder(Executor).pool_timer(Timer).pool_idle_timeout(s(5)).build(Connector::new());
    let response = client.get(format!("http://{address}/").parse().unwrap()).await.unwrap();
    response.into_body().collect().await.unwrap();
    time::sleep(s(20)).await;
    let again = client.get(format!("http://{address}/").parse().unwrap()).await.unwrap();
    again.into_body().collect().await.unwrap();
    stop.send(()).unwrap();
    assert_eq!(server.await.unwrap().unwrap().accepted(), 2, "the first connection was closed after 5 s");
}

/// Returns the number of descriptors that this process has for sockets of this port.
fn sockets(port: u16) -> usize {
    let port = format!(":{port:04X} ");
    let table = std::fs::read_to_string("/proc/self/net/tcp").unwrap();
    let rows = table.lines().filter(|row| row.contains(&port));
    let inodes: Vec<&str> = rows.map(|row| row.split_whitespace().nth(9).unwrap()).collect();
    let descriptors = std::fs::read_dir("/proc/self/fd").unwrap();
    let links = descriptors.filter_map(|entry| std::fs::read_link(entry.unwrap().path()).ok());
    let is_ours = |link: &std::path::PathBuf| {
        inodes.iter().any(|inode| *inode != "0" && link.to_str() == Some(&format!("socket:[{inode}]")))
    };
    links.filter(is_ours).count()
}

#[runtime::test]
async fn idle_connections_of_the_pool_kept_their_descriptors() {
    let _watchdog = watchdog();
    time::pause();
    let (listener, address) = listen().await;
    runtime::spawn(serve_http(listener, hello()).idle_timeout(s(1000)).run());
    assert_eq!(sockets(address.port()), 1, "the listener");
    let client: Client<_, Empty<Bytes>> =
        Client::builder(Executor).pool_timer(Timer).pool_idle_timeout(s(5)).build(Connector::new());
    let get = || client.get(format!("http://{address}/").parse().unwrap());
    let responses = futures_util::future::join_all((0..10).map(|_| get())).await;
    for response in responses {
        response.unwrap().into_body().collect().await.unwrap();
    }
    assert_eq!(sockets(address.port()), 21, "both ends of ten connections");
    time::sleep(s(20)).await;
    assert_eq!(sockets(address.port()), 1);
}

#[runtime::test]
async fn small_requests_were_delayed_by_nagle() {
    let (listener, address) = listen().await;
    for (connector, nodelay) in [(Connector::new(), true), (Connector::new().nodelay(false), false)] {
        takes_connectors(&connector);
        let stream = { connector }.call(format!("http://{address}/").parse().unwrap()).await.unwrap();
        assert_eq!(stream.nodelay().unwrap(), nodelay);
        listener.accept().await.unwrap();
    }
}

#[runtime::test]
async fn an_attempt_to_connect_ends_in_time() {
    time::pause();
    // An address for documentation (RFC 5737): nothing answers, or there is no route.
    let mut connector = Connector::new().connect_timeout(s(3));
    let error = connector.call("http://192.0.2.1:9/".parse().unwrap()).await.unwrap_err();
    let kinds = [io::ErrorKind::TimedOut, io::ErrorKind::NetworkUnreachable, io::ErrorKind::HostUnreachable];
    assert!(kinds.contains(&error.kind()) || error.kind() == io::ErrorKind::ConnectionRefused, "{error}");
    let (_, address) = listen().await;
    let refused = Connector::new().call(format!("http://{address}/").parse().unwrap()).await;
    assert_eq!(refused.unwrap_err().kind(), io::ErrorKind::ConnectionRefused);
}

#[runtime::test]
async fn a_unix_stream_and_a_tcp_stream_need_no_wrapper() {
    fn is_io<
        T: hyper::rt::Read + hyper::rt::Write + hyper_util::client::legacy::connect::Connection + Unpin + Send,
    >() {
    }
    is_io::<TcpStream>();
    is_io::<runtime::net::UnixStream>();
}
