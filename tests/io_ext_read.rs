//! `AsyncReadExt`: what each method reads, what is in its buffer afterwards, and what is lost if it is cancelled.

mod io_scripts;
mod net_support;

use bytes::{BufMut, BytesMut};
use io_scripts::{Input, Scripted, bytes, cancel, drive, finish};
use net_support::run;
use runtime::io::{AsyncRead, AsyncReadExt, BufReader, Cursor};
use runtime::spawn;
use runtime::task::yield_now;
use std::io::{self, ErrorKind, IoSliceMut};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::task::{Context, Poll};

fn interrupted() -> Input {
    Input::Error(ErrorKind::Interrupted)
}

fn reset() -> Input {
    Input::Error(ErrorKind::ConnectionReset)
}

/// Reads the rest of a stream.
fn rest(mut stream: Scripted) -> Vec<u8> {
    let mut rest = Vec::new();
    finish(stream.read_to_end(&mut rest)).unwrap();
    rest
}

#[test]
fn a_read_returns_what_there_is() {
    let mut stream = Scripted::reading([bytes("abc"), bytes("d")]);
    let mut buffer = [0; 2];
    assert_eq!(finish(stream.read(&mut [])).unwrap(), 0);
    assert_eq!((finish(stream.read(&mut buffer)).unwrap(), buffer), (2, *b"ab"));
    assert_eq!((finish(stream.read(&mut buffer)).unwrap(), buffer), (1, *b"cb"));
    assert_eq!(finish(stream.read(&mut buffer)).unwrap(), 1);
    assert_eq!(finish(stream.read(&mut buffer)).unwrap(), 0, "the end");
}

#[test]
fn a_single_read_reports_an_interruption() {
    let mut stream = Scripted::reading([interrupted(), bytes("a")]);
    assert_eq!(finish(stream.read(&mut [0; 4])).unwrap_err().kind(), ErrorKind::Interrupted);
    assert_eq!(finish(stream.read(&mut [0; 4])).unwrap(), 1);
}

#[test]
fn several_buffers_are_filled_one_after_the_other() {
    let mut reader = Cursor::new(b"hello");
    let (mut first, mut second, mut third) = ([0; 2], [0; 2], [0; 2]);
    let mut buffers =
        [IoSliceMut::new(&mut first), IoSliceMut::new(&mut second), IoSliceMut::new(&mut third)];
    assert_eq!(finish(reader.read_vectored(&mut buffers)).unwrap(), 5);
    assert_eq!((&first, &second, &third), (b"he", b"ll", b"o\0"));
}

#[test]
fn read_buf_appends_and_lets_the_buffer_grow() {
    let mut stream = Scripted::reading([bytes("abc"), bytes("defg"), bytes("h")]);
    let mut buffer = BytesMut::with_capacity(2);
    buffer.put_slice(b"> ");
    assert_eq!(finish(stream.read_buf(&mut buffer)).unwrap(), 3, "a full buffer reserves memory");
    assert_eq!(&buffer[..], b"> abc");

    let mut memory = [0; 3];
    let mut slice = &mut memory[..];
    assert_eq!(finish(stream.read_buf(&mut slice)).unwrap(), 3);
    assert_eq!(finish(stream.read_buf(&mut slice)).unwrap(), 0, "there is no room, and nothing was read");
    assert_eq!(&memory, b"def");
    assert_eq!(rest(stream), b"gh");
}

#[test]
fn read_buf_does_not_fill_a_limited_buffer_beyond_its_limit() {
    let mut stream = Scripted::reading([bytes("abcdef")]);
    let mut buffer = Vec::with_capacity(100).limit(4);
    assert_eq!(finish(stream.read_buf(&mut buffer)).unwrap(), 4);
    assert_eq!(finish(stream.read_buf(&mut buffer)).unwrap(), 0);
    assert_eq!((buffer.into_inner(), rest(stream)), (b"abcd".to_vec(), b"ef".to_vec()));
}

#[test]
fn read_buf_reads_as_much_as_the_pool_has_at_once() {
    let mut reader = runtime::io::repeat(7).take(40_000);
    let mut buffer = Vec::with_capacity(40_000);
    assert_eq!(finish(reader.read_buf(&mut buffer)).unwrap(), 16 * 1024);
    while finish(reader.read_buf(&mut buffer)).unwrap() > 0 {}
    assert!(buffer == [7; 40_000]);
}

