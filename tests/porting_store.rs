//! A store of keys and values with channels of messages, its protocol and its client: a program of several modules that
//! is written for tokio, and one line that makes it run on this crate.
//!
//! It has the structure of a server that is written with tokio: frames that are cut from a buffer, a state that tasks
//! share through `Arc` and `Mutex`, a task that removes expired keys, a limit on connections, and a shutdown that is
//! broadcast and then waits for all handlers.

#![allow(clippy::arc_with_non_send_sync, reason = "with tokio, these types are shared between threads")]

mod common;

extern crate runtime as tokio;

/// The protocol: `*n` and n frames, `$n` and n bytes, `+text`, `-text`, `:number`, `_`, each with an end of line.
mod frame {
    use bytes::{Buf, Bytes};
    use std::io::Cursor;

    #[derive(Clone, Debug, PartialEq)]
    pub(crate) enum Frame {
        Simple(String),
        Error(String),
        Integer(u64),
        Bulk(Bytes),
        Null,
        Array(Vec<Frame>),
    }

    #[derive(Debug)]
    pub(crate) enum Error {
        Incomplete,
        Invalid(String),
    }

    fn line<'a>(src: &mut Cursor<&'a [u8]>) -> Result<&'a str, Error> {
        let start = src.position() as usize;
        let bytes: &'a [u8] = src.get_ref();
        let length = bytes[start..].windows(2).position(|pair| pair == b"\r\n").ok_or(Error::Incomplete)?;
        src.set_position((start + length + 2) as u64);
        std::str::from_utf8(&bytes[start..start + length]).map_err(|e| Error::Invalid(e.to_string()))
    }

    fn number(src: &mut Cursor<&[u8]>) -> Result<u64, Error> {
        line(src)?.parse().map_err(|e: std::num::ParseIntError| Error::Invalid(e.to_string()))
    }

    impl Frame {
        pub(crate) fn parse(src: &mut Cursor<&[u8]>) -> Result<Frame, Error> {
            if !src.has_remaining() {
                return Err(Error::Incomplete);
            }
            match src.get_u8() {
                b'+' => Ok(Frame::Simple(line(src)?.to_string())),
                b'-' => Ok(Frame::Error(line(src)?.to_string())),
                b':' => Ok(Frame::Integer(number(src)?)),
                b'_' => line(src).map(|_| Frame::Null),
                b'$' => {
                    let length = number(src)? as usize;
                    if src.remaining() < length + 2 {
                        return Err(Error::Incomplete);
                    }
                    let data = src.copy_to_bytes(length);
                    src.advance(2);
                    Ok(Frame::Bulk(data))
                }
                b'*' => {
                    let count = number(src)?;
                    (0..count).map(|_| Frame::parse(src)).collect::<Result<_, _>>().map(Frame::Array)
                }
                other => Err(Error::Invalid(format!("a frame cannot begin with {other}"))),
            }
        }

        pub(crate) fn words<const N: usize>(words: [&[u8]; N]) -> Frame {
            Frame::Array(words.iter().map(|word| Frame::Bulk(Bytes::copy_from_slice(word))).collect())
        }
    }
}

/// Frames on any stream.
mod connection {
    use super::frame::{Error, Frame};
    use bytes::{Buf, BytesMut};
    use std::io::Cursor;
    use tokio::io::{self, AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufWriter};

    pub(crate) struct Connection<S: AsyncWrite> {
        stream: BufWriter<S>,
        buffer: BytesMut,
    }

    impl<S: AsyncRead + AsyncWrite + Unpin> Connection<S> {
        pub(crate) fn new(stream: S) -> Self {
            Connection { stream: BufWriter::new(stream), buffer: BytesMut::with_capacity(16) }
        }

