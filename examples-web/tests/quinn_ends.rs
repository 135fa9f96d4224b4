//! The ends of endpoints and connections: their tasks are aborted, their runtime is dropped, and they are dropped in the midst
//! of something else.

mod quinn_support;

use quinn::{ConnectionError, Endpoint, VarInt};
use quinn_support::{connect, echo, endpoints, exchange, on_every_selector, patient, run, watchdog};
use runtime::Runtime;
use runtime::task::yield_now;
use std::net::UdpSocket;
use std::sync::mpsc::{Sender, channel};

/// A stream that ends with its task: the peer sees the connection closed, and other connections go on.
#[test]
fn an_aborted_transfer_closes_its_connection_and_no_other() {
    on_every_selector(async || {
        let (server, client) = endpoints(patient());
        let (ours, theirs) = runtime::join!(connect(&client, &server), async {
            server.accept().await.unwrap().await.unwrap()
        });
        let transfer = runtime::spawn(async move {
            let (mut send, _receive) = ours.open_bi().await.unwrap();
            loop {
                send.write_all(&[7; 100_000]).await.unwrap();
            }
        });
        let (_, mut receive) = theirs.accept_bi().await.unwrap();
        receive.read_exact(&mut vec![0; 1_000_000]).await.unwrap();
        transfer.abort();
        assert!(transfer.await.unwrap_err().is_cancelled());
        assert!(matches!(theirs.closed().await, ConnectionError::ApplicationClosed(_)));
        echo(&server);
        exchange(&connect(&client, &server).await, &[7; 100_000]).await;
    });
}

#[test]
fn an_endpoint_outlives_its_runtime_and_is_closed() {
    let _watchdog = watchdog();
    let runtime = Runtime::new().unwrap();
    let (server, client, connection) = runtime.block_on(async {
        let (server, client) = endpoints(patient());
        echo(&server);
        let connection = connect(&client, &server).await;
        exchange(&connection, &[7; 100_000]).await;
        (server, client, connection)
    });
    let address = server.local_addr().unwrap();
    drop(runtime);
    run(async {
        assert!(server.accept().await.is_none());
        assert!(client.connect(address, "localhost").is_err());
        // The connection has lost its task. What a program still does with it ends at once.
        connection.close(VarInt::from_u32(0), b"");
        drop(connection);
    });
    drop((server, client));
    UdpSocket::bind(address).expect("the socket is closed");
}

/// The socket is closed as soon as nothing refers to its endpoint.
#[test]
fn the_last_drop_closes_the_socket() {
    on_every_selector(async || {
        let (server, client) = endpoints(patient());
        echo(&server);
        let connection = connect(&client, &server).await;
        exchange(&connection, b"hello").await;
        let addresses = [server.local_addr().unwrap(), client.local_addr().unwrap()];
        connection.close(VarInt::from_u32(0), b"");
        drop(connection);
        for endpoint in [&client, &server] {
            endpoint.close(VarInt::from_u32(0), b"");
            endpoint.wait_idle().await;
        }
        drop((server, client));
        for address in addresses {
            while UdpSocket::bind(address).is_err() {
                yield_now().await;
            }
        }
    });
}

/// Uses an endpoint when it is dropped, and reports whether a connection could be begun.
struct ConnectOnDrop {
    server: Endpoint,
    client: Endpoint,
    report: Sender<bool>,
}

impl Drop for ConnectOnDrop {
    fn drop(&mut self) {
        let begun = self.client.connect(self.server.local_addr().unwrap(), "localhost");
        self.report.send(begun.is_ok()).unwrap();
        self.client.close(VarInt::from_u32(0), b"");
    }
}

/// The tasks are dropped in some order, and among them those of the endpoints.
#[test]
fn endpoints_are_used_by_destructors_while_their_runtime_is_dropped() {
    let _watchdog = watchdog();
    let (report, reports) = channel();
    let runtime = Runtime::new().unwrap();
    runtime.block_on(async {
        for _ in 0..5 {
            let before = ConnectOnDrop::spawn(report.clone(), None);
            let (server, client) = endpoints(patient());
            before.send((server.clone(), client.clone())).unwrap();
            ConnectOnDrop::spawn(report.clone(), Some((server, client)));
        }
        for _ in 0..10 {
            yield_now().await;
        }
    });
    drop((runtime, report));
    assert_eq!(reports.iter().count(), 10);
}

impl ConnectOnDrop {
    /// Spawns a task that owns the value until it is dropped. The endpoints may come later than the task.
    fn spawn(report: Sender<bool>, endpoints: Option<(Endpoint, Endpoint)>) -> Sender<(Endpoint, Endpoint)> {
        let (send, receive) = channel();
        if let Some(endpoints) = endpoints {
            send.send(endpoints).unwrap();
        }
        runtime::spawn(async move {
            let (server, client) = loop {
                match receive.try_recv() {
                    Ok(endpoints) => break endpoints,
                    Err(_) => yield_now().await,
                }
            };
            let _value = ConnectOnDrop { server, client, report };
            std::future::pending::<()>().await;
        });
        send
    }
}
