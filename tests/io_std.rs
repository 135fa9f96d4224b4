//! Standard input, output and error, in processes of their own: whatever they are connected to, the loop goes on, and
//! the process ends when it wants to.
#![expect(unsafe_code, reason = "pseudo-terminals, and what the flags of a descriptor are")]

mod net_support;

use futures_lite::future::or;
use net_support::watchdog;
use runtime::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader, copy, stderr, stdin, stdout};
use runtime::task::yield_now;
use runtime::time::{Duration, timeout};
use std::fs::File;
use std::io::{self, BufRead, ErrorKind, Read, Seek, Write};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, ExitStatus, Stdio};

/// The environment variable that tells a child that it is one.
const MARK: &str = "RUNTIME_TEST_STANDARD";

/// Runs the body in the child, which then ends by returning from `main`, as any program does. Returns false in the
/// parent.
fn in_the_child(body: impl FnOnce()) -> bool {
    let is_child = std::env::var_os(MARK).is_some();
    if is_child {
        let _watchdog = watchdog();
        body();
    }
    is_child
}

/// Returns a command that runs this test again, in a child whose descriptors the caller sets.
fn child() -> Command {
    let name = std::thread::current().name().expect("tests run in named threads").to_owned();
    let mut child = Command::new(std::env::current_exe().unwrap());
    child.args(["--exact", &name, "--nocapture", "--test-threads=1"]).env(MARK, "1");
    child.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
    child
}

/// Reads the child's standard error up to a line that contains `word`.
fn wait_for(lines: &mut impl BufRead, word: &str) -> String {
    let mut seen = String::new();
    loop {
        let mut line = String::new();
        if lines.read_line(&mut line).unwrap() == 0 {
            panic!("no {word:?} in what the child said:\n{seen}");
        }
        if line.contains(word) {
            return line;
        }
        seen += &line;
    }
}

fn errors_of(child: &mut Child) -> io::BufReader<std::process::ChildStderr> {
    io::BufReader::new(child.stderr.take().unwrap())
}

fn assert_success(status: ExitStatus, mut errors: impl Read) {
    let mut text = String::new();
    errors.read_to_string(&mut text).unwrap();
    assert!(status.success(), "the child ended with {status}:\n{text}");
}

/// Returns the two ends of a pseudo-terminal: the person's and the program's.
fn terminal() -> (File, File) {
    let (mut person, mut program) = (-1, -1);
    let null = std::ptr::null_mut();
    // SAFETY: the call sets two numbers, and is asked for nothing else.
    let made = unsafe { libc::openpty(&mut person, &mut program, null, null.cast(), null.cast()) };
    assert_eq!(made, 0, "{}", io::Error::last_os_error());
    // SAFETY: the call has just made them.
    unsafe { (File::from_raw_fd(person), File::from_raw_fd(program)) }
}

/// Returns whether the open file, which all its users share, is blocking.
fn is_blocking(file: &impl AsRawFd) -> bool {
    // SAFETY: the descriptor is open.
    let flags = unsafe { libc::fcntl(file.as_raw_fd(), libc::F_GETFL) };
    assert_ne!(flags, -1);
    flags & libc::O_NONBLOCK == 0
}

fn pattern(length: usize) -> Vec<u8> {
    (0..length).map(|n| (n % 251) as u8).collect()
}

fn sum(bytes: &[u8]) -> u64 {
    bytes.iter().enumerate().fold(0, |sum, (at, byte)| sum + (at as u64 + 1) * u64::from(*byte))
}

