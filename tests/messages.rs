//! Common mistakes: each panics with a message that says what to do instead, at the caller's line.

mod common;

use common::watchdog;
use futures_lite::future::block_on as elsewhere;
use runtime::fs::{self, File};
use runtime::io::unix::AsyncFd;
use runtime::io::{AsyncReadExt, AsyncWriteExt, Interest};
use runtime::net::unix::pipe;
use runtime::net::{TcpListener, TcpStream, UdpSocket, UnixDatagram, UnixListener, UnixStream};
use runtime::process::Command;
use runtime::signal::unix::{SignalKind, signal};
use runtime::task::{self, JoinHandle, spawn_blocking, spawn_local};
use runtime::{Handle, Runtime, signal as signals, spawn, time};
use std::cell::RefCell;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::Stdio;
use std::time::Duration;

thread_local! {
    /// The place of the latest panic of this thread.
    static PLACE: RefCell<String> = const { RefCell::new(String::new()) };
}

/// Returns the message of the panic that a mistake causes, and the file that the panic points to.
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

const NO_RUNTIME: &str = "there is no runtime on this thread: call this inside block_on or #[runtime::main], \
                          or send it to one by Handle::spawn";

const OUTSIDE: &str = "outside of a runtime: call this inside block_on or #[runtime::main], \
                       or send it to one by Handle::spawn";

const IN_A_BLOCKING_CALL: &str = "outside of a runtime: on a thread of spawn_blocking, take a handle along, \
                                  or use Handle::current().spawn or block_on";

#[test]
fn no_runtime_on_this_thread() {
    let _watchdog = watchdog();
    let calls: [(&str, fn()); 7] = [
        ("spawn", || drop(spawn(async {}))),
        ("spawn_local", || drop(spawn_local(async {}))),
        ("spawn_blocking", || drop(spawn_blocking(|| ()))),
        ("Handle::current", || drop(Handle::current())),
        ("time::pause", || time::pause()),
        ("time::resume", || time::resume()),
        ("time::inhibit_auto_advance", || drop(time::inhibit_auto_advance())),
    ];
    for (function, call) in calls {
        let (said, place) = answer(call);
        assert_eq!(said, format!("{function} was called {OUTSIDE}"));
        assert_eq!(place, file!(), "{function}: it points at the caller");
    }
    assert_eq!(Handle::try_current().unwrap_err().to_string(), NO_RUNTIME);
    // On the threads of the pool the message suggests something else.
    for (function, call) in &calls[..2] {
        let call = *call;
        let (said, place) = runtime::block_on(async { spawn_blocking(move || answer(call)).await.unwrap() });
        assert_eq!(said, format!("{function} was called {IN_A_BLOCKING_CALL}"));
        assert_eq!(place, file!());
    }
}

/// Returns the message about a poll outside of a runtime. Debug builds add the place where the polled object was made.
fn polled(operation: &str, remedy: &str, made: Option<(u32, u32)>) -> String {
    let made = made.filter(|_| cfg!(debug_assertions));
    let made = made.map(|(line, column)| format!(" (it was made at {}:{line}:{column})", file!()));
    format!("{operation} was polled {remedy}{}", made.unwrap_or_default())
}

/// Returns the same for a timer, whose name is stored with the place.
fn polled_timer(operation: &str, remedy: &str, made: (u32, u32)) -> String {
    let name = if cfg!(debug_assertions) { operation } else { "a Sleep, Timeout or Interval" };
    polled(name, remedy, Some(made))
}

#[test]
fn a_timer_that_is_polled_outside_of_a_runtime() {
    let _watchdog = watchdog();
    let second = Duration::from_secs(1);
    let never = std::future::pending::<()>;
    let sleep = time::sleep(second);
    let made = (line!() - 1, 17);
    let (said, place) = answer(|| elsewhere(async { _ = sleep.await }));
    assert_eq!(said, polled_timer("Sleep", OUTSIDE, made));
    if cfg!(debug_assertions) {
        assert_eq!(place, file!(), "it points at the await");
    }
    let timeout = time::timeout(second, never());
    let made = (line!() - 1, 19);
    let (said, place) = answer(|| elsewhere(async { _ = timeout.await }));
    assert_eq!(said, polled_timer("Timeout", OUTSIDE, made));
    if cfg!(debug_assertions) {
        assert_eq!(place, file!(), "it points at the await");
    }
    let timeout = time::timeout_at(time::Instant::now() + second, never());
    let made = (line!() - 1, 19);
    assert_eq!(answer(|| elsewhere(timeout)).0, polled_timer("Timeout", OUTSIDE, made));
    let mut interval = time::interval(second);
    let made = (line!() - 1, 24);
    let (said, _) = answer(|| elsewhere(interval.tick()));
    assert_eq!(said, polled_timer("Interval::tick", OUTSIDE, made));
    assert_eq!(answer(|| elsewhere(time::advance(second))).0, format!("time::advance was called {OUTSIDE}"));
    let sleep = time::sleep(second);
    let made = (line!() - 1, 17);
    let (said, _) =
        runtime::block_on(async move { spawn_blocking(move || answer(|| elsewhere(sleep))).await.unwrap() });
    assert_eq!(said, polled_timer("Sleep", IN_A_BLOCKING_CALL, made));
}

