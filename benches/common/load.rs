//! The load: one client on epoll that plays ping-pong over many connections, the same for every server.
//!
//! At most one message is on its way on each connection, so with N connections the server has at most N requests to
//! answer. The client checks every byte that comes back.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4, TcpStream};
use std::time::Duration;

use socket2::{Domain, SockAddr, Socket, Type};

use super::epoll::{self, Epoll, READABLE, WRITABLE};

const EVENTS_PER_WAIT: usize = 1024;

/// The number of connections that are opened at once, which is well below any listener's backlog.
const OPENING_AT_ONCE: usize = 100;

/// The maximum time that a server may be silent. Loopback loses nothing, so one that is silent for longer is broken.
pub(crate) const PATIENCE_MS: i32 = 10_000;

/// A number of open connections to one server.
pub(crate) struct Load {
    pub(crate) epoll: Epoll,
    /// The connections, by the token under which the epoll has them.
    pub(crate) connections: Vec<Connection>,
    pub(crate) message: Vec<u8>,
    pub(crate) buf: Vec<u8>,
}

pub(crate) struct Connection {
    stream: TcpStream,
    received: usize,
}

impl Load {
    /// Opens `count` connections to `server`, for messages of `message_len` bytes.
    pub(crate) fn connect(server: SocketAddr, count: usize, message_len: usize) -> io::Result<Load> {
        let mut load = Load {
            epoll: Epoll::new(EVENTS_PER_WAIT)?,
            connections: Vec::with_capacity(count),
            message: (0..message_len).map(|i| i as u8).collect(),
            buf: vec![0; message_len],
        };
        while load.connections.len() < count {
            let first = load.connections.len();
            for token in first..count.min(first + OPENING_AT_ONCE) {
                let stream = TcpStream::connect(server)?;
                stream.set_nonblocking(true)?;
                load.epoll.add(&stream, READABLE, token)?;
                load.connections.push(Connection { stream, received: 0 });
            }
            // Each of them gets an echo, so the server has accepted all before more are opened.
            load.play(first, load.connections.len() - first)?;
        }
        Ok(load)
    }

    /// Sends `requests` messages in total, on all connections, and waits for all the echoes.
    pub(crate) fn ping_pong(&mut self, requests: usize) -> io::Result<()> {
        self.play(0, requests)
    }

    /// Does what [`ping_pong`](Self::ping_pong) does, on the connections from `first` on.
    fn play(&mut self, first: usize, requests: usize) -> io::Result<()> {
        let mut unsent = requests;
        let mut under_way = 0;
        for connection in &self.connections[first..] {
            if unsent == 0 {
                break;
            }
            connection.send(&self.message)?;
            unsent -= 1;
            under_way += 1;
        }
        while under_way > 0 {
            let count = self.epoll.wait(PATIENCE_MS)?;
            if count == 0 {
                return Err(io::Error::new(ErrorKind::TimedOut, "the server does not answer"));
            }
            for index in 0..count {
                let connection = &mut self.connections[self.epoll.event(index).token];
                if connection.receive(&self.message, &mut self.buf)? {
                    under_way -= 1;
                    if unsent > 0 {
                        connection.send(&self.message)?;
                        unsent -= 1;
                        under_way += 1;
                    }
                }
            }
        }
        Ok(())
    }

    /// Closes all connections with a reset, which leaves none of them in TIME_WAIT.
    pub(crate) fn reset(self) -> io::Result<()> {
        for connection in self.connections {
            Socket::from(connection.stream).set_linger(Some(Duration::ZERO))?;
        }
        Ok(())
    }
}

impl Connection {
    pub(crate) fn send(&self, message: &[u8]) -> io::Result<()> {
        let n = (&self.stream).write(message)?;
        assert_eq!(n, message.len(), "one message always fits into an empty socket buffer");
        Ok(())
    }

    /// Reads what has come. Returns whether that completes a message.
    pub(crate) fn receive(&mut self, message: &[u8], buf: &mut [u8]) -> io::Result<bool> {
        loop {
            match (&self.stream).read(&mut buf[self.received..]) {
                Ok(0) => return Err(io::Error::new(ErrorKind::UnexpectedEof, "the server closed")),
                Ok(n) => {
                    let end = self.received + n;
                    assert_eq!(buf[self.received..end], message[self.received..end], "not what was sent");
                    self.received = end;
                    if end == message.len() {
                        self.received = 0;
                        return Ok(true);
                    }
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(false),
                Err(error) => return Err(error),
            }
        }
    }
}

/// Opens, uses once and closes `total` connections to `server`, of which `at_once` are open at a time.
///
/// They come from the loopback address that `source` names. A closed connection occupies its address and port for a
/// minute, so each round should use another address.
pub(crate) fn connect_echo_close(
    server: SocketAddr,
    source: u16,
    at_once: usize,
    total: usize,
    message_len: usize,
) -> io::Result<()> {
    let [high, low] = source.to_be_bytes();
    let source = SocketAddrV4::new(Ipv4Addr::new(127, 1, high, low), 0).into();
    let message: Vec<u8> = (0..message_len).map(|i| i as u8).collect();
    let mut buf = vec![0; message_len];
    let mut epoll = Epoll::new(EVENTS_PER_WAIT)?;
    let mut connections: Vec<Option<Connection>> = Vec::new();
    for token in 0..at_once.min(total) {
        connections.push(Some(open(&epoll, &source, server, token)?));
    }
    let mut opened = connections.len();
    let mut closed = 0;
    while closed < total {
        let count = epoll.wait(PATIENCE_MS)?;
        if count == 0 {
            return Err(io::Error::new(ErrorKind::TimedOut, "the server does not answer"));
        }
        for index in 0..count {
            let event = epoll.event(index);
            let token = event.token;
            let Some(connection) = &mut connections[token] else { continue };
            if event.is_writable() {
                connection.send(&message)?;
                epoll.modify(&connection.stream, READABLE, token)?;
                continue;
            }
            if !connection.receive(&message, &mut buf)? {
                continue;
            }
            connections[token] = None;
            closed += 1;
            if opened < total {
                connections[token] = Some(open(&epoll, &source, server, token)?);
                opened += 1;
            }
        }
    }
    Ok(())
}

/// Begins a connection. It has been made when it can be written to.
fn open(epoll: &Epoll, source: &SockAddr, server: SocketAddr, token: usize) -> io::Result<Connection> {
    let socket = Socket::new(Domain::IPV4, Type::STREAM.nonblocking(), None)?;
    epoll::choose_port_at_connect(&socket)?;
    socket.bind(source)?;
    match socket.connect(&server.into()) {
        Ok(()) => {}
        Err(error) if error.raw_os_error() == Some(libc::EINPROGRESS) => {}
        Err(error) => return Err(error),
    }
    let stream = TcpStream::from(socket);
    epoll.add(&stream, WRITABLE, token)?;
    Ok(Connection { stream, received: 0 })
}
