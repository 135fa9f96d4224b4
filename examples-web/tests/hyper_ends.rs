//! The end of a connection over which the client still sends: what the server has said last is not lost by it.

mod hyper_support;

use hyper::body::Incoming;
use hyper::rt::{Read, ReadBufCursor, Write};
use hyper::service::service_fn;
use hyper::{Request, StatusCode};
use hyper_support::{Client, hello, listen, ms, s, text, watchdog};
use runtime::hyper::{FuturesIo, serve_http};
use runtime::io::{AsyncReadExt, AsyncWriteExt};
use runtime::net::TcpStream;
use runtime::sync::oneshot;
use runtime::time;
use std::convert::Infallible;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

/// More than the buffers of the kernel hold.
const MUCH: usize = 20 << 20;

/// Sends the bytes to a server, and reads to the end. Returns what was read.
async fn send_all(bytes: Vec<u8>) -> String {
    let (listener, address) = listen().await;
    runtime::spawn(serve_http(listener, hello()).run());
    let mut client = Client::connect(address).await;
    client.send(bytes).await;
    String::from_utf8(client.rest().await).unwrap()
}

#[runtime::test]
async fn the_last_response_was_reset_by_requests_behind_it() {
    let _watchdog = watchdog();
    let first = b"GET / HTTP/1.1\r\nhost: h\r\nconnection: close\r\n\r\n".to_vec();
    let further = b"GET / HTTP/1.1\r\nhost: h\r\n\r\n".repeat(MUCH / 27);
    let read = send_all([first, further].concat()).await;
    assert!(read.starts_with("HTTP/1.1 200") && read.ends_with("hello"), "{read}");
    assert_eq!(read.matches("hello").count(), 1);
}

#[runtime::test]
async fn the_answer_to_a_head_that_is_too_large_or_wrong_was_reset() {
    let _watchdog = watchdog();
    let large = [b"GET / HTTP/1.1\r\nhost: h\r\nlong: ".to_vec(), vec![b'x'; MUCH]].concat();
    assert!(send_all(large).await.starts_with("HTTP/1.1 431"));
    let wrong = [b"GET / HTTP/1.1\r\nno colon\r\n\r\n".to_vec(), vec![b'x'; MUCH]].concat();
    assert!(send_all(wrong).await.starts_with("HTTP/1.1 400"));
}

/// Sends a byte of a body each second, after the response. Returns the number of bytes that the server took.
async fn send_slowly(bytes: u32) -> u32 {
    let (listener, address) = listen().await;
    runtime::spawn(serve_http(listener, hello()).run());
    let mut client = Client::connect(address).await;
    // The paused clock does not wait for an acknowledgement that the kernel delays.
    client.0.set_nodelay(true).unwrap();
    client.send(format!("POST / HTTP/1.1\r\nhost: h\r\ncontent-length: {bytes}\r\n\r\n")).await;
    for sent in 0..bytes {
        time::sleep(s(1)).await;
        if client.0.write_all(b"x").await.is_err() {
            return sent;
        }
    }
    client.0.shutdown().await.unwrap();
    assert!(client.response().await.ends_with("hello"));
    assert_eq!(client.rest().await, b"");
    bytes
}

#[runtime::test]
async fn a_refused_upload_that_was_slow_was_reset() {
    let _watchdog = watchdog();
    time::pause();
    assert_eq!(send_slowly(25).await, 25);
    assert!((25..40).contains(&send_slowly(100).await), "it is not awaited for ever");
}

/// A stream that is always ready: after a request, it reads zeros without an end.
struct Endless {
    stream: TcpStream,
    has_begun: bool,
}

impl Read for Endless {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        mut buffer: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        if self.has_begun {
            let zeros = vec![0; buffer.remaining()];
            buffer.put_slice(&zeros);
            return Poll::Ready(Ok(()));
        }
        let polled = Read::poll_read(Pin::new(&mut self.stream), cx, buffer);
        self.has_begun = polled.is_ready();
        polled
    }
}

impl Write for Endless {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Write::poll_write(Pin::new(&mut self.stream), cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Write::poll_flush(Pin::new(&mut self.stream), cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Write::poll_shutdown(Pin::new(&mut self.stream), cx)
    }
}

#[runtime::test]
async fn the_rest_of_a_request_was_read_in_one_poll_without_an_end() {
    let _watchdog = watchdog();
    let (listener, address) = listen().await;
    let server = serve_http(listener, hello())
        .handshake(async |stream| Ok(Endless { stream, has_begun: false }))
        .graceful(time::sleep(ms(100)), s(1));
    let server = runtime::spawn(server.run());
    let mut client = Client::connect(address).await;
    client.send(b"POST / HTTP/1.1\r\nhost: h\r\ncontent-length: 100000000000\r\n\r\n").await;
    assert!(client.response().await.ends_with("hello"));
    assert_eq!(server.await.unwrap().unwrap().aborted(), 1, "other tasks go on, also that of the server");
}

#[runtime::test]
async fn a_shutdown_after_an_upgrade_threw_away_what_the_peer_sent() {
    let _watchdog = watchdog();
    let (listener, address) = listen().await;
    let (told, heard) = oneshot::channel();
    let told = std::cell::Cell::new(Some(told));
    let service = service_fn(move |mut request: Request<Incoming>| {
        let upgrade = hyper::upgrade::on(&mut request);
        let told = told.take().unwrap();
        async {
            http_body_util::BodyExt::collect(request.into_body()).await.unwrap();
            runtime::spawn(async move {
                let mut stream = FuturesIo::new(upgrade.await.unwrap());
                stream.close().await.unwrap();
                let mut bytes = Vec::new();
                stream.read_to_end(&mut bytes).await.unwrap();
                told.send(bytes).unwrap();
            });
            let mut response = text("");
            *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
            Ok::<_, Infallible>(response)
        }
    });
    runtime::spawn(serve_http(listener, service).run());
    let mut client = Client::connect(address).await;
    let head =
        b"POST / HTTP/1.1\r\nhost: h\r\nconnection: upgrade\r\nupgrade: x\r\ncontent-length: 4\r\n\r\nbody";
    client.send(head).await;
    assert!(client.response().await.starts_with("HTTP/1.1 101"));
    assert_eq!(client.rest().await, b"", "the handler has shut down its side");
    client.send("later").await;
    client.0.shutdown().await.unwrap();
    assert_eq!(heard.await.unwrap(), b"later");
}
