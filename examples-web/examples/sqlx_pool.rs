//! PostgreSQL through a pool of connections, with the crate sqlx.
//!
//! sqlx has no way to pass it a socket. With its feature `runtime-smol` it opens its sockets by async-io, which waits for
//! them on a thread of its own and wakes the task that asked: queries and transactions are futures that any executor runs,
//! and they stay on this thread. The pool closes its idle connections on a second thread, that of smol's executor.
//!
//! ```text
//! cargo run -p examples-web --example sqlx_pool -- postgres://me@127.0.0.1/test
//! ```
//!
//! The program creates the table `sqlx_pool`, and removes it at the end.

use runtime::task::JoinSet;
use runtime::time::timeout;
use sqlx::PgPool;
use sqlx::postgres::{PgListener, PgPoolOptions};
use std::cell::Cell;
use std::error::Error;
use std::process::ExitCode;
use std::rc::Rc;
use std::time::{Duration, Instant};

const USAGE: &str = "usage: sqlx_pool [URL]";

const DEFAULT_URL: &str = "postgres://postgres@127.0.0.1:5432/postgres";

const CONNECTIONS: u32 = 4;

const QUERIES: i64 = 1000;

type Result<T> = std::result::Result<T, Box<dyn Error>>;

#[runtime::main]
async fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let url = arguments.next().unwrap_or_else(|| DEFAULT_URL.to_owned());
    if url.starts_with('-') || arguments.next().is_some() {
        eprintln!("{USAGE}");
        return ExitCode::from(2);
    }
    match run(&url).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("sqlx_pool: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run(url: &str) -> Result<()> {
    let options = PgPoolOptions::new().max_connections(CONNECTIONS).acquire_timeout(Duration::from_secs(5));
    let pool = options.connect(url).await?;
    sqlx::query("CREATE TABLE sqlx_pool (number BIGINT)").execute(&pool).await?;
    let result = tour(&pool).await;
    sqlx::query("DROP TABLE sqlx_pool").execute(&pool).await?;
    pool.close().await;
    result
}

async fn tour(pool: &PgPool) -> Result<()> {
    at_once(pool).await?;
    transactions(pool).await?;
    notification(pool).await?;
    time_limit(pool).await
}

/// Tasks share the pool, and what they count needs no lock.
async fn at_once(pool: &PgPool) -> Result<()> {
    let begun = Instant::now();
    let sum = Rc::new(Cell::new(0));
    let mut tasks = JoinSet::new();
    for number in 0..QUERIES {
        let (pool, sum) = (pool.clone(), Rc::clone(&sum));
        tasks.spawn_local(async move {
            let double: i64 = sqlx::query_scalar("SELECT $1 * 2").bind(number).fetch_one(&pool).await?;
            sum.set(sum.get() + double);
            Ok::<_, sqlx::Error>(())
        });
    }
    while let Some(task) = tasks.join_next().await {
        task??;
    }
    check(sum.get() == QUERIES * (QUERIES - 1), "the sum of the queries")?;
    println!("{QUERIES} queries on {CONNECTIONS} connections in {:?}", begun.elapsed());
    Ok(())
}

/// A transaction that is dropped is rolled back.
async fn transactions(pool: &PgPool) -> Result<()> {
    for is_kept in [false, true] {
        let mut transaction = pool.begin().await?;
        sqlx::query("INSERT INTO sqlx_pool SELECT generate_series(1, 10)").execute(&mut *transaction).await?;
        if is_kept {
            transaction.commit().await?;
        }
    }
    let count: i64 = sqlx::query_scalar("SELECT count(*) FROM sqlx_pool").fetch_one(pool).await?;
    check(count == 10, "the rows of one transaction")?;
    println!("one transaction is rolled back, one is kept");
    Ok(())
}

async fn notification(pool: &PgPool) -> Result<()> {
    let mut listener = PgListener::connect_with(pool).await?;
    listener.listen("news").await?;
    sqlx::query("SELECT pg_notify('news', 'hello')").execute(pool).await?;
    let notification = timeout(Duration::from_secs(10), listener.recv()).await??;
    check(notification.payload() == "hello", "the notification")?;
    println!("a notification has arrived");
    Ok(())
}

/// The time limit of this runtime drops the query. The pool does not use its connection again before the server is done.
async fn time_limit(pool: &PgPool) -> Result<()> {
    let slow = sqlx::query("SELECT pg_sleep(1)").execute(pool);
    check(timeout(Duration::from_millis(100), slow).await.is_err(), "the time limit")?;
    let one: i32 = sqlx::query_scalar("SELECT 1").fetch_one(pool).await?;
    check(one == 1, "a query after the time limit")?;
    println!("a query that takes too long is dropped");
    Ok(())
}

fn check(holds: bool, what: &str) -> Result<()> {
    if holds { Ok(()) } else { Err(format!("{what} is not as it should be").into()) }
}
