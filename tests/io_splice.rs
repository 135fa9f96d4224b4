//! Copies between sockets, by splice(2) and through buffers, and files that are sent: what they promise of ends, errors
//! and counts, and what they hold while nothing comes.

#![expect(unsafe_code, reason = "a signal is given back its default action")]

mod net_support;

#[path = "common/heap.rs"]
#[allow(dead_code, reason = "a part of it is used")]
mod heap;

use futures_lite::future::{try_zip, zip};
use net_support::{in_child, in_child_under, open_descriptors, pair, run, until};
use runtime::io::{
    AsyncRead, AsyncReadExt, AsyncReadFd, AsyncWrite, AsyncWriteExt, AsyncWriteFd, copy, copy_bidirectional,
    copy_file, join, send_file, splice, splice_bidirectional, split,
};
use runtime::net::unix::pipe;
use runtime::net::{TcpListener, TcpStream, UnixStream};
use runtime::spawn;
use runtime::task::yield_now;
use std::io::{self, ErrorKind};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

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

/// A stream like any other, of TLS for instance: its bytes go through a buffer.
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

/// How a proxy moves bytes.
#[derive(Clone, Copy, Debug)]
enum Way {
    Splice,
    Copy,
}

impl Way {
    async fn both_ways(self, mut a: TcpStream, mut b: TcpStream) -> io::Result<(u64, u64)> {
        match self {
            Way::Splice => splice_bidirectional(&mut a, &mut b).await,
            Way::Copy => copy_bidirectional(&mut Plain(a), &mut Plain(b)).await,
        }
    }
}

