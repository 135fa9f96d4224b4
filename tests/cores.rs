//! One runtime on each core: starts, ends, failures, and values that go from one thread to another.

mod common;

use common::guards::{Drops, NotSend};
use common::watchdog;
use runtime::cores::{Core, CoreError, PerCore};
use runtime::io::{AsyncReadExt, AsyncWriteExt};
use runtime::net::{TcpListener, TcpSocket, TcpStream};
use runtime::task::{spawn_blocking, yield_now};
use runtime::{Builder, Handle, spawn, time};
use std::cell::Cell;
use std::future::pending;
use std::io;
use std::net::SocketAddr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

#[test]
fn outputs_come_in_the_order_of_the_threads() {
    let _watchdog = watchdog();
    let turn = AtomicUsize::new(4);
    let outputs = PerCore::new().threads(5).run(async |core| {
        // The threads end in the reverse order.
        while turn.load(SeqCst) != core.index() {
            yield_now().await;
        }
        turn.store(core.index().wrapping_sub(1), SeqCst);
        (core.index(), core.count(), thread::current().name().map(str::to_owned))
    });
    let outputs = outputs.unwrap();
    let expected: Vec<_> = (0..5).map(|index| (index, 5, Some(format!("core-{index}")))).collect();
    assert_eq!(outputs, expected);
}

#[test]
fn futures_stay_on_their_thread_and_borrow_from_the_caller() {
    let _watchdog = watchdog();
    let words = [String::from("a"), String::from("b"), String::from("c")];
    let lengths = PerCore::new().threads(3).run(async |core: Core| {
        let local = Rc::new(Cell::new(0));
        let task = spawn({
            let local = local.clone();
            async move { local.set(7) }
        });
        task.await.unwrap();
        local.get() + words[core.index()].len()
    });
    assert_eq!(lengths.unwrap(), [8, 8, 8]);
    // A plain function that returns a future is accepted too.
    async fn index(core: Core) -> usize {
        core.index()
    }
    assert_eq!(PerCore::new().threads(2).run(index).unwrap(), [0, 1]);
    // So is a closure whose future borrows from it.
    let owned = Box::new([1, 2, 3]);
    let sums = PerCore::new().threads(2).run(async move |_| owned.iter().sum::<i32>());
    assert_eq!(sums.unwrap(), [6, 6]);
}

#[test]
fn the_first_panic_ends_all_and_is_delivered() {
    let _watchdog = watchdog();
    let running = AtomicUsize::new(0);
    let error = PerCore::new()
        .threads(4)
        .run(async |core| {
            running.fetch_add(1, SeqCst);
            while running.load(SeqCst) < 4 {
                yield_now().await;
            }
            if core.index() == 2 {
                std::panic::panic_any(String::from("two"));
            }
            pending::<()>().await;
        })
        .unwrap_err();
    assert!(error.is_panic() && !error.is_start());
    assert_eq!(error.index(), 2);
    assert_eq!(error.to_string(), "thread 2 panicked: two");
    assert_eq!(*error.into_panic().downcast::<String>().unwrap(), "two");
}

#[test]
fn a_panic_before_the_first_await_is_one_too() {
    let _watchdog = watchdog();
    let plain = |core: Core| {
        assert_ne!(core.index(), 0, "none for the first");
        pending::<()>()
    };
    let error = PerCore::new().threads(2).run(plain).unwrap_err();
    assert_eq!(error.index(), 0);
    assert!(error.to_string().contains("none for the first"), "{error}");
}

#[test]
fn the_first_error_ends_all_and_is_given_back() {
    let _watchdog = watchdog();
    let result = PerCore::new().threads(3).try_run(async |core| {
        if core.index() == 1 {
            time::sleep(Duration::from_millis(5)).await;
            return Err(io::Error::from(io::ErrorKind::AddrInUse));
        }
        pending::<io::Result<()>>().await
    });
    let error = result.unwrap_err();
    assert!(!error.is_panic() && !error.is_start());
    assert_eq!(error.index(), 1);
    let error = error.try_into_panic().unwrap_err();
    let message = error.to_string();
    assert!(message.starts_with("thread 1 failed: "), "{message}");
    let error = io::Error::from(error);
    assert_eq!((error.kind(), error.to_string()), (io::ErrorKind::AddrInUse, message));
    // If every thread succeeds there is no error, whatever its type is.
    let outputs = PerCore::new().threads(2).try_run(async |core| Ok::<_, ()>(core.index()));
    assert_eq!(outputs.unwrap(), [0, 1]);
}

