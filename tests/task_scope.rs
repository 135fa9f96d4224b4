//! Scopes: children that borrow, that end with their scope, and that are polled only when they were woken.

mod common;

use common::{Count, CountOnDrop, CountingWaker, OnDrop, Trace, TraceOnDrop, WakerSlot, run, watchdog};
use runtime::task::{Scope, scope, try_scope, yield_now};
use std::cell::{Cell, RefCell};
use std::future::{pending, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

#[test]
fn children_borrow_and_all_have_ended_when_the_scope_has() {
    run(async {
        let numbers = vec![1, 2, 3];
        let (sum, ended) = (Cell::new(0), Cell::new(0));
        let output = scope(async |scope| {
            for number in &numbers {
                let (sum, ended) = (&sum, &ended);
                scope.spawn(async move {
                    for _ in 0..*number {
                        yield_now().await;
                        sum.set(sum.get() + number);
                    }
                    ended.set(ended.get() + 1);
                });
            }
            assert_eq!(format!("{scope:?}"), "Scope { children: 3 }");
            "output"
        });
        assert_eq!(output.await, "output");
        assert_eq!((sum.get(), ended.get(), numbers.len()), (14, 3, 3));
    });
}

#[test]
fn a_child_spawns_siblings_and_the_body_awaits_outputs() {
    run(async {
        let names = ["a".to_owned(), "b".to_owned()];
        let joined = scope(async |scope| {
            let child = scope.spawn({
                let scope = scope.clone();
                let names = &names;
                async move {
                    let sibling = scope.spawn(async move { names[1].as_str() });
                    let first = names[0].as_str();
                    first.to_owned() + sibling.await.unwrap()
                }
            });
            child.await.unwrap()
        });
        assert_eq!(joined.await, "ab");
    });
}

#[test]
fn each_child_and_the_body_are_polled_only_when_they_were_woken() {
    let (slots, polls): ([WakerSlot; 3], [Count; 3]) = Default::default();
    let (body_slot, body_polls) = (WakerSlot::default(), Count::default());
    let mut running = pin!(scope(|scope| {
        for (slot, polls) in slots.iter().zip(&polls) {
            drop(scope.spawn(slot.wait(polls)));
        }
        body_slot.wait(&body_polls)
    }));
    let (counting, waker) = CountingWaker::new();
    let mut cx = Context::from_waker(&waker);
    let counts = || (polls.each_ref().map(Count::get), body_polls.get());
    assert!(running.as_mut().poll(&mut cx).is_pending());
    assert_eq!((counts(), counting.wakes()), (([0, 0, 0], 1), 1), "children begin in the next poll");
    assert!(running.as_mut().poll(&mut cx).is_pending());
    assert_eq!(counts(), ([1, 1, 1], 1));
    assert!(running.as_mut().poll(&mut cx).is_pending());
    assert_eq!(counts(), ([1, 1, 1], 1), "nobody was woken");
    let before = counting.wakes();
    slots[1].get().wake_by_ref();
    slots[1].get().wake();
    slots[2].get().wake();
    assert_eq!(counting.wakes() - before, 1, "one wake for both");
    assert!(running.as_mut().poll(&mut cx).is_pending());
    assert_eq!(counts(), ([1, 2, 2], 1));
    body_slot.get().wake();
    assert!(running.as_mut().poll(&mut cx).is_pending());
    assert_eq!(counts(), ([1, 2, 2], 2));
    let elsewhere = slots[0].get();
    std::thread::spawn(move || elsewhere.wake()).join().unwrap();
    assert!(running.as_mut().poll(&mut cx).is_pending());
    assert_eq!(counts(), ([2, 2, 2], 2));
}

#[test]
fn children_that_are_always_ready_to_run_let_other_tasks_run() {
    run(async {
        let stop = Rc::new(Cell::new(false));
        let other = runtime::spawn({
            let stop = stop.clone();
            async move {
                yield_now().await;
                stop.set(true);
            }
        });
        scope(async |scope| {
            for _ in 0..3 {
                let stop = &stop;
                scope.spawn(async move {
                    while !stop.get() {
                        yield_now().await;
                    }
                });
            }
        })
        .await;
        other.await.unwrap();
    });
}

#[test]
fn a_dropped_scope_drops_its_children_and_their_cycle_with_it() {
    let trace = Trace::default();
    let escaped: RefCell<Option<Scope<'_>>> = RefCell::new(None);
    let late = Count::default();
    {
        let mut running = Box::pin(scope(async |scope| {
            let _body = TraceOnDrop(trace.clone(), "body");
            let child = TraceOnDrop(trace.clone(), "child");
            scope.spawn({
                let (scope, late) = (scope.clone(), late.clone());
                async move {
                    let _guard = OnDrop::new(move || drop(scope.spawn(async move { _ = late.add() })));
                    let _child = child;
                    pending::<()>().await;
                }
            });
            escaped.replace(Some(scope.clone()));
            pending::<()>().await;
        }));
        assert!(running.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
        assert!(running.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
        assert!(trace.take().is_empty());
        drop(running);
        assert_eq!(trace.take(), ["body", "child"]);
    }
    let scope = escaped.take().unwrap();
    let dropped = CountOnDrop(late.clone());
    let mut handle = pin!(scope.spawn(async move { drop(dropped) }));
    assert_eq!(late.get(), 1, "a scope that has ended drops its children at once");
    assert!(matches!(handle.as_mut().poll(&mut Context::from_waker(Waker::noop())), Poll::Ready(None)));
}

/// The borrows of a forgotten scope may end. Its children are neither polled nor dropped any more, even if their wakers
/// are woken.
#[test]
#[cfg_attr(miri, ignore = "leaks what is forgotten")]
fn a_forgotten_scope_never_uses_what_it_has_borrowed() {
    let slot = WakerSlot::default();
    let uses = Count::default();
    {
        let local = String::from("borrowed");
        let mut running = Box::pin(scope(async |scope| {
            let (local, slot, uses) = (&local, &slot, &uses);
            scope.spawn(poll_fn(move |cx| {
                uses.add();
                slot.put(cx);
                if local.is_empty() { Poll::Ready(()) } else { Poll::Pending }
            }));
        }));
        assert!(running.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
        assert!(running.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
        common::forget(running);
    }
    assert_eq!(uses.get(), 1);
    slot.get().wake();
    runtime::block_on(yield_now());
    assert_eq!(uses.get(), 1);
}

#[test]
fn the_first_error_drops_the_others_and_is_returned() {
    run(async {
        let (dropped, polled) = (Count::default(), Count::default());
        let result: Result<(), &str> = try_scope(async |scope| {
            let _body = CountOnDrop(dropped.clone());
            let guard = CountOnDrop(dropped.clone());
            scope.try_spawn::<_, ()>(async move {
                let _guard = guard;
                pending().await
            });
            scope.try_spawn::<_, ()>(async {
                yield_now().await;
                Err("first")
            });
            let polled = &polled;
            scope.try_spawn(async move {
                yield_now().await;
                polled.add();
                Err::<(), _>("second")
            });
            pending().await
        })
        .await;
        assert_eq!(result, Err("first"));
        assert_eq!((dropped.get(), polled.get()), (2, 0));
    });
}

#[test]
fn without_an_error_try_scope_waits_for_all_and_gives_their_outputs() {
    run(async {
        let result: Result<u32, &str> = try_scope(async |scope| {
            let one = scope.try_spawn(async {
                yield_now().await;
                Ok(1)
            });
            let two = scope.try_spawn(async { Ok(2) });
            Ok(one.await.unwrap() + two.await.unwrap())
        })
        .await;
        assert_eq!(result, Ok(3));
        let failed: Result<(), &str> = try_scope(async |_| Err("of the body")).await;
        assert_eq!(failed, Err("of the body"));
    });
}

#[test]
fn a_panic_of_a_child_is_one_of_the_scope_and_the_others_are_kept_or_dropped_with_it() {
    let _watchdog = watchdog();
    let (dropped, ended) = (Count::default(), Count::default());
    let mut running = Box::pin(scope(async |scope| {
        scope.spawn(async { panic!("expected") });
        let guard = CountOnDrop(dropped.clone());
        let ended = &ended;
        scope.spawn(async move {
            let _guard = guard;
            ended.add();
        });
    }));
    let mut cx = Context::from_waker(Waker::noop());
    let payload = catch_unwind(AssertUnwindSafe(|| while running.as_mut().poll(&mut cx).is_pending() {}));
    assert_eq!(*payload.unwrap_err().downcast::<&str>().unwrap(), "expected");
    drop(running);
    assert_eq!((dropped.get(), ended.get()), (1, 0));
}

#[test]
fn slots_are_used_again_and_wakers_of_earlier_children_wake_nobody() {
    run(async {
        let (stale, gate, polls) = (WakerSlot::default(), WakerSlot::default(), Count::default());
        let is_open = Cell::new(false);
        scope(async |scope| {
            let slot = stale.clone();
            let leaves_waker = poll_fn(move |cx| {
                slot.put(cx);
                Poll::Ready(())
            });
            scope.spawn(leaves_waker).await.unwrap();
            for _ in 0..100 {
                scope.spawn(yield_now()).await.unwrap();
            }
            let (gate, polls, is_open) = (&gate, &polls, &is_open);
            let waiting = scope.spawn(poll_fn(move |cx| {
                polls.add();
                gate.put(cx);
                if is_open.get() { Poll::Ready(()) } else { Poll::Pending }
            }));
            for _ in 0..3 {
                yield_now().await;
                stale.get().wake();
            }
            assert_eq!(polls.get(), 1);
            is_open.set(true);
            gate.get().wake();
            waiting.await.unwrap();
            assert_eq!(polls.get(), 2);
        })
        .await;
    });
}
