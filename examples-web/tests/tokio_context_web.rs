//! Libraries of the web that call tokio by its name, on our thread and with our sockets.

use axum::Router;
use axum::body::Bytes;
use axum::extract::ws::{Message, WebSocketUpgrade};
use axum::http::{Request, StatusCode};
use axum::response::Sse;
use axum::response::sse::{Event, KeepAlive};
use axum::routing::{any, get, post};
use http_body_util::BodyExt;
use hyper::rt::Timer;
use runtime::hyper::serve_http;
use runtime::io::{AsyncReadExt, AsyncWriteExt};
use runtime::net::{TcpListener, TcpStream};
use runtime::tokio_context::{enter, with_tokio};
use std::convert::Infallible;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::SocketAddr;
use std::thread;
use std::time::{Duration, Instant};
use tower::ServiceExt;
use tower_http::services::ServeDir;
use tower_http::timeout::TimeoutLayer;

const MS: Duration = Duration::from_millis(1);

/// Our listener, for `axum::serve`: it accepts on tokio's thread or ours, and its streams are polled on tokio's.
struct Listener(TcpListener);

impl axum::serve::Listener for Listener {
    type Io = TcpStream;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (TcpStream, SocketAddr) {
        loop {
            match self.0.accept().await {
                Ok(accepted) => return accepted,
                Err(error) => {
                    eprintln!("accept: {error}");
                    tokio::time::sleep(MS).await;
                }
            }
        }
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.0.local_addr()
    }
}

fn router() -> Router {
    let limit = TimeoutLayer::with_status_code(StatusCode::REQUEST_TIMEOUT, 50 * MS);
    Router::new()
        .route("/thread", get(async || thread::current().name().unwrap_or_default().to_owned()))
        .route("/echo", post(async |body: Bytes| body).layer(axum::extract::DefaultBodyLimit::disable()))
        .route("/slow", get(async || std::future::pending::<()>().await).layer(limit))
        .route("/sse", get(sse))
        .route("/ws", any(upgrade))
        .nest_service("/files", ServeDir::new(env!("CARGO_MANIFEST_DIR")))
}

async fn sse() -> Sse<impl futures_util::Stream<Item = Result<Event, Infallible>>> {
    Sse::new(futures_util::stream::pending()).keep_alive(KeepAlive::new().interval(5 * MS).text("alive"))
}

async fn upgrade(upgrade: WebSocketUpgrade) -> axum::response::Response {
    upgrade.on_upgrade(async |mut socket| {
        while let Some(Ok(Message::Text(text))) = socket.recv().await {
            socket.send(Message::Text(text)).await.unwrap();
        }
    })
}

async fn get_of(router: &Router, path: &str) -> axum::response::Response {
    let request = Request::get(path).body(axum::body::Body::empty()).unwrap();
    router.clone().oneshot(request).await.unwrap()
}

