//! Copies: what they promise of ends, errors and budgets; and what they hold while nothing comes.

#![expect(unsafe_code, reason = "a signal is given back its default action")]

mod net_support;

#[path = "common/heap.rs"]
#[allow(dead_code, reason = "a part of it is used")]
mod heap;

use futures_lite::future::{try_zip, zip};
use net_support::{in_child, in_child_under, open_descriptors, pair, run, until};
use runtime::io::{
    AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufReader, BufWriter, Cursor, copy,
    copy_bidirectional, copy_bidirectional_with_sizes, copy_buf, duplex, join, send_file,
};
use runtime::net::unix::pipe;
use runtime::net::{TcpListener, TcpStream, UnixStream};
use runtime::spawn;
use runtime::task::yield_now;
use std::cell::{Cell, RefCell};
use std::io::{self, ErrorKind};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

#[global_allocator]
static HEAP: heap::Counting = heap::Counting;

const MIB: usize = 1 << 20;

/// Bytes that show when one is missing or in the wrong place. Doubled, since one by one they take
/// longer than all that is done with them.
fn pattern(length: usize) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(length);
    bytes.extend((0..251).take(length));
    while bytes.len() < length {
        bytes.extend_from_within(..bytes.len().min(length - bytes.len()));
    }
    bytes
}

/// Hides a socket's name, so that bytes go through a buffer.
struct Plain(TcpStream);

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

/// A client, a server, and a proxy between them.
async fn proxied<S: AsyncRead + AsyncWrite + Unpin + 'static>(
    wrap: fn(TcpStream) -> S,
) -> io::Result<(TcpStream, TcpStream, runtime::task::JoinHandle<io::Result<(u64, u64)>>)> {
    let (client, near) = pair().await?;
    let (far, server) = pair().await?;
    let (mut near, mut far) = (wrap(near), wrap(far));
    let proxy = spawn(async move { copy_bidirectional(&mut near, &mut far).await });
    Ok((client, server, proxy))
}

async fn send(to: &mut TcpStream, data: &[u8]) -> io::Result<()> {
    to.write_all(data).await?;
    to.close().await
}

async fn receive(from: &mut TcpStream) -> io::Result<Vec<u8>> {
    let mut data = Vec::new();
    from.read_to_end(&mut data).await?;
    Ok(data)
}

async fn both_ways_at_once<S: AsyncRead + AsyncWrite + Unpin + 'static>(wrap: fn(TcpStream) -> S) {
    let there = pattern(6 * MIB);
    let back: Vec<u8> = there.iter().rev().copied().take(4 * MIB + 77).collect();
    let (client, server, proxy) = proxied(wrap).await.unwrap();
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

#[test]
fn much_goes_both_ways_at_once() {
    run(both_ways_at_once(|socket| socket));
}

#[test]
fn much_goes_both_ways_at_once_by_buffers() {
    run(both_ways_at_once(Plain));
}

#[test]
fn much_goes_through_unix_sockets_and_pipes() {
    run(async {
        let data = pattern(6 * MIB);
        // From a Unix socket to a pipe, to TCP, to a pipe, to a Unix socket.
        let (mut start, first) = UnixStream::pair()?;
        let (second, mut into_second) = pipe::pipe().map(|(sender, receiver)| (receiver, sender))?;
        let (mut third, fourth) = pair().await?;
        let (fifth, mut into_fifth) = pipe::pipe().map(|(sender, receiver)| (receiver, sender))?;
        let (mut last, mut end) = UnixStream::pair()?;
        let copies = [
            spawn(async move { copy(first, &mut into_second).await }),
            spawn(async move { copy(second, &mut third).await }),
            spawn(async move { copy(fourth, &mut into_fifth).await }),
            spawn(async move { copy(fifth, &mut last).await }),
        ];
        let sending = async {
            start.write_all(&data).await?;
            start.close().await
        };
        let mut got = Vec::new();
        try_zip(sending, end.read_to_end(&mut got)).await?;
        assert!(got == data);
        for copy in copies {
            assert_eq!(copy.await.unwrap()?, data.len() as u64);
        }
        io::Result::Ok(())
    })
    .unwrap();
}