#[test]
fn a_socket_that_is_polled_outside_of_a_runtime() {
    let _watchdog = watchdog();
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let listener = TcpListener::from_std(listener).unwrap();
    let made = Some((line!() - 1, 20));
    assert_eq!(answer(|| elsewhere(listener.accept())).0, polled("TcpListener::accept", OUTSIDE, made));
    let mut stream = TcpStream::from_std(std::net::TcpStream::connect(address).unwrap()).unwrap();
    let made = Some((line!() - 1, 22));
    let readable = polled("TcpStream::readable", OUTSIDE, made);
    assert_eq!(answer(|| elsewhere(stream.readable())).0, readable);
    assert_eq!(answer(|| elsewhere(stream.ready(Interest::READABLE))).0, readable);
    let read = polled("TcpStream::read", OUTSIDE, made);
    assert_eq!(answer(|| elsewhere(stream.read(&mut [0]))).0, read);
    let (one, mut other) = UnixStream::pair().unwrap();
    let made = Some((line!() - 1, 28));
    assert_eq!(answer(|| elsewhere(other.read(&mut [0]))).0, polled("UnixStream::read", OUTSIDE, made));
    let write = async { while other.write(&[0; 10_000]).await.is_ok() {} };
    assert_eq!(answer(|| elsewhere(write)).0, polled("UnixStream::write", OUTSIDE, made));
    drop(one);
    let socket = UdpSocket::from_std(std::net::UdpSocket::bind("127.0.0.1:0").unwrap()).unwrap();
    let made = Some((line!() - 1, 18));
    assert_eq!(answer(|| elsewhere(socket.recv(&mut [0]))).0, polled("UdpSocket::recv", OUTSIDE, made));
    assert_eq!(answer(|| elsewhere(socket.readable())).0, polled("UdpSocket::readable", OUTSIDE, made));
    let (_sender, receiver) = pipe::pipe().unwrap();
    let made = Some((line!() - 1, 31));
    assert_eq!(answer(|| elsewhere(receiver.readable())).0, polled("Receiver::readable", OUTSIDE, made));
    let fd = AsyncFd::new(std::net::UdpSocket::bind("127.0.0.1:0").unwrap()).unwrap();
    let made = Some((line!() - 1, 14));
    assert_eq!(answer(|| elsewhere(fd.readable())).0, polled("AsyncFd::readable", OUTSIDE, made));
    // This listener was made by an `async` function, which does not know its caller.
    let listener = elsewhere(TcpListener::bind("127.0.0.1:0")).unwrap();
    assert_eq!(answer(|| elsewhere(listener.accept())).0, polled("TcpListener::accept", OUTSIDE, None));
    // On other systems the socket may be connected at once.
    if cfg!(target_os = "linux") {
        let said = answer(|| elsewhere(TcpStream::connect(address))).0;
        assert_eq!(said, polled("TcpStream::connect", OUTSIDE, None));
    }
    // A thread of the runtime looks up the name.
    let lookup = answer(|| elsewhere(TcpStream::connect("localhost:1")));
    assert_eq!(lookup.0, format!("lookup_host was called {OUTSIDE}"));
}

