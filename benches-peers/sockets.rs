//! Rows of sockets: a request, a whole short connection, and the memory of an idle one.
//!
//! Each contestant serves in a process of its own, which is idle while the others are measured. This process is the
//! client of all of them, and shares a core with them.

use std::fs;
use std::io::{self, ErrorKind};

use crate::child;
use crate::common::callgrind;
use crate::common::load::{Load, connect_echo_close};
use crate::contestant::{Contestant, IO_URING};
use crate::rounds::Side;

const MESSAGE_LEN: usize = 64;

/// The size of the buffer that a server has for each connection, in the rows of CPU time.
const BUFFER_LEN: usize = 4096;

/// The size of the buffer where a connection's memory is measured, or the instructions that it takes.
///
/// Careful: with a large buffer, most of the instructions would be those of the `rep stosb` that clears it, which
/// callgrind counts once for each byte.
const SMALL_BUFFER_LEN: usize = 256;
/// This is below a power of two, as the capacity is that a growing list of connections has.
const IDLE_CONNECTIONS: usize = 8000;

const SHORT_CONNECTIONS: usize = 1000;
const SHORT_AT_ONCE: usize = 50;

/// The number of connections over which the instructions of a request are counted.
pub(crate) const COUNTED_CONNECTIONS: usize = 50;

/// Measures the CPU time of the server for each of `requests` requests, on connections that stay open.
pub(crate) fn echo(contestant: Contestant, connections: usize, requests: usize) -> io::Result<Side> {
    let server = child::serve(contestant, BUFFER_LEN)?;
    let mut load = Load::connect(server.addr(), connections, MESSAGE_LEN)?;
    Ok(Box::new(move || {
        load.ping_pong(connections)?;
        let spent = server.cpu_of(|| load.ping_pong(requests))?;
        Ok(vec![spent.as_nanos() as f64 / requests as f64])
    }))
}

/// Measures the CPU time of the server for each of many connections with one message each.
pub(crate) fn short_connections(contestant: Contestant) -> io::Result<Side> {
    let server = child::serve(contestant, BUFFER_LEN)?;
    let mut source = 0;
    Ok(Box::new(move || {
        source += 1;
        let addr = server.addr();
        let work = || connect_echo_close(addr, source, SHORT_AT_ONCE, SHORT_CONNECTIONS, MESSAGE_LEN);
        let spent = server.cpu_of(work)?;
        Ok(vec![spent.as_nanos() as f64 / SHORT_CONNECTIONS as f64])
    }))
}

/// Measures by how much a server grows with each connection that has exchanged one message: on the heap, where each
/// allocation counts with malloc's header and rounding, and in resident pages.
pub(crate) fn idle_connections(contestant: Contestant) -> io::Result<Side> {
    Ok(Box::new(move || {
        let mut server = child::serve_and_tell(contestant, SMALL_BUFFER_LEN)?;
        let (heap, resident) = (server.live_bytes()?, resident_bytes(server.id())?);
        let load = Load::connect(server.addr(), IDLE_CONNECTIONS, MESSAGE_LEN)?;
        let grown = [server.live_bytes()? - heap, resident_bytes(server.id())? - resident];
        load.reset()?;
        Ok(grown.map(|bytes| bytes as f64 / IDLE_CONNECTIONS as f64).into())
    }))
}

/// Returns the memory of process `pid`, as the kernel counts it.
fn resident_bytes(pid: u32) -> io::Result<u64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kilobytes = line.and_then(|line| line.trim().strip_suffix(" kB")?.parse::<u64>().ok());
    Ok(1024 * kilobytes.expect("a line of resident memory"))
}

/// Refuses a contestant on io_uring, where the instructions of a server cannot be counted: valgrind lets no signal reach
/// a process that waits in io_uring_enter(2), so the server would never end.
fn refuse_io_uring(contestant: Contestant) -> io::Result<()> {
    if child::mechanism(contestant)? == IO_URING {
        return Err(io::Error::new(ErrorKind::Unsupported, "valgrind cannot end a server on io_uring"));
    }
    Ok(())
}

/// Counts the instructions of the server for a request.
pub(crate) fn echo_instructions(contestant: Contestant) -> io::Result<Side> {
    const FEW: usize = 5_000;
    const MANY: usize = 25_000;
    refuse_io_uring(contestant)?;
    Ok(Box::new(move || {
        let count = |requests| {
            let server = child::serve_under_callgrind(contestant, SMALL_BUFFER_LEN)?;
            Load::connect(server.addr(), COUNTED_CONNECTIONS, MESSAGE_LEN)?.ping_pong(requests)?;
            Ok::<i64, io::Error>(callgrind::collected(&server.stop()?))
        };
        Ok(vec![(count(MANY)? - count(FEW)?) as f64 / (MANY - FEW) as f64])
    }))
}

/// Counts the instructions of the server for a connection with one message.
pub(crate) fn short_connection_instructions(contestant: Contestant) -> io::Result<Side> {
    const FEW: usize = 500;
    const MANY: usize = 2_500;
    refuse_io_uring(contestant)?;
    let mut source = 0;
    Ok(Box::new(move || {
        let mut count = |connections| {
            source += 1;
            let server = child::serve_under_callgrind(contestant, SMALL_BUFFER_LEN)?;
            connect_echo_close(server.addr(), source, SHORT_AT_ONCE, connections, MESSAGE_LEN)?;
            Ok::<i64, io::Error>(callgrind::collected(&server.stop()?))
        };
        Ok(vec![(count(MANY)? - count(FEW)?) as f64 / (MANY - FEW) as f64])
    }))
}
