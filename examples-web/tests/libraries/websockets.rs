//! tokio-tungstenite and async-tungstenite on our streams: each is once the server and once the client.

use crate::{connected, watchdog};
use async_tungstenite::tungstenite::Message;
use async_tungstenite::{accept_async as accept_futures, client_async as connect_futures};
use futures_util::{SinkExt, StreamExt};
use std::fmt::Debug;
use tokio_tungstenite::{accept_async as accept_tokio, client_async as connect_tokio};

/// More than the buffers of the kernel hold, so that both sides have to wait.
const LONG: usize = 8 << 20;

type Result<T> = std::result::Result<T, async_tungstenite::tungstenite::Error>;

/// Returns each text and binary message to its sender, until the other side closes.
async fn echo<S>(mut socket: S)
where
    S: StreamExt<Item = Result<Message>> + SinkExt<Message, Error: Debug> + Unpin,
{
    while let Some(message) = socket.next().await {
        let message = message.unwrap();
        if message.is_text() || message.is_binary() {
            socket.send(message).await.unwrap();
        }
    }
}

/// Has messages echoed, and closes.
async fn talk<S>(mut socket: S)
where
    S: StreamExt<Item = Result<Message>> + SinkExt<Message, Error: Debug> + Unpin,
{
    for message in [Message::text("hello"), Message::binary(vec![7; LONG])] {
        socket.send(message.clone()).await.unwrap();
        assert!(socket.next().await.unwrap().unwrap() == message);
    }
    socket.send(Message::Ping("ping".into())).await.unwrap();
    assert_eq!(socket.next().await.unwrap().unwrap(), Message::Pong("ping".into()));
    socket.send(Message::Close(None)).await.unwrap();
    assert_eq!(socket.next().await.unwrap().unwrap(), Message::Close(None));
    assert!(socket.next().await.is_none());
}

#[test]
fn async_tungstenite_talks_to_a_server_of_tokio_tungstenite() {
    watchdog::run(async {
        let (client, server) = connected().await;
        let server = runtime::spawn(async { echo(accept_tokio(server).await.unwrap()).await });
        talk(connect_futures("ws://localhost/", client).await.unwrap().0).await;
        server.await.unwrap();
    });
}

#[test]
fn tokio_tungstenite_talks_to_a_server_of_async_tungstenite() {
    watchdog::run(async {
        let (client, server) = connected().await;
        let server = runtime::spawn(async { echo(accept_futures(server).await.unwrap()).await });
        talk(connect_tokio("ws://localhost/", client).await.unwrap().0).await;
        server.await.unwrap();
    });
}
