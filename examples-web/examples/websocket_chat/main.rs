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
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::upgrade::Upgraded;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use room::{Member, Room};
use runtime::net::{Drain, TcpListener, serve};
use runtime::signal;
use runtime::task::TaskTracker;
use runtime::time::{Instant, interval, timeout};
use std::convert::Infallible;
use std::io;
use std::process::ExitCode;
use std::rc::Rc;
use std::time::Duration;
use tokio_util::compat::{Compat, TokioAsyncReadCompatExt};

const USAGE: &str = "usage: websocket_chat [ADDRESS], such as 127.0.0.1:8001";

/// The most bytes of one message.
const LONGEST_MESSAGE: usize = 4096;

/// The time between two pings. A client that has sent nothing during two of them, not even a pong, is disconnected.
const PING_INTERVAL: Duration = Duration::from_secs(20);

/// The time within which a client has to accept bytes.
const WRITE_TIMEOUT: Duration = Duration::from_secs(10);

/// The time that connections have to end after the shutdown has begun.
const GRACE: Duration = Duration::from_secs(2);

type Socket = WebSocketStream<Compat<TokioIo<Upgraded>>>;

/// What the requests share.
struct Chat {
    room: Rc<Room>,
    drain: Drain,
    /// The tasks of the WebSockets.
    sockets: TaskTracker,
}

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
    let server = serve(listener).max_connections(1000).graceful(shutdown, GRACE);
    let chat = Rc::new(Chat { room: Rc::default(), drain: server.drain(), sockets: TaskTracker::new() });
    let sockets = chat.sockets.clone();
    server
        .run(async move |stream, _peer| {
            // A client that reads nothing would otherwise keep its task in the midst of a message.
            if stream.set_write_timeout(Some(WRITE_TIMEOUT)).is_err() {
                return;
            }
            let drain = chat.drain.clone();
            let service = service_fn(async |request| Ok::<_, Infallible>(respond(&chat, request)));
            let connection = http1::Builder::new().serve_connection(TokioIo::new(stream), service);
            // An error means that the client has gone, or has not spoken HTTP. The other clients do not care.
            runtime::select! {
                _ = connection.with_upgrades() => {}
                () = drain.started() => {}
            }
        })
        .await?;
    sockets.close();
    _ = timeout(GRACE, sockets.wait()).await;
    Ok(())
}

fn respond(chat: &Rc<Chat>, request: Request<Incoming>) -> Response<Full<Bytes>> {
    match request.uri().path() {
        "/" => file("text/html; charset=utf-8", include_str!("page.html")),
        "/chat.js" => file("text/javascript; charset=utf-8", include_str!("chat.js")),
        "/style.css" => file("text/css; charset=utf-8", include_str!("style.css")),
        "/socket" => upgrade(chat.clone(), request),
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
fn upgrade(chat: Rc<Chat>, mut request: Request<Incoming>) -> Response<Full<Bytes>> {
    let Some(key) = request.headers().get(SEC_WEBSOCKET_KEY) else {
        return status(StatusCode::UPGRADE_REQUIRED);
    };
    let accept = derive_accept_key(key.as_bytes());
    let upgraded = hyper::upgrade::on(&mut request);
    let sockets = chat.sockets.clone();
    drop(sockets.spawn_local(async move {
        if let Ok(upgraded) = upgraded.await {
            let config = WebSocketConfig::default()
                .max_message_size(Some(LONGEST_MESSAGE))
                .max_frame_size(Some(LONGEST_MESSAGE));
            let stream = TokioIo::new(upgraded).compat();
            let mut socket = WebSocketStream::from_raw_socket(stream, Role::Server, Some(config)).await;
            // An error means that the client has gone. Dropping its member tells the others.
            _ = converse(&mut socket, &chat).await;
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
async fn converse(socket: &mut Socket, chat: &Chat) -> async_tungstenite::tungstenite::Result<()> {
    let mut member = Member::new(&chat.room);
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
            () = chat.drain.started() => return close(socket, CloseCode::Away).await,
        }
    }
}

async fn close(socket: &mut Socket, code: CloseCode) -> async_tungstenite::tungstenite::Result<()> {
    socket.close(Some(CloseFrame { code, reason: "".into() })).await
}