/// Layers and services with timers and files of tokio's run on our thread.
#[test]
fn layers_of_tower_http_and_server_sent_events_work() {
    runtime::block_on(with_tokio(async {
        let router = router();
        let begun = Instant::now();
        assert_eq!(get_of(&router, "/slow").await.status(), StatusCode::REQUEST_TIMEOUT);
        assert!(begun.elapsed() >= 50 * MS);
        let response = get_of(&router, "/files/Cargo.toml").await;
        assert_eq!(response.status(), StatusCode::OK);
        let file = response.into_body().collect().await.unwrap().to_bytes();
        assert_eq!(file, std::fs::read(concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml")).unwrap());
        let mut events = get_of(&router, "/sse").await.into_body();
        for _ in 0..3 {
            let frame = events.frame().await.unwrap().unwrap().into_data().unwrap();
            assert_eq!(frame, ": alive\n\n");
        }
    }));
}

#[test]
fn the_timer_of_hyper_util_works() {
    runtime::block_on(with_tokio(async {
        let begun = Instant::now();
        hyper_util::rt::TokioTimer::new().sleep(5 * MS).await;
        assert!(begun.elapsed() >= 5 * MS);
    }));
}

/// The connections are tasks of tokio's: our streams are polled on a thread that has no runtime of ours.
#[test]
fn axum_serve_takes_our_listener() {
    let _context = enter();
    runtime::block_on(async {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
        let serve =
            axum::serve(Listener(listener), router()).with_graceful_shutdown(async { drop(stopped.await) });
        let serving = runtime::spawn(async { serve.await });

        assert_eq!(request(address, "GET /thread HTTP/1.1").await, "tokio-context");
        // More than the buffers of the kernel hold, so that both directions have to wait.
        let body = vec![7; 16 << 20];
        let client = reqwest::Client::new();
        let url = format!("http://{address}/echo");
        let echoed = client.post(&url).body(body.clone()).send().await.unwrap().bytes().await.unwrap();
        assert!(echoed == body);
        let mut tasks = runtime::task::JoinSet::new();
        for round in 0..20 {
            let request = client.post(&url).body(format!("{round}"));
            tasks.spawn_local(async move { (round, request.send().await.unwrap().text().await.unwrap()) });
        }
        while let Some(answer) = tasks.join_next().await {
            let (round, text) = answer.unwrap();
            assert_eq!(text, format!("{round}"));
        }
        websocket(address).await;
        drop(client);
        stop.send(()).unwrap();
        serving.await.unwrap().unwrap();
    });
}

/// The same router on our server: the connections stay on our thread.
#[test]
fn serve_http_serves_the_same_router_in_a_context() {
    let _context = enter();
    runtime::block_on(async {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let home = thread::current().name().unwrap_or_default().to_owned();
        let serving = runtime::spawn(serve_http(listener, router()).run());
        assert_eq!(request(address, "GET /thread HTTP/1.1").await, home);
        websocket(address).await;
        let slow = reqwest::get(format!("http://{address}/slow")).await.unwrap();
        assert_eq!(slow.status().as_u16(), 408);
        serving.abort();
    });
}

/// Sends a request without a body, and returns the body of the response.
async fn request(address: SocketAddr, line: &str) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(format!("{line}\r\nhost: h\r\nconnection: close\r\n\r\n").as_bytes()).await.unwrap();
    let mut response = String::new();
    stream.read_to_string(&mut response).await.unwrap();
    response.split_once("\r\n\r\n").unwrap().1.to_owned()
}

/// Has a message echoed by a WebSocket.
async fn websocket(address: SocketAddr) {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let head = "GET /ws HTTP/1.1\r\nhost: h\r\nconnection: upgrade\r\nupgrade: websocket\r\n\
                sec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut response = Vec::new();
    while !response.ends_with(b"\r\n\r\n") {
        response.push(0);
        let last = response.len() - 1;
        stream.read_exact(&mut response[last..]).await.unwrap();
    }
    assert!(response.starts_with(b"HTTP/1.1 101"), "{}", String::from_utf8_lossy(&response));
    // A text of two bytes. The mask of zeros leaves them as they are.
    stream.write_all(&[0x81, 0x82, 0, 0, 0, 0, b'h', b'i']).await.unwrap();
    let mut frame = [0; 4];
    stream.read_exact(&mut frame).await.unwrap();
    assert_eq!(frame, [0x81, 2, b'h', b'i']);
}

/// A server that answers every command of redis by a status.
fn fake_redis() -> SocketAddr {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        let (stream, _) = listener.accept().unwrap();
        let mut reader = BufReader::new(stream.try_clone().unwrap());
        let mut number = |mark: char| -> Option<usize> {
            let mut line = String::new();
            reader.read_line(&mut line).ok()?;
            let number = line.trim_end().strip_prefix(mark)?.parse().ok()?;
            if mark == '$' {
                let mut word = vec![0; number + 2];
                reader.read_exact(&mut word).ok()?;
                return Some(usize::from(word.eq_ignore_ascii_case(b"PING\r\n")));
            }
            Some(number)
        };
        while let Some(words) = number('*') {
            let is_ping = (0..words).filter(|_| number('$') == Some(1)).count() > 0;
            (&stream).write_all(if is_ping { b"+PONG\r\n" } else { b"+OK\r\n" }).unwrap();
        }
    });
    address
}

#[test]
fn the_client_of_redis_connects_by_itself() {
    let url = format!("redis://{}/", fake_redis());
    runtime::block_on(with_tokio(async {
        let client = redis::Client::open(url).unwrap();
        let mut connection = client.get_multiplexed_async_connection().await.unwrap();
        for _ in 0..3 {
            let pong: String = redis::cmd("PING").query_async(&mut connection).await.unwrap();
            assert_eq!(pong, "PONG");
        }
    }));
}
