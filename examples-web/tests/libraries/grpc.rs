//! gRPC by tonic. The client is its `Channel`, with our executor and connector; the server is `serve_http`, which gets the
//! services as a router of axum. The service is that of tonic-health, so that nobody needs `protoc`.

use crate::watchdog::run;
use axum::Router;
use axum::routing::post;
use futures_util::future::join_all;
use runtime::hyper::{Connector, Executor, serve_http};
use runtime::net::{Served, TcpListener};
use runtime::sync::oneshot;
use runtime::task::JoinHandle;
use runtime::time::{Duration, timeout};
use runtime::tokio_context::enter;
use std::future::pending;
use std::io;
use tonic::Code;
use tonic::service::Routes;
use tonic::transport::Endpoint;
use tonic_health::ServingStatus::{NotServing, Serving};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_client::HealthClient;
use tonic_health::server::health_reporter;

/// A server that never answers.
async fn silent_server() -> (String, JoinHandle<io::Result<Served>>) {
    let router = Router::new().fallback(post(async || pending::<()>().await));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    (url, runtime::spawn(serve_http(listener, router).run()))
}

fn about(service: &str) -> HealthCheckRequest {
    HealthCheckRequest { service: service.to_owned() }
}

#[test]
fn tonic_calls_streams_and_fails_on_our_server_and_connector() {
    const CALLS: usize = 100;
    run(async {
        let (reporter, service) = health_reporter();
        reporter.set_service_status("search", Serving).await;
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (stop, stopped) = oneshot::channel::<()>();
        let router = Routes::new(service).prepare().into_axum_router();
        let server = serve_http(listener, router).graceful(stopped, Duration::from_secs(20));
        let server = runtime::spawn(server.run());

        let endpoint = Endpoint::from_shared(format!("http://{address}")).unwrap().executor(Executor);
        let channel = endpoint.connect_with_connector(Connector::new()).await.unwrap();
        let client = HealthClient::new(channel);

        let statuses = join_all((0..CALLS).map(|_| {
            let mut client = client.clone();
            async move { client.check(about("search")).await.unwrap().into_inner().status }
        }));
        assert_eq!(statuses.await, [Serving as i32; CALLS]);

        let mut client = client;
        let error = client.check(about("nothing")).await.unwrap_err();
        assert_eq!(error.code(), Code::NotFound);

        let mut changes = client.watch(about("search")).await.unwrap().into_inner();
        assert_eq!(changes.message().await.unwrap().unwrap().status, Serving as i32);
        reporter.set_service_status("search", NotServing).await;
        assert_eq!(changes.message().await.unwrap().unwrap().status, NotServing as i32);

        drop((changes, client));
        stop.send(()).unwrap();
        assert_eq!(server.await.unwrap().unwrap().aborted(), 0);
    });
}

const LIMIT: Duration = Duration::from_millis(50);

#[test]
fn a_timeout_of_the_runtime_ends_a_call_of_tonic() {
    run(async {
        let (url, server) = silent_server().await;
        let endpoint = Endpoint::from_shared(url).unwrap().executor(Executor);
        let channel = endpoint.connect_with_connector(Connector::new()).await.unwrap();
        assert!(timeout(LIMIT, HealthClient::new(channel).check(about("search"))).await.is_err());
        server.abort();
    });
}

/// They sleep by tokio's timers, in a task that the executor has spawned: the whole thread has to be in the context.
#[test]
fn the_timeouts_of_tonic_work_on_a_thread_in_a_context() {
    let _context = enter();
    run(async {
        let (url, server) = silent_server().await;
        let endpoint = Endpoint::from_shared(url).unwrap().executor(Executor).timeout(LIMIT);
        let endpoint = endpoint.connect_timeout(Duration::from_secs(20));
        let channel = endpoint.connect_with_connector(Connector::new()).await.unwrap();
        let error = HealthClient::new(channel).check(about("search")).await.unwrap_err();
        assert_eq!(error.code(), Code::Cancelled);
        server.abort();
    });
}
