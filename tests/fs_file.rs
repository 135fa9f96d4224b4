//! Files: what is read, written and sought, in which order, and what is left after an operation that was dropped or has
//! failed.
#![cfg(not(miri))] // Miri has no threads of the pool that reach the disk.

mod common;

use common::process::open_descriptors;
use common::rounds;
use common::temp_path::TempPath;
use common::{poll_once, run, until, watchdog};
use futures_lite::future::zip;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use runtime::fs::{self, File, OpenOptions};
use runtime::io::{AsyncReadExt, AsyncSeekExt, AsyncWriteExt, SeekFrom};
use runtime::{Builder, Runtime};
use std::io::{ErrorKind, Read, Seek, Write};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

const LONG: Duration = Duration::from_secs(10);

fn new_runtime() -> Runtime {
    Builder::new_current_thread().build().unwrap()
}

/// A folder on a disk and, where there is one, a folder in memory, which the kernel does not read without waiting.
fn folders() -> Vec<PathBuf> {
    let in_memory = Path::new("/dev/shm");
    [std::env::temp_dir()].into_iter().chain(in_memory.is_dir().then(|| in_memory.to_owned())).collect()
}

fn pipe() -> (std::io::PipeReader, std::io::PipeWriter) {
    std::io::pipe().unwrap()
}

#[test]
fn a_file_can_be_sent_to_another_thread_and_shared() {
    fn is_send_and_sync<T: Send + Sync>(_: T) {}
    let path = TempPath::file(b"text");
    run(async {
        is_send_and_sync(File::open(&path));
        let mut file = File::open(&path).await.unwrap();
        is_send_and_sync(file.read(&mut [0]));
        is_send_and_sync(file.sync_all());
        is_send_and_sync(file);
    });
}

#[test]
fn what_was_written_is_read_back() {
    let path = TempPath::new();
    run(async {
        assert_eq!(File::open(&path).await.unwrap_err().kind(), ErrorKind::NotFound);
        let mut file = File::create_new(&path).await.unwrap();
        assert_eq!(File::create_new(&path).await.unwrap_err().kind(), ErrorKind::AlreadyExists);
        file.write_all(b"hello").await.unwrap();
        let pieces = [b", ".as_slice(), b"disk"].map(std::io::IoSlice::new);
        assert_eq!(file.write_vectored(&pieces).await.unwrap(), 6);
        // The read waits for the write.
        assert_eq!(file.read(&mut [0; 8]).await.unwrap(), 0);
        assert_eq!(file.stream_position().await.unwrap(), 11);
        file.seek(SeekFrom::End(-4)).await.unwrap();
        let mut text = String::new();
        file.read_to_string(&mut text).await.unwrap();
        assert_eq!(text, "disk");
        assert_eq!(fs::read(&path).await.unwrap(), b"hello, disk");
        let mut log = OpenOptions::new().append(true).open(&path).await.unwrap();
        log.write_all(b"!").await.unwrap();
        log.close().await.unwrap();
        file.read_to_string(&mut text).await.unwrap();
        assert_eq!(text, "disk!");
        File::create(&path).await.unwrap();
        assert_eq!(fs::metadata(&path).await.unwrap().len(), 0);
    });
}

/// One operation of the comparison with std.
#[derive(Clone, Copy, Debug)]
enum Op {
    Read(usize),
    /// A read whose future is dropped after one poll.
    CancelledRead(usize),
    Write(usize),
    /// Two writes, of which the second is dropped after one poll.
    CancelledWrite(usize),
    Seek(SeekFrom),
    CancelledSeek(u64),
    SetLen(u64),
    Position,
    Clone,
}

fn ops() -> impl Strategy<Value = Vec<Op>> {
    let len = 0..3000usize;
    let op = prop_oneof![
        3 => len.clone().prop_map(Op::Read),
        3 => len.clone().prop_map(Op::CancelledRead),
        2 => len.clone().prop_map(Op::Write),
        1 => len.prop_map(Op::CancelledWrite),
        1 => (0..9000u64).prop_map(|to| Op::Seek(SeekFrom::Start(to))),
        1 => (-3000..3000i64).prop_map(|by| Op::Seek(SeekFrom::Current(by))),
        1 => (-3000..100i64).prop_map(|by| Op::Seek(SeekFrom::End(by))),
        1 => (0..9000u64).prop_map(Op::CancelledSeek),
        1 => (0..9000u64).prop_map(Op::SetLen),
        1 => Just(Op::Position),
        1 => Just(Op::Clone),
    ];
    prop::collection::vec(op, 1..40)
}