#[test]
fn who_is_stopped_drops_its_future_and_its_tasks_at_home() {
    let _watchdog = watchdog();
    let (drops, at_home) = (Drops::default(), Mutex::new(Vec::new()));
    let ready = AtomicUsize::new(0);
    let order = Arc::new(Mutex::new(Vec::new()));
    struct Says(&'static str, Arc<Mutex<Vec<&'static str>>>);
    impl Drop for Says {
        fn drop(&mut self) {
            self.1.lock().unwrap().push(self.0);
        }
    }
    let error = PerCore::new()
        .threads(3)
        .run(async |core| {
            at_home.lock().unwrap().push(thread::current().id());
            let in_task = NotSend::new(&drops);
            let says = (core.index() == 1).then(|| Says("task", order.clone()));
            drop(spawn(async move {
                let _here = (in_task, says);
                pending::<()>().await;
            }));
            let _in_main = NotSend::new(&drops);
            let _says = (core.index() == 1).then(|| Says("main", order.clone()));
            yield_now().await;
            ready.fetch_add(1, SeqCst);
            while ready.load(SeqCst) < 3 {
                yield_now().await;
            }
            assert_ne!(core.index(), 0);
            pending::<()>().await;
        })
        .unwrap_err();
    assert_eq!(error.index(), 0);
    let (mut drops, at_home) = (std::mem::take(&mut *drops.lock().unwrap()), at_home.into_inner().unwrap());
    let mut twice: Vec<_> = at_home.iter().flat_map(|id| [*id, *id]).collect();
    drops.sort_by_key(|id| format!("{id:?}"));
    twice.sort_by_key(|id| format!("{id:?}"));
    assert_eq!(drops, twice, "each thread's future and task were dropped there");
    assert_eq!(*order.lock().unwrap(), ["main", "task"]);
}

#[test]
fn a_loop_that_is_busy_is_stopped_and_one_that_sleeps_too() {
    let _watchdog = watchdog();
    let running = AtomicUsize::new(0);
    let error = PerCore::new()
        .threads(4)
        .try_run(async |core| -> Result<(), &str> {
            running.fetch_add(1, SeqCst);
            match core.index() {
                0 => loop {
                    yield_now().await;
                },
                1 => time::sleep(Duration::from_secs(3600)).await,
                2 => {
                    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
                    drop(listener.accept().await);
                }
                _ => {
                    while running.load(SeqCst) < 4 {
                        yield_now().await;
                    }
                    return Err("enough");
                }
            }
            Ok(())
        })
        .unwrap_err();
    assert_eq!(error.try_into_inner().unwrap(), "enough");
}

#[test]
fn what_fails_later_is_dropped_and_disturbs_nothing() {
    /// A payload whose drop panics.
    struct Bad(Arc<AtomicUsize>);
    impl Drop for Bad {
        fn drop(&mut self) {
            self.0.fetch_add(1, SeqCst);
            panic!("a payload's drop");
        }
    }
    /// A future that panics when it is dropped before its end.
    struct PanicsLate(Arc<AtomicUsize>);
    impl Drop for PanicsLate {
        fn drop(&mut self) {
            std::panic::panic_any(Bad(self.0.clone()));
        }
    }
    let _watchdog = watchdog();
    let (ready, dropped) = (AtomicUsize::new(0), Arc::new(AtomicUsize::new(0)));
    let error = PerCore::new()
        .threads(3)
        .run(async |core| {
            if core.index() > 0 {
                let _late = PanicsLate(dropped.clone());
                ready.fetch_add(1, SeqCst);
                return pending::<()>().await;
            }
            while ready.load(SeqCst) < 2 {
                yield_now().await;
            }
            panic!("first");
        })
        .unwrap_err();
    assert_eq!(error.to_string(), "thread 0 panicked: first");
    assert_eq!(dropped.load(SeqCst), 2, "both payloads were dropped");
}

