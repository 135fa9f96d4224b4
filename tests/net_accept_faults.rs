//! Listeners when accepting fails: no descriptors or no memory, connections that break in the queue, and kernels without
//! accept4(2).
#![cfg(not(miri))] // Children, signals, resets: nothing that it has.
#![expect(unsafe_code, reason = "setrlimit, in processes of their own")]

mod net_support;

use futures_lite::{AsyncReadExt, AsyncWriteExt};
use net_support::{CpuTime, hundred_connections, in_child, in_child_under, run, until, watchdog};
use runtime::net::TcpListener;
use runtime::task::yield_now;
use runtime::{Runtime, spawn, time};
use std::cell::Cell;
use std::io::{Read, Write};
use std::os::fd::AsRawFd;
use std::rc::Rc;
use std::thread;
use std::time::{Duration, Instant};

fn limit_descriptors(limit: u64) {
    let limit = libc::rlimit { rlim_cur: limit as libc::rlim_t, rlim_max: 20_000 };
    // SAFETY: the kernel reads one rlimit.
    assert_eq!(unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &limit) }, 0);
}

/// Serves clients as a simple server does: it ignores errors, and echoes a byte at a time.
async fn serve(listener: Rc<TcpListener>, accepted: Rc<Cell<usize>>, errors: Rc<Cell<usize>>, by_hand: bool) {
    loop {
        let result = if by_hand {
            std::future::poll_fn(|cx| listener.poll_accept(cx)).await
        } else {
            listener.accept().await
        };
        let Ok((mut stream, _)) = result else {
            assert!(matches!(
                result.unwrap_err().raw_os_error(),
                Some(libc::EMFILE | libc::ENFILE | libc::ENOBUFS | libc::ENOMEM)
            ));
            errors.set(errors.get() + 1);
            continue;
        };
        accepted.set(accepted.get() + 1);
        spawn(async move {
            let mut byte = [0];
            while stream.read(&mut byte).await.is_ok_and(|count| count == 1) {
                stream.write_all(&byte).await.unwrap();
            }
        });
    }
}

fn out_of_descriptors(acceptors: usize, by_hand: bool) {
    const CLIENTS: usize = 200;
    let _watchdog = watchdog();
    let (runtime, cpu_time) = (Runtime::new().unwrap(), CpuTime::new());
    let (accepted, errors) = (Rc::new(Cell::new(0)), Rc::new(Cell::new(0)));
    let mut clients = runtime.block_on(async {
        let listener = Rc::new(TcpListener::bind("127.0.0.1:0").await.unwrap());
        let address = listener.local_addr().unwrap();
        // The clients wait in the queue. Only after they have connected, the server is limited to some fifty further
        // descriptors.
        let clients: Vec<_> = (0..CLIENTS).map(|_| std::net::TcpStream::connect(address).unwrap()).collect();
        limit_descriptors((clients.last().unwrap().as_raw_fd() + 50) as u64);
        for _ in 0..acceptors {
            spawn(serve(listener.clone(), accepted.clone(), errors.clone(), by_hand));
        }
        until(|| errors.get() > 0).await;
        clients
    });
    let room = accepted.get();
    assert!((40..=50).contains(&room), "{room}");
    // The loop is idle, although the server itself does not wait.
    let (before, cpu_before, errors_before) = (runtime.metrics(), cpu_time.used(), errors.get());
    runtime.block_on(time::sleep(Duration::from_millis(550)));
    let (turns, tries) = (runtime.metrics().turns - before.turns, errors.get() - errors_before);
    assert!((3..=9).contains(&tries), "{tries} tries");
    assert!(turns < 50, "{turns} turns");
    assert!(cpu_time.used() - cpu_before < Duration::from_millis(100));
    // The connected clients are served…
    let ping = |client: &mut std::net::TcpStream| {
        client.write_all(b"x").unwrap();
        client.read_exact(&mut [0]).unwrap();
    };
    let answered = thread::scope(|scope| {
        let pinging = scope.spawn(|| {
            let started = Instant::now();
            clients[..room].iter_mut().for_each(ping);
            started.elapsed()
        });
        runtime.block_on(until(|| pinging.is_finished()));
        pinging.join().unwrap()
    });
    assert!(answered < Duration::from_secs(1), "{answered:?}");
    // …and when some of them leave, others are accepted: twice as many, since both ends belong to this process.
    let started = Instant::now();
    clients.drain(..room);
    runtime.block_on(until(|| accepted.get() >= 2 * room));
    assert!(started.elapsed() < Duration::from_secs(1));
    clients.drain(..room);
    runtime.block_on(until(|| accepted.get() == CLIENTS));
}

