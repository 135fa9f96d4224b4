//! Programs as they are written for tokio, and one line that makes them run on this crate: `extern crate runtime as
//! tokio`.
//!
//! Each program is written as in tokio's documentation, and uses only tokio's names and signatures.
//! `docs/porting-from-tokio.md` lists what has no counterpart.

mod common;

extern crate runtime as tokio;

use bytes::{Buf, BytesMut};
use common::watchdog;
use std::cell::RefCell;
use std::collections::HashMap;
use std::error::Error;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use tokio::io::unix::AsyncFd;
use tokio::io::{self, AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader, BufWriter, Interest};
use tokio::net::{TcpListener, TcpSocket, TcpStream, UdpSocket};
use tokio::runtime::{Builder, Handle, LocalOptions, Runtime};
use tokio::task::{self, JoinHandle, LocalSet};
use tokio::time::{self, Duration, Instant, MissedTickBehavior};

/// The line applies to all modules.
mod elsewhere {
    use tokio::time::{Duration, sleep, timeout};

    #[tokio::test]
    async fn a_module_names_tokio_too() {
        timeout(Duration::from_secs(60), sleep(Duration::from_micros(1))).await.unwrap();
    }
}

/// The server of tokio's front page.
async fn echo(listener: TcpListener) -> Result<(), Box<dyn Error>> {
    loop {
        let (mut socket, _) = listener.accept().await?;
        tokio::spawn(async move {
            let mut buf = [0; 1024];
            loop {
                let n = match socket.read(&mut buf).await {
                    Ok(0) => return,
                    Ok(n) => n,
                    Err(e) => {
                        eprintln!("failed to read from socket; err = {e:?}");
                        return;
                    }
                };
                if let Err(e) = socket.write_all(&buf[0..n]).await {
                    eprintln!("failed to write to socket; err = {e:?}");
                    return;
                }
            }
        });
    }
}

async fn start_echo() -> io::Result<SocketAddr> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let addr = listener.local_addr()?;
    tokio::spawn(async move { echo(listener).await.unwrap() });
    Ok(addr)
}

async fn ask(addr: SocketAddr, question: &[u8]) -> io::Result<Vec<u8>> {
    let mut stream = TcpStream::connect(addr).await?;
    stream.write_all(question).await?;
    let mut answer = vec![0; question.len()];
    stream.read_exact(&mut answer).await?;
    Ok(answer)
}

#[tokio::test]
async fn an_echo_server() -> Result<(), Box<dyn Error>> {
    let _watchdog = watchdog();
    let addr = start_echo().await?;
    let clients: Vec<JoinHandle<io::Result<Vec<u8>>>> =
        (0..10u8).map(|n| tokio::spawn(async move { ask(addr, &[n; 500]).await })).collect();
    for (n, client) in clients.into_iter().enumerate() {
        assert_eq!(client.await??, [n as u8; 500]);
    }
    Ok(())
}

/// Copies in both directions by hand, as programs did before there was `copy_bidirectional`.
async fn transfer(inbound: TcpStream, to: SocketAddr) -> io::Result<(u64, u64)> {
    let outbound = TcpStream::connect(to).await?;
    let (mut ri, mut wi) = inbound.into_split();
    let (mut ro, mut wo) = outbound.into_split();
    let client_to_server = tokio::spawn(async move {
        let count = io::copy(&mut ri, &mut wo).await?;
        wo.shutdown().await?;
        io::Result::Ok(count)
    });
    let server_to_client = tokio::spawn(async move { io::copy(&mut ro, &mut wi).await });
    Ok((client_to_server.await??, server_to_client.await??))
}

#[tokio::test(flavor = "current_thread")]
async fn a_proxy() -> Result<(), Box<dyn Error>> {
    let _watchdog = watchdog();
    let to = start_echo().await?;
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let addr = listener.local_addr()?;
    let proxy = tokio::spawn(async move {
        let (inbound, _) = listener.accept().await?;
        transfer(inbound, to).await
    });
    let mut client = TcpStream::connect(addr).await?;
    client.write_all(b"through").await?;
    client.shutdown().await?;
    let mut back = String::new();
    client.read_to_string(&mut back).await?;
    assert_eq!(back, "through");
    drop(client);
    assert_eq!(proxy.await??, (7, 7));
    Ok(())
}

