//! A client of Redis, with the crate redis on a socket of this runtime.
//!
//! `redis::Client` opens its connections by itself, and needs a runtime that the crate knows. A `MultiplexedConnection`
//! does not: it is made of any stream that has tokio's I/O traits, and of a future, the driver, that any executor may run.
//! So the program connects, hands the socket over, and spawns the driver.
//!
//! ```text
//! redis-server --port 6379                                                 # in another terminal
//! cargo run -p examples-web --example redis_client                         # a tour
//! cargo run -p examples-web --example redis_client -- --at redis://127.0.0.1:6379/2 SET greeting hello
//! cargo run -p examples-web --example redis_client -- GET greeting
//! cargo run -p examples-web --example redis_client -- SUBSCRIBE news       # prints messages until Ctrl-C
//! ```
//!
//! Careful: a connection of the crate has a response timeout of 500 ms, which it keeps by a timer of tokio. So it is
//! switched off here, and `runtime::time::timeout` takes its place.

use redis::aio::MultiplexedConnection;
use redis::{
    AsyncCommands, AsyncConnectionConfig, ConnectionAddr, IntoConnectionInfo, ProtocolVersion, Value,
};
use redis::{PushInfo, RedisResult};
use runtime::net::TcpStream;
use runtime::signal;
use runtime::task::JoinSet;
use runtime::time::timeout;
use std::io;
use std::process::ExitCode;
use std::time::{Duration, Instant};
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

const USAGE: &str = "usage: redis_client [--at URL] [--within SECONDS] [COMMAND ARGUMENT...]";

/// The most that one request of the tour may take.
const RESPONSE_TIMEOUT: Duration = Duration::from_secs(5);

/// The tasks of the tour that count at the same time, on one connection.
const COUNTERS: usize = 1000;

struct Options {
    url: String,
    within: Duration,
    command: Vec<String>,
}

#[runtime::main]
async fn main() -> ExitCode {
    let Some(options) = parse(std::env::args().skip(1)) else {
        eprintln!("{USAGE}");
        return ExitCode::from(2);
    };
    let shutdown = signal::shutdown();
    runtime::select! {
        _ = shutdown => ExitCode::SUCCESS,
        result = run(&options) => match result {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => {
                eprintln!("redis_client: {}: {error}", options.url);
                ExitCode::FAILURE
            }
        },
    }
}

fn parse(arguments: impl Iterator<Item = String>) -> Option<Options> {
    let mut options =
        Options { url: "redis://127.0.0.1:6379".to_owned(), within: RESPONSE_TIMEOUT, command: Vec::new() };
    let mut arguments = arguments.peekable();
    while let Some(option) = arguments.next_if(|argument| argument.starts_with('-')) {
        match option.as_str() {
            "--at" => options.url = arguments.next()?,
            "--within" => {
                let seconds = arguments.next()?.parse().ok()?;
                options.within = Duration::try_from_secs_f64(seconds).ok()?;
            }
            _ => return None,
        }
    }
    options.command = arguments.collect();
    Some(options)
}

async fn run(options: &Options) -> RedisResult<()> {
    let (mut connection, mut messages) = in_time(options.within, connect(&options.url)).await?;
    let Some((name, arguments)) = options.command.split_first() else {
        return tour(connection).await;
    };
    let mut command = redis::cmd(name);
    command.arg(arguments);
    let reply: Value = in_time(options.within, command.query_async(&mut connection)).await?;
    print(&reply, 0);
    if name.to_lowercase().ends_with("subscribe") {
        // The channel ends with the connection.
        while let Some(message) = messages.recv().await {
            println!("{}", message.kind);
            print(&Value::Array(message.data), 1);
        }
        return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into());
    }
    Ok(())
}

