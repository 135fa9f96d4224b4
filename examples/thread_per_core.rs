//! Thread per core: the echo server again, on several threads, each with a runtime of its own.
//!
//! The threads share nothing. All of them listen on the same port (`SO_REUSEPORT`), and the kernel distributes the
//! connections by a hash of their addresses. On Linux, many connections are distributed evenly, and few are not. On
//! macOS and some BSDs, one listener gets all connections. There, let one thread accept, and pass the streams on by
//! `core.handles()`. With `--pin`, each thread gets the connections whose packets arrive on its CPU.
//!
//! ```text
//! cargo run --release --example thread_per_core                             # on 127.0.0.1:7000
//! cargo run --release --example thread_per_core -- 0.0.0.0:7000 --threads 4 --pin
//! cargo run --release --example echo_client -- 127.0.0.1:7000 --connections 1000    # in another terminal
//! ```
//!
//! If one thread fails, all threads end, and the program prints the reason. Ctrl-C or SIGTERM ends all threads, each of
//! which waits for the signal by itself.

use futures_lite::future::or;
use runtime::cores::{Core, PerCore};
use runtime::io::{AsyncReadExt, AsyncWriteExt};
use runtime::net::{TcpListener, TcpSocket, TcpStream};
use runtime::signal;
use std::io;
use std::net::SocketAddr;
use std::process::ExitCode;
use std::sync::atomic::{AtomicUsize, Ordering};

const USAGE: &str = "usage: thread_per_core [ADDRESS] [--threads N] [--pin]";

/// The length of the accept queue of each listener.
const BACKLOG: u32 = 4096;

/// The size of the buffer of each connection, in bytes.
const BUFFER_SIZE: usize = 4096;

fn main() -> ExitCode {
    let mut cores = PerCore::new();
    cores.name("echo");
    let Some(address) = parse(std::env::args().skip(1), &mut cores) else {
        eprintln!("{USAGE}");
        return ExitCode::from(2);
    };
    match serve(&cores, address) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("thread_per_core: {error}");
            ExitCode::FAILURE
        }
    }
}

fn parse(mut arguments: impl Iterator<Item = String>, cores: &mut PerCore) -> Option<SocketAddr> {
    let mut address = SocketAddr::from(([127, 0, 0, 1], 7000));
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--threads" => {
                cores.threads(arguments.next()?.parse().ok().filter(|threads| *threads > 0)?);
            }
            "--pin" => {
                cores.pin(true);
            }
            text => address = text.parse().ok()?,
        }
    }
    Some(address)
}

fn serve(cores: &PerCore, address: SocketAddr) -> io::Result<()> {
    // This socket is bound and does not listen, so it gets no connections. It determines the port that all threads
    // share, and fails at once if the port is not available.
    let held = bind(address)?;
    let address = held.local_addr()?;
    // A signal that arrives from here on ends the threads, also those that have not started yet.
    let _shutdown = signal::shutdown();
    let listening = AtomicUsize::new(0);
    cores.try_run(async |core| {
        let count = core.count();
        let listener = listen(core, address)?;
        // Until the first thread listens, connections are refused.
        if listening.fetch_add(1, Ordering::Relaxed) + 1 == count {
            println!("thread_per_core: listening on {address}, until Ctrl-C");
        }
        or(async { signal::shutdown().await.map(drop) }, accept(listener)).await
    })?;
    Ok(())
}

/// Binds a socket to an address. Other sockets of the same user can be bound to the same address.
fn bind(address: SocketAddr) -> io::Result<TcpSocket> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    socket.set_reuseaddr(true)?;
    socket.set_reuseport(true)?;
    socket.bind(address)?;
    Ok(socket)
}

/// Makes the kernel give this listener the connections whose packets arrive on the CPU `cpu` (`SO_INCOMING_CPU`), so
/// that no packet is passed from one CPU to another.
#[cfg(target_os = "linux")]
fn prefer(socket: &TcpSocket, cpu: usize) -> io::Result<()> {
    socket2::SockRef::from(socket).set_cpu_affinity(cpu)
}

/// Does nothing: other systems do not have this option.
#[cfg(not(target_os = "linux"))]
fn prefer(_: &TcpSocket, _: usize) -> io::Result<()> {
    Ok(())
}

/// Listens on one thread.
fn listen(core: Core, address: SocketAddr) -> io::Result<TcpListener> {
    let socket = bind(address)?;
    if let Some(cpu) = core.cpu() {
        prefer(&socket, cpu)?;
        println!("thread_per_core: thread {} is on CPU {cpu}", core.index());
    }
    socket.listen(BACKLOG)
}

/// Accepts connections on one thread, without end.
async fn accept(listener: TcpListener) -> io::Result<()> {
    loop {
        // After an error, the listener waits by itself before the next attempt, so the loop can ignore the error.
        if let Ok((stream, _)) = listener.accept().await {
            // An error of `echo` is that of one connection, which has ended.
            drop(runtime::spawn(async move { drop(echo(stream).await) }));
        }
    }
}

/// Serves one connection until its end.
async fn echo(mut stream: TcpStream) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut buffer = vec![0; BUFFER_SIZE];
    loop {
        let count = stream.read(&mut buffer).await?;
        if count == 0 {
            return Ok(());
        }
        stream.write_all(&buffer[..count]).await?;
    }
}
