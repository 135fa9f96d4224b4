//! Proxy: forwards TCP connections, in both directions at the same time.
//!
//! ```text
//! cargo run --release --example proxy -- 127.0.0.1:7002 127.0.0.1:7000     # LISTEN TARGET
//! nc 127.0.0.1 7002                                                        # talks to port 7000
//! cargo run --release --example echo_client -- 127.0.0.1:7002              # puts load on it, if port 7000 is `echo`
//! ```
//!
//! The two directions end one by one. When one side has sent its last byte, the proxy passes this end on to the other
//! side, which can continue to answer. `nc -N`, HTTP/1.0 and all protocols in which the answer begins after the end of
//! the request depend on this. An error in either direction ends both.
//!
//! On Linux, large amounts of data go from socket to socket within the kernel, by splice(2). With `--plain` in front of
//! LISTEN, all bytes go through buffers of 8 KiB, the size that std and tokio use. To compare the two, send a gigabyte
//! through each, and look at the CPU time that the proxy has used (`ps -o time,cmd -C proxy`).
//!
//! ```text
//! nc -l 7000 >/dev/null &  head -c 1G /dev/zero | nc -N 127.0.0.1 7002
//! ```
//!
//! A silent connection holds no buffer. Ctrl-C or SIGTERM ends the proxy and all connections.

use futures_lite::future::or;
use runtime::io::{copy_bidirectional_with_sizes, splice_bidirectional};
use runtime::net::{TcpListener, TcpStream};
use runtime::signal;
use runtime::time::{Duration, timeout};
use std::io::{self, ErrorKind};
use std::process::ExitCode;
use std::rc::Rc;

/// The time limit for connecting to the target. Without it, the kernel would try to reach a silent target for two
/// minutes.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// The size of the buffers of a plain copy, in bytes.
const PLAIN_BUFFER_SIZE: usize = 8 * 1024;

#[runtime::main]
async fn main() -> ExitCode {
    let mut arguments: Vec<String> = std::env::args().skip(1).collect();
    let is_plain = arguments.first().is_some_and(|argument| argument == "--plain");
    arguments.drain(..usize::from(is_plain));
    let [listen, target] = arguments.as_slice() else {
        eprintln!("usage: proxy [--plain] LISTEN TARGET, such as proxy 127.0.0.1:7002 example.org:80");
        return ExitCode::from(2);
    };
    let shutdown = signal::shutdown();
    let listener = match TcpListener::bind(listen).await {
        Ok(listener) => listener,
        Err(error) => {
            eprintln!("proxy: cannot listen on {listen}: {error}");
            return ExitCode::FAILURE;
        }
    };
    println!("proxy: from {listen} to {target}, until Ctrl-C");
    println!("try: nc {}", listen.replacen(':', " ", 1));
    let target: Rc<str> = target.as_str().into();
    or(async { drop(shutdown.await) }, accept(listener, target, is_plain)).await;
    ExitCode::SUCCESS
}

/// Accepts clients without end, and spawns a task for each of them.
async fn accept(listener: TcpListener, target: Rc<str>, is_plain: bool) {
    loop {
        match listener.accept().await {
            Ok((client, peer)) => {
                let target = target.clone();
                drop(runtime::spawn(async move {
                    if let Err(error) = forward(client, &target, is_plain).await {
                        eprintln!("proxy: {peer} to {target}: {error}");
                    }
                }));
            }
            // The process may have no more descriptors. The listener waits by itself before the next attempt.
            Err(error) => eprintln!("proxy: cannot accept for now: {error}"),
        }
    }
}

/// Connects a client to the target, and forwards bytes until both have closed their directions.
async fn forward(mut client: TcpStream, target: &str, is_plain: bool) -> io::Result<()> {
    let mut server = match timeout(CONNECT_TIMEOUT, TcpStream::connect(target)).await {
        Ok(connected) => connected?,
        Err(_) => {
            return Err(io::Error::new(ErrorKind::TimedOut, format!("no answer in {CONNECT_TIMEOUT:?}")));
        }
    };
    // Small pieces are forwarded at once, without waiting for more bytes.
    client.set_nodelay(true)?;
    server.set_nodelay(true)?;
    // This one task copies in both directions. An error in one direction ends both, and then both sockets are dropped.
    let copied = match is_plain {
        true => {
            copy_bidirectional_with_sizes(&mut client, &mut server, PLAIN_BUFFER_SIZE, PLAIN_BUFFER_SIZE)
                .await
        }
        false => splice_bidirectional(&mut client, &mut server).await,
    };
    match copied {
        // One side has disconnected without closing its direction. The other side sees that when its socket is dropped.
        Err(error) if matches!(error.kind(), ErrorKind::ConnectionReset | ErrorKind::BrokenPipe) => Ok(()),
        result => result.map(drop),
    }
}
