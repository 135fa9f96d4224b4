//! Inside tokio: one task of tokio drives the runtime, on tokio's thread. Tasks of both serve one program, and talk to
//! each other through the channels of `tokio::sync`.
//!
//! ```text
//! cargo run --example inside_tokio
//! ```
//!
//! A server runs on this library's loop, with state that is not `Send`. Tokio's tasks are its clients.
#![expect(unsafe_code, reason = "tokio asks for a promise that the descriptor stays open")]

use futures_lite::future::or;
use runtime::Runtime;
use runtime::net::TcpListener;
use std::cell::Cell;
use std::convert::Infallible;
use std::io;
use std::rc::Rc;
use std::time::Duration;
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::sync::mpsc;

/// Turns the runtime's loop as long as this future is polled. Returns only errors.
async fn drive(runtime: &Runtime) -> io::Error {
    match turn_forever(runtime).await {
        Ok(never) => match never {},
        Err(error) => error,
    }
}

async fn turn_forever(runtime: &Runtime) -> io::Result<Infallible> {
    // SAFETY: the descriptor is borrowed from the runtime, which keeps it open, and is always the same.
    let fd = unsafe { AsyncFd::register_with_interest(runtime.selector_fd()?, Interest::READABLE) }?;
    loop {
        let next = runtime.next_deadline();
        let timer = async {
            match next {
                Some(next) => tokio::time::sleep_until(next.into()).await,
                None => std::future::pending().await,
            }
            io::Result::Ok(())
        };
        // Tokio watches the descriptor edge-triggered. Its readiness is cleared before the turn, so that an event
        // during the turn counts for the next wait.
        or(async { fd.readable().await.map(|mut guard| guard.clear_ready()) }, timer).await?;
        runtime.turn(Some(Duration::ZERO));
        // If the runtime is always busy, tokio's other tasks have their turn here.
        tokio::task::yield_now().await;
    }
}

/// Serves doubled numbers, on this library's loop.
async fn serve(listener: TcpListener, served: mpsc::UnboundedSender<u64>) -> io::Result<()> {
    use runtime::io::{AsyncReadExt, AsyncWriteExt};
    let count = Rc::new(Cell::new(0));
    loop {
        let (mut stream, _) = listener.accept().await?;
        let (count, served) = (count.clone(), served.clone());
        runtime::spawn(async move {
            while let Ok(number) = stream.read_u64().await {
                runtime::time::sleep(Duration::from_millis(1)).await;
                if stream.write_u64(2 * number).await.is_err() {
                    break;
                }
                count.set(count.get() + 1);
                let _ = served.send(count.get());
            }
        });
    }
}

/// Asks for doubled numbers, on tokio's loop.
async fn ask(address: std::net::SocketAddr) -> io::Result<u64> {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let mut stream = tokio::net::TcpStream::connect(address).await?;
    let mut sum = 0;
    for number in 1..=100 {
        stream.write_u64(number).await?;
        sum += stream.read_u64().await?;
    }
    Ok(sum)
}

fn main() -> io::Result<()> {
    let runtime = Runtime::new()?;
    let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0"))?;
    let address = listener.local_addr()?;
    let (sender, mut served) = mpsc::unbounded_channel();
    let server = runtime.spawn(serve(listener, sender));
    let tokio = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let sums = tokio.block_on(async {
        let clients = async {
            let clients: Vec<_> = (0..10).map(|_| tokio::spawn(ask(address))).collect();
            let mut sums = Vec::new();
            for client in clients {
                sums.push(client.await.expect("the client does not panic")?);
            }
            while let Some(count) = served.recv().await
                && count < 1000
            {}
            io::Result::Ok(sums)
        };
        // The loop turns until the clients are done.
        or(clients, async { Err(drive(&runtime).await) }).await
    })?;
    server.abort();
    println!("inside_tokio: ten clients got {sums:?} after {:?}", runtime.metrics());
    Ok(())
}
