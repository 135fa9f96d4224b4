//! Selector echo: the server of the `echo` example without async code, on any selector.
//!
//! One loop waits in a [`Selector`] and does by hand what a runtime does by itself: it stores the bytes that each
//! connection has not sent yet, and registers the interest that follows from them. The same code works with
//! level-triggered and edge-triggered selectors. Comments show where it has to be careful for that.
//!
//! ```text
//! cargo run --release --example selector_echo                          # the best selector, on 127.0.0.1:7000
//! cargo run --release --example selector_echo -- poll                  # or epoll, epoll-level, kqueue, select
//! cargo run --release --example selector_echo -- poll 0.0.0.0:7000     # or elsewhere; port 0 means any free port
//! ```
//!
//! Connect to it from another terminal, by hand or with thousands of connections:
//!
//! ```text
//! nc 127.0.0.1 7000
//! cargo run --release --example echo_client -- 127.0.0.1:7000 --connections 9000 --messages 20
//! ```
//!
//! Each connection takes one descriptor. For more than a thousand connections, run `ulimit -n 20000` in both terminals
//! first. With `select`, the server serves about a thousand connections at most, and closes further ones.

use runtime::io::Interest;
use runtime::selector::{Events, Kind, Selector};
use socket2::SockRef;
use std::collections::HashMap;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::ExitCode;
use std::time::{Duration, Instant};

const DEFAULT_ADDRESS: &str = "127.0.0.1:7000";

/// The maximum number of events that one wait returns.
const EVENTS_PER_WAIT: usize = 1024;

/// The size of the buffer that all connections share, in bytes. A connection stores only bytes that it could not send.
const BUFFER_SIZE: usize = 64 * 1024;

/// The number of pieces that one connection may echo before other connections are served.
const MAX_PIECES: usize = 16;

/// The number of connections that are accepted before other events are served.
const MAX_ACCEPTS: usize = 256;

/// The length of the kernel's accept queue. A client that finds the queue full tries again after a second.
const BACKLOG: i32 = 4096;

/// The time without attempts to accept after an error. If the process has no more descriptors, accepting fails until a
/// client disconnects. Trying all the time would take CPU time from the open connections.
const ACCEPT_BACKOFF: Duration = Duration::from_millis(100);

/// The shortest time between two reports of errors.
const REPORT_INTERVAL: Duration = Duration::from_secs(10);

/// The key of the listener. Connections have the keys above it. A key is never used again, so that a late event of a
/// closed connection is not attributed to another connection.
const LISTENER: u64 = 0;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let (kind, address) = match &arguments[..] {
        [] => (None, DEFAULT_ADDRESS),
        [kind] => (Some(kind), DEFAULT_ADDRESS),
        [kind, address] => (Some(kind), &address[..]),
        _ => return usage("too many arguments"),
    };
    let selector = match kind.map(|kind| kind.parse::<Kind>()) {
        None => Selector::new(),
        Some(Ok(kind)) => Selector::with(kind),
        Some(Err(error)) => return usage(error),
    };
    match selector.and_then(|selector| Server::new(selector, address)?.run()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("selector_echo: {address}: {error}");
            ExitCode::FAILURE
        }
    }
}

fn usage(error: impl std::fmt::Display) -> ExitCode {
    eprintln!("selector_echo: {error}");
    eprintln!("usage: selector_echo [KIND] [ADDRESS], such as poll {DEFAULT_ADDRESS}");
    ExitCode::from(2)
}

struct Server {
    selector: Selector,
    listener: TcpListener,
    /// The end of the backoff after an error of accept. The listener is not registered until then.
    backoff_until: Option<Instant>,
    connections: HashMap<u64, Connection>,
    last_key: u64,
    buffer: Vec<u8>,
    reported: Option<Instant>,
}

struct Connection {
    stream: TcpStream,
    interest: Interest,
    /// Bytes that were read and could not be sent at once. The first `sent` of them have been sent since then.
    unsent: Vec<u8>,
    sent: usize,
}

impl Server {
    fn new(mut selector: Selector, address: &str) -> io::Result<Server> {
        let listener = TcpListener::bind(address)?;
        listener.set_nonblocking(true)?;
        // std has set the length of the queue to 128.
        SockRef::from(&listener).listen(BACKLOG)?;
        selector.register(&listener, LISTENER, Interest::READABLE)?;
        let bound = listener.local_addr()?;
        println!("selector_echo: listening on {bound} with {}, until Ctrl-C. Talk to it:", selector.kind());
        println!("  nc {} {}", bound.ip(), bound.port());
        println!("  cargo run --release --example echo_client -- {bound}");
        Ok(Server {
            selector,
            listener,
            backoff_until: None,
            connections: HashMap::new(),
            last_key: LISTENER,
            buffer: vec![0; BUFFER_SIZE],
            reported: None,
        })
    }

    /// Runs the loop until the selector fails.
    fn run(mut self) -> io::Result<()> {
        let mut events = Events::with_capacity(EVENTS_PER_WAIT);
        loop {
            let timeout = self.backoff_until.map(|until| until.saturating_duration_since(Instant::now()));
            self.selector.wait(&mut events, timeout)?;
            if self.backoff_until.is_some_and(|until| until <= Instant::now()) {
                self.backoff_until = None;
                self.selector.register(&self.listener, LISTENER, Interest::READABLE)?;
            }
            for event in &events {
                if event.key() == LISTENER {
                    self.accept()?;
                } else {
                    self.serve(event.key())?;
                }
            }
        }
    }

