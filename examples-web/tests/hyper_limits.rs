//! The time limits of `serve_http`. The clock is paused: it jumps when nothing happens any more.

mod hyper_support;

use axum::Router;
use axum::routing::{get, post};
use bytes::Bytes;
use http_body_util::{BodyExt, Empty, Full};
use hyper::body::Incoming;
use hyper::client::conn::http2;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_support::{Client, GET, hello, listen, ms, s, text, watchdog};
use runtime::hyper::{Executor, TimedBody, serve_http};
use runtime::io::AsyncReadExt;
use runtime::net::TcpStream;
use runtime::sync::Notify;
use runtime::time::{self, Instant};
use std::convert::Infallible;
use std::io;
use std::rc::Rc;

fn is_about(seconds: f64, expected: f64) -> bool {
    (expected..expected + 0.5).contains(&seconds)
}

#[runtime::test]
async fn a_client_that_sends_nothing_was_never_timed() {
    time::pause();
    let (listener, address) = listen().await;
    runtime::spawn(serve_http(listener, hello()).header_timeout(s(1)).run());
    for said in [&b""[..], b"P", b"PRI * HTTP/2.0\r\n", b"GET / HT"] {
        let mut client = Client::connect(address).await;
        client.send(said).await;
        let seconds = client.seconds_to_end().await;
        assert!(is_about(seconds, 1.0), "{said:?}: {seconds}");
    }
}

#[runtime::test]
async fn a_head_that_trickles_is_cut_also_after_another_request() {
    time::pause();
    let (listener, address) = listen().await;
    runtime::spawn(serve_http(listener, hello()).header_timeout(s(1)).idle_timeout(s(100)).run());
    let mut client = Client::connect(address).await;
    client.send(GET).await;
    assert!(client.response().await.ends_with("hello"));
    time::sleep(s(50)).await;
    let start = Instant::now();
    client.send(&GET[..5]).await;
    time::sleep(ms(600)).await;
    client.send(&GET[5..9]).await;
    assert_eq!(client.rest().await, b"");
    assert!(is_about(start.elapsed().as_secs_f64(), 1.0), "{:?}", start.elapsed());
}

#[runtime::test]
async fn the_header_clock_ran_while_the_connection_was_idle() {
    time::pause();
    let (listener, address) = listen().await;
    runtime::spawn(serve_http(listener, hello()).header_timeout(s(1)).idle_timeout(s(5)).run());
    let mut client = Client::connect(address).await;
    for _ in 0..4 {
        client.send(GET).await;
        assert!(client.response().await.ends_with("hello"));
        time::sleep(s(3)).await;
    }
    client.send(GET).await;
    assert!(client.response().await.ends_with("hello"));
    let seconds = client.seconds_to_end().await;
    assert!(is_about(seconds, 5.0), "{seconds}");
}

#[runtime::test]
async fn a_handler_that_takes_long_was_taken_for_an_idle_connection() {
    time::pause();
    let (listener, address) = listen().await;
    let slow = service_fn(|_: Request<Incoming>| async {
        time::sleep(s(3600)).await;
        Ok::<_, Infallible>(text("slow"))
    });
    let server = serve_http(listener, slow).header_timeout(s(1)).idle_timeout(s(1)).write_timeout(s(1));
    runtime::spawn(server.run());
    let mut client = Client::connect(address).await;
    client.send(GET).await;
    assert!(client.response().await.ends_with("slow"));
}

#[runtime::test]
async fn a_body_that_stalled_fell_under_no_clock() {
    time::pause();
    let (listener, address) = listen().await;
    let echo = service_fn(|request: Request<TimedBody>| async {
        Ok::<_, Infallible>(match request.into_body().collect().await {
            Ok(body) => Response::new(Full::new(body.to_bytes())),
            Err(error) => {
                let error = error.downcast::<io::Error>().unwrap();
                assert_eq!(error.kind(), io::ErrorKind::TimedOut);
                let mut response = text("too slow");
                *response.status_mut() = hyper::StatusCode::REQUEST_TIMEOUT;
                response
            }
        })
    });
    runtime::spawn(serve_http(listener, echo).body_timeout(s(1)).run());
    let mut client = Client::connect(address).await;
    client.send(b"POST / HTTP/1.1\r\nhost: h\r\ncontent-length: 4\r\n\r\n").await;
    for byte in [b"a", b"b", b"c"] {
        // Slow, and in time.
        time::sleep(ms(900)).await;
        client.send(byte).await;
    }
    let start = Instant::now();
    let response = client.response().await;
    assert!(response.starts_with("HTTP/1.1 408"), "{response}");
    assert!(is_about(start.elapsed().as_secs_f64(), 1.0));
    assert_eq!(client.rest().await, b"", "the connection is closed");
}

