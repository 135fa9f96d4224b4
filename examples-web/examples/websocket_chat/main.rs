//! A chat in the browser: a server of WebSockets, and its page.
//!
//! hyper serves the page and upgrades the connections, and async-tungstenite speaks the protocol on them. All tasks share
//! one room, without a lock. The page is in files of its own beside this one.
//!
//! ```text
//! cargo run -p examples-web --example websocket_chat                     # on 127.0.0.1:8001
//! cargo run -p examples-web --example websocket_chat -- 127.0.0.1:9000   # or elsewhere
//! xdg-open http://127.0.0.1:8001                                         # in two or more tabs
//! ```
//!
//! The page connects again by itself when the connection is lost: stop the server, start it, and go on. Ctrl-C tells the
//! browsers that the server goes away, and ends it.

mod room;

use async_tungstenite::WebSocketStream;
use async_tungstenite::tungstenite::Message;
use async_tungstenite::tungstenite::handshake::derive_accept_key;
use async_tungstenite::tungstenite::protocol::{CloseFrame, Role, WebSocketConfig, frame::coding::CloseCode};
use bytes::Bytes;
use futures_util::StreamExt;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::header::{CONNECTION, CONTENT_TYPE, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY, UPGRADE};
use hyper::service::service_fn;
use hyper::upgrade::Upgraded;
use hyper::{Request, Response, StatusCode};
use room::{Member, Room};
use runtime::hyper::{FuturesIo, serve_http};
use runtime::net::{Drain, TcpListener};
use runtime::signal;
use runtime::time::{Instant, interval};
use std::convert::Infallible;
use std::future::ready;
use std::io;
use std::process::ExitCode;
use std::rc::Rc;
use std::time::Duration;

const USAGE: &str = "usage: websocket_chat [ADDRESS], such as 127.0.0.1:8001";

/// The most bytes of one message.
const LONGEST_MESSAGE: usize = 4096;

/// The time between two pings. A client that has sent nothing during two of them, not even a pong, is disconnected.
const PING_INTERVAL: Duration = Duration::from_secs(20);

/// The time within which a client has to accept bytes.
const WRITE_TIMEOUT: Duration = Duration::from_secs(10);

/// The time that connections have to end after the shutdown has begun.
const GRACE: Duration = Duration::from_secs(2);

type Socket = WebSocketStream<FuturesIo<Upgraded>>;

#[runtime::main]
async fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let address = arguments.next().unwrap_or_else(|| "127.0.0.1:8001".to_owned());
    if address.starts_with('-') || arguments.next().is_some() {
        eprintln!("{USAGE}");
        return ExitCode::from(2);
    }
    match run(&address).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("websocket_chat: {address}: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run(address: &str) -> io::Result<()> {
    let shutdown = signal::shutdown();
    let listener = TcpListener::bind(address).await?;
    println!("websocket_chat: listening on http://{}, until Ctrl-C", listener.local_addr()?);
    let room = Rc::new(Room::default());
    let service = service_fn(move |request| ready(Ok::<_, Infallible>(respond(&room, request))));
    serve_http(listener, service)
        .max_connections(1000)
        .write_timeout(WRITE_TIMEOUT)
        .graceful(shutdown, GRACE)
        .run()
        .await?;
    Ok(())
}

fn respond(room: &Rc<Room>, request: Request<Incoming>) -> Response<Full<Bytes>> {
    match request.uri().path() {
        "/" => file("text/html; charset=utf-8", include_str!("page.html")),
        "/chat.js" => file("text/javascript; charset=utf-8", include_str!("chat.js")),
        "/style.css" => file("text/css; charset=utf-8", include_str!("style.css")),
        "/socket" => upgrade(room.clone(), request),
        _ => status(StatusCode::NOT_FOUND),
    }
}

fn file(kind: &'static str, text: &'static str) -> Response<Full<Bytes>> {
    Response::builder().header(CONTENT_TYPE, kind).body(text.into()).expect("the header is valid")
}

fn status(status: StatusCode) -> Response<Full<Bytes>> {
    Response::builder().status(status).body(format!("{status}\n").into()).expect("the status is valid")
}

/// Accepts the upgrade to a WebSocket (RFC 6455, 4.2.2). The task of the socket begins when the response has been sent.
fn upgrade(room: Rc<Room>, mut request: Request<Incoming>) -> Response<Full<Bytes>> {
    let Some(key) = request.headers().get(SEC_WEBSOCKET_KEY) else {
        return status(StatusCode::UPGRADE_REQUIRED);
    };
    let accept = derive_accept_key(key.as_bytes());
    let upgraded = hyper::upgrade::on(&mut request);
    let drain = request.extensions().get::<Drain>().expect("the server gives it to upgrades").clone();
    drop(runtime::spawn(async move {
        if let Ok(upgraded) = upgraded.await {
            let config = WebSocketConfig::default()
                .max_message_size(Some(LONGEST_MESSAGE))
                .max_frame_size(Some(LONGEST_MESSAGE));
            let stream = FuturesIo::new(upgraded);
            let mut socket = WebSocketStream::from_raw_socket(stream, Role::Server, Some(config)).await;
            // An error means that the client has gone. Dropping its member tells the others.
            _ = converse(&mut socket, &room, &drain).await;
        }
    }));
    Response::builder()
        .status(StatusCode::SWITCHING_PROTOCOLS)
        .header(CONNECTION, "upgrade")
        .header(UPGRADE, "websocket")
        .header(SEC_WEBSOCKET_ACCEPT, accept)
        .body(Full::default())
        .expect("the headers are valid")
}

/// Serves one WebSocket until the client closes it.
async fn converse(
    socket: &mut Socket,
    room: &Rc<Room>,
    drain: &Drain,
) -> async_tungstenite::tungstenite::Result<()> {
    let mut member = Member::new(room);
    let mut pings = interval(PING_INTERVAL);
    let mut heard = Instant::now();
    loop {
        runtime::select! {
            message = socket.next() => {
                heard = Instant::now();
                match message.transpose()? {
                    Some(Message::Text(text)) => match serde_json::from_str(&text) {
                        Ok(said) => if let Some(answer) = member.hear(said) {
                            socket.send(Message::text(answer)).await?;
                        },
                        Err(_) => return close(socket, CloseCode::Unsupported).await,
                    },
                    Some(Message::Binary(_)) => return close(socket, CloseCode::Unsupported).await,
                    // async-tungstenite answers pings and closes.
                    Some(_) => {}
                    None => return Ok(()),
                }
            }
            news = member.news() => match news {
                Some(news) => socket.send(Message::text(&*news)).await?,
                // The room has dropped a member that read too slowly.
                None => return close(socket, CloseCode::Policy).await,
            },
            _ = pings.tick() => {
                if heard.elapsed() > 2 * PING_INTERVAL {
                    return Ok(());
                }
                socket.send(Message::Ping(Bytes::new())).await?;
            }
            () = drain.started() => return close(socket, CloseCode::Away).await,
        }
    }
}

async fn close(socket: &mut Socket, code: CloseCode) -> async_tungstenite::tungstenite::Result<()> {
    socket.close(Some(CloseFrame { code, reason: "".into() })).await
}
