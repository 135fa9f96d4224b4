//! The address of the client, by axum's extractor `ConnectInfo`, in HTTP/1.1 and HTTP/2.

use crate::watchdog::run;
use axum::Router;
use axum::body::Body;
use axum::extract::ConnectInfo;
use axum::http::Request;
use axum::routing::get;
use http_body_util::BodyExt;
use hyper::client::conn::{http1, http2};
use runtime::hyper::{Executor, serve_http};
use runtime::net::{TcpListener, TcpStream};
use std::cell::Cell;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

#[test]
fn every_request_of_a_connection_has_the_address_of_its_peer() {
    run(async {
        let router = Router::new()
            .route("/", get(async |ConnectInfo(peer): ConnectInfo<SocketAddr>| peer.to_string()));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let connections = Rc::new(Cell::new(0));
        let count = Rc::clone(&connections);
        let server = serve_http(listener, router)
            .connect_info(move |peer: &SocketAddr| {
                count.set(count.get() + 1);
                ConnectInfo(*peer)
            })
            // Those that follow keep the function.
            .body_timeout(Duration::from_secs(20))
            .handshake(async |stream| Ok(stream))
            .graceful(std::future::pending::<()>(), Duration::from_secs(20));
        let server = runtime::spawn(server.run());
        let request = || Request::get(format!("http://{address}/")).body(Body::empty()).unwrap();

        let stream = TcpStream::connect(address).await.unwrap();
        let own = stream.local_addr().unwrap().to_string();
        let (mut client, connection) = http1::handshake(stream).await.unwrap();
        runtime::spawn(connection);
        for _ in 0..3 {
            let response = client.send_request(request()).await.unwrap();
            assert_eq!(response.into_body().collect().await.unwrap().to_bytes(), own);
        }
        assert_eq!(connections.get(), 1);

        let stream = TcpStream::connect(address).await.unwrap();
        let own = stream.local_addr().unwrap().to_string();
        let (mut client, connection) = http2::handshake(Executor, stream).await.unwrap();
        runtime::spawn(connection);
        for _ in 0..3 {
            let response = client.send_request(request()).await.unwrap();
            assert_eq!(response.into_body().collect().await.unwrap().to_bytes(), own);
        }
        assert_eq!(connections.get(), 2);
        server.abort();
    });
}
