//! Echo client: puts load on the `echo` server, and checks that the server loses no bytes.
//!
//! The client first opens all its connections, some at a time. Then all connections work at the same time: each one
//! sends a message, waits for the answer, compares every byte, and sends the next message.
//!
//! ```text
//! cargo run --release --example echo                                     # in another terminal
//! cargo run --release --example echo_client                              # 100 connections
//! cargo run --release --example echo_client -- 127.0.0.1:7000 --connections 9000 --messages 20 --size 64
//! cargo run --release --example echo_client -- --connections 9000 --messages 1 --hold 60    # then idle
//! ```
//!
//! The client prints the number of answers, their rate and their latencies, and ends with code 1 if a message was
//! lost or changed. Both sides need a descriptor for each connection. For more than a thousand connections, run
//! `ulimit -n 20000` in both terminals first.

use futures_lite::future::try_zip;
use runtime::io::{AsyncReadExt, AsyncWriteExt};
use runtime::net::{TcpStream, lookup_host};
use runtime::time::{Duration, Instant, sleep, timeout};
use std::cell::{Cell, RefCell};
use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::process::ExitCode;
use std::rc::Rc;

const USAGE: &str =
    "usage: echo_client [ADDRESS] [--connections N] [--messages N] [--size BYTES] [--hold SECONDS]";

/// The number of connections that are opened at the same time. Every listener's queue has room for this many.
const CONNECTING: usize = 100;

/// The time after which a message without an answer counts as lost. The client then gives the connection up.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(10);

/// The number of errors that are printed. When one connection fails, thousands are likely to fail.
const ERRORS_SHOWN: usize = 3;

struct Options {
    address: String,
    connections: usize,
    messages: usize,
    size: usize,
    hold: u64,
}

#[runtime::main]
async fn main() -> ExitCode {
    let Some(options) = parse(std::env::args().skip(1)) else {
        eprintln!("{USAGE}");
        return ExitCode::from(2);
    };
    match run(options).await {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("echo_client: {error}");
            ExitCode::FAILURE
        }
    }
}

fn parse(mut arguments: impl Iterator<Item = String>) -> Option<Options> {
    let mut options =
        Options { address: "127.0.0.1:7000".to_owned(), connections: 100, messages: 1000, size: 64, hold: 0 };
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--connections" => options.connections = arguments.next()?.parse().ok()?,
            "--messages" => options.messages = arguments.next()?.parse().ok()?,
            "--size" => options.size = arguments.next()?.parse().ok()?,
            "--hold" => options.hold = arguments.next()?.parse().ok()?,
            option if option.starts_with('-') => return None,
            _ => options.address = argument,
        }
    }
    (options.connections > 0 && options.size > 0).then_some(options)
}

/// Runs the client. Returns `true` if all messages have come back unchanged.
async fn run(options: Options) -> Result<bool, String> {
    let Options { address, connections, messages, size, hold } = options;
    let start = Instant::now();
    let streams = connect_all(&address, connections).await?;
    println!("{connections} connections to {address} open after {:.2?}", start.elapsed());

    // All tasks share this without a lock, since they run on one thread.
    let latencies = Rc::new(RefCell::new(Vec::new()));
    let start = Instant::now();
    let talk = |(number, stream)| runtime::spawn(talk(stream, number, messages, size, latencies.clone()));
    let tasks: Vec<_> = streams.into_iter().enumerate().map(talk).collect();
    let (mut streams, mut errors) = (Vec::new(), 0);
    for task in tasks {
        match task.await.map_err(|panicked| panicked.to_string())? {
            Ok(stream) => streams.push(stream),
            Err(error) => {
                errors += 1;
                if errors <= ERRORS_SHOWN {
                    eprintln!("echo_client: {error}");
                }
            }
        }
    }
    let elapsed = start.elapsed();

    let mut latencies = latencies.take();
    latencies.sort_unstable();
    let (came, sent) = (latencies.len(), connections * messages);
    println!("{came} of {sent} messages of {size} B came back unchanged, {errors} connections failed");
    if came > 0 {
        let rate = came as f64 / elapsed.as_secs_f64();
        let (half, most) = (latencies[came / 2], latencies[came * 99 / 100]);
        println!("{elapsed:.2?}, {rate:.0} req/s, p50 {half:.1?}, p99 {most:.1?}");
    }
    if hold > 0 {
        println!("holding {} idle connections for {hold} s", streams.len());
        sleep(Duration::from_secs(hold)).await;
    }
    Ok(errors == 0 && came == sent)
}

