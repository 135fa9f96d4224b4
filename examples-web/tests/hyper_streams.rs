//! The traits of hyper on our streams, and the adapters.

mod hyper_support;

use bytes::Bytes;
use http_body_util::StreamBody;
use hyper::body::{Frame, Incoming};
use hyper::rt::{Read, ReadBuf, ReadBufCursor, Write};
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_support::{Client, GET, hello, listen, watchdog};
use runtime::hyper::{FuturesIo, TokioIo, serve_http};
use runtime::io::{AsyncReadExt, duplex, simplex};
use runtime::net::{TcpStream, UnixStream};
use std::convert::Infallible;
use std::future::poll_fn;
use std::io::{self, IoSlice};
use std::mem::MaybeUninit;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};

/// Writes 5 and 7 bytes at once, and returns the number of bytes that were written.
async fn write_vectored(stream: &mut (impl Write + Unpin)) -> usize {
    let buffers = [IoSlice::new(b"five5"), IoSlice::new(b"seven77")];
    let written = poll_fn(|cx| Pin::new(&mut *stream).poll_write_vectored(cx, &buffers)).await.unwrap();
    poll_fn(|cx| Pin::new(&mut *stream).poll_flush(cx)).await.unwrap();
    written
}

/// Reads once into memory that is not initialized, behind what is there.
async fn read(stream: &mut (impl Read + Unpin), most: usize) -> Vec<u8> {
    let mut room = vec![MaybeUninit::uninit(); most];
    let mut buffer = ReadBuf::uninit(&mut room);
    buffer.unfilled().put_slice(b"> ");
    poll_fn(|cx| Pin::new(&mut *stream).poll_read(cx, buffer.unfilled())).await.unwrap();
    buffer.filled().to_vec()
}

async fn shut_down(stream: &mut (impl Write + Unpin)) {
    poll_fn(|cx| Pin::new(&mut *stream).poll_shutdown(cx)).await.unwrap();
}

async fn check(mut writer: impl Write + Unpin, mut reader: impl Read + Unpin) {
    assert!(writer.is_write_vectored());
    assert_eq!(write_vectored(&mut writer).await, 12);
    assert_eq!(read(&mut reader, 6).await, b"> five");
    assert_eq!(read(&mut reader, 100).await, b"> 5seven77");
    shut_down(&mut writer).await;
    assert_eq!(read(&mut reader, 100).await, b"> ", "the end of the stream");
}

async fn tcp() -> (TcpStream, TcpStream) {
    let (listener, address) = listen().await;
    let client = TcpStream::connect(address).await.unwrap();
    (client, listener.accept().await.unwrap().0)
}

#[runtime::test]
async fn vectored_writes_were_flattened() {
    let (writer, reader) = tcp().await;
    check(writer, reader).await;
    let (writer, reader) = tcp().await;
    check(writer.into_split().1, reader.into_split().0).await;
    let (writer, reader) = UnixStream::pair().unwrap();
    check(writer, reader).await;
    let (writer, reader) = UnixStream::pair().unwrap();
    check(writer.into_split().1, reader.into_split().0).await;
    let (writer, reader) = duplex(64);
    check(writer, reader).await;
}

#[runtime::test]
async fn the_adapters_answer_as_their_streams_do() {
    let (writer, reader) = tcp().await;
    check(TokioIo::new(writer), TokioIo::new(reader)).await;
    let (writer, reader) = tcp().await;
    check(FuturesIo::new(writer), FuturesIo::new(reader)).await;
    let (reader, writer) = simplex(64);
    check(FuturesIo::new(writer), FuturesIo::new(reader)).await;
    // There and back again.
    let (writer, reader) = tcp().await;
    check(TokioIo::new(TokioIo::new(writer)), TokioIo::new(TokioIo::new(reader))).await;

    /// A stream that writes one buffer at a time.
    struct Flat;
    impl tokio::io::AsyncWrite for Flat {
        fn poll_write(
            self: Pin<&mut Self>,
            _: &mut std::task::Context<'_>,
            bytes: &[u8],
        ) -> std::task::Poll<std::io::Result<usize>> {
            std::task::Poll::Ready(Ok(bytes.len()))
        }

        fn poll_flush(
            self: Pin<&mut Self>,
            _: &mut std::task::Context<'_>,
        ) -> std::task::Poll<std::io::Result<()>> {
            std::task::Poll::Ready(Ok(()))
        }

        fn poll_shutdown(
            self: Pin<&mut Self>,
            _: &mut std::task::Context<'_>,
        ) -> std::task::Poll<std::io::Result<()>> {
            std::task::Poll::Ready(Ok(()))
        }
    }
    let mut flat = TokioIo::new(Flat);
    assert!(!Write::is_write_vectored(&flat));
    assert_eq!(write_vectored(&mut flat).await, 5);
}

#[runtime::test]
async fn an_adapted_stream_of_hyper_reads_and_writes_with_the_traits_of_futures_io() {
    let (writer, reader) = tcp().await;
    let mut writer = FuturesIo::new(FuturesIo::new(writer));
    let mut reader = FuturesIo::new(TokioIo::new(reader));
    runtime::io::AsyncWriteExt::write_all(&mut writer, b"there and back").await.unwrap();
    let mut bytes = [0; 14];
    reader.read_exact(&mut bytes).await.unwrap();
    assert_eq!(&bytes, b"there and back");
}

