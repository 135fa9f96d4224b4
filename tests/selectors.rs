//! The multiplexers by themselves, without a runtime: one table of laws, for every one that exists.
#![expect(unsafe_code, reason = "descriptors of certain numbers, terminals, signals, and limits")]

mod common;

use common::process::in_child;
use common::watchdog;
use runtime::io::Interest;
use runtime::selector::{Event, Events, Kind, Notifier, Selector};
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::net::UnixStream;
use std::sync::Barrier;
use std::thread;
use std::time::{Duration, Instant};

const READ: Interest = Interest::READABLE;
const WRITE: Interest = Interest::WRITABLE;
const BOTH: Interest = READ.add(WRITE);

/// Long enough to be told from "at once", short enough to be waited for.
const A_WHILE: Duration = Duration::from_millis(20);

/// Every law as a test of every kind.
macro_rules! laws {
    ($($law:ident)*) => {
        laws! { @of Epoll epoll ($($law)*) }
        laws! { @of EpollLevel epoll_level ($($law)*) }
        laws! { @of Kqueue kqueue ($($law)*) }
        laws! { @of Poll poll ($($law)*) }
        laws! { @of Select select ($($law)*) }
    };
    (@of $kind:ident $module:ident ($($law:ident)*)) => {
        mod $module {
            $(#[test]
            fn $law() {
                super::on(super::Kind::$kind, super::$law);
            })*
        }
    };
}

laws! {
    what_is_ready_at_registration_is_reported
    a_state_is_reported_as_long_as_it_lasts_or_once
    what_becomes_ready_after_eagain_is_reported
    nothing_is_reported_that_nobody_asked_for
    another_interest_and_another_key
    what_is_deregistered_is_silent
    errors_of_registration_are_alike
    one_that_is_refused_is_not_there
    a_wait_is_never_too_short
    a_wait_may_be_shorter_than_a_millisecond
    the_longest_wait_is_no_error_and_can_be_broken
    a_notification_before_the_wait_breaks_it
    a_notification_from_another_thread_breaks_the_wait
    many_notifications_break_one_wait
    a_notification_hides_no_event
    a_notifier_may_outlive_its_selector
    a_signal_ends_the_wait_with_no_events
    a_listener_and_a_connection
    half_a_close
    a_reset
    a_hang_up_is_told_to_whoever_waits
    a_hang_up_that_nobody_reads
    a_pipe
    a_terminal
    a_device_that_is_always_ready
    an_eventfd
    no_more_events_than_there_is_room_for
    with_room_for_one_each_gets_its_turn
    numbers_around_the_end_of_the_sets
    nineteen_thousand_descriptors
    a_limit_below_what_is_watched
    closed_behind_our_back
    a_number_used_again_within_a_batch
    a_duplicate_kept_alive
}

/// Where a kind does not exist, the law is that it says so.
fn on(kind: Kind, law: fn(Kind)) {
    let _watchdog = watchdog();
    if Kind::available().contains(&kind) {
        return law(kind);
    }
    let error = Selector::with(kind).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported);
    for there_is in Kind::available() {
        assert!(error.to_string().contains(there_is.name()), "{error}");
    }
}

/// What was reported under one key, whether by one event or by two.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
struct Seen {
    readable: bool,
    writable: bool,
    read_closed: bool,
    write_closed: bool,
}

impl Seen {
    const READABLE: Seen = Seen { readable: true, writable: false, read_closed: false, write_closed: false };
    const WRITABLE: Seen = Seen { readable: false, writable: true, read_closed: false, write_closed: false };
    const CLOSED: Seen = Seen { readable: true, writable: true, read_closed: true, write_closed: true };

    fn add(&mut self, event: Event) {
        self.readable |= event.is_readable();
        self.writable |= event.is_writable();
        self.read_closed |= event.is_read_closed();
        self.write_closed |= event.is_write_closed();
    }
}

/// A selector, and what its waits bring.
struct Watch {
    selector: Selector,
    events: Events,
}

impl Watch {
    fn new(kind: Kind) -> Watch {
        let selector = Selector::with(kind).unwrap();
        assert_eq!(selector.kind(), kind);
        Watch { selector, events: Events::with_capacity(64) }
    }

    fn register(&mut self, fd: impl AsFd, key: u64, interest: Interest) {
        self.selector.register(fd, key, interest).unwrap();
    }

    /// One wait.
    fn wait(&mut self, timeout: Duration) -> BTreeMap<u64, Seen> {
        self.selector.wait(&mut self.events, Some(timeout)).unwrap();
        let mut seen = BTreeMap::<u64, Seen>::new();
        for event in &self.events {
            seen.entry(event.key()).or_default().add(event);
        }
        seen
    }

    /// What is ready now.
    fn now(&mut self) -> BTreeMap<u64, Seen> {
        self.wait(Duration::ZERO)
    }

