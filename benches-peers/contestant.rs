//! The contestants: this crate, tokio, the peers, and the floor, selected by name when a process starts.

use std::net::TcpListener;

use crate::common::contender::{Contender, Ours, Tokio, TokioLocal};
use crate::common::epoll_server;
use crate::runtimes::{Compio, Glommio, Monoio, Smol};
use crate::work::{COARSE_SLACK, Spent, Work};

/// The mechanisms by which the contestants wait, unless `RUNTIME_SELECTOR` gives this crate another one.
pub(crate) const EPOLL: &str = "epoll";
pub(crate) const IO_URING: &str = "io_uring";

/// A runtime, or none: a column of the table.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Contestant {
    Ours,
    Tokio,
    Monoio,
    Glommio,
    Smol,
    Compio,
    Floor,
}

impl Contestant {
    pub(crate) const ALL: [Contestant; 7] = [
        Contestant::Ours,
        Contestant::Tokio,
        Contestant::Monoio,
        Contestant::Glommio,
        Contestant::Smol,
        Contestant::Compio,
        Contestant::Floor,
    ];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Contestant::Ours => Ours::NAME,
            Contestant::Tokio => Tokio::NAME,
            Contestant::Monoio => Monoio::NAME,
            Contestant::Glommio => Glommio::NAME,
            Contestant::Smol => Smol::NAME,
            Contestant::Compio => Compio::NAME,
            Contestant::Floor => "floor",
        }
    }

    pub(crate) fn by_name(name: &str) -> Option<Contestant> {
        Contestant::ALL.into_iter().find(|contestant| contestant.name() == name)
    }

    /// Returns whether this is one of the runtimes of which the table shows the best.
    pub(crate) fn is_peer(self) -> bool {
        !matches!(self, Contestant::Ours | Contestant::Tokio | Contestant::Floor)
    }

    /// Starts the contestant, and returns the mechanism by which it waits.
    pub(crate) fn mechanism(self) -> String {
        match self {
            Contestant::Ours => {
                Ours::new().block_on(async { runtime::Handle::current().selector().to_string() })
            }
            // The start fails where io_uring is forbidden, or where too little memory may be locked.
            Contestant::Glommio => {
                drop(Glommio::new());
                IO_URING.to_owned()
            }
            Contestant::Compio if Compio::new().is_on_io_uring() => IO_URING.to_owned(),
            Contestant::Compio => EPOLL.to_owned(),
            Contestant::Tokio | Contestant::Monoio | Contestant::Smol | Contestant::Floor => EPOLL.to_owned(),
        }
    }

    /// Does `work` in this process and returns what it took.
    pub(crate) fn measure(self, work: Work, warm_up: usize, times: usize) -> Spent {
        match self {
            Contestant::Ours if work == Work::CoarseSleeps => {
                work.run(&Ours::with_timer_slack(COARSE_SLACK), warm_up, times)
            }
            Contestant::Ours => work.run(&Ours::new(), warm_up, times),
            // A `LocalSet` spawns faster than the plain scheduler does, and yields more slowly.
            Contestant::Tokio if work.spawns() => work.run(&TokioLocal::new(), warm_up, times),
            Contestant::Tokio => work.run(&Tokio::new(), warm_up, times),
            Contestant::Monoio => work.run(&Monoio::new(), warm_up, times),
            Contestant::Glommio => work.run(&Glommio::new(), warm_up, times),
            Contestant::Smol => work.run(&Smol::new(), warm_up, times),
            Contestant::Compio => work.run(&Compio::new(), warm_up, times),
            Contestant::Floor => work.run_floor(warm_up, times),
        }
    }

    /// Serves echo on `listener` for ever, with a buffer of `buffer_len` bytes for each connection.
    pub(crate) fn serve(self, listener: TcpListener, buffer_len: usize) {
        match self {
            Contestant::Ours => Ours::new().serve_echo(listener, buffer_len),
            Contestant::Tokio => Tokio::new().serve_echo(listener, buffer_len),
            Contestant::Monoio => Monoio::new().serve_echo(listener, buffer_len),
            Contestant::Glommio => Glommio::new().serve_echo(listener, buffer_len),
            Contestant::Smol => Smol::new().serve_echo(listener, buffer_len),
            Contestant::Compio => Compio::new().serve_echo(listener, buffer_len),
            Contestant::Floor => epoll_server::serve_echo(listener, buffer_len).expect("the epoll loop"),
        }
    }
}
