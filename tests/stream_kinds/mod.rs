//! The kinds of streams that `tests/stream_laws.rs` and `tests/stream_ends.rs` are about, the macro that makes a test of
//! each kind, and helpers. A new kind is a type with [`Kind`], and a row of the macro.
#![allow(dead_code, reason = "each test file uses a part")]

use crate::net_support::poll_once;
use runtime::io::{self as async_io, AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, DuplexStream};
use runtime::net::unix::{self, pipe};
use runtime::net::{TcpListener, TcpStream, UnixStream, tcp};
use runtime::task::yield_now;
use std::io::{self, ErrorKind, IoSlice, IoSliceMut};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

/// Makes a test of each kind of stream from each of the functions that are named here.
macro_rules! laws {
    ($($law:ident)*) => {
        laws! { @of Tcp tcp ($($law)*) }
        laws! { @of Unix unix ($($law)*) }
        laws! { @of Pipe pipe ($($law)*) }
        laws! { @of Duplex duplex ($($law)*) }
    };
    (@of $kind:ident $module:ident ($($law:ident)*)) => {
        mod $module {
            $(#[test]
            fn $law() {
                crate::net_support::run(super::$law::<crate::stream_kinds::$kind>()).unwrap();
            })*
        }
    };
}

pub(crate) use laws;

/// A kind of stream: how two connected ones are made, and in what the kind differs from others.
pub(crate) trait Kind: 'static {
    type Stream: AsyncRead + AsyncWrite + Unpin + 'static;
    type Reader: AsyncRead + Unpin + 'static;
    type Writer: AsyncWrite + Unpin + 'static;

    /// The error of a read after the peer was dropped and had not read all data, or `None` if the read returns the
    /// end.
    const AFTER_UNREAD: Option<ErrorKind>;

    /// The same after [`reset`](Kind::reset).
    const AFTER_RESET: Option<ErrorKind>;

    /// `true` if one read fills several buffers.
    const FILLS_SEVERAL: bool = true;

    /// `true` if dropping the owned writing half ends the stream, as closing it does.
    const ENDS_BY_DROP: bool = true;

    async fn pair() -> io::Result<(Self::Stream, Self::Stream)>;

    /// Splits a stream into halves that borrow it.
    fn split(stream: &mut Self::Stream) -> (impl AsyncRead + Unpin + '_, impl AsyncWrite + Unpin + '_);

    /// Splits a stream into halves that own it.
    fn into_split(stream: Self::Stream) -> (Self::Reader, Self::Writer);

    /// Ends the stream in the most abrupt way.
    fn reset(stream: Self::Stream) {
        drop(stream);
    }
}

pub(crate) struct Tcp;

impl Kind for Tcp {
    type Stream = TcpStream;
    type Reader = tcp::OwnedReadHalf;
    type Writer = tcp::OwnedWriteHalf;

    const AFTER_UNREAD: Option<ErrorKind> = Some(ErrorKind::ConnectionReset);
    const AFTER_RESET: Option<ErrorKind> = Some(ErrorKind::ConnectionReset);

    async fn pair() -> io::Result<(TcpStream, TcpStream)> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let client = TcpStream::connect(listener.local_addr()?).await?;
        Ok((client, listener.accept().await?.0))
    }

    fn split(stream: &mut TcpStream) -> (impl AsyncRead + Unpin + '_, impl AsyncWrite + Unpin + '_) {
        stream.split()
    }

    fn into_split(stream: TcpStream) -> (tcp::OwnedReadHalf, tcp::OwnedWriteHalf) {
        stream.into_split()
    }

    fn reset(stream: TcpStream) {
        socket2::SockRef::from(&stream).set_linger(Some(Duration::ZERO)).unwrap();
    }
}

pub(crate) struct Unix;

impl Kind for Unix {
    type Stream = UnixStream;
    type Reader = unix::OwnedReadHalf;
    type Writer = unix::OwnedWriteHalf;

    const AFTER_UNREAD: Option<ErrorKind> =
        if cfg!(target_os = "linux") { Some(ErrorKind::ConnectionReset) } else { None };
    const AFTER_RESET: Option<ErrorKind> = None;

    async fn pair() -> io::Result<(UnixStream, UnixStream)> {
        UnixStream::pair()
    }

    fn split(stream: &mut UnixStream) -> (impl AsyncRead + Unpin + '_, impl AsyncWrite + Unpin + '_) {
        stream.split()
    }

    fn into_split(stream: UnixStream) -> (unix::OwnedReadHalf, unix::OwnedWriteHalf) {
        stream.into_split()
    }
}

/// Streams within the process, without a descriptor.
pub(crate) struct Duplex;