#[tokio::test]
async fn a_proxy_by_copy_bidirectional() -> Result<(), Box<dyn Error>> {
    let _watchdog = watchdog();
    let to = start_echo().await?;
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let addr = listener.local_addr()?;
    let proxy = tokio::spawn(async move {
        let (mut inbound, _) = listener.accept().await?;
        let mut outbound = TcpStream::connect(to).await?;
        io::copy_bidirectional(&mut inbound, &mut outbound).await
    });
    let mut client = TcpStream::connect(addr).await?;
    client.write_all(b"both ways").await?;
    client.shutdown().await?;
    let mut back = String::new();
    client.read_to_string(&mut back).await?;
    assert_eq!(back, "both ways");
    assert_eq!(proxy.await??, (9, 9));
    Ok(())
}

/// The UDP echo of tokio's documentation.
struct Server {
    socket: UdpSocket,
    buf: Vec<u8>,
    to_send: Option<(usize, SocketAddr)>,
}

impl Server {
    async fn run(self) -> Result<(), io::Error> {
        let Server { socket, mut buf, mut to_send } = self;
        loop {
            if let Some((size, peer)) = to_send {
                let amt = socket.send_to(&buf[..size], &peer).await?;
                assert_eq!(amt, size);
            }
            to_send = Some(socket.recv_from(&mut buf).await?);
        }
    }
}

#[tokio::test]
async fn a_udp_echo() -> Result<(), Box<dyn Error>> {
    let _watchdog = watchdog();
    let socket = UdpSocket::bind("127.0.0.1:0").await?;
    let addr = socket.local_addr()?;
    let server = tokio::spawn(Server { socket, buf: vec![0; 1024], to_send: None }.run());
    let client = UdpSocket::bind("127.0.0.1:0").await?;
    client.connect(addr).await?;
    for n in 0..10 {
        client.send(&[n; 100]).await?;
        let mut back = [0; 200];
        let count = client.recv(&mut back).await?;
        assert_eq!(back[..count], [n; 100]);
    }
    server.abort();
    Ok(())
}

/// Uses a listener that is made from a socket, and an in-memory stream.
#[tokio::test]
async fn sockets_by_hand_and_a_duplex() -> Result<(), Box<dyn Error>> {
    let _watchdog = watchdog();
    let socket = TcpSocket::new_v4()?;
    socket.set_reuseaddr(true)?;
    socket.bind("127.0.0.1:0".parse()?)?;
    let listener = socket.listen(1024)?;
    let client = TcpSocket::new_v4()?.connect(listener.local_addr()?).await?;
    let (server, peer) = listener.accept().await?;
    assert_eq!((server.peer_addr()?, peer), (client.local_addr()?, client.local_addr()?));
    let (mut one, mut other) = io::duplex(64);
    one.write_all(b"ping").await?;
    let mut buf = [0; 4];
    other.read_exact(&mut buf).await?;
    assert_eq!(&buf, b"ping");
    Ok(())
}

/// A connection that reads and writes frames, as in tokio's tutorial.
struct Connection {
    stream: BufWriter<TcpStream>,
    buffer: BytesMut,
}

impl Connection {
    fn new(socket: TcpStream) -> Connection {
        Connection { stream: BufWriter::new(socket), buffer: BytesMut::with_capacity(4096) }
    }

    async fn read_frame(&mut self) -> io::Result<Option<BytesMut>> {
        loop {
            if let Some(length) = self.buffer.first().copied().map(usize::from)
                && self.buffer.len() > length
            {
                self.buffer.advance(1);
                return Ok(Some(self.buffer.split_to(length)));
            }
            if 0 == self.stream.read_buf(&mut self.buffer).await? {
                let is_clean = self.buffer.is_empty();
                return if is_clean { Ok(None) } else { Err(io::ErrorKind::ConnectionReset.into()) };
            }
        }
    }

    async fn write_frame(&mut self, frame: &[u8]) -> io::Result<()> {
        self.stream.write_u8(frame.len() as u8).await?;
        self.stream.write_all(frame).await?;
        self.stream.flush().await
    }
}

#[tokio::test]
async fn frames_of_the_tutorial() -> io::Result<()> {
    let _watchdog = watchdog();
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let mut client = Connection::new(TcpStream::connect(listener.local_addr()?).await?);
    let mut server = Connection::new(listener.accept().await?.0);
    let echo = tokio::spawn(async move {
        while let Some(frame) = server.read_frame().await? {
            server.write_frame(&frame).await?;
        }
        server.stream.shutdown().await
    });
    for frame in [&b"SET hello world"[..], b"", b"GET hello"] {
        client.write_frame(frame).await?;
        assert_eq!(client.read_frame().await?.as_deref(), Some(frame));
    }
    client.stream.write_u32_le(0xAA_BB_CC_03).await?;
    client.stream.shutdown().await?;
    assert_eq!(client.read_frame().await?.as_deref(), Some(&[0xCC, 0xBB, 0xAA][..]));
    assert_eq!(client.read_frame().await?, None);
    echo.await?
}

