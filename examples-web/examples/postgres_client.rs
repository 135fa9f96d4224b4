//! A client of PostgreSQL, with the crate tokio-postgres on a socket of this runtime.
//!
//! `tokio_postgres::connect` opens its socket by tokio, and is not compiled here: the crate has `default-features = false`.
//! `Config::connect_raw` takes any stream that has tokio's I/O traits, a TCP or a Unix socket. It returns a client, and the
//! connection, a future that any executor may run.
//!
//! ```text
//! cargo run -p examples-web --example postgres_client -- --at postgres://me@127.0.0.1/test               # a tour
//! cargo run -p examples-web --example postgres_client -- --at 'host=/var/run/postgresql user=me' 'SELECT 1 + 1'
//! cargo run -p examples-web --example postgres_client -- --within 2 'SELECT pg_sleep(60)'   # cancelled after two seconds
//! cargo run -p examples-web --example postgres_client -- 'LISTEN news'          # prints notifications until Ctrl-C
//! ```
//!
//! A query that takes too long, or that Ctrl-C interrupts, is cancelled in the server as well: to drop its future would
//! only mean that nobody reads the answer.

use futures_util::future::try_join_all;
use futures_util::{SinkExt, TryStreamExt, pin_mut};
use runtime::net::{TcpStream, UnixStream};
use runtime::signal;
use runtime::task::JoinHandle;
use runtime::time::timeout;
use std::error::Error;
use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::process::ExitCode;
use std::time::{Duration, Instant};
use tokio_postgres::config::Host;
use tokio_postgres::{AsyncMessage, Client, Config, NoTls, SimpleQueryMessage};

const USAGE: &str = "usage: postgres_client [--at URL] [--within SECONDS] [SQL]";

const DEFAULT_URL: &str = "postgres://postgres@127.0.0.1:5432/postgres";

/// The rows that the tour inserts in each of its ways.
const ROWS: i32 = 1000;

type Result<T> = std::result::Result<T, Box<dyn Error>>;

struct Options {
    url: String,
    /// The time for the connection, and for the query.
    within: Duration,
    sql: Option<String>,
}

#[runtime::main]
async fn main() -> ExitCode {
    let Some(options) = parse(std::env::args().skip(1)) else {
        eprintln!("{USAGE}");
        return ExitCode::from(2);
    };
    match run(&options).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprint!("postgres_client: {error}");
            // The error of the crate has the message of the server as its source.
            let mut source = error.source();
            while let Some(cause) = source {
                eprint!(": {cause}");
                source = cause.source();
            }
            eprintln!();
            ExitCode::FAILURE
        }
    }
}

fn parse(mut arguments: impl Iterator<Item = String>) -> Option<Options> {
    let mut options = Options { url: DEFAULT_URL.to_owned(), within: Duration::from_secs(30), sql: None };
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--at" => options.url = arguments.next()?,
            "--within" => {
                let seconds = arguments.next()?.parse().ok()?;
                options.within = Duration::try_from_secs_f64(seconds).ok()?;
            }
            option if option.starts_with("--") || options.sql.is_some() => return None,
            _ => options.sql = Some(argument),
        }
    }
    Some(options)
}

async fn run(options: &Options) -> Result<()> {
    let config: Config = options.url.parse()?;
    let mut shutdown = signal::shutdown();
    let (mut client, driver) = timeout(options.within, connect(&config)).await.map_err(io::Error::from)??;
    let canceller = client.cancel_token();
    let work = async {
        match &options.sql {
            Some(sql) => print(client.simple_query(sql).await?.as_slice()),
            None => tour(&mut client).await?,
        }
        Ok(())
    };
    let result = runtime::select! {
        result = timeout(options.within, work) => result.map_err(io::Error::from),
        _ = &mut shutdown => Err(io::ErrorKind::Interrupted.into()),
    };
    let interrupted = match result {
        Ok(Ok(())) if options.sql.as_deref().is_some_and(is_listen) => runtime::select! {
            ended = driver => return Ok(ended??),
            _ = shutdown => return Ok(()),
        },
        Ok(result) => return result,
        Err(interrupted) => interrupted,
    };
    // The cancellation has a connection of its own.
    let cancelled = async {
        match open(&config).await? {
            Stream::Tcp(stream) => canceller.cancel_query_raw(stream, NoTls).await?,
            Stream::Unix(stream) => canceller.cancel_query_raw(stream, NoTls).await?,
        }
        Result::Ok(())
    };
    timeout(options.within, cancelled).await.map_err(io::Error::from)??;
    Err(interrupted.into())
}