    /// Waits until `key` is reported, alone.
    fn until(&mut self, key: u64) -> Seen {
        loop {
            let mut seen = self.wait(Duration::from_secs(5));
            if let Some(of_key) = seen.remove(&key) {
                assert!(seen.is_empty(), "besides {key}: {seen:?}");
                return of_key;
            }
            assert!(seen.is_empty(), "instead of {key}: {seen:?}");
        }
    }

    /// Waits until `key` is reported, whatever else is.
    fn until_among(&mut self, key: u64) -> Seen {
        loop {
            if let Some(of_key) = self.wait(Duration::from_secs(5)).remove(&key) {
                return of_key;
            }
        }
    }

    /// A wait brings nothing and lasts its time: nothing turns the loop.
    #[track_caller]
    fn is_quiet(&mut self) {
        let start = Instant::now();
        let seen = self.wait(A_WHILE);
        assert!(seen.is_empty(), "{seen:?}");
        assert!(start.elapsed() >= A_WHILE, "broken after {:?}", start.elapsed());
    }
}

/// libkqueue is made of epoll: it does not learn of a close, tells of the end only when the data has
/// been read, and takes the error of a socket away to tell of it.
fn is_emulated(kind: Kind) -> bool {
    cfg!(runtime_libkqueue) && kind == Kind::Kqueue
}

fn only(key: u64, seen: Seen) -> BTreeMap<u64, Seen> {
    BTreeMap::from([(key, seen)])
}

fn pair() -> (UnixStream, UnixStream) {
    let (one, other) = UnixStream::pair().unwrap();
    one.set_nonblocking(true).unwrap();
    other.set_nonblocking(true).unwrap();
    (one, other)
}

fn tcp_pair() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let one = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let (other, _) = listener.accept().unwrap();
    one.set_nonblocking(true).unwrap();
    other.set_nonblocking(true).unwrap();
    (one, other)
}

fn read_all(mut stream: impl Read) {
    let mut buffer = [0; 4096];
    while stream.read(&mut buffer).unwrap_or(0) > 0 {}
}

fn errno<T>(result: io::Result<T>) -> Option<i32> {
    result.err().and_then(|error| error.raw_os_error())
}

fn checked(number: libc::c_int) -> libc::c_int {
    assert!(number >= 0, "{}", io::Error::last_os_error());
    number
}

fn owned(fd: RawFd) -> File {
    // SAFETY: the caller has just made it, and it is checked.
    File::from(unsafe { OwnedFd::from_raw_fd(checked(fd)) })
}

/// Another descriptor of the same file, with that number or the next free one above.
fn duplicate(fd: impl AsFd, number: RawFd) -> File {
    // SAFETY: a number goes in and a number comes out.
    owned(unsafe { libc::fcntl(fd.as_fd().as_raw_fd(), libc::F_DUPFD_CLOEXEC, number) })
}

/// As many descriptors as the system lets this process have, up to 20,000.
fn allow_many_descriptors() -> usize {
    // SAFETY: zeros are a valid limit.
    let mut limit: libc::rlimit = unsafe { std::mem::zeroed() };
    // SAFETY: the kernel writes one limit, and then reads it.
    unsafe {
        checked(libc::getrlimit(libc::RLIMIT_NOFILE, &mut limit));
        limit.rlim_cur = limit.rlim_max.min(20_000);
        checked(libc::setrlimit(libc::RLIMIT_NOFILE, &limit));
    }
    limit.rlim_cur as usize
}

/// From now on, for what is opened.
fn limit_descriptors(limit: usize) {
    // SAFETY: zeros are a valid limit.
    let mut both: libc::rlimit = unsafe { std::mem::zeroed() };
    // SAFETY: the kernel writes one limit, and then reads it.
    unsafe {
        checked(libc::getrlimit(libc::RLIMIT_NOFILE, &mut both));
        both.rlim_cur = limit as libc::rlim_t;
        checked(libc::setrlimit(libc::RLIMIT_NOFILE, &both));
    }
}

// Readiness.

fn what_is_ready_at_registration_is_reported(kind: Kind) {
    let mut watch = Watch::new(kind);
    let (one, mut other) = pair();
    other.write_all(b"x").unwrap();
    watch.register(&one, 1, READ);
    assert_eq!(watch.now(), only(1, Seen::READABLE));
    watch.register(&other, 2, WRITE);
    assert_eq!(watch.until_among(2), Seen::WRITABLE);
}

fn a_state_is_reported_as_long_as_it_lasts_or_once(kind: Kind) {
    let mut watch = Watch::new(kind);
    let (one, mut other) = pair();
    watch.register(&one, 1, READ);
    assert!(watch.now().is_empty());
    other.write_all(b"x").unwrap();
    assert_eq!(watch.until(1), Seen::READABLE);
    for _ in 0..3 {
        if kind.is_edge() {
            watch.is_quiet();
        } else {
            assert_eq!(watch.now(), only(1, Seen::READABLE));
        }
    }
    read_all(&one);
    watch.is_quiet();
}