/// Opens `count` connections, [`CONNECTING`] at a time.
async fn connect_all(address: &str, count: usize) -> Result<Vec<TcpStream>, String> {
    let addresses = lookup_host(address).await.map_err(|error| format!("{address}: {error}"))?;
    let addresses: Rc<[SocketAddr]> = addresses.collect();
    let left = Rc::new(Cell::new(count));
    let connectors = (0..CONNECTING).map(|_| runtime::spawn(connect_some(addresses.clone(), left.clone())));
    let connectors: Vec<_> = connectors.collect();
    let mut streams = Vec::with_capacity(count);
    for connector in connectors {
        let opened = connector.await.map_err(|panicked| panicked.to_string())?;
        streams.extend(opened.map_err(|error| match error.kind() {
            ErrorKind::ConnectionRefused => {
                format!("{address}: {error}\nstart the server first: cargo run --release --example echo")
            }
            ErrorKind::AddrNotAvailable => {
                format!("{address}: {error}: no local port is left, take fewer connections")
            }
            _ if error.raw_os_error() == Some(libc::EMFILE) => {
                format!("{error}: each connection takes a descriptor; allow more: ulimit -n {}", count + 100)
            }
            _ => format!("cannot connect to {address}: {error}"),
        })?);
    }
    Ok(streams)
}

/// Opens one connection after the other, until none are left to be opened.
async fn connect_some(addresses: Rc<[SocketAddr]>, left: Rc<Cell<usize>>) -> io::Result<Vec<TcpStream>> {
    let mut streams = Vec::new();
    while let Some(rest) = left.get().checked_sub(1) {
        left.set(rest);
        streams.push(timeout(ANSWER_TIMEOUT, TcpStream::connect(&addresses[..])).await??);
    }
    Ok(streams)
}

/// Sends messages and compares the answers. Returns the connection, which is still open.
async fn talk(
    mut stream: TcpStream,
    number: usize,
    messages: usize,
    size: usize,
    latencies: Rc<RefCell<Vec<Duration>>>,
) -> Result<TcpStream, String> {
    stream.set_nodelay(true).map_err(|error| format!("connection {number}: {error}"))?;
    let (mut message, mut answer) = (vec![0; size], vec![0; size]);
    for count in 0..messages {
        // Two consecutive messages of a connection differ, and so do the messages of two neighbouring connections.
        for (index, byte) in message.iter_mut().enumerate() {
            *byte = (number * 31 + count * 7 + index) as u8;
        }
        let start = Instant::now();
        let (mut reader, mut writer) = stream.split();
        // Write and read at the same time: if a message is larger than all buffers between the two sides, its
        // beginning has to be read while its end is being written.
        let exchange = try_zip(writer.write_all(&message), reader.read_exact(&mut answer));
        match timeout(ANSWER_TIMEOUT, exchange).await {
            Ok(Ok(_)) if answer == message => latencies.borrow_mut().push(start.elapsed()),
            Ok(Ok(_)) => return Err(format!("connection {number}: message {count} came back changed")),
            Ok(Err(error)) => return Err(format!("connection {number}, message {count}: {error}")),
            Err(_) => {
                return Err(format!(
                    "connection {number}: message {count} did not come back in {ANSWER_TIMEOUT:?}"
                ));
            }
        }
    }
    Ok(stream)
}
