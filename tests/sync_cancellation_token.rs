//! Cancellation tokens: trees of them, those who wait, and what wakers may do meanwhile.

mod common;

use common::hooked::{Call, Hooked, poll_with};
use common::{Count, CountOnDrop, heap, panic_quietly, run, watchdog};
use proptest::prelude::*;
use runtime::spawn;
use runtime::sync::{CancellationToken, WaitForCancellationFutureOwned};
use runtime::task::yield_now;
use std::cell::RefCell;
use std::future::{pending, ready};
use std::panic::catch_unwind;
use std::rc::Rc;
use std::task::{Poll, Waker};

#[global_allocator]
static HEAP: heap::Counting = heap::Counting;

#[test]
fn a_token_cancels_its_clones_and_children_and_not_its_parent() {
    let root = CancellationToken::new();
    let (left, right) = (root.child_token(), root.child_token());
    let (below, clone) = (left.child_token(), left.clone());
    left.cancel();
    let cancelled = |token: &CancellationToken| token.is_cancelled();
    assert!([&left, &below, &clone].into_iter().all(cancelled));
    assert!(![&root, &right].into_iter().any(cancelled));
    assert!(left.child_token().is_cancelled());
    root.cancel();
    assert!(right.is_cancelled() && root.is_cancelled());
    assert_eq!(format!("{root:?}"), "CancellationToken { is_cancelled: true }");
}

#[test]
fn a_child_is_cancelled_by_its_grandparent_when_the_parent_is_gone() {
    let root = CancellationToken::new();
    let parent = root.child_token();
    let (one, two) = (parent.child_token(), parent.child_token());
    drop(parent);
    let below = one.child_token();
    drop(one);
    assert!(!two.is_cancelled() && !below.is_cancelled());
    root.cancel();
    assert!(two.is_cancelled() && below.is_cancelled());
}

#[test]
fn tasks_that_wait_are_woken_by_a_cancel_and_find_one_that_was_before() {
    run(async {
        let token = CancellationToken::new();
        let child = token.child_token();
        let waiting = spawn(async move { child.cancelled().await });
        let owned = spawn(token.clone().cancelled_owned());
        yield_now().await;
        assert!(!waiting.is_finished() && !owned.is_finished());
        token.cancel();
        waiting.await.unwrap();
        owned.await.unwrap();
        token.cancelled().await;
    });
}

#[test]
fn a_future_runs_until_the_token_is_cancelled() {
    run(async {
        let token = CancellationToken::new();
        assert_eq!(token.run_until_cancelled(ready(1)).await, Some(1));
        let (running, dropped) = (token.clone(), Count::default());
        let held = CountOnDrop(dropped.clone());
        let task = spawn(async move {
            let work = async move {
                let _held = held;
                pending::<u32>().await
            };
            running.run_until_cancelled_owned(work).await
        });
        yield_now().await;
        token.cancel();
        assert_eq!((task.await.unwrap(), dropped.get()), (None, 1));
        // Not polled at all.
        assert_eq!(token.run_until_cancelled(async { unreachable!() }).await, None::<()>);
        // The output counts if both are ready.
        let token = CancellationToken::new();
        let cancelling = async { token.cancel() };
        assert_eq!(token.run_until_cancelled(cancelling).await, Some(()));
    });
}

#[test]
fn a_guard_cancels_unless_it_is_disarmed() {
    let token = CancellationToken::new();
    let again = token.clone().drop_guard().disarm();
    assert!(!again.is_cancelled());
    assert!(!token.drop_guard_ref().disarm().is_cancelled());
    drop(token.child_token().drop_guard());
    assert!(!token.is_cancelled());
    drop(token.drop_guard_ref());
    assert!(token.is_cancelled());
    let other = CancellationToken::default();
    let unwinding = other.clone();
    let fail = move || {
        let _guard = unwinding.drop_guard();
        panic_quietly("unwinds");
    };
    catch_unwind(fail).unwrap_err();
    assert!(other.is_cancelled());
}

#[test]
fn futures_that_are_dropped_take_their_wakers_along() {
    let (hooked, waker) = Hooked::new();
    let token = CancellationToken::new();
    let mut waiting = token.cancelled();
    (0..common::rounds(10_000, 10_000, 100))
        .for_each(|_| assert!(poll_with(&mut waiting, &waker).is_pending()));
    let mut owned = token.clone().cancelled_owned();
    assert!(poll_with(&mut owned, &waker).is_pending());
    assert_eq!((hooked.clones(), hooked.live()), (2, 3));
    drop((waiting, owned));
    assert_eq!((hooked.live(), hooked.wakes()), (1, 0));
}

