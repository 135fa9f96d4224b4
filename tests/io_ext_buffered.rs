//! The types around streams: `BufReader`, `BufWriter`, `BufStream`, `Take`, `Chain` and `Cursor`, and copies to a
//! buffered writer.

mod io_scripts;
mod net_support;

use io_scripts::{Input, Output, Scripted, bytes, cancel, drive, finish};
use net_support::run;
use runtime::io::{
    AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncSeek, AsyncSeekExt, AsyncWrite, AsyncWriteExt, BufReader,
    BufStream, BufWriter, Cursor, SeekFrom, copy_buf, duplex,
};
use runtime::spawn;
use std::io::{self, ErrorKind, IoSlice, IoSliceMut};
use std::pin::Pin;
use std::task::{Context, Poll};

#[test]
fn a_reader_fills_its_buffer_once_for_many_small_reads() {
    let mut reader = BufReader::with_capacity(8, Scripted::reading([bytes("0123456789abcdefgh")]));
    assert_eq!(finish(reader.read_u8()).unwrap(), b'0');
    assert_eq!(reader.buffer(), b"1234567");
    // A read that is at least as large as the buffer first gets what is in the buffer.
    let mut large = [0; 8];
    assert_eq!(finish(reader.read(&mut large)).unwrap(), 7);
    assert_eq!(finish(reader.read(&mut large)).unwrap(), 8, "directly");
    assert_eq!((&large, reader.buffer()), (b"89abcdef", &b""[..]));
    let (mut first, mut second) = ([0; 1], [0; 3]);
    let mut buffers = [IoSliceMut::new(&mut first), IoSliceMut::new(&mut second)];
    assert_eq!(finish(reader.read_vectored(&mut buffers)).unwrap(), 2);
    assert_eq!((&first, &second), (b"g", b"h\0\0"));
}

#[test]
fn several_large_buffers_are_read_directly() {
    let mut reader = BufReader::with_capacity(4, Cursor::new(b"abcdefgh"));
    let (mut first, mut second) = ([0; 3], [0; 3]);
    let mut buffers = [IoSliceMut::new(&mut first), IoSliceMut::new(&mut second)];
    assert_eq!(finish(reader.read_vectored(&mut buffers)).unwrap(), 6);
    assert_eq!((&first, &second, reader.buffer()), (b"abc", b"def", &b""[..]));
}

#[test]
fn an_error_of_the_inner_reader_leaves_the_buffer_usable() {
    let inputs = [bytes("ab"), Input::Error(ErrorKind::ConnectionReset), bytes("cd")];
    let mut reader = BufReader::new(Scripted::reading(inputs));
    assert_eq!(finish(reader.read_u16()).unwrap(), u16::from_be_bytes(*b"ab"));
    assert_eq!(finish(reader.read_u16()).unwrap_err().kind(), ErrorKind::ConnectionReset);
    assert_eq!(finish(reader.read_u16()).unwrap(), u16::from_be_bytes(*b"cd"));
}

#[test]
#[should_panic(expected = "its capacity must be at least 1")]
fn a_reader_without_a_buffer_is_a_mistake() {
    BufReader::with_capacity(0, &b""[..]);
}

#[test]
fn a_buffered_half_does_not_hide_the_other_direction() {
    let mut reader = BufReader::new(Scripted::reading([bytes("question\n")]));
    let mut line = String::new();
    finish(reader.read_line(&mut line)).unwrap();
    finish(reader.write_vectored(&[IoSlice::new(b"an"), IoSlice::new(b"swer")])).unwrap();
    finish(reader.flush()).unwrap();
    finish(reader.shutdown()).unwrap();
    assert_eq!(reader.into_inner().written, b"answer|]");

    let mut writer = BufWriter::new(BufReader::new(Scripted::reading([bytes("question\n")])));
    line.clear();
    finish(writer.read_line(&mut line)).unwrap();
    assert_eq!(line, "question\n");
}

