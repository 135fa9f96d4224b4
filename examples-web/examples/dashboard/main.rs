//! A page with the numbers of this very runtime, live: turns of the loop, polls, tasks, descriptors, connections, and how late
//! timers are.
//!
//! The numbers reach the page by server-sent events, which a browser subscribes to again by itself when the server was
//! away. A button makes a load, so that there is something to see. The page is in files of its own beside this one.
//!
//! ```text
//! cargo run --release -p examples-web --example dashboard                     # on 127.0.0.1:8003
//! cargo run --release -p examples-web --example dashboard -- 127.0.0.1:9000   # or elsewhere
//! xdg-open http://127.0.0.1:8003
//! ```
//!
//! Ctrl-C ends the server and all its streams.

mod sampler;

use bytes::Bytes;
use futures_util::StreamExt;
use futures_util::stream::{self, Stream};
use http_body_util::{Either, Full, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::header::{CACHE_CONTROL, CONTENT_TYPE};
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use runtime::hyper::serve_http;
use runtime::net::{TcpListener, TcpStream};
use runtime::signal;
use runtime::sync::CancellationToken;
use runtime::task::yield_now;
use runtime::time::{Instant, sleep};
use sampler::Sampler;
use std::convert::Infallible;
use std::future::ready;
use std::io;
use std::pin::Pin;
use std::process::ExitCode;
use std::rc::Rc;
use std::time::Duration;

const USAGE: &str = "usage: dashboard [ADDRESS], such as 127.0.0.1:8003";

/// The tasks of one load, and the time that they run.
const LOAD_TASKS: usize = 500;
const LOAD_TIME: Duration = Duration::from_secs(3);

/// The time that connections have to end after the shutdown has begun.
const GRACE: Duration = Duration::from_secs(2);

type Events = Pin<Box<dyn Stream<Item = Result<Frame<Bytes>, Infallible>>>>;
type Answer = Response<Either<Full<Bytes>, StreamBody<Events>>>;

#[runtime::main]
async fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let address = arguments.next().unwrap_or_else(|| "127.0.0.1:8003".to_owned());
    if address.starts_with('-') || arguments.next().is_some() {
        eprintln!("{USAGE}");
        return ExitCode::from(2);
    }
    match run(&address).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("dashboard: {address}: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run(address: &str) -> io::Result<()> {
    let shutdown = signal::shutdown();
    let listener = TcpListener::bind(address).await?;
    println!("dashboard: listening on http://{}, until Ctrl-C", listener.local_addr()?);
    let sampler = Rc::new(Sampler::start());
    let counters = sampler.counters.clone();
    let ending = CancellationToken::new();
    let ends = ending.clone();
    let service = service_fn(move |request| {
        sampler.counters.requests.update(|count| count + 1);
        ready(Ok::<_, Infallible>(respond(&request, &sampler, &ending)))
    });
    serve_http(listener, service)
        .handshake(async move |stream: TcpStream| {
            counters.connections.update(|count| count + 1);
            Ok(stream)
        })
        .graceful(
            async move {
                _ = shutdown.await;
                // The streams of events would not end by themselves.
                ends.cancel();
            },
            GRACE,
        )
        .run()
        .await?;
    Ok(())
}

fn respond(request: &Request<Incoming>, sampler: &Rc<Sampler>, ending: &CancellationToken) -> Answer {
    match (request.method(), request.uri().path()) {
        (&Method::GET, "/") => file("text/html; charset=utf-8", include_str!("page.html")),
        (&Method::GET, "/dashboard.js") => {
            file("text/javascript; charset=utf-8", include_str!("dashboard.js"))
        }
        (&Method::GET, "/style.css") => file("text/css; charset=utf-8", include_str!("style.css")),
        (&Method::GET, "/numbers") => numbers(sampler, ending.clone()),
        (&Method::POST, "/load") => {
            (0..LOAD_TASKS).for_each(|_| drop(runtime::spawn(load())));
            status(StatusCode::ACCEPTED)
        }
        _ => status(StatusCode::NOT_FOUND),
    }
}

fn file(kind: &'static str, text: &'static str) -> Answer {
    let response = Response::builder().header(CONTENT_TYPE, kind);
    response.body(Either::Left(text.into())).expect("the header is valid")
}

fn status(status: StatusCode) -> Answer {
    let response = Response::builder().status(status);
    response.body(Either::Left(format!("{status}\n").into())).expect("the status is valid")
}

/// The stream of events: one for each sample, until the client leaves or the shutdown begins.
fn numbers(sampler: &Rc<Sampler>, ending: CancellationToken) -> Answer {
    let samples = stream::unfold(sampler.subscribe(), async |mut samples| {
        samples.changed().await.ok()?;
        let json = samples.borrow_and_update().clone();
        Some((Ok(Frame::data(format!("data: {json}\n\n").into())), samples))
    });
    let until_shutdown = samples.take_until(ending.cancelled_owned());
    Response::builder()
        .header(CONTENT_TYPE, "text/event-stream")
        .header(CACHE_CONTROL, "no-store")
        .body(Either::Right(StreamBody::new(Box::pin(until_shutdown) as Events)))
        .expect("the headers are valid")
}

/// One task of a load: it sleeps and yields in turns.
async fn load() {
    let start = Instant::now();
    while start.elapsed() < LOAD_TIME {
        for _ in 0..20 {
            yield_now().await;
        }
        sleep(Duration::from_millis(20)).await;
    }
}
