//! A client: opens its share of the connections, and uses each of them once whenever it is told to.
//!
//! It prints a line when all are open. Then each line of input is a number of milliseconds, over which to
//! spread the messages; the answer is a line with the latency of each in microseconds.

use super::server::address;
use runtime::io::{AsyncReadExt, AsyncWriteExt};
use runtime::net::TcpStream;
use runtime::task::spawn_blocking;
use runtime::time::{Duration, Instant, sleep_until, timeout, timeout_at};
use std::cell::Cell;
use std::io::{self, ErrorKind};
use std::rc::Rc;

/// How many connections are being opened at a time: fewer than any listener's queue has room for.
const CONNECTING: usize = 100;

/// Whoever does not get a connection or an answer by then gives up.
const PATIENCE: Duration = Duration::from_secs(30);

/// All connections are to be open by then.
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

/// `None` at the end, when whoever started this is gone.
async fn next_line() -> Result<Option<String>, String> {
    let line = spawn_blocking(|| io::stdin().lines().next().transpose()).await;
    line.map_err(|panicked| panicked.to_string())?.map_err(|error| error.to_string())
}

/// Opens that many connections, [`CONNECTING`] at a time.
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

/// Opens one connection after the other, as long as any are left to be opened.
async fn connect_some(port: u16, left: Rc<Cell<usize>>) -> Result<Vec<TcpStream>, String> {
    let mut streams = Vec::new();
    while let Some(rest) = left.get().checked_sub(1) {
        left.set(rest);
        let server = (address(rest), port);
        let connected = timeout(PATIENCE, TcpStream::connect(server)).await.map_err(io::Error::from);
        let stream = connected.flatten().map_err(|error| {
            let hint = hint(&error);
            format!("client: cannot connect to {}:{port}: {error}{hint}", server.0)
        })?;
        // Closes with a reset, so that no port is taken up for a minute by what is over.
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

/// Sends a message on each connection, at moments spread evenly over `span`. Gives the connections
/// back, still open, with the latencies in microseconds.
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

/// Sends a message when it is due. The latency counts from then, so that it grows if this process is
/// late itself.
async fn use_once(
    mut stream: TcpStream,
    index: usize,
    due: Instant,
) -> Result<(TcpStream, Duration), String> {
    sleep_until(due).await;
    // No two connections say the same.
    let message = (index as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15).to_le_bytes();
    let mut answer = [0; size_of::<u64>()];
    let exchange = async {
        stream.write_all(&message).await?;
        stream.read_exact(&mut answer).await
    };
    match timeout_at(due + PATIENCE, exchange).await {
        Ok(Ok(())) if answer == message => Ok((stream, due.elapsed())),
        Ok(Ok(())) => Err(format!("client: connection {index}: the answer is another one's")),
        Ok(Err(error)) => Err(format!("client: connection {index}: {error}")),
        Err(_) => Err(format!("client: connection {index}: no answer in {PATIENCE:?}")),
    }
}
