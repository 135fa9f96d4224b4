//! The smallest server of WebSockets: it sends each message back.
//!
//! async-tungstenite does the handshake and the framing, directly on the TCP stream. It needs no feature for a runtime, since
//! streams implement the traits of futures-io. For a server that also has pages, see `websocket_chat`.
//!
//! ```text
//! cargo run --release -p examples-web --example websocket_echo                     # on 127.0.0.1:8004
//! cargo run --release -p examples-web --example websocket_echo -- 127.0.0.1:9000   # or elsewhere
//! ```
//!
//! In the console of a browser:
//! `socket = new WebSocket("ws://127.0.0.1:8004"); socket.onmessage = (event) => console.log(event.data)`, and then
//! `socket.send("hello")`. Ctrl-C tells the clients that the server goes away, and ends it.

use async_tungstenite::tungstenite::protocol::{CloseFrame, WebSocketConfig, frame::coding::CloseCode};
use async_tungstenite::tungstenite::{Error, Message, Result};
use async_tungstenite::{WebSocketStream, accept_async_with_config};
use futures_util::StreamExt;
use runtime::net::{Drain, TcpListener, TcpStream, serve};
use runtime::signal;
use runtime::time::timeout;
use std::io;
use std::process::ExitCode;
use std::time::Duration;

const USAGE: &str = "usage: websocket_echo [ADDRESS], such as 127.0.0.1:8004";

/// The most bytes of one message.
const LONGEST_MESSAGE: usize = 16 << 20;

const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(5);

/// The time within which a client has to accept bytes.
const WRITE_TIMEOUT: Duration = Duration::from_secs(30);

/// The time that connections have to end after the shutdown has begun.
const GRACE: Duration = Duration::from_secs(2);

#[runtime::main]
async fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let address = arguments.next().unwrap_or_else(|| "127.0.0.1:8004".to_owned());
    if address.starts_with('-') || arguments.next().is_some() {
        eprintln!("{USAGE}");
        return ExitCode::from(2);
    }
    match run(&address).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("websocket_echo: {address}: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run(address: &str) -> io::Result<()> {
    let shutdown = signal::shutdown();
    let listener = TcpListener::bind(address).await?;
    println!("websocket_echo: listening on ws://{}, until Ctrl-C", listener.local_addr()?);
    let server = serve(listener).max_connections(1000).graceful(shutdown, GRACE);
    let drain = server.drain();
    server
        .run(async move |stream, peer| match echo(stream, &drain).await {
            Ok(()) | Err(Error::ConnectionClosed) => {}
            Err(error) => eprintln!("websocket_echo: {peer}: {error}"),
        })
        .await?;
    Ok(())
}

/// Serves one connection until either side closes it.
async fn echo(stream: TcpStream, drain: &Drain) -> Result<()> {
    stream.set_nodelay(true)?;
    stream.set_write_timeout(Some(WRITE_TIMEOUT))?;
    let config = WebSocketConfig::default()
        .max_message_size(Some(LONGEST_MESSAGE))
        .max_frame_size(Some(LONGEST_MESSAGE));
    let handshake = timeout(HANDSHAKE_TIMEOUT, accept_async_with_config(stream, Some(config)));
    let mut socket: WebSocketStream<TcpStream> = handshake.await.map_err(io::Error::from)??;
    loop {
        runtime::select! {
            message = socket.next() => match message.transpose()? {
                Some(message @ (Message::Text(_) | Message::Binary(_))) => socket.send(message).await?,
                // async-tungstenite answers pings and closes.
                Some(_) => {}
                None => return Ok(()),
            },
            () = drain.started() => {
                let away = CloseFrame { code: CloseCode::Away, reason: "".into() };
                return socket.close(Some(away)).await;
            }
        }
    }
}