/// Tells whether notifications follow a query.
fn is_listen(sql: &str) -> bool {
    sql.trim_start().to_lowercase().starts_with("listen")
}

/// The task that runs a connection. It ends when the client is dropped, or when the connection fails.
type Driver = JoinHandle<std::result::Result<(), tokio_postgres::Error>>;

enum Stream {
    Tcp(TcpStream),
    Unix(UnixStream),
}

/// Connects a socket to the first host of the settings.
async fn open(config: &Config) -> io::Result<Stream> {
    let port = config.get_ports().first().copied().unwrap_or(5432);
    match config.get_hosts().first() {
        Some(Host::Tcp(host)) => {
            let stream = TcpStream::connect((host.as_str(), port)).await?;
            stream.set_nodelay(true)?;
            Ok(Stream::Tcp(stream))
        }
        Some(Host::Unix(folder)) => {
            UnixStream::connect(folder.join(format!(".s.PGSQL.{port}"))).await.map(Stream::Unix)
        }
        None => Err(io::Error::new(io::ErrorKind::InvalidInput, "the URL names no host")),
    }
}

/// Connects to a server, and spawns a task that runs the connection.
async fn connect(config: &Config) -> Result<(Client, Driver)> {
    match open(config).await? {
        Stream::Tcp(stream) => start(config, stream).await,
        Stream::Unix(stream) => start(config, stream).await,
    }
}

async fn start<S>(config: &Config, stream: S) -> Result<(Client, Driver)>
where
    S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin + 'static,
{
    let (client, mut connection) = config.connect_raw(stream, NoTls).await?;
    let driver = runtime::spawn(async move {
        while let Some(message) = poll_fn(|cx| connection.poll_message(cx)).await {
            match message? {
                AsyncMessage::Notification(news) => println!("{}: {}", news.channel(), news.payload()),
                AsyncMessage::Notice(notice) => eprintln!("postgres_client: {notice}"),
                _ => {}
            }
        }
        Ok(())
    });
    Ok((client, driver))
}

/// Shows a transaction with pipelined requests, a copy, and rows that arrive one by one.
async fn tour(client: &mut Client) -> Result<()> {
    client
        .batch_execute("CREATE TEMPORARY TABLE squares (number INT PRIMARY KEY, square BIGINT NOT NULL)")
        .await?;

    let begin = Instant::now();
    let transaction = client.transaction().await?;
    let insert = transaction.prepare("INSERT INTO squares VALUES ($1, $2)").await?;
    // Futures that are polled together are sent together: the server need not wait for the client between two rows.
    let rows: Vec<(i32, i64)> = (0..ROWS).map(|number| (number, i64::from(number).pow(2))).collect();
    let inserts =
        rows.iter().map(async |(number, square)| transaction.execute(&insert, &[number, square]).await);
    let inserted: u64 = try_join_all(inserts).await?.iter().sum();
    transaction.commit().await?;
    println!("{inserted} rows were inserted by pipelined requests in {:.1?}", begin.elapsed());

    let begin = Instant::now();
    let sink = client.copy_in::<_, bytes::Bytes>("COPY squares FROM STDIN").await?;
    pin_mut!(sink);
    for number in ROWS..2 * ROWS {
        sink.feed(format!("{number}\t{}\n", i64::from(number).pow(2)).into()).await?;
    }
    let copied = Pin::as_mut(&mut sink).finish().await?;
    println!("{copied} rows were copied in {:.1?}", begin.elapsed());

    // The rows arrive as they are read, so that a large table takes no memory here.
    let rows = client.query_raw("SELECT number, square FROM squares WHERE square % $1 = 0", [7i64]).await?;
    pin_mut!(rows);
    let (mut count, mut sum) = (0, 0);
    while let Some(row) = rows.try_next().await? {
        count += 1;
        sum += row.try_get::<_, i64>("square")?;
    }
    println!("{count} of the squares are divisible by 7; their sum is {sum}");
    Ok(())
}

/// Prints the results of a query as tab-separated values.
fn print(messages: &[SimpleQueryMessage]) {
    for message in messages {
        match message {
            SimpleQueryMessage::RowDescription(columns) => {
                let names: Vec<&str> = columns.iter().map(|column| column.name()).collect();
                println!("{}", names.join("\t"));
            }
            SimpleQueryMessage::Row(row) => {
                let values: Vec<&str> =
                    (0..row.len()).map(|column| row.get(column).unwrap_or("NULL")).collect();
                println!("{}", values.join("\t"));
            }
            SimpleQueryMessage::CommandComplete(count) => println!("({count})"),
            _ => {}
        }
    }
}
