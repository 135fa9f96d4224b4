//! Pipes, in what is particular to them: names, packets, terminals, and a signal. What they share with other streams
//! is in `stream_laws.rs`.
#![cfg(not(miri))] // Files, children, signals.
#![expect(unsafe_code, reason = "pipes of packets, terminals, and a signal in a process of its own")]

mod net_support;

use futures_lite::future::zip;
use net_support::{CpuTime, in_child, poll_once, run};
use runtime::io::{AsyncReadExt, AsyncWriteExt, Interest};
use runtime::net::unix::pipe::{self, OpenOptions, Receiver, Sender};
use runtime::task::yield_now;
use runtime::{spawn, time};
use std::fs::File;
use std::future::poll_fn;
use std::io::{self, ErrorKind, IoSlice, IoSliceMut, Read, Write};
use std::os::fd::{AsFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::time::Duration;

/// A pipe with a name, whose file is removed at the end.
struct Fifo(PathBuf);

impl Fifo {
    fn new() -> Fifo {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Relaxed);
        let path = std::env::temp_dir().join(format!("runtime-pipe-{}-{number}", std::process::id()));
        assert!(Command::new("mkfifo").arg(&path).status().unwrap().success());
        Fifo(path)
    }
}

impl AsRef<Path> for Fifo {
    fn as_ref(&self) -> &Path {
        &self.0
    }
}

impl Drop for Fifo {
    fn drop(&mut self) {
        std::fs::remove_file(&self.0).unwrap();
    }
}

fn owned(fd: RawFd) -> OwnedFd {
    assert!(fd >= 0, "{}", io::Error::last_os_error());
    // SAFETY: it was just made, and nobody else has it.
    unsafe { OwnedFd::from_raw_fd(fd) }
}

fn is_nonblocking(fd: &impl AsFd) -> bool {
    socket2::SockRef::from(fd).nonblocking().unwrap()
}

#[test]
fn a_child_is_written_to_and_read_from() {
    run(async {
        let mut child = Command::new("cat").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
        let mut input = Sender::from_owned_fd(child.stdin.take().unwrap().into())?;
        let mut output = Receiver::from_owned_fd(child.stdout.take().unwrap().into())?;
        let data: Vec<u8> = (0..1 << 20).map(|n: u32| (n % 251) as u8).collect();
        let mut back = Vec::new();
        let (written, read) = zip(
            async {
                input.write_all(&data).await?;
                drop(input);
                io::Result::Ok(())
            },
            output.read_to_end(&mut back),
        )
        .await;
        written?;
        read?;
        assert!(back == data);
        assert!(child.wait()?.success());
        io::Result::Ok(())
    })
    .unwrap();
}

#[test]
fn a_fifo_is_opened_without_waiting_for_the_other_end() {
    run(async {
        let fifo = Fifo::new();
        let nobody = OpenOptions::new().open_sender(&fifo).unwrap_err();
        assert_eq!(nobody.raw_os_error(), Some(libc::ENXIO));
        let mut receiver = OpenOptions::new().open_receiver(&fifo)?;
        // No process writes: that is the end, until one does.
        assert_eq!(receiver.read(&mut [0; 8]).await?, 0);
        for byte in 0..3 {
            let mut sender = OpenOptions::new().open_sender(&fifo)?;
            let mut buffer = [9; 8];
            assert!(poll_once(receiver.read(&mut buffer)).await.is_none());
            let (count, written) = zip(receiver.read(&mut buffer), async {
                yield_now().await;
                sender.write_all(&[byte; 3]).await
            })
            .await;
            written?;
            assert_eq!((count?, buffer[0]), (3, byte));
            drop(sender);
            for _ in 0..3 {
                assert_eq!(receiver.read(&mut buffer).await?, 0);
            }
        }
        io::Result::Ok(())
    })
    .unwrap();
}

