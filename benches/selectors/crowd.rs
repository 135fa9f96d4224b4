//! Ten thousand connections that all send (the C10K problem), on each mechanism that can watch them.
//!
//! The server has one core, and the clients have the other. They send in two ways: *flat out*, with a message on its
//! way on each connection all the time, so that a latency is mostly the queue of all the others; and *paced*, at a
//! rate that leaves the server time to rest.
//!
//! These are the only numbers here that are not CPU time, and another program that uses one of the cores spoils them.
//! So a run in which other programs took much of the CPU is repeated.

use std::fs;
use std::io;
use std::time::Duration;

use runtime::selector::Kind;

use super::clients::Clients;
use super::servers::{self, Layer};
use crate::common::server::Server;
use crate::common::stats::Samples;
use crate::common::system::OTHER_CORE;

pub(crate) const CONNECTIONS: usize = 10_000;

/// The number of messages a second in the paced runs: one on each connection.
pub(crate) const RATE: usize = CONNECTIONS;

/// The length of each run: long enough for every connection to get more than one message.
pub(crate) const DURATION: Duration = Duration::from_secs(2);

/// The part of one core that all other programs may take during a run.
const MOST_OTHERS: f64 = 0.05;

/// The number of attempts at a run before the bench gives up on a busy machine.
const ATTEMPTS: usize = 4;

/// The numbers of one mechanism.
pub(crate) struct Crowd {
    pub(crate) kind: Kind,
    /// The number of messages that came back unchanged, including those of spoilt runs. A wrong one ends the bench.
    pub(crate) messages: f64,
    pub(crate) flat_out: Numbers,
    pub(crate) paced: Numbers,
}

/// The results of all runs of one sort that were not spoilt. Times are in nanoseconds.
#[derive(Default)]
pub(crate) struct Numbers {
    pub(crate) per_second: Samples,
    pub(crate) p50: Samples,
    pub(crate) p99: Samples,
    /// The CPU time of the server for a message.
    pub(crate) cpu: Samples,
}

/// Measures all mechanisms that are not limited to fewer descriptors.
pub(crate) fn measure(rounds: usize) -> io::Result<Vec<Crowd>> {
    let kinds = Kind::available().iter().filter(|&&kind| kind != Kind::Select);
    let mut setups = kinds.map(|&kind| Setup::open(kind)).collect::<io::Result<Vec<Setup>>>()?;
    for attempt in 1..=rounds * ATTEMPTS {
        let mut missing = 0;
        for setup in &mut setups {
            setup.round(rounds)?;
            missing += rounds - setup.crowd.flat_out.cpu.len() + rounds - setup.crowd.paced.cpu.len();
        }
        eprintln!("{CONNECTIONS} active connections, round {attempt}: {missing} runs are to be made (again)");
        if missing == 0 {
            break;
        }
    }
    Ok(setups.into_iter().map(|setup| setup.crowd).collect())
}

/// A server with its connections.
struct Setup {
    crowd: Crowd,
    // These are dropped first, to reset the connections.
    clients: Clients,
    server: Server,
}

impl Setup {
    fn open(kind: Kind) -> io::Result<Setup> {
        let server = servers::start(Layer::Runtime, kind)?;
        let mut clients = Clients::start(OTHER_CORE)?;
        clients.open(server.addr(), CONNECTIONS)?;
        let crowd = Crowd { kind, messages: 0.0, flat_out: Numbers::default(), paced: Numbers::default() };
        Ok(Setup { crowd, clients, server })
    }

    /// Makes one run of each sort, unless there are enough of it.
    fn round(&mut self, enough: usize) -> io::Result<()> {
        let Setup { crowd, clients, server } = self;
        for (numbers, is_paced) in [(&mut crowd.flat_out, false), (&mut crowd.paced, true)] {
            if numbers.cpu.len() == enough {
                continue;
            }
            let cpu = server.cpu_at_rest()?;
            let others = self::others(server, clients)?;
            let run = if is_paced { clients.paced(RATE, DURATION)? } else { clients.flat_out(DURATION)? };
            let others = self::others(server, clients)?.saturating_sub(others);
            let cpu = server.cpu_at_rest()? - cpu;
            crowd.messages += run.messages;
            if others.as_nanos() as f64 <= MOST_OTHERS * run.wall {
                numbers.per_second.push(run.per_second());
                numbers.p50.push(run.median);
                numbers.p99.push(run.p99);
                numbers.cpu.push(cpu.as_nanos() as f64 / run.messages);
            }
        }
        Ok(())
    }
}

/// Returns the CPU time in user mode so far that was neither the server's nor its clients'. The kernel's own time is
/// left out, because much of it is the network's, on behalf of these two.
fn others(server: &Server, clients: &Clients) -> io::Result<Duration> {
    // "cpu  user nice system …", see proc_stat(5).
    let all = ticks("/proc/stat", |text| text.split_whitespace().nth(1))?;
    let of = |process: u32| {
        // The time in user mode is the 14th field. The second field is a name, and contains the only bracket.
        ticks(&format!("/proc/{process}/stat"), |text| text.rsplit_once(')')?.1.split_whitespace().nth(11))
    };
    Ok(all.saturating_sub(of(server.id())? + of(clients.id())?))
}

/// Reads a number of ticks, of which there are a hundred in a second, from a file.
fn ticks(path: &str, field: impl Fn(&str) -> Option<&str>) -> io::Result<Duration> {
    let text = fs::read_to_string(path)?;
    let ticks: Option<u64> = field(&text).and_then(|number| number.parse().ok());
    let ticks = ticks.ok_or_else(|| io::Error::other(format!("{path} has no such number")))?;
    Ok(Duration::from_millis(10 * ticks))
}