        /// Returns `None` if the peer closed the connection between two frames. Cancel safe.
        pub(crate) async fn read_frame(&mut self) -> io::Result<Option<Frame>> {
            loop {
                let mut cursor = Cursor::new(&self.buffer[..]);
                match Frame::parse(&mut cursor) {
                    Ok(frame) => {
                        let length = cursor.position() as usize;
                        self.buffer.advance(length);
                        return Ok(Some(frame));
                    }
                    Err(Error::Incomplete) => {}
                    Err(Error::Invalid(reason)) => {
                        return Err(io::Error::new(io::ErrorKind::InvalidData, reason));
                    }
                }
                if self.stream.read_buf(&mut self.buffer).await? == 0 {
                    return match self.buffer.is_empty() {
                        true => Ok(None),
                        false => Err(io::ErrorKind::ConnectionReset.into()),
                    };
                }
            }
        }

        pub(crate) async fn write_frame(&mut self, frame: &Frame) -> io::Result<()> {
            if let Frame::Array(frames) = frame {
                self.write_line(b'*', &frames.len().to_string()).await?;
                for frame in frames {
                    self.write_value(frame).await?;
                }
            } else {
                self.write_value(frame).await?;
            }
            self.stream.flush().await
        }

        async fn write_value(&mut self, frame: &Frame) -> io::Result<()> {
            match frame {
                Frame::Simple(text) => self.write_line(b'+', text).await,
                Frame::Error(text) => self.write_line(b'-', text).await,
                Frame::Integer(number) => self.write_line(b':', &number.to_string()).await,
                Frame::Null => self.write_line(b'_', "").await,
                Frame::Bulk(data) => {
                    self.write_line(b'$', &data.len().to_string()).await?;
                    self.stream.write_all(data).await?;
                    self.stream.write_all(b"\r\n").await
                }
                Frame::Array(_) => unreachable!("no command has an array within an array"),
            }
        }

        async fn write_line(&mut self, kind: u8, text: &str) -> io::Result<()> {
            self.stream.write_u8(kind).await?;
            self.stream.write_all(text.as_bytes()).await?;
            self.stream.write_all(b"\r\n").await
        }
    }
}

/// The state, and the task that removes what has expired.
mod db {
    use bytes::Bytes;
    use std::collections::{BTreeSet, HashMap};
    use std::sync::{Arc, Mutex};
    use tokio::sync::{Notify, broadcast};
    use tokio::time::{self, Duration, Instant};

    struct Entry {
        data: Bytes,
        expires_at: Option<Instant>,
    }

    struct State {
        entries: HashMap<String, Entry>,
        channels: HashMap<String, broadcast::Sender<Bytes>>,
        expirations: BTreeSet<(Instant, String)>,
        shutdown: bool,
    }

    struct Shared {
        state: Mutex<State>,
        background_task: Notify,
    }

    #[derive(Clone)]
    pub(crate) struct Db {
        shared: Arc<Shared>,
    }

    /// Stops the background task when the server is dropped.
    pub(crate) struct DbDropGuard {
        pub(crate) db: Db,
    }

    impl Drop for DbDropGuard {
        fn drop(&mut self) {
            self.db.shared.state.lock().unwrap().shutdown = true;
            self.db.shared.background_task.notify_one();
        }
    }

    impl Db {
        pub(crate) fn start() -> DbDropGuard {
            let state = State {
                entries: HashMap::new(),
                channels: HashMap::new(),
                expirations: BTreeSet::new(),
                shutdown: false,
            };
            let shared = Arc::new(Shared { state: Mutex::new(state), background_task: Notify::new() });
            tokio::spawn(purge_expired(shared.clone()));
            DbDropGuard { db: Db { shared } }
        }

        pub(crate) fn get(&self, key: &str) -> Option<Bytes> {
            self.shared.state.lock().unwrap().entries.get(key).map(|entry| entry.data.clone())
        }

        pub(crate) fn set(&self, key: String, data: Bytes, expire: Option<Duration>) {
            let mut state = self.shared.state.lock().unwrap();
            let expires_at = expire.map(|after| Instant::now() + after);
            let first = state.expirations.first().map(|(when, _)| *when);
            let notify = expires_at.is_some_and(|when| first.is_none_or(|first| when < first));
            let previous = state.entries.insert(key.clone(), Entry { data, expires_at });
            if let Some(when) = previous.and_then(|entry| entry.expires_at) {
                state.expirations.remove(&(when, key.clone()));
            }
            if let Some(when) = expires_at {
                state.expirations.insert((when, key));
            }
            drop(state);
            if notify {
                self.shared.background_task.notify_one();
            }
        }

