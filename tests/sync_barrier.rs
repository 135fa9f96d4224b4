//! `sync::Barrier`: what tokio's does as long as nobody gives up, and a plain count if somebody does.

mod common;

use common::adversary::{Adversary, Deed, FUNCTIONS, On, set_call};
use common::hooked::{Call, Hooked};
use common::pool::{Pool, stories};
use common::{poll_once, rounds, run, spend_budget, yield_times};
use proptest::prelude::*;
use runtime::sync::Barrier;
use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

#[derive(Clone, Copy, Debug)]
enum Step {
    Arrive,
    Poll(usize),
    PollElsewhere(usize),
    Drop(usize),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => Just(Step::Arrive),
        4 => any::<usize>().prop_map(Step::Poll),
        1 => any::<usize>().prop_map(Step::PollElsewhere),
        2 => any::<usize>().prop_map(Step::Drop),
    ]
}

/// Takes the steps, but for the drops, and tells after each who is ready, and whether it is the leader.
macro_rules! story {
    ($name:ident, $barrier:path) => {
        fn $name(parties: usize, steps: &[Step]) -> Vec<Vec<Option<bool>>> {
            let barrier = <$barrier>::new(parties);
            let mut pool = Pool::default();
            let mut seen = Vec::new();
            for step in steps {
                match *step {
                    Step::Arrive => pool.start(async { barrier.wait().await.is_leader() }),
                    Step::Poll(which) => _ = pool.poll(which),
                    Step::PollElsewhere(which) => _ = pool.poll_elsewhere(which),
                    Step::Drop(_) => {}
                }
                let all = pool.seen(|is_leader| *is_leader).into_iter();
                seen.push(all.map(Result::ok).collect());
            }
            seen
        }
    };
}

story!(ours, runtime::sync::Barrier);
story!(tokios, tokio::sync::Barrier);

/// Takes the steps, and counts beside: who gives up has not arrived.
fn count(parties: usize, steps: &[Step]) {
    let barrier = Barrier::new(parties);
    // The expected state of each future of the pool: the number of its generation, if that is not complete.
    let (mut pool, mut generations) = (Pool::default(), Vec::new());
    let (mut generation, mut arrived, mut leaders) = (0, 0, 0);
    for step in steps {
        match *step {
            Step::Arrive => {
                pool.start(async { barrier.wait().await.is_leader() });
                generations.push(generation);
                arrived += 1;
                if arrived == parties {
                    (generation, arrived) = (generation + 1, 0);
                    assert_eq!(pool.output(pool.len() - 1), Some(&mut true), "the last is the leader");
                    leaders += 1;
                }
            }
            Step::Poll(which) | Step::PollElsewhere(which) => {
                let is_elsewhere = matches!(step, Step::PollElsewhere(_));
                if if is_elsewhere { pool.poll_elsewhere(which) } else { pool.poll(which) } {
                    assert_eq!(pool.output(which), Some(&mut false));
                }
            }
            Step::Drop(which) if !generations.is_empty() => {
                if generations.swap_remove(which % generations.len()) == generation {
                    arrived -= 1;
                }
                drop(pool.take(which));
            }
            Step::Drop(_) => {}
        }
        for (index, of) in generations.iter().enumerate() {
            match pool.wakes(index) {
                Some(wakes) => assert!(*of != generation || wakes == 0, "woken before all have arrived"),
                None => assert!(*of < generation, "ready before all have arrived"),
            }
        }
    }
    assert_eq!(leaders, generation);
    // Everybody who waits for a generation that is complete is ready.
    for (index, of) in generations.iter().enumerate() {
        pool.poll(index);
        assert_eq!(pool.wakes(index).is_none(), *of < generation);
    }
}

proptest! {
    #![proptest_config(stories(rounds(40_000, 2_000, 3)))]

    #[test]
    fn it_does_what_tokios_does_if_nobody_gives_up(
        parties in 0..5usize,
        steps in prop::collection::vec(step(), 0..60),
    ) {
        prop_assert_eq!(ours(parties, &steps), tokios(parties, &steps));
    }

    #[test]
    fn a_generation_has_one_leader_whoever_gives_up(
        parties in 1..5usize,
        steps in prop::collection::vec(step(), 0..100),
    ) {
        count(parties, &steps);
    }
}

#[test]
fn a_cancelled_arrival_does_not_stay_counted() {
    let barrier = Barrier::new(2);
    let mut pool = Pool::default();
    pool.start(barrier.wait());
    drop(pool.take(0));
    pool.start(barrier.wait());
    assert_eq!(pool.wakes(0), Some(0));
    pool.start(barrier.wait());
    assert!(pool.output(1).unwrap().is_leader());
    assert!(pool.poll(0) && !pool.output(0).unwrap().is_leader());
}

