//! `serve_http` on TLS, with tokio-rustls and our streams.

mod hyper_support;

use hyper_support::{Client, GET, hello, listen, s};
use runtime::hyper::{TokioIo, serve_http};
use runtime::net::TcpStream;
use runtime::sync::oneshot;
use runtime::time;
use std::io;
use std::sync::Arc;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::pki_types::{PrivatePkcs8KeyDer, ServerName};
use tokio_rustls::rustls::{ClientConfig, RootCertStore, ServerConfig};
use tokio_rustls::{TlsAcceptor, TlsConnector};

/// Makes a certificate, and returns the two ends of TLS that use it.
fn tls() -> (TlsAcceptor, TlsConnector) {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let certificate = made.cert.der().clone();
    let key = PrivatePkcs8KeyDer::from(made.signing_key.serialize_der());
    let mut roots = RootCertStore::empty();
    roots.add(certificate.clone()).unwrap();
    let server = ServerConfig::builder()
        .with_no_client_auth()
        .with_single_cert(vec![certificate], key.into())
        .unwrap();
    let client = ClientConfig::builder().with_root_certificates(roots).with_no_client_auth();
    (Arc::new(server).into(), Arc::new(client).into())
}

async fn connect(connector: &TlsConnector, stream: TcpStream) -> io::Result<TlsStream<TcpStream>> {
    connector.connect(ServerName::try_from("localhost").unwrap(), stream).await
}

#[runtime::test]
async fn the_end_of_a_response_over_tls_was_taken_for_a_truncation() {
    let (listener, address) = listen().await;
    let (acceptor, connector) = tls();
    let (stop, stopped) = oneshot::channel::<()>();
    let server = serve_http(listener, hello())
        .handshake(async move |stream: TcpStream| acceptor.accept(stream).await.map(TokioIo::new))
        .graceful(stopped, s(10));
    let server = runtime::spawn(server.run());
    let mut client = connect(&connector, TcpStream::connect(address).await.unwrap()).await.unwrap();
    client.write_all(b"GET / HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n").await.unwrap();
    let mut response = String::new();
    // rustls returns `UnexpectedEof` if the connection ends without a close_notify.
    client.read_to_string(&mut response).await.unwrap();
    assert!(response.ends_with("hello"), "{response}");
    // An idle connection is ended in the same way by the shutdown.
    let mut idle = connect(&connector, TcpStream::connect(address).await.unwrap()).await.unwrap();
    idle.write_all(GET).await.unwrap();
    let mut bytes = vec![0; 1000];
    let count = idle.read(&mut bytes).await.unwrap();
    assert!(bytes[..count].ends_with(b"hello"));
    stop.send(()).unwrap();
    assert_eq!(idle.read(&mut bytes).await.unwrap(), 0);
    assert_eq!(server.await.unwrap().unwrap().aborted(), 0);
}

#[runtime::test]
async fn a_client_that_is_silent_in_the_handshake_of_tls_is_cut_while_others_are_served() {
    time::pause();
    let (listener, address) = listen().await;
    let (acceptor, connector) = tls();
    let server = serve_http(listener, hello())
        .handshake(async move |stream: TcpStream| acceptor.accept(stream).await.map(TokioIo::new))
        .handshake_timeout(s(2));
    runtime::spawn(server.run());
    let mut silent = Client::connect(address).await;
    let mut client = connect(&connector, TcpStream::connect(address).await.unwrap()).await.unwrap();
    client.write_all(GET).await.unwrap();
    let mut bytes = vec![0; 1000];
    let count = client.read(&mut bytes).await.unwrap();
    assert!(bytes[..count].ends_with(b"hello"));
    let seconds = silent.seconds_to_end().await;
    assert!((1.5..2.5).contains(&seconds), "{seconds}");
}