#[runtime::test]
async fn a_router_of_axum_takes_timed_bodies() {
    time::pause();
    let (listener, address) = listen().await;
    let router = Router::new().route("/", post(async |body: Bytes| body)).route("/hello", get("hello"));
    runtime::spawn(serve_http(listener, router).body_timeout(s(1)).run());
    let mut client = Client::connect(address).await;
    client.send(b"POST / HTTP/1.1\r\nhost: h\r\ncontent-length: 4\r\n\r\nbody").await;
    assert!(client.response().await.ends_with("body"));
    client.send(b"POST / HTTP/1.1\r\nhost: h\r\ncontent-length: 4\r\n\r\nbod").await;
    let response = client.response().await;
    assert!(response.starts_with("HTTP/1.1 4"), "{response}");
}

#[runtime::test]
async fn a_client_that_reads_nothing_held_its_connection_forever() {
    time::pause();
    let (listener, address) = listen().await;
    let big = service_fn(|_: Request<Incoming>| async {
        Ok::<_, Infallible>(Response::new(Full::new(Bytes::from(vec![b'x'; 64 << 20]))))
    });
    let server = serve_http(listener, big).write_timeout(s(7)).graceful(time::sleep(s(1)), s(100));
    let start = Instant::now();
    let server = runtime::spawn(server.run());
    let mut client = Client::connect(address).await;
    client.send(GET).await;
    // The shutdown waits for the request, until the connection is cut.
    server.await.unwrap().unwrap();
    assert!((7.0..9.0).contains(&start.elapsed().as_secs_f64()), "{:?}", start.elapsed());
    drop(client);
}

#[runtime::test]
async fn a_client_that_reads_slowly_is_served() {
    time::pause();
    const BYTES: usize = 10 << 20;
    let (listener, address) = listen().await;
    let big = service_fn(|_: Request<Incoming>| async {
        Ok::<_, Infallible>(Response::new(Full::new(Bytes::from(vec![b'x'; BYTES]))))
    });
    runtime::spawn(serve_http(listener, big).write_timeout(s(5)).idle_timeout(s(5)).run());
    let mut client = Client::connect(address).await;
    client.send(b"GET / HTTP/1.1\r\nhost: h\r\nconnection: close\r\n\r\n").await;
    let (mut total, mut buffer) = (0, vec![0; 1 << 20]);
    loop {
        match client.0.read(&mut buffer).await.unwrap() {
            0 => break,
            count => total += count,
        }
        time::sleep(s(1)).await;
    }
    assert!((BYTES..BYTES + 200).contains(&total), "{total}");
}

#[runtime::test]
async fn a_silent_handshake_is_cut() {
    time::pause();
    let (listener, address) = listen().await;
    let server = serve_http(listener, hello()).handshake_timeout(s(2)).handshake(
        async |mut stream: runtime::net::TcpStream| {
            let mut word = [0; 4];
            stream.read_exact(&mut word).await?;
            if &word != b"open" {
                return Err(io::ErrorKind::InvalidData.into());
            }
            Ok(stream)
        },
    );
    runtime::spawn(server.run());
    let mut silent = Client::connect(address).await;
    let seconds = silent.seconds_to_end().await;
    assert!(is_about(seconds, 2.0), "{seconds}");
    let mut wrong = Client::connect(address).await;
    wrong.send("shut").await;
    assert!(wrong.seconds_to_end().await < 0.5);
    let mut right = Client::connect(address).await;
    right.send([b"open", GET].concat()).await;
    assert!(right.response().await.ends_with("hello"));
}

/// The timer fires after the end of a request and before the connection is polled, and the connection is polled once for
/// both.
#[runtime::test]
async fn a_connection_of_http2_whose_timer_fired_as_a_request_ended_stayed_open() {
    let _watchdog = watchdog();
    time::pause();
    let (listener, address) = listen().await;
    let gate = Rc::new(Notify::new());
    let service = service_fn({
        let gate = gate.clone();
        move |request: Request<Incoming>| {
            let gate = gate.clone();
            async move {
                if request.uri().path() == "/gate" {
                    gate.notified().await;
                }
                Ok::<_, Infallible>(Response::new(Empty::<Bytes>::new()))
            }
        }
    });
    runtime::spawn(serve_http(listener, service).idle_timeout(s(60)).run());
    let stream = TcpStream::connect(address).await.unwrap();
    // The paused clock does not wait for an acknowledgement that the kernel delays.
    stream.set_nodelay(true).unwrap();
    let (mut sender, connection) = http2::handshake(Executor, stream).await.unwrap();
    let connection = runtime::spawn(connection);
    let mut get = |path: &str| {
        let request = Request::get(format!("http://h{path}")).body(Empty::<Bytes>::new()).unwrap();
        sender.send_request(request)
    };
    get("/").await.unwrap();
    let start = Instant::now();
    time::sleep(s(30)).await;
    let last = runtime::spawn(get("/gate"));
    time::sleep(s(29)).await;
    gate.notify_one();
    let moves = runtime::spawn(time::advance(s(2)));
    // So many tasks that the loop looks at its timers before it polls the connection.
    for _ in 0..10_000 {
        runtime::spawn(async {});
    }
    last.await.unwrap().unwrap();
    moves.await.unwrap();
    connection.await.unwrap().unwrap();
    let seconds = start.elapsed().as_secs_f64();
    assert!((119.0..125.0).contains(&seconds), "{seconds}");
}
