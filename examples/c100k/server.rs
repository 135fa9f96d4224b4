//! A server: echo on all addresses, on a port that it shares with the other servers.

use super::{ADDRESSES, bind};
use runtime::io::{AsyncReadExt, AsyncWriteExt};
use runtime::net::{TcpListener, TcpStream};
use runtime::task::spawn_blocking;
use std::io::{self, Read};
use std::net::Ipv4Addr;

/// The queue of connections that are complete and not accepted yet; net.core.somaxconn allows that
/// many since Linux 5.4.
const BACKLOG: i32 = 4096;

/// Each connection has that much, for as long as it is open. A few bytes, since the messages are few
/// bytes: at a hundred thousand connections, a page for each is 400 MB.
const BUFFER_SIZE: usize = 64;

/// The last byte of an address on loopback: 127.0.0.1 and those that follow.
pub(crate) fn address(index: usize) -> Ipv4Addr {
    Ipv4Addr::new(127, 0, 0, (index % ADDRESSES) as u8 + 1)
}

/// Serves until standard input ends, as it does when whoever started this is gone.
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

/// Gives each connection its task, for ever.
async fn accept(listener: TcpListener) {
    loop {
        match listener.accept().await {
            // An error here is a connection that has ended: its client is the one to tell of it.
            Ok((stream, _)) => drop(runtime::spawn(echo(stream))),
            // After an error the listener rests by itself.
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