#[test]
fn a_writer_collects_small_writes_and_passes_large_ones_on() {
    let mut writer = BufWriter::with_capacity(8, Scripted::default());
    finish(writer.write_all(b"abc")).unwrap();
    assert_eq!(finish(writer.write_vectored(&[IoSlice::new(b"d"), IoSlice::new(b"efg")])).unwrap(), 4);
    assert_eq!((writer.buffer(), writer.get_ref().written.as_slice()), (&b"abcdefg"[..], &b""[..]));
    // Bytes that do not fit are buffered after the buffer was written.
    finish(writer.write_all(b"hi")).unwrap();
    assert_eq!((writer.buffer(), writer.get_ref().written.as_slice()), (&b"hi"[..], &b"abcdefg"[..]));
    // Bytes that fill a buffer by themselves are not copied.
    finish(writer.write_all(b"jklmnopq")).unwrap();
    assert_eq!((writer.buffer(), writer.get_ref().written.len()), (&b""[..], 17));
    finish(writer.write_all(b"r")).unwrap();
    finish(writer.shutdown()).unwrap();
    assert_eq!(writer.into_inner().written, b"abcdefghijklmnopqr]");
}

#[test]
fn a_writer_keeps_what_an_error_left() {
    let outputs = [
        Output::Accept(2),
        Output::Error(ErrorKind::Interrupted),
        Output::Error(ErrorKind::ConnectionReset),
        Output::Accept(1),
        Output::Accept(0),
    ];
    let mut writer = BufWriter::with_capacity(8, Scripted::writing(outputs));
    finish(writer.write_all(b"abcdef")).unwrap();
    assert_eq!(finish(writer.flush()).unwrap_err().kind(), ErrorKind::ConnectionReset);
    assert_eq!(writer.buffer(), b"cdef");
    let error = finish(writer.flush()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::WriteZero);
    assert_eq!(error.to_string(), "failed to write the buffered data");
    assert_eq!(writer.buffer(), b"def");
    // There is room again for what was written.
    finish(writer.write_all(b"ghijk")).unwrap();
    assert_eq!(writer.buffer(), b"defghijk");
    finish(writer.flush()).unwrap();
    assert_eq!(writer.into_inner().written, b"abcdefghijk|");
}

#[test]
fn a_stream_has_a_buffer_in_each_direction() {
    let mut stream = BufStream::with_capacity(4, 4, Scripted::reading([bytes("abcdef")]));
    finish(stream.write_all(b"12")).unwrap();
    assert_eq!(finish(stream.fill_buf()).unwrap(), b"abcd");
    assert_eq!(stream.get_ref().written, b"");
    finish(stream.flush()).unwrap();
    finish(stream.shutdown()).unwrap();
    assert_eq!(stream.into_inner().written, b"12|]");
}

#[test]
fn two_layers_become_one_stream_with_what_is_in_their_buffers() {
    let inner = Scripted::reading([bytes("abcdef")]);
    let mut writer = BufWriter::with_capacity(4, BufReader::with_capacity(3, inner.clone()));
    finish(writer.write_all(b"12")).unwrap();
    assert_eq!(finish(writer.read_u8()).unwrap(), b'a');
    let mut stream = BufStream::from(writer);
    let mut text = String::new();
    finish(stream.read_to_string(&mut text)).unwrap();
    finish(stream.write_all(b"3")).unwrap();
    finish(stream.flush()).unwrap();
    assert_eq!((text.as_str(), stream.into_inner().written.as_slice()), ("bcdef", &b"123|"[..]));

    let mut reader = BufReader::with_capacity(3, BufWriter::with_capacity(4, inner));
    finish(reader.write_all(b"12")).unwrap();
    assert_eq!(finish(reader.read_u8()).unwrap(), b'a');
    let mut stream = BufStream::from(reader);
    assert_eq!(finish(stream.read_u16()).unwrap(), u16::from_be_bytes(*b"bc"));
    finish(stream.flush()).unwrap();
    assert_eq!(stream.into_inner().written, b"12|");
}

/// Waits once in each seek.
struct SlowSeek {
    memory: Cursor<Vec<u8>>,
    is_waiting: bool,
    seeks: Vec<SeekFrom>,
}

impl SlowSeek {
    fn new(memory: &[u8]) -> SlowSeek {
        SlowSeek { memory: Cursor::new(memory.to_vec()), is_waiting: false, seeks: Vec::new() }
    }
}

