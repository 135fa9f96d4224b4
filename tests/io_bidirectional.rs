//! The options of copies in both directions: a timeout for connections in which nothing moves, and counts that outlive an
//! error.

mod net_support;

use futures_lite::future::zip;
use net_support::{pair, poll_once, run, until};
use runtime::io::{
    AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BidirectionalOptions, BidirectionalProgress, duplex,
};
use runtime::net::TcpStream;
use runtime::spawn;
use runtime::task::{JoinHandle, coop, yield_now};
use runtime::time::{self, Duration, Instant, sleep};
use std::future::poll_fn;
use std::io::{self, ErrorKind};
use std::rc::Rc;
use std::task::Poll;

const MINUTE: Duration = Duration::from_secs(60);

const SECOND: Duration = Duration::from_secs(1);

/// A proxied connection: its two ends, and the proxy with its progress.
struct Proxied<S> {
    client: S,
    server: S,
    progress: Rc<BidirectionalProgress>,
    copying: JoinHandle<io::Result<(u64, u64)>>,
}

impl<S> Proxied<S> {
    /// Waits until the proxy fails with its timeout, which happens `after` the start: not earlier, and hardly later.
    async fn times_out(self, start: Instant, after: Duration) {
        let error = self.copying.await.unwrap().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::TimedOut);
        assert_eq!(error.to_string(), "no byte was copied in either direction for 60s");
        let elapsed = start.elapsed();
        assert!(after <= elapsed && elapsed < after + SECOND / 2, "after {elapsed:?} instead of {after:?}");
    }
}

fn by_duplex(options: BidirectionalOptions<'static>) -> Proxied<runtime::io::DuplexStream> {
    let ((client, mut near), (mut far, server)) = (duplex(64), duplex(64));
    let progress = Rc::new(BidirectionalProgress::new());
    let copying = spawn({
        let progress = progress.clone();
        async move { options.progress(&progress).copy(&mut near, &mut far).await }
    });
    Proxied { client, server, progress, copying }
}

async fn by_sockets(options: BidirectionalOptions<'static>, splices: bool) -> Proxied<TcpStream> {
    let ((client, mut near), (mut far, server)) = (pair().await.unwrap(), pair().await.unwrap());
    let progress = Rc::new(BidirectionalProgress::new());
    let copying = spawn({
        let progress = progress.clone();
        async move {
            let options = options.progress(&progress);
            match splices {
                true => options.splice(&mut near, &mut far).await,
                false => options.copy(&mut near, &mut far).await,
            }
        }
    });
    Proxied { client, server, progress, copying }
}

fn a_minute() -> BidirectionalOptions<'static> {
    BidirectionalOptions::new().idle_timeout(Some(MINUTE))
}

async fn send(to: &mut (impl AsyncWrite + Unpin), from: &mut (impl AsyncRead + Unpin), word: &[u8]) {
    to.write_all(word).await.unwrap();
    let mut got = vec![0; word.len()];
    from.read_exact(&mut got).await.unwrap();
    assert_eq!(got, word);
}

/// A download has a byte every 50 seconds, and its client sends nothing. Then the download stops.
async fn a_silent_client_is_served<S: AsyncRead + AsyncWrite + Unpin>(mut proxied: Proxied<S>) {
    let mut start = Instant::now();
    for _ in 0..5 {
        sleep(50 * SECOND).await;
        start = Instant::now();
        send(&mut proxied.server, &mut proxied.client, b"x").await;
    }
    // The same in the other direction.
    for _ in 0..5 {
        sleep(50 * SECOND).await;
        start = Instant::now();
        send(&mut proxied.client, &mut proxied.server, b"y").await;
    }
    assert_eq!((proxied.progress.a_to_b(), proxied.progress.b_to_a()), (5, 5));
    proxied.times_out(start, MINUTE).await;
}

/// The client has sent all it has. The answer is slow and does not end.
async fn a_half_closed_connection_is_served<S: AsyncRead + AsyncWrite + Unpin>(mut proxied: Proxied<S>) {
    send(&mut proxied.client, &mut proxied.server, b"question").await;
    proxied.client.close().await.unwrap();
    assert_eq!(proxied.server.read(&mut [0]).await.unwrap(), 0);
    let mut start = Instant::now();
    for _ in 0..3 {
        sleep(50 * SECOND).await;
        start = Instant::now();
        send(&mut proxied.server, &mut proxied.client, b"answer").await;
    }
    proxied.times_out(start, MINUTE).await;
}