/// Connects to a server. The connection may be cloned, and each clone may have many requests in flight. Messages of
/// subscriptions arrive in the receiver.
async fn connect(url: &str) -> RedisResult<(MultiplexedConnection, UnboundedReceiver<PushInfo>)> {
    let info = url.into_connection_info()?;
    let ConnectionAddr::Tcp(host, port) = info.addr() else {
        return Err(io::Error::new(io::ErrorKind::Unsupported, "this client knows TCP only").into());
    };
    let stream = TcpStream::connect((host.as_str(), *port)).await?;
    stream.set_nodelay(true)?;
    // With version 3 of the protocol, messages of subscriptions come through the same connection as replies.
    let login = info.redis_settings().clone().set_protocol(ProtocolVersion::RESP3);
    let (sender, messages) = unbounded_channel();
    let config = AsyncConnectionConfig::new().set_response_timeout(None).set_push_sender(sender);
    let (connection, driver) = MultiplexedConnection::new_with_config(&login, stream, config).await?;
    // The driver ends when the connection fails, or when its last clone is dropped.
    drop(runtime::spawn(driver));
    Ok((connection, messages))
}

async fn in_time<T>(limit: Duration, request: impl Future<Output = RedisResult<T>>) -> RedisResult<T> {
    timeout(limit, request).await.map_err(io::Error::from)?
}

/// Shows single requests, a transaction, many requests at once, and a pipeline.
async fn tour(mut connection: MultiplexedConnection) -> RedisResult<()> {
    let () = in_time(RESPONSE_TIMEOUT, connection.set("tour:greeting", "hello")).await?;
    let greeting: String = in_time(RESPONSE_TIMEOUT, connection.get("tour:greeting")).await?;
    println!("tour:greeting is {greeting:?}");

    let mut transaction = redis::pipe();
    transaction.atomic().del("tour:counter").ignore().incr("tour:counter", 40).incr("tour:counter", 2);
    let counts: Vec<i64> = in_time(RESPONSE_TIMEOUT, transaction.query_async(&mut connection)).await?;
    println!("a transaction counted to {counts:?}");

    let begin = Instant::now();
    let mut tasks = JoinSet::new();
    for _ in 0..COUNTERS {
        let mut connection = connection.clone();
        tasks.spawn(async move {
            in_time(RESPONSE_TIMEOUT, connection.incr::<_, _, i64>("tour:counter", 1)).await
        });
    }
    while let Some(result) = tasks.join_next().await {
        result.map_err(io::Error::from)??;
    }
    let count: i64 = in_time(RESPONSE_TIMEOUT, connection.get("tour:counter")).await?;
    println!("{COUNTERS} tasks on one connection counted to {count} in {:.1?}", begin.elapsed());

    let mut pipeline = redis::pipe();
    for number in 0..COUNTERS {
        pipeline.set_ex(format!("tour:{number}"), number, 60).ignore();
    }
    let () = in_time(RESPONSE_TIMEOUT, pipeline.query_async(&mut connection)).await?;
    let keys = [format!("tour:{}", 0), format!("tour:{}", COUNTERS - 1)];
    let numbers: Vec<usize> = in_time(RESPONSE_TIMEOUT, connection.mget(&keys)).await?;
    println!("a pipeline set {COUNTERS} keys, the first and the last of them to {numbers:?}");
    Ok(())
}

/// Prints a reply as redis-cli does: one line for each value, and nested values indented.
fn print(value: &Value, depth: usize) {
    print!("{:1$}", "", 2 * depth);
    match value {
        Value::Nil => println!("(nil)"),
        Value::Int(number) => println!("{number}"),
        Value::Double(number) => println!("{number}"),
        Value::Boolean(truth) => println!("{truth}"),
        Value::Okay => println!("OK"),
        Value::SimpleString(text) | Value::VerbatimString { text, .. } => println!("{text}"),
        Value::BulkString(bytes) => println!("{}", bytes.escape_ascii()),
        Value::Array(values) | Value::Set(values) | Value::Push { data: values, .. } => {
            println!("{} values", values.len());
            values.iter().for_each(|value| print(value, depth + 1));
        }
        Value::Map(pairs) => {
            println!("{} pairs", pairs.len());
            pairs.iter().flat_map(|(key, value)| [key, value]).for_each(|value| print(value, depth + 1));
        }
        other => println!("{other:?}"),
    }
}
