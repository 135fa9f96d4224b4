//! The same random programs on tokio's helpers and on those of `runtime::io`, over the same scripted streams. The
//! results and the contents of all buffers are the same after every step, also after an error and after a future was
//! dropped before it was ready. What is left of the script is the same at the end.
#![cfg(not(miri))] // Thousands of programs.

mod io_scripts;

use io_scripts::{Input, Output, Scripted, drive};
use proptest::collection::vec;
use proptest::prelude::*;
use std::fmt::Debug;
use std::io::{self, ErrorKind, SeekFrom};

/// One step of a program. It is polled at most so many times.
#[derive(Clone, Debug)]
struct Step {
    polls: usize,
    call: Call,
}

#[derive(Clone, Debug)]
enum Call {
    Read(usize),
    ReadBuf { contents: usize, capacity: usize },
    ReadIntoSlice(usize),
    ReadExact(usize),
    ReadNumber(usize),
    ReadToEnd(usize),
    ReadToString,
    ReadUntil(u8),
    ReadLine,
    FillBuf(usize),
    Lines(usize),
    Split(usize, u8),
    TakeToEnd(u64),
    TakeLine(u64),
    ChainToEnd(usize),
    Write(Vec<u8>),
    WriteVectored(Vec<Vec<u8>>),
    WriteBuf(Vec<u8>, Vec<u8>),
    WriteAll(Vec<u8>),
    WriteAllBuf(Vec<u8>, Vec<u8>),
    WriteNumber(usize, u128),
    Flush,
    Shutdown,
}

/// The number of methods that read a number, and of those that write one.
const NUMBERS: usize = 22;

/// The outcome of a step: its result, if it was ready, and the buffers that it was given.
fn record<T: Debug>(result: Option<io::Result<T>>, buffers: impl Debug) -> String {
    let result = result.map(|result| result.map_err(|error| text(&error)));
    format!("{result:?} {buffers:?}")
}

fn text(error: &io::Error) -> String {
    format!("{:?}: {error}", error.kind())
}

/// Reads the number of a method. Numbers are compared by their bytes, since a floating-point number may be NaN.
macro_rules! read_number {
    ($stream:expr, $polls:expr, $method:expr; $($at:literal $name:ident)*) => {
        match $method {
            $($at => {
                let result = drive($polls, $stream.$name());
                record(result.map(|result| result.map(|number| number.to_ne_bytes().to_vec())), $at)
            })*
            _ => unreachable!("there are {NUMBERS} methods"),
        }
    };
}

macro_rules! write_number {
    ($stream:expr, $polls:expr, $method:expr, $number:expr; $($at:literal $name:ident $type:ident,)*) => {
        match $method {
            $($at => record(drive($polls, $stream.$name($number as $type)), $at),)*
            _ => unreachable!("there are {NUMBERS} methods"),
        }
    };
}

