//! Files in the hands of careless callers: descriptors that are no files or that somebody else moves, operations outside
//! of a runtime, wakers that panic, futures that are forgotten, runtimes that end.
#![cfg(not(miri))] // Miri has no threads of the pool that reach the disk.

mod common;

use common::process::{blocking_threads_leave, in_child, open_descriptors};
use common::temp_path::TempPath;
use common::{forget, message, poll_once, rounds, run, watchdog};
use futures_lite::future::{block_on, zip};
use runtime::fs::{self, File};
use runtime::io::{AsyncReadExt, AsyncSeekExt, AsyncWriteExt, SeekFrom};
use runtime::{Builder, Runtime};
use std::cell::Cell;
use std::future::poll_fn;
use std::io::{ErrorKind, Read, Seek, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::process::Command;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

const LONG: Duration = Duration::from_secs(10);

fn new_runtime(max_blocking_threads: usize) -> Runtime {
    Builder::new_current_thread().max_blocking_threads(max_blocking_threads).build().unwrap()
}

/// A file on a file system in memory where there is one: the kernel answers no read of it at once, so that a thread of
/// the pool reads it, and reads ahead.
fn in_memory(name: &str, contents: &[u8]) -> (PathBuf, std::fs::File) {
    let folder = PathBuf::from("/dev/shm");
    let folder = if folder.is_dir() { folder } else { std::env::temp_dir() };
    let path = folder.join(format!("runtime-test-{name}-{}", std::process::id()));
    std::fs::write(&path, contents).unwrap();
    let file = std::fs::File::options().read(true).write(true).open(&path).unwrap();
    (path, file)
}

fn digits(count: usize) -> Vec<u8> {
    (0..count).map(|number| b'0' + (number % 10) as u8).collect()
}

fn fifo(folder: &TempPath) -> (std::fs::File, std::fs::File) {
    let path = folder.join("fifo");
    assert!(Command::new("mkfifo").arg(&path).status().unwrap().success());
    let opening = std::thread::spawn({
        let path = path.clone();
        move || std::fs::File::open(path).unwrap()
    });
    let writer = std::fs::File::options().write(true).open(path).unwrap();
    (opening.join().unwrap(), writer)
}

#[test]
fn what_is_no_regular_file_is_not_read_ahead_so_another_reader_finds_the_rest() {
    let folder = TempPath::folder();
    let (reader, mut writer) = fifo(&folder);
    writer.write_all(&digits(1000)).unwrap();
    drop(writer);
    run(async {
        let mut file = File::from_std(reader);
        let mut got = vec![0; 30];
        for piece in got.chunks_mut(3) {
            file.read_exact(piece).await.unwrap();
        }
        let mut rest = file.into_std().await;
        rest.read_to_end(&mut got).unwrap();
        assert!(got == digits(1000), "{} bytes came", got.len());
    });
}

#[test]
fn a_position_that_another_descriptor_moves_breaks_no_seek() {
    let (path, std) = in_memory("moved", &digits(1000));
    run(async {
        let mut file = File::from_std(std);
        let mut other = std::fs::File::from(file.as_fd().try_clone_to_owned().unwrap());
        let mut piece = [0; 10];
        for _ in 0..2 {
            file.read_exact(&mut piece).await.unwrap();
            file.read_exact(&mut piece).await.unwrap();
            other.rewind().unwrap();
            assert_eq!(file.stream_position().await.unwrap(), 0);
            // Bytes that were read ahead do not keep the file from being moved.
            assert_eq!(file.seek(SeekFrom::Start(5)).await.unwrap(), 5);
            file.read_exact(&mut piece).await.unwrap();
            assert_eq!(&piece, b"5678901234");
            assert_eq!(file.seek(SeekFrom::End(-5)).await.unwrap(), 995);
            file.rewind().await.unwrap();
        }
    });
    std::fs::remove_file(path).unwrap();
}

#[test]
fn a_seek_that_fails_moves_nothing() {
    let (path, std) = in_memory("seek", &digits(1000));
    run(async {
        let mut file = File::from_std(std);
        let mut piece = [0; 10];
        for to in [
            SeekFrom::Start(u64::MAX),
            SeekFrom::Start(1 << 63),
            SeekFrom::Current(i64::MIN),
            SeekFrom::Current(-11),
            SeekFrom::Current(i64::MAX),
            SeekFrom::End(i64::MIN),
            SeekFrom::End(-1001),
        ] {
            file.rewind().await.unwrap();
            file.read_exact(&mut piece[..5]).await.unwrap();
            file.read_exact(&mut piece[5..]).await.unwrap();
            let error = file.seek(to).await.unwrap_err();
            assert!(matches!(error.raw_os_error(), Some(libc::EINVAL | libc::EOVERFLOW)), "{to:?}: {error}");
            assert_eq!(file.stream_position().await.unwrap(), 10, "{to:?}");
            file.read_exact(&mut piece).await.unwrap();
            assert_eq!(piece, *b"0123456789");
        }
        let mut model = std::fs::File::open(&path).unwrap();
        let far = SeekFrom::Start(i64::MAX as u64);
        assert_eq!(file.seek(far).await.map_err(|e| e.kind()), model.seek(far).map_err(|e| e.kind()));
        let read = file.read(&mut piece).await.map_err(|error| error.kind());
        assert_eq!(read, model.read(&mut piece).map_err(|error| error.kind()));
    });
    std::fs::remove_file(path).unwrap();
}

fn panics_outside(what: &str, call: impl FnOnce()) {
    let payload = catch_unwind(AssertUnwindSafe(call)).expect_err(what);
    let message = message(&*payload);
    assert!(message.contains("outside of a runtime"), "{what}: {message}");
}

/// A read is answered at once if the bytes are in memory. Outside of a runtime it panics in either case.
#[test]
fn operations_outside_of_a_runtime_panic_whatever_is_in_memory_and_do_nothing() {
    let path = TempPath::file(b"text");
    let runtime = new_runtime(4);
    let mut file = runtime.block_on(async {
        let mut file = File::options().read(true).write(true).open(&path).await.unwrap();
        file.read_exact(&mut [0; 1]).await.unwrap();
        file
    });
    panics_outside("read", || drop(block_on(file.read(&mut [0; 1]))));
    panics_outside("write", || drop(block_on(file.write(b"never"))));
    panics_outside("flush", || drop(block_on(file.flush())));
    panics_outside("seek", || drop(block_on(file.seek(SeekFrom::Start(0)))));
    panics_outside("metadata", || drop(block_on(file.metadata())));
    runtime.block_on(async {
        file.flush().await.unwrap();
        let mut rest = String::new();
        file.read_to_string(&mut rest).await.unwrap();
        assert_eq!(rest, "ext");
        assert_eq!(fs::read(&path).await.unwrap(), b"text");
    });
}

#[test]
fn a_call_of_the_pool_may_use_a_file_on_an_executor_of_its_own() {
    let path = TempPath::file(b"text");
    let path = path.to_owned();
    run(async {
        let call = runtime::task::spawn_blocking(move || {
            block_on(async {
                let mut file = File::options().read(true).write(true).open(&path).await.unwrap();
                let mut text = String::new();
                file.read_to_string(&mut text).await.unwrap();
                file.write_all(b" and more").await.unwrap();
                file.close().await.unwrap();
                (text, std::fs::read_to_string(path).unwrap())
            })
        });
        assert_eq!(call.await.unwrap(), ("text".to_owned(), "text and more".to_owned()));
    });
}

#[test]
fn a_listing_goes_on_after_a_panic_outside_of_a_runtime() {
    const COUNT: usize = 600;
    let folder = TempPath::folder();
    (0..COUNT).for_each(|number| drop(std::fs::File::create(folder.join(number.to_string())).unwrap()));
    let runtime = new_runtime(4);
    let mut entries = runtime.block_on(fs::read_dir(&folder)).unwrap();
    let mut count = 0;
    // Some entries are there already.
    let outside = AssertUnwindSafe(|| {
        while block_on(entries.next_entry()).unwrap().is_some() {
            count += 1;
        }
    });
    let payload = catch_unwind(outside).unwrap_err();
    assert!(message(&*payload).contains("outside of a runtime"));
    runtime.block_on(async {
        while entries.next_entry().await.unwrap().is_some() {
            count += 1;
        }
    });
    assert_eq!(count, COUNT);
}

struct Panics;

impl Wake for Panics {
    fn wake(self: Arc<Panics>) {
        panic!("the waker panics");
    }
}

#[test]
fn a_waker_that_panics_stops_no_operation() {
    let _watchdog = watchdog();
    let path = TempPath::new();
    let runtime = new_runtime(1);
    runtime.block_on(async {
        let mut file = File::create_new(&path).await.unwrap();
        for _ in 0..20 {
            file.write_all(b"0123456789").await.unwrap();
            {
                let waker = Waker::from(Arc::new(Panics));
                let mut flush = std::pin::pin!(file.flush());
                _ = flush.as_mut().poll(&mut Context::from_waker(&waker));
            }
            file.metadata().await.unwrap();
        }
        file.flush().await.unwrap();
        assert_eq!(file.metadata().await.unwrap().len(), 200);
    });
}

#[test]
fn hooks_that_panic_stop_no_operation() {
    let _watchdog = watchdog();
    let path = TempPath::new();
    let runtime = Builder::new_current_thread()
        .max_blocking_threads(2)
        .thread_keep_alive(Duration::from_nanos(1))
        .on_thread_start(|| panic!("the start"))
        .on_thread_stop(|| panic!("the end"))
        .build()
        .unwrap();
    runtime.block_on(async {
        let mut file = File::create_new(&path).await.unwrap();
        for _ in 0..50 {
            file.write_all(b"0123456789").await.unwrap();
            file.flush().await.unwrap();
        }
        assert_eq!(file.metadata().await.unwrap().len(), 500);
    });
}

#[test]
fn futures_that_are_forgotten_hold_up_nothing() {
    in_child(|| {
        let path = TempPath::file(&digits(100));
        let base = open_descriptors();
        let runtime = new_runtime(1);
        runtime.block_on(async {
            let mut kept = File::options().read(true).write(true).open(&path).await.unwrap();
            let shared = Arc::new(File::open(&path).await.unwrap());
            let file = shared.clone();
            // The only thread is busy, so that neither has ended when it is forgotten.
            let (release, released) = std::sync::mpsc::channel::<()>();
            let busy = runtime::task::spawn_blocking(move || released.recv());
            let mut sync = Box::pin(async move { file.sync_all().await });
            assert!(poll_once(sync.as_mut()).await.is_none());
            forget(sync);
            let mut open = Box::pin(File::open(path.to_owned()));
            assert!(poll_once(open.as_mut()).await.is_none());
            forget(open);
            drop(release);
            busy.await.unwrap().unwrap_err();
            kept.write_all(b"abc").await.unwrap();
            kept.sync_all().await.unwrap();
            shared.metadata().await.unwrap();
        });
        drop(runtime);
        assert_eq!(&std::fs::read(&path).unwrap()[..5], b"abc34");
        // The two files that the forgotten futures own are open.
        // A thread of the pool holds a descriptor of the runtime while it wakes the loop.
        blocking_threads_leave();
        assert!(open_descriptors() <= base + 2);
    });
}

#[test]
fn a_file_moves_between_runtimes_with_a_write_in_progress() {
    let _watchdog = watchdog();
    for round in 0..rounds(300, 50, 1) {
        let path = TempPath::new();
        let first = new_runtime(1);
        let mut file = first.block_on(async {
            let mut file = File::create_new(&path).await.unwrap();
            file.write_all(&[b'a'; 5000]).await.unwrap();
            file
        });
        let second = std::thread::spawn(move || {
            let runtime = new_runtime(1);
            runtime.block_on(async {
                file.write_all(&[b'b'; 5000]).await.unwrap();
                if round % 3 == 0 {
                    file.flush().await.unwrap();
                }
                file.write_all(&[b'c'; 5000]).await.unwrap();
            });
        });
        if round % 2 == 0 {
            drop(first);
            second.join().unwrap();
        } else {
            second.join().unwrap();
            drop(first);
        }
        let written = std::fs::read(&path).unwrap();
        let expected = [b'a', b'b', b'c'].map(|letter| [letter; 5000]).concat();
        assert!(written == expected, "round {round}: {} bytes", written.len());
    }
}

#[test]
fn a_copy_of_a_fifo_is_refused_and_waits_for_nobody() {
    let _watchdog = watchdog();
    let folder = TempPath::folder();
    let path = folder.join("fifo");
    assert!(Command::new("mkfifo").arg(&path).status().unwrap().success());
    let runtime = new_runtime(1);
    runtime.block_on(async {
        let copy = fs::copy(&path, folder.join("copy"));
        let error =
            runtime::time::timeout(LONG, copy).await.expect("nobody opens the other end").unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
        assert!(!fs::try_exists(folder.join("copy")).await.unwrap());
        assert_eq!(fs::copy("/", folder.join("copy")).await.unwrap_err().kind(), ErrorKind::InvalidInput);
    });
}

#[test]
fn a_descriptor_that_does_not_wait_returns_would_block_and_loses_nothing() {
    let (ours, mut theirs) = std::os::unix::net::UnixStream::pair().unwrap();
    ours.set_nonblocking(true).unwrap();
    run(async {
        let mut file = File::from(OwnedFd::from(ours));
        assert_eq!(file.read(&mut [0; 8]).await.unwrap_err().kind(), ErrorKind::WouldBlock);
        let bytes = digits(1 << 20);
        file.write_all(&bytes).await.unwrap();
        assert_eq!(file.flush().await.unwrap_err().kind(), ErrorKind::WouldBlock);
        let mut got = vec![0; 1 << 20];
        let mut filled = 0;
        while filled < got.len() {
            filled += theirs.read(&mut got[filled..]).unwrap();
            let flushed = file.flush().await.map_err(|error| error.kind());
            assert!(matches!(flushed, Ok(()) | Err(ErrorKind::WouldBlock)));
        }
        assert!(got == bytes);
        file.flush().await.unwrap();
    });
}

#[test]
fn two_operations_of_one_file_end_in_any_order_of_their_polls() {
    let path = TempPath::new();
    run(async {
        let mut file = File::create_new(&path).await.unwrap();
        file.write_all(b"0123456789").await.unwrap();
        let mut sync = std::pin::pin!(file.sync_all());
        let early = poll_once(sync.as_mut()).await;
        let (metadata, permissions) = zip(file.metadata(), file.set_len(5)).await;
        assert_eq!(metadata.unwrap().len(), 10);
        permissions.unwrap();
        match early {
            Some(synced) => synced.unwrap(),
            None => sync.await.unwrap(),
        }
        assert_eq!(file.metadata().await.unwrap().len(), 5);
    });
}

#[test]
fn a_budget_that_is_spent_stops_a_task_that_reads_what_is_in_memory() {
    let path = TempPath::file(&digits(1000));
    run(async {
        let mut file = File::open(&path).await.unwrap();
        let turns = Rc::new(Cell::new(0));
        let counted = turns.clone();
        let other = runtime::spawn(poll_fn(move |cx| {
            counted.set(counted.get() + 1);
            cx.waker().wake_by_ref();
            Poll::<()>::Pending
        }));
        runtime::task::yield_now().await;
        let before = turns.get();
        for _ in 0..500 {
            file.read_exact(&mut [0; 2]).await.unwrap();
        }
        assert!(turns.get() > before);
        other.abort();
    });
}