impl Kind for Duplex {
    type Stream = DuplexStream;
    type Reader = async_io::ReadHalf<DuplexStream>;
    type Writer = async_io::WriteHalf<DuplexStream>;

    const AFTER_UNREAD: Option<ErrorKind> = None;
    const AFTER_RESET: Option<ErrorKind> = None;
    const FILLS_SEVERAL: bool = false;
    const ENDS_BY_DROP: bool = false;

    async fn pair() -> io::Result<(DuplexStream, DuplexStream)> {
        Ok(async_io::duplex(50_000))
    }

    fn split(stream: &mut DuplexStream) -> (impl AsyncRead + Unpin + '_, impl AsyncWrite + Unpin + '_) {
        async_io::split(stream)
    }

    fn into_split(
        stream: DuplexStream,
    ) -> (async_io::ReadHalf<DuplexStream>, async_io::WriteHalf<DuplexStream>) {
        async_io::split(stream)
    }
}

/// Two pipes in opposite directions.
pub(crate) struct Pipe;

impl Kind for Pipe {
    type Stream = Pipes;
    type Reader = pipe::Receiver;
    type Writer = PipeWriter;

    const AFTER_UNREAD: Option<ErrorKind> = None;
    const AFTER_RESET: Option<ErrorKind> = None;

    async fn pair() -> io::Result<(Pipes, Pipes)> {
        let (there, here) = (pipe::pipe()?, pipe::pipe()?);
        let one = Pipes { receiver: here.1, writer: PipeWriter(Some(there.0)) };
        Ok((one, Pipes { receiver: there.1, writer: PipeWriter(Some(here.0)) }))
    }

    fn split(stream: &mut Pipes) -> (impl AsyncRead + Unpin + '_, impl AsyncWrite + Unpin + '_) {
        (&mut stream.receiver, &mut stream.writer)
    }

    fn into_split(stream: Pipes) -> (pipe::Receiver, PipeWriter) {
        (stream.receiver, stream.writer)
    }
}

/// Reads from one pipe and writes to another.
pub(crate) struct Pipes {
    receiver: pipe::Receiver,
    writer: PipeWriter,
}

/// The writing side. Closing it drops the sender, which is the only way to end a pipe.
pub(crate) struct PipeWriter(Option<pipe::Sender>);

impl AsyncRead for Pipes {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.receiver).poll_read(cx, buffer)
    }

    fn poll_read_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffers: &mut [IoSliceMut<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.receiver).poll_read_vectored(cx, buffers)
    }
}

impl AsyncWrite for Pipes {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.writer).poll_write(cx, buffer)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffers: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.writer).poll_write_vectored(cx, buffers)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.writer).poll_flush(cx)
    }

    fn poll_close(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.writer).poll_close(cx)
    }
}

impl PipeWriter {
    fn open(&mut self) -> io::Result<Pin<&mut pipe::Sender>> {
        self.0.as_mut().map(Pin::new).ok_or_else(|| ErrorKind::BrokenPipe.into())
    }
}

impl AsyncWrite for PipeWriter {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &[u8]) -> Poll<io::Result<usize>> {
        self.open()?.poll_write(cx, buffer)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffers: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.open()?.poll_write_vectored(cx, buffers)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.0.as_mut().map_or(Poll::Ready(Ok(())), |sender| Pin::new(sender).poll_flush(cx))
    }

    fn poll_close(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if let Some(mut sender) = self.0.take() {
            assert!(Pin::new(&mut sender).poll_close(cx)?.is_ready());
        }
        Poll::Ready(Ok(()))
    }
}

/// Lets the loop turn several times.
pub(crate) async fn turns() {
    for _ in 0..20 {
        yield_now().await;
    }
}

/// Writes until there is no room, not even in another attempt with a new budget. Returns the number of bytes.
pub(crate) async fn fill(stream: &mut (impl AsyncWrite + Unpin)) -> io::Result<usize> {
    let (block, mut sent, mut refused) = (vec![7; 65536], 0, 0);
    while refused < 3 {
        match poll_once(stream.write(&block)).await {
            Some(count) => {
                sent += count?;
                refused = 0;
            }
            None => {
                refused += 1;
                turns().await;
            }
        }
    }
    Ok(sent)
}

pub(crate) async fn skip(stream: &mut (impl AsyncRead + Unpin), mut bytes: usize) -> io::Result<()> {
    let mut buffer = vec![0; 65536];
    while bytes > 0 {
        let most = bytes.min(buffer.len());
        bytes -= match stream.read(&mut buffer[..most]).await? {
            0 => return Err(ErrorKind::UnexpectedEof.into()),
            count => count,
        };
    }
    Ok(())
}
