//! Echo over loopback: the CPU time of the server for a request, by the number of connections and by the message
//! size.
//!
//! The server runs in a process of its own; see [`common::server`] and [`common::load`].

mod common;

use std::time::Duration;

use common::criterion::group;
use common::load::Load;
use common::server::{Kind, Server, serve_if_asked};
use common::system::raise_descriptor_limit;
use criterion::{BenchmarkId, Criterion, criterion_group};

const CONNECTIONS: [usize; 3] = [1, 50, 1000];
const MESSAGE_LENS: [usize; 2] = [64, 4096];

/// The size of the buffer that a server has for each connection.
const BUFFER_LEN: usize = 4096;

fn echo(criterion: &mut Criterion) {
    for message_len in MESSAGE_LENS {
        for connections in CONNECTIONS {
            let mut group = group(criterion, &format!("echo/{message_len} B"), 1);
            group.measurement_time(Duration::from_secs(1)).warm_up_time(Duration::from_millis(200));
            group.sample_size(20);
            for kind in Kind::ALL {
                let server = Server::start(kind, BUFFER_LEN).expect("start a server");
                let mut load = Load::connect(server.addr(), connections, message_len).expect("connect");
                group.bench_function(BenchmarkId::new(kind.name(), connections), |bencher| {
                    bencher
                        .iter_custom(|times| server.cpu_of(|| load.ping_pong(times as usize)).expect("echo"));
                });
            }
        }
    }
}

criterion_group!(benches, echo);

fn main() {
    serve_if_asked(None);
    raise_descriptor_limit().expect("raise the descriptor limit");
    benches();
    Criterion::default().configure_from_args().final_summary();
}