/// The message names a descriptor by the type that its users know, whatever type it has inside, and also if the place
/// where it was made is unknown.
#[test]
fn every_kind_of_descriptor_has_its_own_name() {
    let _watchdog = watchdog();
    let said = |future: std::pin::Pin<Box<dyn Future<Output = io::Result<()>> + '_>>, name: &str| {
        let said = answer(|| elsewhere(future)).0;
        assert!(said.starts_with(&format!("{name} was polled {OUTSIDE}")), "{name}: {said}");
    };
    let runtime = Runtime::new().unwrap();
    let (listener, client, accepted) = runtime.block_on(async {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let (accepted, _) = listener.accept().await.unwrap();
        (listener, client, accepted)
    });
    drop(runtime);
    // What belongs to a runtime that has gone returns an error instead, until another runtime takes it over.
    for gone in [
        elsewhere(client.readable()).unwrap_err(),
        elsewhere(accepted.readable()).unwrap_err(),
        elsewhere(listener.accept()).unwrap_err(),
    ] {
        assert_eq!(gone.to_string(), "the runtime that this socket is bound to has been dropped");
    }
    let client = TcpStream::from_std(client.into_std().unwrap()).unwrap();
    said(Box::pin(client.readable()), "TcpStream::readable");
    let listener = TcpListener::from_std(listener.into_std().unwrap()).unwrap();
    said(Box::pin(async { listener.accept().await.map(drop) }), "TcpListener::accept");

    let file = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let fd = AsyncFd::new(file).unwrap();
    said(Box::pin(async { fd.readable().await.map(drop) }), "AsyncFd::readable");
    let fd = AsyncFd::new(std::io::pipe().unwrap().0).unwrap();
    said(Box::pin(async { fd.readable().await.map(drop) }), "AsyncFd::readable");

    let path = std::env::temp_dir().join(format!("runtime-messages-{}", std::process::id()));
    let listener = UnixListener::bind(&path).unwrap();
    std::fs::remove_file(path).unwrap();
    said(Box::pin(async { listener.accept().await.map(drop) }), "UnixListener::accept");
    let (datagram, _other) = UnixDatagram::pair().unwrap();
    said(Box::pin(async { datagram.recv(&mut [0]).await.map(drop) }), "UnixDatagram::recv");
    let (mut sender, _receiver) = pipe::pipe().unwrap();
    said(
        Box::pin(async {
            while sender.write(&[0; 10_000]).await? > 0 {}
            Ok(())
        }),
        "Sender::write",
    );
}

/// `SIGINT` and `SIGTERM` have no effect on this process any more, and no other test needs them.
#[test]
fn signals_that_are_awaited_outside_of_a_runtime() {
    let _watchdog = watchdog();
    let mut stream = signal(SignalKind::hangup()).unwrap();
    let made = Some((line!() - 1, 22));
    assert_eq!(answer(|| elsewhere(stream.recv())).0, polled("Signal::recv", OUTSIDE, made));
    let ctrl_c = signals::ctrl_c();
    let made = Some((line!() - 1, 18));
    assert_eq!(answer(|| elsewhere(ctrl_c)).0, polled("signal::ctrl_c", OUTSIDE, made));
    let shutdown = signals::shutdown();
    let made = Some((line!() - 1, 20));
    assert_eq!(answer(|| elsewhere(shutdown)).0, polled("signal::shutdown", OUTSIDE, made));
}

#[test]
fn files_and_children_outside_of_a_runtime() {
    let _watchdog = watchdog();
    let called = |function: &str| format!("{function} was called {OUTSIDE}");
    assert_eq!(answer(|| elsewhere(fs::metadata("."))).0, called("fs::metadata"));
    assert_eq!(answer(|| elsewhere(fs::read_dir("."))).0, called("fs::read_dir"));
    assert_eq!(answer(|| elsewhere(File::open("."))).0, called("OpenOptions::open"));
    // Writing needs a thread of the pool, whatever the file is.
    let mut file = File::from_std(std::fs::File::options().write(true).open("/dev/null").unwrap());
    assert_eq!(answer(|| elsewhere(file.write(b"x"))).0, called("File::write"));
    assert_eq!(answer(|| elsewhere(file.sync_all())).0, called("File::sync_all"));

    let mut command = Command::new("cat");
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let made = Some((line!() - 1, 74));
    let (_stdin, mut stdout) = (child.stdin.take(), child.stdout.take().unwrap());
    assert_eq!(answer(|| elsewhere(child.wait())).0, polled("Child::wait", OUTSIDE, made));
    assert_eq!(answer(|| elsewhere(stdout.read(&mut [0]))).0, polled("ChildStdout::read", OUTSIDE, made));
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
    // No other thread can turn the loop meanwhile.
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
    // This follows the advice of the message.
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
    // The stream is blocking, and no data comes: `from_std` makes it non-blocking.
    let mut stream = TcpStream::from_std(client).unwrap();
    let read = async { time::timeout(Duration::from_millis(5), stream.read(&mut [0; 8])).await };
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