/// The server reads nothing: all buffers on the way are full, and nothing moves any more.
async fn a_connection_that_is_stuck_ends<S: AsyncWrite + AsyncRead + Unpin + 'static>(proxied: Proxied<S>) {
    let Proxied { mut client, server, progress, copying } = proxied;
    let start = Instant::now();
    let filling = spawn(async move {
        while client.write(&[7; 10_000]).await.is_ok() {}
        client
    });
    let error = copying.await.unwrap().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TimedOut);
    assert!(start.elapsed() >= MINUTE);
    assert!(progress.a_to_b() > 0 && progress.b_to_a() == 0);
    drop(server);
    drop(filling.await.unwrap());
}

#[test]
fn a_connection_in_which_nothing_moves_ends() {
    run(async {
        time::pause();
        let proxied = by_duplex(a_minute());
        proxied.times_out(Instant::now(), MINUTE).await;
        for splices in [false, true] {
            let proxied = by_sockets(a_minute(), splices).await;
            proxied.times_out(Instant::now(), MINUTE).await;
        }
    });
}

#[test]
fn a_client_that_is_silent_in_the_middle_of_a_download_is_not_cut_off() {
    run(async {
        time::pause();
        a_silent_client_is_served(by_duplex(a_minute())).await;
        a_silent_client_is_served(by_sockets(a_minute(), false).await).await;
        a_silent_client_is_served(by_sockets(a_minute(), true).await).await;
    });
}

#[test]
fn a_half_closed_connection_is_idle_only_if_nothing_moves() {
    run(async {
        time::pause();
        a_half_closed_connection_is_served(by_duplex(a_minute())).await;
        a_half_closed_connection_is_served(by_sockets(a_minute(), false).await).await;
        a_half_closed_connection_is_served(by_sockets(a_minute(), true).await).await;
    });
}

#[test]
fn a_connection_whose_peer_takes_nothing_is_idle() {
    run(async {
        time::pause();
        a_connection_that_is_stuck_ends(by_duplex(a_minute())).await;
        a_connection_that_is_stuck_ends(by_sockets(a_minute(), false).await).await;
        a_connection_that_is_stuck_ends(by_sockets(a_minute(), true).await).await;
    });
}

#[test]
fn bytes_that_are_only_read_count_as_well() {
    run(async {
        time::pause();
        // The server never reads. What the client sends still fits into the buffer of the copy.
        let (mut client, mut near) = duplex(64);
        let (mut far, _server) = duplex(1);
        let copying = spawn(async move { a_minute().copy(&mut near, &mut far).await });
        let mut start = Instant::now();
        for _ in 0..5 {
            sleep(50 * SECOND).await;
            start = Instant::now();
            client.write_all(b"held").await.unwrap();
        }
        assert_eq!(copying.await.unwrap().unwrap_err().kind(), ErrorKind::TimedOut);
        let elapsed = start.elapsed();
        assert!((MINUTE..MINUTE + SECOND).contains(&elapsed), "{elapsed:?}");
    });
}

#[test]
fn a_copy_that_comes_to_its_end_leaves_no_timer_behind() {
    run(async {
        time::pause();
        let start = Instant::now();
        let Proxied { mut client, mut server, progress, copying } = by_duplex(a_minute());
        send(&mut client, &mut server, b"question").await;
        send(&mut server, &mut client, b"answer").await;
        drop((client, server));
        assert_eq!(copying.await.unwrap().unwrap(), (8, 6));
        assert_eq!((progress.a_to_b(), progress.b_to_a()), (8, 6));
        assert!(start.elapsed() < SECOND);
        // A very long timeout means the same as none.
        for timeout in [None, Some(Duration::MAX)] {
            let proxied = by_duplex(BidirectionalOptions::new().idle_timeout(timeout));
            sleep(1000 * MINUTE).await;
            assert!(!proxied.copying.is_finished());
        }
    });
}

