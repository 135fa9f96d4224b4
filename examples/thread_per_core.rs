//! Thread per core: the echo server again, on several threads, each with a runtime of its own.
//!
//! The threads share nothing. Each listens at the same port (`SO_REUSEPORT`), and the kernel deals
//! the connections out by a hash of their addresses. On Linux that is evenly for many connections and
//! not for few; on macOS and some BSDs one listener gets them all, so let one thread accept there, and hand the
//! streams on by `core.handles()`. Pinned, each thread gets the connections whose packets arrive on its CPU.
//!
//! ```text
//! cargo run --release --example thread_per_core                             # on 127.0.0.1:7000
//! cargo run --release --example thread_per_core -- 0.0.0.0:7000 --threads 4 --pin
//! cargo run --release --example echo_client -- 127.0.0.1:7000 --connections 1000    # in another terminal
//! ```
//!
//! If one thread fails, all end, and the program says why. Ctrl-C ends it as it does `echo`: at once.

use runtime::cores::{Core, PerCore};
use runtime::io::{AsyncReadExt, AsyncWriteExt};
use runtime::net::{TcpSocket, TcpStream};
use std::io;
use std::net::SocketAddr;
use std::process::ExitCode;

const USAGE: &str = "usage: thread_per_core [ADDRESS] [--threads N] [--pin]";

/// Connections that wait for a thread to accept them.
const BACKLOG: u32 = 4096;

/// As in `echo`.
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
    // Bound but not listening, it takes no connection. It finds the port that all will share, and
    // says at once if there is none to be had.
    let held = bind(address)?;
    let address = held.local_addr()?;
    println!("thread_per_core: listening on {address}, until Ctrl-C");
    cores.try_run(async |core| accept(core, address).await)?;
    Ok(())
}

/// A socket at an address that it shares with others of this user's.
fn bind(address: SocketAddr) -> io::Result<TcpSocket> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    socket.set_reuseaddr(true)?;
    socket.set_reuseport(true)?;
    socket.bind(address)?;
    Ok(socket)
}

/// Has the kernel deal out to this listener the connections whose packets arrive on its CPU
/// (`SO_INCOMING_CPU`), so that no packet is handed from one CPU to another.
#[cfg(target_os = "linux")]
fn prefer(socket: &TcpSocket, cpu: usize) -> io::Result<()> {
    socket2::SockRef::from(socket).set_cpu_affinity(cpu)
}

/// There is no such thing elsewhere.
#[cfg(not(target_os = "linux"))]
fn prefer(_: &TcpSocket, _: usize) -> io::Result<()> {
    Ok(())
}

/// What each thread does.
async fn accept(core: Core, address: SocketAddr) -> io::Result<()> {
    let socket = bind(address)?;
    if let Some(cpu) = core.cpu() {
        prefer(&socket, cpu)?;
        println!("thread_per_core: thread {} is on CPU {cpu}", core.index());
    }
    let listener = socket.listen(BACKLOG)?;
    loop {
        // After an error the listener rests by itself, so that there is no reason to give up.
        if let Ok((stream, _)) = listener.accept().await {
            // An error here is that of one connection, which has ended.
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