async fn compare(ours: &Path, theirs: &Path, ops: &[Op], max_buf_size: usize) {
    let contents: Vec<u8> = (0..6000u32).map(|number| (number % 251) as u8).collect();
    for path in [ours, theirs] {
        std::fs::write(path, &contents).unwrap();
    }
    let open = |path: &Path| {
        let mut file = std::fs::File::options().read(true).write(true).open(path).unwrap();
        file.seek(SeekFrom::Start(7)).unwrap();
        file
    };
    let (mut file, mut model) = (File::from_std(open(ours)), open(theirs));
    file.set_max_buf_size(max_buf_size);
    for (number, op) in ops.iter().enumerate() {
        let bytes = |len: usize| vec![number as u8; len];
        match *op {
            Op::Read(len) | Op::CancelledRead(len) => {
                let mut got = bytes(len);
                let count = match op {
                    Op::Read(_) => Some(file.read(&mut got).await.unwrap()),
                    _ => poll_once(file.read(&mut got)).await.map(Result::unwrap),
                };
                if let Some(count) = count {
                    let mut expected = bytes(count);
                    model.read_exact(&mut expected).unwrap();
                    assert_eq!(got[..count], expected);
                    let is_end = model.stream_position().unwrap() >= model.metadata().unwrap().len();
                    assert!(count > 0 || len == 0 || is_end);
                }
            }
            Op::Write(len) => {
                file.write_all(&bytes(len)).await.unwrap();
                model.write_all(&bytes(len)).unwrap();
            }
            Op::CancelledWrite(len) => {
                for _ in 0..2 {
                    let count = poll_once(file.write(&bytes(len))).await.map_or(0, Result::unwrap);
                    model.write_all(&bytes(count)).unwrap();
                }
            }
            Op::Seek(to) => {
                let result = file.seek(to).await.map_err(|error| error.kind());
                assert_eq!(result, model.seek(to).map_err(|error| error.kind()));
            }
            Op::CancelledSeek(to) => {
                _ = poll_once(file.seek(SeekFrom::Start(to))).await;
                assert_eq!(file.seek(SeekFrom::Start(to + 1)).await.unwrap(), to + 1);
                model.seek(SeekFrom::Start(to + 1)).unwrap();
            }
            Op::SetLen(len) => {
                file.set_len(len).await.unwrap();
                model.set_len(len).unwrap();
            }
            Op::Position => {
                assert_eq!(file.stream_position().await.unwrap(), model.stream_position().unwrap());
            }
            Op::Clone => file = file.try_clone().await.unwrap(),
        }
    }
    file.flush().await.unwrap();
    let mut std = file.into_std().await;
    assert_eq!(std.stream_position().unwrap(), model.stream_position().unwrap());
    assert!(std::fs::read(ours).unwrap() == std::fs::read(theirs).unwrap());
}

#[test]
fn the_position_never_drifts_from_that_of_std() {
    let _watchdog = watchdog();
    let runtime = new_runtime();
    let cases = rounds(1000, 150, 1) as u32;
    for folder in folders() {
        let path = |name| folder.join(format!("runtime-test-{name}-{}", std::process::id()));
        let (ours, theirs) = (path("ours"), path("theirs"));
        let config = Config { cases, failure_persistence: None, ..Config::default() };
        let result = TestRunner::new(config).run(&(ops(), 1..4000usize), |(ops, max_buf_size)| {
            runtime.block_on(compare(&ours, &theirs, &ops, max_buf_size));
            Ok(())
        });
        [ours, theirs].iter().for_each(|path| std::fs::remove_file(path).unwrap());
        result.unwrap_or_else(|error| panic!("in {}: {error}", folder.display()));
    }
}

#[test]
fn reading_small_pieces_of_a_file_in_memory_reads_ahead_and_the_position_is_right() {
    let contents: Vec<u8> = (0..300_000u32).map(|number| (number % 253) as u8).collect();
    for folder in folders() {
        let path = folder.join(format!("runtime-test-ahead-{}", std::process::id()));
        std::fs::write(&path, &contents).unwrap();
        run(async {
            let mut file = File::open(&path).await.unwrap();
            let mut piece = [0; 1000];
            for number in 1..=100 {
                file.read_exact(&mut piece).await.unwrap();
                assert!(piece == contents[1000 * (number - 1)..1000 * number]);
            }
            let clone = file.try_clone().await.unwrap();
            let mut clone = clone.into_std().await;
            assert_eq!(clone.stream_position().unwrap(), 100_000);
            // Both move one position.
            file.read_exact(&mut piece).await.unwrap();
            assert_eq!(clone.stream_position().unwrap(), 101_000);
            assert_eq!(file.seek(SeekFrom::Current(-500)).await.unwrap(), 100_500);
            file.read_exact(&mut piece).await.unwrap();
            assert!(piece == contents[100_500..101_500]);
        });
        std::fs::remove_file(&path).unwrap();
    }
}