/// A task holds up the loop for longer than the timeout, while bytes arrive. The loop has not asked the kernel for
/// them yet when the copy is polled next.
#[test]
fn bytes_that_came_while_the_loop_was_held_up_are_no_idle_time() {
    run(async {
        for splices in [false, true] {
            let (mut client, mut near) = pair().await.unwrap();
            let (mut far, mut server) = pair().await.unwrap();
            time::pause();
            let copying = async {
                match splices {
                    true => a_minute().splice(&mut near, &mut far).await,
                    false => a_minute().copy(&mut near, &mut far).await,
                }
            };
            let mut copying = std::pin::pin!(copying);
            assert!(poll_once(copying.as_mut()).await.is_none());
            yield_now().await;
            assert!(poll_once(copying.as_mut()).await.is_none());
            client.write_all(b"question").await.unwrap();
            client.close().await.unwrap();
            server.write_all(b"answer").await.unwrap();
            server.close().await.unwrap();
            // The clock jumps in the first poll of this future, while the task is polled.
            let mut jump = std::pin::pin!(time::advance(2 * MINUTE));
            poll_fn(|cx| {
                assert!(jump.as_mut().poll(cx).is_pending());
                if let Poll::Ready(ended) = copying.as_mut().poll(cx) {
                    panic!("it has ended before the loop has looked: {ended:?}");
                }
                Poll::Ready(())
            })
            .await;
            assert_eq!(copying.await.unwrap(), (8, 6));
            time::resume();
        }
    });
}

/// The task of the copy has no budget left when the timer has fired, so the copy has not tried the streams.
#[test]
fn a_copy_without_budget_is_not_idle() {
    run(async {
        time::pause();
        let ((mut client, mut near), (mut far, mut server)) = (duplex(64), duplex(64));
        let mut copying = std::pin::pin!(a_minute().copy(&mut near, &mut far));
        assert!(poll_once(copying.as_mut()).await.is_none());
        time::advance(2 * MINUTE).await;
        client.write_all(b"question").await.unwrap();
        let mut spending = std::pin::pin!(async {
            loop {
                coop::consume_budget().await;
            }
        });
        poll_fn(|cx| {
            assert!(spending.as_mut().poll(cx).is_pending());
            if let Poll::Ready(ended) = copying.as_mut().poll(cx) {
                panic!("it has ended before it has asked: {ended:?}");
            }
            Poll::Ready(())
        })
        .await;
        drop(client);
        let answering = async {
            let mut question = Vec::new();
            server.read_to_end(&mut question).await.unwrap();
            assert_eq!(question, b"question");
            drop(server);
        };
        assert_eq!(zip(copying, answering).await.0.unwrap(), (8, 0));
    });
}

#[test]
fn counts_outlive_an_error() {
    run(async {
        for splices in [false, true] {
            let proxied = by_sockets(BidirectionalOptions::new(), splices).await;
            let Proxied { mut client, mut server, progress, copying } = proxied;
            send(&mut client, &mut server, b"question").await;
            send(&mut server, &mut client, b"a part").await;
            // The counts can be read while the copy runs.
            until(|| (progress.a_to_b(), progress.b_to_a()) == (8, 6)).await;
            // Because of the unread bytes, the close resets the connection.
            server.write_all(b"unread").await.unwrap();
            until(|| progress.b_to_a() == 12).await;
            drop(client);
            let error = loop {
                // The proxy sees the reset when it has something to write, at the latest.
                _ = server.write_all(b"more").await;
                yield_now().await;
                if copying.is_finished() {
                    break copying.await.unwrap().unwrap_err();
                }
            };
            assert!(matches!(error.kind(), ErrorKind::ConnectionReset | ErrorKind::BrokenPipe), "{error}");
            assert_eq!(progress.a_to_b(), 8);
            assert!(progress.b_to_a() >= 12);
        }
    });
}

#[test]
fn counts_outlive_a_copy_that_is_dropped() {
    run(async {
        let Proxied { mut client, mut server, progress, copying } = by_duplex(BidirectionalOptions::new());
        send(&mut client, &mut server, b"question").await;
        until(|| progress.a_to_b() == 8).await;
        copying.abort();
        assert!(copying.await.unwrap_err().is_cancelled());
        assert_eq!((progress.a_to_b(), progress.b_to_a()), (8, 0));
    });
}

#[test]
fn sizes_are_kept_to_and_the_rest_is_as_without_options() {
    run(async {
        let options = BidirectionalOptions::default().buf_sizes(0, 100_000);
        let Proxied { mut client, mut server, progress: _, copying } = by_duplex(options);
        send(&mut client, &mut server, b"question").await;
        send(&mut server, &mut client, b"answer").await;
        client.close().await.unwrap();
        server.close().await.unwrap();
        assert_eq!(copying.await.unwrap().unwrap(), (8, 6));
    });
}

#[test]
fn copies_with_options_go_to_other_threads() {
    fn send<T: Send>(_: T) {}
    fn check(a: &mut TcpStream, b: &mut TcpStream, progress: &BidirectionalProgress) {
        send(a_minute().progress(progress).copy(a, b));
        send(a_minute().progress(progress).splice(a, b));
    }
    let _: fn(&mut TcpStream, &mut TcpStream, &BidirectionalProgress) = check;
}