#[test]
fn wakers_that_cancel_everything_once_more_wake_nobody_twice() {
    let root = CancellationToken::new();
    let parent = root.child_token();
    let children: Vec<_> = (0..10).map(|_| parent.child_token()).collect();
    let tokens: Vec<_> = [&root, &parent].into_iter().chain(&children).cloned().collect();
    let hooks: Vec<_> = tokens.iter().map(|_| Hooked::new()).collect();
    let mut waiting: Vec<_> = tokens.iter().map(|token| token.clone().cancelled_owned()).collect();
    for ((waiting, (hooked, waker)), token) in waiting.iter_mut().zip(&hooks).zip(&tokens) {
        assert!(poll_with(waiting, waker).is_pending());
        let (own, root, parent) = (token.clone(), root.clone(), parent.clone());
        hooked.once(Call::Wake, move || {
            own.cancel();
            parent.cancel();
            let child = own.child_token();
            assert!(child.is_cancelled());
            child.cancel();
            drop((own, parent, child));
            root.cancel();
            panic_quietly("a hostile waker");
        });
    }
    children[3].cancel();
    assert!(hooks.iter().all(|(hooked, _)| hooked.wakes() == 1));
    assert!(waiting.iter_mut().all(|waiting| poll_with(waiting, Waker::noop()).is_ready()));
}

#[test]
fn a_waker_sees_all_tokens_of_the_tree_cancelled() {
    let root = CancellationToken::new();
    let children: Vec<_> = (0..3).map(|_| root.child_token()).collect();
    let below: Vec<_> = children.iter().map(CancellationToken::child_token).collect();
    let tokens: Vec<_> = [&root].into_iter().chain(&children).chain(&below).cloned().collect();
    let hooks: Vec<_> = tokens.iter().map(|_| Hooked::new()).collect();
    let mut waiting: Vec<_> = tokens.iter().map(CancellationToken::cancelled).collect();
    let seen = Count::default();
    for (waiting, (hooked, waker)) in waiting.iter_mut().zip(&hooks) {
        assert!(poll_with(waiting, waker).is_pending());
        let (tokens, seen) = (tokens.clone(), seen.clone());
        hooked.once(Call::Wake, move || {
            if tokens.iter().all(CancellationToken::is_cancelled) {
                seen.add();
            }
        });
    }
    root.cancel();
    assert_eq!(seen.get(), tokens.len());
}

#[test]
fn a_clone_of_the_waker_that_cancels_is_not_slept_through() {
    let token = CancellationToken::new();
    let (hooked, waker) = Hooked::new();
    let by_clone = token.clone();
    hooked.once(Call::Clone, move || by_clone.cancel());
    assert!(poll_with(&mut token.cancelled(), &waker).is_ready());
    assert_eq!(hooked.live(), 1);
}

#[test]
fn wakers_that_are_dropped_may_drop_the_tokens() {
    let token = CancellationToken::new();
    let (hooked, waker) = Hooked::new();
    let mut waiting = Box::new(token.child_token().cancelled_owned());
    assert!(poll_with(&mut waiting, &waker).is_pending());
    hooked.once(Call::Drop, move || drop(token));
    drop(waiting);
    assert_eq!(hooked.live(), 1);
}

#[test]
fn chains_of_a_million_tokens_are_cancelled_and_dropped_on_a_small_stack() {
    let _watchdog = watchdog();
    let count = common::rounds(1_000_000, 300_000, 1_000);
    let thread = std::thread::Builder::new().stack_size(128 * 1024).spawn(move || {
        let chain = || {
            let mut tokens = vec![CancellationToken::new()];
            (1..count).for_each(|_| tokens.push(tokens[tokens.len() - 1].child_token()));
            tokens
        };
        // From the root.
        drop(chain());
        // From the leaf.
        let mut tokens = chain();
        while tokens.pop().is_some() {}
        let tokens = chain();
        tokens[0].cancel();
        assert!(tokens.iter().all(CancellationToken::is_cancelled));
        // Many children of one.
        let root = CancellationToken::new();
        let children: Vec<_> = (0..count).map(|_| root.child_token()).collect();
        drop(root);
        drop(children);
    });
    thread.unwrap().join().unwrap();
}

#[test]
fn a_token_that_is_replaced_by_its_child_again_and_again_takes_no_memory() {
    let root = CancellationToken::new();
    let sibling = root.child_token();
    let mut token = root.child_token();
    let before = heap::live_bytes();
    let assert_unchanged = || {
        let change = heap::live_bytes() - before;
        // Each of the few nodes may lie in a block that is 16 bytes larger than another one of its kind would.
        assert!(change.abs() <= 64, "{change} bytes");
    };
    for _ in 0..common::rounds(10_000, 10_000, 100) {
        token = token.child_token();
    }
    assert_unchanged();
    drop(root);
    for _ in 0..common::rounds(10_000, 10_000, 100) {
        // The branch stays, and moves nowhere.
        let child = token.child_token();
        drop(std::mem::replace(&mut token, child.child_token()));
    }
    assert_unchanged();
    drop((token, sibling));
}

