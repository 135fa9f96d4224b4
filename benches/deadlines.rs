//! The cost of a read timeout for each message: an echo over 1,000 connections, with a timeout and without.
//!
//! The kinds of server take turns in each round, so that what disturbs the machine disturbs all of them. The result
//! is the median of the differences, and the smallest cost of each kind. Each server is a process of its own, started
//! once for all rounds, see [`common::server`]. With the argument `instructions`, the bench also counts instructions,
//! for which it needs valgrind.
//!
//! Besides the plain server there is one with a single timer that is armed elsewhere, because any timer makes the
//! loop read its clock once per turn. Another one uses a `timeout` around each read, as programs often do.

mod common;

use std::env;
use std::io;
use std::process::Command;
use std::time::Duration;

use common::arguments::{help, refuse};
use common::callgrind;
use common::contender::{Contender, Ours};
use common::load::Load;
use common::server::{Server, listen};
use common::stats::{Samples, quantile};
use common::system::{CORE, end_with_parent, pin_to, raise_descriptor_limit};
use runtime::io::{AsyncReadExt, AsyncWriteExt};
use runtime::net::{TcpListener, TcpStream};
use runtime::time::{sleep, timeout};

/// The first argument of a child that is to serve.
const SERVE: &str = "--serve-with";

const CONNECTIONS: usize = 1000;
const MESSAGE_LEN: usize = 64;
/// This is more than a message, so that a read is short and finds that no more data is there.
const BUFFER_LEN: usize = 2 * MESSAGE_LEN;
const REQUESTS: usize = 10_000;
const ROUNDS: usize = 25;

/// This is so long that no peer is ever too late.
const LIMIT: Duration = Duration::from_secs(30);

/// The kinds of servers, by their measure against silent peers. The other kinds are compared with the first one.
const KINDS: [&str; 4] = ["nothing", "a timer elsewhere", "set_read_timeout", "timeout around each read"];

const USAGE: &str = "\
cargo bench --bench deadlines                    the times
cargo bench --bench deadlines -- instructions    and user-space instructions; needs valgrind";

fn main() -> io::Result<()> {
    let args: Vec<String> = env::args().skip(1).collect();
    if let [serve, kind] = &args[..]
        && serve == SERVE
    {
        serve_echo(kind);
        return Ok(());
    }
    for arg in &args {
        match arg.as_str() {
            "--bench" | "instructions" => {}
            "--help" | "-h" => help(USAGE),
            unknown => refuse(format_args!("unknown argument {unknown}"), USAGE),
        }
    }
    pin_to(CORE);
    raise_descriptor_limit()?;
    measure_time()?;
    let is_asked = args.iter().any(|arg| arg == "instructions");
    if is_asked && callgrind::is_installed() { count_instructions() } else { Ok(()) }
}

fn serve_echo(kind: &str) {
    end_with_parent();
    pin_to(CORE);
    raise_descriptor_limit().expect("raise the descriptor limit");
    let listener = listen().expect("listen on loopback");
    println!("{}", listener.local_addr().expect("a bound listener").port());
    let kind = KINDS.iter().position(|name| *name == kind).expect("a known kind");
    Ours::new().block_on(async {
        if kind == 1 {
            runtime::spawn(sleep(LIMIT * 1000));
        }
        let listener = TcpListener::from_std(listener).expect("take over the listener");
        loop {
            let (stream, _) = listener.accept().await.expect("accept");
            if kind == 2 {
                stream.set_read_timeout(Some(LIMIT)).expect("set a limit");
            }
            if kind == 3 {
                runtime::spawn(echo_within(stream))
            } else {
                runtime::spawn(echo(stream))
            };
        }
    });
}

async fn echo(mut stream: TcpStream) -> io::Result<()> {
    let mut buf = [0; BUFFER_LEN];
    loop {
        let count = stream.read(&mut buf).await?;
        if count == 0 {
            return Ok(());
        }
        stream.write_all(&buf[..count]).await?;
    }
}

async fn echo_within(mut stream: TcpStream) -> io::Result<()> {
    let mut buf = [0; BUFFER_LEN];
    loop {
        let count = timeout(LIMIT, stream.read(&mut buf)).await??;
        if count == 0 {
            return Ok(());
        }
        stream.write_all(&buf[..count]).await?;
    }
}

/// Measures the CPU time of the server for a message.
fn measure_time() -> io::Result<()> {
    let mut servers = Vec::new();
    for kind in KINDS {
        let server = Server::spawn(server(Command::new(env::current_exe()?), kind))?;
        let mut load = Load::connect(server.addr(), CONNECTIONS, MESSAGE_LEN)?;
        load.ping_pong(REQUESTS)?;
        servers.push((server, load));
    }
    let mut spent = [(); KINDS.len()].map(|()| Vec::new());
    for _ in 0..ROUNDS {
        for ((server, load), spent) in servers.iter_mut().zip(&mut spent) {
            let cpu = server.cpu_of(|| load.ping_pong(REQUESTS))?;
            spent.push(cpu.as_nanos() as f64 / REQUESTS as f64);
        }
    }
    println!("an echo of {MESSAGE_LEN} B, {CONNECTIONS} connections: the server's CPU time, {ROUNDS} rounds");
    for (kind, of_kind) in KINDS.iter().zip(&spent) {
        let more: Vec<f64> = of_kind.iter().zip(&spent[0]).map(|(with, without)| with - without).collect();
        let [low, median, high] = [0.25, 0.5, 0.75].map(|q| quantile(&more, q));
        let mut samples = Samples::default();
        of_kind.iter().for_each(|ns| samples.push(*ns));
        let (middle, least) = (samples.median(), quantile(of_kind, 0.0));
        println!(
            "{kind:>24}: {middle:6.0} ns, {least:6.0} at least; {median:+5.0} ns (half are {low:+.0} to {high:+.0})"
        );
    }
    Ok(())
}

/// Counts the instructions in user space for a message: those for many messages, less those for few.
fn count_instructions() -> io::Result<()> {
    const FEW: usize = 5_000;
    const MANY: usize = 25_000;
    println!("the same in user-space instructions, by callgrind");
    for kind in KINDS {
        let each = (instructions(kind, MANY)? - instructions(kind, FEW)?) as f64 / (MANY - FEW) as f64;
        println!("{kind:>24}: {each:6.1}");
    }
    Ok(())
}

fn instructions(kind: &str, requests: usize) -> io::Result<i64> {
    let server = Server::spawn(server(callgrind::command()?, kind))?;
    Load::connect(server.addr(), 50, MESSAGE_LEN)?.ping_pong(requests)?;
    Ok(callgrind::collected(&server.stop()?))
}

fn server(mut command: Command, kind: &str) -> Command {
    command.args([SERVE, kind]);
    command
}
