//! Readers and writers that break the contract of their trait: they claim more bytes than there were, fail now and
//! then, panic half way, or are ready without having done anything. Copies between them end, with an error or a
//! panic; and the next copy, which gets the same memory, works as usual.
#![cfg(not(miri))] // Files.

mod net_support;

use net_support::run;
use runtime::io::{
    AsyncBufRead, AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, copy, copy_bidirectional, copy_buf,
    copy_file, duplex, sink, split,
};
use runtime::{spawn, task::yield_now};
use std::io::{self, ErrorKind};
use std::pin::Pin;
use std::task::{Context, Poll};

/// The fault of the stream in its third call. The calls before it are correct.
#[derive(Clone, Copy, PartialEq, Debug)]
enum Vice {
    /// Claims more bytes than there is room for, or than there were to write.
    TooMuch,
    /// Claims the largest possible number of bytes.
    FarTooMuch,
    Panic,
    Error,
    /// Returns an error in the third call, and in each second call after it.
    ErrorNowAndThen,
    /// Is ready, and has done nothing.
    Nothing,
}

const VICES: [Vice; 6] =
    [Vice::TooMuch, Vice::FarTooMuch, Vice::Panic, Vice::Error, Vice::ErrorNowAndThen, Vice::Nothing];

/// The possible outcomes of a copy with such a stream.
#[derive(PartialEq, Debug)]
enum End {
    Well,
    Error(ErrorKind),
    Panic,
}

struct Hostile {
    vice: Vice,
    calls: usize,
    /// The bytes of a buffered reader.
    bytes: [u8; 64],
}

impl Hostile {
    fn new(vice: Vice) -> Hostile {
        Hostile { vice, calls: 0, bytes: [b'h'; 64] }
    }

    fn turn(&mut self, room: usize) -> io::Result<usize> {
        self.calls += 1;
        assert!(self.calls < 1000, "it goes on");
        match self.vice {
            _ if self.calls < 3 => Ok(room.min(64)),
            Vice::TooMuch => Ok(room + 1),
            Vice::FarTooMuch => Ok(usize::MAX),
            Vice::Panic => std::panic::resume_unwind(Box::new("hostile")),
            Vice::Error => Err(ErrorKind::Other.into()),
            Vice::ErrorNowAndThen if self.calls % 2 == 1 => Err(ErrorKind::Other.into()),
            Vice::ErrorNowAndThen | Vice::Nothing => Ok(0),
        }
    }
}

impl AsyncRead for Hostile {
    fn poll_read(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        buffer: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        let count = self.turn(buffer.len())?;
        let filled = count.min(buffer.len());
        buffer[..filled].fill(b'h');
        Poll::Ready(Ok(count))
    }
}

impl AsyncBufRead for Hostile {
    fn poll_fill_buf(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<&[u8]>> {
        let this = self.get_mut();
        let count = this.turn(64)?.min(64);
        Poll::Ready(Ok(&this.bytes[..count]))
    }

    fn consume(self: Pin<&mut Self>, count: usize) {
        assert!(count <= 64, "more is consumed than there was");
    }
}

impl AsyncWrite for Hostile {
    fn poll_write(mut self: Pin<&mut Self>, _: &mut Context<'_>, buffer: &[u8]) -> Poll<io::Result<usize>> {
        Poll::Ready(self.turn(buffer.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_close(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

/// Runs the future as a task, and then a copy between other streams.
async fn end_of<T: 'static>(copying: impl Future<Output = io::Result<T>> + 'static) -> End {
    let end = match spawn(copying).await {
        Err(error) => {
            assert!(error.is_panic());
            End::Panic
        }
        Ok(Err(error)) => End::Error(error.kind()),
        Ok(Ok(_)) => End::Well,
    };
    // The buffer goes from one copy to the next.
    let (mut one, other) = duplex(100);
    let echo = spawn(async move {
        let (reader, writer) = split(other);
        copy(reader, writer).await
    });
    one.write_all(b"as it was").await.unwrap();
    let mut word = [0; 9];
    one.read_exact(&mut word).await.unwrap();
    assert_eq!(&word, b"as it was");
    one.close().await.unwrap();
    assert_eq!(echo.await.unwrap().unwrap(), 9);
    end
}

#[test]
fn a_reader_that_claims_fails_or_panics() {
    run(async {
        for vice in VICES {
            // The copy reads from the stream, whose third call lies.
            let expected = match vice {
                Vice::TooMuch | Vice::FarTooMuch | Vice::Panic => End::Panic,
                Vice::Error | Vice::ErrorNowAndThen => End::Error(ErrorKind::Other),
                // That looks like the end of the stream.
                Vice::Nothing => End::Well,
            };
            assert_eq!(end_of(copy(Hostile::new(vice), sink())).await, expected, "{vice:?}");
            let (mut near, mut far) = duplex(10_000);
            let both = async move { copy_bidirectional(&mut Hostile::new(vice), &mut near).await };
            let copied = spawn(async move {
                far.close().await?;
                let mut all = Vec::new();
                far.read_to_end(&mut all).await?;
                io::Result::Ok(all)
            });
            assert_eq!(end_of(both).await, expected, "{vice:?}, both ways");
            // The bytes of the correct calls have arrived, and no others.
            assert!(copied.await.unwrap().unwrap().iter().all(|byte| *byte == b'h'), "{vice:?}");
        }
    });
}

#[test]
fn a_reader_with_a_buffer_that_fails_or_panics() {
    run(async {
        for vice in [Vice::Panic, Vice::Error, Vice::ErrorNowAndThen, Vice::Nothing] {
            let expected = match vice {
                Vice::Panic => End::Panic,
                Vice::Nothing => End::Well,
                _ => End::Error(ErrorKind::Other),
            };
            let end = end_of(async move { copy_buf(&mut Hostile::new(vice), &mut sink()).await });
            assert_eq!(end.await, expected, "{vice:?}");
        }
    });
}

#[test]
fn a_writer_that_claims_fails_or_panics() {
    let path = std::env::temp_dir().join(format!("runtime-hostile-{}", std::process::id()));
    std::fs::write(&path, [b'h'; 100_000]).unwrap();
    run(async {
        for vice in VICES {
            let expected = || match vice {
                Vice::TooMuch | Vice::FarTooMuch | Vice::Panic => End::Panic,
                Vice::Error | Vice::ErrorNowAndThen => End::Error(ErrorKind::Other),
                Vice::Nothing => End::Error(ErrorKind::WriteZero),
            };
            let source = || runtime::io::AsyncReadExt::take(runtime::io::repeat(b'h'), 100_000);
            assert_eq!(end_of(copy(source(), Hostile::new(vice))).await, expected(), "{vice:?}");
            let by_buffer = async move {
                let mut reader = runtime::io::BufReader::new(source());
                copy_buf(&mut reader, &mut Hostile::new(vice)).await
            };
            assert_eq!(end_of(by_buffer).await, expected(), "{vice:?}, by the reader's buffer");
            let file = std::fs::File::open(&path).unwrap();
            let of_file = async move { copy_file(&file, 0, 100_000, &mut Hostile::new(vice)).await };
            assert_eq!(end_of(of_file).await, expected(), "{vice:?}, of a file");
            // The stream is behind a lock, which a panic must not leave locked.
            let (reader, mut writer) = split(Hostile::new(vice));
            let by_half = async move { copy(source(), &mut writer).await };
            assert_eq!(end_of(by_half).await, expected(), "{vice:?}, by a half");
            yield_now().await;
            drop(reader);
        }
    });
    std::fs::remove_file(&path).unwrap();
}
