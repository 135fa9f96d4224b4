//! The classic mistakes: each is answered in words that name the remedy, where the caller made it.

mod common;

use common::watchdog;
use futures_lite::future::block_on as elsewhere;
use runtime::io::Interest;
use runtime::io::unix::AsyncFd;
use runtime::net::{TcpListener, TcpStream};
use runtime::task::{self, JoinHandle, spawn_blocking, spawn_local};
use runtime::{Handle, Runtime, spawn, time};
use std::cell::RefCell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

thread_local! {
    /// Where the latest panic of this thread was.
    static PLACE: RefCell<String> = const { RefCell::new(String::new()) };
}

/// What a mistake is answered with, and in which file.
fn answer<T>(mistake: impl FnOnce() -> T) -> (String, String) {
    static HOOK: std::sync::Once = std::sync::Once::new();
    HOOK.call_once(|| {
        let earlier = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            let place = info.location().map(|location| location.file().to_owned()).unwrap_or_default();
            PLACE.set(place);
            earlier(info);
        }));
    });
    let payload = catch_unwind(AssertUnwindSafe(|| drop(mistake()))).expect_err("it is no mistake");
    let said = payload
        .downcast_ref::<String>()
        .cloned()
        .or_else(|| payload.downcast_ref::<&str>().map(|said| (*said).to_owned()));
    (said.expect("a message"), PLACE.take())
}

const NO_RUNTIME: &str = "no runtime on this thread: call this inside block_on or #[runtime::main], \
                          or send it to one by Handle::spawn";

const OUTSIDE: &str = "outside of a runtime: call this inside block_on or #[runtime::main], \
                       or send it to one by Handle::spawn";

const IN_A_BLOCKING_CALL: &str = "outside of a runtime: on a thread of spawn_blocking, take a handle along, \
                                  or use Handle::current().spawn or block_on";

#[test]
fn no_runtime_on_this_thread() {
    let _watchdog = watchdog();
    let calls: [(&str, fn()); 4] = [
        ("spawn", || drop(spawn(async {}))),
        ("spawn_local", || drop(spawn_local(async {}))),
        ("spawn_blocking", || drop(spawn_blocking(|| ()))),
        ("Handle::current", || drop(Handle::current())),
    ];
    for (function, call) in calls {
        let (said, place) = answer(call);
        assert_eq!(said, format!("{function} was called {OUTSIDE}"));
        assert_eq!(place, file!(), "{function}: it points at the caller");
    }
    assert_eq!(answer(time::inhibit_auto_advance).0, NO_RUNTIME);
    assert_eq!(Handle::try_current().unwrap_err().to_string(), format!("there is {NO_RUNTIME}"));
    // What is made anywhere says so when it has to wait.
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let listener = TcpListener::from_std(listener).unwrap();
    let stream = TcpStream::from_std(std::net::TcpStream::connect(address).unwrap()).unwrap();
    let fd = AsyncFd::new(std::net::UdpSocket::bind("127.0.0.1:0").unwrap()).unwrap();
    assert_eq!(answer(|| elsewhere(time::sleep(Duration::from_secs(1)))).0, NO_RUNTIME);
    assert!(answer(|| elsewhere(stream.readable())).0.ends_with(OUTSIDE));
    assert!(answer(|| elsewhere(stream.ready(Interest::READABLE))).0.ends_with(OUTSIDE));
    assert!(answer(|| elsewhere(fd.readable())).0.ends_with(OUTSIDE));
    elsewhere(listener.accept()).expect("one is there already");
    assert!(answer(|| elsewhere(listener.accept())).0.ends_with(OUTSIDE));
    let never = time::timeout(Duration::from_secs(1), std::future::pending::<()>());
    assert_eq!(answer(|| elsewhere(never)).0, NO_RUNTIME);
    // So do the threads of the pool, where the remedy is another one.
    for (function, call) in &calls[..2] {
        let call = *call;
        let (said, place) = runtime::block_on(async { spawn_blocking(move || answer(call)).await.unwrap() });
        assert_eq!(said, format!("{function} was called {IN_A_BLOCKING_CALL}"));
        assert_eq!(place, file!());
    }
}

