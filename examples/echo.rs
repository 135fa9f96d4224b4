//! Echo: a server that sends all bytes back to the client that has sent them.
//!
//! One task accepts connections, and each connection has its own task with its own buffer. The code is as simple as
//! with one thread for each connection, but a connection costs a few kilobytes and no thread. Only the limits of the
//! system restrict the number of connections; tens of thousands are possible.
//!
//! ```text
//! cargo run --release --example echo                       # on 127.0.0.1:7000
//! cargo run --release --example echo -- 0.0.0.0:7000       # or elsewhere; port 0 means any free port
//! ```
//!
//! Connect to it from another terminal, by hand or with thousands of connections:
//!
//! ```text
//! nc 127.0.0.1 7000
//! cargo run --release --example echo_client -- 127.0.0.1:7000 --connections 9000 --messages 20
//! ```
//!
//! Each connection takes one descriptor. `ulimit -n` shows how many descriptors a process may have; often it is 1024.
//! If the server has no more descriptors, it reports that and continues: it serves the open connections, and new
//! connections wait in the kernel's accept queue until a client disconnects.
//!
//! Ctrl-C or SIGTERM ends the server: `main` returns, and all connections are closed. Bytes on their way through the
//! server are lost. For an echo server this is good enough. The example `serve` lets its connections finish.

use futures_lite::future::or;
use runtime::io::{AsyncReadExt, AsyncWriteExt};
use runtime::net::{TcpListener, TcpStream};
use runtime::signal;
use runtime::time::{Duration, Instant};
use std::io::{self, ErrorKind};
use std::process::ExitCode;

const DEFAULT_ADDRESS: &str = "127.0.0.1:7000";

/// The size of the buffer of each connection, in bytes. This is enough for short messages, and the buffers of ten
/// thousand connections take 40 MB.
const BUFFER_SIZE: usize = 4096;

/// The shortest time between two reports of a failing accept. The listener tries again about ten times a second, and
/// not every attempt needs a line.
const REPORT_INTERVAL: Duration = Duration::from_secs(10);

#[runtime::main]
async fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let address = arguments.next().unwrap_or_else(|| DEFAULT_ADDRESS.to_owned());
    if address.starts_with('-') || arguments.next().is_some() {
        eprintln!("usage: echo [ADDRESS], such as {DEFAULT_ADDRESS}");
        return ExitCode::from(2);
    }
    let shutdown = signal::shutdown();
    match listen(&address).await {
        Ok(listener) => {
            or(async { drop(shutdown.await) }, accept(listener)).await;
            println!("echo: ends, and closes all connections");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("echo: cannot listen on {address}: {error}");
            if error.kind() == ErrorKind::AddrInUse {
                eprintln!("try another port: cargo run --release --example echo -- 127.0.0.1:7001");
            }
            ExitCode::FAILURE
        }
    }
}

async fn listen(address: &str) -> io::Result<TcpListener> {
    let listener = TcpListener::bind(address).await?;
    let bound = listener.local_addr()?;
    println!("echo: listening on {bound}, until Ctrl-C. Talk to it:");
    println!("  nc {} {}", bound.ip(), bound.port());
    println!("  cargo run --release --example echo_client -- {bound}");
    Ok(listener)
}

/// Accepts connections without end, and spawns a task for each of them.
async fn accept(listener: TcpListener) {
    let mut reported: Option<Instant> = None;
    loop {
        match listener.accept().await {
            Ok((stream, peer)) => {
                // The dropped handle detaches the task, which ends with its connection.
                drop(runtime::spawn(async move {
                    if let Err(error) = echo(stream).await {
                        report(&peer, &error);
                    }
                }));
            }
            // The loop need not wait here. After an error, the listener waits by itself before the next attempt.
            Err(error) => {
                if reported.is_none_or(|instant| instant.elapsed() > REPORT_INTERVAL) {
                    reported = Some(Instant::now());
                    eprintln!("echo: cannot accept for now, will try again: {error}");
                    if error.raw_os_error() == Some(libc::EMFILE) {
                        eprintln!("echo: each connection takes a descriptor; allow more: ulimit -n 20000");
                    }
                }
            }
        }
    }
}

/// Serves one connection until its end.
async fn echo(mut stream: TcpStream) -> io::Result<()> {
    // Otherwise the last piece of a long message waits about 40 ms for the client's next acknowledgement.
    stream.set_nodelay(true)?;
    let mut buffer = vec![0; BUFFER_SIZE];
    loop {
        let count = stream.read(&mut buffer).await?;
        if count == 0 {
            return Ok(());
        }
        stream.write_all(&buffer[..count]).await?;
    }
}

/// Reports an error of a connection, unless the client has just disconnected, which is an ordinary end.
fn report(peer: &std::net::SocketAddr, error: &io::Error) {
    if !matches!(error.kind(), ErrorKind::ConnectionReset | ErrorKind::BrokenPipe) {
        eprintln!("echo: {peer}: {error}");
    }
}
