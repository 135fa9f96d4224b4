//! WebSockets on connections that `serve_http` has upgraded: the first frame comes together with the request.

mod hyper_support;

use async_tungstenite::WebSocketStream;
use async_tungstenite::tungstenite::handshake::derive_accept_key;
use async_tungstenite::tungstenite::protocol::Role;
use async_tungstenite::tungstenite::{Error, Message};
use axum::Router;
use axum::extract::ws::{Message as AxumMessage, WebSocketUpgrade};
use axum::routing::any;
use bytes::Bytes;
use futures_lite::io::{AsyncRead, AsyncWrite};
use futures_util::StreamExt;
use http_body_util::Empty;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_support::{Client, listen, s, watchdog};
use runtime::hyper::{FuturesIo, downcast, serve_http};
use runtime::io::AsyncReadExt;
use runtime::net::TcpStream;
use runtime::sync::oneshot;
use std::convert::Infallible;
use std::net::SocketAddr;

const UPGRADE: &[u8] = b"GET /ws HTTP/1.1\r\nhost: h\r\nconnection: upgrade\r\nupgrade: websocket\r\n\
    sec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";

/// Returns a binary message of a client, as one frame. The mask of zeros leaves the bytes as they are.
fn masked(message: &[u8]) -> Vec<u8> {
    let length = u64::try_from(message.len()).unwrap().to_be_bytes();
    [&[0x82, 0xff], &length[..], &[0; 4], message].concat()
}

/// Sends the request with the first message in one write, and part of the second one. Each message has to come back once.
async fn check(address: SocketAddr) {
    for length in [1, 200, 3000, 100_000] {
        let messages =
            [1, 2].map(|seed| (0..length).map(|index: usize| (index * seed).to_le_bytes()[0]).collect());
        let [first, second]: [Vec<u8>; 2] = messages;
        let frames = [masked(&first), masked(&second)];
        let mut client = Client::connect(address).await;
        let half = frames[1].len() / 2;
        client.send([UPGRADE, &frames[0], &frames[1][..half]].concat()).await;
        assert!(client.response().await.starts_with("HTTP/1.1 101"));
        client.send(&frames[1][half..]).await;
        for expected in [first, second] {
            let head = [client.0.read_u8().await.unwrap(), client.0.read_u8().await.unwrap()];
            assert_eq!(head[0], 0x82, "one frame that is binary");
            let count = match head[1] {
                126 => usize::from(client.0.read_u16().await.unwrap()),
                127 => usize::try_from(client.0.read_u64().await.unwrap()).unwrap(),
                count => usize::from(count),
            };
            let mut message = vec![0; count];
            client.0.read_exact(&mut message).await.unwrap();
            assert!(message == expected, "{length} bytes: {count} came back");
        }
        // The frame that closes the WebSocket, and the answer to it.
        client.send([0x88, 0x80, 0, 0, 0, 0]).await;
        assert_eq!(client.rest().await, [0x88, 0]);
    }
}

#[test]
fn the_first_frame_vanished_in_the_extractor_of_axum() {
    let _watchdog = watchdog();
    // It calls tokio::spawn.
    let _context = runtime::tokio_context::enter();
    runtime::block_on(async {
        let (listener, address) = listen().await;
        let (stop, stopped) = oneshot::channel::<()>();
        let echo = async |upgrade: WebSocketUpgrade| {
            upgrade.on_upgrade(async |mut socket| {
                while let Some(Ok(message @ AxumMessage::Binary(_))) = socket.recv().await {
                    socket.send(message).await.unwrap();
                }
                // Until the peer has the answer to its close.
                while socket.recv().await.is_some() {}
            })
        };
        let router = Router::new().route("/ws", any(echo));
        let server = runtime::spawn(serve_http(listener, router).graceful(stopped, s(10)).run());
        check(address).await;
        stop.send(()).unwrap();
        assert_eq!(server.await.unwrap().unwrap().aborted(), 0);
    });
}

async fn echo(mut socket: WebSocketStream<impl AsyncRead + AsyncWrite + Unpin>) -> Result<(), Error> {
    while let Some(message) = socket.next().await.transpose()? {
        if let Message::Binary(_) = message {
            socket.send(message).await?;
        }
    }
    Ok(())
}

/// Accepts the WebSocket, and has messages echoed on the upgraded connection itself, or on the stream in it.
fn upgrade(mut request: Request<Incoming>, downcasts: bool) -> Response<Empty<Bytes>> {
    let upgrade = hyper::upgrade::on(&mut request);
    runtime::spawn(async move {
        let upgraded = upgrade.await.unwrap();
        let end = if downcasts {
            let parts = downcast::<TcpStream>(upgraded).unwrap();
            let read = parts.read_buf.to_vec();
            echo(WebSocketStream::from_partially_read(parts.io, read, Role::Server, None).await).await
        } else {
            let stream = FuturesIo::new(upgraded);
            echo(WebSocketStream::from_raw_socket(stream, Role::Server, None).await).await
        };
        end.unwrap();
    });
    let key = derive_accept_key(request.headers()["sec-websocket-key"].as_bytes());
    let response = Response::builder().status(StatusCode::SWITCHING_PROTOCOLS);
    let response = response.header("connection", "upgrade").header("upgrade", "websocket");
    response.header("sec-websocket-accept", key).body(Empty::new()).unwrap()
}

#[runtime::test]
async fn the_first_frame_vanished_before_tungstenite() {
    let _watchdog = watchdog();
    for downcasts in [false, true] {
        let (listener, address) = listen().await;
        let (stop, stopped) = oneshot::channel::<()>();
        let service = service_fn(move |request: Request<Incoming>| async move {
            Ok::<_, Infallible>(upgrade(request, downcasts))
        });
        let server = runtime::spawn(serve_http(listener, service).graceful(stopped, s(10)).run());
        check(address).await;
        stop.send(()).unwrap();
        assert_eq!(server.await.unwrap().unwrap().aborted(), 0);
    }
}
