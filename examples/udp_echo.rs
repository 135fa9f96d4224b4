//! UDP echo: a server that sends each datagram back to its sender, and a client to try it.
//!
//! ```text
//! cargo run --release --example udp_echo                                      # on 127.0.0.1:7000
//! cargo run --release --example udp_echo -- 0.0.0.0:7000                      # or elsewhere
//! cargo run --release --example udp_echo -- --client 127.0.0.1:7000 one two   # in another terminal
//! ```
//!
//! UDP has no connections, so one task and one buffer serve all clients. A datagram may get lost. So the client waits
//! a second for each answer, and sends its datagram three times before it gives up. The client's socket is connected:
//! if no socket is bound to the port of the server, the client's next operation fails with "connection refused". The
//! server's socket is not connected, so the server is not told when a client has gone.
//!
//! A server that needs too much CPU time can use `recv_many` and `send_many` instead: see `runtime::net::udp`.
//!
//! Ctrl-C or SIGTERM ends the server.

use futures_lite::future::or;
use runtime::net::{UdpSocket, lookup_host};
use runtime::signal;
use runtime::time::{Duration, Instant, timeout};
use std::io::{self, ErrorKind};
use std::process::ExitCode;

const DEFAULT_ADDRESS: &str = "127.0.0.1:7000";

/// The size of the buffer in bytes. The largest UDP datagram over IPv4 has 65,507 bytes.
const BUFFER_SIZE: usize = 65_536;

/// The time that the client waits for an answer.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(1);

/// The number of times that the client sends a datagram before it gives up.
const TRIES: usize = 3;

#[runtime::main]
async fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let result = match arguments[..] {
        ["--client"] => client(DEFAULT_ADDRESS, &["hello"]).await,
        ["--client", address] => client(address, &["hello"]).await,
        ["--client", address, ref words @ ..] => client(address, words).await,
        [] => serve(DEFAULT_ADDRESS).await,
        [address] if !address.starts_with('-') => serve(address).await,
        _ => {
            eprintln!("usage: udp_echo [ADDRESS], or udp_echo --client [ADDRESS [WORD...]]");
            return ExitCode::from(2);
        }
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("udp_echo: {error}");
            if error.kind() == ErrorKind::AddrInUse {
                eprintln!("try another port: cargo run --release --example udp_echo -- 127.0.0.1:7001");
            }
            ExitCode::FAILURE
        }
    }
}

async fn serve(address: &str) -> io::Result<()> {
    let shutdown = signal::shutdown();
    let socket = UdpSocket::bind(address).await?;
    let bound = socket.local_addr()?;
    println!("udp_echo: listening on {bound}, until Ctrl-C. Try it:");
    println!("  cargo run --release --example udp_echo -- --client {bound} hello");
    println!("  nc -u {} {}", bound.ip(), bound.port());
    or(async { shutdown.await.map(drop) }, answer(&socket)).await
}

/// Answers datagrams until the socket fails.
async fn answer(socket: &UdpSocket) -> io::Result<()> {
    let mut buffer = vec![0; BUFFER_SIZE];
    loop {
        let (count, from) = socket.recv_from(&mut buffer).await?;
        // An error of one client must not end the service for the others.
        if let Err(error) = socket.send_to(&buffer[..count], from).await {
            eprintln!("udp_echo: {from}: {error}");
        }
    }
}

async fn client(address: &str, words: &[&str]) -> io::Result<()> {
    let Some(server) = lookup_host(address).await?.next() else {
        return Err(io::Error::new(ErrorKind::NotFound, format!("{address} has no address")));
    };
    // Bind to any local address and port, in the address family of the server.
    let ours = if server.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" };
    let socket = UdpSocket::bind(ours).await?;
    socket.connect(server).await?;
    let mut buffer = vec![0; BUFFER_SIZE];
    for word in words {
        let begin = Instant::now();
        let answer = ask(&socket, word.as_bytes(), &mut buffer).await?;
        println!("{} in {:?}", String::from_utf8_lossy(answer), begin.elapsed());
    }
    Ok(())
}

/// Sends a datagram until it comes back, at most [`TRIES`] times. Returns the answer.
async fn ask<'a>(socket: &UdpSocket, data: &[u8], buffer: &'a mut [u8]) -> io::Result<&'a [u8]> {
    for _ in 0..TRIES {
        socket.send(data).await?;
        let answer = timeout(ANSWER_TIMEOUT, async {
            loop {
                let count = socket.recv(buffer).await?;
                // An answer to an earlier datagram may arrive late. Ignore it.
                if buffer[..count] == *data {
                    return io::Result::Ok(count);
                }
            }
        });
        if let Ok(count) = answer.await {
            return Ok(&buffer[..count?]);
        }
    }
    Err(io::Error::new(ErrorKind::TimedOut, format!("no answer to {TRIES} datagrams")))
}
