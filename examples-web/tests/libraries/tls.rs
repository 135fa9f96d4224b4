//! TLS by futures-rustls, which needs the traits of futures-io only.

use crate::{connected, watchdog};
use futures_rustls::pki_types::{PrivatePkcs8KeyDer, ServerName};
use futures_rustls::rustls::{ClientConfig, RootCertStore, ServerConfig};
use futures_rustls::{TlsAcceptor, TlsConnector};
use runtime::io::{AsyncReadExt, AsyncWriteExt};
use std::sync::Arc;

/// Makes a certificate, and returns the two ends of TLS that use it.
fn ends() -> (TlsAcceptor, TlsConnector) {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let certificate = made.cert.der().clone();
    let key = PrivatePkcs8KeyDer::from(made.signing_key.serialize_der());
    let mut roots = RootCertStore::empty();
    roots.add(certificate.clone()).unwrap();
    let server = ServerConfig::builder().with_no_client_auth();
    let server = server.with_single_cert(vec![certificate], key.into()).unwrap();
    let client = ClientConfig::builder().with_root_certificates(roots).with_no_client_auth();
    (Arc::new(server).into(), Arc::new(client).into())
}

#[test]
fn futures_rustls_encrypts_our_streams() {
    // More than the buffers of the kernel hold, so that both sides have to wait.
    const LENGTH: usize = 8 << 20;
    watchdog::run(async {
        let (acceptor, connector) = ends();
        let (client, server) = connected().await;
        let server = runtime::spawn(async move {
            let mut stream = acceptor.accept(server).await.unwrap();
            let mut bytes = vec![0; LENGTH];
            stream.read_exact(&mut bytes).await.unwrap();
            stream.write_all(&bytes).await.unwrap();
            stream.shutdown().await.unwrap();
        });
        let name = ServerName::try_from("localhost").unwrap();
        let mut stream = connector.connect(name, client).await.unwrap();
        let sent: Vec<u8> = (0..LENGTH).map(|index| (index % 251) as u8).collect();
        stream.write_all(&sent).await.unwrap();
        stream.flush().await.unwrap();
        // rustls returns `UnexpectedEof` if the connection ends without a close_notify.
        let mut received = Vec::new();
        stream.read_to_end(&mut received).await.unwrap();
        assert!(received == sent);
        server.await.unwrap();
    });
}