/// The programs, for one family of traits.
macro_rules! family {
    ($family:ident) => {
        mod $family {
            use super::*;
            use ::$family::io::{AsyncBufRead, AsyncRead, AsyncSeek, AsyncWrite};
            use ::$family::io::{AsyncBufReadExt, AsyncReadExt, AsyncSeekExt, AsyncWriteExt};
            use ::$family::io::{BufReader, BufStream, BufWriter};
            use bytes::Buf;

            pub(super) fn buffered(stream: Scripted, sizes: (usize, usize), steps: &[Step]) -> Vec<String> {
                let mut stream = BufStream::with_capacity(sizes.0, sizes.1, stream);
                let mut records: Vec<_> = steps.iter().map(|step| buffered_step(&mut stream, step)).collect();
                records.push(format!("{:?}", stream.into_inner()));
                records
            }

            pub(super) fn direct(mut stream: Scripted, steps: &[Step]) -> Vec<String> {
                let mut records: Vec<_> = steps.iter().map(|step| direct_step(&mut stream, step)).collect();
                records.push(format!("{stream:?}"));
                records
            }

            fn buffered_step<S: AsyncBufRead + AsyncWrite + Unpin>(stream: &mut S, step: &Step) -> String {
                let polls = step.polls;
                match step.call {
                    Call::ReadUntil(delimiter) => {
                        let mut buffer = b"x".to_vec();
                        record(drive(polls, stream.read_until(delimiter, &mut buffer)), buffer)
                    }
                    Call::ReadLine => {
                        let mut line = String::new();
                        record(drive(polls, stream.read_line(&mut line)), line)
                    }
                    Call::TakeLine(limit) => {
                        let (mut line, mut stream) = (String::new(), stream.take(limit));
                        let result = drive(polls, stream.read_line(&mut line));
                        record(result, (line, stream.limit()))
                    }
                    Call::FillBuf(most) => {
                        let result = drive(polls, stream.fill_buf()).map(|result| result.map(<[u8]>::to_vec));
                        if let Some(Ok(bytes)) = &result {
                            stream.consume(most.min(bytes.len()));
                        }
                        record(result, ())
                    }
                    Call::Lines(count) => {
                        let mut lines = stream.lines();
                        (0..count).map(|_| record(drive(polls, lines.next_line()), ())).collect()
                    }
                    Call::Split(count, delimiter) => {
                        let mut segments = AsyncBufReadExt::split(stream, delimiter);
                        (0..count).map(|_| record(drive(polls, segments.next_segment()), ())).collect()
                    }
                    _ => direct_step(stream, step),
                }
            }

            fn direct_step<S: AsyncRead + AsyncWrite + Unpin>(mut stream: &mut S, step: &Step) -> String {
                let polls = step.polls;
                match &step.call {
                    Call::Read(length) => {
                        let mut buffer = vec![0; *length];
                        record(drive(polls, stream.read(&mut buffer)), buffer)
                    }
                    Call::ReadBuf { contents, capacity } => {
                        let mut buffer = Vec::with_capacity(*capacity);
                        buffer.resize(*contents, b'x');
                        record(drive(polls, stream.read_buf(&mut buffer)), buffer)
                    }
                    Call::ReadIntoSlice(length) => {
                        let mut memory = vec![0; *length];
                        let mut buffer = &mut memory[..];
                        let result = drive(polls, stream.read_buf(&mut buffer));
                        let left = buffer.len();
                        record(result, (memory, left))
                    }
                    Call::ReadExact(length) => {
                        let mut buffer = vec![0; *length];
                        record(drive(polls, stream.read_exact(&mut buffer)), buffer)
                    }
                    Call::ReadNumber(method) => read_number!(
                        stream, polls, *method;
                        0 read_u8 1 read_i8 2 read_u16 3 read_i16 4 read_u32 5 read_i32 6 read_u64
                        7 read_i64 8 read_u128 9 read_i128 10 read_f32 11 read_f64 12 read_u16_le
                        13 read_i16_le 14 read_u32_le 15 read_i32_le 16 read_u64_le 17 read_i64_le
                        18 read_u128_le 19 read_i128_le 20 read_f32_le 21 read_f64_le
                    ),
                    Call::ReadToEnd(contents) => {
                        let mut buffer = vec![b'x'; *contents];
                        record(drive(polls, stream.read_to_end(&mut buffer)), buffer)
                    }
                    Call::ReadToString => {
                        let mut text = String::new();
                        record(drive(polls, stream.read_to_string(&mut text)), text)
                    }
                    Call::TakeToEnd(limit) => {
                        let (mut buffer, mut stream) = (Vec::new(), stream.take(*limit));
                        let result = drive(polls, stream.read_to_end(&mut buffer));
                        record(result, (buffer, stream.limit()))
                    }
                    Call::ChainToEnd(length) => {
                        let (mut buffer, first) = (Vec::new(), vec![b'x'; *length]);
                        let mut chain = AsyncReadExt::chain(&first[..], stream);
                        let none = drive(polls, chain.read(&mut []));
                        let result = drive(polls, chain.read_to_end(&mut buffer));
                        record(result, (record(none, ()), buffer))
                    }
                    Call::Write(bytes) => record(drive(polls, stream.write(bytes)), ()),
                    Call::WriteVectored(buffers) => {
                        let buffers: Vec<_> = buffers.iter().map(|buffer| io::IoSlice::new(buffer)).collect();
                        record(drive(polls, stream.write_vectored(&buffers)), ())
                    }
                    Call::WriteBuf(first, second) => {
                        let mut buffer = Buf::chain(&first[..], &second[..]);
                        let result = drive(polls, stream.write_buf(&mut buffer));
                        record(result, buffer.copy_to_bytes(buffer.remaining()))
                    }
                    Call::WriteAll(bytes) => record(drive(polls, stream.write_all(bytes)), ()),
                    Call::WriteAllBuf(first, second) => {
                        let mut buffer = Buf::chain(&first[..], &second[..]);
                        let result = drive(polls, stream.write_all_buf(&mut buffer));
                        record(result, buffer.copy_to_bytes(buffer.remaining()))
                    }
                    Call::WriteNumber(method, number) => {
                        write_number!(
                            stream, polls, *method, *number;
                            0 write_u8 u8, 1 write_i8 i8, 2 write_u16 u16, 3 write_i16 i16, 4 write_u32 u32,
                            5 write_i32 i32, 6 write_u64 u64, 7 write_i64 i64, 8 write_u128 u128,
                            9 write_i128 i128, 10 write_f32 f32, 11 write_f64 f64, 12 write_u16_le u16,
                            13 write_i16_le i16, 14 write_u32_le u32, 15 write_i32_le i32,
                            16 write_u64_le u64, 17 write_i64_le i64, 18 write_u128_le u128,
                            19 write_i128_le i128, 20 write_f32_le f32, 21 write_f64_le f64,
                        )
                    }
                    Call::Flush => record(drive(polls, stream.flush()), ()),
                    Call::Shutdown => record(drive(polls, AsyncWriteExt::shutdown(&mut stream)), ()),
                    call => unreachable!("{call:?} is for buffered streams"),
                }
            }

            /// Reads between seeks, and writes between seeks.
            pub(super) fn seeking<R, W>(reader: R, writer: W, size: usize, steps: &[SeekStep]) -> Vec<String>
            where
                R: AsyncRead + AsyncSeek + Unpin,
                W: AsyncWrite + AsyncSeek + Unpin + Debug,
            {
                let mut reader = BufReader::with_capacity(size, reader);
                let mut writer = BufWriter::with_capacity(size, writer);
                let mut records = Vec::new();
                for step in steps {
                    let mut bytes = vec![0; step.length];
                    records.push(record(drive(1, reader.read(&mut bytes)), bytes));
                    records.push(record(drive(1, reader.seek(step.position)), reader.buffer()));
                    records.push(record(drive(1, writer.write(&vec![b'x'; step.length])), writer.buffer()));
                    records.push(record(drive(1, writer.seek(step.position)), writer.buffer()));
                }
                records.push(record(drive(1, reader.stream_position()), ()));
                records.push(record(drive(1, writer.rewind()), writer.get_ref()));
                records
            }
        }
    };
}

