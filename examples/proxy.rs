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
//! On Linux, a bulk of bytes goes from socket to socket within the kernel, by splice(2). With `--plain`
//! in front of LISTEN, all bytes go through buffers of 8 KiB, the size that std and tokio use. To compare the two, send
//! a gigabyte through each, and look at the CPU time that the proxy has used (`ps -o time,cmd -C proxy`).
//!
//! ```text
//! nc -l 7000 >/dev/null &  head -c 1G /dev/zero | nc -N 127.0.0.1 7002
//! ```
//!
//! A connection that is silent holds no buffer. Ctrl-C ends the proxy, and with it all connections.

use runtime::io::{copy_bidirectional_with_sizes, splice_bidirectional};
use runtime::net::{TcpListener, TcpStream};
use runtime::time::{Duration, timeout};
use std::io::{self, ErrorKind};
use std::process::ExitCode;
use std::rc::Rc;

/// The kernel alone would try to reach a silent target for two minutes.
const CONNECT_WITHIN: Duration = Duration::from_secs(10);

/// The size of the buffers of a plain copy.
const USUAL: usize = 8 * 1024;

#[runtime::main]
async fn main() -> ExitCode {
    let mut arguments: Vec<String> = std::env::args().skip(1).collect();
    let is_plain = arguments.first().is_some_and(|argument| argument == "--plain");
    arguments.drain(..usize::from(is_plain));
    let [listen, target] = arguments.as_slice() else {
        eprintln!("usage: proxy [--plain] LISTEN TARGET, such as proxy 127.0.0.1:7002 example.org:80");
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
    println!("try: nc {}", listen.replacen(':', " ", 1));
    let target: Rc<str> = target.as_str().into();
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
            // Out of descriptors, perhaps. The listener rests before it tries again.
            Err(error) => eprintln!("proxy: cannot accept for now: {error}"),
        }
    }
}

/// Connects a client to the target, until both have said all they had to say.
async fn forward(mut client: TcpStream, target: &str, is_plain: bool) -> io::Result<()> {
    let mut server = match timeout(CONNECT_WITHIN, TcpStream::connect(target)).await {
        Ok(connected) => connected?,
        Err(_) => {
            return Err(io::Error::new(ErrorKind::TimedOut, format!("no answer in {CONNECT_WITHIN:?}")));
        }
    };
    // What comes in small pieces goes on in small pieces, without waiting for more.
    client.set_nodelay(true)?;
    server.set_nodelay(true)?;
    // Both ways in this one task. An error in one ends both, and drops both sockets.
    let copied = match is_plain {
        true => copy_bidirectional_with_sizes(&mut client, &mut server, USUAL, USUAL).await,
        false => splice_bidirectional(&mut client, &mut server).await,
    };
    match copied {
        // Somebody has gone without taking leave, and the other side has just been told.
        Err(error) if matches!(error.kind(), ErrorKind::ConnectionReset | ErrorKind::BrokenPipe) => Ok(()),
        result => result.map(drop),
    }
}
