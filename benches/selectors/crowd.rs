//! Ten thousand connections that all speak (the C10K problem), on each mechanism that can have them.
//!
//! The server has a core, and the clients the other. They speak in two ways: *flat out*, each with
//! a message under way all the time, so that a latency is mostly the queue of all the others; and
//! *paced*, at a rate that leaves the server time to rest.

use std::io;
use std::time::Duration;

use runtime::selector::Kind;

use super::clients::Clients;
use super::servers::{self, Layer};
use crate::common::server::Server;
use crate::common::stats::Samples;
use crate::common::system::OTHER_CORE;

pub(crate) const CONNECTIONS: usize = 10_000;

/// Messages a second in the paced runs: one on each connection.
pub(crate) const RATE: usize = CONNECTIONS;

/// Of each run: long enough for every connection to be asked more than once.
pub(crate) const DURATION: Duration = Duration::from_secs(2);

/// The numbers of one mechanism, times in nanoseconds.
pub(crate) struct Crowd {
    pub(crate) kind: Kind,
    /// Messages that came back unchanged; those that do not end the bench.
    pub(crate) messages: f64,
    pub(crate) per_second: Samples,
    /// CPU time of the server for a message.
    pub(crate) cpu: Samples,
    pub(crate) p99: Samples,
    pub(crate) paced_median: Samples,
    pub(crate) paced_p99: Samples,
    pub(crate) paced_cpu: Samples,
}

/// Measures all mechanisms that are not limited to fewer descriptors.
pub(crate) fn measure(rounds: usize) -> io::Result<Vec<Crowd>> {
    let kinds = Kind::available().iter().filter(|&&kind| kind != Kind::Select);
    let mut setups = kinds.map(|&kind| Setup::open(kind)).collect::<io::Result<Vec<Setup>>>()?;
    for round in 0..rounds {
        for setup in &mut setups {
            setup.round()?;
        }
        eprintln!("{CONNECTIONS} active connections: round {} of {rounds}", round + 1);
    }
    Ok(setups.into_iter().map(|setup| setup.crowd).collect())
}

/// A server with its connections.
struct Setup {
    crowd: Crowd,
    // Dropped first, to reset the connections.
    clients: Clients,
    server: Server,
}

impl Setup {
    fn open(kind: Kind) -> io::Result<Setup> {
        let server = servers::start(Layer::Runtime, kind)?;
        let mut clients = Clients::start(OTHER_CORE)?;
        clients.open(server.addr(), CONNECTIONS)?;
        Ok(Setup { crowd: Crowd::new(kind), clients, server })
    }

    fn round(&mut self) -> io::Result<()> {
        let Setup { crowd, clients, server } = self;
        let before = server.cpu_at_rest()?;
        let run = clients.flat_out(DURATION)?;
        let between = server.cpu_at_rest()?;
        let paced = clients.paced(RATE, DURATION)?;
        let after = server.cpu_at_rest()?;
        crowd.messages += run.messages + paced.messages;
        crowd.per_second.push(run.per_second());
        crowd.cpu.push((between - before).as_nanos() as f64 / run.messages);
        crowd.p99.push(run.p99);
        crowd.paced_median.push(paced.median);
        crowd.paced_p99.push(paced.p99);
        crowd.paced_cpu.push((after - between).as_nanos() as f64 / paced.messages);
        Ok(())
    }
}

impl Crowd {
    fn new(kind: Kind) -> Crowd {
        Crowd {
            kind,
            messages: 0.0,
            per_second: Samples::default(),
            cpu: Samples::default(),
            p99: Samples::default(),
            paced_median: Samples::default(),
            paced_p99: Samples::default(),
            paced_cpu: Samples::default(),
        }
    }
}