fn what_becomes_ready_after_eagain_is_reported(kind: Kind) {
    let mut watch = Watch::new(kind);
    let (one, mut other) = pair();
    watch.register(&one, 1, READ);
    for _ in 0..10 {
        other.write_all(b"x").unwrap();
        assert_eq!(watch.until(1), Seen::READABLE);
        read_all(&one);
    }
    watch.selector.modify(&one, 1, WRITE).unwrap();
    for _ in 0..3 {
        assert_eq!(watch.until(1), Seen::WRITABLE);
        // Full, and then empty again.
        while (&one).write(&[0; 4096]).is_ok() {}
        watch.now();
        watch.is_quiet();
        read_all(&other);
    }
}

fn nothing_is_reported_that_nobody_asked_for(kind: Kind) {
    let mut watch = Watch::new(kind);
    let (one, mut other) = pair();
    other.write_all(b"x").unwrap();
    watch.register(&one, 1, WRITE);
    assert_eq!(watch.until(1), Seen::WRITABLE);
    watch.selector.modify(&one, 1, READ).unwrap();
    assert_eq!(watch.until(1), Seen::READABLE);
    watch.selector.modify(&one, 1, BOTH).unwrap();
    assert_eq!(watch.until(1), Seen { readable: true, ..Seen::WRITABLE });
}

fn another_interest_and_another_key(kind: Kind) {
    let mut watch = Watch::new(kind);
    let (one, mut other) = pair();
    other.write_all(b"x").unwrap();
    watch.register(&one, 1, BOTH);
    assert_eq!(watch.until(1), Seen { readable: true, ..Seen::WRITABLE });
    // Also by edge, what is ready is reported anew.
    for key in 2..5 {
        watch.selector.modify(&one, key, READ).unwrap();
        assert_eq!(watch.now(), only(key, Seen::READABLE));
    }
    read_all(&one);
    watch.is_quiet();
}

fn what_is_deregistered_is_silent(kind: Kind) {
    let mut watch = Watch::new(kind);
    let (one, mut other) = pair();
    let (two, mut another) = pair();
    watch.register(&one, 1, READ);
    watch.register(&two, 2, READ);
    watch.selector.deregister(&one).unwrap();
    other.write_all(b"x").unwrap();
    watch.is_quiet();
    another.write_all(b"x").unwrap();
    assert_eq!(watch.until(2), Seen::READABLE);
    watch.selector.deregister(&two).unwrap();
    watch.is_quiet();
    watch.register(&one, 3, READ);
    assert_eq!(watch.until(3), Seen::READABLE);
}

// Errors.

fn errors_of_registration_are_alike(kind: Kind) {
    let mut watch = Watch::new(kind);
    let (one, other) = pair();
    let selector = &mut watch.selector;
    assert_eq!(errno(selector.modify(&one, 1, READ)), Some(libc::ENOENT));
    assert_eq!(errno(selector.deregister(&one)), Some(libc::ENOENT));
    selector.register(&one, 1, READ).unwrap();
    for interest in [READ, WRITE, BOTH] {
        assert_eq!(errno(selector.register(&one, 2, interest)), Some(libc::EEXIST));
    }
    for file in [File::open("Cargo.toml").unwrap(), File::open(".").unwrap()] {
        assert_eq!(errno(selector.register(&file, 3, READ)), Some(libc::EPERM));
    }
    let reserved = selector.register(&other, u64::MAX, READ).unwrap_err();
    assert_eq!(reserved.kind(), ErrorKind::InvalidInput);
    let reserved = selector.modify(&one, u64::MAX, READ).unwrap_err();
    assert_eq!(reserved.kind(), ErrorKind::InvalidInput);
    selector.register(&other, u64::MAX - 1, READ).unwrap();
    selector.deregister(&one).unwrap();
    assert_eq!(errno(selector.deregister(&one)), Some(libc::ENOENT));
    (&one).write_all(b"x").unwrap();
    assert_eq!(watch.until(u64::MAX - 1), Seen::READABLE);
}

fn one_that_is_refused_is_not_there(kind: Kind) {
    let mut watch = Watch::new(kind);
    let file = File::open("Cargo.toml").unwrap();
    for _ in 0..2 {
        assert_eq!(errno(watch.selector.register(&file, 1, READ)), Some(libc::EPERM));
        assert_eq!(errno(watch.selector.modify(&file, 1, READ)), Some(expected_of_file(kind)));
        assert_eq!(errno(watch.selector.deregister(&file)), Some(expected_of_file(kind)));
    }
    watch.is_quiet();
}

/// epoll looks at what a descriptor is before it looks whether it is there.
fn expected_of_file(kind: Kind) -> i32 {
    match kind {
        Kind::Epoll | Kind::EpollLevel => libc::EPERM,
        _ => libc::ENOENT,
    }
}

