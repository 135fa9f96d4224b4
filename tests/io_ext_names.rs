//! The names of `runtime::io` beside those of other crates, and beside the methods that streams have themselves.

mod net_support;

use net_support::{pair, run};
use std::io;

/// Everything from `runtime::io`, as a program does that has nothing else.
mod everything {
    use runtime::io::*;

    pub(crate) async fn echo(client: &mut (impl AsyncRead + AsyncWrite + Unpin)) -> Result<String> {
        client.write_all(b"one\ntwo\n").await?;
        client.shutdown().await?;
        let mut lines = BufReader::new(client).lines();
        let mut all = String::new();
        while let Some(line) = lines.next_line().await? {
            all += &line;
        }
        Ok(all)
    }
}

/// The extension traits of futures-lite, named, beside everything from `runtime::io`: they shadow its names.
mod others {
    use futures_lite::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
    use futures_lite::stream::StreamExt;
    use runtime::io::*;

    pub(crate) async fn echo(client: &mut (impl AsyncRead + AsyncWrite + Unpin)) -> Result<String> {
        client.write_all(b"one\ntwo\n").await?;
        client.close().await?;
        let (mut first, second) = AsyncReadExt::chain(client, &b"end"[..]).into_inner();
        assert_eq!(second.len(), 3);
        let mut lines = BufReader::new(&mut first).lines();
        let mut all = String::new();
        while let Some(line) = lines.next().await {
            all += &line?;
        }
        Ok(all)
    }
}

/// Two traits with a method of the same name: a path says which is meant.
mod both {
    use futures_lite::io::AsyncReadExt as _;
    use runtime::io::AsyncReadExt;

    pub(crate) async fn read(stream: runtime::net::TcpStream) -> std::io::Result<(u8, usize)> {
        let mut stream = stream.boxed_reader();
        Ok((stream.read_u8().await?, AsyncReadExt::read(&mut stream, &mut [0; 8]).await?))
    }
}

#[test]
fn the_traits_of_futures_work_on_the_streams_as_before() {
    run(async {
        for is_other in [false, true] {
            let (mut client, mut server) = pair().await?;
            let echo = runtime::spawn(async move {
                let (mut reader, mut writer) = server.split();
                runtime::io::copy(&mut reader, &mut writer).await
            });
            let text = if is_other {
                others::echo(&mut client).await?
            } else {
                everything::echo(&mut client).await?
            };
            assert_eq!(text, "onetwo");
            assert_eq!(echo.await.unwrap()?, 8);
        }
        let (client, server) = pair().await?;
        runtime::io::AsyncWriteExt::write_all(&mut &server, b"xyz").await?;
        assert_eq!(both::read(client).await?, (b'x', 2));
        io::Result::Ok(())
    })
    .unwrap();
}

/// A method that a stream has itself is called, and not that of the trait: it takes a shared reference here.
#[test]
fn the_methods_of_a_stream_are_preferred() {
    use runtime::io::AsyncWriteExt;
    run(async {
        let (client, mut server) = pair().await?;
        let (mut other, unix) = runtime::net::UnixStream::pair()?;
        let (near, mut far) = runtime::io::duplex(8);
        client.shutdown().await?;
        unix.shutdown().await?;
        near.shutdown().await?;
        for (stream, name) in [
            (&mut server as &mut (dyn futures_lite::AsyncRead + Unpin), "tcp"),
            (&mut other, "unix"),
            (&mut far, "duplex"),
        ] {
            assert_eq!(runtime::io::AsyncReadExt::read(stream, &mut [0; 8]).await?, 0, "{name}");
        }
        // By the trait, it needs a mutable one, and may be repeated.
        let mut client = client;
        AsyncWriteExt::shutdown(&mut client).await
    })
    .unwrap();
}
