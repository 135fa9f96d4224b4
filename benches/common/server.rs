//! A server under test, in a process of its own, so that its CPU time can be measured.
//!
//! The bench starts its own executable again with [`SERVE`]. The child prints its port to standard output, and serves
//! until it is terminated. It has no second thread, since malloc and the system calls of the C library would then
//! take their slower paths. Only where memory is measured, a thread answers each line of input with the number of
//! bytes allocated.

use std::io::{self, BufRead, BufReader, ErrorKind, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::Duration;
use std::{env, thread};

use socket2::{Domain, Socket, Type};

use super::contender::{Contender, Ours, Tokio};
use super::system::{CORE, end_with_parent, pin_to, process_cpu, raise_descriptor_limit, terminate};

/// The first argument of a child that is to serve.
const SERVE: &str = "--serve";

const BACKLOG: i32 = 4096;

/// The kinds of server.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Kind {
    Ours,
    Tokio,
    Epoll,
}

impl Kind {
    pub(crate) const ALL: [Kind; 3] = [Kind::Ours, Kind::Tokio, Kind::Epoll];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Kind::Ours => "ours",
            Kind::Tokio => "tokio",
            Kind::Epoll => "epoll",
        }
    }
}

/// Serves, and does not return, if this process was started for that. It must be called first in `main`.
///
/// `live_bytes` returns the number of allocated bytes, if they are counted.
pub(crate) fn serve_if_asked(live_bytes: Option<fn() -> usize>) {
    let mut args = env::args().skip(1);
    if args.next().as_deref() != Some(SERVE) {
        return;
    }
    let name = args.next().expect("the name of a server");
    let buffer_len = args.next().and_then(|len| len.parse().ok()).expect("the length of a buffer");
    let kind = Kind::ALL.into_iter().find(|kind| kind.name() == name).expect("a known server");
    let listener = announce(live_bytes);
    match kind {
        Kind::Ours => Ours::new().serve_echo(listener, buffer_len),
        Kind::Tokio => Tokio::new().serve_echo(listener, buffer_len),
        Kind::Epoll => super::epoll_server::serve_echo(listener, buffer_len).expect("the epoll loop"),
    }
}

/// Makes this process a child that serves: prints the port of a new listener, and returns the listener.
///
/// `live_bytes` returns the number of allocated bytes, if they are counted.
pub(crate) fn announce(live_bytes: Option<fn() -> usize>) -> TcpListener {
    end_with_parent();
    pin_to(CORE);
    raise_descriptor_limit().expect("raise the descriptor limit");
    let listener = listen().expect("listen on loopback");
    println!("{}", listener.local_addr().expect("a bound listener").port());
    if let Some(live_bytes) = live_bytes {
        thread::spawn(move || io::stdin().lines().for_each(|_| println!("{}", live_bytes())));
    }
    listener
}

/// Returns a non-blocking listener on a free port of loopback.
pub(crate) fn listen() -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::IPV4, Type::STREAM.nonblocking(), None)?;
    socket.bind(&SocketAddr::from((Ipv4Addr::LOCALHOST, 0)).into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

/// A child that serves.
pub(crate) struct Server {
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
    addr: SocketAddr,
}

impl Server {
    pub(crate) fn start(kind: Kind, buffer_len: usize) -> io::Result<Server> {
        Server::start_with(Command::new(env::current_exe()?), kind, buffer_len)
    }

    /// Does what [`start`](Self::start) does, with a command that runs this executable with the arguments added.
    pub(crate) fn start_with(mut command: Command, kind: Kind, buffer_len: usize) -> io::Result<Server> {
        command.args([SERVE, kind.name(), &buffer_len.to_string()]);
        Server::spawn(command)
    }

    /// Starts any server that prints its port to standard output.
    pub(crate) fn spawn(mut command: Command) -> io::Result<Server> {
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
        let input = child.stdin.take().expect("standard input is a pipe");
        let mut output = BufReader::new(child.stdout.take().expect("standard output is a pipe"));
        let port = read_number(&mut output)? as u16;
        Ok(Server { child, input, output, addr: SocketAddr::from((Ipv4Addr::LOCALHOST, port)) })
    }

    pub(crate) fn addr(&self) -> SocketAddr {
        self.addr
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Returns the CPU time used so far, once the server is idle.
    pub(crate) fn cpu_at_rest(&self) -> io::Result<Duration> {
        const PAUSE: Duration = Duration::from_millis(1);
        let mut before = process_cpu(self.child.id())?;
        loop {
            thread::sleep(PAUSE);
            let now = process_cpu(self.child.id())?;
            if now == before {
                return Ok(now);
            }
            before = now;
        }
    }

    /// Returns the CPU time that the server spends on `work`, and on cleaning up after it.
    pub(crate) fn cpu_of(&self, work: impl FnOnce() -> io::Result<()>) -> io::Result<Duration> {
        let start = self.cpu_at_rest()?;
        work()?;
        Ok(self.cpu_at_rest()? - start)
    }

    /// Returns the number of bytes that the server has allocated, if it counts them.
    pub(crate) fn live_bytes(&mut self) -> io::Result<u64> {
        self.cpu_at_rest()?;
        self.input.write_all(b"\n")?;
        read_number(&mut self.output)
    }

    /// Ends the server and returns what it wrote to standard error, if that is a pipe.
    pub(crate) fn stop(mut self) -> io::Result<String> {
        terminate(self.child.id())?;
        let mut text = String::new();
        if let Some(mut errors) = self.child.stderr.take() {
            errors.read_to_string(&mut text)?;
        }
        Ok(text)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Either call fails only if the child has ended already, which is what is wanted.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn read_number(lines: &mut impl BufRead) -> io::Result<u64> {
    let mut line = String::new();
    lines.read_line(&mut line)?;
    line.trim().parse().map_err(|_| {
        io::Error::new(ErrorKind::InvalidData, format!("the server said {line:?}, not a number"))
    })
}
