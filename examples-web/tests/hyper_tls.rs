//! `serve_http` on TLS, with tokio-rustls and our streams.

mod hyper_support;

use bytes::Bytes;
use http_body_util::{BodyExt, Empty, Full};
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_support::{Client, GET, hello, listen, ms, s, text, watchdog};
use runtime::hyper::{TokioIo, serve_http};
use runtime::net::TcpStream;
use runtime::sync::oneshot;
use runtime::time;
use std::convert::Infallible;
use std::error::Error;
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

/// Returns the error of I/O from which an error comes.
fn io_kind(error: &(dyn Error + 'static)) -> Option<io::ErrorKind> {
    match error.downcast_ref::<io::Error>() {
        Some(error) => Some(error.kind()),
        None => io_kind(error.source()?),
    }
}

/// Gets a response from a server that says these words, and then ends the connection without a close_notify.
async fn get_truncated(words: &'static str) -> Result<Bytes, hyper::Error> {
    let (listener, address) = listen().await;
    let (acceptor, connector) = tls();
    let server = runtime::spawn(async move {
        let mut stream = acceptor.accept(listener.accept().await.unwrap().0).await.unwrap();
        let mut head = [0; 1000];
        assert!(stream.read(&mut head).await.unwrap() > 0);
        stream.write_all(words.as_bytes()).await.unwrap();
        stream.flush().await.unwrap();
        let (mut socket, _) = stream.into_inner();
        socket.shutdown().await.unwrap();
        // Careful: a close with bytes that were not read would be a reset.
        drop(socket.read_to_end(&mut Vec::new()).await);
    });
    let stream = connect(&connector, TcpStream::connect(address).await.unwrap()).await.unwrap();
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.unwrap();
    let connection = runtime::spawn(connection);
    let request = Request::get("/").header("host", "h").body(Empty::<Bytes>::new()).unwrap();
    let body = match sender.send_request(request).await {
        Ok(response) => response.into_body().collect().await.map(http_body_util::Collected::to_bytes),
        Err(error) => Err(error),
    };
    drop(sender);
    drop(connection.await.unwrap());
    server.await.unwrap();
    body
}

#[runtime::test]
async fn a_truncated_response_over_tls_was_taken_for_a_whole_one() {
    let _watchdog = watchdog();
    let whole = get_truncated("HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nwhole").await;
    assert_eq!(whole.unwrap(), "whole", "its length says that it is");
    for words in [
        // Only the end of the connection tells the end of this one.
        "HTTP/1.1 200 OK\r\n\r\nhalf",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n4\r\nhalf\r\n",
        "HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhalf",
        "HTTP/1.1 200 OK\r\n",
    ] {
        let error = get_truncated(words).await.unwrap_err();
        assert_eq!(io_kind(&error), Some(io::ErrorKind::UnexpectedEof), "{words}: {error:?}");
    }
}

#[runtime::test]
async fn a_truncated_request_over_tls_was_taken_for_a_whole_one() {
    let _watchdog = watchdog();
    let (listener, address) = listen().await;
    let (acceptor, connector) = tls();
    let (told, mut heard) = runtime::sync::mpsc::channel(1);
    let service = service_fn(move |request: Request<Incoming>| {
        let told = told.clone();
        async move {
            let body = request.into_body().collect().await;
            told.send(body.map(|body| body.to_bytes())).await.unwrap();
            Ok::<_, Infallible>(text("heard"))
        }
    });
    let server = serve_http(listener, service)
        .handshake(async move |stream: TcpStream| acceptor.accept(stream).await.map(TokioIo::new));
    runtime::spawn(server.run());
    for (head, body) in [
        ("content-length: 5", "whole"),
        ("content-length: 9", "half"),
        ("transfer-encoding: chunked", "4\r\nhalf\r\n"),
    ] {
        let mut client = connect(&connector, TcpStream::connect(address).await.unwrap()).await.unwrap();
        let request = format!("POST / HTTP/1.1\r\nhost: h\r\n{head}\r\n\r\n{body}");
        client.write_all(request.as_bytes()).await.unwrap();
        client.flush().await.unwrap();
        let (socket, _) = client.into_inner();
        if body == "whole" {
            assert_eq!(heard.recv().await.unwrap().unwrap(), "whole");
        }
        socket.shutdown().await.unwrap();
        if body != "whole" {
            assert!(heard.recv().await.unwrap().is_err(), "{head}: {body}");
        }
    }
}

#[runtime::test]
async fn the_end_of_a_response_over_tls_was_cut() {
    const BYTES: usize = 10 << 20;
    let _watchdog = watchdog();
    time::pause();
    let (listener, address) = listen().await;
    let (acceptor, connector) = tls();
    let big = service_fn(|_: Request<Incoming>| async {
        Ok::<_, Infallible>(Response::new(Full::new(Bytes::from(vec![b'x'; BYTES]))))
    });
    let server = serve_http(listener, big)
        .handshake(async move |stream: TcpStream| acceptor.accept(stream).await.map(TokioIo::new))
        .write_timeout(s(2));
    runtime::spawn(server.run());
    for connection in ["close", "keep-alive"] {
        let mut client = connect(&connector, TcpStream::connect(address).await.unwrap()).await.unwrap();
        let request = format!("GET / HTTP/1.1\r\nhost: h\r\nconnection: {connection}\r\n\r\n");
        client.write_all(request.as_bytes()).await.unwrap();
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(client.read_u8().await.unwrap());
        }
        let (mut total, mut buffer) = (0, vec![0; 64 << 10]);
        while total < BYTES {
            time::sleep(ms(50)).await;
            let count = client.read(&mut buffer).await.unwrap();
            assert!(count > 0, "{connection}: the end after {total} bytes");
            total += count;
        }
        assert_eq!(total, BYTES);
        if connection == "close" {
            // The end without a close_notify would be an error.
            assert_eq!(client.read(&mut buffer).await.unwrap(), 0);
        }
    }
}

/// The client reads nothing, so that not even the close_notify can be sent.
#[runtime::test]
async fn a_client_that_stalls_in_the_shutdown_of_tls_is_cut() {
    let _watchdog = watchdog();
    time::pause();
    let (listener, address) = listen().await;
    let (acceptor, connector) = tls();
    let (stop, stopped) = oneshot::channel::<()>();
    let big = service_fn(|_: Request<Incoming>| async {
        Ok::<_, Infallible>(Response::new(Full::new(Bytes::from(vec![b'x'; 16 << 20]))))
    });
    let server = serve_http(listener, big)
        .handshake(async move |stream: TcpStream| acceptor.accept(stream).await.map(TokioIo::new))
        .write_timeout(s(2))
        .graceful(stopped, s(100));
    let server = runtime::spawn(server.run());
    let mut client = connect(&connector, TcpStream::connect(address).await.unwrap()).await.unwrap();
    client.write_all(b"GET / HTTP/1.1\r\nhost: h\r\nconnection: close\r\n\r\n").await.unwrap();
    client.read_u8().await.unwrap();
    let start = time::Instant::now();
    stop.send(()).unwrap();
    assert_eq!(server.await.unwrap().unwrap().aborted(), 0);
    assert!(start.elapsed() < s(10), "{:?}", start.elapsed());
}
