//! Serve: the echo server as it should be run, with a limit on connections and a graceful shutdown.
//!
//! `net::serve` is an accept loop that limits the number of connections, waits when there are no more descriptors, and
//! shuts down in order. Here, Ctrl-C or SIGTERM begins the shutdown: the server accepts no new connections, closes idle
//! connections at once, and gives connections that are in the middle of a message five seconds. A second Ctrl-C ends the
//! process at once.
//!
//! ```text
//! cargo run --release --example serve                              # on 127.0.0.1:7000
//! cargo run --release --example serve -- 0.0.0.0:7000 --connections 100
//! cargo run --release --example echo_client -- 127.0.0.1:7000 --connections 100     # further connections would wait
//! ```

use futures_lite::future::or;
use runtime::io::{AsyncReadExt, AsyncWriteExt};
use runtime::net::{Drain, TcpListener, TcpStream, serve};
use runtime::signal;
use std::io;
use std::process::ExitCode;
use std::time::Duration;

const USAGE: &str = "usage: serve [ADDRESS] [--connections N]";

/// The time that open connections have to end after the shutdown has begun.
const GRACE: Duration = Duration::from_secs(5);

#[runtime::main]
async fn main() -> ExitCode {
    let Some((address, connections)) = parse(std::env::args().skip(1)) else {
        eprintln!("{USAGE}");
        return ExitCode::from(2);
    };
    match run(&address, connections).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("serve: {address}: {error}");
            ExitCode::FAILURE
        }
    }
}

fn parse(mut arguments: impl Iterator<Item = String>) -> Option<(String, usize)> {
    let (mut address, mut connections) = ("127.0.0.1:7000".to_owned(), 1000);
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--connections" => connections = arguments.next()?.parse().ok().filter(|count| *count > 0)?,
            option if option.starts_with('-') => return None,
            _ => address = argument,
        }
    }
    Some((address, connections))
}

async fn run(address: &str, connections: usize) -> io::Result<()> {
    let shutdown = signal::shutdown();
    let listener = TcpListener::bind(address).await?;
    println!("serve: listening on {}, {connections} at a time; Ctrl-C ends it", listener.local_addr()?);

    let server = serve(listener)
        .max_connections(connections)
        .on_error(|error| eprintln!("serve: cannot accept for now: {error}"))
        .graceful(shutdown, GRACE);
    let drain = server.drain();
    let served = server
        .run(async move |stream, peer| {
            if let Err(error) = echo(stream, &drain).await {
                eprintln!("serve: {peer}: {error}");
            }
        })
        .await?;
    println!("serve: {} connections were served, {} cut off", served.accepted(), served.aborted());
    Ok(())
}

/// Serves one connection until the client closes it, or until the shutdown has begun and no message is in progress.
async fn echo(mut stream: TcpStream, drain: &Drain) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut buffer = vec![0; 4096];
    loop {
        let end = async {
            drain.started().await;
            Ok(0)
        };
        // `or` polls the read first, so bytes that have arrived are served before the shutdown is noticed.
        let count = or(stream.read(&mut buffer), end).await?;
        if count == 0 {
            return Ok(());
        }
        stream.write_all(&buffer[..count]).await?;
    }
}
