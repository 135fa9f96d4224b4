//! Law: one task cannot starve the loop. Where possible, fairness is measured in polls and not in time.

mod common;

use common::subjects::Gate;
use common::{Count, poll_once, run, until, watchdog, yield_times};
use runtime::io::{AsyncRead, AsyncWrite, Interest};
use runtime::net::{AsyncFd, TcpListener, TcpSocket, TcpStream, UdpSocket, UnixStream};
use runtime::task::{coop::consume_budget, yield_now};
use runtime::time::{self, Instant, interval, interval_at, sleep, sleep_until, timeout};
use runtime::{Builder, Handle, spawn};
use std::future::poll_fn;
use std::io::{Read, Write};
use std::os::unix::net::UnixStream as StdUnixStream;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use std::thread;
use std::time::Duration;

/// The number of polls between two checks of timers and sockets, in the runtimes below.
const INTERVAL: usize = 61;

fn runtime() -> runtime::Runtime {
    Builder::new_current_thread().event_interval(INTERVAL as u32).build().unwrap()
}

/// Spawns `count` tasks that never wait, and call `each` in every poll.
fn spawn_busy(count: usize, each: impl Fn() + 'static) {
    let each = Rc::new(each);
    for _ in 0..count {
        let each = each.clone();
        drop(spawn(async move {
            loop {
                each();
                yield_now().await;
            }
        }));
    }
}

/// Returns the maximum number of polls before a task runs: at most `INTERVAL` polls until the loop checks for events,
/// and then one for each task that is already in the queue. The sum is doubled, for a round that has just begun.
fn most_polls(tasks: usize) -> usize {
    2 * (INTERVAL + tasks) + 8
}

fn async_pair() -> (AsyncFd<StdUnixStream>, StdUnixStream) {
    let (one, other) = StdUnixStream::pair().unwrap();
    one.set_nonblocking(true).unwrap();
    other.set_nonblocking(true).unwrap();
    (AsyncFd::new(one).unwrap(), other)
}

#[test]
fn a_timer_comes_soon_however_many_tasks_are_busy() {
    let _watchdog = watchdog();
    for tasks in [1, 10, 1000] {
        let late = Count::default();
        runtime().block_on(async {
            let deadline = std::time::Instant::now() + Duration::from_millis(10);
            // The timer is armed before the other tasks begin: a round of them may take longer than the timer.
            let timer = spawn(sleep_until(Instant::from_std(deadline)));
            yield_now().await;
            let counted = late.clone();
            spawn_busy(tasks, move || {
                if std::time::Instant::now() >= deadline {
                    counted.add();
                }
            });
            timer.await.unwrap();
        });
        assert!(late.get() <= most_polls(tasks), "{} polls late, beside {tasks} tasks", late.get());
    }
}

#[test]
fn a_socket_comes_soon_however_many_tasks_are_busy() {
    let _watchdog = watchdog();
    for tasks in [1, 10, 1000] {
        let polls = Count::default();
        runtime().block_on(async {
            let (reader, mut writer) = async_pair();
            let counted = polls.clone();
            spawn_busy(tasks, move || _ = counted.add());
            for round in 0..20 {
                assert!(poll_once(reader.readable()).await.is_none());
                let before = polls.get();
                writer.write_all(b"x").unwrap();
                let mut guard = reader.readable().await.unwrap();
                let waited = polls.get() - before;
                assert!(
                    waited <= most_polls(tasks),
                    "{waited} polls late, beside {tasks} tasks, round {round}"
                );
                while guard.try_io(|reader| reader.get_ref().read(&mut [0; 8])).is_ok() {}
                drop(guard);
            }
        });
    }
}

#[test]
fn a_main_future_that_is_always_busy_starves_neither_timers_nor_sockets() {
    run(async {
        let (reader, mut writer) = async_pair();
        let timer = spawn(sleep(Duration::from_millis(2)));
        let socket = spawn(async move { drop(reader.readable().await.unwrap()) });
        yield_now().await;
        writer.write_all(b"x").unwrap();
        until(|| timer.is_finished() && socket.is_finished()).await;
    });
}