// Time.

fn a_wait_is_never_too_short(kind: Kind) {
    let mut watch = Watch::new(kind);
    let (one, _other) = pair();
    watch.register(&one, 1, READ);
    assert!(watch.now().is_empty());
    for micros in [1, 50, 999, 1000, 1001, 2500, 10_000] {
        let timeout = Duration::from_micros(micros);
        let start = Instant::now();
        assert!(watch.wait(timeout).is_empty());
        assert!(start.elapsed() >= timeout, "{timeout:?} took {:?}", start.elapsed());
    }
}

/// Only that it can be: a busy machine makes it longer, but hardly twenty times in a row.
fn a_wait_may_be_shorter_than_a_millisecond(kind: Kind) {
    if cfg!(target_vendor = "apple") && kind == Kind::Poll {
        return;
    }
    let mut watch = Watch::new(kind);
    let (one, _other) = pair();
    watch.register(&one, 1, READ);
    let mut shortest = Duration::MAX;
    for _ in 0..200 {
        let start = Instant::now();
        assert!(watch.wait(Duration::from_micros(100)).is_empty());
        shortest = shortest.min(start.elapsed());
    }
    assert!(shortest >= Duration::from_micros(100), "{shortest:?}");
    assert!(shortest < Duration::from_millis(1), "{shortest:?}");
}

fn the_longest_wait_is_no_error_and_can_be_broken(kind: Kind) {
    let mut watch = Watch::new(kind);
    for timeout in [Duration::MAX, Duration::from_secs(1 << 32), Duration::from_millis(1 << 31)] {
        let notifier = watch.selector.notifier();
        // Before the other thread begins: it may be done with its sleep before this one comes to wait.
        let start = Instant::now();
        thread::scope(|scope| {
            scope.spawn(|| {
                thread::sleep(A_WHILE);
                notifier.notify();
            });
            assert!(watch.wait(timeout).is_empty());
            assert!(start.elapsed() >= A_WHILE, "{timeout:?} took {:?}", start.elapsed());
        });
    }
}

// The notifier.

fn a_notification_before_the_wait_breaks_it(kind: Kind) {
    let mut watch = Watch::new(kind);
    let notifier = watch.selector.notifier();
    for _ in 0..5 {
        notifier.clone().notify();
        watch.selector.wait(&mut watch.events, None).unwrap();
        assert!(watch.events.is_empty());
        watch.is_quiet();
    }
}

fn a_notification_from_another_thread_breaks_the_wait(kind: Kind) {
    let mut watch = Watch::new(kind);
    let notifier = watch.selector.notifier();
    let barrier = Barrier::new(2);
    thread::scope(|scope| {
        scope.spawn(|| {
            for _ in 0..1000 {
                notifier.notify();
                barrier.wait();
            }
        });
        // A lost one would hang.
        for _ in 0..1000 {
            watch.selector.wait(&mut watch.events, None).unwrap();
            assert!(watch.events.is_empty());
            barrier.wait();
        }
    });
    watch.is_quiet();
}

fn many_notifications_break_one_wait(kind: Kind) {
    let mut watch = Watch::new(kind);
    let notifier = watch.selector.notifier();
    // More than a pipe has room for.
    for _ in 0..100_000 {
        notifier.notify();
    }
    watch.selector.wait(&mut watch.events, None).unwrap();
    assert!(watch.events.is_empty());
    watch.is_quiet();
    notifier.notify();
    watch.selector.wait(&mut watch.events, None).unwrap();
    watch.is_quiet();
}

fn a_notification_hides_no_event(kind: Kind) {
    let mut watch = Watch::new(kind);
    watch.events = Events::with_capacity(1);
    let (one, mut other) = pair();
    other.write_all(b"x").unwrap();
    watch.register(&one, 1, READ);
    watch.selector.notifier().notify();
    assert_eq!(watch.until(1), Seen::READABLE);
}

fn a_notifier_may_outlive_its_selector(kind: Kind) {
    fn crosses_threads<T: Send + Sync + Clone>(_: &T) {}
    fn moves<T: Send>(_: &T) {}

    let watch = Watch::new(kind);
    let notifier: Notifier = watch.selector.notifier();
    crosses_threads(&notifier);
    moves(&watch.selector);
    assert_eq!(format!("{:?}", watch.selector), format!("Selector {{ kind: {kind:?}, .. }}"));
    drop(watch);
    notifier.notify();
}