#[test]
fn methods_of_a_shared_file_come_after_the_writes_before_them() {
    let _watchdog = watchdog();
    let runtime = new_runtime();
    for _ in 0..rounds(1000, 100, 1) {
        let path = TempPath::new();
        runtime.block_on(async {
            let mut file = File::create(&path).await.unwrap();
            file.write_all(b"eleven byte").await.unwrap();
            let clone = file.try_clone().await.unwrap();
            assert_eq!(clone.metadata().await.unwrap().len(), 11);
            file.write_all(b"eleven more").await.unwrap();
            assert_eq!(file.metadata().await.unwrap().len(), 22);
            file.set_len(5).await.unwrap();
            let (one, other) = zip(file.sync_all(), file.sync_data()).await;
            one.and(other).unwrap();
            assert_eq!(std::fs::read(&path).unwrap(), b"eleve");
        });
    }
}

#[test]
fn two_clones_write_whole_records() {
    let path = TempPath::new();
    run(async {
        let file = File::create(&path).await.unwrap();
        let clone = file.try_clone().await.unwrap();
        let records = rounds(1000, 200, 1);
        let write = async |mut file: File, letter: u8| {
            for _ in 0..records {
                assert_eq!(file.write(&[letter; 100]).await.unwrap(), 100);
                file.flush().await.unwrap();
            }
        };
        zip(write(file, b'a'), write(clone, b'b')).await;
        let written = std::fs::read(&path).unwrap();
        assert_eq!(written.len(), 2 * records * 100);
        let records: Vec<_> = written.chunks(100).collect();
        assert!(records.iter().all(|record| record.iter().all(|letter| *letter == record[0])), "torn");
    });
}

#[test]
fn writes_are_finished_when_the_file_and_the_runtime_are_dropped() {
    let _watchdog = watchdog();
    for round in 0..rounds(200, 50, 1) {
        let path = TempPath::new();
        let runtime = new_runtime();
        runtime.block_on(async {
            let mut file = File::create(&path).await.unwrap();
            for _ in 0..=round % 3 {
                file.write_all(&[1; 1000]).await.unwrap();
            }
        });
        match round % 2 {
            0 => drop(runtime),
            _ => runtime.shutdown_timeout(LONG),
        }
        assert_eq!(std::fs::metadata(&path).unwrap().len(), 1000 * (round as u64 % 3 + 1));
    }
}

#[test]
fn a_write_that_is_accepted_while_the_runtime_ends_is_made() {
    struct WriteOnDrop(Option<File>);
    impl Drop for WriteOnDrop {
        fn drop(&mut self) {
            let mut file = self.0.take().unwrap();
            let write = std::pin::pin!(file.write_all(b"last words"));
            let mut cx = std::task::Context::from_waker(std::task::Waker::noop());
            assert!(write.poll(&mut cx).is_ready());
        }
    }
    let _watchdog = watchdog();
    let path = TempPath::new();
    let runtime = new_runtime();
    runtime.block_on(async {
        let words = WriteOnDrop(Some(File::create(&path).await.unwrap()));
        runtime::spawn(async move {
            let _words = words;
            std::future::pending::<()>().await;
        });
        runtime::task::yield_now().await;
    });
    drop(runtime);
    assert_eq!(std::fs::read(&path).unwrap(), b"last words");
}

#[test]
fn dropping_a_file_does_not_wait_for_a_write_and_closes_it_afterwards() {
    common::process::in_child(|| {
        let base = open_descriptors();
        let runtime = new_runtime();
        let (mut reader, writer) = pipe();
        runtime.block_on(async {
            let mut file = File::from(OwnedFd::from(writer));
            let more_than_fits = vec![7; 1 << 20];
            file.write_all(&more_than_fits).await.unwrap();
            assert!(poll_once(file.flush()).await.is_none(), "nobody reads");
            let start = Instant::now();
            drop(file);
            assert!(start.elapsed() < LONG / 2);
        });
        let mut got = Vec::new();
        // The descriptor is closed after the write, and so the pipe has an end.
        assert_eq!(reader.read_to_end(&mut got).unwrap(), 1 << 20);
        drop((reader, runtime));
        assert_eq!(open_descriptors(), base);
    });
}