impl AsyncRead for SlowSeek {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.memory).poll_read(cx, buffer)
    }
}

impl AsyncWrite for SlowSeek {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.memory).poll_write(cx, buffer)
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_close(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

impl AsyncSeek for SlowSeek {
    fn poll_seek(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        position: SeekFrom,
    ) -> Poll<io::Result<u64>> {
        self.is_waiting = !self.is_waiting;
        if self.is_waiting {
            return Poll::Pending;
        }
        self.seeks.push(position);
        Pin::new(&mut self.memory).poll_seek(cx, position)
    }
}

#[test]
fn a_seek_counts_from_what_was_read_here_also_if_it_has_to_wait() {
    let mut reader = BufReader::with_capacity(4, SlowSeek::new(b"0123456789"));
    assert_eq!(finish(reader.read_u8()).unwrap(), b'0');
    assert_eq!(finish(reader.seek(SeekFrom::Current(1))).unwrap(), 2);
    assert_eq!(finish(reader.read_u8()).unwrap(), b'2');
    assert_eq!(finish(reader.stream_position()).unwrap(), 3);
    finish(reader.rewind()).unwrap();
    assert_eq!(finish(reader.read_u8()).unwrap(), b'0');
    let expected = [SeekFrom::Current(-2), SeekFrom::Current(-3), SeekFrom::Start(0)];
    assert_eq!(reader.get_ref().seeks, expected);
    // The first step back is not repeated while the second one waits.
    assert_eq!(finish(reader.seek(SeekFrom::Current(i64::MIN))).unwrap_err().kind(), ErrorKind::InvalidInput);
    assert_eq!(reader.get_ref().seeks[3..], [SeekFrom::Current(-3), SeekFrom::Current(i64::MIN)]);
    assert_eq!(finish(reader.read_u8()).unwrap(), b'1');
}

#[test]
fn a_writer_writes_its_buffer_before_it_seeks() {
    let mut writer = BufWriter::new(SlowSeek::new(b""));
    finish(writer.write_all(b"abcd")).unwrap();
    assert_eq!(finish(writer.seek(SeekFrom::Start(1))).unwrap(), 1);
    finish(writer.write_all(b"x")).unwrap();
    assert_eq!(finish(writer.stream_position()).unwrap(), 2);
    let stream = writer.into_inner();
    assert_eq!((stream.memory.into_inner(), stream.seeks.len()), (b"axcd".to_vec(), 2));

    let mut stream = BufStream::with_capacity(2, 8, SlowSeek::new(b"abcd"));
    assert_eq!(finish(stream.read_u8()).unwrap(), b'a');
    assert_eq!(finish(stream.seek(SeekFrom::Current(0))).unwrap(), 1);
    finish(stream.write_all(b"x")).unwrap();
    finish(stream.rewind()).unwrap();
    let mut text = String::new();
    finish(stream.read_to_string(&mut text)).unwrap();
    assert_eq!(text, "axcd");
}

#[test]
fn at_its_limit_a_reader_is_not_polled_until_there_is_a_new_limit() {
    let inputs = [bytes("ab"), Input::Pending, bytes("cd"), Input::Pending];
    let mut reader = Scripted::reading(inputs).take(2);
    assert_eq!(reader.limit(), 2);
    let mut text = String::new();
    // The inner reader would have to wait.
    assert_eq!(drive(1, reader.read_to_string(&mut text)).unwrap().unwrap(), 2);
    assert_eq!((text.as_str(), reader.limit()), ("ab", 0));
    reader.set_limit(u64::MAX);
    assert_eq!(finish(reader.read(&mut [0; 8])).unwrap(), 2);
    assert_eq!(reader.limit(), u64::MAX - 2);
    cancel(reader.read(&mut [0; 8]));

    let mut reader = (&b"abcdef"[..]).take(3);
    assert_eq!(finish(reader.fill_buf()).unwrap(), b"abc");
    reader.consume(usize::MAX);
    assert_eq!((reader.limit(), finish(reader.fill_buf()).unwrap()), (0, &b""[..]));
    assert_eq!(reader.into_inner(), b"def");
}

#[test]
fn a_chain_goes_on_with_the_second_reader_at_the_end_of_the_first() {
    let mut chain = Scripted::reading([bytes("ab"), Input::Pending]).chain(Scripted::reading([bytes("cd")]));
    // A read without room is no end.
    assert_eq!(finish(chain.read(&mut [])).unwrap(), 0);
    assert_eq!(finish(chain.read_vectored(&mut [])).unwrap(), 0);
    let mut text = String::new();
    finish(chain.read_to_string(&mut text)).unwrap();
    assert_eq!(text, "abcd");

    let mut lines = (&b"on"[..]).chain(&b"e\ntwo"[..]).lines();
    assert_eq!(finish(lines.next_line()).unwrap().as_deref(), Some("one"));
    assert_eq!(finish(lines.next_line()).unwrap().as_deref(), Some("two"));
    assert_eq!(lines.into_inner().into_inner(), (&b""[..], &b""[..]));
}

/// The request stays in no buffer while the answer is awaited.
#[test]
fn copy_buf_flushes_while_its_reader_has_nothing() {
    run(async {
        let (mut client, near) = duplex(64);
        let (far, server) = duplex(64);
        let echo = spawn(async move {
            let (reader, mut writer) = runtime::io::split(server);
            copy_buf(&mut BufReader::new(reader), &mut BufWriter::new(&mut writer)).await?;
            writer.shutdown().await
        });
        let proxy = spawn(async move {
            let (mut near_reader, mut near_writer) = runtime::io::split(near);
            let (far_reader, far_writer) = runtime::io::split(far);
            let back = spawn(async move {
                let mut writer = BufWriter::new(&mut near_writer);
                copy_buf(&mut BufReader::new(far_reader), &mut writer).await
            });
            let mut writer = BufWriter::new(far_writer);
            copy_buf(&mut BufReader::new(&mut near_reader), &mut writer).await?;
            writer.shutdown().await?;
            back.await.unwrap()
        });
        for word in [b"one", b"two", b"six"] {
            client.write_all(word).await?;
            let mut answer = [0; 3];
            client.read_exact(&mut answer).await?;
            assert_eq!(&answer, word);
        }
        client.shutdown().await?;
        assert_eq!(proxy.await.unwrap()?, 9);
        echo.await.unwrap()
    })
    .unwrap();
}

#[test]
fn copy_buf_flushes_once_for_each_wait_and_reports_a_writer_that_accepts_nothing() {
    let inputs = [bytes("ab"), bytes("cd"), Input::Pending, bytes("ef"), Input::Pending, bytes("gh")];
    let (mut reader, mut writer) = (BufReader::new(Scripted::reading(inputs)), Scripted::default());
    assert_eq!(run(copy_buf(&mut reader, &mut writer)).unwrap(), 8);
    assert_eq!(writer.written, b"abcd|ef|gh|");

    let mut writer = Scripted::writing([Output::Accept(1), Output::Accept(0)]);
    let copied = run(copy_buf(&mut &b"abc"[..], &mut writer));
    assert_eq!(copied.unwrap_err().kind(), ErrorKind::WriteZero);
}

#[test]
fn memory_is_a_stream_with_a_position() {
    let mut stream = Cursor::from(io::Cursor::new(vec![0; 4]));
    stream.set_position(2);
    finish(stream.write_vectored(&[IoSlice::new(b"ab"), IoSlice::new(b"cd")])).unwrap();
    assert_eq!((stream.get_ref().as_slice(), stream.position()), (&b"\0\0abcd"[..], 6));
    assert_eq!(finish(stream.seek(SeekFrom::End(-3))).unwrap(), 3);
    assert_eq!(finish(stream.seek(SeekFrom::Current(-4))).unwrap_err().kind(), ErrorKind::InvalidInput);
    assert_eq!(finish(stream.fill_buf()).unwrap(), b"bcd");
    stream.consume(1);
    let mut text = String::new();
    finish(stream.read_to_string(&mut text)).unwrap();
    assert_eq!(text, "cd");
    stream.get_mut().clear();
    assert_eq!(finish(stream.read(&mut [0; 8])).unwrap(), 0, "the position is behind the end");
}