#[test]
fn the_end_of_one_side_closes_the_other_for_writing_alone() {
    async fn check<S: AsyncRead + AsyncWrite + Unpin + 'static>(wrap: fn(TcpStream) -> S) {
        for length in [0, 1, 16 * 1024, MIB] {
            let data = pattern(length);
            let (mut client, mut server, proxy) = proxied(wrap).await.unwrap();
            let (_, question) = try_zip(send(&mut client, &data), receive(&mut server)).await.unwrap();
            assert!(question == data);
            let (_, answer) = try_zip(send(&mut server, &data), receive(&mut client)).await.unwrap();
            assert!(answer == data);
            assert_eq!(proxy.await.unwrap().unwrap(), (length as u64, length as u64));
        }
    }
    run(check(|socket| socket));
    run(check(Plain));
}

#[test]
fn small_and_large_pieces_take_turns() {
    run(async {
        let (mut client, mut server, proxy) = proxied(|socket| socket).await?;
        let mut total = 0;
        for length in [1, 100, 16 * 1024, 1, 2 * MIB, 3, 16 * 1024 - 1, 300 * 1024, 1, MIB, MIB, 5] {
            let data = pattern(length);
            let mut there = vec![0; length];
            try_zip(client.write_all(&data), server.read_exact(&mut there)).await?;
            assert!(there == data, "{length} there");
            let mut back = vec![0; length];
            try_zip(server.write_all(&there), client.read_exact(&mut back)).await?;
            assert!(back == data, "{length} back");
            total += length as u64;
        }
        drop((client, server));
        assert_eq!(proxy.await.unwrap()?, (total, total));
        io::Result::Ok(())
    })
    .unwrap();
}

#[test]
fn a_slow_reader_holds_up_a_bulk_and_then_gets_it_whole() {
    run(async {
        let data = pattern(12 * MIB);
        let (mut client, mut server, proxy) = proxied(|socket| socket).await?;
        let sending = async { send(&mut client, &data).await };
        let receiving = async {
            let (mut got, mut some) = (Vec::new(), vec![0; 4096]);
            // While little is read, all that lies between fills up.
            while got.len() < MIB {
                let count = server.read(&mut some).await?;
                got.extend(&some[..count]);
                for _ in 0..8 {
                    yield_now().await;
                }
            }
            server.read_to_end(&mut got).await?;
            io::Result::Ok(got)
        };
        let (_, got) = try_zip(sending, receiving).await?;
        assert!(got == data);
        drop((client, server));
        assert_eq!(proxy.await.unwrap()?, (data.len() as u64, 0));
        io::Result::Ok(())
    })
    .unwrap();
}

#[test]
fn an_error_of_either_side_ends_both() {
    run(async {
        for wrap_plain in [false, true] {
            for at_client in [false, true] {
                let (client, near) = pair().await?;
                let (far, server) = pair().await?;
                let proxy = spawn(async move {
                    match wrap_plain {
                        true => copy_bidirectional(&mut Plain(near), &mut Plain(far)).await,
                        false => copy_bidirectional(&mut &near, &mut &far).await,
                    }
                });
                let (mut gone, mut writes) = if at_client { (client, server) } else { (server, client) };
                // In the midst of a bulk.
                let data = pattern(32 * MIB);
                let writing = spawn(async move { writes.write_all(&data).await });
                let mut some = vec![0; 100_000];
                gone.read_exact(&mut some).await?;
                // Unread bytes make a reset of it.
                drop(gone);
                let error = proxy.await.unwrap().unwrap_err();
                assert!(
                    matches!(error.kind(), ErrorKind::ConnectionReset | ErrorKind::BrokenPipe),
                    "{error}"
                );
                assert!(writing.await.unwrap().is_err());
            }
        }
        io::Result::Ok(())
    })
    .unwrap();
}

#[test]
fn a_peer_that_is_gone_raises_no_signal() {
    in_child("a_peer_that_is_gone_raises_no_signal", || {
        // SAFETY: the default action is no function of ours.
        unsafe { libc::signal(libc::SIGPIPE, libc::SIG_DFL) };
        an_error_of_either_side_ends_both();
        // And in the midst of a bulk, without a reset, which comes before a broken pipe.
        run(async {
            let (client, near) = pair().await?;
            let (far, _server) = pair().await?;
            let far = Rc::new(far);
            let copying = spawn({
                let far = far.clone();
                async move { copy(&near, &*far).await }
            });
            fill(&client).await;
            far.shutdown_std(std::net::Shutdown::Write)?;
            assert_eq!(copying.await.unwrap().unwrap_err().kind(), ErrorKind::BrokenPipe);
            io::Result::Ok(())
        })
        .unwrap();
    });
}

