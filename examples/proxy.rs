//! Proxy: forwards TCP connections, both ways at once.
//!
//! ```text
//! cargo run --release --example proxy -- 127.0.0.1:7002 127.0.0.1:7000     # LISTEN TARGET
//! nc 127.0.0.1 7002                                                        # talks to port 7000
//! cargo run --release --example echo_client -- 127.0.0.1:7002              # loads it, if that is `echo`
//! ```
//!
//! The two directions end one by one: when a side has said all it wants to say, the other side is
//! told just that, and may go on answering. `nc -N`, HTTP/1.0 and many a protocol in which the end
//! of the question starts the answer depend on it. An error in either direction ends both.
//!
//! Ctrl-C ends it, and with it all connections.

use futures_lite::future::try_zip;
use runtime::io::{AsyncWriteExt, copy};
use runtime::net::{TcpListener, TcpStream};
use runtime::time::{Duration, timeout};
use std::io::{self, ErrorKind};
use std::process::ExitCode;
use std::rc::Rc;

/// The kernel alone would try to reach a silent target for two minutes.
const CONNECT_WITHIN: Duration = Duration::from_secs(10);

#[runtime::main]
async fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [listen, target] = arguments.as_slice() else {
        eprintln!("usage: proxy LISTEN TARGET, such as proxy 127.0.0.1:7002 example.org:80");
        return ExitCode::from(2);
    };
    let listener = match TcpListener::bind(listen).await {
        Ok(listener) => listener,
        Err(error) => {
            eprintln!("proxy: cannot listen on {listen}: {error}");
            return ExitCode::FAILURE;
        }
    };
    println!("proxy: from {listen} to {target}, until Ctrl-C");
    let target: Rc<str> = target.as_str().into();
    loop {
        match listener.accept().await {
            Ok((client, peer)) => {
                let target = target.clone();
                drop(runtime::spawn(async move {
                    if let Err(error) = forward(client, &target).await {
                        eprintln!("proxy: {peer} to {target}: {error}");
                    }
                }));
            }
            // Out of descriptors, perhaps. The listener rests before it tries again.
            Err(error) => eprintln!("proxy: cannot accept for now: {error}"),
        }
    }
}

/// Connects a client to the target, until both have said all they had to say.
async fn forward(client: TcpStream, target: &str) -> io::Result<()> {
    let server = match timeout(CONNECT_WITHIN, TcpStream::connect(target)).await {
        Ok(connected) => connected?,
        Err(_) => {
            return Err(io::Error::new(ErrorKind::TimedOut, format!("no answer in {CONNECT_WITHIN:?}")));
        }
    };
    // What comes in small pieces goes on in small pieces, without waiting for more.
    client.set_nodelay(true)?;
    server.set_nodelay(true)?;
    // Both in this one task. An error in one drops the other, and then both sockets.
    match try_zip(one_way(&client, &server), one_way(&server, &client)).await {
        // Somebody has gone without taking leave, and the other side has just been told.
        Err(error) if matches!(error.kind(), ErrorKind::ConnectionReset | ErrorKind::BrokenPipe) => Ok(()),
        result => result.map(drop),
    }
}

/// Copies until the end of what is read, and passes the end on: the other direction is still open.
async fn one_way(from: &TcpStream, mut to: &TcpStream) -> io::Result<()> {
    copy(from, to).await?;
    to.close().await
}