        pub(crate) fn subscribe(&self, channel: String) -> broadcast::Receiver<Bytes> {
            let mut state = self.shared.state.lock().unwrap();
            state.channels.entry(channel).or_insert_with(|| broadcast::channel(1024).0).subscribe()
        }

        pub(crate) fn publish(&self, channel: &str, message: Bytes) -> usize {
            let state = self.shared.state.lock().unwrap();
            state.channels.get(channel).map_or(0, |sender| sender.send(message).unwrap_or(0))
        }
    }

    impl Shared {
        fn purge(&self) -> Option<Instant> {
            let mut guard = self.state.lock().unwrap();
            let state = &mut *guard;
            let now = Instant::now();
            while let Some((when, key)) = state.expirations.first().cloned() {
                if when > now {
                    return Some(when);
                }
                state.entries.remove(&key);
                state.expirations.remove(&(when, key));
            }
            None
        }

        fn is_shutdown(&self) -> bool {
            self.state.lock().unwrap().shutdown
        }
    }

    async fn purge_expired(shared: Arc<Shared>) {
        while !shared.is_shutdown() {
            if let Some(when) = shared.purge() {
                tokio::select! {
                    _ = time::sleep_until(when) => {}
                    _ = shared.background_task.notified() => {}
                }
            } else {
                shared.background_task.notified().await;
            }
        }
    }
}

/// Accepts connections until the shutdown, and executes their commands.
mod server {
    use super::connection::Connection;
    use super::db::{Db, DbDropGuard};
    use super::frame::Frame;
    use bytes::Bytes;
    use std::future::Future;
    use std::sync::Arc;
    use tokio::io;
    use tokio::net::{TcpListener, TcpStream};
    use tokio::sync::broadcast::error::RecvError;
    use tokio::sync::{Semaphore, broadcast, mpsc};
    use tokio::time::{self, Duration};

    struct Listener {
        listener: TcpListener,
        db_holder: DbDropGuard,
        limit_connections: Arc<Semaphore>,
        notify_shutdown: broadcast::Sender<()>,
        shutdown_complete_tx: mpsc::Sender<()>,
    }

    struct Shutdown {
        is_shutdown: bool,
        notify: broadcast::Receiver<()>,
    }

    impl Shutdown {
        async fn recv(&mut self) {
            if !self.is_shutdown {
                let _ = self.notify.recv().await;
                self.is_shutdown = true;
            }
        }
    }

    struct Handler {
        db: Db,
        connection: Connection<TcpStream>,
        shutdown: Shutdown,
        _shutdown_complete: mpsc::Sender<()>,
    }

    pub(crate) async fn run(
        listener: TcpListener,
        max_connections: usize,
        shutdown: impl Future,
    ) -> io::Result<()> {
        let (notify_shutdown, _) = broadcast::channel(1);
        let (shutdown_complete_tx, mut shutdown_complete_rx) = mpsc::channel(1);
        let mut server = Listener {
            listener,
            db_holder: Db::start(),
            limit_connections: Arc::new(Semaphore::new(max_connections)),
            notify_shutdown,
            shutdown_complete_tx,
        };
        let result = tokio::select! {
            result = server.run() => result,
            _ = shutdown => Ok(()),
        };
        let Listener { notify_shutdown, shutdown_complete_tx, .. } = server;
        drop(notify_shutdown);
        drop(shutdown_complete_tx);
        let _ = shutdown_complete_rx.recv().await;
        result
    }

