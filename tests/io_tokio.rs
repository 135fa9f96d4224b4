//! The streams of the runtime with tokio's helpers: feature `tokio-io`.

mod net_support;

use futures_lite::future::try_zip;
use net_support::{pair, poll_once, run};
use runtime::net::TcpStream;
use runtime::net::tcp::{OwnedReadHalf, OwnedWriteHalf, ReadHalf, WriteHalf};
use std::future::poll_fn;
use std::io::{self, ErrorKind, IoSlice};
use std::mem::MaybeUninit;
use std::pin::Pin;
use tokio::io::{
    AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufReader, BufWriter, ReadBuf,
    copy_bidirectional,
};

const MIB: usize = 1 << 20;

fn pattern(length: usize) -> Vec<u8> {
    (0..length).map(|n| (n % 251) as u8).collect()
}

#[test]
fn what_has_the_traits_of_futures_has_those_of_tokio() {
    fn reads<T: AsyncRead>() {}
    fn writes<T: AsyncWrite>() {}
    reads::<TcpStream>();
    writes::<TcpStream>();
    reads::<&TcpStream>();
    writes::<&TcpStream>();
    reads::<ReadHalf<'_>>();
    writes::<WriteHalf<'_>>();
    reads::<OwnedReadHalf>();
    writes::<OwnedWriteHalf>();
    reads::<runtime::net::UnixStream>();
    writes::<runtime::net::UnixStream>();
    reads::<runtime::net::unix::pipe::Receiver>();
    writes::<runtime::net::unix::pipe::Sender>();
    reads::<runtime::io::Stdin>();
    writes::<runtime::io::Stdout>();
    writes::<runtime::io::Stderr>();
    reads::<runtime::io::DuplexStream>();
    writes::<runtime::io::DuplexStream>();
    reads::<runtime::io::ReadHalf<runtime::io::SimplexStream>>();
    writes::<runtime::io::WriteHalf<runtime::io::SimplexStream>>();
    reads::<runtime::io::Join<runtime::io::Stdin, runtime::io::Stdout>>();
    writes::<runtime::io::Join<runtime::io::Stdin, runtime::io::Stdout>>();
    reads::<runtime::io::BufReader<TcpStream>>();
    writes::<runtime::io::BufReader<TcpStream>>();
    reads::<runtime::io::BufWriter<TcpStream>>();
    writes::<runtime::io::BufWriter<TcpStream>>();
    reads::<runtime::io::BufStream<TcpStream>>();
    writes::<runtime::io::BufStream<TcpStream>>();
    reads::<runtime::io::Take<TcpStream>>();
    reads::<runtime::io::Chain<TcpStream, runtime::io::Empty>>();
}

#[test]
fn lines_are_read_and_answered() {
    run(async {
        let (client, server) = pair().await?;
        let mut client = BufWriter::new(client);
        client.write_all(b"one\ntwo\n").await?;
        client.flush().await?;
        let mut lines = BufReader::new(server).lines();
        assert_eq!(lines.next_line().await?.as_deref(), Some("one"));
        assert_eq!(lines.next_line().await?.as_deref(), Some("two"));
        client.shutdown().await?;
        assert_eq!(lines.next_line().await?, None);
        io::Result::Ok(())
    })
    .unwrap();
}

#[test]
fn a_fresh_buffer_is_not_initialised_for_a_read() {
    run(async {
        let (mut client, mut server) = pair().await?;
        client.write_all(b"hello").await?;
        let mut memory = [MaybeUninit::uninit(); 1024];
        let mut buffer = ReadBuf::uninit(&mut memory);
        buffer.put_slice(b"> ");
        poll_fn(|cx| Pin::new(&mut server).poll_read(cx, &mut buffer)).await?;
        assert_eq!(buffer.filled(), b"> hello");
        assert_eq!(buffer.initialized().len(), 7, "and no more");
        // Without data nothing changes. Without room nothing is read.
        assert!(poll_once(poll_fn(|cx| Pin::new(&mut server).poll_read(cx, &mut buffer))).await.is_none());
        assert_eq!((buffer.filled(), buffer.initialized().len()), (&b"> hello"[..], 7));
        client.write_all(b"x").await?;
        let mut none = ReadBuf::new(&mut []);
        poll_fn(|cx| Pin::new(&mut server).poll_read(cx, &mut none)).await?;
        poll_fn(|cx| Pin::new(&mut server).poll_read(cx, &mut buffer)).await?;
        assert_eq!(buffer.filled(), b"> hellox");
        drop(client);
        poll_fn(|cx| Pin::new(&mut server).poll_read(cx, &mut buffer)).await?;
        assert_eq!(buffer.filled(), b"> hellox", "the end adds nothing");
        io::Result::Ok(())
    })
    .unwrap();
}

