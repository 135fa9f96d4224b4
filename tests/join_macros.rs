//! `join!` and `try_join!`: in which order they poll, when they drop what is done, and what an error does. And `pin!`.

mod common;

use common::{Count, OnDrop, Trace, TraceOnDrop, run, run_paused};
use runtime::task::coop::consume_budget;
use runtime::task::yield_now;
use runtime::time::{Duration, Instant, sleep};
use runtime::{join, pin, spawn, try_join};
use std::cell::{Cell, RefCell};
use std::convert::Infallible;
use std::future::{IntoFuture, Ready, pending, poll_fn, ready};
use std::pin::{Pin, pin as pinned};
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

/// A future that is ready at its `polls`-th poll. It writes its polls and its drop into the trace, and panics if it is
/// polled after it was ready.
fn traced<T>(trace: &Trace, name: &'static str, polls: usize, output: T) -> impl Future<Output = T> {
    let trace = trace.clone();
    let dropped = TraceOnDrop(trace.clone(), name);
    let (mut left, mut output) = (polls, Some(output));
    poll_fn(move |_| {
        let _own = &dropped;
        trace.push(format!("poll {name}"));
        left -= 1;
        if left == 0 { Poll::Ready(output.take().unwrap()) } else { Poll::Pending }
    })
}

fn poll<F: Future>(future: Pin<&mut F>) -> Poll<F::Output> {
    future.poll(&mut Context::from_waker(Waker::noop()))
}

#[test]
fn the_outputs_come_as_a_tuple_in_the_order_of_the_futures() {
    run(async {
        let slow = async {
            yield_now().await;
            1
        };
        assert_eq!(join!(slow, async { "two" }, ready([3])), (1, "two", [3]));
        assert_eq!(join!(async { 1 }), (1,));
        assert_eq!(join!(biased; async { 1 }, async { 2 },), (1, 2));
        let [(), ()] = [join!(), join!(biased;)];

        assert_eq!(try_join!(async { Ok::<_, u8>(1) }, async { Ok("two") }), Ok((1, "two")));
        assert_eq!(try_join!(async { Ok(1) }, async { Err::<u8, _>("two") }), Err("two"));
        assert_eq!(try_join!(biased; ready(Ok::<_, u8>(1)),), Ok((1,)));
        let nothing: Result<(), u8> = try_join!();
        let nothing_either: Result<(), u8> = try_join!(biased;);
        assert_eq!(nothing, nothing_either);
    });
}

#[test]
fn the_futures_wait_at_the_same_time() {
    run_paused(async {
        let start = Instant::now();
        join!(sleep(Duration::from_secs(3)), sleep(Duration::from_secs(5)), sleep(Duration::from_secs(4)));
        assert_eq!(start.elapsed().as_secs(), 5);
    });
}

#[test]
fn each_poll_begins_with_another_future_and_a_biased_one_with_the_first() {
    let trace = Trace::default();
    {
        let mut rotating = pinned!(async {
            join!(traced(&trace, "a", 9, ()), traced(&trace, "b", 9, ()), traced(&trace, "c", 9, ()))
        });
        for _ in 0..4 {
            assert!(poll(rotating.as_mut()).is_pending());
        }
    }
    let polls = trace
        .take()
        .iter()
        .filter_map(|event| event.strip_prefix("poll ").map(String::from))
        .collect::<String>();
    assert_eq!(polls, "abcbcacababc");
    {
        let mut biased =
            pinned!(async { join!(biased; traced(&trace, "a", 9, ()), traced(&trace, "b", 9, ())) });
        for _ in 0..3 {
            assert!(poll(biased.as_mut()).is_pending());
        }
    }
    let polls = trace
        .take()
        .iter()
        .filter_map(|event| event.strip_prefix("poll ").map(String::from))
        .collect::<String>();
    assert_eq!(polls, "ababab");
}

#[test]
fn a_future_that_uses_up_the_budget_does_not_starve_the_last() {
    run(async {
        let done = Cell::new(false);
        let greedy = || async {
            while !done.get() {
                consume_budget().await;
            }
        };
        let last = async {
            for _ in 0..10 {
                consume_budget().await;
            }
            done.set(true);
        };
        join!(greedy(), greedy(), last);
        done.set(false);
        let last = async {
            consume_budget().await;
            done.set(true);
            Ok::<_, u8>(())
        };
        try_join!(
            async {
                greedy().await;
                Ok(())
            },
            last
        )
        .unwrap();
    });
}

