//! An echo over QUIC: the server sends back what each stream brings, and the client measures how long that takes.
//!
//! ```console
//! cargo run -p examples-web --example quic_echo -- server 127.0.0.1:4433
//! cargo run -p examples-web --example quic_echo -- client 127.0.0.1:4433
//! ```
//!
//! Without arguments, both run in one program, on one thread. The server makes a certificate when it starts and writes it
//! to `quic_echo.der` in the folder for temporary files, where the client reads it. Ctrl-C closes all connections.

use quinn::{ClientConfig, Endpoint, EndpointConfig, ServerConfig, VarInt};
use runtime::time::{Duration, Instant, timeout};
use rustls::RootCertStore;
use rustls::pki_types::{CertificateDer, PrivatePkcs8KeyDer};
use std::error::Error;
use std::net::{SocketAddr, UdpSocket};
use std::path::PathBuf;
use std::sync::Arc;
use std::{env, fs, process};

/// The number of bytes that the client sends by one stream.
const AMOUNT: usize = 10_000_000;

type Result<T> = std::result::Result<T, Box<dyn Error>>;

#[runtime::main]
async fn main() -> Result<()> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["server", address] => {
            let server = listen(address.parse()?)?;
            println!("listening on {}", server.local_addr()?);
            runtime::spawn(serve(server.clone()));
            runtime::signal::shutdown().await?;
            close(&server).await;
        }
        ["client", address] => ask(address.parse()?).await?,
        [] => {
            let server = listen("127.0.0.1:0".parse()?)?;
            runtime::spawn(serve(server.clone()));
            ask(server.local_addr()?).await?;
            close(&server).await;
        }
        _ => {
            eprintln!("usage: quic_echo [server ADDRESS | client ADDRESS]");
            process::exit(2);
        }
    }
    Ok(())
}

fn certificate_path() -> PathBuf {
    env::temp_dir().join("quic_echo.der")
}

fn listen(address: SocketAddr) -> Result<Endpoint> {
    let made = rcgen::generate_simple_self_signed([String::from("localhost")])?;
    let key = PrivatePkcs8KeyDer::from(made.signing_key.serialize_der());
    fs::write(certificate_path(), made.cert.der())?;
    let config = ServerConfig::with_single_cert(vec![made.cert.der().clone()], key.into())?;
    endpoint(address, Some(config))
}

fn endpoint(address: SocketAddr, config: Option<ServerConfig>) -> Result<Endpoint> {
    let socket = UdpSocket::bind(address)?;
    Ok(Endpoint::new(EndpointConfig::default(), config, socket, Arc::new(runtime::quinn::Runtime))?)
}

async fn serve(server: Endpoint) {
    while let Some(incoming) = server.accept().await {
        runtime::spawn(async move {
            let peer = incoming.remote_address();
            let connection = match incoming.await {
                Ok(connection) => connection,
                Err(error) => return eprintln!("{peer}: {error}"),
            };
            while let Ok((mut send, mut receive)) = connection.accept_bi().await {
                runtime::spawn(async move {
                    // If the client goes away in the midst of a stream, nobody wants the rest.
                    while let Ok(Some(chunk)) = receive.read_chunk(1 << 16, true).await {
                        if send.write_chunk(chunk.bytes).await.is_err() {
                            return;
                        }
                    }
                    let _ = send.finish();
                });
            }
        });
    }
}

async fn ask(server: SocketAddr) -> Result<()> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from(fs::read(certificate_path())?))?;
    let unspecified = if server.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" };
    let mut client = endpoint(unspecified.parse()?, None)?;
    client.set_default_client_config(ClientConfig::with_root_certificates(Arc::new(roots))?);

    let connection = client.connect(server, "localhost")?.await?;
    let start = Instant::now();
    let (mut send, mut receive) = connection.open_bi().await?;
    let data = vec![7; AMOUNT];
    let (sent, echo) = runtime::join!(
        async {
            send.write_all(&data).await?;
            send.finish()?;
            Result::Ok(())
        },
        receive.read_to_end(AMOUNT),
    );
    sent?;
    let length = echo?.len();
    let elapsed = start.elapsed();
    println!("{length} bytes there and back in {elapsed:.1?}; round trip {:.1?}", connection.rtt());
    drop((send, receive));
    connection.close(VarInt::from_u32(0), b"done");
    close(&client).await;
    Ok(())
}

/// Closes the connections of an endpoint, and gives their peers a second to learn of it.
async fn close(endpoint: &Endpoint) {
    endpoint.close(VarInt::from_u32(0), b"");
    let _ = timeout(Duration::from_secs(1), endpoint.wait_idle()).await;
}
