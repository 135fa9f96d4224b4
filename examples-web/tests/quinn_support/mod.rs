//! Endpoints on loopback for the tests of QUIC, and a server that echoes.
#![allow(dead_code, unused_imports, reason = "each test program uses a part of it")]

#[path = "../../../tests/common/watchdog.rs"]
mod watchdog;

use quinn::{ClientConfig, Connection, Endpoint, EndpointConfig, Runtime, ServerConfig, TransportConfig};
use runtime::selector::Kind;
use rustls::RootCertStore;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;

pub(crate) use watchdog::{run, watchdog};

/// Returns settings without an idle time-out: on a busy machine, a test may have to wait for its turn for longer.
pub(crate) fn patient() -> TransportConfig {
    let mut transport = TransportConfig::default();
    transport.max_idle_timeout(None);
    transport
}

/// Makes a certificate for `localhost`, and returns it with its key.
pub(crate) fn certificate() -> (CertificateDer<'static>, PrivateKeyDer<'static>) {
    let made = rcgen::generate_simple_self_signed([String::from("localhost")]).unwrap();
    let key = PrivatePkcs8KeyDer::from(made.signing_key.serialize_der());
    (made.cert.der().clone(), key.into())
}

/// Creates an endpoint that is a server and one that is a client, both on the loopback address of IPv4, with the given
/// settings for all connections.
pub(crate) fn endpoints(transport: TransportConfig) -> (Endpoint, Endpoint) {
    endpoints_on("127.0.0.1:0", "127.0.0.1:0", transport)
}

pub(crate) fn endpoints_on(server: &str, client: &str, transport: TransportConfig) -> (Endpoint, Endpoint) {
    endpoints_of(Arc::new(runtime::quinn::Runtime), server, client, transport)
}

pub(crate) fn endpoints_of(
    runtime: Arc<dyn Runtime>,
    server: &str,
    client: &str,
    transport: TransportConfig,
) -> (Endpoint, Endpoint) {
    let (certificate, key) = certificate();
    let transport = Arc::new(transport);
    let mut config = ServerConfig::with_single_cert(vec![certificate.clone()], key).unwrap();
    config.transport_config(transport.clone());
    let server = endpoint(server, Some(config), runtime.clone());
    let mut roots = RootCertStore::empty();
    roots.add(certificate).unwrap();
    let mut config = ClientConfig::with_root_certificates(Arc::new(roots)).unwrap();
    config.transport_config(transport);
    let mut client = endpoint(client, None, runtime);
    client.set_default_client_config(config);
    (server, client)
}

fn endpoint(address: &str, config: Option<ServerConfig>, runtime: Arc<dyn Runtime>) -> Endpoint {
    let socket = UdpSocket::bind(address).unwrap();
    Endpoint::new(EndpointConfig::default(), config, socket, runtime).unwrap()
}

/// Connects the client to the port of the server, at the loopback address of IPv4.
pub(crate) async fn connect(client: &Endpoint, server: &Endpoint) -> Connection {
    connect_to(client, SocketAddr::from(([127, 0, 0, 1], server.local_addr().unwrap().port()))).await
}

pub(crate) async fn connect_to(client: &Endpoint, address: SocketAddr) -> Connection {
    client.connect(address, "localhost").unwrap().await.unwrap()
}

/// Starts a task that accepts connections, and echoes their streams and datagrams until the endpoint is closed.
pub(crate) fn echo(server: &Endpoint) {
    let server = server.clone();
    runtime::spawn(async move {
        while let Some(incoming) = server.accept().await {
            runtime::spawn(async move {
                let connection = incoming.await.unwrap();
                runtime::spawn(echo_datagrams(connection.clone()));
                while let Ok((mut send, mut receive)) = connection.accept_bi().await {
                    runtime::spawn(async move {
                        while let Ok(Some(chunk)) = receive.read_chunk(1 << 16, true).await {
                            send.write_chunk(chunk.bytes).await.unwrap();
                        }
                        send.finish().unwrap();
                    });
                }
            });
        }
    });
}

async fn echo_datagrams(connection: Connection) {
    while let Ok(datagram) = connection.read_datagram().await {
        connection.send_datagram(datagram).unwrap();
    }
}

/// Sends data by a stream, and asserts that the echo is the same.
pub(crate) async fn exchange(connection: &Connection, data: &[u8]) {
    let (mut send, mut receive) = connection.open_bi().await.unwrap();
    let (sent, echo) = runtime::join!(
        async {
            send.write_all(data).await.unwrap();
            send.finish()
        },
        receive.read_to_end(data.len()),
    );
    sent.unwrap();
    assert!(echo.unwrap() == data, "the echo differs");
}

/// Runs a test on each selector of this system, each time with a watchdog.
pub(crate) fn on_every_selector(test: impl AsyncFn()) {
    for kind in Kind::available() {
        let _watchdog = watchdog();
        eprintln!("on {kind:?}");
        runtime::Builder::new_current_thread().selector(*kind).build().unwrap().block_on(test());
    }
}
