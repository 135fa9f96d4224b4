//! Selector echo: the server of the `echo` example without async, on any mechanism.
//!
//! One loop waits in a [`Selector`] and does by hand what a runtime does by itself: it keeps what each
//! connection has yet to send, and an interest to go with it. The same code serves level- and
//! edge-triggered mechanisms alike; the notes below say where that takes care.
//!
//! ```text
//! cargo run --release --example selector_echo                          # the best there is, on 127.0.0.1:7000
//! cargo run --release --example selector_echo -- poll                  # or epoll, epoll-level, kqueue, select
//! cargo run --release --example selector_echo -- poll 0.0.0.0:7000     # or elsewhere; port 0 takes any free one
//! ```
//!
//! Talk to it from another terminal, by hand or by the thousand:
//!
//! ```text
//! nc 127.0.0.1 7000
//! cargo run --release --example echo_client -- 127.0.0.1:7000 --connections 9000 --messages 20
//! ```
//!
//! Each connection takes one descriptor, so for more than a thousand say `ulimit -n 20000` in both
//! terminals first. `select` serves no more than about a thousand, and turns the others away.

use runtime::io::Interest;
use runtime::selector::{Events, Kind, Selector};
use socket2::SockRef;
use std::collections::HashMap;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::ExitCode;
use std::time::{Duration, Instant};

const DEFAULT_ADDRESS: &str = "127.0.0.1:7000";

/// Events taken from one wait.
const ROOM: usize = 1024;

/// One buffer serves all: a connection keeps only what it could not send.
const BUFFER_SIZE: usize = 64 * 1024;

/// Pieces that one connection may have echoed before others get their turn.
const PIECES: usize = 16;

/// Connections accepted before others get their turn.
const ACCEPTS: usize = 256;

/// Connections that the kernel keeps until they are accepted; more of them wait a second and try again.
const BACKLOG: i32 = 4096;

/// When descriptors run out, accepting fails until somebody leaves. Trying all the time would take the
/// CPU from those who are connected.
const REST: Duration = Duration::from_millis(100);

/// Once in this while is enough to hear of what goes wrong.
const QUIET: Duration = Duration::from_secs(10);

/// Connections count up from here. A key never comes again, so that no late event is taken for
/// another's.
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
    /// Set while nobody is accepted.
    resting: Option<Instant>,
    connections: HashMap<u64, Connection>,
    last_key: u64,
    buffer: Vec<u8>,
    reported: Option<Instant>,
}

struct Connection {
    stream: TcpStream,
    interest: Interest,
    /// What was read and could not be sent yet, and how much of it has been since.
    unsent: Vec<u8>,
    sent: usize,
}

impl Server {
    fn new(mut selector: Selector, address: &str) -> io::Result<Server> {
        let listener = TcpListener::bind(address)?;
        listener.set_nonblocking(true)?;
        // std has it keep 128.
        SockRef::from(&listener).listen(BACKLOG)?;
        selector.register(&listener, LISTENER, Interest::READABLE)?;
        let bound = listener.local_addr()?;
        println!("selector_echo: listening on {bound} with {}, until Ctrl-C. Talk to it:", selector.kind());
        println!("  nc {} {}", bound.ip(), bound.port());
        println!("  cargo run --release --example echo_client -- {bound}");
        Ok(Server {
            selector,
            listener,
            resting: None,
            connections: HashMap::new(),
            last_key: LISTENER,
            buffer: vec![0; BUFFER_SIZE],
            reported: None,
        })
    }

    /// Turns the loop until the selector fails.
    fn run(mut self) -> io::Result<()> {
        let mut events = Events::with_capacity(ROOM);
        loop {
            let timeout = self.resting.map(|until| until.saturating_duration_since(Instant::now()));
            self.selector.wait(&mut events, timeout)?;
            if self.resting.is_some_and(|until| until <= Instant::now()) {
                self.resting = None;
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
        for _ in 0..ACCEPTS {
            match self.listener.accept() {
                Ok((stream, peer)) => {
                    if let Err(error) = self.admit(stream) {
                        self.report(format_args!("turned {peer} away: {error}"));
                    }
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                // Of one connection, which is gone, or of a signal: the next one may do.
                Err(error)
                    if matches!(error.kind(), ErrorKind::ConnectionAborted | ErrorKind::Interrupted) => {}
                Err(error) => {
                    self.report(format_args!("cannot accept for now, will try again: {error}"));
                    self.resting = Some(Instant::now() + REST);
                    return self.selector.deregister(&self.listener);
                }
            }
        }
        // By level it would come again by itself; by edge only because it is asked for anew.
        self.selector.modify(&self.listener, LISTENER, Interest::READABLE)
    }

    fn admit(&mut self, stream: TcpStream) -> io::Result<()> {
        stream.set_nonblocking(true)?;
        // Else the last piece of a long message waits for the client's next acknowledgement, some 40 ms.
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
                // What is ready already is reported anew, also by edge.
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

    /// Out of the selector first, then closed.
    fn close(&mut self, key: u64) -> io::Result<()> {
        match self.connections.remove(&key) {
            Some(connection) => self.selector.deregister(&connection.stream),
            None => Ok(()),
        }
    }

    fn report(&mut self, message: std::fmt::Arguments<'_>) {
        if self.reported.is_none_or(|instant| instant.elapsed() > QUIET) {
            self.reported = Some(Instant::now());
            eprintln!("selector_echo: {message} ({} connections)", self.connections.len());
        }
    }
}

/// How it goes on with a connection.
enum Next {
    /// Nothing to do until then.
    Wait(Interest),
    /// It could perhaps go on at once, but others are to get their turn.
    GoOn(Interest),
    Close,
}

impl Connection {
    /// Reads and sends until one of both would block: an edge-triggered mechanism tells only of what
    /// changes from then on. While something is unsent nothing is read, so that whoever does not
    /// collect its echo fills no memory here.
    fn echo(&mut self, buffer: &mut [u8]) -> io::Result<Next> {
        for _ in 0..PIECES {
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

    /// Sends as much as can be, and keeps the rest.
    fn send(&mut self, piece: &[u8]) -> io::Result<()> {
        let sent = write(&mut self.stream, piece)?;
        self.unsent.extend_from_slice(&piece[sent..]);
        Ok(())
    }

    /// Sends what was kept. False if some is left.
    fn flush(&mut self) -> io::Result<bool> {
        if self.unsent.is_empty() {
            return Ok(true);
        }
        self.sent += write(&mut self.stream, &self.unsent[self.sent..])?;
        let is_done = self.sent == self.unsent.len();
        if is_done {
            // Gives the memory back: most connections never need it again.
            self.unsent = Vec::new();
            self.sent = 0;
        }
        Ok(is_done)
    }
}

/// How much was written before it would have blocked.
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
