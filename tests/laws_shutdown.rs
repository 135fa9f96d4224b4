//! Law: everything is given back. A runtime that is dropped drops its tasks on their own thread and
//! closes what it opened, even if a handle or a waker still exists, and wherever the runtime is dropped.
#![expect(unsafe_code, reason = "dup2, to close a descriptor behind its owner's back")]

mod common;

use common::guards::{Drops, NotSend};
use common::heap::{Counting, live_bytes};
use common::process::{exit_of_child, in_child, open_descriptors};
use common::{
    Count, CountOnDrop, CountingWaker, OnDrop, WakerSlot, own_waker, panic_quietly, poll_once, run, watchdog,
    yield_times,
};
use runtime::io::{AsyncReadExt, AsyncWriteExt};
use runtime::net::{AsyncFd, TcpListener, TcpStream};
use runtime::task::{JoinHandle, yield_now};
use runtime::{Handle, Runtime, spawn, time};
use std::cell::{Cell, OnceCell, RefCell};
use std::future::pending;
use std::io::{self, Read, Write};
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::sync::Mutex;
use std::sync::mpsc::channel;
use std::task::{Context, Waker};
use std::thread;
use std::time::Duration;

#[global_allocator]
static HEAP: Counting = Counting;

fn noop() -> Context<'static> {
    Context::from_waker(Waker::noop())
}

/// Returns two ends of a connection: the runtime's, and std's.
fn half_std_pair() -> (TcpStream, std::net::TcpStream) {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let other = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    (TcpStream::from_std(listener.accept().unwrap().0).unwrap(), other)
}

/// Keeps a pointer to something that is leaked on purpose, where a leak checker finds it.
fn keep_for_ever<T>(leaked: *const T) {
    static KEPT: Mutex<Vec<usize>> = Mutex::new(Vec::new());
    KEPT.lock().unwrap().push(leaked.expose_provenance());
}

/// Makes a runtime, with everything that may be left over when it is dropped.
fn a_busy_runtime(drops: &Count, sockets: bool) {
    let runtime = Runtime::new().unwrap();
    let tasks = runtime.block_on(async {
        let all = Rc::new(RefCell::new(Vec::<Waker>::new()));
        let tasks: Vec<JoinHandle<()>> = (0..4)
            .map(|n| {
                let (all, dropped) = (all.clone(), CountOnDrop(drops.clone()));
                spawn(async move {
                    let _dropped = dropped;
                    // The task keeps its own waker, and through the shared state those of the others.
                    let own = own_waker().await;
                    all.borrow_mut().push(own.clone());
                    match n {
                        0 => time::sleep(Duration::from_secs(3600)).await,
                        1 if sockets => {
                            let (mut stream, _other) = half_std_pair();
                            drop(stream.read(&mut [0; 8]).await);
                        }
                        2 => drop(spawn(pending::<()>()).await),
                        _ => pending().await,
                    }
                    drop((own, all));
                })
            })
            .collect();
        yield_times(3).await;
        assert_eq!(all.borrow().len(), 4);
        tasks
    });
    drop(runtime.handle().spawn(async {})); // stays in the inbox
    drop(runtime.spawn(async {})); // stays in the queue
    drop(runtime);
    drop(tasks);
}

#[test]
#[cfg_attr(miri, ignore = "starts a process, and counts its descriptors")]
fn ten_thousand_runtimes_leave_nothing_behind() {
    const RUNTIMES: usize = 10_000;
    in_child(|| {
        let drops = Count::default();
        (0..64).for_each(|_| a_busy_runtime(&drops, true));
        let (descriptors, bytes, dropped) = (open_descriptors(), live_bytes(), drops.get());
        (0..RUNTIMES).for_each(|round| a_busy_runtime(&drops, round % 8 == 0));
        assert_eq!(drops.get() - dropped, 4 * RUNTIMES);
        assert_eq!(open_descriptors(), descriptors);
        // The table of all runtimes has a word for each number; numbers come round after 65,535,
        // and a vector may be twice as long as need be.
        let grown = live_bytes() - bytes;
        assert!(grown <= 16 * RUNTIMES as isize + 4096, "{grown} bytes");
    });
}

