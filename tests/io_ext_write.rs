//! `AsyncWriteExt`: what each method writes, and what is lost if it fails or is cancelled.

mod io_scripts;
mod net_support;

use bytes::{Buf, Bytes};
use io_scripts::{Output, Scripted, cancel, drive, finish};
use net_support::run;
use runtime::io::{AsyncReadExt, AsyncWrite, AsyncWriteExt, BufWriter, Cursor};
use runtime::spawn;
use runtime::task::yield_now;
use std::io::{self, ErrorKind, IoSlice};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::task::{Context, Poll};

fn interrupted() -> Output {
    Output::Error(ErrorKind::Interrupted)
}

#[test]
fn a_write_returns_how_much_was_accepted() {
    let mut stream = Scripted::writing([Output::Accept(2), Output::Accept(0), interrupted()]);
    assert_eq!(finish(stream.write(b"abc")).unwrap(), 2);
    assert_eq!(finish(stream.write(b"c")).unwrap(), 0, "a single write of nothing is no error");
    assert_eq!(finish(stream.write(b"c")).unwrap_err().kind(), ErrorKind::Interrupted);
    assert_eq!(finish(stream.write(b"c")).unwrap(), 1);
    assert_eq!(stream.written, b"abc");
}

#[test]
fn several_buffers_are_written_at_once() {
    let mut stream = Scripted::writing([Output::Accept(4)]);
    let words = [IoSlice::new(b"ab"), IoSlice::new(b""), IoSlice::new(b"cde")];
    assert_eq!(finish(stream.write_vectored(&words)).unwrap(), 4);
    assert_eq!(stream.written, b"abcd");
}

#[test]
fn write_buf_advances_the_buffer() {
    let mut stream = Scripted::writing([Output::Accept(4), Output::Accept(9)]);
    let mut message = Buf::chain(Bytes::from_static(b"head "), Bytes::from_static(b"body"));
    assert_eq!(finish(stream.write_buf(&mut message)).unwrap(), 4);
    assert_eq!(message.remaining(), 5);
    assert_eq!(finish(stream.write_buf(&mut message)).unwrap(), 5, "two chunks in one write");
    assert_eq!(finish(stream.write_buf(&mut message)).unwrap(), 0);
    assert_eq!((stream.written, stream.outputs.len()), (b"head body".to_vec(), 0));
}

#[test]
fn write_all_writes_all_or_says_that_nothing_is_accepted() {
    let mut stream =
        Scripted::writing([Output::Accept(1), interrupted(), Output::Pending, Output::Accept(2)]);
    finish(stream.write_all(b"abcde")).unwrap();
    assert_eq!(stream.written, b"abcde");

    let mut stream = Scripted::writing([Output::Accept(1), Output::Accept(0)]);
    assert_eq!(finish(stream.write_all(b"abc")).unwrap_err().kind(), ErrorKind::WriteZero);
    assert_eq!(stream.written, b"a");
    finish(stream.write_all(b"")).unwrap();

    let mut room = [0; 3];
    let error = finish(Cursor::new(&mut room[..]).write_all(b"abcd")).unwrap_err();
    assert_eq!((error.kind(), &room), (ErrorKind::WriteZero, b"abc"));
}

#[test]
fn write_all_buf_leaves_what_was_not_written() {
    let mut stream = Scripted::writing([Output::Accept(3), interrupted(), Output::Accept(0)]);
    let mut message = Buf::chain(&b"ab"[..], &b"cdef"[..]);
    assert_eq!(finish(stream.write_all_buf(&mut message)).unwrap_err().kind(), ErrorKind::WriteZero);
    assert_eq!(message.remaining(), 3);
    finish(stream.write_all_buf(&mut message)).unwrap();
    assert_eq!(stream.written, b"abcdef");
}

#[test]
fn a_number_is_written_in_parts_if_need_be() {
    let mut stream =
        Scripted::writing([Output::Accept(1), interrupted(), Output::Pending, Output::Accept(2)]);
    finish(stream.write_u32(0x01020304)).unwrap();
    assert_eq!(stream.written, [1, 2, 3, 4]);
    let mut stream = Scripted::writing([Output::Accept(1), Output::Accept(0)]);
    assert_eq!(finish(stream.write_u16_le(1)).unwrap_err().kind(), ErrorKind::WriteZero);
}