family!(runtime);
family!(tokio);

/// A read of so many bytes, and then a seek.
#[derive(Clone, Debug)]
struct SeekStep {
    length: usize,
    position: SeekFrom,
}

fn errors() -> impl Strategy<Value = ErrorKind> {
    prop_oneof![
        Just(ErrorKind::Interrupted),
        Just(ErrorKind::Interrupted),
        Just(ErrorKind::ConnectionReset),
        Just(ErrorKind::WouldBlock),
    ]
}

/// Bytes with many delimiters, and with pieces of characters. Shorter than 32 bytes: tokio reads so many at once where
/// it does not know how many will come.
fn contents(most: usize) -> impl Strategy<Value = Vec<u8>> {
    vec(prop::sample::select(b"aabc\n\n\r\xC3\xA9".to_vec()), 1..most)
}

fn scripts() -> impl Strategy<Value = Scripted> {
    let input = prop_oneof![
        5 => contents(24).prop_map(Input::Bytes),
        2 => Just(Input::Pending),
        1 => errors().prop_map(Input::Error),
    ];
    let output = prop_oneof![
        6 => (1..12usize).prop_map(Output::Accept),
        3 => Just(Output::Pending),
        1 => Just(Output::Accept(0)),
        1 => errors().prop_map(Output::Error),
    ];
    (vec(input, 0..12), vec(output, 0..12)).prop_map(|(inputs, outputs)| Scripted {
        inputs: inputs.into(),
        outputs: outputs.into(),
        written: Vec::new(),
    })
}

