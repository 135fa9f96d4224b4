//! Layers of tower-http around a router of axum, and around a client: those that need no timer.

use crate::watchdog::run;
use axum::Router;
use axum::body::{Body, Bytes};
use axum::http::header::{ACCEPT_ENCODING, CONTENT_ENCODING, CONTENT_LENGTH};
use axum::http::{Request, Response, StatusCode};
use axum::routing::{get, post};
use http_body_util::{BodyExt, Full};
use hyper_util::client::legacy::Client;
use runtime::hyper::{Connector, Executor, serve_http};
use runtime::net::TcpListener;
use std::time::Duration;
use tokio::sync::mpsc;
use tower::{Service, ServiceExt};
use tower_http::compression::CompressionLayer;
use tower_http::decompression::Decompression;
use tower_http::limit::RequestBodyLimitLayer;
use tower_http::trace::TraceLayer;
use tracing::Span;

const TEXT: &str = "All work and no play makes Jack a dull boy. ";

#[test]
fn tower_http_traces_compresses_and_limits_without_a_context() {
    run(async {
        let (sender, mut responses) = mpsc::unbounded_channel();
        let report = move |response: &Response<_>, _: Duration, _: &Span| {
            let _: &Response<Body> = response;
            sender.send(response.status()).unwrap();
        };
        let router = Router::new()
            .route("/text", get(async || TEXT.repeat(10_000)))
            .route("/count", post(async |body: Bytes| body.len().to_string()))
            .layer(TraceLayer::new_for_http().on_response(report))
            .layer(CompressionLayer::new())
            .layer(RequestBodyLimitLayer::new(1000));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        runtime::spawn(serve_http(listener, router).run());

        let client = Client::builder(Executor).build::<_, Full<Bytes>>(Connector::new());
        let request = Request::get(format!("{url}/text")).header(ACCEPT_ENCODING, "gzip");
        let response = client.request(request.body(Full::default()).unwrap()).await.unwrap();
        assert_eq!(response.headers()[CONTENT_ENCODING], "gzip");
        assert!(response.headers().get(CONTENT_LENGTH).is_none());
        let compressed = response.into_body().collect().await.unwrap().to_bytes();
        assert!(compressed.len() < TEXT.len() * 1000, "{} bytes", compressed.len());
        assert_eq!(responses.recv().await, Some(StatusCode::OK));

        let mut client = Decompression::new(client);
        let request = Request::get(format!("{url}/text")).body(Full::default()).unwrap();
        let response = client.ready().await.unwrap().call(request).await.unwrap();
        assert!(response.into_body().collect().await.unwrap().to_bytes() == TEXT.repeat(10_000));
        assert_eq!(responses.recv().await, Some(StatusCode::OK));

        for (length, status) in [(1000, StatusCode::OK), (1001, StatusCode::PAYLOAD_TOO_LARGE)] {
            let body = Full::from(vec![b'x'; length]);
            let request = Request::post(format!("{url}/count")).body(body).unwrap();
            let response = client.ready().await.unwrap().call(request).await.unwrap();
            assert_eq!(response.status(), status, "{length} bytes");
        }
    });
}
