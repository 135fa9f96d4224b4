//! Law: a guest that has more events than one turn collects asks for the next turn, until all of them are served. An
//! edge-triggered host gets no other edge for those that are left.
#![cfg(not(miri))] // Miri has no nested epoll.

mod common;

use common::Count;
use common::host::{AT_LAST, Host, spawn_reader, std_pair};
use common::selectors::{laws, raise_limit, thread_cpu_time};
use runtime::Builder;
use runtime::selector::Kind;
use std::io::Write;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

laws! { events_left_after_a_full_batch_are_served_without_another_edge }

fn events_left_after_a_full_batch_are_served_without_another_edge(kind: Kind) {
    static ALONE: Mutex<()> = Mutex::new(());
    // The process cannot have the sockets of several kinds, nor select those with large numbers.
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    raise_limit();
    // In the first case, tasks are still ready when a turn ends. In the second, all that was collected has run.
    let many = if kind == Kind::Select { (300, 60) } else { (5_000, 1024) };
    for (sockets, batch) in [many, (40, 4)] {
        let make =
            || Builder::new_current_thread().selector(kind).max_io_events_per_tick(batch).build().unwrap();
        for host in Host::both(make) {
            serve(host, sockets);
        }
    }
}

fn serve(mut host: Host, sockets: usize) {
    let served = Count::default();
    let mut clients = Vec::new();
    for index in 0..sockets {
        let (server, mut client) = std_pair();
        if index % 10 == 0 {
            // It is ready when it is registered, in the midst of a turn.
            client.write_all(b"x").unwrap();
        }
        spawn_reader(&host.runtime, server, &served);
        clients.push(client);
    }
    host.until(|| served.get() == sockets / 10);
    host.settle();
    let start = thread_cpu_time();
    for (_, client) in clients.iter_mut().enumerate().filter(|(index, _)| index % 10 != 0) {
        client.write_all(b"x").unwrap();
    }
    host.step(AT_LAST);
    while served.get() < sockets {
        let next = host.runtime.next_deadline();
        assert!(next.is_some_and(|at| at <= Instant::now()), "{} of {sockets} are served", served.get());
        host.step(AT_LAST);
    }
    let took = thread_cpu_time() - start;
    assert!(took < Duration::from_secs(2), "{took:?}");
}
