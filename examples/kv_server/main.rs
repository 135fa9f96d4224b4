//! A small key-value server, and its client.
//!
//! ```text
//! cargo run --example kv_server -- serve                 # on 127.0.0.1:7002
//! cargo run --example kv_server -- set colour blue
//! cargo run --example kv_server -- get colour
//! cargo run --example kv_server -- watch colour          # prints each new value, until Ctrl-C
//! cargo run --example kv_server -- delete colour
//! ```
//!
//! `--at ADDRESS` in front of the command chooses another address.
//!
//! `protocol.rs` has the messages, `server.rs` the server with its store. One thread has all connections, so the store is
//! a `HashMap` in a `RefCell`. A `broadcast` channel tells the connections that watch a key about its changes.

mod protocol;
mod server;

use protocol::{Request, Response};
use runtime::io::{BufReader, BufWriter};
use runtime::net::{TcpListener, TcpStream};
use runtime::signal;
use std::io::{self, Write};
use std::process::ExitCode;

const DEFAULT_ADDRESS: &str = "127.0.0.1:7002";

const USAGE: &str = "\
usage: kv_server [--at ADDRESS] serve
       kv_server [--at ADDRESS] get|watch|delete KEY
       kv_server [--at ADDRESS] set KEY VALUE";

#[runtime::main]
async fn main() -> ExitCode {
    let mut arguments: Vec<String> = std::env::args().skip(1).collect();
    let mut address = DEFAULT_ADDRESS.to_owned();
    if arguments.first().is_some_and(|first| first == "--at") && arguments.len() > 1 {
        address = arguments.remove(1);
        arguments.remove(0);
    }
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let request = match arguments[..] {
        ["serve"] => return report(serve(&address).await),
        ["get", key] => Request::Get(key.to_owned()),
        ["watch", key] => Request::Watch(key.to_owned()),
        ["delete", key] => Request::Delete(key.to_owned()),
        ["set", key, value] => Request::Set(key.to_owned(), value.into()),
        _ => {
            eprintln!("{USAGE}");
            return ExitCode::from(2);
        }
    };
    report(ask(&address, request).await)
}

fn report(result: io::Result<ExitCode>) -> ExitCode {
    result.unwrap_or_else(|error| {
        eprintln!("kv_server: {error}");
        ExitCode::FAILURE
    })
}

async fn serve(address: &str) -> io::Result<ExitCode> {
    let listener = TcpListener::bind(address).await?;
    println!("kv_server: listening on {}, until Ctrl-C", listener.local_addr()?);
    runtime::select! {
        _ = signal::shutdown() => Ok(ExitCode::SUCCESS),
        never = server::serve(listener) => never,
    }
}

/// Sends a request and prints the answers. A `watch` has many of them.
async fn ask(address: &str, request: Request) -> io::Result<ExitCode> {
    let mut stream = TcpStream::connect(address).await?;
    let (reader, writer) = stream.split();
    let (mut reader, mut writer) = (BufReader::new(reader), BufWriter::new(writer));
    request.write(&mut writer).await?;
    let mut code = ExitCode::SUCCESS;
    while let Some(response) = Response::read(&mut reader).await? {
        match response {
            Response::Value(value) => {
                let mut out = io::stdout().lock();
                out.write_all(&value)?;
                out.write_all(b"\n")?;
            }
            Response::Done => {}
            Response::Missing => {
                eprintln!("there is no such key");
                code = ExitCode::FAILURE;
            }
            Response::Refused(reason) => {
                eprintln!("kv_server: {reason}");
                code = ExitCode::FAILURE;
            }
        }
        if !matches!(request, Request::Watch(_)) {
            break;
        }
    }
    Ok(code)
}