#[test]
fn a_few_runtimes_leave_nothing_behind() {
    let drops = Count::default();
    (0..3).for_each(|_| a_busy_runtime(&drops, false));
    assert_eq!(drops.get(), 12);
}

#[test]
fn tasks_are_dropped_on_their_own_thread() {
    let _watchdog = watchdog();
    let drops = Drops::default();
    let runtime = Runtime::new().unwrap();
    let handle = runtime.handle().clone();
    let guard = NotSend::new(&drops);
    drop(runtime.spawn(async move { drop(guard) }));
    let guard = NotSend::new(&drops);
    let waker = runtime.block_on(async {
        let slot = WakerSlot::default();
        let waits = slot.wait(&Count::default());
        drop(spawn(async move {
            let _guard = guard;
            waits.await;
        }));
        yield_now().await;
        slot.get()
    });
    let guard = NotSend::new(&drops);
    drop(runtime.spawn(async move { drop(guard) }));
    // Another thread wakes the waiting task and spawns further ones, but none of them is polled.
    thread::spawn(move || {
        waker.wake();
        drop(handle.spawn(async { panic_quietly("polled after the last turn") }));
    })
    .join()
    .unwrap();
    drop(runtime);
    assert_eq!(*drops.lock().unwrap(), vec![thread::current().id(); 3]);
}

#[test]
fn what_is_spawned_while_the_runtime_goes_is_dropped_unpolled() {
    let _watchdog = watchdog();
    let (polls, drops) = (Count::default(), Count::default());
    let spawned = Rc::new(RefCell::new(None::<JoinHandle<()>>));
    let runtime = Runtime::new().unwrap();
    runtime.block_on(async {
        let guard = OnDrop::new({
            let (polls, drops, spawned) = (polls.clone(), drops.clone(), spawned.clone());
            move || {
                let dropped = CountOnDrop(drops.clone());
                let task = spawn(async move {
                    let _dropped = dropped;
                    polls.add();
                });
                assert_eq!(drops.get(), 1, "at once");
                assert!(task.is_finished());
                task.abort();
                spawned.replace(Some(task));
            }
        });
        drop(spawn(async move {
            let _guard = guard;
            pending::<()>().await;
        }));
        yield_now().await;
    });
    drop(runtime);
    assert_eq!((polls.get(), drops.get()), (0, 1));
    let task = spawned.take().unwrap();
    assert!(run(task).unwrap_err().is_cancelled());
}

#[test]
fn while_the_runtime_goes_sockets_timers_and_handles_still_work() {
    let _watchdog = watchdog();
    let done = Count::default();
    let (mut ours, mut other) = half_std_pair();
    let runtime = Runtime::new().unwrap();
    runtime.block_on(async {
        let (sibling_dropped, sibling_slot) = (CountOnDrop(done.clone()), WakerSlot::default());
        let waits = sibling_slot.wait(&Count::default());
        let sibling = spawn(async move {
            let _dropped = sibling_dropped;
            waits.await;
        });
        assert!(pin!(ours.read(&mut [0; 8])).poll(&mut noop()).is_pending());
        let guard = OnDrop::new({
            let done = done.clone();
            move || {
                sibling_slot.get().wake();
                sibling.abort();
                drop(sibling);
                assert!(Handle::try_current().is_ok());
                assert!(!Handle::current().spawn(async {}).id().to_string().is_empty());
                assert!(pin!(time::sleep(Duration::from_secs(1))).poll(&mut noop()).is_pending());
                assert!(pin!(ours.write(b"goodbye")).poll(&mut noop()).is_ready());
                assert!(pin!(ours.read(&mut [0; 8])).poll(&mut noop()).is_pending());
                drop(ours);
                done.add();
            }
        });
        drop(spawn(async move {
            let _guard = guard;
            pending::<()>().await;
        }));
        yield_now().await;
    });
    drop(runtime);
    assert_eq!(done.get(), 2, "the guard came to its end, and the sibling was dropped");
    let mut said = String::new();
    other.read_to_string(&mut said).unwrap();
    assert_eq!(said, "goodbye");
}