/// Writes a number by each method, compares it with std's bytes, and reads it again.
#[test]
fn every_number_arrives_as_it_was_sent() {
    macro_rules! numbers {
        ($($type:ident $value:expr => $write:ident $read:ident $to:ident,)*) => {$(
            let mut stream = Cursor::new(Vec::new());
            let number: $type = $value;
            finish(stream.write_all(b"x")).unwrap();
            finish(stream.$write(number)).unwrap();
            assert_eq!(&stream.get_ref()[1..], number.$to(), stringify!($write));
            stream.set_position(1);
            assert_eq!(finish(stream.$read()).unwrap(), number, stringify!($read));
            assert_eq!(stream.position() as usize, 1 + size_of::<$type>());
        )*};
    }
    numbers! {
        u8 0xF1 => write_u8 read_u8 to_be_bytes,
        i8 -2 => write_i8 read_i8 to_be_bytes,
        u16 0xF102 => write_u16 read_u16 to_be_bytes,
        i16 -300 => write_i16 read_i16 to_be_bytes,
        u32 0xF1020304 => write_u32 read_u32 to_be_bytes,
        i32 -70_000 => write_i32 read_i32 to_be_bytes,
        u64 u64::MAX / 3 => write_u64 read_u64 to_be_bytes,
        i64 i64::MIN / 3 => write_i64 read_i64 to_be_bytes,
        u128 u128::MAX / 3 => write_u128 read_u128 to_be_bytes,
        i128 i128::MIN / 3 => write_i128 read_i128 to_be_bytes,
        f32 1.0 / 3.0 => write_f32 read_f32 to_be_bytes,
        f64 -1.0 / 3.0 => write_f64 read_f64 to_be_bytes,
        u16 0xF102 => write_u16_le read_u16_le to_le_bytes,
        i16 -300 => write_i16_le read_i16_le to_le_bytes,
        u32 0xF1020304 => write_u32_le read_u32_le to_le_bytes,
        i32 -70_000 => write_i32_le read_i32_le to_le_bytes,
        u64 u64::MAX / 3 => write_u64_le read_u64_le to_le_bytes,
        i64 i64::MIN / 3 => write_i64_le read_i64_le to_le_bytes,
        u128 u128::MAX / 3 => write_u128_le read_u128_le to_le_bytes,
        i128 i128::MIN / 3 => write_i128_le read_i128_le to_le_bytes,
        f32 1.0 / 3.0 => write_f32_le read_f32_le to_le_bytes,
        f64 -1.0 / 3.0 => write_f64_le read_f64_le to_le_bytes,
    }
}

#[test]
fn shutdown_and_close_are_the_close_of_the_stream() {
    let mut stream = Scripted::writing([Output::Pending, Output::Pending]);
    finish(stream.flush()).unwrap();
    finish(stream.shutdown()).unwrap();
    finish(stream.close()).unwrap();
    assert_eq!(stream.written, b"|]]");
    let mut stream = Scripted::writing([Output::Error(ErrorKind::NotConnected)]);
    assert_eq!(finish(stream.shutdown()).unwrap_err().kind(), ErrorKind::NotConnected);
}

/// The methods that are cancel safe have written nothing if they were dropped while they were pending.
#[test]
fn a_cancelled_write_has_written_nothing() {
    let mut stream = Scripted::writing(vec![Output::Pending; 5]);
    let mut message = &b"abc"[..];
    cancel(stream.write(b"abc"));
    cancel(stream.write_vectored(&[IoSlice::new(b"abc")]));
    cancel(stream.write_buf(&mut message));
    cancel(stream.write_u8(1));
    cancel(stream.write_i8(1));
    assert_eq!((stream.written, message), (Vec::new(), &b"abc"[..]));
}

#[test]
fn write_all_buf_goes_on_after_it_was_cancelled() {
    let mut stream =
        Scripted::writing([Output::Accept(2), Output::Pending, Output::Accept(1), Output::Pending]);
    let mut message = &b"abcdef"[..];
    cancel(stream.write_all_buf(&mut message));
    assert_eq!(message, b"cdef");
    cancel(stream.write_all_buf(&mut message));
    finish(stream.write_all_buf(&mut message)).unwrap();
    assert_eq!(stream.written, b"abcdef");
}