#[test]
fn a_task_that_panics_ends_alone() {
    let _watchdog = watchdog();
    let outputs = PerCore::new().threads(2).run(async |_| {
        let error = spawn(async { panic!("a task") }).await.unwrap_err();
        error.is_panic()
    });
    assert_eq!(outputs.unwrap(), [true, true]);
}

#[test]
fn a_start_that_fails_has_no_effects() {
    let _watchdog = watchdog();
    let called = AtomicUsize::new(0);
    let count = async |_: Core| _ = called.fetch_add(1, SeqCst);
    // Each thread gets a mechanism that this system does not have.
    let absent = if cfg!(target_os = "linux") {
        runtime::selector::Kind::Kqueue
    } else {
        runtime::selector::Kind::Epoll
    };
    let error = PerCore::new()
        .threads(3)
        .builder(Builder::new_current_thread().selector(absent))
        .run(count)
        .unwrap_err();
    assert!(error.is_start());
    assert!(error.to_string().contains("could not be started: "), "{error}");
    assert_eq!(io::Error::from(error).kind(), io::ErrorKind::Unsupported);
    // The stack is larger than the address space.
    let error = PerCore::new().threads(2).stack_size(1 << 60).run(count).unwrap_err();
    assert!(error.is_start() && error.index() == 0, "{error}");
    #[cfg(any(target_os = "linux", target_os = "android"))]
    {
        let error = PerCore::new().pin_to([0, 9_999]).run(count).unwrap_err();
        assert_eq!(error.index(), 1);
        assert!(error.to_string().contains("cannot be pinned to CPU 9999: "), "{error}");
    }
    assert_eq!(called.load(SeqCst), 0);
}

/// Listens at an address at which other listeners listen too.
fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = TcpSocket::new_v4()?;
    socket.set_reuseport(true)?;
    socket.bind(address)?;
    socket.listen(128)
}

#[test]
fn each_thread_listens_at_the_same_port_and_all_are_served() {
    const CLIENTS: usize = 64;
    let _watchdog = watchdog();
    // This socket keeps the port from other programs. It gets no connections, because it does not listen.
    let any: SocketAddr = ([127, 0, 0, 1], 0).into();
    let held = TcpSocket::new_v4().unwrap();
    held.set_reuseport(true).unwrap();
    held.bind(any).unwrap();
    let address = held.local_addr().unwrap();
    let (listening, served) = (AtomicUsize::new(0), Arc::new(AtomicUsize::new(0)));
    let counts = PerCore::new().threads(3).run(async |core| {
        if core.index() == 2 {
            while listening.load(SeqCst) < 2 {
                yield_now().await;
            }
            for n in 0..CLIENTS {
                let mut client = TcpStream::connect(address).await.unwrap();
                client.write_all(&[n as u8; 100]).await.unwrap();
                let mut back = [0; 100];
                client.read_exact(&mut back).await.unwrap();
                assert_eq!(back, [n as u8; 100]);
                served.fetch_add(1, SeqCst);
            }
            for handle in &core.handles()[..2] {
                handle.spawn(async { STOPPED.set(true) }).await.unwrap();
            }
            return 0;
        }
        let listener = listen(address).unwrap();
        listening.fetch_add(1, SeqCst);
        let mut count = 0;
        loop {
            let accepted = futures_lite::future::or(async { Some(listener.accept().await) }, async {
                while !STOPPED.get() {
                    yield_now().await;
                }
                None
            });
            let Some(accepted) = accepted.await else { return count };
            let (mut stream, _) = accepted.unwrap();
            count += 1;
            spawn(async move {
                let mut buffer = [0; 100];
                stream.read_exact(&mut buffer).await.unwrap();
                stream.write_all(&buffer).await.unwrap();
            });
        }
    });
    assert_eq!(counts.unwrap().iter().sum::<usize>(), CLIENTS);
    assert_eq!(served.load(SeqCst), CLIENTS);
}

thread_local! {
    static STOPPED: Cell<bool> = const { Cell::new(false) };
}