/// The members of the chat, and the writing half of each.
type Peers = Rc<RefCell<HashMap<SocketAddr, Rc<tokio::net::tcp::OwnedWriteHalf>>>>;

/// Serves one member of a chat. The tasks share the list without a lock.
async fn chat(peers: Peers, stream: TcpStream, addr: SocketAddr) -> io::Result<()> {
    let (reader, writer) = stream.into_split();
    peers.borrow_mut().insert(addr, Rc::new(writer));
    let mut lines = BufReader::new(reader).lines();
    while let Some(line) = lines.next_line().await? {
        let line = format!("{line}\n");
        let others: Vec<_> = peers
            .borrow()
            .iter()
            .filter(|(other, _)| **other != addr)
            .map(|(_, writer)| writer.clone())
            .collect();
        for writer in others {
            writer.writable().await?;
            assert_eq!(writer.try_write(line.as_bytes())?, line.len());
        }
    }
    peers.borrow_mut().remove(&addr);
    Ok(())
}

#[test]
fn a_chat_in_a_local_set() -> Result<(), Box<dyn Error>> {
    let _watchdog = watchdog();
    let rt = Builder::new_current_thread().enable_all().build()?;
    let local = LocalSet::new();
    let said = local.block_on(&rt, async {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let addr = listener.local_addr()?;
        let peers = Peers::default();
        let list = peers.clone();
        task::spawn_local(async move {
            while let Ok((stream, addr)) = listener.accept().await {
                task::spawn_local(chat(list.clone(), stream, addr));
            }
        });
        let mut alice = TcpStream::connect(addr).await?;
        let bob = TcpStream::connect(addr).await?;
        while peers.borrow().len() < 2 {
            task::yield_now().await;
        }
        alice.write_all(b"hello, bob\nbye\n").await?;
        let mut lines = BufReader::new(bob).lines();
        let mut said = Vec::new();
        while said.len() < 2 {
            said.extend(lines.next_line().await?);
        }
        io::Result::Ok(said)
    })?;
    assert_eq!(said, ["hello, bob", "bye"]);
    Ok(())
}

