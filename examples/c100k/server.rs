//! A server: an echo server on all addresses, on a port that it shares with the other servers.

use super::{ADDRESSES, bind};
use runtime::io::{AsyncReadExt, AsyncWriteExt};
use runtime::net::{TcpListener, TcpStream};
use runtime::task::spawn_blocking;
use std::io::{self, Read};
use std::net::Ipv4Addr;

/// The length of the accept queue. This is the default limit (net.core.somaxconn) since Linux 5.4.
const BACKLOG: i32 = 4096;

/// The size of the buffer of each connection, in bytes. It is small because the messages are small: a page for each
/// of a hundred thousand connections would take 400 MB.
const BUFFER_SIZE: usize = 64;

/// Returns an address on loopback: 127.0.0.1 or one of those that follow.
pub(crate) fn address(index: usize) -> Ipv4Addr {
    Ipv4Addr::new(127, 0, 0, (index % ADDRESSES) as u8 + 1)
}

/// Serves until the end of standard input, which comes when the process that has started this one has ended.
pub(crate) fn run(port: u16) -> Result<(), String> {
    runtime::block_on(async move {
        for index in 0..ADDRESSES {
            let address = address(index);
            let listener = listen(address, port)
                .map_err(|error| format!("server: cannot listen on {address}:{port}: {error}"))?;
            drop(runtime::spawn(accept(listener)));
        }
        println!("listening");
        let end = spawn_blocking(|| io::stdin().read_to_end(&mut Vec::new())).await;
        end.map_err(|panicked| panicked.to_string())?.map_err(|error| error.to_string()).map(drop)
    })
}

fn listen(address: Ipv4Addr, port: u16) -> io::Result<TcpListener> {
    let socket = bind(address, port)?;
    socket.listen(BACKLOG)?;
    TcpListener::from_std(socket.into())
}

/// Accepts connections without end, and spawns a task for each of them.
async fn accept(listener: TcpListener) {
    loop {
        match listener.accept().await {
            // An error of `echo` means that the connection has ended. Its client reports that.
            Ok((stream, _)) => drop(runtime::spawn(echo(stream))),
            // After an error, the listener waits by itself before the next attempt.
            Err(error) => eprintln!("server: cannot accept for now: {error}"),
        }
    }
}

async fn echo(mut stream: TcpStream) -> io::Result<()> {
    let mut buffer = [0; BUFFER_SIZE];
    loop {
        let count = stream.read(&mut buffer).await?;
        if count == 0 {
            return Ok(());
        }
        stream.write_all(&buffer[..count]).await?;
    }
}