fn a_signal_ends_the_wait_with_no_events(kind: Kind) {
    extern "C" fn handler(_: libc::c_int) {}
    // SAFETY: zeros are a valid action, of which the kernel reads one; the handler does nothing.
    unsafe {
        let mut action: libc::sigaction = std::mem::zeroed();
        action.sa_sigaction = handler as extern "C" fn(libc::c_int) as usize;
        checked(libc::sigaction(libc::SIGUSR1, &action, std::ptr::null_mut()));
    }
    let mut watch = Watch::new(kind);
    // SAFETY: a number comes out.
    let this = unsafe { libc::pthread_self() } as usize;
    let done = std::sync::atomic::AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            while !done.load(std::sync::atomic::Ordering::Relaxed) {
                thread::sleep(Duration::from_millis(1));
                // SAFETY: the scope keeps that thread alive.
                unsafe { libc::pthread_kill(this as libc::pthread_t, libc::SIGUSR1) };
            }
        });
        for _ in 0..10 {
            let start = Instant::now();
            // Without a signal the watchdog would hear of it.
            assert!(watch.wait(Duration::from_secs(3600)).is_empty());
            assert!(start.elapsed() < Duration::from_secs(3600));
        }
        done.store(true, std::sync::atomic::Ordering::Relaxed);
    });
}

// Sockets.

fn a_listener_and_a_connection(kind: Kind) {
    let mut watch = Watch::new(kind);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    watch.register(&listener, 1, READ);
    watch.is_quiet();
    let stream = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    assert_eq!(watch.until(1), Seen::READABLE);
    let (mut accepted, _) = listener.accept().unwrap();
    watch.is_quiet();
    watch.register(&stream, 2, BOTH);
    assert_eq!(watch.until(2), Seen::WRITABLE);
    accepted.write_all(b"x").unwrap();
    watch.selector.modify(&stream, 2, READ).unwrap();
    assert_eq!(watch.until(2), Seen::READABLE);
}

fn half_a_close(kind: Kind) {
    let mut watch = Watch::new(kind);
    let (mut one, mut other) = tcp_pair();
    other.write_all(b"last words").unwrap();
    other.shutdown(Shutdown::Write).unwrap();
    watch.register(&one, 1, READ);
    // The words and the end may arrive apart.
    while !watch.until(1).read_closed {
        thread::sleep(Duration::from_millis(1));
    }
    watch.selector.modify(&one, 1, BOTH).unwrap();
    let seen = watch.until(1);
    assert!(seen.readable && seen.writable && (seen.read_closed || is_emulated(kind)), "{seen:?}");
    assert!(!seen.write_closed, "the other half is open");
    let mut words = String::new();
    one.read_to_string(&mut words).unwrap();
    assert_eq!(words, "last words");
    one.write_all(b"heard").unwrap();
}

fn a_reset(kind: Kind) {
    for interest in [READ, WRITE, BOTH] {
        let mut watch = Watch::new(kind);
        let (mut one, other) = tcp_pair();
        while one.write(&[0; 65536]).is_ok() {}
        watch.register(&one, 1, interest);
        watch.now();
        // What is left unread makes the close a reset.
        drop(other);
        let seen = watch.until(1);
        assert!(seen.readable || !interest.is_readable(), "{seen:?}");
        assert!(seen.writable || !interest.is_writable(), "{seen:?}");
        assert!(seen.read_closed || seen.write_closed, "{seen:?}");
        let result = one.read(&mut [0; 16]);
        if is_emulated(kind) {
            assert!(!matches!(result, Ok(1..)));
        } else {
            assert_eq!(result.unwrap_err().kind(), ErrorKind::ConnectionReset);
        }
    }
}

fn a_hang_up_is_told_to_whoever_waits(kind: Kind) {
    for interest in [READ, WRITE, BOTH] {
        let mut watch = Watch::new(kind);
        let (one, other) = pair();
        while (&one).write(&[0; 4096]).is_ok() {}
        watch.register(&one, 1, interest);
        watch.is_quiet();
        drop(other);
        let seen = watch.until(1);
        assert!(seen.readable || !interest.is_readable(), "{seen:?}");
        assert!(seen.writable || !interest.is_writable(), "{seen:?}");
    }
}

fn a_hang_up_that_nobody_reads(kind: Kind) {
    let mut watch = Watch::new(kind);
    let (one, other) = pair();
    watch.register(&one, 1, READ);
    drop(other);
    let seen = watch.until(1);
    assert!(seen.readable && seen.read_closed, "{seen:?}");
    // By level it is reported again and again, as long as it is of interest…
    for _ in 0..3 {
        assert_eq!(watch.now().contains_key(&1), !kind.is_edge());
    }
    // …and one that is not of interest any more is taken out.
    watch.selector.deregister(&one).unwrap();
    watch.is_quiet();
}

// Other descriptors.

