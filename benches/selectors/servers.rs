//! The servers: echo through the whole runtime, or through the bare layer, on any mechanism.
//!
//! Each server is a process of its own, started from this executable; see [`Server`].

use std::process::Command;
use std::{env, io};

use runtime::selector::Kind;

use super::bare;
use crate::common::contender::{Contender, Ours};
use crate::common::server::{Server, listen};
use crate::common::system::{CORE, end_with_parent, pin_to, raise_descriptor_limit};

/// The first argument of a child that is to serve.
const WATCH: &str = "--watch";

/// The size of a server's buffer: for each connection in the runtime, and for all of them in the bare layer.
const BUFFER_LEN: usize = 4096;

/// The code between the mechanism and the echo.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Layer {
    /// A task for each connection.
    Runtime,
    /// A hand-written loop over `runtime::selector`.
    Bare,
}

impl Layer {
    pub(crate) const ALL: [Layer; 2] = [Layer::Runtime, Layer::Bare];

    fn name(self) -> &'static str {
        match self {
            Layer::Runtime => "runtime",
            Layer::Bare => "bare",
        }
    }
}

/// Serves, and does not return, if this process was started for that. It must be called first in `main`.
pub(crate) fn serve_if_asked() {
    let mut args = env::args().skip(1);
    if args.next().as_deref() != Some(WATCH) {
        return;
    }
    let name = args.next().expect("the name of a layer");
    let layer = Layer::ALL.into_iter().find(|layer| layer.name() == name).expect("a known layer");
    let kind: Kind = args.next().expect("the name of a mechanism").parse().expect("a known mechanism");
    end_with_parent();
    pin_to(CORE);
    raise_descriptor_limit().expect("raise the descriptor limit");
    let listener = listen().expect("listen on loopback");
    println!("{}", listener.local_addr().expect("a bound listener").port());
    match layer {
        Layer::Runtime => Ours::on(kind).serve_echo(listener, BUFFER_LEN),
        Layer::Bare => bare::serve_echo(kind, listener, BUFFER_LEN).expect("the loop by hand"),
    }
}

pub(crate) fn start(layer: Layer, kind: Kind) -> io::Result<Server> {
    let mut command = Command::new(env::current_exe()?);
    command.args([WATCH, layer.name(), kind.name()]);
    Server::spawn(command)
}
