//! Clients that read slowly, or not at all: what they are sent is neither cut off nor held forever.

mod hyper_support;

use bytes::Bytes;
use http_body_util::{BodyExt, Empty, Full};
use hyper::body::Incoming;
use hyper::client::conn::http2;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_support::frames::{INITIAL_WINDOW_SIZE, PREFACE, SETTINGS, frame, get};
use hyper_support::{Client, GET, listen, ms, s, watchdog};
use runtime::hyper::{Executor, serve_http};
use runtime::io::AsyncReadExt;
use runtime::net::TcpStream;
use runtime::sync::oneshot;
use runtime::time::{self, Instant};
use std::convert::Infallible;

const BYTES: usize = 10 << 20;

async fn big(_: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    Ok(Response::new(Full::new(Bytes::from(vec![b'x'; BYTES]))))
}

/// Gets the response by HTTP/2, with a pause after each part of it. Returns the number of bytes.
async fn get_slowly(stream: TcpStream, pause: time::Duration) -> usize {
    let (mut sender, connection) =
        http2::Builder::new(Executor).initial_stream_window_size(1 << 20).handshake(stream).await.unwrap();
    runtime::spawn(connection);
    let request = Request::get("http://h/").body(Empty::<Bytes>::new()).unwrap();
    let mut body = sender.send_request(request).await.unwrap().into_body();
    let mut bytes = 0;
    while let Some(frame) = body.frame().await {
        let frame = frame.unwrap_or_else(|error| panic!("{error:?} after {bytes} bytes"));
        bytes += frame.into_data().unwrap().len();
        time::sleep(pause).await;
    }
    bytes
}

#[runtime::test]
async fn a_response_of_http2_that_was_read_slowly_was_taken_for_an_idle_connection() {
    let _watchdog = watchdog();
    time::pause();
    let (listener, address) = listen().await;
    runtime::spawn(serve_http(listener, service_fn(big)).idle_timeout(s(3)).write_timeout(s(5)).run());
    let start = Instant::now();
    assert_eq!(get_slowly(TcpStream::connect(address).await.unwrap(), ms(100)).await, BYTES);
    assert!(start.elapsed() > s(20), "it is slow: {:?}", start.elapsed());
}

#[runtime::test]
async fn the_shutdown_cut_a_response_of_http2_that_was_read_slowly() {
    let _watchdog = watchdog();
    time::pause();
    let (listener, address) = listen().await;
    let server = serve_http(listener, service_fn(big)).graceful(time::sleep(s(1)), s(1000));
    let server = runtime::spawn(server.run());
    assert_eq!(get_slowly(TcpStream::connect(address).await.unwrap(), ms(100)).await, BYTES);
    assert_eq!(server.await.unwrap().unwrap().aborted(), 0);
}

#[runtime::test]
async fn the_shutdown_leaves_a_response_of_http1_that_is_read_slowly() {
    let _watchdog = watchdog();
    time::pause();
    let (listener, address) = listen().await;
    let (stop, stopped) = oneshot::channel::<()>();
    let server = runtime::spawn(serve_http(listener, service_fn(big)).graceful(stopped, s(1000)).run());
    let mut client = Client::connect(address).await;
    client.send(GET).await;
    time::sleep(s(1)).await;
    stop.send(()).unwrap();
    let (mut total, mut buffer) = (0, vec![0; 256 << 10]);
    loop {
        time::sleep(s(1)).await;
        match client.0.read(&mut buffer).await.unwrap() {
            0 => break,
            count => total += count,
        }
    }
    assert!((BYTES..BYTES + 200).contains(&total), "{total}");
    assert_eq!(server.await.unwrap().unwrap().aborted(), 0);
}

/// Waits until the server closes the connection of a client that opens no window, and returns the seconds until then.
async fn seconds_without_a_window(streams: u32) -> f64 {
    let (listener, address) = listen().await;
    runtime::spawn(serve_http(listener, service_fn(big)).write_timeout(s(7)).run());
    let mut client = Client::connect(address).await;
    let window = [&INITIAL_WINDOW_SIZE[..], &0_u32.to_be_bytes()].concat();
    client.send([PREFACE, &frame(SETTINGS, 0, 0, &window)].concat()).await;
    for index in 0..streams {
        client.send(get(2 * index + 1)).await;
    }
    let start = Instant::now();
    let mut bytes = Vec::new();
    // The server may reset the connection, because of the bytes that it has not read.
    drop(client.0.read_to_end(&mut bytes).await);
    assert!(bytes.len() < 10_000, "{} bytes without a window", bytes.len());
    start.elapsed().as_secs_f64()
}

#[runtime::test]
async fn a_client_that_opens_no_window_held_its_connection_forever() {
    let _watchdog = watchdog();
    time::pause();
    for streams in [1, 5] {
        let seconds = seconds_without_a_window(streams).await;
        assert!((7.0..9.0).contains(&seconds), "{streams} streams: {seconds}");
    }
}