#[test]
fn read_exact_fills_the_buffer_or_says_that_the_end_came_early() {
    let mut stream = Scripted::reading([bytes("ab"), interrupted(), Input::Pending, bytes("cd"), bytes("e")]);
    let mut buffer = [0; 4];
    assert_eq!((finish(stream.read_exact(&mut buffer)).unwrap(), buffer), (4, *b"abcd"));
    assert_eq!(finish(stream.read_exact(&mut [])).unwrap(), 0);
    let error = finish(stream.read_exact(&mut buffer)).unwrap_err();
    assert_eq!((error.kind(), error.to_string()), (ErrorKind::UnexpectedEof, "early eof".to_owned()));
}

#[test]
fn a_number_whose_bytes_are_missing_is_an_error() {
    let mut stream = Scripted::reading([bytes([1, 2]), interrupted(), bytes([3, 4, 5])]);
    assert_eq!(finish(stream.read_u32()).unwrap(), 0x01020304);
    assert_eq!(finish(stream.read_u16_le()).unwrap_err().kind(), ErrorKind::UnexpectedEof);
    assert_eq!(finish(stream.read_u8()).unwrap_err().kind(), ErrorKind::UnexpectedEof);
}

#[test]
fn read_to_end_keeps_what_came_before_an_error() {
    let mut stream = Scripted::reading([bytes("ab"), interrupted(), bytes("c"), reset(), bytes("d")]);
    let mut buffer = b"> ".to_vec();
    let error = finish(stream.read_to_end(&mut buffer)).unwrap_err();
    assert_eq!((error.kind(), &buffer[..]), (ErrorKind::ConnectionReset, &b"> abc"[..]));
    assert_eq!(finish(stream.read_to_end(&mut buffer)).unwrap(), 1);
    assert_eq!(buffer, b"> abcd");
}

#[test]
fn read_to_string_changes_the_string_only_if_all_is_well() {
    let mut text = "> ".to_owned();
    let mut stream = Scripted::reading([bytes("ab"), bytes([0xC3]), Input::Pending, bytes([0xA9])]);
    assert_eq!(finish(stream.read_to_string(&mut text)).unwrap(), 4);
    assert_eq!(text, "> abé");

    let mut stream = Scripted::reading([bytes("ab"), bytes([0xE9]), bytes("c")]);
    let error = finish(stream.read_to_string(&mut text)).unwrap_err();
    assert_eq!((error.kind(), text.as_str()), (ErrorKind::InvalidData, "> abé"));
    assert_eq!(error.to_string(), "invalid utf-8 sequence of 1 bytes from index 2");

    let mut stream = Scripted::reading([bytes("ab"), reset()]);
    let error = finish(stream.read_to_string(&mut text)).unwrap_err();
    assert_eq!((error.kind(), text.as_str()), (ErrorKind::ConnectionReset, "> abé"));

    let mut stream = Scripted::reading([bytes("ab"), Input::Pending]);
    cancel(stream.read_to_string(&mut text));
    assert_eq!(text, "> abé");
}

#[test]
fn an_empty_string_lends_its_memory() {
    let mut text = String::with_capacity(4096);
    let memory = text.as_ptr();
    finish(Scripted::reading([bytes("abc")]).read_to_string(&mut text)).unwrap();
    assert_eq!((text.as_str(), text.as_ptr()), ("abc", memory));
}

/// The methods that are cancel safe have read nothing if they were dropped while they were pending.
#[test]
fn a_cancelled_read_has_read_nothing() {
    let stream = || Scripted::reading([Input::Pending, bytes("abc"), Input::Pending, bytes("d")]);
    let mut buffer = Vec::with_capacity(8);
    let mut cancelled = stream();
    cancel(cancelled.read(&mut [0; 8]));
    assert_eq!(rest(cancelled), b"abcd");
    let mut cancelled = stream();
    cancel(cancelled.read_vectored(&mut [IoSliceMut::new(&mut [0; 8])]));
    assert_eq!(rest(cancelled), b"abcd");
    let mut cancelled = stream();
    cancel(cancelled.read_buf(&mut buffer));
    assert_eq!((rest(cancelled), buffer.len()), (b"abcd".to_vec(), 0));
    let mut cancelled = stream();
    cancel(cancelled.read_u8());
    assert_eq!(rest(cancelled), b"abcd");
    let mut cancelled = stream();
    cancel(cancelled.read_i8());
    assert_eq!(rest(cancelled), b"abcd");
}