#[test]
fn a_burst_of_children_leaves_no_memory_behind() {
    let _watchdog = watchdog();
    let root = CancellationToken::new();
    drop(root.child_token());
    let before = heap::live_bytes();
    let children: Vec<_> = (0..10_000).map(|_| root.child_token()).collect();
    drop(children);
    // A large allocation that shrinks keeps a page.
    assert!(heap::live_bytes() - before < 8192, "{} bytes", heap::live_bytes() - before);
}

#[test]
fn a_token_in_a_thread_local_is_dropped_in_silence_when_the_thread_ends() {
    thread_local! {
        static KEPT: RefCell<Vec<CancellationToken>> = const { RefCell::new(Vec::new()) };
    }
    let _watchdog = watchdog();
    let thread = std::thread::spawn(|| {
        KEPT.with_borrow_mut(Vec::clear);
        runtime::block_on(async {
            let token = CancellationToken::new();
            spawn(token.child_token().cancelled_owned());
            yield_now().await;
            KEPT.with_borrow_mut(|kept| kept.push(token));
        });
    });
    thread.join().unwrap();
}

/// A token in plain words: its parent by number, and what has happened to it.
struct Plain {
    parent: Option<usize>,
    is_cancelled: bool,
}

proptest! {
    #![proptest_config(ProptestConfig {
        failure_persistence: None, ..ProptestConfig::with_cases(common::rounds(50_000, 4_000, 1) as u32)
    })]

    #[test]
    fn any_story_agrees_with_a_plain_tree(steps in prop::collection::vec(any::<(u8, u8)>(), 1..100)) {
        // The number of the plain token is that of the group of clones.
        let mut plain = vec![Plain { parent: None, is_cancelled: false }];
        let mut tokens = vec![(0, CancellationToken::new())];
        let mut waiting: Vec<(usize, Rc<Hooked>, Waker, WaitForCancellationFutureOwned)> = Vec::new();
        for (choice, n) in steps {
            let token = (!tokens.is_empty()).then(|| usize::from(n) % tokens.len());
            match choice % 16 {
                0..5 => {
                    let Some((number, token)) = token.map(|at| &tokens[at]) else { continue };
                    plain.push(Plain { parent: Some(*number), is_cancelled: plain[*number].is_cancelled });
                    tokens.push((plain.len() - 1, token.child_token()));
                }
                5 => {
                    let Some((number, token)) = token.map(|at| &tokens[at]) else { continue };
                    tokens.push((*number, token.clone()));
                }
                6..11 => {
                    let Some(at) = token else { continue };
                    drop(tokens.swap_remove(at));
                }
                11 => {
                    let Some((number, token)) = token.map(|at| &tokens[at]) else { continue };
                    token.cancel();
                    plain[*number].is_cancelled = true;
                    // Parents come before their children.
                    for child in 0..plain.len() {
                        let parent = plain[child].parent;
                        plain[child].is_cancelled |= parent.is_some_and(|parent| plain[parent].is_cancelled);
                    }
                }
                12..14 => {
                    let Some((number, token)) = token.map(|at| &tokens[at]) else { continue };
                    let (hooked, waker) = Hooked::new();
                    let mut future = token.clone().cancelled_owned();
                    prop_assert_eq!(poll_with(&mut future, &waker).is_ready(), plain[*number].is_cancelled);
                    if !plain[*number].is_cancelled {
                        waiting.push((*number, hooked, waker, future));
                    }
                }
                _ => {
                    if !waiting.is_empty() {
                        let (number, hooked, waker, mut future) = waiting.swap_remove(usize::from(n) % waiting.len());
                        let polled = poll_with(&mut future, &waker);
                        prop_assert_eq!(polled == Poll::Ready(()), plain[number].is_cancelled);
                        drop(future);
                        prop_assert_eq!(hooked.live(), 1);
                    }
                }
            }
            for (number, token) in &tokens {
                prop_assert_eq!(token.is_cancelled(), plain[*number].is_cancelled);
            }
            for (number, hooked, ..) in &waiting {
                prop_assert_eq!(hooked.wakes(), usize::from(plain[*number].is_cancelled));
            }
        }
    }
}

#[test]
fn trees_that_are_dropped_in_any_order_leave_nothing_behind() {
    let _watchdog = watchdog();
    let mut random = 7_u64;
    let mut next = move |below: usize| {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        random as usize % below
    };
    let before = heap::live_bytes();
    for _ in 0..common::rounds(10_000, 1_000, 10) {
        let mut tokens = vec![CancellationToken::new()];
        for _ in 0..next(60) + 1 {
            let token = tokens[next(tokens.len())].child_token();
            tokens.push(token);
            if next(3) == 0 {
                drop(tokens.swap_remove(next(tokens.len())));
            }
            if next(20) == 0 {
                tokens[next(tokens.len())].cancel();
            }
        }
        while !tokens.is_empty() {
            drop(tokens.swap_remove(next(tokens.len())));
        }
    }
    assert_eq!(heap::live_bytes(), before, "a node was leaked");
}
