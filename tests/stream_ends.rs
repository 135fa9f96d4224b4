//! The end of a stream of bytes: each direction by itself, and both when the peer is gone. Each law is a test of each kind
//! of stream.
//!
//! The kinds, and how to add one, are in `stream_kinds/mod.rs`. The selector is the one that
//! `RUNTIME_SELECTOR` names.
#![cfg(not(miri))] // Resets, and a lot of bytes.

mod net_support;
mod stream_kinds;

use futures_lite::future::try_zip;
use net_support::{MIB, pattern, poll_once};
use runtime::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use runtime::spawn;
use std::io::{self, ErrorKind, IoSliceMut};
use stream_kinds::{Kind, fill, laws, turns};

laws! {
    each_direction_ends_by_itself
    data_and_end_in_one_event_are_both_seen
    the_end_stays
    a_peer_that_was_gone_before
    a_peer_that_goes_during_a_read
    a_peer_that_goes_during_a_write
    a_peer_that_goes_wakes_both_sides
}

async fn each_direction_ends_by_itself<K: Kind>() -> io::Result<()> {
    let data = pattern(MIB);
    for swap in [false, true] {
        let (a, b) = K::pair().await?;
        let (mut first, mut second) = if swap { (b, a) } else { (a, b) };
        let asks = async {
            first.write_all(&data).await?;
            first.close().await?;
            let mut back = Vec::new();
            first.read_to_end(&mut back).await?;
            io::Result::Ok(back)
        };
        let answers = async {
            let mut received = Vec::new();
            second.read_to_end(&mut received).await?;
            second.write_all(&received).await?;
            second.close().await?;
            io::Result::Ok(received)
        };
        let (back, received) = try_zip(asks, answers).await?;
        assert!(received == data && back == data);
    }
    Ok(())
}

async fn data_and_end_in_one_event_are_both_seen<K: Kind>() -> io::Result<()> {
    for (is_registered, is_dropped) in [(false, false), (false, true), (true, false), (true, true)] {
        let (mut a, mut b) = K::pair().await?;
        let mut buffer = [0; 64];
        if is_registered {
            assert!(poll_once(b.read(&mut buffer)).await.is_none());
        }
        a.write_all(b"hello").await?;
        a.close().await?;
        let kept = if is_dropped { None } else { Some(a) };
        assert_eq!(b.read(&mut buffer).await?, 5);
        assert_eq!(b.read(&mut buffer).await?, 0);
        drop(kept);
    }
    Ok(())
}

async fn the_end_stays<K: Kind>() -> io::Result<()> {
    let (mut a, mut b) = K::pair().await?;
    a.close().await?;
    a.close().await?;
    assert_eq!(a.write(b"no more").await.unwrap_err().kind(), ErrorKind::BrokenPipe);
    for _ in 0..3 {
        assert_eq!(b.read(&mut [0; 8]).await?, 0);
        assert_eq!(b.read_vectored(&mut [IoSliceMut::new(&mut [0; 8])]).await?, 0);
    }
    // The other direction goes on, also after the end was seen.
    b.write_all(b"still").await?;
    assert_eq!(a.read(&mut [0; 8]).await?, 5);
    drop(a);
    b.close().await?;
    b.close().await
}

/// A way in which a peer goes, and the result of a read after it: an error, or the end.
type Way<K> = (fn(<K as Kind>::Stream), Option<ErrorKind>);

fn ways_to_go<K: Kind>() -> [Way<K>; 2] {
    [(drop, None), (K::reset, K::AFTER_RESET)]
}

fn assert_gone(error: &io::Error) {
    assert!(matches!(error.kind(), ErrorKind::BrokenPipe | ErrorKind::ConnectionReset), "{error:?}");
}

/// Checks that reads return the end, perhaps after one error, again and again, and that writes fail.
async fn is_gone(stream: &mut (impl AsyncRead + AsyncWrite + Unpin)) -> io::Result<()> {
    // TCP learns of it from the answer to the first write.
    let mut writes = 0;
    let error = loop {
        assert!(writes < 1000, "nobody is there, and it goes on");
        writes += 1;
        match stream.write(b"hello?").await {
            Ok(_) => turns().await,
            Err(error) => break error,
        }
    };
    assert_gone(&error);
    assert_gone(&stream.write(b"hello?").await.unwrap_err());
    if let Err(error) = stream.read(&mut [0; 8]).await {
        assert_gone(&error);
    }
    assert_eq!(stream.read(&mut [0; 8]).await?, 0);
    stream.close().await?;
    assert_eq!(stream.read(&mut [0; 8]).await?, 0);
    Ok(())
}

async fn a_peer_that_was_gone_before<K: Kind>() -> io::Result<()> {
    for is_registered in [false, true] {
        for (go, found) in ways_to_go::<K>() {
            let (a, mut b) = K::pair().await?;
            if is_registered {
                assert!(poll_once(b.read(&mut [0])).await.is_none());
            }
            go(a);
            assert_eq!(b.read(&mut [0; 8]).await.map_err(|error| error.kind()), found.map_or(Ok(0), Err));
            is_gone(&mut b).await?;
            // The same with a write first.
            let (a, mut b) = K::pair().await?;
            go(a);
            is_gone(&mut b).await?;
        }
        // The peer leaves some of the data unread.
        let (mut a, mut b) = K::pair().await?;
        if is_registered {
            assert!(poll_once(b.read(&mut [0])).await.is_none());
        }
        b.write_all(b"to whom").await?;
        a.read_exact(&mut [0; 2]).await?;
        drop(a);
        let read = b.read(&mut [0; 8]).await.map_err(|error| error.kind());
        assert_eq!(read, K::AFTER_UNREAD.map_or(Ok(0), Err));
        is_gone(&mut b).await?;
    }
    Ok(())
}

async fn a_peer_that_goes_during_a_read<K: Kind>() -> io::Result<()> {
    for (go, found) in ways_to_go::<K>() {
        let (a, mut b) = K::pair().await?;
        let reader = spawn(async move {
            let read = b.read(&mut [0; 8]).await;
            (b, read)
        });
        turns().await;
        assert!(!reader.is_finished());
        go(a);
        let (mut b, read) = reader.await.unwrap();
        assert_eq!(read.map_err(|error| error.kind()), found.map_or(Ok(0), Err));
        is_gone(&mut b).await?;
    }
    Ok(())
}

async fn a_peer_that_goes_during_a_write<K: Kind>() -> io::Result<()> {
    for (go, _) in ways_to_go::<K>() {
        let (a, mut b) = K::pair().await?;
        fill(&mut b).await?;
        let writer = spawn(async move {
            let written = b.write_all(&[7; MIB]).await;
            (b, written)
        });
        turns().await;
        assert!(!writer.is_finished());
        go(a);
        let (mut b, written) = writer.await.unwrap();
        assert_gone(&written.unwrap_err());
        is_gone(&mut b).await?;
    }
    Ok(())
}

async fn a_peer_that_goes_wakes_both_sides<K: Kind>() -> io::Result<()> {
    for (go, _) in ways_to_go::<K>() {
        let (a, b) = K::pair().await?;
        let (mut reader, mut writer) = K::into_split(b);
        fill(&mut writer).await?;
        let read = spawn(async move { reader.read(&mut [0; 8]).await });
        let write = spawn(async move { writer.write_all(&[7; MIB]).await });
        turns().await;
        assert!(!read.is_finished() && !write.is_finished());
        go(a);
        if let Err(error) = read.await.unwrap() {
            assert_gone(&error);
        }
        assert_gone(&write.await.unwrap().unwrap_err());
    }
    Ok(())
}