    impl Listener {
        async fn run(&mut self) -> io::Result<()> {
            loop {
                let permit = self.limit_connections.clone().acquire_owned().await.unwrap();
                let socket = self.accept().await?;
                let mut handler = Handler {
                    db: self.db_holder.db.clone(),
                    connection: Connection::new(socket),
                    shutdown: Shutdown { is_shutdown: false, notify: self.notify_shutdown.subscribe() },
                    _shutdown_complete: self.shutdown_complete_tx.clone(),
                };
                tokio::spawn(async move {
                    if let Err(error) = handler.run().await {
                        eprintln!("a connection failed: {error}");
                    }
                    drop(permit);
                });
            }
        }

        async fn accept(&mut self) -> io::Result<TcpStream> {
            let mut backoff = 1;
            loop {
                match self.listener.accept().await {
                    Ok((socket, _)) => return Ok(socket),
                    Err(error) if backoff > 64 => return Err(error),
                    Err(_) => time::sleep(Duration::from_secs(backoff)).await,
                }
                backoff *= 2;
            }
        }
    }

    impl Handler {
        async fn run(&mut self) -> io::Result<()> {
            while !self.shutdown.is_shutdown {
                let maybe_frame = tokio::select! {
                    result = self.connection.read_frame() => result?,
                    _ = self.shutdown.recv() => return Ok(()),
                };
                let Some(frame) = maybe_frame else { return Ok(()) };
                let words = words(frame)?;
                let words: Vec<&[u8]> = words.iter().map(|word| &word[..]).collect();
                let answer = match words[..] {
                    [b"get", key] => self.db.get(&text(key)).map_or(Frame::Null, Frame::Bulk),
                    [b"set", key, value] => self.set(key, value, None),
                    [b"set", key, value, b"px", ms] => {
                        let ms =
                            text(ms).parse().map_err(|_| io::Error::from(io::ErrorKind::InvalidInput))?;
                        self.set(key, value, Some(Duration::from_millis(ms)))
                    }
                    [b"publish", channel, message] => {
                        let count = self.db.publish(&text(channel), Bytes::copy_from_slice(message));
                        Frame::Integer(count as u64)
                    }
                    [b"subscribe", channel] => return self.subscribed(text(channel)).await,
                    _ => Frame::Error("unknown command".to_string()),
                };
                self.connection.write_frame(&answer).await?;
            }
            Ok(())
        }

        fn set(&self, key: &[u8], value: &[u8], expire: Option<Duration>) -> Frame {
            self.db.set(text(key), Bytes::copy_from_slice(value), expire);
            Frame::Simple("OK".to_string())
        }

        /// Sends the messages of the channel, until the client unsubscribes or the server shuts down.
        async fn subscribed(&mut self, channel: String) -> io::Result<()> {
            let mut messages = self.db.subscribe(channel.clone());
            self.connection.write_frame(&Frame::words([b"subscribed", channel.as_bytes()])).await?;
            loop {
                tokio::select! {
                    message = messages.recv() => match message {
                        Ok(message) => {
                            let frame = Frame::words([b"message", channel.as_bytes(), &message]);
                            self.connection.write_frame(&frame).await?;
                        }
                        Err(RecvError::Lagged(_)) => {}
                        Err(RecvError::Closed) => return Ok(()),
                    },
                    frame = self.connection.read_frame() => match frame? {
                        Some(_) => return self.connection.write_frame(&Frame::words([b"unsubscribed"])).await,
                        None => return Ok(()),
                    },
                    _ = self.shutdown.recv() => return Ok(()),
                }
            }
        }
    }

    fn text(bytes: &[u8]) -> String {
        String::from_utf8_lossy(bytes).into_owned()
    }

    fn words(frame: Frame) -> io::Result<Vec<Bytes>> {
        let Frame::Array(frames) = frame else { return Err(io::ErrorKind::InvalidData.into()) };
        let word = |frame| match frame {
            Frame::Bulk(word) => Ok(word),
            _ => Err(io::ErrorKind::InvalidData.into()),
        };
        frames.into_iter().map(word).collect()
    }
}

