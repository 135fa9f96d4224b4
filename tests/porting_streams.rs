//! Programs that talk over streams, as they are written for tokio, and one line that makes them run on this crate: a chat
//! over a `broadcast` channel, echo servers by copies and by hand, lines, numbers, and a proxy that half-closes.

mod common;

extern crate runtime as tokio;

use common::watchdog;
use std::collections::HashMap;
use std::error::Error;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use tokio::io::{
    self, AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufReader, BufStream,
};
use tokio::net::{TcpListener, TcpStream, tcp};
use tokio::sync::{broadcast, mpsc};
use tokio::task::JoinSet;
use tokio::time::{self, Duration};

type BoxError = Box<dyn Error + Send + Sync>;

/// Binds a listener, and spawns the function for each connection.
async fn serve<F, Fut>(handle: F) -> io::Result<SocketAddr>
where
    F: Fn(TcpStream, SocketAddr) -> Fut + Send + 'static,
    Fut: Future<Output = Result<(), BoxError>> + Send + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let addr = listener.local_addr()?;
    tokio::spawn(async move {
        loop {
            let (stream, peer) = listener.accept().await.unwrap();
            let handling = handle(stream, peer);
            tokio::spawn(async move {
                if let Err(error) = handling.await {
                    eprintln!("{peer}: {error}");
                }
            });
        }
    });
    Ok(addr)
}

/// A member's task: it reads lines, and writes what the others send.
async fn member(
    stream: TcpStream,
    chat: broadcast::Sender<(SocketAddr, String)>,
    addr: SocketAddr,
) -> io::Result<()> {
    let mut messages = chat.subscribe();
    let (reader, mut writer) = stream.into_split();
    let mut reader = BufReader::new(reader);
    let mut line = String::new();
    writer.write_all(b"welcome\n").await?;
    loop {
        tokio::select! {
            result = reader.read_line(&mut line) => {
                if result? == 0 || line == "/quit\n" {
                    let _ = chat.send((addr, "left\n".to_string()));
                    return writer.shutdown().await;
                }
                let _ = chat.send((addr, line.clone()));
                line.clear();
            }
            received = messages.recv() => match received {
                Ok((from, text)) if from != addr => writer.write_all(text.as_bytes()).await?,
                Ok(_) => {}
                Err(broadcast::error::RecvError::Lagged(count)) => {
                    writer.write_all(format!("{count} messages lost\n").as_bytes()).await?;
                }
                Err(broadcast::error::RecvError::Closed) => return Ok(()),
            },
        }
    }
}

struct Guest {
    lines: io::Lines<BufReader<tcp::OwnedReadHalf>>,
    writer: tcp::OwnedWriteHalf,
}

impl Guest {
    async fn join(addr: SocketAddr) -> Result<Guest, BoxError> {
        let (reader, writer) = TcpStream::connect(addr).await?.into_split();
        let mut guest = Guest { lines: BufReader::new(reader).lines(), writer };
        assert_eq!(guest.hear().await?, "welcome");
        Ok(guest)
    }

    async fn hear(&mut self) -> Result<String, BoxError> {
        let line = time::timeout(Duration::from_secs(60), self.lines.next_line()).await??;
        line.ok_or_else(|| "the chat has ended".into())
    }

    async fn say(&mut self, line: &str) -> io::Result<()> {
        self.writer.write_all(line.as_bytes()).await?;
        self.writer.write_all(b"\n").await
    }
}