#[test]
fn out_of_descriptors_a_plain_loop_rests_and_goes_on() {
    in_child("out_of_descriptors_a_plain_loop_rests_and_goes_on", || out_of_descriptors(1, false));
}

#[test]
fn out_of_descriptors_several_acceptors_rest_together() {
    in_child("out_of_descriptors_several_acceptors_rest_together", || out_of_descriptors(5, false));
}

#[test]
fn out_of_descriptors_accepting_by_hand_rests_too() {
    in_child("out_of_descriptors_accepting_by_hand_rests_too", || out_of_descriptors(1, true));
}

/// Each connection whose client is already gone takes a descriptor until the server notices.
#[test]
fn a_queue_of_dead_connections_is_soon_accepted() {
    in_child("a_queue_of_dead_connections_is_soon_accepted", || {
        let _watchdog = watchdog();
        let runtime = Runtime::new().unwrap();
        let (accepted, errors) = (Rc::new(Cell::new(0)), Rc::new(Cell::new(0)));
        runtime.block_on(async {
            let listener = Rc::new(TcpListener::bind("127.0.0.1:0").await.unwrap());
            let address = listener.local_addr().unwrap();
            for _ in 0..300 {
                drop(std::net::TcpStream::connect(address).unwrap());
            }
            let mut client = std::net::TcpStream::connect(address).unwrap();
            // The listener takes two descriptors and the client one; those of epoll have lower numbers.
            limit_descriptors(client.as_raw_fd() as u64 + 17);
            let started = Instant::now();
            spawn(serve(listener, accepted.clone(), errors.clone(), false));
            client.write_all(b"x").unwrap();
            client.set_nonblocking(true).unwrap();
            until(|| client.read(&mut [0]).is_ok_and(|count| count == 1)).await;
            assert!(errors.get() >= 5, "{}", errors.get());
            assert!(started.elapsed() < Duration::from_millis(900), "{:?}", started.elapsed());
        });
    });
}

#[test]
fn a_connection_that_breaks_in_the_queue_is_passed_over() {
    let name = "a_connection_that_breaks_in_the_queue_is_passed_over";
    for errno in [
        "ECONNABORTED",
        "EPROTO",
        "ENETDOWN",
        "ENOPROTOOPT",
        "EHOSTDOWN",
        "ENONET",
        "EHOSTUNREACH",
        "ENETUNREACH",
        "EPERM",
        "EINTR",
    ] {
        // This is more than one poll accepts.
        let inject = format!("inject=accept4:error={errno}:when=1..50");
        in_child_under(name, errno, &["-e", &inject], || assert_eq!(hundred_connections(), 0));
    }
}

/// If all connections break, as where a filter forbids accepting, other tasks get their turn meanwhile, and the error
/// is returned.
#[test]
fn connections_that_all_break_stop_no_other_task() {
    let name = "connections_that_all_break_stop_no_other_task";
    in_child_under(name, "EPERM", &["-e", "inject=accept4,accept:error=EPERM"], || {
        run(async {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let _client = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
            let accepting = spawn(async move { listener.accept().await.map(drop) });
            let mut turns = 0;
            while !accepting.is_finished() {
                yield_now().await;
                turns += 1;
            }
            assert_eq!(accepting.await.unwrap().unwrap_err().raw_os_error(), Some(libc::EPERM));
            assert!(turns >= 20, "{turns} turns while a thousand were tried");
        });
    });
}

#[test]
fn lack_of_memory_is_reported_and_accepting_goes_on() {
    for errno in ["ENFILE", "ENOBUFS", "ENOMEM"] {
        let inject = format!("inject=accept4:error={errno}:when=1..2");
        let name = "lack_of_memory_is_reported_and_accepting_goes_on";
        in_child_under(name, errno, &["-e", &inject], || {
            let started = Instant::now();
            assert_eq!(hundred_connections(), 2);
            assert!(started.elapsed() >= Duration::from_millis(15), "two rests");
        });
    }
}

#[test]
fn a_kernel_without_accept4_will_do() {
    for errno in ["ENOSYS", "EPERM"] {
        let inject = format!("inject=accept4:error={errno}");
        in_child_under("a_kernel_without_accept4_will_do", errno, &["-e", &inject], || {
            assert_eq!(hundred_connections(), 0);
        });
    }
}
