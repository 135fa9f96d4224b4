//! Copies between any reader and any writer: what they promise about ends, errors and budgets.

mod net_support;

use futures_lite::future::try_zip;
use net_support::run;
use runtime::io::{
    AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufReader, BufWriter, Cursor, copy,
    copy_bidirectional, copy_bidirectional_with_sizes, copy_buf, duplex, join,
};
use runtime::spawn;
use runtime::task::yield_now;
use std::cell::{Cell, RefCell};
use std::io::{self, ErrorKind};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

/// Returns bytes that show if one is missing or in the wrong place. They are doubled until there are enough, because
/// one by one they would take longer than the test.
fn pattern(length: usize) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(length);
    bytes.extend((0..251).take(length));
    while bytes.len() < length {
        bytes.extend_from_within(..bytes.len().min(length - bytes.len()));
    }
    bytes
}

/// A reader or writer that is always ready, and counts its operations.
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

/// A connection that accepts nothing before a number of pieces has been read from it, as with the windows of HTTP/2
/// or the handshake of TLS. Clones are the same connection.
#[derive(Clone)]
struct Granting(Rc<RefCell<Grant>>);

struct Grant {
    pieces: Vec<io::Result<&'static [u8]>>,
    /// The number of pieces that have yet to be read before it can be written to.
    missing: usize,
    /// The number of calls of `poll_read`. Every third one is pending.
    reads: usize,
    writer: Option<Waker>,
    written: Vec<u8>,
}

impl Granting {
    /// Makes a connection that returns the pieces in order, and then the end.
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

/// Returns the output of a future that needs no events, so that it is ready soon or never.
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
        // The copy has filled its buffer with one read.
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