/// Runs `body` on a thread that does not end. A runtime that is never dropped stays in the lists of its thread, whose
/// memory would then be reported as leaked.
fn on_a_thread_that_stays(body: impl FnOnce() + Send + 'static) {
    let (sender, done) = channel();
    thread::spawn(move || {
        let result = catch_unwind(AssertUnwindSafe(body));
        sender.send(result).unwrap();
        loop {
            thread::park();
        }
    });
    if let Err(payload) = done.recv().unwrap() {
        resume_unwind(payload);
    }
}

#[test]
fn a_runtime_that_its_own_task_keeps_alive_leaks_and_no_more() {
    let _watchdog = watchdog();
    on_a_thread_that_stays(|| {
        let drops = Count::default();
        let runtime = Rc::new(Runtime::new().unwrap());
        let handle = runtime.handle().clone();
        let (own, dropped) = (runtime.clone(), CountOnDrop(drops.clone()));
        let waker = runtime.block_on(async {
            let slot = WakerSlot::default();
            let waits = slot.wait(&Count::default());
            drop(spawn(async move {
                let _kept = (own, dropped);
                waits.await;
            }));
            yield_now().await;
            slot.get()
        });
        assert_eq!(Rc::strong_count(&runtime), 2);
        let weak = Rc::downgrade(&runtime);
        drop(runtime);
        assert_eq!(drops.get(), 0);
        // A thread that gets it can go on with it, and break the cycle.
        thread::spawn(move || {
            waker.wake();
            assert!(!handle.is_closed());
            drop(handle.spawn(async {}));
        })
        .join()
        .unwrap();
        let runtime = weak.upgrade().unwrap();
        runtime.block_on(yield_times(2));
        drop(runtime);
        assert!(weak.upgrade().is_some(), "leaked, with its task");
        keep_for_ever(weak.as_ptr());
        assert_eq!(drops.get(), 0);
    });
}

#[test]
fn a_task_that_keeps_its_runtime_may_let_go_of_it() {
    let _watchdog = watchdog();
    let runtime = Rc::new(Runtime::new().unwrap());
    let (handle, own) = (runtime.handle().clone(), runtime.clone());
    runtime.block_on(async {
        spawn(async move {
            yield_now().await;
            drop(own);
        })
        .await
        .unwrap();
    });
    drop(runtime);
    assert!(handle.is_closed());
}

#[test]
fn a_runtime_may_be_dropped_in_a_task_of_another() {
    run(async {
        let outer = format!("{:?}", Handle::current());
        let seen = Rc::new(Cell::new(false));
        let inner = Runtime::new().unwrap();
        let guard = OnDrop::new({
            let (outer, seen) = (outer.clone(), seen.clone());
            move || {
                // The inner runtime is entered here: a task that is spawned now is dropped with it.
                seen.set(format!("{:?}", Handle::current()) != outer);
                drop(spawn(async { panic_quietly("polled by the wrong runtime") }));
                assert!(pin!(time::sleep(Duration::from_secs(1))).poll(&mut noop()).is_pending());
            }
        });
        drop(inner.spawn(async move {
            let _guard = guard;
            pending::<()>().await;
        }));
        let task = spawn(async move {
            drop(inner);
            yield_now().await;
            time::sleep(Duration::ZERO).await;
            format!("{:?}", Handle::current())
        });
        assert_eq!(task.await.unwrap(), outer);
        assert!(seen.get());
    });
}

