//! Fetches many URLs, at most so many at once, each within a time limit, and shows a progress bar.
//!
//! The client of hyper-util keeps connections and uses them again. It opens them by the `Connector` of this runtime, which
//! resolves names, tries several addresses (Happy Eyeballs), and limits the time of a connect. A semaphore limits the
//! requests.
//!
//! ```text
//! cargo run --release -p examples-web --example http_client -- http://127.0.0.1:8000/ http://127.0.0.1:8000/nothing
//! cargo run --release -p examples-web --example http_client -- --times 10000 --at-once 50 http://127.0.0.1:8000/
//! ```
//!
//! `--within` sets the seconds for one URL. The exit status is 0 if all responses are successes. Ctrl-C ends the program
//! and prints what was fetched by then. For HTTPS, put the connector into that of hyper-rustls.

use bytes::Bytes;
use http_body_util::{BodyExt, Empty};
use hyper::{StatusCode, Uri};
use hyper_util::client::legacy::Client;
use indicatif::{ProgressBar, ProgressStyle};
use runtime::hyper::{Connector, Executor, Timer};
use runtime::signal;
use runtime::sync::Semaphore;
use runtime::task::JoinSet;
use runtime::time::timeout;
use std::error::Error;
use std::process::ExitCode;
use std::rc::Rc;
use std::time::{Duration, Instant};

const USAGE: &str = "usage: http_client [--at-once N] [--times N] [--within SECONDS] URL...";

/// The time that a connection may be unused before the client closes it.
const IDLE_TIMEOUT: Duration = Duration::from_secs(30);

/// The number of URLs for each of which a line is printed.
const MOST_LINES: usize = 100;

struct Options {
    urls: Vec<Uri>,
    times: usize,
    at_once: usize,
    within: Duration,
}

/// A response that has been read to its end.
struct Fetched {
    status: StatusCode,
    bytes: usize,
    time: Duration,
}

type FetchError = Box<dyn Error + Send + Sync>;

#[runtime::main]
async fn main() -> ExitCode {
    let Some(options) = parse(std::env::args().skip(1)) else {
        eprintln!("{USAGE}");
        return ExitCode::from(2);
    };
    if run(options).await { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn parse(mut arguments: impl Iterator<Item = String>) -> Option<Options> {
    let mut options = Options { urls: Vec::new(), times: 1, at_once: 20, within: Duration::from_secs(30) };
    let number = |text: Option<String>| text?.parse().ok().filter(|number| *number > 0);
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--at-once" => options.at_once = number(arguments.next())?,
            "--times" => options.times = number(arguments.next())?,
            "--within" => options.within = Duration::from_secs(number(arguments.next())? as u64),
            option if option.starts_with('-') => return None,
            url => options.urls.push(url.parse().ok()?),
        }
    }
    (!options.urls.is_empty()).then_some(options)
}

/// Fetches all URLs. Returns false if one was not fetched with success.
async fn run(options: Options) -> bool {
    let shutdown = signal::shutdown();
    let connector = Connector::new().connect_timeout(options.within);
    let client: Client<_, Empty<Bytes>> = Client::builder(Executor)
        .pool_idle_timeout(IDLE_TIMEOUT)
        .pool_timer(Timer)
        .timer(Timer)
        .build(connector);

    let count = options.urls.len() * options.times;
    let permits = Rc::new(Semaphore::new(options.at_once));
    let mut jobs = JoinSet::new();
    for url in options.urls.iter().cycle().take(count) {
        let (client, permits, url) = (client.clone(), permits.clone(), url.clone());
        jobs.spawn(async move {
            let _permit = permits.acquire().await.expect("the semaphore is never closed");
            let result = timeout(options.within, fetch(&client, url.clone())).await;
            (url, result.map_err(FetchError::from).flatten())
        });
    }

    let style = ProgressStyle::with_template("{bar:40} {pos}/{len}, {per_sec}, {eta} left");
    let bar = ProgressBar::new(count as u64).with_style(style.expect("the template is valid"));
    let begin = Instant::now();
    let mut successes = 0;
    let collect = async {
        while let Some(job) = jobs.join_next().await {
            // A job neither panics nor is aborted.
            let Ok((url, result)) = job else { continue };
            match result {
                Ok(fetched) => {
                    successes += usize::from(fetched.status.is_success());
                    if count <= MOST_LINES {
                        let Fetched { status, bytes, time } = fetched;
                        bar.suspend(|| println!("{url}: {status}, {bytes} bytes in {time:.1?}"));
                    }
                }
                Err(error) => bar.suspend(|| eprintln!("{url}: {}", describe(&*error))),
            }
            bar.inc(1);
        }
    };
    runtime::select! {
        () = collect => bar.finish(),
        _ = shutdown => bar.abandon(),
    }
    println!("{successes} of {count} were fetched in {:.2?}", begin.elapsed());
    successes == count
}

async fn fetch(client: &Client<Connector, Empty<Bytes>>, url: Uri) -> Result<Fetched, FetchError> {
    let begin = Instant::now();
    let response = client.get(url).await?;
    let status = response.status();
    let mut body = response.into_body();
    let mut bytes = 0;
    while let Some(frame) = body.frame().await {
        bytes += frame?.data_ref().map_or(0, Bytes::len);
    }
    Ok(Fetched { status, bytes, time: begin.elapsed() })
}

/// Returns the text of an error and of its causes.
fn describe(error: &(dyn Error + 'static)) -> String {
    let causes = std::iter::successors(Some(error), |&error| error.source());
    causes.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}
