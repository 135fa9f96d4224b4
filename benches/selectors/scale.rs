//! The cost of one more idle socket: one connection plays ping-pong among N that are silent.
//!
//! Each combination of layer, mechanism and N has a server and a process of clients of its own. All are open at the
//! same time, and each round measures every one of them once, so that what slows a round slows all of it. The result
//! is the CPU time of the server for one echo: one wait that reports one socket, one read, and one write. Server and
//! clients share a core.

use std::io;
use std::time::{Duration, Instant};

use runtime::selector::Kind;

use super::clients::{Clients, MESSAGE_LEN};
use super::servers::{self, Layer};
use crate::common::load::Load;
use crate::common::server::Server;
use crate::common::stats::Samples;
use crate::common::system::CORE;

/// The numbers of idle sockets. A process is rarely allowed more than 20,000 descriptors.
pub(crate) const SIZES: [usize; 5] = [10, 100, 1000, 10_000, 19_000];

/// The number of sockets that select can watch, less room for what is not a connection.
const SELECT_ROOM: usize = 1024 - 20;

/// The time for which one contender is measured in one round: some thousand echoes, or some ten of poll's.
const SHARE: Duration = Duration::from_millis(30);
const MIN_ECHOES: usize = 10;
const MAX_ECHOES: usize = 3000;

/// One line of the chart.
pub(crate) struct Curve {
    pub(crate) layer: Layer,
    pub(crate) kind: Kind,
    points: Vec<Point>,
}

struct Point {
    idle: usize,
    /// Nanoseconds for one echo.
    samples: Samples,
}

impl Curve {
    /// Returns the numbers of idle sockets, each with its samples in nanoseconds.
    pub(crate) fn points(&self) -> impl Iterator<Item = (usize, &Samples)> {
        self.points.iter().map(|point| (point.idle, &point.samples))
    }

    /// Returns the cost among `many` as a multiple of that among `few`, if both were measured.
    pub(crate) fn growth(&self, few: usize, many: usize) -> Option<f64> {
        Some(self.at(many)?.over(self.at(few)?).median())
    }

    /// Returns what each idle socket between the two numbers adds to an echo, in nanoseconds, if both were measured.
    pub(crate) fn slope(&self, few: usize, many: usize) -> Option<f64> {
        Some((self.at(many)?.median() - self.at(few)?.median()) / (many - few) as f64)
    }

    pub(crate) fn at(&self, idle: usize) -> Option<&Samples> {
        self.points().find(|point| point.0 == idle).map(|point| point.1)
    }
}

/// Measures all layers and mechanisms with up to `most` idle sockets.
pub(crate) fn measure(most: usize, rounds: usize) -> io::Result<Vec<Curve>> {
    let mut setups = Vec::new();
    for idle in SIZES.into_iter().filter(|&idle| idle <= most) {
        for layer in Layer::ALL {
            for &kind in Kind::available() {
                if kind != Kind::Select || idle <= SELECT_ROOM {
                    setups.push(Setup::open(layer, kind, idle)?);
                }
            }
        }
        eprintln!("{idle} idle sockets for each mechanism are open");
    }
    if setups.is_empty() {
        return Ok(Vec::new());
    }
    // The first round warms up.
    for round in 0..=rounds {
        for setup in &mut setups {
            let sample = setup.sample()?;
            if round > 0 {
                setup.point.samples.push(sample);
            }
        }
        eprintln!("round {round} of {rounds}");
    }
    Ok(curves(setups))
}

fn curves(setups: Vec<Setup>) -> Vec<Curve> {
    let mut curves: Vec<Curve> = Vec::new();
    for Setup { layer, kind, point, .. } in setups {
        match curves.iter_mut().find(|curve| curve.layer == layer && curve.kind == kind) {
            Some(curve) => curve.points.push(point),
            None => curves.push(Curve { layer, kind, points: vec![point] }),
        }
    }
    curves
}

/// A server with its connections.
struct Setup {
    layer: Layer,
    kind: Kind,
    point: Point,
    /// The number of echoes in one round.
    echoes: usize,
    // These are dropped in this order: the side that closes first has its connections linger, and these reset them.
    _idle: Clients,
    active: Load,
    server: Server,
}

impl Setup {
    fn open(layer: Layer, kind: Kind, idle: usize) -> io::Result<Setup> {
        let server = servers::start(layer, kind)?;
        let mut clients = Clients::start(CORE)?;
        // The connection is in the middle, where poll and select find it on average.
        clients.open(server.addr(), idle / 2)?;
        let mut active = Load::connect(server.addr(), 1, MESSAGE_LEN)?;
        clients.open(server.addr(), idle - idle / 2)?;
        let start = Instant::now();
        active.ping_pong(MIN_ECHOES)?;
        let each = start.elapsed() / MIN_ECHOES as u32;
        let echoes = (SHARE.as_nanos() / each.as_nanos()) as usize;
        let echoes = echoes.clamp(MIN_ECHOES, MAX_ECHOES);
        let point = Point { idle, samples: Samples::default() };
        Ok(Setup { layer, kind, point, echoes, _idle: clients, active, server })
    }

    /// Returns the CPU time of the server for one echo, in nanoseconds.
    fn sample(&mut self) -> io::Result<f64> {
        let spent = self.server.cpu_of(|| self.active.ping_pong(self.echoes))?;
        Ok(spent.as_nanos() as f64 / self.echoes as f64)
    }
}