#[tokio::test]
async fn a_chat_over_a_broadcast_channel() -> Result<(), BoxError> {
    let _watchdog = watchdog();
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let addr = listener.local_addr()?;
    let (chat, _) = broadcast::channel(16);
    let (stop, mut stopped) = mpsc::channel::<()>(1);
    let server = tokio::spawn(async move {
        let mut members = JoinSet::new();
        loop {
            tokio::select! {
                accepted = listener.accept() => {
                    let (stream, peer) = accepted?;
                    members.spawn(member(stream, chat.clone(), peer));
                }
                Some(ended) = members.join_next() => ended??,
                _ = stopped.recv() => break,
            }
        }
        members.shutdown().await;
        Ok::<_, BoxError>(())
    });
    let mut guests = Vec::new();
    for _ in 0..3 {
        guests.push(Guest::join(addr).await?);
    }
    guests[0].say("hello").await?;
    for guest in &mut guests[1..] {
        assert_eq!(guest.hear().await?, "hello");
    }
    guests[2].say("good evening").await?;
    for guest in &mut guests[..2] {
        assert_eq!(guest.hear().await?, "good evening");
    }
    guests[1].say("/quit").await?;
    assert!(guests[1].hear().await.is_err());
    assert_eq!(guests[0].hear().await?, "left");
    drop(stop);
    server.await??;
    assert_eq!(guests[2].hear().await?, "left");
    assert!(guests[2].hear().await.is_err());
    Ok(())
}

/// The list of peers, by address, each with the sender of its queue.
type Peers = Arc<Mutex<HashMap<SocketAddr, mpsc::UnboundedSender<String>>>>;

async fn peer_task(stream: TcpStream, addr: SocketAddr, peers: Peers) -> io::Result<()> {
    let (tx, mut rx) = mpsc::unbounded_channel::<String>();
    peers.lock().unwrap().insert(addr, tx);
    let (reader, mut writer) = io::split(stream);
    let mut lines = BufReader::new(reader).lines();
    writer.write_all(b"welcome\n").await?;
    loop {
        tokio::select! {
            Some(text) = rx.recv() => writer.write_all(text.as_bytes()).await?,
            line = lines.next_line() => {
                let Some(line) = line? else { break };
                let mut peers = peers.lock().unwrap();
                peers.retain(|to, tx| *to == addr || tx.send(format!("{line}\n")).is_ok());
            }
        }
    }
    peers.lock().unwrap().remove(&addr);
    Ok(())
}

#[tokio::test]
async fn a_chat_with_a_queue_for_each_peer() -> Result<(), BoxError> {
    let _watchdog = watchdog();
    let peers = Peers::default();
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let addr = listener.local_addr()?;
    let shared = peers.clone();
    tokio::spawn(async move {
        loop {
            let (stream, peer) = listener.accept().await.unwrap();
            tokio::spawn(peer_task(stream, peer, shared.clone()));
        }
    });
    let (mut first, mut second) = (Guest::join(addr).await?, Guest::join(addr).await?);
    first.say("one").await?;
    assert_eq!(second.hear().await?, "one");
    second.say("two").await?;
    assert_eq!(first.hear().await?, "two");
    drop(first);
    while peers.lock().unwrap().len() > 1 {
        time::sleep(Duration::from_millis(1)).await;
    }
    Ok(())
}

async fn echo_by_copy(mut stream: TcpStream) -> Result<(), BoxError> {
    let (mut reader, mut writer) = stream.split();
    io::copy(&mut reader, &mut writer).await?;
    Ok(())
}

async fn echo_by_hand<S: AsyncRead + AsyncWrite + Unpin>(mut stream: S) -> Result<(), BoxError> {
    let mut buf = vec![0; 1024];
    loop {
        match stream.read(&mut buf).await? {
            0 => return Ok(()),
            n => stream.write_all(&buf[..n]).await?,
        }
    }
}

#[tokio::test]
async fn an_echo_by_copy_and_by_hand() -> Result<(), BoxError> {
    let _watchdog = watchdog();
    let by_copy = serve(|stream, _| echo_by_copy(stream)).await?;
    let by_hand = serve(|stream, _| echo_by_hand(stream)).await?;
    for addr in [by_copy, by_hand] {
        let (mut reader, mut writer) = io::split(TcpStream::connect(addr).await?);
        let writing = tokio::spawn(async move {
            for part in [&b"hello\r\n"[..], &[b'x'; 200_000], b"world\r\n"] {
                writer.write_all(part).await?;
            }
            writer.shutdown().await
        });
        let mut echoed = Vec::new();
        reader.read_to_end(&mut echoed).await?;
        writing.await??;
        assert_eq!(echoed.len(), 200_014);
        assert!(echoed.starts_with(b"hello\r\nxxx") && echoed.ends_with(b"xworld\r\n"));
    }
    Ok(())
}

