//! reqwest, whose connections are sockets and tasks of tokio on the helper thread. Only what the caller awaits has to be in
//! the context.

use crate::watchdog::run;
use axum::Router;
use axum::body::Bytes;
use axum::routing::post;
use runtime::hyper::serve_http;
use runtime::net::TcpListener;
use runtime::task::JoinSet;
use runtime::tokio_context::with_tokio;
use std::rc::Rc;
use std::time::Duration;
use tokio::runtime::Handle;

#[test]
fn requests_of_reqwest_in_a_context_of_their_own() {
    const REQUESTS: usize = 20;
    run(async {
        let router = Router::new()
            .route("/", post(async |body: Bytes| body))
            .route("/never", post(async || std::future::pending::<()>().await));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/", listener.local_addr().unwrap());
        let server = runtime::spawn(serve_http(listener, router).run());

        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        let mut tasks = JoinSet::new();
        for index in 0..REQUESTS {
            // The task need not be `Send`.
            let (client, url, index) = (client.clone(), url.clone(), Rc::new(index));
            tasks.spawn_local(with_tokio(async move {
                let body = vec![b'x'; *index * 10_000];
                let response = client.post(url).body(body).send().await.unwrap();
                assert_eq!(response.bytes().await.unwrap().len(), *index * 10_000);
            }));
        }
        let mut ended = 0;
        while let Some(task) = tasks.join_next().await {
            task.unwrap();
            ended += 1;
        }
        assert_eq!(ended, REQUESTS);

        let slow = client.post(format!("{url}never")).timeout(Duration::from_millis(50));
        // `send` makes the sleep, so the call has to be in the context, too.
        let result = with_tokio(async { slow.send().await }).await;
        assert!(result.unwrap_err().is_timeout());
        assert!(Handle::try_current().is_err(), "the server and the test are not in a context");
        server.abort();
    });
}