#[test]
fn a_stream_accepted_on_one_thread_is_served_on_another() {
    const CLIENTS: usize = 30;
    let _watchdog = watchdog();
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let listener = Mutex::new(Some(listener));
    let served_by = Arc::new(Mutex::new(Vec::new()));
    let outputs = PerCore::new().threads(3).run(async |core| {
        let Some(listener) = (if core.index() == 0 { listener.lock().unwrap().take() } else { None }) else {
            // These threads only serve what is sent to them, until all clients are served.
            let end = || served_by.lock().unwrap().len() == CLIENTS;
            while !end() {
                time::sleep(Duration::from_millis(1)).await;
            }
            return;
        };
        let listener = TcpListener::from_std(listener).unwrap();
        let client = spawn(async move {
            for n in 0..CLIENTS {
                let mut client = TcpStream::connect(address).await.unwrap();
                client.write_all(&[n as u8; 10]).await.unwrap();
                let mut back = Vec::new();
                client.read_to_end(&mut back).await.unwrap();
                assert_eq!(back, [n as u8; 10]);
            }
        });
        for n in 0..CLIENTS {
            let (mut stream, _) = listener.accept().await.unwrap();
            // A task has waited for the stream here, so the stream moves to another runtime.
            let mut first = [0; 1];
            stream.read_exact(&mut first).await.unwrap();
            let served_by = served_by.clone();
            let serve = async move {
                let mut rest = [0; 9];
                stream.read_exact(&mut rest).await.unwrap();
                stream.write_all(&first).await.unwrap();
                stream.write_all(&rest).await.unwrap();
                drop(stream);
                served_by.lock().unwrap().push(thread::current().name().unwrap().to_owned());
            };
            drop(core.handles()[n % 2 + 1].spawn(serve));
        }
        client.await.unwrap();
        while served_by.lock().unwrap().len() < CLIENTS {
            time::sleep(Duration::from_millis(1)).await;
        }
    });
    outputs.unwrap();
    let served_by = served_by.lock().unwrap();
    for name in ["core-1", "core-2"] {
        assert_eq!(served_by.iter().filter(|by| *by == name).count(), CLIENTS / 2, "{name}");
    }
}

#[test]
fn handles_outlive_their_threads() {
    let _watchdog = watchdog();
    let handles: Vec<Handle> =
        PerCore::new().threads(2).run(async |core| core.handles()[core.index()].clone()).unwrap();
    for handle in handles {
        assert!(handle.is_closed());
        let task = handle.spawn(async {});
        assert!(runtime::block_on(task).unwrap_err().is_cancelled());
    }
}

#[test]
fn mistakes_are_named() {
    let _watchdog = watchdog();
    let message = |mistake: &dyn Fn()| {
        let payload = catch_unwind(AssertUnwindSafe(mistake)).unwrap_err();
        payload
            .downcast_ref::<&str>()
            .map(|text| (*text).to_owned())
            .or_else(|| payload.downcast_ref::<String>().cloned())
    };
    let inside = message(&|| runtime::block_on(async { drop(PerCore::new().threads(1).run(async |_| ())) }));
    assert!(inside.unwrap().contains("call it from main, or from spawn_blocking"));
    assert!(message(&|| drop(PerCore::new().threads(0).clone())).unwrap().contains("at least 1"));
    assert!(message(&|| drop(PerCore::new().name("a\0b").clone())).unwrap().contains("zero byte"));
    assert!(message(&|| drop(PerCore::new().pin_to([]).clone())).unwrap().contains("at least one CPU"));
    let error: CoreError =
        PerCore::new().threads(1).run(async |_| panic!("oh")).map(|_: Vec<()>| ()).unwrap_err();
    assert_eq!(format!("{error:?}"), r#"CoreError { index: 0, panic: "oh" }"#);
    // `PerCore` may be used in a blocking call.
    let outputs = runtime::block_on(async {
        spawn_blocking(|| PerCore::new().threads(2).run(async |core| core.index())).await
    });
    assert_eq!(outputs.unwrap().unwrap(), [0, 1]);
}

#[test]
fn it_goes_where_errors_go() {
    fn sends<T: Send + Sync + 'static>() {}
    sends::<CoreError>();
    sends::<CoreError<io::Error>>();
    sends::<Core>();
    sends::<PerCore>();
    fn main() -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
        PerCore::new().threads(1).run(async |_| ())?;
        PerCore::new().threads(1).try_run(async |_| io::Result::Ok(()))?;
        Ok(())
    }
    main().unwrap();
}