#[test]
fn nothing_is_lost_between_a_buffer_and_a_pipe() {
    // Before an urgent mark splice(2) says that there is nothing, and once the peer has closed, that
    // this is the end: a read has to pass it.
    run(async {
        let (client, near) = pair().await?;
        let (far, mut server) = pair().await?;
        let proxy = spawn(async move { copy(&near, &far).await });
        let data = pattern(MIB);
        let sending = async {
            let mut client = client;
            client.write_all(&data).await?;
            // The urgent byte itself is not part of the stream.
            until(|| socket2::SockRef::from(&client).send_out_of_band(b"!").is_ok()).await;
            client.write_all(&data).await?;
            client.close().await
        };
        let mut got = vec![0; 2 * MIB];
        try_zip(sending, server.read_exact(&mut got)).await?;
        assert!(got[..MIB] == data && got[MIB..] == data);
        assert_eq!(proxy.await.unwrap()?, 2 * MIB as u64);
        io::Result::Ok(())
    })
    .unwrap();
}

/// Reads or writes that are always ready, and count.
#[derive(Clone, Default)]
struct Endless(Rc<Cell<usize>>);

impl AsyncRead for Endless {
    fn poll_read(self: Pin<&mut Self>, _: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<usize>> {
        self.0.set(self.0.get() + 1);
        Poll::Ready(Ok(buffer.len()))
    }
}

impl AsyncWrite for Endless {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, buffer: &[u8]) -> Poll<io::Result<usize>> {
        Poll::Ready(Ok(buffer.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_close(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

#[test]
fn a_copy_that_never_has_to_wait_lets_others_have_their_turn() {
    run(async {
        let reads = Endless::default();
        let copies = [
            spawn({
                let (mut reader, mut writer) = (reads.clone(), Endless::default());
                async move { copy(&mut reader, &mut writer).await }
            }),
            spawn({
                let (reader, mut writer) = (BufReader::new(reads.clone()), Endless::default());
                async move { copy_buf(&mut { reader }, &mut writer).await }
            }),
        ];
        for turn in 1..10 {
            yield_now().await;
            assert!(reads.0.get() <= turn * 400, "{} reads in {turn} turns", reads.0.get());
        }
        for copy in copies {
            copy.abort();
        }
    });
}

#[test]
fn what_a_writer_holds_back_is_flushed_while_nothing_comes() {
    run(async {
        let (mut source, mut reader) = duplex(64);
        let (writer, mut sink) = duplex(64);
        let copying = spawn(async move { copy(&mut reader, &mut BufWriter::new(writer)).await });
        let mut word = [0; 4];
        for _ in 0..3 {
            source.write_all(b"word").await?;
            sink.read_exact(&mut word).await?;
            assert_eq!(&word, b"word");
        }
        drop(source);
        assert_eq!(copying.await.unwrap()?, 12);
        assert_eq!(sink.read(&mut word).await?, 0);

        let (mut source, reader) = duplex(64);
        let (writer, mut sink) = duplex(64);
        let copying =
            spawn(async move { copy_buf(&mut BufReader::new(reader), &mut BufWriter::new(writer)).await });
        source.write_all(b"word").await?;
        sink.read_exact(&mut word).await?;
        drop(source);
        assert_eq!(copying.await.unwrap()?, 4);
        io::Result::Ok(())
    })
    .unwrap();
}

/// A connection that takes nothing before so many pieces have been read from it, as with the windows of HTTP/2
/// or a handshake of TLS. Clones are the same connection.
#[derive(Clone)]
struct Granting(Rc<RefCell<Grant>>);

struct Grant {
    pieces: Vec<io::Result<&'static [u8]>>,
    /// Pieces that have yet to be read before it can be written to.
    missing: usize,
    /// Calls of `poll_read`. Every third is pending.
    reads: usize,
    writer: Option<Waker>,
    written: Vec<u8>,
}

impl Granting {
    /// The pieces come in their order; behind them is the end.
    fn new<const N: usize>(missing: usize, mut pieces: [io::Result<&'static [u8]>; N]) -> Granting {
        pieces.reverse();
        let pieces = pieces.into();
        Granting(Rc::new(RefCell::new(Grant {
            pieces,
            missing,
            reads: 0,
            writer: None,
            written: Vec::new(),
        })))
    }

    fn written(&self) -> Vec<u8> {
        self.0.borrow().written.clone()
    }
}

impl AsyncRead for Granting {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<usize>> {
        let mut grant = self.0.borrow_mut();
        grant.reads += 1;
        if grant.reads.is_multiple_of(3) {
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        let Some(piece) = grant.pieces.pop() else { return Poll::Ready(Ok(0)) };
        grant.missing = grant.missing.saturating_sub(1);
        if grant.missing == 0
            && let Some(writer) = grant.writer.take()
        {
            writer.wake();
        }
        let piece = piece?;
        buffer[..piece.len()].copy_from_slice(piece);
        Poll::Ready(Ok(piece.len()))
    }
}

impl AsyncWrite for Granting {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &[u8]) -> Poll<io::Result<usize>> {
        let mut grant = self.0.borrow_mut();
        if grant.missing > 0 {
            grant.writer = Some(cx.waker().clone());
            return Poll::Pending;
        }
        grant.written.extend(buffer);
        Poll::Ready(Ok(buffer.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_close(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

/// The output of what needs nothing from outside, so that it is there soon or never.
async fn soon<T: 'static>(future: impl Future<Output = T> + 'static) -> T {
    let task = spawn(future);
    for _ in 0..100 {
        if task.is_finished() {
            return task.await.unwrap();
        }
        yield_now().await;
    }
    panic!("it waits for ever");
}

#[test]
fn a_copy_reads_on_while_its_writer_waits_for_what_is_read() {
    run(async {
        let echo = Granting::new(4, [Ok(b"one "), Ok(b"two "), Ok(b"three "), Ok(b"four")]);
        let copied = soon(copy(echo.clone(), echo.clone())).await;
        assert_eq!((copied.unwrap(), echo.written()), (18, b"one two three four".to_vec()));

        let a = Granting::new(3, [Ok(b"a"), Ok(b"b"), Ok(b"c"), Ok(b"d")]);
        let b = Granting::new(2, [Ok(b"1"), Ok(b"2"), Ok(b"3")]);
        let (mut near, mut far) = (a.clone(), b.clone());
        let copied = soon(async move { copy_bidirectional(&mut near, &mut far).await }).await;
        assert_eq!(copied.unwrap(), (4, 3));
        assert_eq!((a.written(), b.written()), (b"123".to_vec(), b"abcd".to_vec()));
    });
}

#[test]
fn a_copy_reads_no_more_than_its_buffer_holds() {
    run(async {
        let (source, sink) = (Endless::default(), Granting::new(usize::MAX, []));
        let mut near = join(source.clone(), runtime::io::sink());
        let mut far = join(runtime::io::empty(), sink.clone());
        let copying =
            spawn(async move { copy_bidirectional_with_sizes(&mut near, &mut far, 100, 100).await });
        for _ in 0..100 {
            yield_now().await;
        }
        // It has filled the buffer at once.
        assert_eq!(source.0.get(), 1);
        copying.abort();
    });
}

#[test]
fn what_was_read_while_the_writer_waited_arrives_before_the_end_and_before_an_error() {
    run(async {
        let echo = Granting::new(2, [Ok(b"one "), Ok(b"two")]);
        assert_eq!(soon(copy(echo.clone(), echo.clone())).await.unwrap(), 7);
        assert_eq!(echo.written(), b"one two");

        let echo = Granting::new(3, [Ok(b"one "), Ok(b"two"), Err(ErrorKind::ConnectionReset.into())]);
        let error = soon(copy(echo.clone(), echo.clone())).await.unwrap_err();
        assert_eq!((error.kind(), echo.written()), (ErrorKind::ConnectionReset, b"one two".to_vec()));
    });
}

#[test]
fn a_writer_that_takes_nothing_is_an_error() {
    run(async {
        let mut room = [0; 10];
        let error = copy(&mut &[7; 30][..], &mut Cursor::new(&mut room[..])).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::WriteZero);
        assert_eq!(room, [7; 10]);
        let error = copy_buf(&mut &[7; 30][..], &mut Cursor::new(&mut room[..])).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::WriteZero);
    });
}

#[test]
fn sizes_are_kept_to_and_none_is_too_small() {
    run(async {
        for sizes in [(0, 0), (1, 100_000), (100_000, 1)] {
            let (mut client, mut near) = duplex(10);
            let (mut far, mut server) = duplex(10);
            let proxy =
                spawn(
                    async move { copy_bidirectional_with_sizes(&mut near, &mut far, sizes.0, sizes.1).await },
                );
            let (there, back) = (pattern(3000), pattern(2000));
            let asking = async {
                client.write_all(&there).await?;
                client.close().await?;
                let mut got = Vec::new();
                client.read_to_end(&mut got).await?;
                io::Result::Ok(got)
            };
            let answering = async {
                let mut got = Vec::new();
                server.read_to_end(&mut got).await?;
                server.write_all(&back).await?;
                server.close().await?;
                io::Result::Ok(got)
            };
            let (at_client, at_server) = try_zip(asking, answering).await?;
            assert!(at_client == back && at_server == there, "{sizes:?}");
            assert_eq!(proxy.await.unwrap()?, (3000, 2000));
        }
        io::Result::Ok(())
    })
    .unwrap();
}

#[test]
fn copies_of_sockets_go_to_other_threads() {
    fn send<T: Send>(_: T) {}
    fn check(a: &mut TcpStream, b: &mut TcpStream) {
        send(copy_bidirectional(a, b));
        send(copy(a, b));
    }
    let _: fn(&mut TcpStream, &mut TcpStream) = check;
}

/// Writes until everything is full, also a pipe on the way.
async fn fill(client: &TcpStream) {
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

#[test]
fn a_copy_that_is_cancelled_gives_everything_back() {
    in_child("a_copy_that_is_cancelled_gives_everything_back", || {
        let mut before = None;
        for round in 0..3 {
            run(async {
                for _ in 0..20 {
                    let (client, near) = pair().await?;
                    let (far, server) = pair().await?;
                    let proxy = spawn(async move { copy_bidirectional(&mut &near, &mut &far).await });
                    fill(&client).await;
                    proxy.abort();
                    assert!(proxy.await.unwrap_err().is_cancelled());
                    drop(server);
                }
                io::Result::Ok(())
            })
            .unwrap();
            let now = open_descriptors();
            assert_eq!(*before.get_or_insert(now), now, "round {round}");
        }
    });
}

#[test]
fn what_a_cancelled_copy_has_taken_goes_to_no_other() {
    run(async {
        let (client, near) = pair().await?;
        let (far, mut server) = pair().await?;
        let cancelled = spawn(async move { copy(&near, &far).await });
        fill(&client).await;
        // The pipe has some room again: one that is full would be passed by.
        server.read_exact(&mut vec![0; 3 * MIB]).await?;
        for _ in 0..50 {
            yield_now().await;
        }
        cancelled.abort();
        assert!(cancelled.await.unwrap_err().is_cancelled());
        // By whatever the first has left with the loop.
        let (mut client, near) = pair().await?;
        let (far, mut server) = pair().await?;
        let copying = spawn(async move { copy(&near, &far).await });
        let data: Vec<u8> = pattern(4 * MIB).into_iter().rev().collect();
        let mut got = vec![0; data.len()];
        try_zip(client.write_all(&data), server.read_exact(&mut got)).await?;
        assert!(got == data);
        drop(client);
        assert_eq!(copying.await.unwrap()?, data.len() as u64);
        io::Result::Ok(())
    })
    .unwrap();
}

/// A file of its own, that goes with the process.
fn file_of(data: &[u8]) -> std::fs::File {
    static NEXT: std::sync::atomic::AtomicUsize = std::sync::atomic::AtomicUsize::new(0);
    let number = NEXT.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
    let path = std::env::temp_dir().join(format!("runtime-io-copy-{}-{number}", std::process::id()));
    let mut options = std::fs::File::options();
    let mut file = options.read(true).write(true).create(true).truncate(true).open(&path).unwrap();
    std::fs::remove_file(path).unwrap();
    io::Write::write_all(&mut file, data).unwrap();
    file
}

async fn a_file_is_sent<S: AsyncWrite + Unpin>(wrap: fn(TcpStream) -> S) {
    let data = pattern(5 * MIB + 3);
    let file = file_of(&data);
    let length = data.len() as u64;
    // All, a part, more than there is, nothing, and behind its end.
    for (offset, count, sent) in [
        (0, length, length),
        (1000, 3 * MIB as u64, 3 * MIB as u64),
        (MIB as u64, u64::MAX, length - MIB as u64),
        (77, 0, 0),
        (length + 5, 10, 0),
    ] {
        let (ours, mut peer) = pair().await.unwrap();
        let sending = async {
            let mut ours = wrap(ours);
            let count = send_file(&file, offset, count, &mut ours).await?;
            ours.close().await?;
            Ok(count)
        };
        let (count, got) = try_zip(sending, receive(&mut peer)).await.unwrap();
        assert_eq!(count, sent, "from {offset}");
        let from = offset.min(length) as usize;
        assert!(got == data[from..from + sent as usize], "from {offset}");
    }
    assert_eq!(io::Seek::stream_position(&mut &file).unwrap(), length, "it is left where it was");
}

#[test]
fn a_file_is_sent_by_the_kernel() {
    run(a_file_is_sent(|socket| socket));
}

#[test]
fn a_file_is_sent_by_a_buffer() {
    run(a_file_is_sent(Plain));
}

#[test]
#[cfg_attr(not(target_os = "linux"), ignore = "there is no sendfile")]
fn a_file_is_sent_where_the_kernel_refuses() {
    const NAME: &str = "a_file_is_sent_where_the_kernel_refuses";
    for (case, errno) in [("at once", "EINVAL"), ("EPERM", "EPERM"), ("late", "ENOSYS:when=2+")] {
        let inject = format!("inject=sendfile:error={errno}");
        in_child_under(NAME, case, &["-e", "trace=sendfile", "-e", &inject], || {
            run(a_file_is_sent(|socket| socket));
        });
    }
}

#[test]
#[cfg_attr(not(target_os = "linux"), ignore = "there is no sendfile")]
fn a_file_is_sent_though_there_is_no_descriptor_to_spare() {
    const NAME: &str = "a_file_is_sent_though_there_is_no_descriptor_to_spare";
    in_child_under(NAME, "EMFILE", &["-e", "trace=fcntl", "-e", "inject=fcntl:error=EMFILE"], || {
        run(a_file_is_sent(|socket| socket));
    });
}

#[test]
#[cfg_attr(not(target_os = "linux"), ignore = "there is no sendfile")]
fn it_is_the_kernel_that_moves_and_sends() {
    const NAME: &str = "it_is_the_kernel_that_moves_and_sends";
    in_child_under(
        NAME,
        "splice",
        &["-e", "trace=splice", "-e", "inject=splice:error=ENOMEM:when=3"],
        || {
            run(async {
                let (mut client, mut server, proxy) = proxied(|socket| socket).await.unwrap();
                let data = pattern(4 * MIB);
                let _ = try_zip(send(&mut client, &data), receive(&mut server)).await;
                assert_eq!(proxy.await.unwrap().unwrap_err().raw_os_error(), Some(libc::ENOMEM));
            });
        },
    );
    in_child_under(NAME, "sendfile", &["-e", "trace=sendfile", "-e", "inject=sendfile:error=EIO"], || {
        run(async {
            let (mut ours, _peer) = pair().await.unwrap();
            let error = send_file(&file_of(b"text"), 0, 4, &mut ours).await.unwrap_err();
            assert_eq!(error.raw_os_error(), Some(libc::EIO));
        });
    });
}

#[test]
fn what_is_no_file_is_not_sent_of() {
    run(async {
        let (reader, _writer) = io::pipe().unwrap();
        let file = std::fs::File::from(std::os::fd::OwnedFd::from(reader));
        let (mut ours, peer) = pair().await.unwrap();
        assert_eq!(send_file(&file, 0, 10, &mut ours).await.unwrap_err().kind(), ErrorKind::NotSeekable);
        let file = file_of(&pattern(32 * MIB));
        drop(peer);
        let error = send_file(&file, 0, u64::MAX, &mut ours).await.unwrap_err();
        assert!(matches!(error.kind(), ErrorKind::ConnectionReset | ErrorKind::BrokenPipe), "{error}");
    });
}

/// How many descriptors are ends of pipes.
fn pipes() -> usize {
    let links =
        std::fs::read_dir("/proc/self/fd").unwrap().filter_map(|entry| entry.ok()?.path().read_link().ok());
    links.filter(|target| target.to_string_lossy().starts_with("pipe:")).count()
}

#[test]
#[cfg_attr(not(target_os = "linux"), ignore = "asks /proc")]
fn idle_proxied_connections_hold_no_buffers_and_no_pipes() {
    const NAME: &str = "idle_proxied_connections_hold_no_buffers_and_no_pipes";
    in_child(NAME, || {
        // Each takes four descriptors here: select(2) can tell 1,024, and poll(2) looks at all each time.
        let many = match std::env::var("RUNTIME_SELECTOR").as_deref() {
            Ok("select" | "poll") => 200,
            _ => limit_of_descriptors().saturating_sub(100).min(20_000) / 4,
        };
        let pipes_before = pipes();
        run(async {
            let mut ends = Vec::with_capacity(many);
            let mut idle = Vec::with_capacity(many);
            let listener = TcpListener::bind("127.0.0.1:0").await?;
            let pair = async || {
                let client = TcpStream::connect(listener.local_addr()?).await?;
                io::Result::Ok((client, listener.accept().await?.0))
            };
            for _ in 0..many {
                let (client, near) = pair().await?;
                let (far, server) = pair().await?;
                ends.push((client, server));
                idle.push((near, far));
            }
            let before = heap::live_bytes();
            let size = size_of_val(&copy_bidirectional(&mut &idle[0].0, &mut &idle[0].1));
            for (near, far) in idle {
                drop(spawn(async move { copy_bidirectional(&mut { near }, &mut { far }).await }));
            }
            // Each has been used, so that whatever it needs has been taken once; some for a bulk.
            let bulk = pattern(MIB);
            let mut buffer = vec![0; MIB];
            for (n, (client, server)) in ends.iter_mut().enumerate() {
                let length = if n % 50 == 0 { MIB } else { 100 };
                zip(client.write_all(&bulk[..length]), server.read_exact(&mut buffer[..length])).await.1?;
                assert!(buffer[..length] == bulk[..length]);
            }
            drop((bulk, buffer));
            let taken = (heap::live_bytes() - before) as usize / many;
            eprintln!("{many} connections, each {taken} bytes of heap; the future {size} bytes");
            assert!(taken < 1000, "{taken} bytes of heap for each idle connection");
            assert!(pipes() - pipes_before <= 2 * 8, "{} ends of pipes", pipes() - pipes_before);
            io::Result::Ok(())
        })
        .unwrap();
        assert_eq!(pipes(), pipes_before, "the runtime has given back what it lent");
    });
}

#[test]
#[cfg_attr(not(target_os = "linux"), ignore = "asks /proc")]
fn many_slow_readers_do_not_take_a_pipe_each() {
    in_child("many_slow_readers_do_not_take_a_pipe_each", || {
        run(async {
            const MANY: usize = 80;
            let before = pipes();
            let data = Rc::new(pattern(8 * MIB));
            let mut slow = Vec::new();
            let mut senders = Vec::new();
            for _ in 0..MANY {
                let (client, server, _proxy) = proxied(|socket| socket).await?;
                let data = data.clone();
                senders.push(spawn(async move { send(&mut { client }, &data).await }));
                slow.push(server);
            }
            // All that lies between fills up.
            while pipes() - before < 2 * 60 {
                yield_now().await;
            }
            for _ in 0..300 {
                yield_now().await;
                assert!(pipes() - before <= 2 * 64, "{} ends of pipes", pipes() - before);
            }
            for mut server in slow {
                let mut got = vec![0; data.len()];
                server.read_exact(&mut got).await?;
                assert!(got == *data);
            }
            for sender in senders {
                sender.await.unwrap()?;
            }
            io::Result::Ok(())
        })
        .unwrap();
    });
}

fn limit_of_descriptors() -> usize {
    let limits = std::fs::read_to_string("/proc/self/limits").unwrap();
    let line = limits.lines().find(|line| line.starts_with("Max open files")).unwrap();
    line.split_whitespace().nth(3).unwrap().parse().unwrap_or(usize::MAX)
}

#[test]
#[cfg_attr(not(target_os = "linux"), ignore = "there is no splice")]
fn a_system_that_does_not_splice_reads_and_writes() {
    const NAME: &str = "a_system_that_does_not_splice_reads_and_writes";
    for (case, errno) in
        [("EINVAL", "EINVAL"), ("ENOSYS", "ENOSYS"), ("EPERM", "EPERM"), ("late", "EINVAL:when=4+")]
    {
        let inject = format!("inject=splice:error={errno}");
        in_child_under(NAME, case, &["-e", "trace=splice", "-e", &inject], || {
            run(both_ways_at_once(|socket| socket));
        });
    }
}