#[test]
fn a_loop_in_a_loop() {
    let _watchdog = watchdog();
    let nested = "block_on inside a runtime: this thread turns its loop already; \
                  await the future, or use another thread";
    let runtime = Runtime::new().unwrap();
    let handle = runtime.handle().clone();
    let (said, place) = answer(|| runtime.block_on(async { runtime.block_on(async {}) }));
    assert_eq!((said.as_str(), place.as_str()), (nested, file!()));
    assert_eq!(answer(|| runtime.block_on(async { runtime::block_on(async {}) })).0, nested);
    let (said, place) = answer(|| runtime.block_on(async { handle.block_on(async {}) }));
    assert!(said.contains("this would stop its loop; await Handle::spawn instead"), "{said}");
    assert_eq!(place, file!());
    // Nobody else can turn the loop meanwhile.
    let (said, place) = answer(|| handle.block_on(async {}));
    assert!(said.contains("on the thread that owns the runtime"), "{said}");
    assert!(said.contains("call Runtime::block_on here"), "{said}");
    assert_eq!(place, file!());
    let cores = runtime::cores::PerCore::new();
    let (said, place) = answer(|| runtime.block_on(async { cores.run(async |_| ()) }));
    assert!(said.contains("call it from main, or from spawn_blocking"), "{said}");
    assert_eq!(place, file!());
}

#[test]
fn a_join_handle_that_went_astray() {
    let _watchdog = watchdog();
    let runtime = Runtime::new().unwrap();
    let task: JoinHandle<u32> = runtime.spawn(async { 7 });
    let (said, _) = std::thread::spawn(move || answer(|| elsewhere(task))).join().unwrap();
    assert!(said.contains("was polled away from its runtime's thread"), "{said}");
    assert!(said.contains("await it there, or spawn the task by Handle::spawn"), "{said}");
    // The remedy.
    let task = runtime.handle().spawn(async { 7 });
    let other = std::thread::spawn(move || elsewhere(task).unwrap());
    runtime.block_on(async {
        while !other.is_finished() {
            task::yield_now().await;
        }
    });
    assert_eq!(other.join().unwrap(), 7);
    let mut task = runtime.spawn(async { 7 });
    runtime.block_on(&mut task).unwrap();
    let (said, _) = answer(|| runtime.block_on(&mut task));
    assert!(said.contains("polled after it had given its output"), "{said}");
    let (said, place) = answer(|| runtime.block_on(async { task::id() }));
    assert!(said.contains("call task::id inside a future that was spawned"), "{said}");
    assert_ne!(place, "");
}

#[test]
fn after_the_end() {
    let _watchdog = watchdog();
    let runtime = Runtime::new().unwrap();
    let (handle, task) = (runtime.handle().clone(), runtime.spawn(async {}));
    drop(runtime);
    assert!(answer(|| handle.block_on(async {})).0.contains("the runtime has gone"));
    for task in [handle.spawn(async {}), task, handle.spawn_blocking(|| ())] {
        let error = elsewhere(task).unwrap_err();
        assert!(error.is_cancelled() && error.to_string().ends_with("was cancelled"), "{error}");
    }
}

#[test]
fn a_blocking_socket_is_no_mistake() {
    let _watchdog = watchdog();
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let client = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    // It blocks, and nothing comes: it is made not to.
    let mut stream = TcpStream::from_std(client).unwrap();
    let read = async {
        use runtime::io::AsyncReadExt;
        time::timeout(Duration::from_millis(5), stream.read(&mut [0; 8])).await
    };
    assert!(runtime::block_on(read).is_err(), "the timer fired");
}

#[test]
fn numbers_that_make_no_sense() {
    let mut builder = runtime::Builder::new_current_thread();
    type Mistake = fn(&mut runtime::Builder);
    let mistakes: [(Mistake, &str); 6] = [
        (|b| _ = b.event_interval(0), "event_interval must be at least 1"),
        (|b| _ = b.max_io_events_per_tick(0), "max_io_events_per_tick must be at least 1"),
        (|b| _ = b.max_blocking_threads(0), "max_blocking_threads must be at least 1"),
        (|b| _ = b.global_queue_interval(0), "global_queue_interval must be at least 1"),
        (|b| _ = b.name("a\0b"), "cannot contain a zero byte"),
        (|b| _ = b.thread_name("a\0b"), "cannot contain a zero byte"),
    ];
    for (mistake, remedy) in mistakes {
        let (said, place) = answer(|| mistake(&mut builder));
        assert!(said.contains(remedy), "{said}");
        assert_eq!(place, file!());
    }
}
