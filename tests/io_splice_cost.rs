//! The buffers and pipes that a copy holds: an idle copy has neither, and many slow copies have no more pipes than the
//! limit.

mod net_support;

#[path = "common/heap.rs"]
#[allow(dead_code, reason = "a part of it is used")]
mod heap;

use futures_lite::future::zip;
use net_support::copies::{Way, pipes, proxied, send};
use net_support::{MIB, in_child, pattern, run};
use runtime::io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional, splice_bidirectional};
use runtime::net::{TcpListener, TcpStream};
use runtime::spawn;
use runtime::task::yield_now;
use std::io;
use std::rc::Rc;

#[global_allocator]
static HEAP: heap::Counting = heap::Counting;

#[test]
#[cfg_attr(not(target_os = "linux"), ignore = "asks /proc")]
fn idle_proxied_connections_hold_no_buffers_and_no_pipes() {
    const NAME: &str = "idle_proxied_connections_hold_no_buffers_and_no_pipes";
    in_child(NAME, || {
        // Each connection takes four descriptors here: select(2) can watch 1,024, and poll(2) checks all in each
        // call.
        let many = match std::env::var("RUNTIME_SELECTOR").as_deref() {
            Ok("select" | "poll") => 200,
            _ => limit_of_descriptors().saturating_sub(100).min(20_000) / 4,
        };
        let pipes_before = pipes();
        run(async {
            let mut ends = Vec::with_capacity(many);
            let mut idle = Vec::with_capacity(many);
            let listener = TcpListener::bind("127.0.0.1:0").await?;
            let pair = async || {
                let client = TcpStream::connect(listener.local_addr()?).await?;
                io::Result::Ok((client, listener.accept().await?.0))
            };
            for _ in 0..many {
                let (client, near) = pair().await?;
                let (far, server) = pair().await?;
                ends.push((client, server));
                idle.push((near, far));
            }
            let before = heap::live_bytes();
            let size = size_of_val(&splice_bidirectional(&mut &idle[0].0, &mut &idle[0].1));
            for (n, (near, far)) in idle.into_iter().enumerate() {
                drop(match n % 2 {
                    0 => spawn(async move { splice_bidirectional(&mut { near }, &mut { far }).await }),
                    _ => spawn(async move { copy_bidirectional(&mut { near }, &mut { far }).await }),
                });
            }
            // Each connection is used once, some of them for a bulk transfer, so that it has had whatever it needs.
            let bulk = pattern(MIB);
            let mut buffer = vec![0; MIB];
            for (n, (client, server)) in ends.iter_mut().enumerate() {
                let length = if n % 25 == 0 { MIB } else { 100 };
                zip(client.write_all(&bulk[..length]), server.read_exact(&mut buffer[..length])).await.1?;
                assert!(buffer[..length] == bulk[..length]);
            }
            drop((bulk, buffer));
            let taken = (heap::live_bytes() - before) as usize / many;
            eprintln!("{many} connections, each {taken} bytes of heap; the future {size} bytes");
            assert!(taken < 1000, "{taken} bytes of heap for each idle connection");
            assert!(pipes() - pipes_before <= 2 * 8, "{} ends of pipes", pipes() - pipes_before);
            io::Result::Ok(())
        })
        .unwrap();
        assert_eq!(pipes(), pipes_before, "the runtime has given back what it lent");
    });
}

#[test]
#[cfg_attr(not(target_os = "linux"), ignore = "asks /proc")]
fn many_slow_readers_do_not_take_a_pipe_each() {
    in_child("many_slow_readers_do_not_take_a_pipe_each", || {
        run(async {
            const MANY: usize = 80;
            let before = pipes();
            let data = Rc::new(pattern(8 * MIB));
            let mut slow = Vec::new();
            let mut senders = Vec::new();
            for _ in 0..MANY {
                let (client, server, _proxy) = proxied(Way::Splice).await?;
                let data = data.clone();
                senders.push(spawn(async move { send(&mut { client }, &data).await }));
                slow.push(server);
            }
            // All buffers on the way fill up.
            while pipes() - before < 2 * 60 {
                yield_now().await;
            }
            for _ in 0..300 {
                yield_now().await;
                assert!(pipes() - before <= 2 * 64, "{} ends of pipes", pipes() - before);
            }
            for mut server in slow {
                let mut got = vec![0; data.len()];
                server.read_exact(&mut got).await?;
                assert!(got == *data);
            }
            for sender in senders {
                sender.await.unwrap()?;
            }
            io::Result::Ok(())
        })
        .unwrap();
    });
}

fn limit_of_descriptors() -> usize {
    let limits = std::fs::read_to_string("/proc/self/limits").unwrap();
    let line = limits.lines().find(|line| line.starts_with("Max open files")).unwrap();
    line.split_whitespace().nth(3).unwrap().parse().unwrap_or(usize::MAX)
}
