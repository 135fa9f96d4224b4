//! The client of hyper-util on routes that are dead or slow. The routes are those of a network namespace of its own.

#[path = "../../tests/net_support/mod.rs"]
mod net_support;

use http_body_util::{BodyExt, Empty, Full};
use hyper::body::{Bytes, Incoming};
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::client::legacy::Client;
use net_support::{in_namespace, open_descriptors, run};
use runtime::hyper::{Connector, Executor, Timer, serve_http};
use runtime::net::TcpListener;
use runtime::time::{Duration, Instant, sleep, timeout};
use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::process::Command;
use tower::Service;

const MS: Duration = Duration::from_millis(1);

fn ip(words: &str) {
    let status = Command::new("ip").args(words.split(' ')).status().unwrap();
    assert!(status.success(), "ip {words}");
}

/// Gives the host `two.test` an address of IPv6 that loses all packets, and one of IPv4. The host `dead.test` has only the
/// former. Returns `false` if the names cannot be set.
fn set_routes() -> bool {
    ip("link set lo up");
    // A packet to this neighbour comes back over loopback, belongs to nobody, and vanishes.
    ip("address add 2001:db8::1/64 dev lo nodad");
    ip("address add 10.9.0.1/32 dev lo");
    let hosts = std::env::temp_dir().join(format!("runtime-hosts-{}", std::process::id()));
    let names = "127.0.0.1 localhost\n2001:db8::2 two.test\n10.9.0.1 two.test\n2001:db8::3 dead.test\n";
    std::fs::write(&hosts, names).unwrap();
    let mounted = Command::new("mount").arg("--bind").arg(&hosts).arg("/etc/hosts").status();
    std::fs::remove_file(&hosts).unwrap();
    mounted.is_ok_and(|status| status.success())
}

/// Returns the number of sockets whose handshake is going on, in this namespace.
fn connecting() -> usize {
    let tables =
        ["/proc/self/net/tcp", "/proc/self/net/tcp6"].map(|path| std::fs::read_to_string(path).unwrap());
    // The fourth column is the state, and 2 is SYN_SENT.
    tables
        .iter()
        .flat_map(|table| table.lines())
        .filter(|row| row.split_whitespace().nth(3) == Some("02"))
        .count()
}

#[test]
fn a_dead_route_to_the_first_address_was_waited_for() {
    in_namespace("a_dead_route_to_the_first_address_was_waited_for", || {
        if !set_routes() {
            return eprintln!("passed over: /etc/hosts cannot be replaced");
        }
        run(async {
            let listener = TcpListener::bind("10.9.0.1:0").await.unwrap();
            let port = listener.local_addr().unwrap().port();
            let uri = format!("http://two.test:{port}/");
            let before = open_descriptors();
            let mut best = Duration::MAX;
            for _ in 0..5 {
                let start = Instant::now();
                let stream = Connector::new().call(uri.parse().unwrap()).await.unwrap();
                best = best.min(start.elapsed());
                assert_eq!(stream.peer_addr().unwrap(), listener.local_addr().unwrap());
                assert!(stream.nodelay().unwrap());
                assert_eq!((open_descriptors(), connecting()), (before + 1, 0), "the other socket is closed");
            }
            assert!(best >= 250 * MS && best <= 750 * MS, "{best:?}");
        });
    });
}

/// The first handshake is lost, and the second one comes a second later: for the other address there is no better route.
#[test]
fn a_slow_route_was_given_up_when_the_next_attempt_was_due() {
    in_namespace("a_slow_route_was_given_up_when_the_next_attempt_was_due", || {
        if !set_routes() {
            return eprintln!("passed over: /etc/hosts cannot be replaced");
        }
        run(async {
            let slow = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
            slow.bind(&"10.9.0.1:0".parse::<SocketAddr>().unwrap().into()).unwrap();
            slow.listen(0).unwrap();
            let address = slow.local_addr().unwrap().as_socket().unwrap();
            let listener = TcpListener::from_std(slow.into()).unwrap();
            // It fills the queue.
            let first = std::net::TcpStream::connect(address).unwrap();
            let uri = format!("http://two.test:{}/", address.port());
            let client: Client<_, Empty<Bytes>> =
                Client::builder(Executor).pool_timer(Timer).timer(Timer).build(Connector::new());
            let start = Instant::now();
            let response = runtime::spawn(client.get(uri.parse().unwrap()));
            sleep(700 * MS).await;
            assert_eq!(connecting(), 2, "both attempts go on");
            let hello = service_fn(|_: Request<Incoming>| async {
                Ok::<_, Infallible>(Response::new(Full::new(Bytes::from("hello"))))
            });
            runtime::spawn(serve_http(listener, hello).run());
            let response = response.await.unwrap().unwrap();
            assert_eq!(response.into_body().collect().await.unwrap().to_bytes(), "hello");
            assert!(start.elapsed() > 750 * MS, "the route was not slow");
            assert_eq!(connecting(), 0, "the other socket is closed");
            drop(first);
        });
    });
}

#[test]
fn an_attempt_on_a_dead_route_left_its_socket_behind() {
    in_namespace("an_attempt_on_a_dead_route_left_its_socket_behind", || {
        if !set_routes() {
            return eprintln!("passed over: /etc/hosts cannot be replaced");
        }
        run(async {
            let before = open_descriptors();
            let mut connector = Connector::new().connect_timeout(100 * MS);
            let error = connector.call("http://dead.test/".parse().unwrap()).await.unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::TimedOut);
            let dropped =
                timeout(100 * MS, Connector::new().call("http://dead.test/".parse().unwrap())).await;
            assert!(dropped.is_err());
            assert_eq!((open_descriptors(), connecting()), (before, 0));
            let unknown = Connector::new().call("http://unknown.test/".parse().unwrap()).await;
            assert!(unknown.is_err());
        });
    });
}
