//! C100K: a hundred thousand connections at once, on one machine.
//!
//! Six servers share one port (`SO_REUSEPORT`). The kernel gives each new connection to one of them, so a
//! single-threaded program can use as many cores as it starts processes. Six clients open the connections, and all of
//! them stay open while each one is used four times: three times at moments that are spread over some seconds, and
//! once when all are used at the same time.
//!
//! ```text
//! cargo run --release --example c100k                # 110,000 connections, in less than a minute
//! cargo run --release --example c100k -- 6000        # or another number
//! ```
//!
//! The program prints the latencies of the answers and the memory for each connection, in the servers and in the
//! kernel. It ends with code 1 if a connection was refused or lost, or if an answer was wrong.
//!
//! There are twelve processes, because a process may rarely have more than 20,000 descriptors. The servers listen on
//! several addresses of 127.0.0.0/8, because a client has only about 28,000 local ports for connections to one address
//! and port. The program is written for Linux: other systems do not share a port evenly, and have one loopback address.
//! If a limit of the system is too low, the program says so before it starts the processes.
//!
//! This file starts the other processes, tells them when to begin, and adds up their results. `server.rs` and
//! `client.rs` contain the work of these processes, and `machine.rs` reads the limits of the system and its memory
//! use.

mod client;
mod machine;
mod server;

use machine::{Memory, Pace, open_files};
use runtime::time::Instant;
use socket2::{Domain, Socket, Type};
use std::io::{self, BufRead, BufReader, Write};
use std::net::{Ipv4Addr, SocketAddr};
use std::process::{Child, ChildStdin, ChildStdout, Command, ExitCode, Stdio};

const CONNECTIONS: usize = 110_000;

/// The number of servers, and of clients.
pub(crate) const PROCESSES: usize = 6;

/// The number of addresses on which the servers listen: 127.0.0.1 and the following ones. There are enough of them that
/// less than half of the ports of each one are in use. Above that, the kernel, which looks for a free port by trial,
/// becomes slow.
pub(crate) const ADDRESSES: usize = 12;

/// The number of rounds in which each connection is used once.
const ROUNDS: usize = 3;

