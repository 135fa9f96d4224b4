//! The numbers of runtimes come again, after 65,534 others. In a process of its own, so that it is known when.

mod common;

use common::{run, watchdog, yield_times};
use runtime::io::{AsyncReadExt, AsyncWriteExt};
use runtime::net::UnixStream;
use runtime::{Runtime, spawn};
use std::future::pending;
use std::pin::pin;
use std::task::{Context, Waker};

/// What is left of a runtime that has gone: the handle of a task, and sockets that wait there.
#[test]
#[cfg_attr(miri, ignore = "65,536 runtimes are too many for an interpreter")]
fn what_a_runtime_has_left_means_nothing_in_its_namesake() {
    let _watchdog = watchdog();
    let runtime = Runtime::new().unwrap();
    let (mut stream, mut other) = UnixStream::pair().unwrap();
    let task = runtime.spawn(pending::<String>());
    runtime.block_on(async {
        let mut buffer = [0];
        let reading = pin!(stream.read(&mut buffer));
        assert!(reading.poll(&mut Context::from_waker(Waker::noop())).is_pending());
    });
    drop(runtime);
    (0..65_534).for_each(|_| drop(Runtime::new().unwrap()));
    run(async {
        // The first task, and the first socket, as there.
        let namesake = spawn(async {
            yield_times(2).await;
            7
        });
        let number = |id: runtime::task::Id| id.to_string().split_once('.').unwrap().0.to_owned();
        assert_eq!(number(namesake.id()), number(task.id()));
        assert_ne!(namesake.id(), task.id());
        task.abort();
        assert!(task.is_finished());
        assert!(task.await.unwrap_err().is_cancelled());
        assert_eq!(namesake.await.unwrap(), 7);

        let (mut one, mut two) = UnixStream::pair().unwrap();
        let reading = spawn(async move { one.read(&mut [0; 8]).await });
        yield_times(2).await;
        let reading_too = spawn(async move { stream.read(&mut [0; 8]).await });
        yield_times(2).await;
        two.write_all(b"one").await.unwrap();
        assert_eq!(reading.await.unwrap().unwrap(), 3);
        other.write_all(b"both").await.unwrap();
        assert_eq!(reading_too.await.unwrap().unwrap(), 4);
    });
}
