//! The traits of hyper on our streams, and the adapters.

mod hyper_support;

use hyper::rt::{Read, ReadBuf, Write};
use hyper_support::listen;
use runtime::hyper::{FuturesIo, TokioIo};
use runtime::io::{AsyncReadExt, duplex, simplex};
use runtime::net::{TcpStream, UnixStream};
use std::future::poll_fn;
use std::io::IoSlice;
use std::mem::MaybeUninit;
use std::pin::Pin;

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
