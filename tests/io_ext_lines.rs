//! `AsyncBufReadExt`: lines, segments and delimiters, and what is lost if a reader fails or a future is cancelled.

mod io_scripts;
mod net_support;

use futures_lite::StreamExt;
use io_scripts::{Input, Scripted, bytes, cancel, drive, finish};
use net_support::run;
use runtime::io::{AsyncBufRead, AsyncBufReadExt, AsyncRead, AsyncReadExt, BufReader};
use runtime::spawn;
use runtime::task::yield_now;
use std::io::{self, ErrorKind};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::task::{Context, Poll};

fn reset() -> Input {
    Input::Error(ErrorKind::ConnectionReset)
}

fn reader(inputs: impl IntoIterator<Item = Input>) -> BufReader<Scripted> {
    BufReader::new(Scripted::reading(inputs))
}

#[test]
fn an_error_in_the_middle_of_a_line_or_of_a_character_loses_nothing() {
    let inputs = [bytes("ab"), bytes([0xC3]), reset(), bytes([0xA9]), bytes("\r\nx\rcy\nz")];
    let mut lines = reader(inputs.clone()).lines();
    assert_eq!(finish(lines.next_line()).unwrap_err().kind(), ErrorKind::ConnectionReset);
    assert_eq!(finish(lines.next_line()).unwrap().as_deref(), Some("abé"));
    assert_eq!(finish(lines.next_line()).unwrap().as_deref(), Some("x\rcy"));
    assert_eq!(finish(lines.next_line()).unwrap().as_deref(), Some("z"));
    assert_eq!(finish(lines.next_line()).unwrap(), None);
    assert_eq!(finish(lines.next_line()).unwrap(), None);

    // As a stream, it is the same.
    let mut lines = reader(inputs.clone()).lines();
    assert_eq!(finish(lines.next()).unwrap().unwrap_err().kind(), ErrorKind::ConnectionReset);
    let rest: Vec<_> = finish(lines.map(Result::unwrap).collect());
    assert_eq!(rest, ["abé", "x\rcy", "z"]);

    // Segments and a vector keep everything as well.
    let mut segments = reader(inputs.clone()).split(b'\n');
    assert_eq!(finish(segments.next_segment()).unwrap_err().kind(), ErrorKind::ConnectionReset);
    assert_eq!(finish(segments.next_segment()).unwrap().as_deref(), Some("abé\r".as_bytes()));
    let (mut reader, mut line) = (reader(inputs), Vec::new());
    assert_eq!(finish(reader.read_until(b'\n', &mut line)).unwrap_err().kind(), ErrorKind::ConnectionReset);
    assert_eq!(line, b"ab\xC3");
    assert_eq!(finish(reader.read_until(b'\n', &mut line)).unwrap(), 3);
    assert_eq!(line, "abé\r\n".as_bytes());
}

#[test]
fn a_line_that_is_not_text_is_one_error_and_the_next_line_follows() {
    let inputs = [bytes("a\n"), bytes([b'b', 0xE9, b'\n']), bytes("c\n")];
    let mut lines = reader(inputs.clone()).lines();
    assert_eq!(finish(lines.next_line()).unwrap().as_deref(), Some("a"));
    let error = finish(lines.next_line()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidData);
    assert_eq!(error.to_string(), "incomplete utf-8 byte sequence from index 1");
    assert_eq!(finish(lines.next_line()).unwrap().as_deref(), Some("c"));
    assert_eq!(finish(lines.next_line()).unwrap(), None);

    let (mut reader, mut line) = (reader(inputs), "> ".to_owned());
    assert_eq!(finish(reader.read_line(&mut line)).unwrap(), 2);
    assert_eq!(finish(reader.read_line(&mut line)).unwrap_err().kind(), ErrorKind::InvalidData);
    assert_eq!(finish(reader.read_line(&mut line)).unwrap(), 2);
    assert_eq!(finish(reader.read_line(&mut line)).unwrap(), 0);
    assert_eq!(line, "> a\nc\n");
}

#[test]
fn an_error_leaves_the_beginning_of_the_line_in_the_string_if_it_is_text() {
    let (mut stream, mut line) = (reader([bytes("ab"), reset(), bytes("c\n")]), "> ".to_owned());
    assert_eq!(finish(stream.read_line(&mut line)).unwrap_err().kind(), ErrorKind::ConnectionReset);
    assert_eq!(line, "> ab");
    assert_eq!(finish(stream.read_line(&mut line)).unwrap(), 2);
    assert_eq!(line, "> abc\n");
    let mut stream = reader([bytes([b'a', 0xC3]), reset()]);
    assert_eq!(finish(stream.read_line(&mut line)).unwrap_err().kind(), ErrorKind::ConnectionReset);
    assert_eq!(line, "> abc\n");
}