#[test]
fn a_runtime_in_the_background_does_not_wait_for_a_write_that_does_not_end() {
    let _watchdog = watchdog();
    let (reader, writer) = pipe();
    let runtime = new_runtime();
    runtime.block_on(async {
        let mut file = File::from(OwnedFd::from(writer));
        file.write_all(&vec![7; 1 << 20]).await.unwrap();
        assert!(poll_once(file.flush()).await.is_none(), "nobody reads");
    });
    let start = Instant::now();
    runtime.shutdown_background();
    assert!(start.elapsed() < LONG / 2);
    drop(reader);
}

#[test]
fn a_write_that_has_not_begun_when_the_runtime_is_dropped_is_made() {
    let _watchdog = watchdog();
    let path = TempPath::new();
    let runtime = Builder::new_current_thread().max_blocking_threads(1).build().unwrap();
    runtime.block_on(async {
        let mut file = File::create(&path).await.unwrap();
        let busy = runtime::task::spawn_blocking(|| std::thread::sleep(Duration::from_millis(50)));
        file.write_all(b"waits").await.unwrap();
        drop(busy);
    });
    drop(runtime);
    assert_eq!(std::fs::read(&path).unwrap(), b"waits");
}

#[test]
fn the_error_of_a_write_is_returned_once_and_by_whatever_comes_first() {
    let path = TempPath::file(b"text");
    run(async {
        for way in 0..5 {
            let mut file = File::open(&path).await.unwrap();
            file.write_all(b"cannot be written").await.unwrap();
            let failed = match way {
                0 => file.flush().await,
                1 => file.close().await,
                2 => file.sync_all().await,
                3 => file.sync_data().await,
                _ => file.write_all(b"more").await,
            };
            assert_eq!(failed.unwrap_err().raw_os_error(), Some(libc::EBADF));
            file.flush().await.unwrap();
            // A read after it is not disturbed.
            let mut text = String::new();
            file.read_to_string(&mut text).await.unwrap();
            assert_eq!(text, "text");
        }
        // A read between the write and the flush does not take the error away.
        let mut file = File::open(&path).await.unwrap();
        file.write_all(b"cannot be written").await.unwrap();
        let mut text = String::new();
        file.read_to_string(&mut text).await.unwrap();
        assert_eq!(text, "text");
        assert_eq!(file.flush().await.unwrap_err().raw_os_error(), Some(libc::EBADF));
    });
}

#[test]
#[cfg_attr(not(target_os = "linux"), ignore = "there is no /dev/full")]
fn every_flush_fails_while_the_disk_is_full() {
    run(async {
        let mut file = OpenOptions::new().read(true).write(true).open("/dev/full").await.unwrap();
        file.write_all(b"lost?").await.unwrap();
        for _ in 0..3 {
            assert_eq!(file.flush().await.unwrap_err().kind(), ErrorKind::StorageFull);
        }
        assert_eq!(file.read(&mut [0; 8]).await.unwrap_err().kind(), ErrorKind::StorageFull);
        assert_eq!(file.write(b"more").await.unwrap_err().kind(), ErrorKind::StorageFull);
        assert_eq!(file.seek(SeekFrom::Start(0)).await.unwrap_err().kind(), ErrorKind::StorageFull);
        assert_eq!(file.sync_all().await.unwrap_err().kind(), ErrorKind::StorageFull);
        assert!(file.try_into_std().is_ok());
    });
}

#[test]
fn any_maximum_of_bytes_for_a_call_leaves_them_intact() {
    let path = TempPath::new();
    run(async {
        for max in [1, 3, 1000, 2 << 20] {
            let length = if max < 10 { 500 } else { 5 << 20 };
            let bytes: Vec<u8> = (0..length).map(|number: u32| (number % 249) as u8).collect();
            let mut file = File::create_new(&path).await.unwrap();
            assert_eq!(file.max_buf_size(), 2 << 20);
            file.set_max_buf_size(max);
            let mut count = file.write(&bytes).await.unwrap();
            assert_eq!(count, max.min(bytes.len()));
            // It is changed while a write is in progress.
            file.set_max_buf_size(10 * max);
            while count < bytes.len() {
                count += file.write(&bytes[count..]).await.unwrap();
            }
            file.rewind().await.unwrap();
            file.set_max_buf_size(max);
            let mut got = vec![0; bytes.len()];
            assert!(file.read(&mut got).await.unwrap() <= max);
            file.rewind().await.unwrap();
            file.read_exact(&mut got).await.unwrap();
            assert!(got == bytes);
            drop(file);
            std::fs::remove_file(&path).unwrap();
        }
    });
}

