//! Cancel safety of TCP: an accept, a read, a write or a connect that is dropped before it is ready has done nothing.
#![cfg(not(miri))] // Children, signals, resets: nothing that it has.

mod net_support;

use futures_lite::future::or;
use futures_lite::{AsyncReadExt, AsyncWriteExt};
use net_support::{
    full_listener, half_std_pair, in_child, numbers, open_descriptors, poll_once, run, watchdog, yields,
};
use runtime::Runtime;
use runtime::net::{TcpListener, TcpStream};
use std::io::{self, ErrorKind, Read, Write};
use std::thread;

#[test]
fn an_accept_that_is_given_up_has_taken_no_connection() {
    const CONNECTIONS: usize = 3000;
    run(async {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let clients = thread::spawn(move || {
            for _ in 0..CONNECTIONS {
                std::net::TcpStream::connect(address).unwrap();
            }
        });
        let (mut number, mut accepted, mut given_up) = (numbers(), 0, 0);
        while accepted < CONNECTIONS {
            let patience = number(4);
            let accept = async { listener.accept().await.map(Some) };
            match or(accept, async {
                yields(patience).await;
                Ok(None)
            })
            .await?
            {
                Some(_) => accepted += 1,
                None => given_up += 1,
            }
        }
        clients.join().unwrap();
        assert!(given_up > 0);
        assert!(poll_once(listener.accept()).await.is_none());
        io::Result::Ok(())
    })
    .unwrap();
}

#[test]
fn a_read_that_is_given_up_has_taken_no_byte() {
    const BYTES: usize = 4 << 20;
    run(async {
        let (mut ours, mut other) = half_std_pair()?;
        let writer = thread::spawn(move || {
            let (mut number, mut sent) = (numbers(), 0);
            while sent < BYTES {
                let count = (1 + number(20_000)).min(BYTES - sent);
                let block: Vec<u8> = (sent..sent + count).map(|n| (n % 251) as u8).collect();
                other.write_all(&block).unwrap();
                sent += count;
            }
        });
        let (mut number, mut received, mut buffer) = (numbers(), 0, vec![0; 30_000]);
        loop {
            let (size, patience) = (1 + number(30_000), number(4));
            let read = async { ours.read(&mut buffer[..size]).await.map(Some) };
            match or(read, async {
                yields(patience).await;
                Ok(None)
            })
            .await?
            {
                Some(0) => break,
                Some(count) => {
                    assert!(
                        buffer[..count]
                            .iter()
                            .enumerate()
                            .all(|(n, byte)| *byte == ((received + n) % 251) as u8)
                    );
                    received += count;
                }
                None => {}
            }
        }
        assert_eq!(received, BYTES);
        writer.join().unwrap();
        io::Result::Ok(())
    })
    .unwrap();
}

#[test]
fn a_write_that_is_given_up_has_sent_nothing() {
    const BYTES: usize = 4 << 20;
    run(async {
        let (mut ours, mut other) = half_std_pair()?;
        let reader = thread::spawn(move || {
            let mut received = Vec::new();
            other.read_to_end(&mut received).unwrap();
            received
        });
        let (mut number, mut sent) = (numbers(), 0);
        while sent < BYTES {
            let (count, patience) = ((1 + number(1 << 19)).min(BYTES - sent), number(3));
            let block: Vec<u8> = (sent..sent + count).map(|n| (n % 251) as u8).collect();
            let write = async { ours.write(&block).await };
            sent += or(write, async {
                yields(patience).await;
                Ok(0)
            })
            .await?;
        }
        drop(ours);
        let received = reader.join().unwrap();
        assert!(
            received.len() == BYTES && received.iter().enumerate().all(|(n, byte)| *byte == (n % 251) as u8)
        );
        io::Result::Ok(())
    })
    .unwrap();
}

#[test]
fn a_connect_that_is_given_up_leaves_nothing_behind() {
    in_child("a_connect_that_is_given_up_leaves_nothing_behind", || {
        let _watchdog = watchdog();
        let runtime = Runtime::new().unwrap();
        let (full, _fill) = full_listener();
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let before = open_descriptors();
        runtime.block_on(async {
            for n in 0..1000 {
                // One connect would have succeeded, and the other could not proceed.
                drop(poll_once(TcpStream::connect(address)).await);
                assert!(
                    poll_once(or(TcpStream::connect(full), async {
                        yields(n % 3).await;
                        Err(ErrorKind::Other.into())
                    }))
                    .await
                    .is_none_or(|result| result.is_err())
                );
                if n % 100 == 0 {
                    while n > 0 && listener.set_nonblocking(true).is_ok() && listener.accept().is_ok() {}
                }
            }
        });
        assert_eq!(open_descriptors(), before);
        assert_eq!(runtime.metrics().io_sources, 0);
    });
}