fn direct_calls() -> impl Strategy<Value = Call> {
    prop_oneof![
        (0..40usize).prop_map(Call::Read),
        (0..40usize, 0..80usize).prop_map(|(contents, capacity)| Call::ReadBuf { contents, capacity }),
        (0..40usize).prop_map(Call::ReadIntoSlice),
        (0..20usize).prop_map(Call::ReadExact),
        (0..NUMBERS).prop_map(Call::ReadNumber),
        (0..40usize).prop_map(Call::ReadToEnd),
        Just(Call::ReadToString),
        (0..30u64).prop_map(Call::TakeToEnd),
        (0..3usize).prop_map(Call::ChainToEnd),
        contents(20).prop_map(Call::Write),
        vec(contents(8), 0..4).prop_map(Call::WriteVectored),
        (contents(8), contents(8)).prop_map(|(first, second)| Call::WriteBuf(first, second)),
        contents(20).prop_map(Call::WriteAll),
        (contents(8), contents(8)).prop_map(|(first, second)| Call::WriteAllBuf(first, second)),
        (0..NUMBERS, any::<u128>()).prop_map(|(method, number)| Call::WriteNumber(method, number)),
        Just(Call::Flush),
        Just(Call::Shutdown),
    ]
}

fn buffered_calls() -> impl Strategy<Value = Call> {
    prop_oneof![
        2 => direct_calls(),
        1 => prop_oneof![
            Just(Call::ReadUntil(b'c')),
            Just(Call::ReadLine),
            (0..12u64).prop_map(Call::TakeLine),
            (0..20usize).prop_map(Call::FillBuf),
            (1..5usize).prop_map(Call::Lines),
            (1..5usize, prop::sample::select(b"ac\n".to_vec())).prop_map(|(count, byte)| Call::Split(count, byte)),
        ],
    ]
}

/// Steps that are polled once, a few times, or until they are ready.
fn steps(calls: impl Strategy<Value = Call>) -> impl Strategy<Value = Vec<Step>> {
    let polls = prop_oneof![Just(1usize), 1..4usize, Just(1000usize)];
    vec((polls, calls).prop_map(|(polls, call)| Step { polls, call }), 1..12)
}

fn seek_steps() -> impl Strategy<Value = Vec<SeekStep>> {
    let near = -40..40i64;
    let offset = || prop_oneof![8 => near.clone(), 1 => Just(i64::MIN), 1 => Just(i64::MIN + 3)];
    let position = prop_oneof![
        (0..60u64).prop_map(SeekFrom::Start),
        offset().prop_map(SeekFrom::Current),
        offset().prop_map(SeekFrom::End),
    ];
    vec((0..20usize, position).prop_map(|(length, position)| SeekStep { length, position }), 1..12)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1500))]

    #[test]
    fn streams_without_buffers(script in scripts(), steps in steps(direct_calls())) {
        prop_assert_eq!(runtime::direct(script.clone(), &steps), tokio::direct(script, &steps));
    }

    #[test]
    fn streams_with_buffers(
        script in scripts(),
        sizes in (1..=32usize, 0..=32usize),
        steps in steps(buffered_calls()),
    ) {
        prop_assert_eq!(runtime::buffered(script.clone(), sizes, &steps), tokio::buffered(script, sizes, &steps));
    }

    #[test]
    fn seeks(size in 1..=24usize, steps in seek_steps()) {
        let memory: Vec<u8> = (0..50).collect();
        let ours = || ::runtime::io::Cursor::new(memory.clone());
        let theirs = || io::Cursor::new(memory.clone());
        prop_assert_eq!(
            runtime::seeking(ours(), ours(), size, &steps),
            tokio::seeking(theirs(), theirs(), size, &steps)
        );
    }
}