#[test]
fn a_runtime_may_be_dropped_while_a_panic_unwinds() {
    let _watchdog = watchdog();
    let drops = Count::default();
    let caught = catch_unwind(AssertUnwindSafe(|| {
        let runtime = Runtime::new().unwrap();
        for n in 0..4 {
            let dropped = CountOnDrop(drops.clone());
            drop(runtime.spawn(async move {
                let _dropped = dropped;
                // The panic is caught where it happens; otherwise it would end the process.
                let _bomb = (n % 2 == 0).then(|| OnDrop::new(|| panic_quietly("while another unwinds")));
                pending::<()>().await;
            }));
        }
        runtime.block_on(async {
            yield_now().await;
            panic_quietly("first");
        });
    }));
    assert!(caught.is_err());
    assert_eq!(drops.get(), 4);
    assert!(Handle::try_current().is_err());
    run(common::subjects::works());
}

#[test]
fn handles_that_outlive_their_runtime_are_harmless() {
    let _watchdog = watchdog();
    let (counting, waker) = CountingWaker::new();
    let runtime = Runtime::new().unwrap();
    let (mut sleep, mut interval, task, handle) = runtime.block_on(async {
        let mut cx = Context::from_waker(&waker);
        let soon = time::Instant::now() + Duration::from_millis(50);
        let mut sleep = time::sleep_until(soon);
        assert!(Pin::new(&mut sleep).poll(&mut cx).is_pending());
        let mut interval = time::interval_at(soon, Duration::from_millis(1));
        assert!(interval.poll_tick(&mut cx).is_pending());
        let mut task = spawn(pending::<()>());
        assert!(Pin::new(&mut task).poll(&mut cx).is_pending());
        (sleep, interval, task, Handle::current())
    });
    let mut armed = time::sleep(Duration::from_secs(3600));
    runtime.block_on(async {
        assert!(Pin::new(&mut armed).poll(&mut Context::from_waker(&waker)).is_pending());
    });
    drop(runtime);
    // The waiter of the task was woken. Timers that will never fire were removed without a wake.
    assert_eq!(counting.wakes(), 1);
    drop(waker);
    assert_eq!(std::sync::Arc::strong_count(&counting), 1);
    assert!(handle.is_closed());
    assert!(!armed.is_elapsed());
    drop(armed);
    run(async {
        // A sleep works in the next runtime, for the rest of its time.
        (&mut sleep).await;
        interval.tick().await;
        interval.tick().await;
        assert!(sleep.is_elapsed());
        assert!(task.await.unwrap_err().is_cancelled());
    });
}

async fn echo_once(stream: &mut TcpStream, other: &mut TcpStream) -> io::Result<()> {
    for round in 0..3 {
        other.write_all(&[round; 8]).await?;
        let mut buffer = [0; 8];
        stream.read_exact(&mut buffer).await?;
        stream.write_all(&buffer).await?;
        other.read_exact(&mut buffer).await?;
        assert_eq!(buffer, [round; 8]);
    }
    Ok(())
}

#[test]
fn a_connection_that_outlives_its_runtime_works_in_another() {
    let _watchdog = watchdog();
    let runtime = Runtime::new().unwrap();
    let connect = async {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let mut other = TcpStream::connect(listener.local_addr()?).await?;
        let (mut stream, _) = listener.accept().await?;
        // Both are registered, and each has stored a waker.
        assert!(pin!(stream.read(&mut [0; 8])).poll(&mut noop()).is_pending());
        assert!(pin!(other.read(&mut [0; 8])).poll(&mut noop()).is_pending());
        echo_once(&mut stream, &mut other).await?;
        io::Result::Ok((listener, stream, other))
    };
    let (listener, mut stream, mut other) = runtime.block_on(connect).unwrap();
    drop(runtime);
    // The stream is used on the same thread, whose next runtime may have the same descriptors…
    run(async {
        echo_once(&mut stream, &mut other).await.unwrap();
        let address = listener.local_addr().unwrap();
        drop(futures_lite::future::try_zip(TcpStream::connect(address), listener.accept()).await.unwrap());
    });
    // …and on another.
    let worker = thread::spawn(move || {
        run(async { echo_once(&mut stream, &mut other).await.map(|()| (stream, other)) })
    });
    drop(worker.join().unwrap().unwrap());
}