#[test]
fn an_arrival_without_budget_counts() {
    run(async {
        let barrier = Rc::new(Barrier::new(2));
        let other = barrier.clone();
        let task = runtime::spawn(async move { other.wait().await.is_leader() });
        yield_times(1).await;
        let mut wait = pin!(barrier.wait());
        poll_fn(|cx| {
            spend_budget();
            assert!(wait.as_mut().poll(cx).is_pending());
            Poll::Ready(())
        })
        .await;
        assert!(!task.await.unwrap());
        assert!(wait.await.is_leader());
    });
}

#[test]
fn a_task_that_is_always_the_last_lets_others_run() {
    run(async {
        let barrier = Barrier::new(1);
        let other = runtime::spawn(async {});
        while !other.is_finished() {
            assert!(barrier.wait().await.is_leader());
        }
    });
}

#[test]
fn wakers_that_use_it_find_it_consistent() {
    run(async {
        for on in FUNCTIONS {
            let barrier = Rc::new(Barrier::new(2));
            let adversary = Adversary::new(on, Deed::Call);
            let other = barrier.clone();
            set_call(move || {
                _ = pin!(other.wait()).poll(&mut Context::from_waker(Waker::noop())).is_ready();
            });
            let mut leaders = 0;
            {
                let waker = adversary.waker();
                let mut wait = pin!(barrier.wait());
                let is_ready = wait.as_mut().poll(&mut Context::from_waker(&waker)).is_ready();
                if !is_ready {
                    leaders +=
                        usize::from(poll_once(barrier.wait()).await.is_some_and(|result| result.is_leader()));
                    _ = poll_once(wait).await;
                }
            }
            assert_eq!((adversary.failed(), adversary.live()), (0, 0), "{on:?}");
            assert!(leaders <= 1);
            // Nobody is counted any more.
            let mut pool = Pool::default();
            pool.start(barrier.wait());
            assert_eq!(pool.wakes(0), Some(0), "{on:?}");
            pool.start(barrier.wait());
            assert_eq!(pool.wakes(0), Some(1), "{on:?}");
        }
        set_call(|| {});
    });
}

#[test]
fn a_clone_of_a_waker_that_arrives_completes_the_generation() {
    run(async {
        let barrier = Rc::new(Barrier::new(2));
        let adversary = Adversary::new(On::Clone, Deed::Call);
        let (other, arrived) = (barrier.clone(), Rc::new(Cell::new(None)));
        let kept = arrived.clone();
        set_call(move || {
            let other = other.clone();
            let mut wait = Box::pin(async move { other.wait().await.is_leader() });
            assert!(wait.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
            kept.set(Some(wait));
        });
        let waker = adversary.waker();
        let wait = pin!(barrier.wait());
        let Poll::Ready(result) = wait.poll(&mut Context::from_waker(&waker)) else {
            panic!("all have arrived")
        };
        assert!(result.is_leader() && adversary.failed() == 0);
        assert_eq!(poll_once(arrived.take().unwrap()).await, Some(false));
        set_call(|| {});
    });
}

#[test]
fn a_panic_may_pass_through_it() {
    fn is_unwind_safe<T: UnwindSafe + RefUnwindSafe>() {}
    is_unwind_safe::<Barrier>();
}

#[test]
fn one_that_gives_up_does_not_count_while_its_waker_is_dropped() {
    let barrier = Rc::new(Barrier::new(3));
    let wait = || -> Pin<Box<dyn Future<Output = bool>>> {
        let barrier = barrier.clone();
        Box::pin(async move { barrier.wait().await.is_leader() })
    };
    fn poll(future: &mut Pin<Box<dyn Future<Output = bool>>>) -> Poll<bool> {
        future.as_mut().poll(&mut Context::from_waker(Waker::noop()))
    }
    let (mut gives_up, mut stays, late) = (wait(), wait(), Rc::new(RefCell::new(wait())));
    let (hooked, waker) = Hooked::new();
    assert!(gives_up.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
    assert!(poll(&mut stays).is_pending());
    let arrives = late.clone();
    hooked.once(Call::Drop, move || assert!(poll(&mut arrives.borrow_mut()).is_pending()));
    drop(gives_up);
    assert!(poll(&mut stays).is_pending());
    assert_eq!(poll(&mut wait()), Poll::Ready(true));
    assert_eq!(poll(&mut stays), Poll::Ready(false));
    assert_eq!(poll(&mut late.borrow_mut()), Poll::Ready(false));
}