fn a_pipe(kind: Kind) {
    let mut watch = Watch::new(kind);
    let (reader, mut writer) = io::pipe().unwrap();
    watch.register(&reader, 1, READ);
    watch.is_quiet();
    writer.write_all(b"x").unwrap();
    assert_eq!(watch.until(1), Seen::READABLE);
    assert_eq!((&reader).read(&mut [0; 16]).unwrap(), 1);
    watch.is_quiet();
    drop(writer);
    let seen = watch.until(1);
    assert!(seen.readable && seen.read_closed, "{seen:?}");
    assert_eq!((&reader).read(&mut [0; 16]).unwrap(), 0);
    watch.selector.deregister(&reader).unwrap();

    let (reader, writer) = io::pipe().unwrap();
    watch.register(&writer, 2, WRITE);
    assert_eq!(watch.until(2), Seen::WRITABLE);
    drop(reader);
    let seen = watch.until(2);
    assert!(seen.writable && seen.write_closed, "{seen:?}");
    assert_eq!((&writer).write(b"x").unwrap_err().kind(), ErrorKind::BrokenPipe);
    // One whose reader has gone before it is registered.
    watch.selector.deregister(&writer).unwrap();
    watch.register(&writer, 3, WRITE);
    let seen = watch.until(3);
    assert!(seen.writable && seen.write_closed, "{seen:?}");
}

fn a_terminal(kind: Kind) {
    let mut watch = Watch::new(kind);
    let (mut master, mut slave) = (-1, -1);
    // SAFETY: the call writes two numbers, and takes the nulls for no name, no modes and no size.
    checked(unsafe {
        libc::openpty(
            &mut master,
            &mut slave,
            std::ptr::null_mut(),
            std::ptr::null_mut(),
            std::ptr::null_mut(),
        )
    });
    let (mut master, mut slave) = (owned(master), owned(slave));
    watch.register(&master, 1, READ);
    watch.register(&slave, 2, READ);
    watch.is_quiet();
    slave.write_all(b"from within").unwrap();
    assert_eq!(watch.until(1), Seen::READABLE);
    let mut buffer = [0; 64];
    assert_eq!(master.read(&mut buffer).unwrap(), 11);
    // A line, which the terminal also writes back.
    master.write_all(b"typed\n").unwrap();
    assert_eq!(watch.until_among(2), Seen::READABLE);
    assert_eq!(slave.read(&mut buffer).unwrap(), 6);
}

fn a_device_that_is_always_ready(kind: Kind) {
    let mut watch = Watch::new(kind);
    let null = File::options().read(true).write(true).open("/dev/null").unwrap();
    let result = watch.selector.register(&null, 1, BOTH);
    match kind {
        Kind::Epoll | Kind::EpollLevel => assert_eq!(errno(result), Some(libc::EPERM)),
        Kind::Poll | Kind::Select => {
            result.unwrap();
            for _ in 0..3 {
                assert_eq!(watch.now(), only(1, Seen { readable: true, ..Seen::WRITABLE }));
            }
        }
        // Systems differ; whether it is taken or not, nothing is made up.
        _ => assert_eq!(result.is_ok(), watch.selector.deregister(&null).is_ok()),
    }
}

fn an_eventfd(kind: Kind) {
    #[cfg(any(target_os = "linux", target_os = "android"))]
    {
        let mut watch = Watch::new(kind);
        // SAFETY: numbers go in and a number comes out.
        let mut eventfd = owned(unsafe { libc::eventfd(0, libc::EFD_CLOEXEC | libc::EFD_NONBLOCK) });
        watch.register(&eventfd, 1, READ);
        for _ in 0..3 {
            watch.is_quiet();
            eventfd.write_all(&1u64.to_ne_bytes()).unwrap();
            assert_eq!(watch.until(1), Seen::READABLE);
            eventfd.read_exact(&mut [0; 8]).unwrap();
        }
    }
    #[cfg(not(any(target_os = "linux", target_os = "android")))]
    assert!(kind.is_available());
}

// Room.

fn no_more_events_than_there_is_room_for(kind: Kind) {
    let mut watch = Watch::new(kind);
    watch.events = Events::with_capacity(3);
    let pairs: Vec<_> = (0..10).map(|_| pair()).collect();
    for ((one, other), key) in pairs.iter().zip(0..) {
        (&mut &*other).write_all(b"x").unwrap();
        watch.register(one, key, READ);
    }
    let mut seen = BTreeMap::new();
    for _ in 0..4 {
        let more = watch.now();
        assert!(watch.events.len() <= 3, "{:?}", watch.events);
        seen.extend(more);
    }
    assert_eq!(seen.len(), 10, "{seen:?}");
}

fn with_room_for_one_each_gets_its_turn(kind: Kind) {
    let mut watch = Watch::new(kind);
    watch.events = Events::with_capacity(0);
    assert_eq!(watch.events.capacity(), 1);
    let pairs: Vec<_> = (0..5).map(|_| pair()).collect();
    for ((one, other), key) in pairs.iter().zip(0..) {
        (&mut &*other).write_all(b"x").unwrap();
        watch.register(one, key, READ);
    }
    let mut counts = [0; 5];
    for _ in 0..50 {
        for (key, seen) in watch.now() {
            assert_eq!(seen, Seen::READABLE);
            counts[key as usize] += 1;
        }
    }
    let expected = if kind.is_edge() { [1; 5] } else { [10; 5] };
    assert_eq!(counts, expected);
}