mod client {
    use super::connection::Connection;
    use super::frame::Frame;
    use std::error::Error;
    use tokio::net::{TcpStream, ToSocketAddrs};
    use tokio::sync::{mpsc, oneshot};

    pub(crate) type Result<T> = std::result::Result<T, Box<dyn Error + Send + Sync>>;

    pub(crate) struct Client {
        connection: Connection<TcpStream>,
    }

    impl Client {
        pub(crate) async fn connect<T: ToSocketAddrs>(addr: T) -> Result<Client> {
            Ok(Client { connection: Connection::new(TcpStream::connect(addr).await?) })
        }

        pub(crate) async fn ask<const N: usize>(&mut self, words: [&[u8]; N]) -> Result<Frame> {
            self.connection.write_frame(&Frame::words(words)).await?;
            self.answer().await?.ok_or_else(|| "the server closed the connection".into())
        }

        pub(crate) async fn answer(&mut self) -> Result<Option<Frame>> {
            Ok(self.connection.read_frame().await?)
        }
    }

    /// A client that tasks share: one task owns the connection, and answers through oneshot channels.
    #[derive(Clone)]
    pub(crate) struct SharedClient {
        tx: mpsc::Sender<(String, oneshot::Sender<Result<Frame>>)>,
    }

    impl SharedClient {
        pub(crate) fn new(mut client: Client) -> SharedClient {
            let (tx, mut rx) = mpsc::channel::<(String, oneshot::Sender<Result<Frame>>)>(32);
            tokio::spawn(async move {
                while let Some((key, reply)) = rx.recv().await {
                    let _ = reply.send(client.ask([b"get", key.as_bytes()]).await);
                }
            });
            SharedClient { tx }
        }

        pub(crate) async fn get(&self, key: &str) -> Result<Frame> {
            let (reply, answer) = oneshot::channel();
            self.tx.send((key.to_string(), reply)).await.map_err(|e| e.to_string())?;
            answer.await?
        }
    }
}

use client::{Client, SharedClient};
use common::watchdog;
use connection::Connection;
use frame::Frame;
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio::time::{self, Duration};

type Server = (std::net::SocketAddr, oneshot::Sender<()>, JoinHandle<tokio::io::Result<()>>);

async fn start(max_connections: usize) -> Server {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    let (stop, stopped) = oneshot::channel::<()>();
    (addr, stop, tokio::spawn(server::run(listener, max_connections, stopped)))
}

fn ok() -> Frame {
    Frame::Simple("OK".to_string())
}

fn bulk(data: &'static [u8]) -> Frame {
    Frame::Bulk(data.into())
}

#[tokio::test]
async fn keys_are_set_read_and_missed() -> client::Result<()> {
    let _watchdog = watchdog();
    let (addr, _stop, _server) = start(8).await;
    let mut client = Client::connect(addr).await?;
    assert_eq!(client.ask([b"get", b"hello"]).await?, Frame::Null);
    assert_eq!(client.ask([b"set", b"hello", b"world\r\n"]).await?, ok());
    assert_eq!(client.ask([b"get", b"hello"]).await?, bulk(b"world\r\n"));
    assert_eq!(client.ask([b"set", b"hello", &[7; 100_000]]).await?, ok());
    assert_eq!(client.ask([b"get", b"hello"]).await?, bulk(&[7; 100_000]));
    assert_eq!(client.ask([b"quit"]).await?, Frame::Error("unknown command".to_string()));
    Ok(())
}

#[tokio::test]
async fn a_key_expires() -> client::Result<()> {
    let _watchdog = watchdog();
    let (addr, _stop, _server) = start(8).await;
    let mut client = Client::connect(addr).await?;
    assert_eq!(client.ask([b"set", b"long", b"1", b"px", b"1000000"]).await?, ok());
    assert_eq!(client.ask([b"set", b"short", b"2", b"px", b"1"]).await?, ok());
    while client.ask([b"get", b"short"]).await? != Frame::Null {
        time::sleep(Duration::from_millis(1)).await;
    }
    assert_eq!(client.ask([b"get", b"long"]).await?, bulk(b"1"));
    Ok(())
}

