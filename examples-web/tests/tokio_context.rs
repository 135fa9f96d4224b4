//! A context of tokio on our thread: who is in it, and that tokio's timers, sockets and tasks work there.

use runtime::task::{JoinSet, yield_now};
use runtime::tokio_context::{self, enter, with_tokio};
use std::sync::mpsc::channel;
use std::thread;
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::runtime::Handle;

fn is_inside() -> bool {
    Handle::try_current().is_ok()
}

const HELPER: Option<&str> = Some("tokio-context");

/// A value whose drop needs the context.
struct SpawnsOnDrop(std::sync::mpsc::Sender<bool>);

impl Drop for SpawnsOnDrop {
    fn drop(&mut self) {
        let sender = self.0.clone();
        tokio::spawn(async move { sender.send(thread::current().name() == HELPER) });
    }
}

/// The guards of tasks that interleave would be dropped in another order than they were made, and a stale context would
/// be restored.
#[test]
fn tasks_that_interleave_keep_their_contexts_apart() {
    const YIELDS: usize = 1000;
    runtime::block_on(async {
        let mut tasks = JoinSet::new();
        for is_guarded in [true, false, true] {
            let task = async move {
                for _ in 0..YIELDS {
                    assert_eq!(is_inside(), is_guarded);
                    yield_now().await;
                }
            };
            match is_guarded {
                true => tasks.spawn_local(with_tokio(task)),
                false => tasks.spawn_local(task),
            };
        }
        while let Some(task) = tasks.join_next().await {
            task.unwrap();
        }
        assert!(!is_inside());
    });
}

#[test]
fn a_cancelled_task_drops_its_future_inside() {
    let (sender, receiver) = channel();
    runtime::block_on(async {
        let held = SpawnsOnDrop(sender.clone());
        let task = runtime::spawn(with_tokio(async move {
            let _held = held;
            std::future::pending::<()>().await;
        }));
        yield_now().await;
        task.abort();
        assert!(task.await.unwrap_err().is_cancelled());
    });
    // A future that was never polled is dropped inside too, and so is one that has ended.
    let (first, second) = (SpawnsOnDrop(sender.clone()), SpawnsOnDrop(sender));
    drop(with_tokio(async move { drop(first) }));
    runtime::block_on(with_tokio(async move { drop(second) }));
    for _ in 0..3 {
        assert!(receiver.recv_timeout(Duration::from_secs(10)).unwrap());
    }
    assert!(!is_inside());
}

#[test]
fn a_panic_leaves_the_context() {
    runtime::block_on(async {
        let task = runtime::spawn(with_tokio(async { panic!("expected") }));
        assert!(task.await.unwrap_err().is_panic());
        assert!(!is_inside());
    });
}

#[test]
fn timers_and_sockets_of_tokio_work_on_our_thread() {
    let home = thread::current().id();
    let _context = enter();
    runtime::block_on(async {
        let begun = Instant::now();
        tokio::time::sleep(Duration::from_millis(5)).await;
        assert!(begun.elapsed() >= Duration::from_millis(5));
        let pending = std::future::pending::<()>();
        assert!(tokio::time::timeout(Duration::from_millis(1), pending).await.is_err());

        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let echo = runtime::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut bytes = [0; 5];
            stream.read_exact(&mut bytes).await.unwrap();
            stream.write_all(&bytes).await.unwrap();
            thread::current().id()
        });
        let mut stream = tokio::net::TcpStream::connect(address).await.unwrap();
        stream.write_all(b"hello").await.unwrap();
        let mut bytes = Vec::new();
        stream.read_to_end(&mut bytes).await.unwrap();
        assert_eq!(bytes, b"hello");
        assert_eq!(echo.await.unwrap(), home);

        let helper = tokio::spawn(async { thread::current().name().map(str::to_owned) });
        assert_eq!(helper.await.unwrap().as_deref(), HELPER);
        assert_eq!(tokio::task::spawn_blocking(|| 42).await.unwrap(), 42);
    });
}

/// Many wakes from the helper thread arrive at random moments.
#[test]
fn wakes_of_the_helper_end_our_wait() {
    const ONESHOTS: usize = if cfg!(debug_assertions) { 2000 } else { 20_000 };
    let home = thread::current().id();
    runtime::block_on(async {
        let helper = tokio_context::handle().unwrap();
        let mut slow = 0;
        for round in 0..ONESHOTS {
            let (sender, receiver) = tokio::sync::oneshot::channel();
            drop(helper.spawn(async move {
                let until = Instant::now() + Duration::from_micros(round as u64 * 7919 % 50);
                while Instant::now() < until {
                    std::hint::spin_loop();
                }
                sender.send(Instant::now())
            }));
            let sent = receiver.await.unwrap();
            slow += usize::from(sent.elapsed() >= Duration::from_millis(20));
            assert_eq!(thread::current().id(), home);
        }
        // On a machine that is busy with other work, the thread itself may have to wait for its turn.
        assert!(slow <= ONESHOTS / 1000, "{slow} of {ONESHOTS}");
    });
}

/// The helper is shared, and outlives every runtime and every guard.
#[test]
fn runtimes_and_guards_come_and_go_in_any_order() {
    for _ in 0..3 {
        let outer = enter();
        let runtime = runtime::Runtime::new().unwrap();
        let inner = enter();
        let sleeping = runtime.spawn(tokio::time::sleep(Duration::from_secs(3600)));
        runtime.block_on(tokio::time::sleep(Duration::from_millis(1)));
        drop(inner);
        drop(runtime);
        drop((sleeping, outer));
        assert!(!is_inside());
    }
    let threads = [(); 4].map(|()| {
        thread::spawn(|| {
            runtime::block_on(with_tokio(async {
                tokio::spawn(async { thread::current().id() }).await.unwrap()
            }))
        })
    });
    let helpers = threads.map(|thread| thread.join().unwrap());
    assert!(helpers.iter().all(|helper| *helper == helpers[0]));
}
