//! QUIC by quinn on this runtime: a client and a server on one thread exchange streams and datagrams, close, fall silent,
//! and move to another socket.

mod quinn_support;

use bytes::Bytes;
use quinn::{ConnectionError, IdleTimeout, TransportConfig, VarInt};
use quinn_support::{
    connect, connect_to, echo, endpoints, endpoints_on, exchange, on_every_selector, patient, watchdog,
};
use runtime::task::JoinSet;
use runtime::time::{Duration, Instant};
use std::net::UdpSocket;

/// Returns bytes in which a piece at a wrong place is noticed.
fn pattern(length: usize) -> Vec<u8> {
    (0..length).map(|at| (at ^ at >> 8 ^ at >> 16) as u8).collect()
}

#[test]
fn ten_megabytes_go_both_ways_on_every_selector() {
    let data = pattern(10_000_000);
    on_every_selector(async || {
        let (server, client) = endpoints(patient());
        echo(&server);
        let connection = connect(&client, &server).await;
        exchange(&connection, &data).await;
    });
}

#[test]
fn datagrams_go_both_ways_on_every_selector() {
    on_every_selector(async || {
        let (server, client) = endpoints(patient());
        echo(&server);
        let connection = connect(&client, &server).await;
        for number in 0..100_u32 {
            let datagram = Bytes::copy_from_slice(&[number.to_le_bytes(); 250].concat());
            connection.send_datagram(datagram.clone()).unwrap();
            assert_eq!(connection.read_datagram().await.unwrap(), datagram);
        }
    });
}

#[test]
fn both_sides_learn_why_the_other_one_has_closed() {
    on_every_selector(async || {
        let (server, client) = endpoints(patient());
        let (ours, theirs) = runtime::join!(connect(&client, &server), async {
            server.accept().await.unwrap().await.unwrap()
        });
        ours.close(VarInt::from_u32(7), b"done");
        let ConnectionError::ApplicationClosed(close) = theirs.closed().await else { panic!("not closed") };
        assert_eq!((close.error_code, &close.reason[..]), (VarInt::from_u32(7), &b"done"[..]));
        drop((ours, theirs));
        // Nothing is left that would keep the endpoints.
        client.close(VarInt::from_u32(0), b"");
        client.wait_idle().await;
        server.close(VarInt::from_u32(0), b"");
        server.wait_idle().await;
        assert!(server.accept().await.is_none());
    });
}

/// A minute of silence takes no time where the clock is paused: quinn's time is that of the runtime.
#[runtime::test]
async fn a_silent_connection_ends_by_the_clock_of_the_runtime() {
    let _watchdog = watchdog();
    let mut transport = TransportConfig::default();
    transport.max_idle_timeout(Some(IdleTimeout::try_from(Duration::from_secs(60)).unwrap()));
    let (server, client) = endpoints(transport);
    echo(&server);
    let connection = connect(&client, &server).await;
    exchange(&connection, b"hello").await;
    let real = std::time::Instant::now();
    runtime::time::pause();
    let start = Instant::now();
    assert_eq!(connection.closed().await, ConnectionError::TimedOut);
    let waited = start.elapsed();
    assert!((Duration::from_secs(55)..Duration::from_secs(65)).contains(&waited), "{waited:?}");
    assert!(real.elapsed() < Duration::from_secs(10));
}

#[test]
fn a_client_moves_to_another_socket_in_the_midst_of_a_stream() {
    let data = pattern(2_000_000);
    on_every_selector(async || {
        let (server, client) = endpoints(patient());
        echo(&server);
        let connection = connect(&client, &server).await;
        let before = client.local_addr().unwrap();
        let (mut send, mut receive) = connection.open_bi().await.unwrap();
        runtime::join!(
            async {
                send.write_all(&data[..1_000_000]).await.unwrap();
                client.rebind(UdpSocket::bind("127.0.0.1:0").unwrap()).unwrap();
                send.write_all(&data[1_000_000..]).await.unwrap();
                send.finish().unwrap();
            },
            async { assert!(receive.read_to_end(data.len()).await.unwrap() == data) },
        );
        assert_ne!(client.local_addr().unwrap(), before);
        exchange(&connection, b"still there").await;
    });
}

#[test]
fn a_hundred_connections_exchange_data_at_once() {
    let data = pattern(100_000);
    on_every_selector(async || {
        let (server, client) = endpoints(patient());
        echo(&server);
        let mut tasks = JoinSet::new();
        for _ in 0..100 {
            let (client, server, data) = (client.clone(), server.clone(), data.clone());
            tasks.spawn(async move { exchange(&connect(&client, &server).await, &data).await });
        }
        while let Some(result) = tasks.join_next().await {
            result.unwrap();
        }
    });
}

#[runtime::test]
async fn a_server_of_both_protocols_serves_each() {
    let _watchdog = watchdog();
    let (server, client) = endpoints_on("[::]:0", "[::]:0", patient());
    echo(&server);
    let port = server.local_addr().unwrap().port();
    for address in [format!("[::1]:{port}"), format!("127.0.0.1:{port}")] {
        exchange(&connect_to(&client, address.parse().unwrap()).await, &pattern(500_000)).await;
    }
}

/// Datagrams that others send to the port of an endpoint, even empty ones, disturb no connection.
#[test]
fn foreign_datagrams_do_not_disturb_a_connection() {
    on_every_selector(async || {
        let (server, client) = endpoints(patient());
        echo(&server);
        let connection = connect(&client, &server).await;
        let stranger = UdpSocket::bind("127.0.0.1:0").unwrap();
        let noise = pattern(1500);
        for length in [0, 1, 0, 20, 1200, 0, 1500] {
            for endpoint in [&server, &client] {
                stranger.send_to(&noise[..length], endpoint.local_addr().unwrap()).unwrap();
            }
            exchange(&connection, &noise).await;
        }
    });
}

/// Each endpoint has a socket of its own.
#[test]
fn fifty_endpoints_share_a_thread() {
    let data = pattern(20_000);
    on_every_selector(async || {
        let mut tasks = JoinSet::new();
        for _ in 0..25 {
            let data = data.clone();
            tasks.spawn(async move {
                let (server, client) = endpoints(patient());
                echo(&server);
                exchange(&connect(&client, &server).await, &data).await;
            });
        }
        while let Some(result) = tasks.join_next().await {
            result.unwrap();
        }
    });
}
