//! The row of user-space instructions for a request, counted by valgrind's callgrind.
//!
//! A server runs under valgrind twice, once for few requests and once for many. The difference is what the requests
//! cost. It does not depend on the load of the machine, but takes a while.

use std::env;
use std::process::{Command, Stdio};

use crate::common::experiment::{Experiment, Limit, Row, Side, Unit};
use crate::common::load::Load;
use crate::common::server::{Kind, Server};

const CONNECTIONS: usize = 50;
const FEW: usize = 5_000;
const MANY: usize = 25_000;

pub(crate) fn experiments() -> Vec<Experiment> {
    if !valgrind_is_there() {
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

fn valgrind_is_there() -> bool {
    let quiet =
        Command::new("valgrind").arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status();
    quiet.is_ok_and(|status| status.success())
}

fn side(kind: Kind) -> Side {
    Box::new(move || {
        let requests = (MANY - FEW) as f64;
        vec![(instructions(kind, MANY) - instructions(kind, FEW)) as f64 / requests]
    })
}

/// Returns the number of instructions that a server executes in its whole life, for `requests` requests.
fn instructions(kind: Kind, requests: usize) -> i64 {
    let mut command = Command::new("valgrind");
    command.args(["--tool=callgrind", "--callgrind-out-file=/dev/null"]);
    command.arg(env::current_exe().expect("the path of this executable"));
    command.stderr(Stdio::piped());
    let server = Server::start_with(command, kind, 4096).expect("start a server under valgrind");
    let mut load = Load::connect(server.addr(), CONNECTIONS, 64).expect("connect to the server");
    load.ping_pong(requests).expect("echo");
    let text = server.stop().expect("stop the server");
    // "==1234== Collected : 12345678"
    let collected = text.lines().find_map(|line| line.split_once("Collected : "));
    let (_, number) = collected.unwrap_or_else(|| panic!("no count in valgrind's words:\n{text}"));
    number.trim().parse().expect("a number of instructions")
}