/// A client, a server, and a proxy between them.
async fn proxied(
    way: Way,
) -> io::Result<(TcpStream, TcpStream, runtime::task::JoinHandle<io::Result<(u64, u64)>>)> {
    let (client, near) = pair().await?;
    let (far, server) = pair().await?;
    let proxy = spawn(way.both_ways(near, far));
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

async fn both_ways_at_once(way: Way) {
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

#[test]
fn much_goes_both_ways_at_once() {
    run(both_ways_at_once(Way::Splice));
}

#[test]
fn much_goes_both_ways_at_once_by_buffers() {
    run(both_ways_at_once(Way::Copy));
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
            spawn(async move { splice(first, &mut into_second).await }),
            spawn(async move { splice(second, &mut third).await }),
            spawn(async move { splice(fourth, &mut into_fifth).await }),
            spawn(async move { splice(fifth, &mut last).await }),
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
    async fn check(way: Way) {
        for length in [0, 1, 16 * 1024, MIB] {
            let data = pattern(length);
            let (mut client, mut server, proxy) = proxied(way).await.unwrap();
            let (_, question) = try_zip(send(&mut client, &data), receive(&mut server)).await.unwrap();
            assert!(question == data);
            let (_, answer) = try_zip(send(&mut server, &data), receive(&mut client)).await.unwrap();
            assert!(answer == data);
            assert_eq!(proxy.await.unwrap().unwrap(), (length as u64, length as u64));
        }
    }
    run(check(Way::Splice));
    run(check(Way::Copy));
}

#[test]
fn small_and_large_pieces_take_turns() {
    run(async {
        let (mut client, mut server, proxy) = proxied(Way::Splice).await?;
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
        let (mut client, mut server, proxy) = proxied(Way::Splice).await?;
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
        for way in [Way::Copy, Way::Splice] {
            for at_client in [false, true] {
                let (client, near) = pair().await?;
                let (far, server) = pair().await?;
                let proxy = spawn(async move {
                    match way {
                        Way::Copy => copy_bidirectional(&mut Plain(near), &mut Plain(far)).await,
                        Way::Splice => splice_bidirectional(&mut &near, &mut &far).await,
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
                async move { splice(&near, &*far).await }
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
        let proxy = spawn(async move { splice(&near, &far).await });
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

#[test]
fn copies_of_sockets_go_to_other_threads() {
    fn send<T: Send>(_: T) {}
    fn check(a: &mut TcpStream, b: &mut TcpStream) {
        send(copy_bidirectional(a, b));
        send(copy(&mut *a, &mut *b));
        send(splice_bidirectional(a, b));
        send(splice(a, b));
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
                    let proxy = spawn(async move { splice_bidirectional(&mut &near, &mut &far).await });
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
        let cancelled = spawn(async move { splice(&near, &far).await });
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
        let copying = spawn(async move { splice(&near, &far).await });
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

async fn a_file_is_sent(way: Way) {
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
            let mut ours = Plain(ours);
            let count = match way {
                Way::Splice => send_file(&file, offset, count, &mut ours.0).await?,
                Way::Copy => copy_file(&file, offset, count, &mut ours).await?,
            };
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
    run(a_file_is_sent(Way::Splice));
}

#[test]
fn a_file_is_sent_by_a_buffer() {
    run(a_file_is_sent(Way::Copy));
}

#[test]
#[cfg_attr(not(target_os = "linux"), ignore = "there is no sendfile")]
fn a_file_is_sent_where_the_kernel_refuses() {
    const NAME: &str = "a_file_is_sent_where_the_kernel_refuses";
    for (case, errno) in [("at once", "EINVAL"), ("EPERM", "EPERM"), ("late", "ENOSYS:when=2+")] {
        let inject = format!("inject=sendfile:error={errno}");
        in_child_under(NAME, case, &["-e", "trace=sendfile", "-e", &inject], || {
            run(a_file_is_sent(Way::Splice));
        });
    }
}

#[test]
#[cfg_attr(not(target_os = "linux"), ignore = "there is no sendfile")]
fn a_file_is_sent_though_there_is_no_descriptor_to_spare() {
    const NAME: &str = "a_file_is_sent_though_there_is_no_descriptor_to_spare";
    in_child_under(NAME, "EMFILE", &["-e", "trace=fcntl", "-e", "inject=fcntl:error=EMFILE"], || {
        run(a_file_is_sent(Way::Splice));
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
                let (mut client, mut server, proxy) = proxied(Way::Splice).await.unwrap();
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

/// Two streams of each kind that can be spliced: from the first to the second.
async fn of_every_kind<T>(
    mut then: impl AsyncFnMut(Box<dyn AsyncReadFd + Unpin + '_>, Box<dyn AsyncWriteFd + Unpin + '_>, &str) -> T,
) {
    /// Writes a bulk to one end, without waiting for it.
    fn feed(mut source: impl AsyncWrite + Unpin + 'static) {
        drop(spawn(async move {
            source.write_all(&pattern(MIB)).await?;
            source.close().await
        }));
    }
    let streams = async || {
        let ((client, near), (far, server)) = (pair().await.unwrap(), pair().await.unwrap());
        feed(client);
        drop(spawn(async move { copy(server, runtime::io::sink()).await }));
        (near, far)
    };
    let (near, far) = streams().await;
    then(Box::new(near), Box::new(far), "streams").await;
    let (mut near, mut far) = streams().await;
    then(Box::new(near.split().0), Box::new(far.split().1), "borrowed halves").await;
    let (near, far) = streams().await;
    let ((reader, _writer), (_reader, writer)) = (near.into_split(), far.into_split());
    then(Box::new(reader), Box::new(writer), "owned halves").await;
    let (near, far) = streams().await;
    let ((reader, _writer), (_reader, writer)) = (split(near), split(far));
    then(Box::new(reader), Box::new(writer), "halves by `io::split`").await;
    let (near, far) = streams().await;
    then(Box::new(join(near, 0)), Box::new(join(0, far)), "joined streams").await;
    let (near, far) = streams().await;
    then(Box::new(&near), Box::new(&far), "references").await;
    let ((client, near), (far, server)) = (UnixStream::pair().unwrap(), UnixStream::pair().unwrap());
    feed(client);
    drop(spawn(async move { copy(server, runtime::io::sink()).await }));
    then(Box::new(near), Box::new(far), "Unix streams").await;
    let ((sender, near), (far, receiver)) = (pipe::pipe().unwrap(), pipe::pipe().unwrap());
    feed(sender);
    drop(spawn(async move { copy(receiver, runtime::io::sink()).await }));
    then(Box::new(near), Box::new(far), "pipes").await;
}

#[test]
fn every_kind_of_stream_is_spliced_whole() {
    run(of_every_kind(async |reader, writer, kind| {
        assert_eq!(splice(reader, writer).await.unwrap(), MIB as u64, "{kind}");
    }));
}

#[test]
#[cfg_attr(not(target_os = "linux"), ignore = "there is no splice")]
fn every_kind_of_stream_is_spliced_by_the_kernel() {
    const NAME: &str = "every_kind_of_stream_is_spliced_by_the_kernel";
    let fails = ["-e", "trace=splice", "-e", "inject=splice:error=ENOMEM"];
    in_child_under(NAME, "strace", &fails, || {
        run(of_every_kind(async |reader, writer, kind| {
            let error = splice(reader, writer).await.expect_err(kind);
            assert_eq!(error.raw_os_error(), Some(libc::ENOMEM), "{kind}");
        }));
    });
}

#[test]
fn a_plain_copy_never_splices() {
    let fails = ["-e", "trace=splice,sendfile", "-e", "inject=splice,sendfile:error=ENOMEM"];
    in_child_under("a_plain_copy_never_splices", "strace", &fails, || {
        run(async {
            let (mut client, mut near) = pair().await.unwrap();
            let (mut far, mut server) = pair().await.unwrap();
            let proxy = spawn(async move { copy_bidirectional(&mut near, &mut far).await });
            let data = pattern(4 * MIB);
            let (_, got) = try_zip(send(&mut client, &data), receive(&mut server)).await.unwrap();
            assert!(got == data);
            drop((client, server));
            assert_eq!(proxy.await.unwrap().unwrap(), (data.len() as u64, 0));
            let (mut ours, peer) = pair().await.unwrap();
            assert_eq!(copy_file(&file_of(b"text"), 0, 4, &mut ours).await.unwrap(), 4);
            drop(peer);
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

/// Counts the descriptors of this process that are ends of pipes.
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
            let size = size_of_val(&splice_bidirectional(&mut &idle[0].0, &mut &idle[0].1));
            for (n, (near, far)) in idle.into_iter().enumerate() {
                drop(match n % 2 {
                    0 => spawn(async move { splice_bidirectional(&mut { near }, &mut { far }).await }),
                    _ => spawn(async move { copy_bidirectional(&mut { near }, &mut { far }).await }),
                });
            }
            // Each has been used, so that whatever it needs has been taken once; some for a bulk.
            let bulk = pattern(MIB);
            let mut buffer = vec![0; MIB];
            for (n, (client, server)) in ends.iter_mut().enumerate() {
                let length = if n % 25 == 0 { MIB } else { 100 };
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
                let (client, server, _proxy) = proxied(Way::Splice).await?;
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
            run(both_ways_at_once(Way::Splice));
        });
    }
}