fn numbers_around_the_end_of_the_sets(kind: Kind) {
    in_child(|| {
        let most = allow_many_descriptors() as RawFd;
        let end = libc::FD_SETSIZE as RawFd;
        let (one, mut other) = pair();
        other.write_all(b"x").unwrap();
        for number in [end - 1, end, end + 1, 1500, most - 1] {
            let mut watch = Watch::new(kind);
            let high = duplicate(&one, number);
            assert_eq!(high.as_raw_fd(), number);
            let result = watch.selector.register(&high, 1, READ);
            if kind != Kind::Select || number < end {
                result.unwrap();
                assert_eq!(watch.until(1), Seen::READABLE);
                watch.selector.deregister(&high).unwrap();
            } else {
                let error = result.unwrap_err();
                assert_eq!(error.kind(), ErrorKind::InvalidInput);
                for word in ["FD_SETSIZE", &end.to_string(), &number.to_string(), "poll", "epoll"] {
                    assert!(error.to_string().contains(word), "{error}");
                }
                assert_eq!(errno(watch.selector.deregister(&high)), Some(libc::ENOENT));
            }
            watch.is_quiet();
        }
    });
}

fn nineteen_thousand_descriptors(kind: Kind) {
    in_child(|| {
        let most = allow_many_descriptors();
        let mut watch = Watch::new(kind);
        let count = (most - 100).min(19_000) / 2;
        let pairs: Vec<_> = (0..count).map(|_| pair()).collect();
        let mut registered = 0;
        for (key, (one, _)) in pairs.iter().enumerate() {
            match watch.selector.register(one, key as u64, READ) {
                Ok(()) => registered = key + 1,
                Err(error) => assert!(kind == Kind::Select && one.as_raw_fd() >= 1024, "{key}: {error}"),
            }
        }
        assert!(registered == count || kind == Kind::Select && registered > 400, "{registered}");
        let others = pairs.iter().map(|(_, other)| other).enumerate();
        if kind != Kind::Select {
            for (key, other) in others.clone() {
                watch.register(other, (count + key) as u64, READ);
            }
            assert!(2 * count > 18_900 || most < 19_000, "{count} pairs");
        }
        assert!(watch.now().is_empty());
        let chosen: Vec<_> = others.take(registered).step_by(registered / 10).collect();
        for (_, mut other) in chosen.iter().copied() {
            other.write_all(b"x").unwrap();
        }
        let mut expected: BTreeMap<_, _> =
            chosen.iter().map(|(key, _)| (*key as u64, Seen::READABLE)).collect();
        while !expected.is_empty() {
            for (key, seen) in watch.now() {
                assert!(expected.remove(&key).is_none_or(|expected| expected == seen), "{key}: {seen:?}");
                read_all(&pairs[key as usize].0);
            }
        }
        watch.is_quiet();
        for (one, _) in &pairs[..registered] {
            watch.selector.deregister(one).unwrap();
        }
        watch.is_quiet();
    });
}

/// Linux's poll(2) then refuses the list.
fn a_limit_below_what_is_watched(kind: Kind) {
    in_child(|| {
        let mut watch = Watch::new(kind);
        let pairs: Vec<_> = (0..60).map(|_| pair()).collect();
        for ((one, _), key) in pairs.iter().zip(0..) {
            watch.register(one, key, READ);
        }
        let notifier = watch.selector.notifier();
        for limit in [40, 2, 1, 0] {
            limit_descriptors(limit);
            // Then poll(2) says nothing of anything, and all may be ready.
            let is_blind = kind == Kind::Poll && limit == 0;
            for ((one, other), key) in pairs.iter().zip(0..).step_by(7) {
                (&mut &*other).write_all(b"x").unwrap();
                loop {
                    let mut seen = watch.wait(Duration::from_secs(5));
                    if seen.remove(&key) == Some(Seen::READABLE) {
                        assert!(is_blind || seen.is_empty(), "{limit}: {seen:?}");
                        break;
                    }
                    assert!(is_blind || seen.is_empty(), "{limit}: {seen:?}");
                }
                read_all(one);
            }
            // It rests when there is nothing to do, and can be notified.
            let (start, mut waits) = (Instant::now(), 0);
            while start.elapsed() < 5 * A_WHILE {
                let seen = watch.wait(A_WHILE);
                assert!(is_blind || seen.is_empty(), "{limit}: {seen:?}");
                waits += 1;
            }
            assert!(waits <= 12, "{limit}: {waits} waits");
            thread::scope(|scope| {
                scope.spawn(|| notifier.notify());
                watch.wait(Duration::from_secs(5));
                assert!(start.elapsed() < Duration::from_secs(5));
            });
        }
        // For whoever looks for leaks when the process ends.
        limit_descriptors(1024);
    });
}

// Closing. In processes of their own: elsewhere another test might take the number.