#[test]
#[cfg(any(target_os = "linux", target_os = "android"))]
fn a_fifo_opened_for_both_has_no_end_and_needs_no_reader() {
    run(async {
        let fifo = Fifo::new();
        let mut early = OpenOptions::new().read_write(true).open_sender(&fifo)?;
        early.write_all(b"early").await?;
        let mut receiver = OpenOptions::new().read_write(true).open_receiver(&fifo)?;
        let mut buffer = [0; 8];
        assert_eq!(receiver.read(&mut buffer).await?, 5);
        drop(early);
        assert!(poll_once(receiver.read(&mut buffer)).await.is_none());
        let mut other = OpenOptions::new().open_sender(&fifo)?;
        other.write_all(b"next").await?;
        drop(other);
        assert_eq!(receiver.read(&mut buffer).await?, 4);
        for _ in 0..3 {
            yield_now().await;
            assert!(poll_once(receiver.read(&mut buffer)).await.is_none());
        }
        io::Result::Ok(())
    })
    .unwrap();
}

#[test]
fn what_is_no_pipe_is_refused_unless_unchecked() {
    run(async {
        let null = Path::new("/dev/null");
        for error in [
            OpenOptions::new().open_receiver(null).map(drop).unwrap_err(),
            OpenOptions::new().open_sender(null).map(drop).unwrap_err(),
            Receiver::from_file(File::open(null)?).map(drop).unwrap_err(),
            Sender::from_file(File::options().write(true).open(null)?).map(drop).unwrap_err(),
        ] {
            assert_eq!(error.kind(), ErrorKind::InvalidInput);
            assert_eq!(error.to_string(), "the file is not a pipe");
        }
        let missing = OpenOptions::new().open_receiver("/dev/null/and/beyond").unwrap_err();
        assert_eq!(missing.raw_os_error(), Some(libc::ENOTDIR));
        let mut anything = OpenOptions::new().unchecked(true).open_sender(null)?;
        anything.write_all(b"away").await?;
        let mut anything = OpenOptions::new().unchecked(true).open_receiver(null)?;
        assert_eq!(anything.read(&mut [0; 8]).await?, 0);
        io::Result::Ok(())
    })
    .unwrap();
}

