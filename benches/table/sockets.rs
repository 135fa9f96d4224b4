//! Rows of sockets: the CPU time of the server for a request, and for a whole short connection.
//!
//! This crate, tokio and the epoll loop each serve in a process of their own, and are idle while they are not
//! measured. This process is the client of all three. All share one core.

use std::rc::Rc;

use super::tasks::per;
use crate::common::experiment::{Experiment, Limit, Row, Side, Unit};
use crate::common::load::{Load, connect_echo_close};
use crate::common::server::{Kind, Server};

/// The size of the buffer that a server has for each connection.
const BUFFER_LEN: usize = 4096;
const MESSAGE_LEN: usize = 64;

/// For each row: its name, connections, requests over all of them in one round, and rounds.
///
/// There are many short rounds: what disturbs one round then mostly disturbs all three sides of it.
const SIZES: [(&str, usize, usize, usize); 4] = [
    ("echo 1", 1, 3000, 45),
    ("echo 50", 50, 15_000, 45),
    ("echo 1000", 1000, 20_000, 31),
    ("echo 10000", 10_000, 40_000, 15),
];

/// The maximum number of connections that are kept from round to round: three times as many are open at once, and a
/// process is rarely allowed more than 20,000 descriptors.
const KEEP: usize = 5000;

const SHORT_ROUNDS: usize = 45;
const SHORT_CONNECTIONS: usize = 1000;
const SHORT_AT_ONCE: usize = 50;

pub(crate) fn experiments() -> Vec<Experiment> {
    let mut all: Vec<Experiment> = SIZES
        .into_iter()
        .map(|(name, connections, requests, rounds)| Experiment {
            name,
            rounds,
            only_if_asked: false,
            rows: vec![Row {
                work: format!("echo of {MESSAGE_LEN} B, a request, connections: {connections}"),
                unit: Unit::Microseconds,
                limit: Limit::OfFloor(1.04),
            }],
            ours: echo(Kind::Ours, connections, requests),
            tokio: echo(Kind::Tokio, connections, requests),
            floor: Some(echo(Kind::Epoll, connections, requests)),
        })
        .collect();
    all.push(Experiment {
        name: "echo short",
        rounds: SHORT_ROUNDS,
        only_if_asked: false,
        rows: vec![Row {
            work: "connect, echo, close".to_owned(),
            unit: Unit::Microseconds,
            limit: Limit::OfFloor(1.06),
        }],
        ours: short_connections(Kind::Ours),
        tokio: short_connections(Kind::Tokio),
        floor: Some(short_connections(Kind::Epoll)),
    });
    all
}

/// Measures the CPU time of the server for each of `requests` requests on connections that exist already.
fn echo(kind: Kind, connections: usize, requests: usize) -> Side {
    let mut server = LazyServer::new(kind);
    let mut kept = None;
    Box::new(move || {
        let server = server.get();
        let connect =
            || Load::connect(server.addr(), connections, MESSAGE_LEN).expect("connect to the server");
        let mut load = kept.take().unwrap_or_else(connect);
        load.ping_pong(connections).expect("warm up");
        let spent = server.cpu_of(|| load.ping_pong(requests)).expect("echo");
        if connections <= KEEP {
            kept = Some(load);
        } else {
            load.reset().expect("close the connections");
            // The server cleans up its connections now, and not while the next contender is measured.
            server.cpu_at_rest().expect("read the server's clock");
        }
        per(requests, spent)
    })
}

/// Measures the CPU time of the server for each of many connections with one message each.
fn short_connections(kind: Kind) -> Side {
    let mut server = LazyServer::new(kind);
    let mut source = 0;
    Box::new(move || {
        let server = server.get();
        source += 1;
        let addr = server.addr();
        let spent = server
            .cpu_of(|| connect_echo_close(addr, source, SHORT_AT_ONCE, SHORT_CONNECTIONS, MESSAGE_LEN))
            .expect("connect, echo, close");
        per(SHORT_CONNECTIONS, spent)
    })
}

/// A server that starts when it is first used, so that rows which are not chosen start none.
struct LazyServer {
    kind: Kind,
    server: Option<Rc<Server>>,
}

impl LazyServer {
    fn new(kind: Kind) -> LazyServer {
        LazyServer { kind, server: None }
    }

    fn get(&mut self) -> Rc<Server> {
        let start = || Rc::new(Server::start(self.kind, BUFFER_LEN).expect("start a server"));
        Rc::clone(self.server.get_or_insert_with(start))
    }
}