fn closed_behind_our_back(kind: Kind) {
    in_child(|| {
        let mut watch = Watch::new(kind);
        let (one, _other) = pair();
        let (two, mut another) = pair();
        watch.register(&one, 1, READ);
        watch.register(&two, 2, READ);
        let number = one.as_raw_fd();
        drop(one);
        if matches!(kind, Kind::Poll | Kind::Select) {
            assert_eq!(watch.now(), only(1, Seen::CLOSED), "told of once…");
        }
        // …and never again.
        watch.is_quiet();
        another.write_all(b"x").unwrap();
        assert_eq!(watch.until(2), Seen::READABLE);
        read_all(&two);
        // Its number is free to be registered anew.
        let (three, mut third) = pair();
        assert_eq!(three.as_raw_fd(), number);
        if is_emulated(kind) {
            assert_eq!(errno(watch.selector.register(&three, 3, READ)), Some(libc::EEXIST));
            return;
        }
        watch.register(&three, 3, READ);
        watch.is_quiet();
        third.write_all(b"x").unwrap();
        assert_eq!(watch.until(3), Seen::READABLE);
    });
}

fn a_number_used_again_within_a_batch(kind: Kind) {
    in_child(|| {
        let mut watch = Watch::new(kind);
        let (one, mut other) = pair();
        let (two, mut another) = pair();
        watch.register(&one, 1, READ);
        watch.register(&two, 2, READ);
        other.write_all(b"x").unwrap();
        another.write_all(b"x").unwrap();
        let batch = watch.now();
        assert_eq!(batch.keys().copied().collect::<Vec<_>>(), [1, 2]);
        // Whoever handles the first event closes the other socket; its number comes again at once.
        let number = two.as_raw_fd();
        watch.selector.deregister(&two).unwrap();
        drop(two);
        let (three, mut third) = pair();
        assert_eq!(three.as_raw_fd(), number);
        watch.register(&three, 3, READ);
        // The event that was collected still has the old key; none that comes has.
        read_all(&one);
        watch.is_quiet();
        third.write_all(b"x").unwrap();
        assert_eq!(watch.until(3), Seen::READABLE);
    });
}

fn a_duplicate_kept_alive(kind: Kind) {
    in_child(|| {
        // In order: first out of the selector, then closed.
        let mut watch = Watch::new(kind);
        let (one, mut other) = pair();
        let kept = duplicate(&one, 0);
        watch.register(&one, 1, READ);
        watch.selector.deregister(&one).unwrap();
        drop(one);
        other.write_all(b"x").unwrap();
        watch.is_quiet();
        drop((kept, other));

        // The wrong way round.
        let (one, mut other) = pair();
        let kept = duplicate(&one, 100);
        watch.register(&one, 1, READ);
        let number = one.as_raw_fd();
        drop(one);
        other.write_all(b"x").unwrap();
        match kind {
            // epoll(7): the registration is that of the open file, and goes on.
            Kind::Epoll | Kind::EpollLevel => {
                assert_eq!(watch.until(1), Seen::READABLE);
                let (two, mut another) = pair();
                assert_eq!(two.as_raw_fd(), number);
                watch.register(&two, 2, READ);
                read_all(&kept);
                another.write_all(b"x").unwrap();
                assert_eq!(watch.until(2), Seen::READABLE);
            }
            Kind::Poll | Kind::Select => {
                assert_eq!(watch.now(), only(1, Seen::CLOSED));
                watch.is_quiet();
            }
            _ if is_emulated(kind) => assert_eq!(watch.until(1), Seen::READABLE),
            _ => watch.is_quiet(),
        }
    });
}

// What is not of one kind.

#[test]
fn the_best_is_the_first_that_there_is() {
    let kinds = Kind::available();
    assert_eq!(Selector::new().unwrap().kind(), kinds[0]);
    assert!(kinds.ends_with(&[Kind::Poll, Kind::Select]), "{kinds:?}");
    assert!(kinds.iter().all(|kind| kind.is_available()));
    if cfg!(any(target_os = "linux", target_os = "android")) {
        assert!(kinds.starts_with(&[Kind::Epoll, Kind::EpollLevel]), "{kinds:?}");
    } else {
        assert_eq!(kinds[0], Kind::Kqueue);
    }
}

#[test]
fn each_descriptor_of_a_selector_is_given_back() {
    in_child(|| {
        for kind in Kind::available() {
            let before = common::process::open_descriptors();
            for round in 0..10 {
                let watch = Watch::new(*kind);
                let notifier = watch.selector.notifier();
                assert!(common::process::open_descriptors() > before, "{kind}");
                drop(watch);
                drop(notifier);
                // libkqueue works off the last one when the next one is made, and has some of its own.
                let most = if is_emulated(*kind) { before + 10 } else { before };
                assert!(common::process::open_descriptors() <= most, "{kind}, round {round}");
            }
        }
    });
}