    fn accept(&mut self) -> io::Result<()> {
        for _ in 0..MAX_ACCEPTS {
            match self.listener.accept() {
                Ok((stream, peer)) => {
                    if let Err(error) = self.admit(stream) {
                        self.report(format_args!("closed the connection of {peer}: {error}"));
                    }
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                // The error is that of one connection, which has been closed, or a signal has interrupted the call.
                // Continue with the next connection.
                Err(error)
                    if matches!(error.kind(), ErrorKind::ConnectionAborted | ErrorKind::Interrupted) => {}
                Err(error) => {
                    self.report(format_args!("cannot accept for now, will try again: {error}"));
                    self.backoff_until = Some(Instant::now() + ACCEPT_BACKOFF);
                    return self.selector.deregister(&self.listener);
                }
            }
        }
        // There may be more connections. A level-triggered selector reports the listener again by itself, and an
        // edge-triggered one because the interest is set again.
        self.selector.modify(&self.listener, LISTENER, Interest::READABLE)
    }

    fn admit(&mut self, stream: TcpStream) -> io::Result<()> {
        stream.set_nonblocking(true)?;
        // Otherwise the last piece of a long message waits about 40 ms for the client's next acknowledgement.
        stream.set_nodelay(true)?;
        let (key, interest) = (self.last_key + 1, Interest::READABLE);
        self.selector.register(&stream, key, interest)?;
        self.last_key = key;
        self.connections.insert(key, Connection { stream, interest, unsent: Vec::new(), sent: 0 });
        Ok(())
    }

    /// Serves one connection, unless it was closed earlier in this batch of events.
    fn serve(&mut self, key: u64) -> io::Result<()> {
        let Some(connection) = self.connections.get_mut(&key) else { return Ok(()) };
        match connection.echo(&mut self.buffer) {
            Ok(Next::Wait(interest)) if interest == connection.interest => Ok(()),
            Ok(Next::Wait(interest) | Next::GoOn(interest)) => {
                // Readiness that is there already is reported again, also by an edge-triggered selector.
                connection.interest = interest;
                self.selector.modify(&connection.stream, key, interest)
            }
            Ok(Next::Close) => self.close(key),
            Err(error) => {
                if !matches!(error.kind(), ErrorKind::ConnectionReset | ErrorKind::BrokenPipe) {
                    self.report(format_args!("{error}"));
                }
                self.close(key)
            }
        }
    }

    /// Deregisters a connection from the selector, and then closes it.
    fn close(&mut self, key: u64) -> io::Result<()> {
        match self.connections.remove(&key) {
            Some(connection) => self.selector.deregister(&connection.stream),
            None => Ok(()),
        }
    }

    fn report(&mut self, message: std::fmt::Arguments<'_>) {
        if self.reported.is_none_or(|instant| instant.elapsed() > REPORT_INTERVAL) {
            self.reported = Some(Instant::now());
            eprintln!("selector_echo: {message} ({} connections)", self.connections.len());
        }
    }
}

/// The next step for a connection.
enum Next {
    /// Wait for this readiness.
    Wait(Interest),
    /// Continue later: the connection may still be ready, but other connections are served first.
    GoOn(Interest),
    Close,
}

impl Connection {
    /// Reads and sends until one of the two would block, since an edge-triggered selector reports only later changes.
    /// While bytes are unsent, the connection reads nothing, so that a client that does not read its echo cannot fill
    /// the memory of the server.
    fn echo(&mut self, buffer: &mut [u8]) -> io::Result<Next> {
        for _ in 0..MAX_PIECES {
            if !self.flush()? {
                return Ok(Next::Wait(Interest::WRITABLE));
            }
            match self.stream.read(buffer) {
                Ok(0) => return Ok(Next::Close),
                Ok(count) => self.send(&buffer[..count])?,
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    return Ok(Next::Wait(Interest::READABLE));
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(Next::GoOn(if self.unsent.is_empty() { Interest::READABLE } else { Interest::WRITABLE }))
    }

    /// Sends as many bytes as possible, and stores the rest.
    fn send(&mut self, piece: &[u8]) -> io::Result<()> {
        let sent = write(&mut self.stream, piece)?;
        self.unsent.extend_from_slice(&piece[sent..]);
        Ok(())
    }

    /// Sends the stored bytes. Returns `false` if some of them are left.
    fn flush(&mut self) -> io::Result<bool> {
        if self.unsent.is_empty() {
            return Ok(true);
        }
        self.sent += write(&mut self.stream, &self.unsent[self.sent..])?;
        let is_done = self.sent == self.unsent.len();
        if is_done {
            // Free the memory: most connections never need it again.
            self.unsent = Vec::new();
            self.sent = 0;
        }
        Ok(is_done)
    }
}

/// Writes until the stream would block. Returns the number of bytes written.
fn write(stream: &mut TcpStream, piece: &[u8]) -> io::Result<usize> {
    let mut written = 0;
    while written < piece.len() {
        match stream.write(&piece[written..]) {
            Ok(0) => return Err(ErrorKind::WriteZero.into()),
            Ok(count) => written += count,
            Err(error) if error.kind() == ErrorKind::WouldBlock => break,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(written)
}