/// A line without an end is reported once, and a limit stays where it was set.
#[test]
fn what_has_no_delimiter_is_returned_once_and_then_the_end() {
    let inputs = [bytes("one\ntw"), Input::Error(ErrorKind::Interrupted), Input::Pending, bytes("o")];
    let (mut stream, mut buffer) = (reader(inputs.clone()), Vec::new());
    assert_eq!(finish(stream.read_until(b'\n', &mut buffer)).unwrap(), 4);
    assert_eq!(finish(stream.read_until(b'\n', &mut buffer)).unwrap(), 3);
    assert_eq!(finish(stream.read_until(b'\n', &mut buffer)).unwrap(), 0);
    assert_eq!(finish(stream.read_until(b'\n', &mut buffer)).unwrap(), 0);
    assert_eq!(buffer, b"one\ntwo");
    let mut segments = reader(inputs).split(b'\n');
    assert_eq!(finish(segments.next_segment()).unwrap().as_deref(), Some(&b"one"[..]));
    assert_eq!(finish(segments.next_segment()).unwrap().as_deref(), Some(&b"two"[..]));
    assert_eq!(finish(segments.next_segment()).unwrap(), None);
    assert_eq!(finish(segments.next_segment()).unwrap(), None);
}

#[test]
fn a_line_beyond_the_limit_is_found_once_and_the_next_line_follows() {
    let mut stream = reader([bytes("aaaaaaa"), bytes("aa"), bytes("\nok")]).take(4);
    let (mut line, mut found) = (String::new(), Vec::new());
    let mut is_too_long = false;
    loop {
        line.clear();
        stream.set_limit(4);
        let count = finish(stream.read_line(&mut line)).unwrap();
        let is_cut = stream.limit() == 0 && !line.ends_with('\n');
        match (count, is_too_long, is_cut) {
            (0, ..) => break,
            // The rest of a line that was reported.
            (_, true, _) => {}
            (_, false, true) => found.push("too long".to_owned()),
            (_, false, false) => found.push(line.clone()),
        }
        is_too_long = is_cut;
    }
    assert_eq!(found, ["too long", "ok"]);
    assert_eq!(finish(stream.read_line(&mut line)).unwrap(), 0);
}

#[test]
fn empty_lines_and_segments_are_not_the_end() {
    let mut lines = (&b"\n\r\n\na"[..]).lines();
    for expected in ["", "", "", "a"] {
        assert_eq!(finish(lines.next_line()).unwrap().as_deref(), Some(expected));
    }
    assert_eq!(finish(lines.next_line()).unwrap(), None);
    let segments = AsyncBufReadExt::split(&b",,a,"[..], b',');
    let segments: Vec<_> = finish(segments.map(Result::unwrap).collect());
    assert_eq!(segments, [&b""[..], b"", b"a"]);
}

#[test]
fn next_line_and_next_segment_go_on_after_they_were_cancelled() {
    let inputs = [bytes("a"), Input::Pending, bytes("b"), Input::Pending, bytes("\nc"), Input::Pending];
    let mut lines = reader(inputs.clone()).lines();
    cancel(lines.next_line());
    cancel(lines.next_line());
    assert_eq!(finish(lines.next_line()).unwrap().as_deref(), Some("ab"));
    // At the end of the reader, there is the line of the poll before.
    cancel(lines.next_line());
    assert_eq!(finish(lines.next_line()).unwrap().as_deref(), Some("c"));
    assert_eq!(finish(lines.next_line()).unwrap(), None);

    let mut segments = reader(inputs).split(b'\n');
    cancel(segments.next_segment());
    cancel(segments.next_segment());
    assert_eq!(finish(segments.next_segment()).unwrap().as_deref(), Some(&b"ab"[..]));
    cancel(segments.next_segment());
    assert_eq!(finish(segments.next_segment()).unwrap().as_deref(), Some(&b"c"[..]));
    assert_eq!(finish(segments.next_segment()).unwrap(), None);
}

#[test]
fn read_until_goes_on_after_it_was_cancelled_and_counts_anew() {
    let (mut stream, mut line) = (reader([bytes("ab"), Input::Pending, bytes("c\n")]), Vec::new());
    cancel(stream.read_until(b'\n', &mut line));
    assert_eq!(line, b"ab");
    assert_eq!(finish(stream.read_until(b'\n', &mut line)).unwrap(), 2);
    assert_eq!(line, b"abc\n");
}

/// `read_line` is not cancel safe: it loses what it has read, but never what the caller had.
#[test]
fn a_cancelled_read_line_loses_the_beginning_of_the_line_and_not_the_string() {
    let inputs = [bytes("ab"), Input::Pending, bytes("c\n")];
    let (mut stream, mut line) = (reader(inputs), "> ".to_owned());
    cancel(stream.read_line(&mut line));
    assert_eq!(line, "> ");
    assert_eq!(finish(stream.read_line(&mut line)).unwrap(), 2);
    assert_eq!(line, "> c\n");
}

/// Panics when it has no more bytes.
struct Panicking(&'static [u8]);

impl AsyncRead for Panicking {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        if self.0.is_empty() {
            std::panic::resume_unwind(Box::new("no more"));
        }
        Pin::new(&mut self.0).poll_read(cx, buffer)
    }
}