#[test]
fn several_buffers_are_written_at_once() {
    run(async {
        let (mut client, mut server) = pair().await?;
        assert!(client.is_write_vectored());
        let words = [IoSlice::new(b"one "), IoSlice::new(b"two")];
        assert_eq!(client.write_vectored(&words).await?, 7);
        let mut text = [0; 7];
        server.read_exact(&mut text).await?;
        assert_eq!(&text, b"one two");
        io::Result::Ok(())
    })
    .unwrap();
}

#[test]
fn tokios_own_copy_goes_both_ways() {
    run(async {
        let (client, mut near) = pair().await?;
        let (mut far, server) = pair().await?;
        let proxy = runtime::spawn(async move { copy_bidirectional(&mut near, &mut far).await });
        let data = pattern(4 * MIB);
        let exchange = async |stream: TcpStream| {
            let (mut reader, mut writer) = stream.into_split();
            let sending = async {
                writer.write_all(&data).await?;
                writer.shutdown().await
            };
            let mut got = Vec::new();
            try_zip(sending, reader.read_to_end(&mut got)).await?;
            assert!(got == data);
            io::Result::Ok(())
        };
        try_zip(exchange(client), exchange(server)).await?;
        assert_eq!(proxy.await.unwrap()?, (4 * MIB as u64, 4 * MIB as u64));
        io::Result::Ok(())
    })
    .unwrap();
}

#[test]
fn a_shutdown_ends_writing_alone() {
    run(async {
        let (mut client, mut server) = pair().await?;
        // First the stream's own method, then that of the trait.
        client.shutdown().await?;
        AsyncWriteExt::shutdown(&mut client).await?;
        assert!(matches!(client.write(b"x").await.unwrap_err().kind(), ErrorKind::BrokenPipe));
        assert_eq!(server.read(&mut [0]).await?, 0);
        server.write_all(b"answer").await?;
        drop(server);
        let mut text = String::new();
        client.read_to_string(&mut text).await?;
        assert_eq!(text, "answer");
        io::Result::Ok(())
    })
    .unwrap();
}

#[test]
fn streams_in_memory_too() {
    run(async {
        let (mut a, b) = runtime::io::duplex(64);
        let (mut reader, mut writer) = runtime::io::split(b);
        a.write_all(b"there").await?;
        a.shutdown().await?;
        let mut text = String::new();
        reader.read_to_string(&mut text).await?;
        writer.write_all(text.as_bytes()).await?;
        writer.shutdown().await?;
        assert_eq!(text, "there");
        text.clear();
        a.read_to_string(&mut text).await?;
        assert_eq!(text, "there");
        io::Result::Ok(())
    })
    .unwrap();
}

#[test]
fn what_is_there_is_read_into_buffers_that_grow() {
    run(async {
        let (client, server) = pair().await?;
        let (unix, other) = runtime::net::UnixStream::pair()?;
        let (sender, receiver) = runtime::net::unix::pipe::pipe()?;
        let mut buffer = Vec::with_capacity(64);
        for error in [
            server.try_read_buf(&mut buffer).unwrap_err(),
            other.try_read_buf(&mut buffer).unwrap_err(),
            receiver.try_read_buf(&mut buffer).unwrap_err(),
        ] {
            assert_eq!(error.kind(), ErrorKind::WouldBlock);
        }
        client.try_write(b"tcp ")?;
        unix.try_write(b"unix ")?;
        sender.try_write(b"pipe")?;
        let (reader, _writer) = server.into_split();
        reader.readable().await?;
        assert_eq!(reader.try_read_buf(&mut buffer)?, 4);
        other.readable().await?;
        assert_eq!(other.try_read_buf(&mut buffer)?, 5);
        receiver.readable().await?;
        assert_eq!(receiver.try_read_buf(&mut buffer)?, 4);
        assert_eq!(buffer, b"tcp unix pipe");
        drop(sender);
        receiver.readable().await?;
        assert_eq!(receiver.try_read_buf(&mut buffer)?, 0, "the end");
        assert_eq!(receiver.try_read_buf::<&mut [u8]>(&mut &mut [][..])?, 0, "no room");
        io::Result::Ok(())
    })
    .unwrap();
}
