//! Echo: a server that sends back whatever it is sent.
//!
//! One task accepts, and each connection gets a task of its own with a buffer of its own: code as
//! plain as with a thread for each, at a few kilobytes and no thread for each. Tens of thousands of
//! connections are a matter of the system's limits alone.
//!
//! ```text
//! cargo run --release --example echo                       # on 127.0.0.1:7000
//! cargo run --release --example echo -- 0.0.0.0:7000       # or elsewhere; port 0 takes any free one
//! ```
//!
//! Talk to it from another terminal, by hand or by the thousand:
//!
//! ```text
//! nc 127.0.0.1 7000
//! cargo run --release --example echo_client -- 127.0.0.1:7000 --connections 9000 --messages 20
//! ```
//!
//! Each connection takes one descriptor, and `ulimit -n`, often 1024, says how many a process may
//! have. When they run out the server says so and goes on: those who are connected are served, and
//! new ones wait in the listener's queue until somebody leaves.
//!
//! Ctrl-C ends it. The library does not handle signals yet, so this is what SIGINT does by default:
//! the process is gone at once, the kernel closes the connections, and what was on its way through
//! the server is lost. For an echo that is good enough.

use runtime::io::{AsyncReadExt, AsyncWriteExt};
use runtime::net::{TcpListener, TcpStream};
use runtime::time::{Duration, Instant};
use std::io::{self, ErrorKind};
use std::process::ExitCode;

const DEFAULT_ADDRESS: &str = "127.0.0.1:7000";

/// Each connection has that much: for short messages it is plenty, and ten thousand take 40 MB.
const BUFFER_SIZE: usize = 4096;

/// As long as accepting fails it is tried anew ten times a second; once in this while is enough to
/// hear of it.
const QUIET: Duration = Duration::from_secs(10);

#[runtime::main]
async fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let address = arguments.next().unwrap_or_else(|| DEFAULT_ADDRESS.to_owned());
    if address.starts_with('-') || arguments.next().is_some() {
        eprintln!("usage: echo [ADDRESS], such as {DEFAULT_ADDRESS}");
        return ExitCode::from(2);
    }
    match listen(&address).await {
        Ok(listener) => accept(listener).await,
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

/// Gives each connection its task, for ever.
async fn accept(listener: TcpListener) -> ! {
    let mut reported: Option<Instant> = None;
    loop {
        match listener.accept().await {
            Ok((stream, peer)) => {
                // The handle is dropped, so the task goes by itself, and ends with the connection.
                drop(runtime::spawn(async move {
                    if let Err(error) = echo(stream).await {
                        report(&peer, &error);
                    }
                }));
            }
            // No reason to give up, nor to wait here: after an error the listener rests by itself.
            Err(error) => {
                if reported.is_none_or(|instant| instant.elapsed() > QUIET) {
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
    // Else the last piece of a long message waits for the client's next acknowledgement, some 40 ms.
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

/// A client that just goes away is an everyday end; anything else is worth a line.
fn report(peer: &std::net::SocketAddr, error: &io::Error) {
    if !matches!(error.kind(), ErrorKind::ConnectionReset | ErrorKind::BrokenPipe) {
        eprintln!("echo: {peer}: {error}");
    }
}
