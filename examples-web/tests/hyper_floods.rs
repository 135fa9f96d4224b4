//! Peers of HTTP/2 that send frames without an end, and read nothing.

mod hyper_support;

use hyper::rt::{Read, ReadBufCursor, Write};
use hyper_support::frames::{CONTINUATION, HEADERS, PING, PREFACE, RST_STREAM, SETTINGS, frame, get};
use hyper_support::{Client, GET, hello, listen, s, watchdog};
use runtime::hyper::serve_http;
use runtime::io::AsyncWriteExt;
use runtime::net::TcpStream;
use runtime::task::yield_now;
use runtime::time::Instant;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::task::{Context, Poll};

/// Resident memory in bytes.
fn resident() -> usize {
    let status = std::fs::read_to_string("/proc/self/statm").unwrap();
    status.split(' ').nth(1).unwrap().parse::<usize>().unwrap() * 4096
}

/// A stream that counts its reads.
struct Counted {
    stream: TcpStream,
    reads: Arc<AtomicU32>,
}

impl Read for Counted {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        let polled = Read::poll_read(Pin::new(&mut self.stream), cx, buffer);
        self.reads.fetch_add(polled.is_ready().into(), Relaxed);
        polled
    }
}

impl Write for Counted {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Write::poll_write(Pin::new(&mut self.stream), cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Write::poll_flush(Pin::new(&mut self.stream), cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Write::poll_shutdown(Pin::new(&mut self.stream), cx)
    }
}

/// Sends frames until there are no more, or until the server closes the connection, while a neighbour sends requests. Returns the
/// largest number of reads between two polls of a task that is always ready, however busy the machine is.
async fn flood(first: Vec<u8>, mut next: impl FnMut() -> Option<Vec<u8>> + Send + 'static) -> u32 {
    let _watchdog = watchdog();
    let (listener, address) = listen().await;
    let reads = Arc::new(AtomicU32::new(0));
    let server = serve_http(listener, hello()).handshake({
        let reads = reads.clone();
        async move |stream| Ok(Counted { stream, reads: reads.clone() })
    });
    runtime::spawn(server.write_timeout(s(1)).header_timeout(s(1)).idle_timeout(s(2)).run());
    let mut neighbour = Client::connect(address).await;
    neighbour.send(GET).await;
    neighbour.response().await;
    let before = resident();
    // On a thread of its own, so that the loop is the server's alone.
    let flooder = std::thread::spawn(move || {
        runtime::block_on(async move {
            let mut flooder = TcpStream::connect(address).await.unwrap();
            flooder.write_all(PREFACE).await.unwrap();
            flooder.write_all(&frame(SETTINGS, 0, 0, b"")).await.unwrap();
            let mut is_open = flooder.write_all(&first).await.is_ok();
            while is_open {
                let Some(frames) = next() else { break };
                is_open = flooder.write_all(&frames).await.is_ok();
            }
        });
    });
    let polite = runtime::spawn(async move {
        loop {
            neighbour.send(GET).await;
            neighbour.response().await;
        }
    });
    let (mut most, mut last) = (0, reads.load(Relaxed));
    let deadline = Instant::now() + s(60);
    while !flooder.is_finished() {
        assert!(Instant::now() < deadline, "the flooder was not closed");
        assert!(!polite.is_finished(), "the neighbour was closed");
        yield_now().await;
        let now = reads.load(Relaxed);
        most = most.max(now - last);
        last = now;
    }
    flooder.join().unwrap();
    let growth = resident().saturating_sub(before);
    assert!(growth < 5 << 20, "{growth} bytes");
    most
}

#[runtime::test]
async fn floods_of_frames_never_yielded() {
    let repeat = |frame: Vec<u8>| frame.repeat((64 << 10) / frame.len());
    let open = frame(HEADERS, 0, 1, &[0x82]);
    for (name, first, frames) in [
        ("settings", vec![], repeat(frame(SETTINGS, 0, 0, b""))),
        ("pings", vec![], repeat(frame(PING, 0, 0, &[0; 8]))),
        ("continuations", open, repeat(frame(CONTINUATION, 0, 1, b""))),
    ] {
        let reads = flood(first, move || Some(frames.clone())).await;
        println!("{name}: {reads} reads at once");
        assert!(reads <= 8, "{name}: {reads}");
    }
}

/// Each request is reset as soon as it is sent, and never counts as one of those that are open (CVE-2023-44487).
#[runtime::test]
async fn a_flood_of_requests_that_are_reset_never_yielded() {
    let mut streams = (1..).step_by(2).take(20_000);
    let next = move || {
        let reset = |stream| [get(stream), frame(RST_STREAM, 0, stream, &8_u32.to_be_bytes())].concat();
        let frames: Vec<u8> = streams.by_ref().take(2000).flat_map(reset).collect();
        (!frames.is_empty()).then_some(frames)
    };
    let reads = flood(vec![], next).await;
    assert!(reads <= 8, "{reads}");
}