type Teller = OnDrop<Box<dyn FnOnce()>>;

thread_local! {
    static KEPT: OnceCell<(Runtime, Teller)> = const { OnceCell::new() };
}

/// Leaves a runtime to the destructors of thread-locals. They run in an order that depends on which was used first.
fn leave_a_runtime(driven_first: bool) -> usize {
    let (sender, receiver) = std::sync::mpsc::channel::<&str>();
    thread::spawn(move || {
        if driven_first {
            runtime::block_on(async {});
        }
        let told = sender.clone();
        KEPT.with(|kept| {
            let told: Box<dyn FnOnce()> = Box::new(move || told.send("thread-local").unwrap());
            kept.get_or_init(|| (Runtime::new().unwrap(), OnDrop::new(told)));
        });
        KEPT.with(|kept| {
            let guard = OnDrop::new(move || {
                // The value may use the runtime until it is dropped.
                drop(spawn(async {}));
                assert!(pin!(time::sleep(Duration::from_secs(1))).poll(&mut noop()).is_pending());
                sender.send("task").unwrap();
            });
            let runtime = &kept.get().unwrap().0;
            drop(runtime.spawn(async move {
                let _guard = guard;
                pending::<()>().await;
            }));
            runtime.block_on(async {
                drop(spawn(time::sleep(Duration::from_secs(3600))));
                yield_times(2).await;
            });
        });
    })
    .join()
    .unwrap();
    receiver.iter().count()
}

#[test]
fn a_thread_may_end_with_a_runtime_in_a_thread_local() {
    let _watchdog = watchdog();
    assert_eq!(leave_a_runtime(false), 2, "the task and its runtime were dropped");
    assert_eq!(leave_a_runtime(true), 2);
}

#[test]
fn a_runtime_that_is_forgotten_leaves_sound_wakers() {
    let _watchdog = watchdog();
    on_a_thread_that_stays(|| {
        let runtime = Runtime::new().unwrap();
        let (waker, handle) = (runtime.block_on(own_waker()), runtime.handle().clone());
        let task = runtime.spawn(pending::<()>());
        keep_for_ever(Box::into_raw(Box::new(runtime)));
        let others: Vec<_> = (0..2)
            .map(|_| {
                let (waker, handle, abort) = (waker.clone(), handle.clone(), task.abort_handle());
                thread::spawn(move || {
                    for _ in 0..100 {
                        waker.wake_by_ref();
                        abort.abort();
                        drop(handle.spawn(async {}));
                    }
                })
            })
            .collect();
        others.into_iter().for_each(|other| other.join().unwrap());
        drop(task);
        run(common::subjects::works());
    });
}

/// The process exits in a task or in the future of `block_on`, while a call blocks for ever, a thread wakes all the
/// time, and other work is in progress.
#[test]
#[cfg_attr(miri, ignore = "starts a process")]
fn a_process_may_exit_from_within() {
    let ended = exit_of_child(|| {
        let runtime = Runtime::new().unwrap();
        // This task waits for ever, and is woken again and again.
        let (one, _other) = half_std_pair();
        let waker = runtime.block_on(own_waker());
        let handle = runtime.handle().clone();
        thread::spawn(move || {
            loop {
                waker.wake_by_ref();
                drop(handle.spawn(yield_now()));
            }
        });
        drop(runtime.spawn_blocking(|| thread::sleep(Duration::from_secs(3600))));
        drop(runtime.spawn(async move { drop(one.readable().await) }));
        runtime.block_on(async {
            drop(spawn(time::sleep(Duration::from_secs(3600))));
            time::sleep(Duration::from_millis(5)).await;
            drop(spawn(async { std::process::exit(7) }));
            pending::<()>().await;
        });
    });
    assert_eq!(ended.code(), Some(7), "{ended}");
}

