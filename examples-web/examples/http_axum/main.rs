//! A small web application with axum: a router, JSON, parameters in paths, state, streams, files, time limits.
//!
//! ```text
//! cargo run -p examples-web --example http_axum                               # on 127.0.0.1:8002
//! cargo run -p examples-web --example http_axum -- 127.0.0.1:9000 --files examples-web
//! curl http://127.0.0.1:8002/notes -H 'content-type: application/json' -d '{"text": "Buy milk"}'
//! curl http://127.0.0.1:8002/notes/1
//! curl http://127.0.0.1:8002/notes/search/milk
//! curl http://127.0.0.1:8002/lines/1000000 | tail -1                          # a body that is made while it is sent
//! curl -N http://127.0.0.1:8002/clock                                         # server-sent events
//! curl http://127.0.0.1:8002/slow                                             # is cut off after two seconds
//! ```
//!
//! The router is a service of tower, so `serve_http` takes it as it is. `axum::serve`, which spawns tasks of tokio, is not
//! needed. Neither are the parts of axum and tower-http that use tokio's timers and files, and a context of tokio:
//! `middleware::from_fn` and `runtime::time::timeout` take the place of `TimeoutLayer`, a handler that of `ServeDir`, and an
//! interval that of `KeepAlive`. Ctrl-C ends the server after the requests in progress, and ends the events at once.

mod files;
mod notes;

use axum::body::{Body, Bytes};
use axum::extract::{Path, Request};
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::middleware::{self, Next};
use axum::response::sse::{Event, Sse};
use axum::response::{Html, IntoResponse, Response};
use axum::routing::get;
use axum::{Extension, Router};
use futures_util::stream::{self, Stream, StreamExt};
use runtime::hyper::serve_http;
use runtime::net::TcpListener;
use runtime::signal;
use runtime::time::{interval, sleep, timeout};
use std::convert::Infallible;
use std::io;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;

const USAGE: &str = "usage: http_axum [ADDRESS] [--files FOLDER]";

/// The time that a handler has to return its response. The body of the response may take longer.
const HANDLER_TIMEOUT: Duration = Duration::from_secs(2);

/// The time that requests in progress have to finish after the shutdown has begun.
const GRACE: Duration = Duration::from_secs(5);

/// The state that all handlers share. axum wants it to be `Send` and `Sync`, as it wants the futures of handlers to be
/// `Send`. `notes` shows how handlers use state that is neither.
#[derive(Clone)]
struct Application {
    folder: Arc<PathBuf>,
}

#[runtime::main]
async fn main() -> ExitCode {
    let Some((address, folder)) = parse(std::env::args().skip(1)) else {
        eprintln!("{USAGE}");
        return ExitCode::from(2);
    };
    match run(&address, folder).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("http_axum: {address}: {error}");
            ExitCode::FAILURE
        }
    }
}

fn parse(mut arguments: impl Iterator<Item = String>) -> Option<(String, PathBuf)> {
    let (mut address, mut folder) = ("127.0.0.1:8002".to_owned(), PathBuf::from("."));
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--files" => folder = arguments.next()?.into(),
            option if option.starts_with('-') => return None,
            _ => address = argument,
        }
    }
    Some((address, folder))
}

async fn run(address: &str, folder: PathBuf) -> io::Result<()> {
    let shutdown = signal::shutdown();
    let listener = TcpListener::bind(address).await?;
    println!("http_axum: listening on http://{}, until Ctrl-C", listener.local_addr()?);

    // When the sender is dropped, streams that would never end by themselves do.
    let (ending, ended) = watch::channel(());
    let application = Application { folder: Arc::new(folder) };
    let router = Router::new()
        .route("/", get(Html(include_str!("index.html"))))
        .route("/clock.js", get(script))
        .nest("/notes", notes::routes())
        .route("/files/{name}", get(files::send))
        .route("/lines/{count}", get(lines))
        .route("/clock", get(clock))
        .route("/slow", get(slow))
        .layer(Extension(ended))
        .layer(middleware::from_fn(limit_time))
        .with_state(application);
    let server =
        serve_http(listener, router).max_connections(10_000).body_timeout(Duration::from_secs(10)).graceful(
            async {
                _ = shutdown.await;
                drop(ending);
            },
            GRACE,
        );
    server.run().await?;
    Ok(())
}

async fn script() -> impl IntoResponse {
    ([(CONTENT_TYPE, "text/javascript; charset=utf-8")], include_str!("clock.js"))
}

/// Middleware: answers with 504 if the handler takes too long. The handler is dropped.
async fn limit_time(request: Request, next: Next) -> Response {
    match timeout(HANDLER_TIMEOUT, next.run(request)).await {
        Ok(response) => response,
        Err(_elapsed) => (StatusCode::GATEWAY_TIMEOUT, "This took too long.\n").into_response(),
    }
}

/// A handler that would take a minute.
async fn slow() -> &'static str {
    sleep(Duration::from_secs(60)).await;
    "You are patient.\n"
}

/// A body of any length, of which never more than some lines are in memory: the client sets the pace.
async fn lines(Path(count): Path<u64>) -> Body {
    const AT_ONCE: u64 = 100;
    let chunks = stream::iter((0..count).step_by(AT_ONCE as usize)).map(move |first| {
        let lines = (first..count.min(first + AT_ONCE)).map(|number| format!("line {number}\n"));
        Ok::<_, Infallible>(Bytes::from(lines.collect::<String>()))
    });
    Body::from_stream(chunks)
}

/// Server-sent events: one in each second, until the client or the server ends.
async fn clock(
    Extension(mut ended): Extension<watch::Receiver<()>>,
) -> Sse<impl Stream<Item = Result<Event, Infallible>>> {
    let ticks = stream::unfold((interval(Duration::from_secs(1)), 0_u64), async |(mut interval, count)| {
        interval.tick().await;
        Some((Ok(Event::default().event("tick").data(count.to_string())), (interval, count + 1)))
    });
    // It fails when the sender is dropped.
    Sse::new(ticks.take_until(async move { ended.changed().await }))
}
