//! Connections between the two threads that are made and accepted, or dropped before that.

use super::episode::Side;
use super::random::{Pattern, Random};
use super::wakers::{hostile, poll_with};
use runtime::io::{AsyncReadExt, AsyncWriteExt};
use runtime::net::{TcpListener, TcpStream};
use runtime::time::timeout;
use std::io;
use std::pin::pin;

/// Listens on this thread. Clients connect from the other thread, send a few bytes and get them back.
pub(crate) async fn run(side: Side, mut random: Random) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("listen on loopback");
    let address = listener.local_addr().expect("a bound listener");
    for _ in 0..random.within(1..4) {
        let pattern = Pattern::new(random.split());
        let size = random.within(1..5000) as usize;
        let bytes = pattern.peek(size);
        // The accept is dropped before a client connects.
        if random.chance(50) {
            assert!(timeout(random.micros(0..100), listener.accept()).await.is_err());
        }
        if random.chance(50) {
            assert!(poll_with(&mut pin!(listener.accept()), &hostile(&side, &mut random)).is_pending());
        }
        let guard = side.checks.guard();
        let client = side.there.spawn(async move {
            let _guard = guard;
            let mut stream = TcpStream::connect(address).await?;
            stream.write_all(&bytes).await?;
            stream.close().await?;
            let mut back = Vec::new();
            stream.read_to_end(&mut back).await?;
            io::Result::Ok(back)
        });
        let (stream, _) = listener.accept().await.expect("accept");
        let guard = side.checks.guard();
        let server = runtime::spawn(async move {
            let _guard = guard;
            let (mut reader, mut writer) = stream.into_split();
            runtime::io::copy(&mut reader, &mut writer).await
        });
        assert_eq!(server.await.expect("the server ends").expect("copy"), size as u64);
        assert_eq!(client.await.expect("the client ends").expect("be echoed"), pattern.peek(size));
    }
}
