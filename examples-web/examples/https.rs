//! A server of HTTPS: rustls, HTTP/1.1 and HTTP/2 by ALPN, and a certificate that is made at the start.
//!
//! `handshake` is a function through which each accepted stream passes before it is served. Here it is the handshake of
//! tokio-rustls, which uses tokio's I/O traits and nothing else of tokio. A client that does not finish it in time is
//! disconnected.
//!
//! ```text
//! cargo run --release -p examples-web --example https -- --certificate /tmp/localhost.pem     # on 127.0.0.1:8443
//! curl --cacert /tmp/localhost.pem https://localhost:8443/                            # in another terminal
//! ```
//!
//! The certificate is for `localhost` and signed by itself, so a client has to be told to trust it: `--certificate` writes
//! it to a file. A server for others reads its certificate and its key from files. Ctrl-C ends the server.

use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Request, Response};
use rcgen::CertifiedKey;
use runtime::hyper::{TokioIo, serve_http};
use runtime::net::{TcpListener, TcpStream};
use runtime::signal;
use rustls::ServerConfig;
use rustls::pki_types::PrivatePkcs8KeyDer;
use std::convert::Infallible;
use std::error::Error;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;
use tokio_rustls::TlsAcceptor;

const USAGE: &str = "usage: https [ADDRESS] [--certificate FILE]";

const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(5);

/// The time that requests in progress have to finish after the shutdown has begun.
const GRACE: Duration = Duration::from_secs(10);

#[runtime::main]
async fn main() -> ExitCode {
    let Some((address, file)) = parse(std::env::args().skip(1)) else {
        eprintln!("{USAGE}");
        return ExitCode::from(2);
    };
    match run(&address, file).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("https: {address}: {error}");
            ExitCode::FAILURE
        }
    }
}

fn parse(mut arguments: impl Iterator<Item = String>) -> Option<(String, Option<String>)> {
    let (mut address, mut file) = ("127.0.0.1:8443".to_owned(), None);
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--certificate" => file = Some(arguments.next()?),
            option if option.starts_with('-') => return None,
            _ => address = argument,
        }
    }
    Some((address, file))
}

async fn run(address: &str, file: Option<String>) -> Result<(), Box<dyn Error>> {
    let shutdown = signal::shutdown();
    let CertifiedKey { cert, signing_key } = rcgen::generate_simple_self_signed(["localhost".to_owned()])?;
    if let Some(file) = file {
        runtime::fs::write(file, cert.pem()).await?;
    }
    let key = PrivatePkcs8KeyDer::from(signing_key.serialize_der());
    let mut config = ServerConfig::builder()
        .with_no_client_auth()
        .with_single_cert(vec![cert.der().clone()], key.into())?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    let tls = TlsAcceptor::from(Arc::new(config));

    let listener = TcpListener::bind(address).await?;
    println!("https: listening on {}, until Ctrl-C", listener.local_addr()?);
    let service = service_fn(async |request: Request<Incoming>| {
        let text = format!("Hello by {:?} over TLS.\n", request.version());
        Ok::<_, Infallible>(Response::new(Full::<Bytes>::from(text)))
    });
    serve_http(listener, service)
        .handshake(async move |stream: TcpStream| {
            stream.set_nodelay(true)?;
            tls.accept(stream).await.map(TokioIo::new)
        })
        .handshake_timeout(HANDSHAKE_TIMEOUT)
        .max_connections(10_000)
        .graceful(shutdown, GRACE)
        .run()
        .await?;
    Ok(())
}
