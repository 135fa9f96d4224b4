//! The waits of a selector, and the ends of a wait: its timeout, a notification, a signal.
#![expect(unsafe_code, reason = "signals")]

mod common;

use common::selectors::{A_WHILE, READ, Seen, Watch, checked, laws, pair};
use runtime::selector::{Events, Kind, Notifier};
use std::io::Write;
use std::sync::Barrier;
use std::thread;
use std::time::{Duration, Instant};

laws! {
    a_wait_is_never_too_short
    a_wait_may_be_shorter_than_a_millisecond
    the_longest_wait_is_no_error_and_can_be_broken
    a_notification_before_the_wait_breaks_it
    a_notification_from_another_thread_breaks_the_wait
    many_notifications_break_one_wait
    a_notification_hides_no_event
    a_notifier_may_outlive_its_selector
    a_signal_ends_the_wait_with_no_events
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

/// This tests only that a wait can be so short: a busy machine makes it longer, but hardly in all attempts.
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
        // The time is taken before the other thread starts, which may have finished its sleep before this thread
        // waits.
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
        // If a notification were lost, this would hang.
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
    // These are more than a pipe has room for.
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
            // Without a signal, the watchdog would end the test.
            assert!(watch.wait(Duration::from_secs(3600)).is_empty());
            assert!(start.elapsed() < Duration::from_secs(3600));
        }
        done.store(true, std::sync::atomic::Ordering::Relaxed);
    });
}