#[test]
fn whatever_it_is_is_read_to_its_end() {
    if in_the_child(|| {
        let mut input = Vec::new();
        runtime::block_on(async { stdin().read_to_end(&mut input).await }).unwrap();
        eprintln!("read {} {}", input.len(), sum(&input));
    }) {
        return;
    }
    let _watchdog = watchdog();
    let data = pattern(300_000);
    let mut file = tempfile();
    file.write_all(&data).unwrap();
    file.rewind().unwrap();
    let (reader, mut pipe) = io::pipe().unwrap();
    let (end, mut socket) = UnixStream::pair().unwrap();
    let feed = |to: &mut dyn Write| to.write_all(&pattern(300_000)).unwrap();
    type Feed<'a> = Box<dyn FnOnce() + 'a>;
    let cases: [(&str, Stdio, Feed<'_>, usize); 4] = [
        ("a file", file.into(), Box::new(|| ()), data.len()),
        ("nothing", Stdio::null(), Box::new(|| ()), 0),
        ("a pipe", reader.into(), Box::new(move || feed(&mut pipe)), data.len()),
        ("a socket", OwnedFd::from(end).into(), Box::new(move || feed(&mut socket)), data.len()),
    ];
    for (case, input, feed, length) in cases {
        let mut child = child().stdin(input).spawn().unwrap();
        feed();
        let mut errors = errors_of(&mut child);
        let line = wait_for(&mut errors, "read ");
        assert_eq!(line.trim(), format!("read {} {}", length, sum(&data[..length])), "{case}");
        assert_success(child.wait().unwrap(), errors);
    }
}

fn tempfile() -> File {
    let path = std::env::temp_dir().join(format!("runtime-io-std-{}", std::process::id()));
    let file = File::options().read(true).write(true).create(true).truncate(true).open(&path).unwrap();
    std::fs::remove_file(path).unwrap();
    file
}

#[test]
fn a_closed_input_is_at_its_end_and_a_closed_output_takes_all() {
    if in_the_child(|| {
        runtime::block_on(async {
            assert_eq!(stdin().read(&mut [0; 8]).await?, 0);
            stdout().write_all(&[0; 100_000]).await?;
            // The same if they are closed later, when std does not open anything in their place any more.
            let (mut input, mut output) = (stdin(), stdout());
            // SAFETY: nothing else in this process uses them.
            unsafe { assert!(libc::close(0) == 0 && libc::close(1) == 0) };
            assert_eq!(input.read(&mut [0; 8]).await?, 0, "by its duplicate");
            assert_eq!(stdin().read(&mut [0; 8]).await?, 0);
            output.write_all(&[0; 100_000]).await?;
            stdout().write_all(&[0; 100_000]).await?;
            io::Result::Ok(())
        })
        .unwrap();
        eprintln!("all well");
        // The test harness would write to an output that is closed.
        std::process::exit(0);
    }) {
        return;
    }
    let _watchdog = watchdog();
    let mut child = child();
    let closes = || {
        // SAFETY: between fork and exec, only such calls are made as may be.
        unsafe { assert!(libc::close(0) == 0 && libc::close(1) == 0) };
        Ok(())
    };
    // SAFETY: as said.
    unsafe { child.pre_exec(closes) };
    let mut child = child.spawn().unwrap();
    let mut errors = errors_of(&mut child);
    wait_for(&mut errors, "all well");
    assert_success(child.wait().unwrap(), errors);
}

#[test]
fn an_exit_does_not_wait_for_who_says_nothing() {
    if in_the_child(|| {
        runtime::block_on(async {
            let mut input = stdin();
            let read = timeout(Duration::from_millis(20), input.read(&mut [0; 8])).await;
            assert!(read.is_err(), "there is nothing to read: {read:?}");
            // A read is still in progress in a task.
            drop(runtime::spawn(async move { input.read(&mut [0; 8]).await }));
            yield_now().await;
        });
    }) {
        return;
    }
    let _watchdog = watchdog();
    let (reader, pipe) = io::pipe().unwrap();
    let (end, socket) = UnixStream::pair().unwrap();
    let (person, program) = terminal();
    for input in [reader.into(), OwnedFd::from(end).into(), Stdio::from(program)] {
        let mut child = child().stdin(input).spawn().unwrap();
        let errors = errors_of(&mut child);
        assert_success(child.wait().unwrap(), errors);
    }
    drop((pipe, socket, person));
}

#[test]
fn while_input_is_awaited_the_loop_goes_on() {
    if in_the_child(|| {
        runtime::block_on(async {
            let ticks = async {
                for _ in 0..100 {
                    yield_now().await;
                }
                stderr().write_all(b"ticking\n").await.unwrap();
                std::future::pending().await
            };
            let mut word = [0; 16];
            let count = or(async { stdin().read(&mut word).await.unwrap() }, ticks).await;
            assert_eq!(&word[..count], b"at last\n");
        });
    }) {
        return;
    }
    let _watchdog = watchdog();
    let (reader, pipe) = io::pipe().unwrap();
    let (end, socket) = UnixStream::pair().unwrap();
    let (person, program) = terminal();
    let cases: [(Stdio, Box<dyn Write>); 3] = [
        (reader.into(), Box::new(pipe)),
        (OwnedFd::from(end).into(), Box::new(socket)),
        (program.into(), Box::new(person)),
    ];
    for (input, mut writer) in cases {
        let mut child = child().stdin(input).spawn().unwrap();
        let mut errors = errors_of(&mut child);
        wait_for(&mut errors, "ticking");
        writer.write_all(b"at last\n").unwrap();
        assert_success(child.wait().unwrap(), errors);
    }
}

#[test]
fn a_terminal_stays_as_others_know_it() {
    if in_the_child(|| {
        runtime::block_on(async {
            let mut lines = BufReader::new(stdin());
            stdout().write_all(b"waiting\n").await?;
            for expected in ["one\n", "two\n", "three\n"] {
                let mut line = String::new();
                lines.read_line(&mut line).await?;
                assert_eq!(line, expected);
            }
            stderr().write_all(b"got them\n").await?;
            let mut rest = String::new();
            // The person types Ctrl-D.
            lines.read_to_string(&mut rest).await?;
            assert_eq!(rest, "");
            io::Result::Ok(())
        })
        .unwrap();
    }) {
        return;
    }
    let _watchdog = watchdog();
    let (mut person, program) = terminal();
    let mut child =
        child().stdin(program.try_clone().unwrap()).stdout(program.try_clone().unwrap()).spawn().unwrap();
    let mut screen = io::BufReader::new(person.try_clone().unwrap());
    wait_for(&mut screen, "waiting");
    // The kernel reports two lines at once as one event.
    person.write_all(b"one\ntwo\n").unwrap();
    person.write_all(b"three\n").unwrap();
    let mut errors = errors_of(&mut child);
    wait_for(&mut errors, "got them");
    assert!(is_blocking(&program), "while it is used");
    person.write_all(&[4]).unwrap();
    assert_success(child.wait().unwrap(), errors);
    assert!(is_blocking(&program), "and afterwards");
}

#[test]
fn an_output_that_is_full_holds_up_its_writer_alone() {
    const LENGTH: usize = 600_000;
    if in_the_child(|| {
        runtime::block_on(async {
            let mut output = stdout();
            let mut block = &[b'#'; LENGTH][..];
            let writing = async { copy(&mut block, &mut output).await.unwrap() };
            let ticks = async {
                for _ in 0..1000 {
                    yield_now().await;
                }
                stderr().write_all(b"ticking\n").await.unwrap();
                std::future::pending().await
            };
            assert_eq!(or(writing, ticks).await, LENGTH as u64);
            output.flush().await.unwrap();
        });
        eprintln!("written");
    }) {
        return;
    }
    let _watchdog = watchdog();
    let (pipe, end) = io::pipe().unwrap();
    let (socket, other_end) = UnixStream::pair().unwrap();
    let (person, program) = terminal();
    let kept = (end.try_clone().unwrap(), program.try_clone().unwrap());
    let cases: [(&str, Stdio, Box<dyn Read>); 3] = [
        ("a pipe", end.into(), Box::new(pipe)),
        ("a socket", OwnedFd::from(other_end).into(), Box::new(socket)),
        ("a terminal", program.into(), Box::new(person)),
    ];
    for (case, output, mut reader) in cases {
        let mut child = child().stdout(output).spawn().unwrap();
        let mut errors = errors_of(&mut child);
        wait_for(&mut errors, "ticking");
        let (mut marks, mut some) = (0, vec![0; 65536]);
        while marks < LENGTH {
            let count = reader.read(&mut some).unwrap();
            assert_ne!(count, 0, "{case}");
            marks += some[..count].iter().filter(|byte| **byte == b'#').count();
        }
        wait_for(&mut errors, "written");
        assert_success(child.wait().unwrap(), errors);
        assert_eq!(marks, LENGTH, "{case}");
    }
    assert!(is_blocking(&kept.0) && is_blocking(&kept.1));
}

#[test]
fn output_to_a_file_keeps_its_order_and_to_nobody_is_an_error() {
    if in_the_child(|| {
        let is_file = std::env::var(MARK).unwrap() == "file";
        runtime::block_on(async {
            if is_file {
                println!("<one>");
                stdout().write_all(b"<two>\n").await.unwrap();
                println!("<three>");
                stdout().write_all(b"<four>\n").await.unwrap();
            } else {
                let mut output = stdout();
                eprintln!("here");
                let error = loop {
                    if let Err(error) = output.write_all(b"anybody there?").await {
                        break error;
                    }
                };
                assert_eq!(error.kind(), ErrorKind::BrokenPipe);
                eprintln!("nobody");
                std::process::exit(0);
            }
        });
    }) {
        return;
    }
    let _watchdog = watchdog();
    let mut file = tempfile();
    let mut first = child().env(MARK, "file").stdout(file.try_clone().unwrap()).spawn().unwrap();
    let errors = errors_of(&mut first);
    assert_success(first.wait().unwrap(), errors);
    file.rewind().unwrap();
    let mut text = String::new();
    file.read_to_string(&mut text).unwrap();
    assert!(text.contains("<one>\n<two>\n<three>\n<four>\n"), "{text}");

    let (reader, writer) = io::pipe().unwrap();
    let mut second = child().env(MARK, "nobody").stdout(writer).spawn().unwrap();
    let mut errors = errors_of(&mut second);
    wait_for(&mut errors, "here");
    drop(reader);
    wait_for(&mut errors, "nobody");
    assert_success(second.wait().unwrap(), errors);
}