#[test]
fn a_future_is_dropped_as_soon_as_it_is_ready_and_never_polled_again() {
    let trace = Trace::default();
    let mut joined = pinned!(async { join!(biased; traced(&trace, "a", 1, 1), traced(&trace, "b", 3, 2)) });
    assert!(poll(joined.as_mut()).is_pending());
    assert_eq!(trace.take(), ["poll a", "a", "poll b"]);
    assert!(poll(joined.as_mut()).is_pending());
    assert_eq!(poll(joined.as_mut()), Poll::Ready((1, 2)));
    assert_eq!(trace.take(), ["poll b", "poll b", "b"]);

    let mut joined = pinned!(async {
        try_join!(biased; traced(&trace, "a", 1, Ok::<_, u8>(1)), traced(&trace, "b", 2, Ok(2)))
    });
    assert!(poll(joined.as_mut()).is_pending());
    assert_eq!(trace.take(), ["poll a", "a", "poll b"]);
    assert_eq!(poll(joined.as_mut()), Poll::Ready(Ok((1, 2))));
    assert_eq!(trace.take(), ["poll b", "b"]);
}

#[test]
fn a_future_releases_what_the_others_wait_for() {
    /// Owns a guard, and is ready at its first poll, without giving the guard away.
    struct Owner(#[expect(dead_code, reason = "held until the drop")] OnDrop<Box<dyn FnOnce()>>);

    impl Future for Owner {
        type Output = Result<(), Infallible>;

        fn poll(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Self::Output> {
            Poll::Ready(Ok(()))
        }
    }

    let owner = |free: &Rc<Cell<bool>>| {
        let free = free.clone();
        Owner(OnDrop::new(Box::new(move || free.set(true))))
    };
    let wait = |free: &Rc<Cell<bool>>| {
        let free = free.clone();
        async move {
            while !free.get() {
                yield_now().await;
            }
            Ok::<_, Infallible>(())
        }
    };
    run(async {
        let free = Rc::new(Cell::new(false));
        let (_, _) = join!(owner(&free), wait(&free));
        free.set(false);
        let Ok(((), ())) = try_join!(wait(&free), owner(&free));
    });
}

#[test]
fn an_error_drops_the_other_futures_and_the_values_at_once() {
    let trace = Trace::default();
    let mut joined = pinned!(async {
        let result = try_join!(
            biased;
            traced(&trace, "a", 1, Ok(TraceOnDrop(trace.clone(), "value of a"))),
            traced(&trace, "b", 9, Ok(())),
            traced(&trace, "c", 2, Err::<(), _>("error")),
            traced(&trace, "d", 9, Ok(())),
        );
        trace.push("returned");
        result.map(|_| ())
    });
    assert!(poll(joined.as_mut()).is_pending());
    assert_eq!(trace.take(), ["poll a", "a", "poll b", "poll c", "poll d"]);
    assert_eq!(poll(joined.as_mut()), Poll::Ready(Err("error")));
    assert_eq!(trace.take(), ["poll b", "poll c", "c", "value of a", "b", "d", "returned"]);
}

#[test]
fn dropped_while_it_waits_it_drops_futures_and_outputs() {
    let trace = Trace::default();
    {
        let mut joined = pinned!(async {
            join!(
                traced(&trace, "a", 1, TraceOnDrop(trace.clone(), "output of a")),
                traced(&trace, "b", 9, ())
            )
        });
        assert!(poll(joined.as_mut()).is_pending());
        assert_eq!(trace.take(), ["poll a", "a", "poll b"]);
    }
    assert_eq!(trace.take(), ["output of a", "b"]);
}

/// Joins a hundred futures, which are expressions that the macro repeats.
macro_rules! join_100 {
    ($macro:ident, $($one:tt)*) => { join_100!(@ $macro, [$($one)*] [$($one)*] [$($one)*] [$($one)*] [$($one)*]) };
    (@ $macro:ident, $([$($one:tt)*])*) => { $macro!($($($one,)* $($one,)*)*) };
}

#[test]
fn a_hundred_futures_are_joined_and_none_is_polled_after_it_is_done() {
    let (polls, made) = (Count::default(), Count::default());
    // The n-th future is ready at its n-th poll, and panics if it is polled once more.
    let next = || {
        let polls = polls.clone();
        let mut left = made.add();
        poll_fn(move |_| {
            polls.add();
            left = left.checked_sub(1).expect("is not polled after it is ready");
            if left == 0 { Poll::Ready(1u64) } else { Poll::Pending }
        })
    };
    let rounds = {
        let mut joined = pinned!(async {
            let outputs = join_100!(
                join,
                (next())(next())(next())(next())(next())(next())(next())(next())(next())(next())
            );
            outputs.0 + outputs.50 + outputs.99
        });
        let mut rounds = 1;
        while poll(joined.as_mut()).is_pending() {
            rounds += 1;
        }
        rounds
    };
    assert_eq!((made.get(), rounds), (100, 100));
    assert_eq!(polls.get(), 100 * 101 / 2);
    run(async {
        let ready = || ready(Ok::<_, u8>(2));
        let outputs = join_100!(
            try_join,
            (ready())(ready())(ready())(ready())(ready())(ready())(ready())(ready())(ready())(ready())
        );
        assert_eq!(outputs.unwrap().99, 2);
    });
}

#[test]
fn joins_borrow_locals_and_can_be_spawned_and_nested() {
    run(async {
        let list = RefCell::new(Vec::new());
        join!(async { list.borrow_mut().push(1) }, async { list.borrow_mut().push(2) });
        assert_eq!(list.into_inner(), [1, 2]);
        let task = spawn(async { join!(async { join!(async { 1 }, async { 2 }) }, async { 3 }) });
        assert_eq!(task.await.unwrap(), ((1, 2), 3));
    });
    fn is_send(_: &impl Send) {}
    is_send(&async { join!(async {}, yield_now()) });
    is_send(&async { try_join!(async { Ok::<_, u8>(()) }, async { Ok(()) }) });
}

/// A value that is not a future, but can become one.
struct Answer;

impl IntoFuture for Answer {
    type Output = Result<u32, u8>;
    type IntoFuture = Ready<Result<u32, u8>>;

    fn into_future(self) -> Self::IntoFuture {
        ready(Ok(42))
    }
}

#[test]
fn what_can_become_a_future_is_joined_too() {
    run(async {
        assert_eq!(join!(Answer, Answer), (Ok(42), Ok(42)));
        assert_eq!(try_join!(Answer, Answer), Ok((42, 42)));
    });
}

#[test]
fn outputs_and_errors_may_be_types_without_values() {
    let mut joined = pinned!(async { join!(pending::<Infallible>(), async {}) });
    assert!(poll(joined.as_mut()).is_pending());
    run(async {
        let Ok(pair) = try_join!(async { Ok::<_, Infallible>(1) }, async { Ok(2) });
        assert_eq!(pair, (1, 2));
    });
}

#[test]
fn a_panic_in_the_drop_of_a_future_loses_nothing_else() {
    let dropped = Count::default();
    let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        let dropped = &dropped;
        let bomb = OnDrop::new(|| common::panic_quietly("meant"));
        let counted = OnDrop::new(|| _ = dropped.add());
        // A future that keeps the bomb when it is ready, until it is dropped.
        let first = poll_fn(move |_| {
            let _own = &bomb;
            Poll::Ready(OnDrop::new(move || _ = dropped.add()))
        });
        let second = poll_fn(move |_| {
            let _own = &counted;
            Poll::<()>::Pending
        });
        _ = poll(pinned!(async { join!(first, second) }));
    }));
    assert!(result.is_err());
    assert_eq!(dropped.get(), 2, "the output of the first, and the second");
}