/// The number of messages per second in these rounds, on all connections together. This is a small part of what one
/// core can answer.
const MESSAGES_PER_SECOND: usize = 11_000;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let result = match arguments[..] {
        ["--server", port] => server::run(number(port) as u16),
        ["--client", port, count] => client::run(number(port) as u16, number(count)),
        [] => conduct(CONNECTIONS),
        [count] if (PROCESSES..=u32::MAX as usize).contains(&number(count)) => conduct(number(count)),
        _ => {
            eprintln!("usage: c100k [CONNECTIONS], {PROCESSES} or more");
            return ExitCode::from(2);
        }
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("c100k: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Parses a number. Returns 0 if the text is not a number.
fn number(text: &str) -> usize {
    text.parse().unwrap_or(0)
}

/// Starts all processes, and makes them open the connections and use them.
fn conduct(connections: usize) -> Result<(), String> {
    let shortages = machine::shortages(connections);
    if !shortages.is_empty() {
        return Err(format!("{connections} connections do not fit:\n  {}", shortages.join("\n  ")));
    }
    // This socket is bound and never listens. It reserves the port for the servers, and gets no connections.
    let port = bind(Ipv4Addr::LOCALHOST, 0).map_err(|error| format!("cannot bind on loopback: {error}"))?;
    let address = port.local_addr().ok().and_then(|address| address.as_socket());
    let port_number = address.map_or(0, |address| address.port()).to_string();

    let mut servers = Vec::new();
    for _ in 0..PROCESSES {
        servers.push(Process::start(&["--server", &port_number])?);
    }
    for server in &mut servers {
        server.answer()?; // The server listens now.
    }
    let before = Memory::now(servers.iter().map(Process::id));
    let files_before: Vec<usize> = servers.iter().map(|server| open_files(server.id())).collect();
    println!(
        "{PROCESSES} servers listen on port {port_number}, {PROCESSES} clients open {connections} connections"
    );

    let start = Instant::now();
    let mut clients = Vec::new();
    for client in 0..PROCESSES {
        let share = (connections + client) / PROCESSES;
        clients.push(Process::start(&["--client", &port_number, &share.to_string()])?);
    }
    for client in &mut clients {
        client.answer()?; // All connections of the client are open now.
    }
    let seconds = start.elapsed().as_secs_f64();
    println!("all are open after {seconds:.1} s, {:.0} a second", connections as f64 / seconds);

    let span_ms = connections * 1000 / MESSAGES_PER_SECOND;
    for round in 1..=ROUNDS {
        let pace = play_round(&mut clients, span_ms, connections)?;
        println!("round {round} of {ROUNDS}, one after the other: {pace}");
    }
    let after = Memory::now(servers.iter().map(Process::id));
    let pace = play_round(&mut clients, 0, connections)?;
    println!("all at the same time: {pace}");

    let accepted: Vec<usize> =
        servers.iter().zip(files_before).map(|(server, before)| open_files(server.id()) - before).collect();
    println!("{} connections are still open; by server: {accepted:?}", accepted.iter().sum::<usize>());
    println!("{}", before.growth(&after, connections));
    Ok(())
}

/// Makes the clients use every connection once, at moments that are spread over `span_ms`. Returns when all answers
/// have arrived.
fn play_round(clients: &mut [Process], span_ms: usize, connections: usize) -> Result<Pace, String> {
    let start = Instant::now();
    for client in &mut *clients {
        client.tell(&span_ms.to_string())?;
    }
    let mut latencies = Vec::with_capacity(connections);
    for client in clients {
        let line = client.answer()?;
        latencies.extend(line.split_whitespace().filter_map(|word| word.parse::<u32>().ok()));
    }
    if latencies.len() != connections {
        return Err(format!("{} of {connections} connections were answered", latencies.len()));
    }
    Ok(Pace::of(latencies, start.elapsed()))
}

/// Binds a socket to an address and a port. Other sockets of this program can be bound to the same address and port.
pub(crate) fn bind(address: Ipv4Addr, port: u16) -> io::Result<Socket> {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
    socket.set_reuse_port(true)?;
    socket.bind(&SocketAddr::from((address, port)).into())?;
    Ok(socket)
}

/// A process that runs this program as a server or as a client.
struct Process {
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

impl Process {
    fn start(arguments: &[&str]) -> Result<Process, String> {
        let start = || {
            // A shell raises the limit on descriptors in one line. In Rust that takes unsafe code.
            let mut child = Command::new("sh")
                .args(["-c", r#"ulimit -n "$(ulimit -Hn)"; exec "$0" "$@""#])
                .arg(std::env::current_exe()?)
                .args(arguments)
                .stdin(Stdio::piped())
                .stdout(Stdio::piped())
                .spawn()?;
            let (input, output) = (child.stdin.take(), child.stdout.take());
            let (Some(input), Some(output)) = (input, output) else { unreachable!("both are pipes") };
            Ok(Process { child, input, output: BufReader::new(output) })
        };
        start().map_err(|error: io::Error| format!("cannot start a process: {error}"))
    }

    fn id(&self) -> u32 {
        self.child.id()
    }

    fn tell(&mut self, line: &str) -> Result<(), String> {
        writeln!(self.input, "{line}").map_err(|_| GIVEN_UP.to_owned())
    }

    fn answer(&mut self) -> Result<String, String> {
        let mut line = String::new();
        match self.output.read_line(&mut line) {
            Ok(_) if line.ends_with('\n') => Ok(line),
            _ => Err(GIVEN_UP.to_owned()),
        }
    }
}

const GIVEN_UP: &str = "a process has given up, see above";

impl Drop for Process {
    fn drop(&mut self) {
        // Both calls fail only if the process has ended already, which is fine.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
