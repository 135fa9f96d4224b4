//! Sixty-four datagrams over loopback, from one socket to another: one by one, and in batches.
//!
//! Both sockets are in one task, which receives all that it has sent before the next round, so that no datagram is
//! lost for lack of room. The bench measures the CPU time of the thread.

mod common;

use common::contender::{Contender, Ours, Tokio};
use common::criterion::{bench_with, group};
use criterion::{Criterion, criterion_group, criterion_main};
use runtime::net::UdpSocket;
use runtime::net::udp::{Batch, Outgoing};

const DATAGRAMS: usize = 64;
/// The size with which QUIC begins.
const SIZE: usize = 1200;

static DATA: [u8; DATAGRAMS * SIZE] = [7; DATAGRAMS * SIZE];

fn datagrams(criterion: &mut Criterion) {
    let mut group = group(criterion, "udp/64 datagrams of 1200 B", DATAGRAMS);
    bench_with(&mut group, Tokio::NAME, Tokio::new(), tokio_one_by_one);
    bench_with(&mut group, "ours, one by one", Ours::new(), |rounds| async move {
        let (from, to) = pair().await;
        for _ in 0..rounds {
            for data in DATA.chunks(SIZE) {
                from.send(data).await.expect("send");
            }
            receive_one_by_one(&to).await;
        }
    });
    bench_with(&mut group, "ours, send_many and recv_many", Ours::new(), |rounds| async move {
        let (from, to) = pair().await;
        let mut batch = Batch::new(Batch::MOST, SIZE);
        for _ in 0..rounds {
            let mut sent = 0;
            while sent < DATAGRAMS {
                let datagrams = DATA.chunks(SIZE).skip(sent).map(Outgoing::new);
                sent += from.send_many(datagrams).await.expect("send");
            }
            receive_many(&to, &mut batch).await;
        }
    });
    bench_with(&mut group, "ours, send_segments and recv_many", Ours::new(), |rounds| async move {
        let (from, to) = pair().await;
        let mut batch = Batch::new(Batch::MOST, SIZE);
        for _ in 0..rounds {
            send_segments(&from).await;
            receive_many(&to, &mut batch).await;
        }
    });
    bench_with(&mut group, "ours, send_segments, received coalesced", Ours::new(), |rounds| async move {
        let (from, to) = pair().await;
        to.set_coalescing(true).expect("coalesce what is received");
        let mut batch = Batch::new(Batch::MOST, u16::MAX.into());
        for _ in 0..rounds {
            send_segments(&from).await;
            receive_many(&to, &mut batch).await;
        }
    });
}

async fn tokio_one_by_one(rounds: usize) {
    use tokio::net::UdpSocket;

    let from = UdpSocket::bind("127.0.0.1:0").await.expect("bind");
    let to = UdpSocket::bind("127.0.0.1:0").await.expect("bind");
    from.connect(to.local_addr().expect("an address")).await.expect("connect");
    let mut buffer = [0; SIZE];
    for _ in 0..rounds {
        for data in DATA.chunks(SIZE) {
            from.send(data).await.expect("send");
        }
        for _ in 0..DATAGRAMS {
            assert_eq!(to.recv(&mut buffer).await.expect("receive"), SIZE);
        }
    }
}

async fn pair() -> (UdpSocket, UdpSocket) {
    let from = UdpSocket::bind("127.0.0.1:0").await.expect("bind");
    let to = UdpSocket::bind("127.0.0.1:0").await.expect("bind");
    from.connect(to.local_addr().expect("an address")).await.expect("connect");
    (from, to)
}

async fn send_segments(from: &UdpSocket) {
    let mut sent = 0;
    while sent < DATA.len() {
        sent += from.send_segments(&DATA[sent..], SIZE).await.expect("send");
    }
}

async fn receive_one_by_one(to: &UdpSocket) {
    let mut buffer = [0; SIZE];
    for _ in 0..DATAGRAMS {
        assert_eq!(to.recv(&mut buffer).await.expect("receive"), SIZE);
    }
}

async fn receive_many(to: &UdpSocket, batch: &mut Batch) {
    let mut received = 0;
    while received < DATA.len() {
        to.recv_many(batch).await.expect("receive");
        received += batch.iter().map(|datagram| datagram.data().len()).sum::<usize>();
    }
}

criterion_group!(benches, datagrams);
criterion_main!(benches);
