//! Limited fetch: ten thousand requests, at most a hundred of them at once.
//!
//! A `Semaphore` with a hundred permits limits the requests. Each job takes a permit before it connects and gives it
//! back when it is done, whether it has succeeded or not. A progress bar by indicatif shows how far it is.
//!
//! ```text
//! cargo run --release --example limited_fetch                             # against a server of its own
//! cargo run --release --example limited_fetch -- --jobs 2000 --at-once 20
//! cargo run --release --example limited_fetch -- 127.0.0.1:7000           # against an echo server
//! ```
//!
//! Without an address, the example starts a server in the same process, which answers each request after 5 ms. The
//! server counts its open connections and prints the largest number: it is never above the limit.

use indicatif::{ProgressBar, ProgressStyle};
use runtime::io::{AsyncReadExt, AsyncWriteExt};
use runtime::net::{TcpListener, TcpStream};
use runtime::sync::Semaphore;
use runtime::task::JoinSet;
use runtime::time::sleep;
use std::cell::Cell;
use std::io;
use std::process::ExitCode;
use std::rc::Rc;
use std::time::{Duration, Instant};

const USAGE: &str = "usage: limited_fetch [ADDRESS] [--jobs N] [--at-once N]";

/// The time that the server of this example takes for an answer.
const ANSWER_TIME: Duration = Duration::from_millis(5);

const MESSAGE: &[u8; 16] = b"what time is it?";

struct Options {
    address: Option<String>,
    jobs: usize,
    at_once: usize,
}

#[runtime::main]
async fn main() -> ExitCode {
    let Some(options) = parse(std::env::args().skip(1)) else {
        eprintln!("{USAGE}");
        return ExitCode::from(2);
    };
    match run(options).await {
        Ok(0) => ExitCode::SUCCESS,
        Ok(_) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("limited_fetch: {error}");
            ExitCode::FAILURE
        }
    }
}

fn parse(mut arguments: impl Iterator<Item = String>) -> Option<Options> {
    let mut options = Options { address: None, jobs: 10_000, at_once: 100 };
    let number = |text: Option<String>| text?.parse().ok().filter(|number| *number > 0);
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--jobs" => options.jobs = number(arguments.next())?,
            "--at-once" => options.at_once = number(arguments.next())?,
            option if option.starts_with('-') => return None,
            _ => options.address = Some(argument),
        }
    }
    Some(options)
}

/// Runs all jobs, and returns the number of those that have failed.
async fn run(options: Options) -> io::Result<usize> {
    let open = Rc::new(Connections::default());
    let address = match options.address {
        Some(address) => address,
        None => start_server(&open).await?,
    };
    let bar = ProgressBar::new(options.jobs as u64).with_style(
        ProgressStyle::with_template("{bar:40} {pos}/{len}, {per_sec}, {eta} left")
            .expect("the template is valid"),
    );

    let begin = Instant::now();
    let permits = Rc::new(Semaphore::new(options.at_once));
    let mut jobs = JoinSet::new();
    for _ in 0..options.jobs {
        let (permits, address) = (permits.clone(), address.clone());
        jobs.spawn(async move {
            // The semaphore is never closed, so the permit always comes.
            let _permit = permits.acquire().await.map_err(io::Error::other)?;
            fetch(&address).await
        });
    }
    let mut errors = Vec::new();
    while let Some(result) = jobs.join_next().await {
        bar.inc(1);
        if let Err(error) = result.map_err(io::Error::from).flatten() {
            errors.push(error);
        }
    }
    bar.finish();

    println!("{} jobs in {:.2?}, {} of them failed", options.jobs, begin.elapsed(), errors.len());
    if let Some(error) = errors.first() {
        println!("the first error: {error}");
    }
    if open.most.get() > 0 {
        println!("at most {} connections were open at a time", open.most.get());
    }
    Ok(errors.len())
}

/// One job: connects, sends a message and reads an answer of the same length.
async fn fetch(address: &str) -> io::Result<()> {
    let mut stream = TcpStream::connect(address).await?;
    stream.write_all(MESSAGE).await?;
    let mut answer = [0; MESSAGE.len()];
    stream.read_exact(&mut answer).await?;
    Ok(())
}

/// The numbers of connections of the server.
#[derive(Default)]
struct Connections {
    open: Cell<usize>,
    most: Cell<usize>,
}

/// Starts a server in this runtime and returns its address.
async fn start_server(connections: &Rc<Connections>) -> io::Result<String> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?.to_string();
    let connections = connections.clone();
    drop(runtime::spawn(async move {
        loop {
            match listener.accept().await {
                Ok((stream, _)) => drop(runtime::spawn(answer(stream, connections.clone()))),
                Err(error) => eprintln!("limited_fetch: cannot accept for now: {error}"),
            }
        }
    }));
    Ok(address)
}

async fn answer(mut stream: TcpStream, connections: Rc<Connections>) -> io::Result<()> {
    connections.open.set(connections.open.get() + 1);
    connections.most.set(connections.most.get().max(connections.open.get()));
    let mut message = [0; MESSAGE.len()];
    let result = stream.read_exact(&mut message).await;
    sleep(ANSWER_TIME).await;
    // Counted before the answer is sent: the client begins its next request when it has the answer.
    connections.open.set(connections.open.get() - 1);
    result?;
    stream.write_all(&message).await
}