#[tokio::test]
async fn a_proxy_passes_on_the_end_of_each_direction() -> Result<(), BoxError> {
    let _watchdog = watchdog();
    let target = serve(|mut stream, _| async move {
        let mut request = String::new();
        stream.read_to_string(&mut request).await?;
        stream.write_all(request.to_uppercase().as_bytes()).await?;
        Ok(())
    })
    .await?;
    let proxy = serve(move |mut inbound, _| async move {
        let mut outbound = TcpStream::connect(target).await?;
        let (mut ri, mut wi) = inbound.split();
        let (mut ro, mut wo) = outbound.split();
        let client_to_server = async {
            io::copy(&mut ri, &mut wo).await?;
            wo.shutdown().await
        };
        let server_to_client = async {
            io::copy(&mut ro, &mut wi).await?;
            wi.shutdown().await
        };
        tokio::try_join!(client_to_server, server_to_client)?;
        Ok(())
    })
    .await?;
    let mut stream = TcpStream::connect(proxy).await?;
    stream.write_all(b"through the proxy").await?;
    stream.shutdown().await?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await?;
    assert_eq!(answer, "THROUGH THE PROXY");
    Ok(())
}

/// A record: a kind, a length, a text, and a checksum.
async fn write_record<W: AsyncWrite + Unpin>(writer: &mut W, kind: u8, text: &str) -> io::Result<()> {
    writer.write_u8(kind).await?;
    writer.write_u32(text.len() as u32).await?;
    writer.write_all(text.as_bytes()).await?;
    writer.write_u64_le(text.bytes().map(u64::from).sum()).await?;
    writer.flush().await
}

async fn read_record<R: AsyncRead + Unpin>(reader: &mut R) -> io::Result<Option<(u8, String)>> {
    let kind = match reader.read_u8().await {
        Ok(kind) => kind,
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
        Err(error) => return Err(error),
    };
    let length = reader.read_u32().await?;
    let mut text = String::new();
    reader.take(length.into()).read_to_string(&mut text).await?;
    let sum = reader.read_u64_le().await?;
    match sum == text.bytes().map(u64::from).sum() {
        true => Ok(Some((kind, text))),
        false => Err(io::Error::new(io::ErrorKind::InvalidData, "the checksum does not match")),
    }
}

#[tokio::test]
async fn records_pass_through_a_buffered_stream() -> Result<(), BoxError> {
    let _watchdog = watchdog();
    let addr = serve(|stream, _| async move {
        let mut stream = BufStream::new(stream);
        while let Some((kind, text)) = read_record(&mut stream).await? {
            write_record(&mut stream, kind + 1, &text.to_uppercase()).await?;
        }
        Ok(())
    })
    .await?;
    let mut stream = BufStream::new(TcpStream::connect(addr).await?);
    for (kind, text) in [(1, "one"), (2, ""), (3, "three hundred")] {
        write_record(&mut stream, kind, text).await?;
        assert_eq!(read_record(&mut stream).await?, Some((kind + 1, text.to_uppercase())));
    }
    Ok(())
}

#[tokio::test]
async fn bytes_in_memory_are_read_and_written_as_streams() -> Result<(), BoxError> {
    let _watchdog = watchdog();
    let mut out = Vec::new();
    let mut reader: &[u8] = b"some bytes, more bytes";
    io::copy(&mut reader, &mut out).await?;
    assert_eq!(out, b"some bytes, more bytes");

    let mut buffer = [0; 4];
    let mut reader: &[u8] = b"1234567";
    assert_eq!(reader.read(&mut buffer[..]).await?, 4);
    let mut rest = Vec::new();
    reader.chain(&b"89"[..]).read_to_end(&mut rest).await?;
    assert_eq!(rest, b"56789");

    let mut parts = BufReader::new(&b"a,b,c"[..]).split(b',');
    let mut seen = Vec::new();
    while let Some(part) = parts.next_segment().await? {
        seen.push(String::from_utf8(part)?);
    }
    assert_eq!(seen, ["a", "b", "c"]);
    Ok(())
}
