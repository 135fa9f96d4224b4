//! The helpers that the tests of copies share: a proxy, a stream without a descriptor, and files.

use super::{MIB, pair, pattern};
use futures_lite::future::try_zip;
use runtime::io::{
    AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, copy_bidirectional, splice_bidirectional,
};
use runtime::net::TcpStream;
use runtime::spawn;
use runtime::task::yield_now;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

/// A stream like any other, for example of TLS: its bytes go through a buffer.
pub(crate) struct Plain(pub(crate) TcpStream);

impl AsyncRead for Plain {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_read(cx, buffer)
    }
}

impl AsyncWrite for Plain {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &[u8]) -> Poll<io::Result<usize>> {
        assert!(!buffer.is_empty(), "for some writers an empty write has a meaning");
        Pin::new(&mut self.0).poll_write(cx, buffer)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_close(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_close(cx)
    }
}

/// The way in which a proxy moves bytes.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Way {
    Splice,
    Copy,
}

impl Way {
    pub(crate) async fn both_ways(self, mut a: TcpStream, mut b: TcpStream) -> io::Result<(u64, u64)> {
        match self {
            Way::Splice => splice_bidirectional(&mut a, &mut b).await,
            Way::Copy => copy_bidirectional(&mut Plain(a), &mut Plain(b)).await,
        }
    }
}

/// Returns a client, a server, and the task of a proxy between them.
pub(crate) async fn proxied(
    way: Way,
) -> io::Result<(TcpStream, TcpStream, runtime::task::JoinHandle<io::Result<(u64, u64)>>)> {
    let (client, near) = pair().await?;
    let (far, server) = pair().await?;
    let proxy = spawn(way.both_ways(near, far));
    Ok((client, server, proxy))
}

pub(crate) async fn send(to: &mut TcpStream, data: &[u8]) -> io::Result<()> {
    to.write_all(data).await?;
    to.close().await
}

pub(crate) async fn receive(from: &mut TcpStream) -> io::Result<Vec<u8>> {
    let mut data = Vec::new();
    from.read_to_end(&mut data).await?;
    Ok(data)
}

pub(crate) async fn both_ways_at_once(way: Way) {
    let there = pattern(6 * MIB);
    let back: Vec<u8> = there.iter().rev().copied().take(4 * MIB + 77).collect();
    let (client, server, proxy) = proxied(way).await.unwrap();
    let (mut from_client, mut to_client) = client.into_split();
    let (mut from_server, mut to_server) = server.into_split();
    let sent = async {
        try_zip(to_client.write_all(&there), to_server.write_all(&back)).await?;
        to_client.close().await?;
        to_server.close().await
    };
    let received = async {
        let (mut at_client, mut at_server) = (Vec::new(), Vec::new());
        try_zip(from_client.read_to_end(&mut at_client), from_server.read_to_end(&mut at_server)).await?;
        io::Result::Ok((at_client, at_server))
    };
    let (_, (at_client, at_server)) = try_zip(sent, received).await.unwrap();
    assert!(at_client == back && at_server == there);
    assert_eq!(proxy.await.unwrap().unwrap(), (there.len() as u64, back.len() as u64));
}

/// Writes until all buffers are full, including a pipe on the way.
pub(crate) async fn fill(client: &TcpStream) {
    let data = pattern(MIB);
    let mut quiet = 0;
    while quiet < 50 {
        match client.try_write(&data) {
            Ok(_) => quiet = 0,
            Err(_) => quiet += 1,
        }
        yield_now().await;
    }
}

/// Returns a file with `data`, which no other test has and which is removed when it is closed.
pub(crate) fn file_of(data: &[u8]) -> std::fs::File {
    static NEXT: std::sync::atomic::AtomicUsize = std::sync::atomic::AtomicUsize::new(0);
    let number = NEXT.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
    let path = std::env::temp_dir().join(format!("runtime-io-copy-{}-{number}", std::process::id()));
    let mut options = std::fs::File::options();
    let mut file = options.read(true).write(true).create(true).truncate(true).open(&path).unwrap();
    std::fs::remove_file(path).unwrap();
    io::Write::write_all(&mut file, data).unwrap();
    file
}

/// Counts the descriptors of this process that are ends of pipes.
pub(crate) fn pipes() -> usize {
    let links =
        std::fs::read_dir("/proc/self/fd").unwrap().filter_map(|entry| entry.ok()?.path().read_link().ok());
    links.filter(|target| target.to_string_lossy().starts_with("pipe:")).count()
}
