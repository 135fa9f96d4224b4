//! The bare layer: an echo server written by hand over `runtime::selector`, for any mechanism.
//!
//! It has one buffer for all connections, and one message is on its way on each of them at any time: a write always
//! fits, and a read that fills the buffer is followed by another one, as an edge-triggered mechanism requires.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::ops::ControlFlow;

use runtime::io::Interest;
use runtime::selector::{Events, Kind, Selector};

use crate::common::epoll;

/// The key of the listener. Those of connections count from 0.
const LISTENER: u64 = u64::MAX - 1;

/// This is as many as the runtime takes from the kernel at once.
const EVENTS_PER_WAIT: usize = 1024;

/// Serves echo on the non-blocking `listener` for ever.
pub(crate) fn serve_echo(kind: Kind, listener: TcpListener, buffer_len: usize) -> io::Result<()> {
    let mut selector = Selector::with(kind)?;
    let mut events = Events::with_capacity(EVENTS_PER_WAIT);
    let mut connections: Vec<Option<TcpStream>> = Vec::new();
    let mut buf = vec![0; buffer_len];
    selector.register(&listener, LISTENER, Interest::READABLE)?;
    loop {
        selector.wait(&mut events, None)?;
        for event in &events {
            if event.key() == LISTENER {
                accept_all(&listener, &mut selector, &mut connections)?;
                continue;
            }
            // No key is given twice, so a late event finds no connection.
            let place = &mut connections[event.key() as usize];
            let Some(stream) = place else { continue };
            if echo(stream, &mut buf).is_break() {
                selector.deregister(&*stream)?;
                *place = None;
            }
        }
    }
}

fn accept_all(
    listener: &TcpListener,
    selector: &mut Selector,
    connections: &mut Vec<Option<TcpStream>>,
) -> io::Result<()> {
    loop {
        match epoll::accept(listener) {
            Ok(stream) => {
                selector.register(&stream, connections.len() as u64, Interest::READABLE)?;
                connections.push(Some(stream));
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
            Err(error) => return Err(error),
        }
    }
}

/// Sends back what has come. Breaks when the connection is over.
fn echo(stream: &mut TcpStream, buf: &mut [u8]) -> ControlFlow<()> {
    loop {
        match stream.read(buf) {
            Ok(0) => return ControlFlow::Break(()),
            Ok(n) if stream.write_all(&buf[..n]).is_err() => return ControlFlow::Break(()),
            // The read was short, so nothing is left. What comes after it, also the end, is reported again.
            Ok(n) if n < buf.len() => return ControlFlow::Continue(()),
            Ok(_) => {}
            Err(error) if error.kind() == ErrorKind::WouldBlock => return ControlFlow::Continue(()),
            Err(_) => return ControlFlow::Break(()),
        }
    }
}