#[test]
fn a_join_takes_the_memory_of_its_futures_and_little_more() {
    async fn big() -> u8 {
        let bytes = [1u8; 1000];
        yield_now().await;
        bytes[500]
    }
    let alone = size_of_val(&big());
    let both = size_of_val(&async { join!(big(), big()) });
    assert!(both <= 2 * alone + 64, "{both} bytes for two futures of {alone}");
}

#[test]
fn pin_replaces_a_variable_by_one_that_is_pinned() {
    run(async {
        let one = async { 1 };
        let two = async { 2 };
        pin!(one, two);
        let _: &Pin<&mut _> = &one;
        assert_eq!((one.as_mut().await, two.await), (1, 2));
        pin! {
            let three = async { 3 };
            let four = async { 4 };
        }
        assert_eq!((three.await, (&mut four).await), (3, 4));
    });
}

// The examples of tokio's documentation.

#[test]
fn the_first_error_is_returned() {
    async fn do_stuff_async() -> Result<(), &'static str> {
        yield_now().await;
        Ok(())
    }
    async fn more_async_work() -> Result<(), &'static str> {
        Err("failed")
    }
    run(async {
        let res = try_join!(do_stuff_async(), more_async_work());
        assert_eq!(res, Err("failed"));
        // Tasks: the first `?` is the join error, which has the type of the others.
        async fn flatten<T: 'static>(
            handle: runtime::task::JoinHandle<Result<T, &'static str>>,
        ) -> Result<T, &'static str> {
            match handle.await {
                Ok(Ok(result)) => Ok(result),
                Ok(Err(error)) => Err(error),
                Err(_) => Err("handling failed"),
            }
        }
        let handle1 = spawn(do_stuff_async());
        let handle2 = spawn(more_async_work());
        assert_eq!(try_join!(flatten(handle1), flatten(handle2)), Err("failed"));
    });
}
