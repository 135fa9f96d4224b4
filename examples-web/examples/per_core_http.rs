//! A server of HTTP on several threads, each with a runtime of its own.
//!
//! The threads share nothing but the port (`SO_REUSEPORT`): the kernel distributes the connections. Each thread counts its
//! requests in a `Cell`, and the response names the thread.
//!
//! ```text
//! cargo run --release -p examples-web --example per_core_http                              # on 127.0.0.1:8000
//! cargo run --release -p examples-web --example per_core_http -- 127.0.0.1:9000 --threads 4 --pin
//! wrk -c 64 -d 5 http://127.0.0.1:8000/                                                    # in another terminal
//! ```
//!
//! Ctrl-C ends all threads after their requests in progress.

use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Request, Response};
use runtime::cores::{Core, PerCore};
use runtime::hyper::serve_http;
use runtime::net::{TcpListener, TcpSocket};
use runtime::signal;
use std::cell::Cell;
use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::process::ExitCode;
use std::rc::Rc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

const USAGE: &str = "usage: per_core_http [ADDRESS] [--threads N] [--pin]";

/// The length of the accept queue of each listener.
const BACKLOG: u32 = 4096;

/// The time that requests in progress have to finish after the shutdown has begun.
const GRACE: Duration = Duration::from_secs(10);

fn main() -> ExitCode {
    let mut cores = PerCore::new();
    cores.name("http");
    let Some(address) = parse(std::env::args().skip(1), &mut cores) else {
        eprintln!("{USAGE}");
        return ExitCode::from(2);
    };
    match serve(&cores, address) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("per_core_http: {address}: {error}");
            ExitCode::FAILURE
        }
    }
}

fn parse(mut arguments: impl Iterator<Item = String>, cores: &mut PerCore) -> Option<SocketAddr> {
    let mut address = SocketAddr::from(([127, 0, 0, 1], 8000));
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--threads" => {
                cores.threads(arguments.next()?.parse().ok().filter(|threads| *threads > 0)?);
            }
            "--pin" => {
                cores.pin(true);
            }
            text => address = text.parse().ok()?,
        }
    }
    Some(address)
}

fn serve(cores: &PerCore, address: SocketAddr) -> io::Result<()> {
    // This socket is bound and does not listen, so it gets no connections. It determines the port that all threads
    // share, and fails at once if the port is not available.
    let held = bind(address)?;
    let address = held.local_addr()?;
    // A signal that arrives from here on ends the threads, also those that have not started yet.
    let _shutdown = signal::shutdown();
    let listening = AtomicUsize::new(0);
    cores.try_run(async |core| serve_on(core, address, &listening).await)?;
    Ok(())
}

fn bind(address: SocketAddr) -> io::Result<TcpSocket> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    socket.set_reuseaddr(true)?;
    socket.set_reuseport(true)?;
    socket.bind(address)?;
    Ok(socket)
}

/// Serves on one thread until the shutdown.
async fn serve_on(core: Core, address: SocketAddr, listening: &AtomicUsize) -> io::Result<()> {
    let listener: TcpListener = bind(address)?.listen(BACKLOG)?;
    // Until the first thread listens, connections are refused.
    if listening.fetch_add(1, Ordering::Relaxed) + 1 == core.count() {
        println!("per_core_http: listening on http://{address}, until Ctrl-C");
    }
    let thread = core.index();
    let requests = Rc::new(Cell::new(0_u64));
    let counter = requests.clone();
    let service = service_fn(move |_: Request<Incoming>| {
        counter.set(counter.get() + 1);
        let text = format!("Request {} of thread {thread}.\n", counter.get());
        async { Ok::<_, Infallible>(Response::new(Full::<Bytes>::from(text))) }
    });
    serve_http(listener, service).graceful(signal::shutdown(), GRACE).run().await?;
    println!("per_core_http: thread {thread} has served {} requests", requests.get());
    Ok(())
}