#[test]
fn tasks_that_wait_for_each_other_all_end() {
    let _watchdog = watchdog();
    let drops = Count::default();
    let runtime = Runtime::new().unwrap();
    runtime.block_on(async {
        let mut last = spawn(pending::<()>());
        for _ in 0..100 {
            let (before, dropped) = (last, CountOnDrop(drops.clone()));
            last = spawn(async move {
                let _dropped = dropped;
                drop(before.await);
            });
        }
        drop(last);
        yield_times(2).await;
    });
    assert_eq!(drops.get(), 0);
    drop(runtime);
    assert_eq!(drops.get(), 100);
}

#[test]
#[cfg_attr(miri, ignore = "starts a process, and counts its descriptors")]
fn every_descriptor_is_closed() {
    in_child(|| {
        let before = open_descriptors();
        let runtime = Runtime::new().unwrap();
        let stream = runtime.block_on(async {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let address = listener.local_addr().unwrap();
            drop(spawn(async move {
                loop {
                    let (mut stream, _) = listener.accept().await.unwrap();
                    drop(spawn(async move { drop(stream.read(&mut [0; 8]).await) }));
                }
            }));
            let kept = TcpStream::connect(address).await.unwrap();
            for _ in 0..10 {
                let mut stream = TcpStream::connect(address).await.unwrap();
                drop(spawn(async move { drop(stream.read(&mut [0; 8]).await) }));
            }
            while runtime.metrics().io_sources < 22 {
                yield_now().await;
            }
            kept
        });
        let (handle, waker) = (runtime.handle().clone(), runtime.block_on(own_waker()));
        drop(runtime);
        assert_eq!(open_descriptors(), before + 1, "only the stream that is kept");
        drop(stream);
        assert_eq!(open_descriptors(), before, "whoever holds a handle or a waker");
        drop((handle, waker));
    });
}

/// A descriptor is replaced behind its owner's back while a duplicate exists: the kernel goes on to report events
/// under the old key, and cannot be told to stop. The descriptor that is registered next gets its slot, but none of
/// its events.
#[test]
#[cfg_attr(miri, ignore = "Miri has no dup2")]
fn an_event_of_a_descriptor_that_has_gone_reaches_nobody() {
    run(async {
        let null = std::fs::File::open("/dev/null").unwrap();
        let pair = || {
            let (one, other) = UnixStream::pair().unwrap();
            one.set_nonblocking(true).unwrap();
            (one, other)
        };
        for _ in 0..3 {
            let (old, mut writer) = pair();
            let duplicate = old.try_clone().unwrap();
            let old = AsyncFd::new(old).unwrap();
            assert!(poll_once(old.readable()).await.is_none());
            // SAFETY: both numbers are open; what `old` stands for is exchanged, and stays open.
            assert!(unsafe { libc::dup2(null.as_raw_fd(), old.as_raw_fd()) } >= 0);
            drop(old);
            let (new, quiet) = pair();
            let new = AsyncFd::new(new).unwrap();
            assert!(poll_once(new.readable()).await.is_none());
            let waits = {
                let polled = Count::default();
                let counted = polled.clone();
                let task = spawn(async move {
                    _ = new.readable().await;
                    counted.add();
                });
                (task, polled)
            };
            writer.write_all(b"x").unwrap();
            // This lets the loop turn several times.
            yield_times(1000).await;
            assert_eq!(waits.1.get(), 0, "somebody else's event");
            waits.0.abort();
            drop((duplicate, quiet));
        }
    });
}