#[runtime::test]
#[should_panic(expected = "the stream has replaced the buffer")]
async fn a_stream_that_replaces_the_buffer_is_not_trusted() {
    struct Swaps(&'static mut [u8]);
    impl tokio::io::AsyncRead for Swaps {
        fn poll_read(
            mut self: Pin<&mut Self>,
            _: &mut std::task::Context<'_>,
            buffer: &mut tokio::io::ReadBuf<'_>,
        ) -> std::task::Poll<std::io::Result<()>> {
            let mut other = tokio::io::ReadBuf::new(std::mem::take(&mut self.0));
            other.set_filled(100);
            *buffer = other;
            std::task::Poll::Ready(Ok(()))
        }
    }
    read(&mut TokioIo::new(Swaps(Box::leak(Box::new([0; 100])))), 10).await;
}

/// A stream that notes how many buffers each write has, and takes one byte of the first write of several.
struct Noted {
    stream: TcpStream,
    is_vectored: bool,
    writes: Arc<Mutex<Vec<usize>>>,
}

impl Noted {
    fn note(&self, count: usize) {
        self.writes.lock().unwrap().push(count);
    }
}

impl Read for Noted {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        Read::poll_read(Pin::new(&mut self.stream), cx, buffer)
    }
}

impl Write for Noted {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.note(1);
        Write::poll_write(Pin::new(&mut self.stream), cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffers: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.note(buffers.len());
        if self.writes.lock().unwrap().len() == 1 {
            return Write::poll_write(Pin::new(&mut self.stream), cx, &buffers[0][..1]);
        }
        Write::poll_write_vectored(Pin::new(&mut self.stream), cx, buffers)
    }

    fn is_write_vectored(&self) -> bool {
        self.is_vectored
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Write::poll_flush(Pin::new(&mut self.stream), cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Write::poll_shutdown(Pin::new(&mut self.stream), cx)
    }
}

/// Serves a body of two parts on a stream that notes its writes.
async fn writes_of_a_response(is_vectored: bool) -> Vec<usize> {
    let (listener, address) = listen().await;
    let writes = Arc::new(Mutex::new(Vec::new()));
    let parts = service_fn(|_: Request<Incoming>| async {
        let parts = ["five5", "seven77"].map(|part| Ok::<_, Infallible>(Frame::data(Bytes::from(part))));
        Ok::<_, Infallible>(Response::new(StreamBody::new(futures_util::stream::iter(parts))))
    });
    let server = serve_http(listener, parts).handshake({
        let writes = writes.clone();
        async move |stream| Ok(Noted { stream, is_vectored, writes: writes.clone() })
    });
    runtime::spawn(server.run());
    let mut client = Client::connect(address).await;
    client.send([GET[..GET.len() - 2].as_ref(), b"connection: close\r\n\r\n"].concat()).await;
    let response = String::from_utf8(client.rest().await).unwrap();
    assert!(response.ends_with("\r\n\r\n5\r\nfive5\r\n7\r\nseven77\r\n0\r\n\r\n"), "{response}");
    let writes = writes.lock().unwrap();
    writes.clone()
}

#[runtime::test]
async fn responses_were_flattened_by_the_stream_of_the_server() {
    let _watchdog = watchdog();
    let writes = writes_of_a_response(true).await;
    assert!(
        writes.len() == 2 && writes[0] > 2,
        "the head and both parts in one write, and the rest: {writes:?}"
    );
    let writes = writes_of_a_response(false).await;
    assert_eq!(writes, [1], "a stream that writes one buffer gets one");
}

/// A stream with the traits of tokio that holds back what is written until it is flushed, and whose flushes are pending at
/// first.
struct Holds {
    stream: TcpStream,
    held: Vec<u8>,
    is_flushing: bool,
}

impl tokio::io::AsyncRead for Holds {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut tokio::io::ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        tokio::io::AsyncRead::poll_read(Pin::new(&mut self.stream), cx, buffer)
    }
}

impl tokio::io::AsyncWrite for Holds {
    fn poll_write(mut self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.held.extend_from_slice(bytes);
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.held.is_empty() {
            return Poll::Ready(Ok(()));
        }
        self.is_flushing = !self.is_flushing;
        if self.is_flushing {
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        let held = std::mem::take(&mut self.held);
        let written = self.stream.try_write(&held)?;
        assert_eq!(written, held.len(), "the kernel has room for so little");
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        tokio::io::AsyncWrite::poll_shutdown(Pin::new(&mut self.stream), cx)
    }
}

async fn flushes<T: Read + Write + Unpin + Send + 'static>(wrap: fn(TokioIo<Holds>) -> T) {
    let (listener, address) = listen().await;
    let server = serve_http(listener, hello()).handshake(async move |stream| {
        Ok(wrap(TokioIo::new(Holds { stream, held: Vec::new(), is_flushing: false })))
    });
    runtime::spawn(server.run());
    let mut client = Client::connect(address).await;
    for _ in 0..3 {
        client.send(GET).await;
        assert!(client.response().await.ends_with("hello"));
    }
    client.send([GET[..GET.len() - 2].as_ref(), b"connection: close\r\n\r\n"].concat()).await;
    assert!(client.rest().await.ends_with(b"hello"), "the flush comes before the shutdown");
}

#[runtime::test]
async fn what_a_stream_held_back_until_its_flush_stayed_there() {
    let _watchdog = watchdog();
    flushes(|stream| stream).await;
    flushes(|stream| FuturesIo::new(FuturesIo::new(stream))).await;
    flushes(|stream| TokioIo::new(TokioIo::new(stream))).await;
}
