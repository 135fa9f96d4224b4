//! Libraries that work on our streams and tasks as they are, each in a small program that uses both of its ends.
//!
//! They are one test program, because each program links all of these libraries. A context of tokio is entered only where a
//! test says so: elsewhere, a library that called tokio's runtime would panic.

mod connect_info;
mod grpc;
mod layers;
mod requests;
mod tls;
#[path = "../../../tests/common/watchdog.rs"]
mod watchdog;
mod websockets;

use runtime::net::{TcpListener, TcpStream};

/// Returns the two ends of a connection.
async fn connected() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
    (client, listener.accept().await.unwrap().0)
}
