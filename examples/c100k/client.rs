//! A client: opens its share of the connections, and uses each of them once for each line of input.
//!
//! The client prints a line when all its connections are open. Each line of input is a number of milliseconds, over
//! which the client spreads the messages. It answers with a line that contains the latency of each message in
//! microseconds.

use super::server::address;
use runtime::io::{AsyncReadExt, AsyncWriteExt};
use runtime::net::TcpStream;
use runtime::task::spawn_blocking;
use runtime::time::{Duration, Instant, sleep_until, timeout, timeout_at};
use std::cell::Cell;
use std::io::{self, ErrorKind};
use std::rc::Rc;

/// The number of connections that are opened at the same time. Every listener's queue has room for this many.
const CONNECTING: usize = 100;

/// The time limit for one connection attempt and for one answer.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(30);

/// The time limit for opening all connections.
const OPENING: Duration = Duration::from_secs(120);

pub(crate) fn run(port: u16, count: usize) -> Result<(), String> {
    runtime::block_on(async move {
        let opened = timeout(OPENING, connect_all(port, count)).await;
        let mut streams =
            opened.map_err(|_| format!("client: not all connections were open after {OPENING:?}"))??;
        println!("open");
        while let Some(line) = next_line().await? {
            let span_ms = line.trim().parse().map_err(|_| "client: not a number of milliseconds")?;
            let latencies: Vec<String>;
            (streams, latencies) = use_all(streams, Duration::from_millis(span_ms)).await?;
            println!("{}", latencies.join(" "));
        }
        Ok(())
    })
}

/// Reads a line of input. Returns `None` at its end, which comes when the process that has started this one has ended.
async fn next_line() -> Result<Option<String>, String> {
    let line = spawn_blocking(|| io::stdin().lines().next().transpose()).await;
    line.map_err(|panicked| panicked.to_string())?.map_err(|error| error.to_string())
}

/// Opens `count` connections, [`CONNECTING`] at a time.
async fn connect_all(port: u16, count: usize) -> Result<Vec<TcpStream>, String> {
    let left = Rc::new(Cell::new(count));
    let connectors: Vec<_> =
        (0..CONNECTING).map(|_| runtime::spawn(connect_some(port, left.clone()))).collect();
    let mut streams = Vec::with_capacity(count);
    for connector in connectors {
        streams.extend(connector.await.map_err(|panicked| panicked.to_string())??);
    }
    Ok(streams)
}

/// Opens one connection after the other, until none are left to be opened.
async fn connect_some(port: u16, left: Rc<Cell<usize>>) -> Result<Vec<TcpStream>, String> {
    let mut streams = Vec::new();
    while let Some(rest) = left.get().checked_sub(1) {
        left.set(rest);
        let server = (address(rest), port);
        let connected = timeout(ANSWER_TIMEOUT, TcpStream::connect(server)).await.map_err(io::Error::from);
        let stream = connected.flatten().map_err(|error| {
            let hint = hint(&error);
            format!("client: cannot connect to {}:{port}: {error}{hint}", server.0)
        })?;
        // Close the connection with a reset, so that it does not occupy its port for another minute.
        stream.set_linger(Some(Duration::ZERO)).map_err(|error| error.to_string())?;
        streams.push(stream);
    }
    Ok(streams)
}

fn hint(error: &io::Error) -> &'static str {
    match error.kind() {
        ErrorKind::TimedOut => {
            "\nif a firewall tracks connections, its table may be full: net.netfilter.nf_conntrack_max"
        }
        ErrorKind::AddrNotAvailable => {
            "\nno local port is left towards it: net.ipv4.ip_local_port_range, or fewer connections"
        }
        _ => "",
    }
}

/// Sends a message on each connection, at moments that are spread evenly over `span`. Returns the connections, which
/// are still open, and the latencies in microseconds.
async fn use_all(streams: Vec<TcpStream>, span: Duration) -> Result<(Vec<TcpStream>, Vec<String>), String> {
    let start = Instant::now();
    let count = streams.len();
    let tasks: Vec<_> = streams
        .into_iter()
        .enumerate()
        .map(|(index, stream)| {
            let due = start + span.mul_f64(index as f64 / count as f64);
            runtime::spawn(use_once(stream, index, due))
        })
        .collect();
    let mut streams = Vec::with_capacity(count);
    let mut latencies = Vec::with_capacity(count);
    for task in tasks {
        let (stream, latency) = task.await.map_err(|panicked| panicked.to_string())??;
        streams.push(stream);
        latencies.push(latency.as_micros().to_string());
    }
    Ok((streams, latencies))
}

/// Sends a message at the time `due`, and waits for the answer. The latency counts from `due`, so it includes a delay
/// of this process itself.
async fn use_once(
    mut stream: TcpStream,
    index: usize,
    due: Instant,
) -> Result<(TcpStream, Duration), String> {
    sleep_until(due).await;
    // Each connection sends a different message.
    let message = (index as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15).to_le_bytes();
    let mut answer = [0; size_of::<u64>()];
    let exchange = async {
        stream.write_all(&message).await?;
        stream.read_exact(&mut answer).await?;
        std::io::Result::Ok(())
    };
    match timeout_at(due + ANSWER_TIMEOUT, exchange).await {
        Ok(Ok(())) if answer == message => Ok((stream, due.elapsed())),
        Ok(Ok(())) => Err(format!("client: connection {index}: the answer is that of another message")),
        Ok(Err(error)) => Err(format!("client: connection {index}: {error}")),
        Err(_) => Err(format!("client: connection {index}: no answer in {ANSWER_TIMEOUT:?}")),
    }
}