#[tokio::test]
async fn messages_are_published_until_the_client_unsubscribes() -> client::Result<()> {
    let _watchdog = watchdog();
    let (addr, _stop, _server) = start(8).await;
    let mut subscriber = Client::connect(addr).await?;
    let mut publisher = Client::connect(addr).await?;
    assert_eq!(publisher.ask([b"publish", b"news", b"nobody"]).await?, Frame::Integer(0));
    assert_eq!(subscriber.ask([b"subscribe", b"news"]).await?, Frame::words([b"subscribed", b"news"]));
    for message in [b"one", b"two"] {
        assert_eq!(publisher.ask([b"publish", b"news", message]).await?, Frame::Integer(1));
        assert_eq!(subscriber.answer().await?, Some(Frame::words([b"message", b"news", message])));
    }
    assert_eq!(subscriber.ask([b"unsubscribe"]).await?, Frame::words([b"unsubscribed"]));
    assert_eq!(publisher.ask([b"publish", b"news", b"three"]).await?, Frame::Integer(0));
    Ok(())
}

#[tokio::test]
async fn a_connection_above_the_limit_is_served_after_another_ends() -> client::Result<()> {
    let _watchdog = watchdog();
    let (addr, _stop, _server) = start(1).await;
    let mut first = Client::connect(addr).await?;
    assert_eq!(first.ask([b"set", b"turn", b"first"]).await?, ok());
    let mut second = Client::connect(addr).await?;
    let answer = tokio::spawn(async move { second.ask([b"get", b"turn"]).await });
    assert_eq!(first.ask([b"set", b"turn", b"second"]).await?, ok());
    assert!(!answer.is_finished());
    drop(first);
    assert_eq!(answer.await??, bulk(b"second"));
    Ok(())
}

#[tokio::test]
async fn the_shutdown_ends_all_connections_and_waits_for_them() -> client::Result<()> {
    let _watchdog = watchdog();
    let (addr, stop, server) = start(8).await;
    let mut idle = Client::connect(addr).await?;
    let mut subscriber = Client::connect(addr).await?;
    assert_eq!(idle.ask([b"set", b"a", b"1"]).await?, ok());
    assert_eq!(subscriber.ask([b"subscribe", b"news"]).await?, Frame::words([b"subscribed", b"news"]));
    stop.send(()).unwrap();
    server.await??;
    assert_eq!(idle.answer().await?, None);
    assert_eq!(subscriber.answer().await?, None);
    assert!(Client::connect(addr).await.is_err());
    Ok(())
}

#[tokio::test]
async fn tasks_share_a_client_through_channels() -> client::Result<()> {
    let _watchdog = watchdog();
    let (addr, _stop, _server) = start(8).await;
    let mut client = Client::connect(addr).await?;
    for key in 0..5u8 {
        assert_eq!(client.ask([b"set", &[b'0' + key], &[key; 3]]).await?, ok());
    }
    let shared = SharedClient::new(client);
    let mut gets = Vec::new();
    for key in 0..5u8 {
        let shared = shared.clone();
        gets.push((key, tokio::spawn(async move { shared.get(&key.to_string()).await })));
    }
    for (key, get) in gets {
        assert_eq!(get.await??, Frame::Bulk(vec![key; 3].into()));
    }
    Ok(())
}

#[tokio::test]
async fn frames_pass_through_a_duplex_in_parts() -> client::Result<()> {
    let _watchdog = watchdog();
    let (near, far) = tokio::io::duplex(7);
    let frame =
        Frame::Array(vec![Frame::Integer(12), bulk(b"some bytes"), Frame::Null, Frame::Simple("s".into())]);
    let sent = frame.clone();
    let writing = tokio::spawn(async move { Connection::new(near).write_frame(&sent).await });
    let mut connection = Connection::new(far);
    assert_eq!(connection.read_frame().await?, Some(frame));
    assert_eq!(connection.read_frame().await?, None);
    writing.await??;
    Ok(())
}
