//! The row of user-space instructions for a request, counted by valgrind's callgrind.
//!
//! A server runs under valgrind twice, once for few requests and once for many. The difference is what the requests
//! cost. It does not depend on the load of the machine, but takes a while.

use crate::common::callgrind;
use crate::common::experiment::{Experiment, Limit, Row, Side, Unit};
use crate::common::load::Load;
use crate::common::server::{Kind, Server};

const CONNECTIONS: usize = 50;
const FEW: usize = 5_000;
const MANY: usize = 25_000;

pub(crate) fn experiments() -> Vec<Experiment> {
    if !callgrind::is_installed() {
        eprintln!("instructions: not measured, for valgrind is not installed");
        return Vec::new();
    }
    vec![Experiment {
        name: "instructions",
        rounds: 1,
        only_if_asked: true,
        rows: vec![Row {
            work: format!("the same in user-space instructions, connections: {CONNECTIONS}"),
            unit: Unit::Instructions,
            limit: Limit::AtMost(400.0),
        }],
        ours: side(Kind::Ours),
        tokio: side(Kind::Tokio),
        floor: Some(side(Kind::Epoll)),
    }]
}

fn side(kind: Kind) -> Side {
    Box::new(move || {
        let requests = (MANY - FEW) as f64;
        vec![(instructions(kind, MANY) - instructions(kind, FEW)) as f64 / requests]
    })
}

/// Returns the number of instructions that a server executes in its whole life, for `requests` requests.
fn instructions(kind: Kind, requests: usize) -> i64 {
    let command = callgrind::command().expect("the path of this executable");
    let server = Server::start_with(command, kind, 4096).expect("start a server under valgrind");
    let mut load = Load::connect(server.addr(), CONNECTIONS, 64).expect("connect to the server");
    load.ping_pong(requests).expect("echo");
    callgrind::collected(&server.stop().expect("stop the server"))
}