/// Sends bytes back and forth, and waits for another thread, while other tasks are busy.
async fn pings_get_through() {
    let (ping, mut pong) = async_pair();
    for _ in 0..50 {
        pong.write_all(b"x").unwrap();
        let read = ping.async_io(Interest::READABLE, |mut socket| socket.read(&mut [0; 8])).await;
        assert_eq!(read.unwrap(), 1);
        let gate = Gate::default();
        let opened = gate.wait();
        let other = thread::spawn(move || gate.open());
        opened.await;
        other.join().unwrap();
    }
}

#[test]
fn sleeps_of_no_length_starve_nobody() {
    run(async {
        let naps = Count::default();
        let counted = naps.clone();
        drop(spawn(async move {
            loop {
                sleep(Duration::ZERO).await;
                counted.add();
            }
        }));
        drop(spawn(async {
            loop {
                sleep_until(Instant::now()).await;
            }
        }));
        pings_get_through().await;
        assert!(naps.get() > 0);
    });
}

#[test]
fn an_interval_of_a_nanosecond_starves_nobody() {
    run(async {
        drop(spawn(async {
            let mut interval = interval(Duration::from_nanos(1));
            loop {
                interval.tick().await;
            }
        }));
        pings_get_through().await;
    });
}

/// An operation, of which the test counts how often in a row it is ready in one poll of a task.
type Operation = Box<dyn FnMut(&mut Context<'_>) -> Poll<()>>;

fn tcp_pair() -> (TcpStream, std::net::TcpStream) {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let other = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    (TcpStream::from_std(listener.accept().unwrap().0).unwrap(), other)
}

/// Returns a stream from which single bytes can be read for a long time.
fn full() -> (TcpStream, std::net::TcpStream) {
    let (stream, mut other) = tcp_pair();
    other.write_all(&[0; 4096]).unwrap();
    (stream, other)
}

fn reading(mut read: impl FnMut(&mut TcpStream, &mut Context<'_>) -> Poll<()> + 'static) -> Operation {
    let (mut stream, other) = full();
    Box::new(move |cx| {
        let _open = &other;
        read(&mut stream, cx)
    })
}

/// Makes one of every operation that can be ready at once.
async fn operations() -> Vec<(&'static str, Operation)> {
    const TASKS: usize = 300;
    let mut local: Vec<_> = (0..TASKS).map(|_| spawn(async {})).collect();
    let mut away: Vec<_> = (0..TASKS).map(|_| Handle::current().spawn(async {})).collect();
    until(|| local.iter().all(|task| task.is_finished()) && away.iter().all(|task| task.is_finished())).await;
    let past = Instant::now() - Duration::from_secs(1);
    let mut burst = interval_at(past, Duration::from_nanos(1));
    let mut slept = sleep(Duration::ZERO);
    (&mut slept).await;
    let (mut sink, mut drain) = tcp_pair();
    drain.set_nonblocking(true).unwrap();
    let (fd, mut other) = async_pair();
    other.write_all(b"x").unwrap();
    drop(fd.readable().await.unwrap());
    let fd = Rc::new((fd, other));
    let of_fd = fd.clone();
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let listener = TcpListener::from_std(listener).unwrap();
    let mut clients = Vec::new();
    vec![
        ("consume_budget", Box::new(|cx| pin!(consume_budget()).poll(cx))),
        (
            "a join handle",
            Box::new(move |cx| Pin::new(local.last_mut().unwrap()).poll(cx).map(|_| drop(local.pop()))),
        ),
        (
            "a join handle from Handle::spawn",
            Box::new(move |cx| Pin::new(away.last_mut().unwrap()).poll(cx).map(|_| drop(away.pop()))),
        ),
        ("a sleep that is over", Box::new(move |cx| Pin::new(&mut slept).poll(cx))),
        ("an interval that was missed", Box::new(move |cx| burst.poll_tick(cx).map(drop))),
        ("poll_read", reading(|stream, cx| Pin::new(stream).poll_read(cx, &mut [0]).map(drop))),
        ("poll_peek", reading(|stream, cx| stream.poll_peek(cx, &mut [0]).map(drop))),
        ("peek", reading(|stream, cx| pin!(stream.peek(&mut [0])).poll(cx).map(drop))),
        ("readable", reading(|stream, cx| pin!(stream.readable()).poll(cx).map(drop))),
        ("poll_read_ready", reading(|stream, cx| stream.poll_read_ready(cx).map(drop))),
        ("writable", reading(|stream, cx| pin!(stream.writable()).poll(cx).map(drop))),
        ("ready", reading(|stream, cx| pin!(stream.ready(Interest::READABLE)).poll(cx).map(drop))),
        (
            "async_io",
            reading(|stream, cx| {
                let once = stream.async_io(Interest::READABLE, || stream.try_read(&mut [0]));
                pin!(once).poll(cx).map(drop)
            }),
        ),
        (
            "poll_write",
            Box::new(move |cx| {
                _ = drain.read(&mut [0; 64]);
                Pin::new(&mut sink).poll_write(cx, &[0]).map(drop)
            }),
        ),
        ("AsyncFd::readable", Box::new(move |cx| pin!(fd.0.readable()).poll(cx).map(drop))),
        ("AsyncFd::poll_read_ready", Box::new(move |cx| of_fd.0.poll_read_ready(cx).map(drop))),
        (
            "accept",
            Box::new(move |cx| {
                clients.push(std::net::TcpStream::connect(address).unwrap());
                pin!(listener.accept()).poll(cx).map(drop)
            }),
        ),
    ]
}

#[test]
fn whatever_is_always_ready_yields_at_times() {
    const MOST: usize = 256;
    run(async {
        spawn(async {
            for (name, mut operation) in operations().await {
                // Operations that wait for an event get it after they have been registered.
                while poll_fn(|cx| Poll::Ready(operation(cx))).await.is_pending() {
                    yield_now().await;
                }
                yield_now().await;
                let mut polls = 0;
                let in_a_row = poll_fn(|cx| {
                    polls += 1;
                    if polls > 1 {
                        return Poll::Ready(0);
                    }
                    let ready = (0..MOST).take_while(|_| operation(cx).is_ready()).count();
                    if ready == MOST || ready == 0 { Poll::Ready(ready) } else { Poll::Pending }
                })
                .await;
                assert_eq!(in_a_row, 0, "{name}: {in_a_row} ready in a row");
                // The operation has woken the task, which is polled again with a new budget.
                assert!(poll_fn(|cx| Poll::Ready(operation(cx))).await.is_ready(), "{name}");
            }
        })
        .await
        .unwrap();
    });
}

/// Over loopback and for a path, the call itself decides. So the usual loop of a client whose server is not there yet
/// never waits.
#[test]
#[cfg_attr(miri, ignore = "Unix sockets and UDP are beyond Miri")]
fn a_loop_of_failing_connects_or_binds_yields_to_other_tasks() {
    let bound = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
    bound.bind(&std::net::SocketAddr::from(([127, 0, 0, 1], 0)).into()).unwrap();
    let refusing = bound.local_addr().unwrap().as_socket().unwrap();
    let retry = async |what: usize| loop {
        let is_error = match what {
            0 => TcpStream::connect(refusing).await.is_err(),
            1 => TcpSocket::new_v4().unwrap().connect(refusing).await.is_err(),
            2 => TcpListener::bind(refusing).await.is_err(),
            3 => UnixStream::connect("/nobody/listens/here").await.is_err(),
            4 => UdpSocket::bind("192.0.2.1:7").await.is_err(),
            _ => UdpSocket::bind("127.0.0.1:0").await.is_err(),
        };
        assert!(is_error || what == 5);
    };
    for what in 0..=5 {
        run(async {
            let others = Count::default();
            let counted = others.clone();
            drop(spawn(async move {
                loop {
                    counted.add();
                    yield_now().await;
                }
            }));
            // The timeout of the loop fires as well. A budget of calls takes milliseconds on a busy machine.
            assert!(timeout(Duration::from_millis(100), retry(what)).await.is_err());
            assert!(others.get() >= 2, "{what}: {} turns of others", others.get());
        });
    }
}

#[test]
fn outside_of_any_task_there_is_no_budget() {
    let mut cx = Context::from_waker(Waker::noop());
    let once = || pin!(consume_budget()).poll(&mut Context::from_waker(Waker::noop())).is_ready();
    assert!((0..1000).all(|_| once()));
    run(async { yield_times(3).await });
    assert!((0..1000).all(|_| once()), "nor after block_on");
    assert!(pin!(consume_budget()).poll(&mut cx).is_ready());
}

#[test]
fn a_timeout_fires_though_its_future_uses_up_every_budget() {
    run(async {
        let rounds = Count::default();
        let counted = rounds.clone();
        let greedy = async move {
            loop {
                consume_budget().await;
                counted.add();
            }
        };
        spawn(async { timeout(Duration::from_millis(2), greedy).await.unwrap_err() }).await.unwrap();
        assert!(rounds.get() >= 128);
        // The same for a task whose future is ready whenever it is polled.
        let (mut stream, mut other) = tcp_pair();
        let busy = async {
            let mut buffer = [0; 16];
            loop {
                other.write_all(&[0; 16]).unwrap();
                poll_fn(|cx| Pin::new(&mut stream).poll_read(cx, &mut buffer)).await.unwrap();
            }
        };
        assert!(timeout(Duration::from_millis(2), busy).await.is_err());
    });
}

#[test]
fn a_greedy_task_gives_others_their_turn() {
    run(async {
        let (greedy, modest) = (Count::default(), Count::default());
        let (counted, polls) = (greedy.clone(), modest.clone());
        drop(spawn(async move {
            loop {
                consume_budget().await;
                counted.add();
            }
        }));
        drop(spawn(async move {
            loop {
                polls.add();
                yield_now().await;
            }
        }));
        until(|| modest.get() >= 100).await;
        assert!(greedy.get() <= 102 * 256, "{} steps in 100 rounds", greedy.get());
    });
}

#[test]
fn timers_that_are_all_due_at_once_let_others_through() {
    const TIMERS: usize = if cfg!(miri) { 300 } else { 50_000 };
    let _watchdog = watchdog();
    let (fired, worst, pings) = (Count::default(), Count::default(), Count::default());
    let runtime =
        Builder::new_current_thread().event_interval(INTERVAL as u32).start_paused(true).build().unwrap();
    runtime.block_on(async {
        let deadline = Instant::now() + Duration::from_secs(1);
        for _ in 0..TIMERS {
            let fired = fired.clone();
            drop(spawn(async move {
                sleep_until(deadline).await;
                fired.add();
            }));
        }
        yield_now().await;
        let (counted, worst, pings) = (fired.clone(), worst.clone(), pings.clone());
        let pinging = spawn(async move {
            let (ping, mut pong) = async_pair();
            let read = |mut socket: &StdUnixStream| socket.read(&mut [0; 8]);
            while counted.get() < TIMERS {
                assert!(poll_once(ping.async_io(Interest::READABLE, read)).await.is_none());
                let before = counted.get();
                pong.write_all(b"x").unwrap();
                assert_eq!(ping.async_io(Interest::READABLE, read).await.unwrap(), 1);
                pings.add();
                while worst.get() < counted.get() - before {
                    worst.add();
                }
            }
        });
        time::advance(Duration::from_secs(1)).await;
        pinging.await.unwrap();
    });
    assert_eq!(fired.get(), TIMERS);
    // Each turn fires as many timers as it polls tasks, and the tasks that ping take a part of the polls: so the
    // queue grows a little, and with it the time of a ping.
    assert!(worst.get() <= 16 * INTERVAL, "{} of {TIMERS} timers between ping and pong", worst.get());
    assert!(pings.get() >= TIMERS / (16 * INTERVAL));
}