#[test]
fn a_local_runtime_and_threads_around_it() -> Result<(), Box<dyn Error>> {
    let _watchdog = watchdog();
    let rt = Builder::new_current_thread()
        .enable_io()
        .enable_time()
        .thread_name("blocking")
        .on_thread_start(|| ())
        .max_blocking_threads(4)
        .build_local(LocalOptions::default())?;
    let rc = Rc::new(3);
    let local = rt.spawn_local(async move { *rc });
    let handle: Handle = rt.handle().clone();
    let (done, wait) = std::sync::mpsc::channel();
    let other = std::thread::spawn(move || {
        let task = handle.spawn(async { time::sleep(Duration::from_millis(1)).await });
        let sum = handle.spawn_blocking(|| 1 + 1);
        // On another thread, the runtime of that thread waits for the handle.
        let rt = Runtime::new().unwrap();
        rt.block_on(async { task.await.unwrap() });
        done.send(rt.block_on(sum).unwrap()).unwrap();
    });
    rt.block_on(async {
        assert_eq!(local.await.unwrap(), 3);
        assert!(Handle::try_current().is_ok());
        while !other.is_finished() {
            time::sleep(Duration::from_millis(1)).await;
        }
    });
    assert_eq!(wait.recv()?, 2);
    other.join().unwrap();
    assert_eq!(rt.metrics().num_alive_tasks(), 0);
    rt.shutdown_timeout(Duration::from_secs(1));
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn timers() {
    let _watchdog = watchdog();
    let start = Instant::now();
    let mut interval = time::interval(Duration::from_millis(100));
    interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
    for n in 0..5 {
        assert_eq!(interval.tick().await, start + n * Duration::from_millis(100));
    }
    let late = time::timeout(Duration::from_secs(1), std::future::pending::<()>()).await;
    let _: time::error::Elapsed = late.unwrap_err();
    let mut sleep = Box::pin(time::sleep(Duration::from_secs(5)));
    sleep.as_mut().reset(Instant::now() + Duration::from_secs(1));
    sleep.await;
    time::sleep_until(start + Duration::from_secs(60)).await;
    assert_eq!(start.elapsed(), Duration::from_secs(60));
    time::advance(Duration::from_secs(1)).await;
    assert_eq!(start.elapsed(), Duration::from_secs(61));
    let quick = time::timeout_at(Instant::now() + Duration::from_secs(1), async { 7 }).await;
    assert_eq!(quick, Ok(7));
}

#[tokio::test]
async fn tasks_that_fail_are_aborted_or_block() {
    let _watchdog = watchdog();
    let error = tokio::spawn(async { panic!("oh") }).await.unwrap_err();
    assert!(error.is_panic());
    let task = tokio::spawn(std::future::pending::<()>());
    let abort = task.abort_handle();
    abort.abort();
    assert!(task.await.unwrap_err().is_cancelled() && abort.is_finished());
    let shared = Arc::new(5);
    let blocking = shared.clone();
    assert_eq!(task::spawn_blocking(move || *blocking).await.unwrap(), 5);
    task::unconstrained(task::consume_budget()).await;
    task::coop::cooperative(async {}).await;
}

/// A descriptor of the user's, as in the documentation of `AsyncFd`.
struct AsyncUnixStream {
    inner: AsyncFd<std::os::unix::net::UnixStream>,
}

impl AsyncUnixStream {
    fn new(stream: std::os::unix::net::UnixStream) -> io::Result<Self> {
        stream.set_nonblocking(true)?;
        Ok(Self { inner: AsyncFd::new(stream)? })
    }

    async fn read(&self, out: &mut [u8]) -> io::Result<usize> {
        loop {
            let mut guard = self.inner.readable().await?;
            match guard.try_io(|inner| std::io::Read::read(&mut inner.get_ref(), out)) {
                Ok(result) => return result,
                Err(_would_block) => continue,
            }
        }
    }

    async fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        loop {
            let mut guard = self.inner.writable_mut().await?;
            match guard.try_io(|inner| std::io::Write::write(inner.get_mut(), buf)) {
                Ok(result) => return result,
                Err(_would_block) => continue,
            }
        }
    }

    fn poll_read(&self, cx: &mut Context<'_>, out: &mut [u8]) -> Poll<io::Result<usize>> {
        loop {
            let mut guard = ready!(self.inner.poll_read_ready(cx))?;
            match guard.try_io(|inner| std::io::Read::read(&mut inner.get_ref(), out)) {
                Ok(result) => return Poll::Ready(result),
                Err(_would_block) => continue,
            }
        }
    }
}

#[tokio::test]
async fn a_descriptor_of_ones_own() -> io::Result<()> {
    let _watchdog = watchdog();
    let (a, b) = std::os::unix::net::UnixStream::pair()?;
    let (mut a, b) = (AsyncUnixStream::new(a)?, AsyncUnixStream::new(b)?);
    let mut buf = [0; 16];
    assert_eq!(a.write(b"hello").await?, 5);
    assert_eq!(b.read(&mut buf).await?, 5);
    a.write(b"again").await?;
    assert_eq!(std::future::poll_fn(|cx| b.poll_read(cx, &mut buf)).await?, 5);
    let empty = b.inner.try_io(Interest::READABLE, |mut inner| std::io::Read::read(&mut inner, &mut buf));
    assert_eq!(empty.unwrap_err().kind(), io::ErrorKind::WouldBlock);
    Ok(())
}

/// A worker that a timer interrupts, as the tutorial of tokio shows it, and the macros that wait for several futures.
#[tokio::test(start_paused = true)]
async fn a_worker_beside_a_timer() {
    async fn step(n: u32) -> Result<u32, &'static str> {
        time::sleep(Duration::from_millis(10)).await;
        if n < 100 { Ok(n + 1) } else { Err("too far") }
    }

    let limit = time::sleep(Duration::from_millis(55));
    tokio::pin!(limit);
    let mut steps = 0;
    loop {
        tokio::select! {
            biased;
            _ = &mut limit => break,
            Ok(n) = step(steps) => steps = n,
            else => unreachable!("the steps do not fail"),
        }
    }
    assert_eq!(steps, 5);
    assert_eq!(tokio::join!(step(1), step(2)), (Ok(2), Ok(3)));
    assert_eq!(tokio::try_join!(step(1), step(100)), Err("too far"));
}