/// The methods that are not cancel safe begin again, and a part is written twice.
#[test]
fn write_all_begins_again_after_it_was_cancelled() {
    let mut stream = Scripted::writing([Output::Accept(2), Output::Pending]);
    cancel(stream.write_all(b"abcd"));
    finish(stream.write_all(b"abcd")).unwrap();
    assert_eq!(stream.written, b"ababcd");
    let mut stream = Scripted::writing([Output::Accept(1), Output::Pending]);
    cancel(stream.write_u16(0x0102));
    finish(stream.write_u16(0x0102)).unwrap();
    assert_eq!(stream.written, [1, 1, 2]);
}

#[test]
fn a_cancelled_flush_keeps_the_rest_in_the_buffer() {
    let mut writer = BufWriter::new(Scripted::writing([Output::Accept(2), Output::Pending]));
    finish(writer.write_all(b"abcd")).unwrap();
    cancel(writer.flush());
    assert_eq!(writer.buffer(), b"cd");
    finish(writer.write_all(b"e")).unwrap();
    finish(writer.flush()).unwrap();
    assert_eq!(writer.into_inner().written, b"abcde|");
}

/// Reports one byte more than it was given.
struct Boasting;

impl AsyncWrite for Boasting {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, buffer: &[u8]) -> Poll<io::Result<usize>> {
        Poll::Ready(Ok(buffer.len() + 1))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_close(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

#[test]
fn a_writer_that_reports_too_much_is_a_panic_that_says_so() {
    fn panics<T>(future: impl Future<Output = T>) {
        let panic = catch_unwind(AssertUnwindSafe(|| drive(1, future))).err().expect("no panic");
        let message = panic.downcast_ref::<&str>().copied().unwrap_or_default();
        assert_eq!(message, "the writer reports more bytes than it was given");
    }
    panics(Boasting.write(b"abc"));
    panics(Boasting.write_vectored(&[IoSlice::new(b"abc")]));
    panics(Boasting.write_all(b"abc"));
    panics(Boasting.write_u32(1));
    panics(Boasting.write_buf(&mut &b"abc"[..]));
    panics(Boasting.write_all_buf(&mut &b"abc"[..]));
    panics(BufWriter::with_capacity(2, Boasting).write(b"abc"));
    let mut writer = BufWriter::new(Boasting);
    finish(writer.write_all(b"abc")).unwrap();
    panics(writer.flush());
    assert_eq!(writer.buffer(), b"abc", "a panic takes nothing from the buffer");
}

/// Accepts one byte at a time, is always ready, and does not spend the budget.
struct OneByOne;

impl AsyncWrite for OneByOne {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, buffer: &[u8]) -> Poll<io::Result<usize>> {
        Poll::Ready(Ok(buffer.len().min(1)))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_close(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

#[test]
fn writing_much_lets_other_tasks_have_their_turn() {
    run(async {
        let writing = [
            spawn(async { OneByOne.write_all(&[7; 100_000]).await }),
            spawn(async { OneByOne.write_all_buf(&mut &[7; 100_000][..]).await }),
        ];
        for _ in 0..10 {
            yield_now().await;
        }
        assert!(writing.iter().all(|task| !task.is_finished()));
        for task in writing {
            task.await.unwrap().unwrap();
        }
    });
}

#[test]
fn writers_behind_pointers_and_without_a_size_have_the_methods() {
    let (one, mut other) = runtime::io::duplex(64);
    let mut boxed: Box<dyn AsyncWrite + Unpin> = Box::new(one);
    finish(boxed.write_u16(1)).unwrap();
    let writer: &mut (dyn AsyncWrite + Unpin) = &mut *boxed;
    finish(writer.write_all(b"ab")).unwrap();
    finish(writer.shutdown()).unwrap();
    let mut bytes = Vec::new();
    finish(other.read_to_end(&mut bytes)).unwrap();
    assert_eq!(bytes, b"\0\x01ab");
}
