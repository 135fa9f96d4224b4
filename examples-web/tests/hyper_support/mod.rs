//! The parts that the tests of the feature `hyper` share: a listener, and a client of HTTP/1.1 that says exactly what it is told to.
#![allow(dead_code, unreachable_pub, unused_imports, reason = "each test program uses a part of it")]

pub mod frames;
#[path = "../../../tests/common/watchdog.rs"]
mod watchdog;

use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::service::{Service, service_fn};
use hyper::{Request, Response};
use runtime::io::{AsyncReadExt, AsyncWriteExt};
use runtime::net::{TcpListener, TcpStream};
use runtime::time::{Duration, Instant};
use std::convert::Infallible;
use std::net::SocketAddr;

pub(crate) use watchdog::watchdog;

pub const GET: &[u8] = b"GET / HTTP/1.1\r\nhost: localhost\r\n\r\n";

pub async fn listen() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    (listener, address)
}

pub fn text(text: &'static str) -> Response<Full<Bytes>> {
    Response::new(Full::from(text))
}

/// A service that answers "hello".
pub fn hello()
-> impl Service<Request<Incoming>, Response = Response<Full<Bytes>>, Error = Infallible, Future: 'static>
+ Clone
+ 'static {
    service_fn(|_: Request<Incoming>| async { Ok(text("hello")) })
}

/// A client that writes raw bytes.
pub struct Client(pub TcpStream);

impl Client {
    pub async fn connect(address: SocketAddr) -> Client {
        Client(TcpStream::connect(address).await.unwrap())
    }

    pub async fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.0.write_all(bytes.as_ref()).await.unwrap();
    }

    /// Reads one response that has a `content-length`, or no body.
    pub async fn response(&mut self) -> String {
        let mut bytes = Vec::new();
        while !bytes.ends_with(b"\r\n\r\n") {
            let byte = self.0.read_u8().await.unwrap_or_else(|error| {
                panic!("{error} after {:?}", String::from_utf8_lossy(&bytes));
            });
            bytes.push(byte);
        }
        let head = String::from_utf8_lossy(&bytes).to_lowercase();
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: ").map(str::to_owned));
        let begin = bytes.len();
        bytes.resize(begin + length.map_or(0, |length| length.parse().unwrap()), 0);
        self.0.read_exact(&mut bytes[begin..]).await.unwrap();
        String::from_utf8(bytes).unwrap()
    }

    /// Reads to the end of the stream.
    pub async fn rest(&mut self) -> Vec<u8> {
        let mut bytes = Vec::new();
        self.0.read_to_end(&mut bytes).await.unwrap();
        bytes
    }

    /// Waits for the end of the stream, and returns the seconds until then.
    pub async fn seconds_to_end(&mut self) -> f64 {
        let start = Instant::now();
        assert_eq!(self.rest().await, b"", "the server said something");
        start.elapsed().as_secs_f64()
    }
}

pub fn s(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

pub fn ms(milliseconds: u64) -> Duration {
    Duration::from_millis(milliseconds)
}