#[test]
fn a_panic_of_the_reader_loses_no_contents_of_the_caller() {
    let panics = |future: &mut dyn FnMut() -> bool| {
        assert!(catch_unwind(AssertUnwindSafe(future)).is_err(), "no panic");
    };
    let (mut text, mut line) = ("> ".to_owned(), b"> ".to_vec());
    let mut stream = BufReader::new(Panicking(b"ab"));
    panics(&mut || drive(1, stream.read_line(&mut text)).is_some());
    assert_eq!(text, "> ");
    panics(&mut || drive(1, stream.read_to_string(&mut text)).is_some());
    assert_eq!(text, "> ");
    let mut stream = BufReader::new(Panicking(b"ab"));
    panics(&mut || drive(1, stream.read_until(b'\n', &mut line)).is_some());
    assert_eq!(line, b"> ab");
    let mut lines = BufReader::new(Panicking(b"ab")).lines();
    panics(&mut || drive(1, lines.next_line()).is_some());
    lines.get_mut().get_mut().0 = b"c\n";
    assert_eq!(finish(lines.next_line()).unwrap().as_deref(), Some("abc"));
}

#[test]
fn fill_buf_shows_what_is_there_until_it_is_consumed() {
    let mut stream = reader([Input::Pending, bytes("abc"), Input::Pending, bytes("d")]);
    cancel(stream.fill_buf());
    assert_eq!(finish(stream.fill_buf()).unwrap(), b"abc");
    AsyncBufReadExt::consume(&mut stream, 2);
    assert_eq!(finish(stream.fill_buf()).unwrap(), b"c");
    // No more than there is.
    AsyncBufReadExt::consume(&mut stream, usize::MAX);
    cancel(stream.fill_buf());
    assert_eq!(finish(stream.fill_buf()).unwrap(), b"d");
    AsyncBufReadExt::consume(&mut stream, 1);
    assert_eq!(finish(stream.fill_buf()).unwrap(), b"");
    let mut stream = reader([reset(), bytes("a")]);
    assert_eq!(finish(stream.fill_buf()).unwrap_err().kind(), ErrorKind::ConnectionReset);
    assert_eq!(finish(stream.fill_buf()).unwrap(), b"a");
}

/// Is ready at every second poll.
struct Fickle {
    bytes: &'static [u8],
    was_ready: bool,
}

impl Fickle {
    fn new(bytes: &'static [u8]) -> Fickle {
        Fickle { bytes, was_ready: false }
    }
}

impl AsyncRead for Fickle {
    fn poll_read(self: Pin<&mut Self>, _: &mut Context<'_>, _: &mut [u8]) -> Poll<io::Result<usize>> {
        Poll::Pending
    }
}

impl AsyncBufRead for Fickle {
    fn poll_fill_buf(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<&[u8]>> {
        self.was_ready = !self.was_ready;
        if self.was_ready { Poll::Ready(Ok(self.bytes)) } else { Poll::Pending }
    }

    fn consume(self: Pin<&mut Self>, _: usize) {}
}

#[test]
#[should_panic(expected = "the reader has bytes in its buffer and is pending nevertheless")]
fn a_buffer_that_comes_and_goes_is_a_panic_that_says_so() {
    drive(1, Fickle::new(b"bytes").fill_buf());
}

/// At its end, a reader may be pending when it is polled again: `empty` is, if that spends the budget.
#[test]
fn fill_buf_polls_a_reader_at_its_end_once() {
    assert_eq!(drive(1, Fickle::new(b"").fill_buf()).unwrap().unwrap(), b"");
    run(async {
        runtime::io::empty().read_to_end(&mut Vec::new()).await.unwrap();
        for _ in 0..1000 {
            assert_eq!(runtime::io::empty().fill_buf().await.unwrap(), b"");
        }
    });
}

#[test]
fn a_line_without_end_lets_other_tasks_have_their_turn() {
    run(async {
        /// Is always ready, and does not spend the budget.
        struct Endless;
        impl AsyncRead for Endless {
            fn poll_read(self: Pin<&mut Self>, _: &mut Context<'_>, _: &mut [u8]) -> Poll<io::Result<usize>> {
                Poll::Ready(Err(ErrorKind::Interrupted.into()))
            }
        }
        impl AsyncBufRead for Endless {
            fn poll_fill_buf(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<&[u8]>> {
                Poll::Ready(Err(ErrorKind::Interrupted.into()))
            }
            fn consume(self: Pin<&mut Self>, _: usize) {}
        }
        let reading = [
            spawn(async { Endless.read_line(&mut String::new()).await.map(drop) }),
            spawn(async { Endless.lines().next_line().await.map(drop) }),
            spawn(async { Endless.read_to_end(&mut Vec::new()).await.map(drop) }),
        ];
        for _ in 0..10 {
            yield_now().await;
        }
        assert!(reading.iter().all(|task| !task.is_finished()));
        reading.iter().for_each(|task| task.abort());
    });
}
