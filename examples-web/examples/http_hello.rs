//! A server of HTTP/1.1 and HTTP/2 with hyper alone.
//!
//! `serve_http` accepts the connections, finds out which version a client speaks, and limits the time of each step. The
//! service is a closure, and need not be `Send`: the count of its visitors is in an `Rc`.
//!
//! ```text
//! cargo run --release -p examples-web --example http_hello                              # on 127.0.0.1:8000
//! cargo run --release -p examples-web --example http_hello -- 127.0.0.1:9000 --patience 5
//! curl http://127.0.0.1:8000/                                                           # in another terminal
//! curl --http2-prior-knowledge http://127.0.0.1:8000/
//! head -c 100M /dev/zero | curl -T - http://127.0.0.1:8000/count                        # an upload in chunks
//! ```
//!
//! `--patience` sets the seconds that a client may be silent. Ctrl-C ends the server after the requests in progress.

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use runtime::hyper::{TimedBody, serve_http};
use runtime::net::TcpListener;
use runtime::signal;
use std::cell::Cell;
use std::io;
use std::process::ExitCode;
use std::rc::Rc;
use std::time::Duration;

const USAGE: &str = "usage: http_hello [ADDRESS] [--patience SECONDS]";

/// The time that requests in progress have to finish after the shutdown has begun.
const GRACE: Duration = Duration::from_secs(10);

#[runtime::main]
async fn main() -> ExitCode {
    let Some((address, patience)) = parse(std::env::args().skip(1)) else {
        eprintln!("{USAGE}");
        return ExitCode::from(2);
    };
    match run(&address, patience).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("http_hello: {address}: {error}");
            ExitCode::FAILURE
        }
    }
}

fn parse(mut arguments: impl Iterator<Item = String>) -> Option<(String, Duration)> {
    let (mut address, mut patience) = ("127.0.0.1:8000".to_owned(), Duration::from_secs(30));
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--patience" => patience = Duration::from_secs(arguments.next()?.parse().ok()?),
            option if option.starts_with('-') => return None,
            _ => address = argument,
        }
    }
    Some((address, patience))
}

async fn run(address: &str, patience: Duration) -> io::Result<()> {
    let shutdown = signal::shutdown();
    let listener = TcpListener::bind(address).await?;
    println!("http_hello: listening on http://{}, until Ctrl-C", listener.local_addr()?);
    let visitors = Rc::new(Cell::new(0));
    let service = service_fn(move |request| respond(request, visitors.clone()));
    let served = serve_http(listener, service)
        .max_connections(10_000)
        .header_timeout(patience)
        .idle_timeout(patience)
        .body_timeout(patience)
        .graceful(shutdown, GRACE)
        .run()
        .await?;
    println!("http_hello: {} connections were served, {} cut off", served.accepted(), served.aborted());
    Ok(())
}

type Answer = Result<Response<Full<Bytes>>, hyper::Error>;

async fn respond(request: Request<TimedBody>, visitors: Rc<Cell<u64>>) -> Answer {
    let text = match (request.method(), request.uri().path()) {
        (&Method::GET, "/") => {
            visitors.set(visitors.get() + 1);
            format!("Hello, visitor {}.\n", visitors.get())
        }
        (&Method::PUT | &Method::POST, "/count") => return count(request.into_body()).await,
        _ => return Ok(answer(StatusCode::NOT_FOUND, "There is nothing here.\n".to_owned())),
    };
    Ok(answer(StatusCode::OK, text))
}

/// Counts the bytes of a body while they arrive, and keeps none of them.
async fn count(mut body: TimedBody) -> Answer {
    let mut bytes = 0;
    while let Some(frame) = body.frame().await {
        match frame {
            Ok(frame) => bytes += frame.data_ref().map_or(0, Bytes::len),
            Err(error) => return Ok(answer(StatusCode::REQUEST_TIMEOUT, format!("{error}\n"))),
        }
    }
    Ok(answer(StatusCode::OK, format!("{bytes} bytes\n")))
}

fn answer(status: StatusCode, text: String) -> Response<Full<Bytes>> {
    let mut response = Response::new(text.into());
    *response.status_mut() = status;
    response
}
