//! The floor for sockets: an echo server written by hand on edge-triggered epoll.
//!
//! It has one buffer per connection, as the servers that it is compared with have, and makes no system call that can
//! be spared: one `accept4` and one `epoll_ctl` for a connection, and no second read after one that was short, unless
//! the peer has closed.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::ops::{ControlFlow, Range};

use super::epoll::{self, Epoll, READABLE, WRITABLE};

/// The token of the listener. Those of connections count from 0.
const LISTENER: usize = usize::MAX;

/// This is as many as tokio and this crate take from the kernel at once.
const EVENTS_PER_WAIT: usize = 1024;

/// Serves echo on the non-blocking `listener` for ever.
pub(crate) fn serve_echo(listener: TcpListener, buffer_len: usize) -> io::Result<()> {
    let mut epoll = Epoll::new(EVENTS_PER_WAIT)?;
    epoll.add(&listener, READABLE, LISTENER)?;
    let mut connections: Vec<Option<Connection>> = Vec::new();
    let mut vacant: Vec<usize> = Vec::new();
    loop {
        for index in 0..epoll.wait(-1)? {
            let event = epoll.event(index);
            if event.token == LISTENER {
                accept_all(&listener, &epoll, &mut connections, &mut vacant, buffer_len)?;
                continue;
            }
            let Some(connection) = &mut connections[event.token] else { continue };
            connection.peer_closed |= event.is_read_closed();
            if connection.echo(&epoll, event.token).is_break() {
                connections[event.token] = None;
                vacant.push(event.token);
            }
        }
    }
}

fn accept_all(
    listener: &TcpListener,
    epoll: &Epoll,
    connections: &mut Vec<Option<Connection>>,
    vacant: &mut Vec<usize>,
    buffer_len: usize,
) -> io::Result<()> {
    loop {
        let stream = match epoll::accept(listener) {
            Ok(stream) => stream,
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
            Err(error) => return Err(error),
        };
        let token = vacant.pop().unwrap_or_else(|| {
            connections.push(None);
            connections.len() - 1
        });
        epoll.add(&stream, READABLE, token)?;
        connections[token] = Some(Connection {
            stream,
            buf: vec![0; buffer_len].into_boxed_slice(),
            unsent: 0..0,
            peer_closed: false,
        });
    }
}

struct Connection {
    stream: TcpStream,
    buf: Box<[u8]>,
    /// The part that has been read and could not be written yet.
    unsent: Range<usize>,
    peer_closed: bool,
}

impl Connection {
    /// Reads and writes as much as the socket allows. Breaks when the connection is over.
    fn echo(&mut self, epoll: &Epoll, token: usize) -> ControlFlow<()> {
        loop {
            while !self.unsent.is_empty() {
                match self.stream.write(&self.buf[self.unsent.clone()]) {
                    Ok(n) => self.unsent.start += n,
                    Err(error) if error.kind() == ErrorKind::WouldBlock => {
                        // This is rare: the peer does not read. From here on the connection costs more wake-ups.
                        let interest = READABLE | WRITABLE;
                        return match epoll.modify(&self.stream, interest, token) {
                            Ok(()) => ControlFlow::Continue(()),
                            Err(_) => ControlFlow::Break(()),
                        };
                    }
                    Err(_) => return ControlFlow::Break(()),
                }
                let drained = self.unsent.end < self.buf.len() && !self.peer_closed;
                if self.unsent.is_empty() && drained {
                    return ControlFlow::Continue(());
                }
            }
            match self.stream.read(&mut self.buf) {
                Ok(0) => return ControlFlow::Break(()),
                Ok(n) => self.unsent = 0..n,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return ControlFlow::Continue(()),
                Err(_) => return ControlFlow::Break(()),
            }
        }
    }
}