#[test]
#[should_panic(expected = "`max_buf_size` must be greater than 0")]
fn a_maximum_of_no_bytes_is_refused() {
    File::from(OwnedFd::from(pipe().0)).set_max_buf_size(0);
}

#[test]
fn a_file_is_taken_apart_only_when_nothing_is_in_progress() {
    run(async {
        let (mut reader, writer) = pipe();
        let mut file = File::from(OwnedFd::from(writer));
        file.write_all(&vec![7; 1 << 20]).await.unwrap();
        let file = file.try_into_std().unwrap_err();
        let reading = std::thread::spawn(move || {
            let mut got = vec![0; 1 << 20];
            reader.read_exact(&mut got).unwrap();
            reader
        });
        let mut std = file.into_std().await;
        std.write_all(b"and more").unwrap();
        drop(std);
        let mut text = String::new();
        reading.join().unwrap().read_to_string(&mut text).unwrap();
        assert_eq!(text, "and more");
    });
}

#[test]
fn a_cancelled_read_of_a_pipe_loses_nothing() {
    run(async {
        let (reader, mut writer) = pipe();
        let mut file = File::from(OwnedFd::from(reader));
        let mut buffer = [0; 8];
        assert!(poll_once(file.read(&mut buffer)).await.is_none());
        writer.write_all(b"kept").unwrap();
        let count = file.read(&mut buffer[..2]).await.unwrap();
        assert_eq!(&buffer[..count], b"ke");
        drop(writer);
        let mut text = String::new();
        file.read_to_string(&mut text).await.unwrap();
        assert_eq!(text, "pt");
    });
}

#[test]
fn opening_fifos_that_nobody_opens_delays_files_but_no_other_calls() {
    let _watchdog = watchdog();
    let folder = TempPath::folder();
    let runtime = Builder::new_current_thread().max_blocking_threads(8).build().unwrap();
    runtime.block_on(async {
        // Three of eight threads may be used for files at once.
        let fifos: Vec<PathBuf> = (0..4).map(|number| folder.join(number.to_string())).collect();
        let mut opening = Vec::new();
        for fifo in &fifos {
            assert!(std::process::Command::new("mkfifo").arg(fifo).status().unwrap().success());
            opening.push(runtime::spawn(File::open(fifo.clone())));
        }
        let metadata = runtime::spawn(fs::metadata("/"));
        runtime::task::yield_now().await;
        // An open that has not begun is not made.
        let waiting = opening.pop().unwrap();
        waiting.abort();
        assert!(waiting.await.unwrap_err().is_cancelled());
        for _ in 0..20 {
            runtime::task::spawn_blocking(|| ()).await.unwrap();
        }
        assert!(!metadata.is_finished());
        let fifo = fifos[0].clone();
        let _writer = std::fs::File::options().write(true).open(fifo).unwrap();
        assert!(metadata.await.unwrap().unwrap().is_dir());
        for fifo in &fifos[1..3] {
            drop(std::fs::File::options().write(true).open(fifo).unwrap());
        }
        for open in opening {
            open.await.unwrap().unwrap();
        }
    });
    drop(runtime);
}

#[test]
fn a_call_needs_a_runtime_and_says_so() {
    let path = TempPath::file(b"text");
    let call = || futures_lite::future::block_on(fs::read(&path));
    let payload = std::panic::catch_unwind(std::panic::AssertUnwindSafe(call)).unwrap_err();
    let message = common::message(&*payload);
    assert!(message.starts_with("fs::read was called outside of a runtime"), "{message}");
}

#[test]
fn many_small_files_are_read_at_once() {
    let folder = TempPath::folder();
    run(async {
        let count = rounds(2000, 300, 1);
        for number in 0..count {
            std::fs::write(folder.join(number.to_string()), number.to_string()).unwrap();
        }
        let done = common::Count::default();
        for number in 0..count {
            let (path, done) = (folder.join(number.to_string()), done.clone());
            runtime::spawn(async move {
                assert_eq!(fs::read_to_string(path).await.unwrap(), number.to_string());
                done.add();
            });
        }
        until(|| done.get() == count).await;
    });
}