/// The methods that are not cancel safe have taken bytes out of the stream.
#[test]
fn a_cancelled_read_of_several_parts_has_taken_the_first() {
    let stream = || Scripted::reading([bytes("ab"), Input::Pending, bytes("cd")]);
    let (mut cancelled, mut buffer) = (stream(), [0; 4]);
    cancel(cancelled.read_exact(&mut buffer));
    assert_eq!((rest(cancelled), buffer), (b"cd".to_vec(), *b"ab\0\0"));
    let mut cancelled = stream();
    cancel(cancelled.read_u32());
    assert_eq!(rest(cancelled), b"cd");
    let mut cancelled = stream();
    cancel(cancelled.read_to_string(&mut String::new()));
    assert_eq!(rest(cancelled), b"cd");
}

#[test]
fn read_to_end_goes_on_after_it_was_cancelled() {
    let mut stream = Scripted::reading([bytes("ab"), Input::Pending, bytes("cd")]);
    let mut buffer = Vec::new();
    cancel(stream.read_to_end(&mut buffer));
    assert_eq!(buffer, b"ab");
    assert_eq!(finish(stream.read_to_end(&mut buffer)).unwrap(), 2);
    assert_eq!(buffer, b"abcd");
}

/// Reports one byte more than there is room for.
struct Boasting;

impl AsyncRead for Boasting {
    fn poll_read(self: Pin<&mut Self>, _: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<usize>> {
        Poll::Ready(Ok(buffer.len() + 1))
    }
}

#[test]
fn a_reader_that_reports_too_much_is_a_panic_that_says_so() {
    fn panics<T>(future: impl Future<Output = T>) {
        let panic = catch_unwind(AssertUnwindSafe(|| drive(1, future))).err().expect("no panic");
        let message = panic.downcast_ref::<&str>().copied().unwrap_or_default();
        assert_eq!(message, "the reader reports more bytes than the length of the buffer");
    }
    let (mut vec, mut text) = (Vec::new(), String::new());
    panics(Boasting.read(&mut [0; 8]));
    panics(Boasting.read_vectored(&mut [IoSliceMut::new(&mut [0; 8])]));
    panics(Boasting.read_buf(&mut vec));
    panics(Boasting.read_exact(&mut [0; 8]));
    panics(Boasting.read_u32());
    panics(Boasting.read_to_end(&mut vec));
    panics(Boasting.read_to_string(&mut text));
    panics(Boasting.take(4).read(&mut [0; 8]));
    panics(Boasting.chain(Boasting).read(&mut [0; 8]));
    panics(BufReader::new(Boasting).read(&mut [0; 8]));
    panics(BufReader::with_capacity(4, Boasting).read(&mut [0; 8]));
    assert!(vec.is_empty() && text.is_empty());
}

/// Is always ready with a byte, or interrupted, and does not spend the budget.
struct Endless {
    is_interrupted: bool,
}

impl AsyncRead for Endless {
    fn poll_read(self: Pin<&mut Self>, _: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<usize>> {
        if self.is_interrupted {
            return Poll::Ready(Err(ErrorKind::Interrupted.into()));
        }
        buffer[0] = b'e';
        Poll::Ready(Ok(1))
    }
}

#[test]
fn reading_without_end_lets_other_tasks_have_their_turn() {
    run(async {
        let reading = [
            spawn(async { Endless { is_interrupted: true }.read_to_end(&mut Vec::new()).await.map(drop) }),
            spawn(async { Endless { is_interrupted: true }.read_u8().await.map(drop) }),
            spawn(async {
                Endless { is_interrupted: false }.read_exact(&mut vec![0; 100_000]).await.map(drop)
            }),
        ];
        for _ in 0..10 {
            yield_now().await;
        }
        assert!(reading.iter().all(|task| !task.is_finished()));
        reading.iter().for_each(|task| task.abort());
    });
}

#[test]
fn readers_behind_pointers_and_without_a_size_have_the_methods() {
    let mut boxed: Box<dyn AsyncRead + Unpin> = Box::new(&b"abcd"[..]);
    assert_eq!(finish(boxed.read_u16()).unwrap(), u16::from_be_bytes(*b"ab"));
    let reader: &mut (dyn AsyncRead + Unpin) = &mut *boxed;
    let mut text = String::new();
    finish(reader.read_to_string(&mut text)).unwrap();
    assert_eq!(text, "cd");
}

/// The futures are as movable and as `Send` as the stream and the buffer are.
#[test]
fn futures_need_no_pin_and_may_go_to_another_thread() {
    fn check<F: Future + Unpin + Send>(_: F) {}
    let mut stream = Scripted::default();
    check(stream.read(&mut [0; 8]));
    check(stream.read_exact(&mut [0; 8]));
    check(stream.read_u64_le());
    check(stream.read_buf(&mut Vec::new()));
    check(stream.read_to_end(&mut Vec::new()));
    check(stream.read_to_string(&mut String::new()));
}