#[test]
fn each_end_is_taken_for_what_it_is() {
    let (reader, writer) = io::pipe().unwrap();
    assert!(!is_nonblocking(&reader) && !is_nonblocking(&writer));
    let (reader, writer) = (OwnedFd::from(reader), OwnedFd::from(writer));
    let error = Sender::from_owned_fd(reader.try_clone().unwrap()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
    assert_eq!(error.to_string(), "the pipe was not opened for writing");
    let error = Receiver::from_owned_fd(writer.try_clone().unwrap()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
    assert_eq!(error.to_string(), "the pipe was not opened for reading");
    assert!(!is_nonblocking(&reader) && !is_nonblocking(&writer), "what was refused is as it was");

    let receiver = Receiver::from_file(reader.into()).unwrap();
    let sender = Sender::from_file(writer.into()).unwrap();
    assert!(is_nonblocking(&receiver) && is_nonblocking(&sender));
    let sender = sender.into_nonblocking_fd().unwrap();
    assert!(is_nonblocking(&sender));
    let sender = Sender::from_owned_fd_unchecked(sender).unwrap().into_blocking_fd().unwrap();
    assert!(!is_nonblocking(&sender));
    // The receiver is registered, and its read was dropped.
    let mut receiver = receiver;
    run(async { assert!(poll_once(receiver.read(&mut [0])).await.is_none()) });
    let receiver = receiver.into_blocking_fd().unwrap();
    assert!(!is_nonblocking(&receiver));
    let (mut receiver, mut sender) = (File::from(receiver), File::from(sender));
    sender.write_all(b"as before").unwrap();
    receiver.read_exact(&mut [0; 9]).unwrap();
}

#[test]
fn readiness_comes_with_the_data_and_goes_with_it() {
    run(async {
        let (sender, receiver) = pipe::pipe()?;
        let mut buffer = [0; 8];
        assert_eq!(receiver.try_read(&mut buffer).unwrap_err().kind(), ErrorKind::WouldBlock);
        assert!(poll_once(receiver.readable()).await.is_none());
        sender.writable().await?;
        assert!(sender.ready(Interest::WRITABLE).await?.is_writable());
        assert_eq!(sender.try_write(b"one")?, 3);
        assert_eq!(sender.try_write_vectored(&[IoSlice::new(b"t"), IoSlice::new(b"wo")])?, 3);
        receiver.readable().await?;
        poll_fn(|cx| receiver.poll_read_ready(cx)).await?;
        assert!(receiver.ready(Interest::READABLE).await?.is_readable());
        assert_eq!(receiver.try_read_vectored(&mut [IoSliceMut::new(&mut buffer)])?, 6);
        assert_eq!(&buffer[..6], b"onetwo");
        let nothing = receiver.try_io(|| io::Result::<()>::Err(ErrorKind::WouldBlock.into()));
        assert_eq!(nothing.unwrap_err().kind(), ErrorKind::WouldBlock);
        assert!(poll_once(receiver.readable()).await.is_none());
        // The pipe is filled, and drained.
        while sender.try_write(&[7; 65536]).is_ok() {}
        assert!(poll_once(sender.writable()).await.is_none());
        assert_eq!(sender.try_io(|| Ok(5)).unwrap_err().kind(), ErrorKind::WouldBlock);
        let mut block = vec![0; 65536];
        let (writable, read) = zip(sender.writable(), (&receiver).read(&mut block)).await;
        writable?;
        assert!(read? > 0);
        poll_fn(|cx| sender.poll_write_ready(cx)).await?;
        assert_eq!(sender.try_io(|| Ok(5))?, 5);
        assert!(format!("{sender:?} {receiver:?}").contains("Sender("));
        io::Result::Ok(())
    })
    .unwrap();
}

#[test]
fn a_writer_without_readers_is_woken_and_told() {
    run(async {
        let (sender, receiver) = pipe::pipe()?;
        while sender.try_write(&[7; 65536]).is_ok() {}
        let waits = spawn(async move {
            sender.writable().await?;
            let ready = sender.ready(Interest::WRITABLE).await?;
            io::Result::Ok((sender, ready))
        });
        yield_now().await;
        yield_now().await;
        assert!(!waits.is_finished());
        drop(receiver);
        let (mut sender, ready) = waits.await.unwrap()?;
        assert!(ready.is_writable() && ready.is_write_closed(), "{ready:?}");
        assert_eq!(sender.try_write(b"x").unwrap_err().kind(), ErrorKind::BrokenPipe);
        assert_eq!(sender.write(b"x").await.unwrap_err().kind(), ErrorKind::BrokenPipe);
        sender.flush().await?;
        sender.close().await?;
        io::Result::Ok(())
    })
    .unwrap();
}

#[test]
fn closing_a_sender_does_not_end_the_stream() {
    run(async {
        let (mut sender, mut receiver) = pipe::pipe()?;
        sender.close().await?;
        sender.write_all(b"still").await?;
        assert_eq!(receiver.read(&mut [0; 8]).await?, 5);
        assert!(poll_once(receiver.read(&mut [0])).await.is_none());
        drop(sender);
        assert_eq!(receiver.read(&mut [0; 8]).await?, 0);
        io::Result::Ok(())
    })
    .unwrap();
}

/// A short read has not emptied the pipe: without another read, the rest would wait for an event that has already
/// been reported.
#[test]
#[cfg(any(target_os = "linux", target_os = "android"))]
fn packets_are_read_one_after_the_other() {
    run(async {
        let mut ends = [-1; 2];
        // SAFETY: the kernel writes two numbers.
        assert_eq!(unsafe { libc::pipe2(ends.as_mut_ptr(), libc::O_DIRECT | libc::O_CLOEXEC) }, 0);
        let mut receiver = Receiver::from_owned_fd(owned(ends[0]))?;
        let mut sender = Sender::from_owned_fd(owned(ends[1]))?;
        let mut buffer = [0; 64];
        for way in ["plainly", "into several buffers", "by the trait of tokio"] {
            assert!(poll_once(receiver.read(&mut buffer)).await.is_none());
            for packet in [&b"one"[..], b"two", b"three"] {
                sender.write_all(packet).await?;
            }
            for length in [3, 3, 5] {
                let count = match way {
                    "plainly" => receiver.read(&mut buffer).await?,
                    "into several buffers" => {
                        receiver.read_vectored(&mut [IoSliceMut::new(&mut buffer)]).await?
                    }
                    _ => tokio::io::AsyncReadExt::read(&mut receiver, &mut buffer).await?,
                };
                assert_eq!(count, length, "{way}");
            }
        }
        io::Result::Ok(())
    })
    .unwrap();
}

/// The same holds for a read through tokio's trait.
#[test]
#[cfg(any(target_os = "linux", target_os = "android"))]
fn packets_are_read_one_after_the_other_by_tokios_trait() {
    run(async {
        let mut ends = [-1; 2];
        // SAFETY: the kernel writes two numbers.
        assert_eq!(unsafe { libc::pipe2(ends.as_mut_ptr(), libc::O_DIRECT | libc::O_CLOEXEC) }, 0);
        let mut receiver = Receiver::from_owned_fd(owned(ends[0]))?;
        let mut sender = Sender::from_owned_fd(owned(ends[1]))?;
        let mut buffer = [0; 64];
        assert!(poll_once(receiver.read(&mut buffer)).await.is_none());
        for packet in [&b"one"[..], b"two", b"three"] {
            sender.write_all(packet).await?;
        }
        for length in [3, 3, 5] {
            let read = tokio::io::AsyncReadExt::read(&mut receiver, &mut buffer);
            assert_eq!(time::timeout(Duration::from_secs(5), read).await??, length);
        }
        io::Result::Ok(())
    })
    .unwrap();
}

/// A short read has not emptied a terminal either, which returns a line at a time.
#[test]
fn lines_of_a_terminal_are_read_one_after_the_other() {
    run(async {
        let (mut master, mut slave) = (-1, -1);
        // SAFETY: the call writes two numbers, and takes the nulls for no name, no modes and no size.
        let made = unsafe {
            libc::openpty(
                &mut master,
                &mut slave,
                std::ptr::null_mut(),
                std::ptr::null_mut(),
                std::ptr::null_mut(),
            )
        };
        assert_eq!(made, 0, "{}", io::Error::last_os_error());
        let (mut master, slave) = (File::from(owned(master)), owned(slave));
        socket2::SockRef::from(&slave).set_nonblocking(true)?;
        let mut receiver = Receiver::from_owned_fd_unchecked(slave)?;
        let mut buffer = [0; 64];
        assert!(poll_once(receiver.read(&mut buffer)).await.is_none());
        master.write_all(b"one\ntwo\nthree\n")?;
        for line in [&b"one\n"[..], b"two\n", b"three\n"] {
            let count = receiver.read(&mut buffer).await?;
            assert_eq!(&buffer[..count], line);
        }
        io::Result::Ok(())
    })
    .unwrap();
}

#[test]
fn a_pipe_without_readers_does_not_turn_the_loop() {
    in_child("a_pipe_without_readers_does_not_turn_the_loop", || {
        run(async {
            let (mut sender, receiver) = pipe::pipe().unwrap();
            let (other, mut reader) = pipe::pipe().unwrap();
            // Both ends are registered, and no task waits for them.
            while sender.try_write(&[7; 65536]).is_ok() {}
            assert!(poll_once(sender.write(b"x")).await.is_none());
            assert!(poll_once(reader.read(&mut [0])).await.is_none());
            drop((receiver, other));
            let cpu_time = CpuTime::new();
            let before = cpu_time.used();
            time::sleep(Duration::from_millis(300)).await;
            let used = cpu_time.used() - before;
            assert!(used < Duration::from_millis(100), "{used:?}");
            assert_eq!(sender.write(b"x").await.unwrap_err().kind(), ErrorKind::BrokenPipe);
            assert_eq!(reader.read(&mut [0]).await.unwrap(), 0);
        });
    });
}

#[test]
fn the_signal_of_a_broken_pipe_is_raised_as_documented() {
    const DIES: &str = "RUNTIME_TEST_DIES_OF_SIGPIPE";
    if std::env::var_os(DIES).is_some() {
        // SAFETY: the default action is no function of ours.
        unsafe { libc::signal(libc::SIGPIPE, libc::SIG_DFL) };
        let (sender, receiver) = pipe::pipe().unwrap();
        drop(receiver);
        let written = sender.try_write(b"x");
        panic!("survived: {written:?}");
    }
    let name = "the_signal_of_a_broken_pipe_is_raised_as_documented";
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", name])
        .env(DIES, "1")
        .output()
        .unwrap();
    assert_eq!(output.status.signal(), Some(libc::SIGPIPE), "{output:?}");
}
